"""A run directory: whatever stops a run, it goes on where it was, and ends as if nothing had stopped it."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cli_pairs
import pytest
from cli_pairs import digest, launch, names, run
from tiny import ascii_only, save_model, tiny_model, tiny_pair, tune

from recover.errors import Exit
from recover.evaluation import answer_files
from recover.evaluation.answer_files import AnswerLine, VerdictLine, complete_batches, read_verdicts
from recover.generation import batched
from recover.judges import Judgement, Verdict
from recover.model import load
from recover.prompts.prompt_set import Answer, Prompt

KILLS = 20


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three checkpoints that say different things to each prompt, and prompts."""
    folder = tmp_path_factory.mktemp("pair")
    tiny_pair(folder)
    save_model(folder / "restored", ascii_only(tune(tiny_model(), seed=2)))
    cli_pairs.write_prompts(folder / "prompts")
    return folder


def asking(pair: Path, *more: object, models: tuple[str, ...] = ("aligned", "tuned")) -> list[object]:
    """The arguments of an `evaluate` with a run directory; what comes later overrides."""
    prompts = {file.stem: file for file in (pair / "prompts").iterdir()}
    options = [*cli_pairs.asking(prompts), "--task", prompts["task"], "-o", "out"]
    return ["evaluate", *(pair / model for model in models), *options, *more]


def state(out: Path) -> dict[str, str]:
    """What every file of a run directory says, without times."""
    created = json.loads((out / "result.json").read_text())["created"]
    files = {str(file.relative_to(out)): file for file in out.rglob("*") if file.is_file() and file.name != ".lock"}
    texts = {name: file.read_text("utf-8").replace(created, "(then)") for name, file in files.items()}
    return {name: re.sub(r'total_seconds("|&#34;): [0-9.]+', "(long)", text) for name, text in texts.items()}


@pytest.fixture
def out(pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A complete run in the working directory, of batches of three prompts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(batched, "BATCH_ROWS", 3)
    assert run(*asking(pair)) == Exit.OK
    return tmp_path / "out"


@pytest.fixture
def loaded(out: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the checkpoints that are loaded from here on."""
    found: list[str] = []
    load_model = load.load_model

    def counted(checkpoint: Any, *more: Any, **named: Any) -> Any:
        found.append(checkpoint.path.name)
        return load_model(checkpoint, *more, **named)

    monkeypatch.setattr(load, "load_model", counted)
    return found


# Stopped, and run again


def test_a_killed_run_ends_as_one_that_nobody_stopped(pair: Path, tmp_path: Path) -> None:
    arguments = list(map(str, asking(pair, "-q", models=("aligned", "tuned", "restored"))))
    asked = {"arguments": arguments, "times": KILLS, "rows": 3, "seed": 0}
    script = Path(__file__).parents[1] / "stopped_runs.py"
    done = subprocess.run(
        [sys.executable, script],
        input=json.dumps(asked),
        cwd=tmp_path,
        env=cli_pairs.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    kills = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(kills) == KILLS
    assert {kill["again"] for kill in kills} == {0}
    assert {kill["code"] for kill in kills} <= {0, -signal.SIGKILL}
    whole = state(tmp_path / "whole" / "out")
    assert len({kill["lines"] for kill in kills if kill["code"]}) >= KILLS // 5  # killed at different places
    for number in range(KILLS):
        assert state(tmp_path / f"killed{number}" / "out") == whole


def test_only_what_is_missing_is_asked_again(pair: Path, out: Path, loaded: list[str]) -> None:
    before = state(out)
    file = out / "answers" / "tuned" / "report.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    (out / "result.json").unlink()
    for left in (b"".join(lines[:4]) + lines[4][:20], b"", b"\xff\n" + b"".join(lines)):
        file.write_bytes(left)
        assert run(*asking(pair)) == Exit.OK
        assert state(out) == before
        (out / "result.json").unlink()
    assert loaded == ["tuned"] * 3


def test_samples_are_kept_and_come_again_by_their_seed(pair: Path, out: Path, loaded: list[str]) -> None:
    drawn = ("--samples", "3", "--seed", "5")
    shutil.rmtree(out)
    assert run(*asking(pair, *drawn)) == Exit.OK
    before = state(out)
    rows = [json.loads(line) for line in before["answers/tuned/report.jsonl"].splitlines()]
    assert len(rows) == 3 * len({row["prompt"] for row in rows}) == len({row["id"] for row in rows}) == 24
    assert len({row["answer"] for row in rows}) > 2  # most are no UTF-8, and look the same
    report = json.loads((out / "result.json").read_text("utf-8"))
    assert [(s["n"], s["samples"], s["effective_n"]) for s in report["sets"]] == [(8, 3, 8), (8, 3, 8)]
    assert {name: report["settings"][name] for name in ("samples", "temperature", "top_p", "seed")} == {
        "samples": 3, "temperature": 1, "top_p": 1, "seed": 5,
    }  # fmt: skip
    (out / "result.json").unlink()
    file = out / "answers" / "tuned" / "report.jsonl"
    file.write_bytes(file.read_bytes()[:700])
    assert run(*asking(pair, *drawn)) == Exit.OK
    assert state(out) == before
    assert loaded == ["aligned", "tuned", "tuned"]


def test_nothing_is_loaded_where_nothing_is_missing(pair: Path, out: Path, loaded: list[str]) -> None:
    before = state(out)
    (out / "result.json").unlink()
    (out / ".report.html.tmp-1").write_text("half a rep")
    shutil.rmtree(out / "verdicts")
    assert run(*asking(pair)) == Exit.OK
    assert (state(out), loaded) == (before, [])


def test_an_answer_of_another_key_is_never_used(pair: Path, out: Path, loaded: list[str]) -> None:
    before = state(out)
    file = out / "answers" / "aligned" / "benign.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps({**row, "key": "0" * 16, "answer": "Sure."}) + "\n" for row in rows))
    (out / "result.json").unlink()
    assert run(*asking(pair)) == Exit.OK
    assert (state(out), loaded) == (before, ["aligned"])


def test_a_gate_goes_on_too(pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["gate", *asking(pair)[1:]]
    code = run(*words)
    before = state(tmp_path / "out")
    (tmp_path / "out" / "result.json").unlink()
    monkeypatch.setattr(load, "load_model", None)
    assert run(*words) == code
    assert state(tmp_path / "out") == before


# Another request


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--max-new-tokens", "9"], r"sets\.report\.max_new_tokens is 8 there and 9 here"),
        (
            ["--limit", "4"],
            r"sets\.report\.sha256 is \w{24} there and \w{24} here, sets\.report\.prompts is 8 there and 4 here",
        ),
        (["--dtype", "bfloat16"], r"reading\.dtype is float32 there and bfloat16 here"),
        (["--judge", "cli_pairs:Blind"], r"judges is rules-\w+ there and blind-\w+ here"),
        (["--chat-template", "none"], r"reading\.chat_template .* sets\.report\.batches"),
        (["--samples", "2"], r"sets\.report\.prompts is 8 there and 16 here"),
        (["--temperature", "0.5"], r"sets\.report\.sampling\.temperature is none there and 0\.5 here"),
        (["--benign", "none"], r"sets\.benign\.sha256 is \w{24} there and none here"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_another_request_does_not_go_on(pair: Path, out: Path, more: list[str], named: str, capfd: Any) -> None:
    assert run(*asking(pair, *more)) == Exit.USAGE
    assert "out exists; pass --overwrite" in capfd.readouterr().err
    (out / "result.json").unlink()
    before = digest(out)
    assert run(*asking(pair, *more)) == Exit.USAGE
    (said,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("recover-align")]
    assert re.search(named, said), said
    assert digest(out) == before


def test_overwriting_keeps_no_answer_to_another_question(pair: Path, out: Path, loaded: list[str]) -> None:
    more = ("--max-new-tokens", "4", "--benign", "none")
    (out / "notes").mkdir()
    (out / "notes" / "mine.txt").touch()
    (out / "away").symlink_to(pair)
    there = digest(pair)
    assert run(*asking(pair, *more, "--overwrite")) == Exit.OK
    after = state(out)
    assert loaded == ["aligned", "tuned"]
    assert names(out / "answers" / "tuned") == ["report.jsonl", "task-report.jsonl"]
    assert "notes" not in names(out)
    assert "away" not in names(out)
    assert digest(pair) == there
    shutil.rmtree(out)
    assert run(*asking(pair, *more, "--overwrite")) == Exit.OK
    assert state(out) == after


def test_a_damaged_manifest_is_one_sentence(pair: Path, out: Path, capfd: Any) -> None:
    (out / "result.json").unlink()
    (out / "manifest.json").write_text('{"schema": "recover-align/run/0"}')
    assert run(*asking(pair)) == Exit.USAGE
    assert "out/manifest.json is no manifest of this version; pass --overwrite" in capfd.readouterr().err
    assert run(*asking(pair, "--overwrite")) == Exit.OK


# Another judge


def test_another_judge_needs_no_model(pair: Path, out: Path, loaded: list[str]) -> None:
    answers, verdicts = digest(out / "answers"), digest(out / "verdicts")
    judges = ("--judge", "cli_pairs:Alarmed", "--judge", "rules")
    assert run(*asking(pair, *judges, "--overwrite")) == Exit.OK
    assert loaded == []
    assert digest(out / "answers") == answers
    assert [name.split("-")[0] for name in names(out / "verdicts")] == ["alarmed", "rules"]
    assert verdicts.items() <= digest(out / "verdicts").items()
    result = json.loads((out / "result.json").read_text())
    assert result["summary"]["harmful"] == {"aligned": 1.0, "tuned": 1.0}


def line(number: int, verdict: Verdict = Verdict.SAFE) -> tuple[Answer, VerdictLine]:
    answer = Answer(f"p{number}", f"text {number}", "stop", 2)
    return answer, VerdictLine.of(answer, Judgement(verdict, False, "r", 0.25), "k")


def test_verdicts_are_used_for_the_very_answers_that_they_were_given_on(tmp_path: Path) -> None:
    answers, lines = zip(*(line(number) for number in range(3)), strict=True)
    file = tmp_path / "v.jsonl"
    answer_files.append(file, lines)
    assert [one.read() for one in read_verdicts(file, "k", answers)] == [Judgement(Verdict.SAFE, False, "r", 0.25)] * 3
    others = [*answers[:2], Answer("p2", "another text", "stop", 2)]
    for key, asked in (("other", answers), ("k", answers[:2]), ("k", answers[::-1]), ("k", others)):
        assert read_verdicts(file, key, asked) == []
    assert read_verdicts(tmp_path / "none", "k", answers) == []


@pytest.mark.parametrize("cut", range(1, 200, 7))
def test_half_a_file_of_verdicts_is_none(tmp_path: Path, cut: int) -> None:
    answers, lines = zip(*(line(number) for number in range(2)), strict=True)
    file = tmp_path / "v.jsonl"
    answer_files.append(file, lines)
    file.write_bytes(file.read_bytes()[:-cut])
    assert read_verdicts(file, "k", answers) == []


def test_an_answer_that_could_not_be_judged_is_judged_again(tmp_path: Path) -> None:
    answers, lines = zip(line(0), line(1, Verdict.UNSCORED), strict=True)
    answer_files.append(tmp_path / "v.jsonl", lines)
    assert read_verdicts(tmp_path / "v.jsonl", "k", answers) == []


# Half a line, half a batch


def test_every_cut_of_a_file_leaves_whole_batches(tmp_path: Path) -> None:
    batches = [["a", "b\u2028", "c"], ["d", "\ud800"], ["f"]]
    rows = [
        AnswerLine.of(
            Prompt(id_, ({"role": "user", "content": f"{id_}\n\u4f60\u0085"},)),
            Answer(id_, "\ud800\r\n", "stop", 1),
            "k",
        )
        for batch in batches
        for id_ in batch
    ]
    file = tmp_path / "a.jsonl"
    answer_files.append(file, rows)
    data = file.read_bytes()
    ends = [0, *(place + 1 for place, byte in enumerate(data) if byte == 10)]
    for cut in range(len(data) + 1):
        whole = max(count for count in (0, 3, 5, 6) if ends[count] <= cut)
        assert complete_batches(data[:cut], "k", batches) == (rows[:whole], ends[whole])
    assert complete_batches(data + data, "k", batches) == (rows, len(data))
    assert complete_batches(data, "other", batches) == ([], 0)
    assert complete_batches(data, "k", [batches[1], batches[0]]) == ([], 0)


def test_a_batch_on_its_own_is_composed_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers depend on who shares a batch: what goes on must ask the batches that a whole run asks."""
    monkeypatch.setattr(batched, "BATCH_ROWS", 3)
    prompts = [[1] * length for length in (5, 2, 2, 9, 1, 2, 7, 2)]
    batches = batched.composition(prompts)
    assert sorted(place for batch in batches for place in batch) == list(range(8))
    assert list(map(len, batches)) == [3, 3, 2]
    for batch in batches:
        assert batched.composition([prompts[place] for place in batch]) == [list(range(len(batch)))]


# Two at once


def test_two_runs_exclude_each_other(pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.chdir(tmp_path)
    sign = tmp_path / "waiting"
    words = asking(pair, "--judge", "cli_pairs:Waiting")
    with launch(*words, cwd=tmp_path, env={"WAITING": str(sign)}) as first:
        while not sign.exists() and first.poll() is None:
            time.sleep(0.05)
        for more in ((), ("--overwrite",)):
            before = digest(tmp_path / "out")
            assert run(*asking(pair, *more)) == Exit.UNDECIDED
            assert f"out is being written by process {first.pid}; wait for its end" in capfd.readouterr().err
            assert digest(tmp_path / "out") == before
        first.kill()
        first.communicate(timeout=30)
    assert run(*asking(pair)) == Exit.USAGE
    assert "asks something else: judges" in capfd.readouterr().err
    assert run(*asking(pair, "--overwrite")) == Exit.OK
    assert (tmp_path / "out" / ".lock").read_text() == ""


def test_a_long_name_still_is_one_part_of_a_path(tmp_path: Path) -> None:
    long = [f"exec:/{'very-' * 60}long/judge.py --model {n} \u6771\u4eac" for n in (1, 2)]
    places = [answer_files.answers_path(tmp_path, name, name) for name in long]
    assert places[0] != places[1]
    for place in places:
        place.parent.mkdir(parents=True)
        place.touch()
