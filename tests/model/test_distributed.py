"""Several processes that do one job find what one process finds, to the bit; and where one fails, all end."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_pairs import COMMAND, digest, environment, names, quick, write_pair, write_rows
from ranks import COUNTS, WORLDS, free_port, launched, losses
from ranks import found as alone
from tiny import tiny_model, tune

from recover.errors import Exit
from recover.generation.batched import Batches
from recover.model import distributed, gradients


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Any]]]:
    """What each process found, by the number of processes; 1 is this one."""
    folder = tmp_path_factory.mktemp("ranks")
    script = Path(__file__).parents[1] / "ranks.py"
    subprocess.run([sys.executable, script, folder], env=environment(), check=True, timeout=1800)
    told = {world: [torch.load(folder / f"{world}-{rank}.pt") for rank in range(world)] for world in WORLDS}
    return {1: [alone(folder)], **told}


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("count", COUNTS)
def test_gradients_have_the_same_bits_in_every_process(
    several: dict[int, list[dict[str, Any]]], world: int, count: int
) -> None:
    expected = several[1][0]["gradients"][count]
    assert all(any(gradient.any() for gradient in way.values()) for way in expected)
    for told in several[world]:
        for way, other in zip(expected, told["gradients"][count], strict=True):
            assert way.keys() == other.keys()
            assert all(torch.equal(gradient, other[name]) for name, gradient in way.items())


def test_another_order_of_the_sum_has_other_bits() -> None:
    model = tune(tiny_model(num_hidden_layers=3))
    named = dict(model.named_parameters())
    whole = dict(gradients.gradients(model, named, losses(11)))
    parts = [dict(gradients.gradients(model, named, [loss])) for loss in losses(11)]
    in_order = {name: torch.stack([part[name] for part in parts]).cumsum(0)[-1] for name in named}
    assert any(not torch.equal(gradient, in_order[name]) for name, gradient in whole.items())
    assert all(torch.allclose(gradient, in_order[name], atol=1e-4) for name, gradient in whole.items())


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_every_process_selects_the_same_even_without_a_prompt_of_its_own(
    several: dict[int, list[dict[str, Any]]], world: int
) -> None:
    one = several[1][0]
    for told in several[world]:
        assert told["value"] == one["value"]
        assert told["chosen"].keys() == one["chosen"].keys()
        assert all(torch.equal(places, told["chosen"][name]) for name, places in one["chosen"].items())
    assert sum(map(len, one["chosen"].values())) == 200


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_work_is_divided_and_what_came_of_it_is_told_to_all(
    several: dict[int, list[dict[str, Any]]], world: int
) -> None:
    ran = [told["ran"] for told in several[world]]
    assert sorted(item for items in ran for item in items) == [*range(11)]
    assert max(map(len, ran)) == -(-11 // world)
    for told in several[world]:
        assert told["squares"] == [item * item for item in range(11)]
        assert told["gathered"] == several[world][0]["gathered"]
        assert told["first"] == told["gathered"][0]
    assert len({*several[world][0]["gathered"]}) == world


def test_a_process_of_its_own_shares_with_nobody() -> None:
    with distributed.joined():
        assert distributed.leads()
        assert (distributed.world(), distributed.levels()) == (1, distributed.LEVELS)
        assert distributed.share(iter("abc")) == ["a", "b", "c"]
        assert distributed.first(lambda: 3) == 3
        assert distributed.gathered(4) == [4]


def test_batches_that_did_not_fit_elsewhere_are_not_tried_here() -> None:
    here, elsewhere = Batches(), Batches()
    elsewhere.shrink(64)
    here.merge(elsewhere)
    assert (here.rows, here.note) == (32, elsewhere.note)
    here.merge(Batches())
    assert here.rows == 32


# The command ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair with more prompts than fit one micro-batch or one batch of answers."""
    folder = write_pair(tmp_path_factory.mktemp("pair"))
    for word in ("harmful", "general", "report", "benign"):
        texts = [f"{word} number {i} " + "abcdefgh "[i % 9] * (40 + i % 60) for i in range(90)]
        write_rows(
            folder / "prompts" / f"{word}.jsonl", [{"id": f"{word}{i}", "prompt": t} for i, t in enumerate(texts)]
        )
    return folder


def asked(pair: Path, out: Path, *more: object) -> list[str]:
    prompts = {path.stem: path for path in (pair / "prompts").iterdir()}
    return [*map(str, (pair / "aligned", pair / "tuned", *quick(prompts), "-q", "-o", out, *more))]


def torchrun(processes: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command as torchrun starts it."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    whole = [*start, "-m", "recover.cli", *map(str, arguments)]
    return subprocess.run(
        whole, env=environment(GLOO_SOCKET_IFNAME="lo"), capture_output=True, text=True, check=False, timeout=1800
    )


def side_by_side(processes: int, *arguments: object) -> list[tuple[int, str]]:
    """The command in several processes without torchrun, which has an exit code of its own: (exit code, stderr)."""
    port = free_port()
    started = [
        subprocess.Popen(
            [COMMAND, *map(str, arguments)],
            env=environment(**launched(rank, processes, port)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    said = [process.communicate(timeout=1800)[1] for process in started]
    return [(process.returncode, text) for process, text in zip(started, said, strict=True)]


@pytest.mark.slow
def test_two_processes_write_the_very_files_of_one(pair: Path, tmp_path: Path) -> None:
    assert side_by_side(1, *asked(pair, tmp_path / "one"))[0][0] == Exit.OK
    ran = torchrun(2, *asked(pair, tmp_path / "two"))
    assert ran.returncode == Exit.OK, ran.stderr
    assert names(tmp_path) == ["one", "two"]
    assert ran.stdout.count("Restoring") == ran.stderr.count("restored checkpoint:") == 1
    one, two = (digest(tmp_path / name) for name in ("one", "two"))
    assert [file for file in one if one[file] != two.get(file)] == differing(one)
    assert one.keys() == two.keys()
    results = [json.loads((tmp_path / name / "recovery" / "result.json").read_text()) for name in ("one", "two")]
    assert [result["environment"]["processes"] for result in results] == [1, 2]
    assert results[0]["sets"] == results[1]["sets"]
    assert results[0]["restoration"]["steps"] == results[1]["restoration"]["steps"]
    assert results[0]["restoration"]["restored"] > 2


def differing(files: dict[str, str]) -> list[str]:
    """The reports: they tell the time and the command. Weights, patch, answers and verdicts are the same."""
    return [file for file in files if Path(file).name in ("result.json", "report.html", "report.md", "viewer.html")]


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_run(pair: Path, tmp_path: Path) -> None:
    ran = torchrun(2, *asked(pair, tmp_path / "out", "--method", "ranks:dying"))
    assert ran.returncode != Exit.OK
    assert (
        "recover-align: another process of this run ended" in ran.stderr or "recover-align: told to end" in ran.stderr
    )
    assert "Signal 9" in ran.stderr
    assert names(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "arguments", "words", "code"),
    [
        (2, ["--device", "nowhere"], "device nowhere is not there", Exit.USAGE),
        (3, [], "found 3 processes; expected 1, 2, 4 or 8", Exit.USAGE),
        (2, ["--judge", "ranks:Tired"], "tired of judging 208 answers", Exit.UNDECIDED),
    ],
)
def test_what_all_processes_fail_at_is_said_once_and_all_exit_alike(
    pair: Path, tmp_path: Path, processes: int, arguments: list[str], words: str, code: Exit
) -> None:
    ended = side_by_side(processes, *asked(pair, tmp_path / "out", *arguments))
    assert [found for found, _ in ended] == [code] * processes
    said = [line for _, text in ended for line in text.splitlines() if line.startswith("recover-align:")]
    assert len(said) == 1
    assert words in said[0]
    assert names(tmp_path) == []


@pytest.mark.slow
def test_other_commands_are_not_for_several_processes(pair: Path) -> None:
    ended = side_by_side(2, "evaluate", pair / "tuned")
    assert [code for code, _ in ended] == [Exit.USAGE] * 2
    assert sum("found 2 processes that torchrun started; expected one" in text for _, text in ended) == 1
