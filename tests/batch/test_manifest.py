"""Manifests and directories of checkpoints: what becomes a job, and every fault told at once."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from batches import BROKEN, DEFAULTS, write_manifest, write_models
from cli_pairs import save_home, tuned_model, weights, write_rows
from click.testing import CliRunner
from recover.cli.main import cli
from safetensors.torch import load_file, save_file

from recover.batch.manifest import Member, read
from recover.errors import InputError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("originals"))


@pytest.fixture
def folder(originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the models, and a working directory elsewhere."""
    shutil.copytree(originals, tmp_path / "models")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield tmp_path / "models"
    assert Path.cwd() == tmp_path / "work"
    assert not any(Path.cwd().iterdir())


def members(source: Path, aligned: str | None = None) -> dict[str, Member]:
    return {member.name: member for member in read(source, Path("out"), aligned).members}


def only(source: Path) -> Member:
    (member,) = members(source).values()
    return member


def fault(source: Path, aligned: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read(source, Path("out"), aligned)
    return str(caught.value)


# What becomes a job


def test_a_job_is_the_request_that_the_command_would_make(folder: Path) -> None:
    options = {
        "tuned": "tuned", "budget": 0.01, "report-set": ["prompts/report.jsonl", "report_harmful"], "benign": "none",
        "target-harmful-rate": 0.5, "write-anyway": True, "seed": 3, "option": {"steps": 7},
    }  # fmt: skip
    member = only(write_manifest(folder, {"law-7b": options}))
    job = member.job
    assert (member.name, member.folder, member.broken) == ("law-7b", folder, None)
    assert (job.aligned, job.tuned, job.max_new_tokens, job.budget, job.seed) == ("aligned", "tuned", 8, 0.01, 3)
    assert job.report_set == ("prompts/report.jsonl", "report_harmful")
    assert (job.benign, job.target_harmful_rate, job.write_anyway) == (None, 0.5, True)
    assert job.option == {"steps": "7"}, "a job's own table takes the place of the default one"
    assert job.out == member.directory / "restored" == Path.cwd() / "out" / "law-7b" / "restored"
    assert member.log == Path.cwd() / "out" / "law-7b.log"


def test_the_output_of_a_weights_file_is_one_of_its_kind(folder: Path) -> None:
    save_home(folder / "home")
    save_file(weights(tuned_model()), folder / "bare.safetensors", {"format": "pt"})
    member = only(write_manifest(folder, {"bare": {"tuned": "bare.safetensors", "config": "home"}}))
    assert member.job.out == member.directory / "restored.safetensors"


def test_broken_checkpoints_are_jobs_that_say_why(folder: Path) -> None:
    found = members(write_manifest(folder, {name: {"tuned": f"broken/{name}"} for name in BROKEN}))
    assert "is damaged" in str(found["cut"].broken)
    assert "[7, 5] in TUNED" in str(found["wide"].broken)
    assert found["nan"].broken is None, "only reading the weights tells"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"peft_type": "LORA", "r": "many"}', '{"peft_type": "MAGIC"}'])
def test_an_adapter_that_nobody_can_read_stops_nothing(folder: Path, text: str) -> None:
    (folder / "adapter" / "adapter_config.json").write_text(text)
    found = members(write_manifest(folder, {"odd": {"tuned": "adapter"}, "good": {"tuned": "tuned"}}))
    assert found["good"].broken is None
    assert found["odd"].broken


def test_of_a_directory_every_checkpoint_and_adapter_is_a_job(folder: Path) -> None:
    save_file(weights(tuned_model()), folder / "bare.safetensors", {"format": "pt"})
    (folder / "notes.txt").write_text("no checkpoint")
    shutil.copy(folder / "aligned" / "config.json", folder)
    found = members(folder, str(folder / "aligned"))
    assert sorted(found) == ["adapter", "bare.safetensors", "other", "tuned"], "and not the aligned model itself"
    assert found["adapter"].job.tuned == str(folder / "adapter")
    assert not any(member.broken for member in found.values() if member.name != "bare.safetensors")


def test_a_directory_may_hold_broken_ones(folder: Path) -> None:
    found = members(folder / "broken", str(folder / "aligned"))
    assert {name: bool(member.broken) for name, member in found.items()} == {"cut": True, "wide": True, "nan": False}


# Faults


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tuned": "missing"}, "missing does not exist"),
        ({}, "tuned: Field required"),
        ({"tuned": "tuned", "taks": "t.jsonl"}, "no option taks"),
        ({"tuned": "tuned", "max_new_tokens": 3}, "no option max_new_tokens"),
        ({"tuned": "tuned", "out": "there"}, "no option out"),
        ({"tuned": "tuned", "overwrite": True}, "no option overwrite"),
        ({"tuned": "tuned", "aligned": "other"}, "no option aligned"),
        ({"tuned": "tuned", "budget": 3}, "budget: Input should be less than or equal to 1"),
        ({"tuned": "tuned", "method": "magic"}, "no method magic"),
        ({"tuned": "tuned", "option": {"speed": 3}}, "no option speed"),
        ({"tuned": "tuned", "task": "prompts/none.jsonl"}, "none.jsonl"),
        ({"tuned": "tuned", "report-set": "prompts/none.jsonl"}, "none.jsonl"),
        ({"tuned": "tuned", "harmful": "nothing"}, "nothing"),
        ({"tuned": "tuned", "judge": "nobody"}, "no judge 'nobody'"),
        ({"tuned": "tuned", "calibration": "none.json"}, "none.json"),
        ({"tuned": "tuned", "device": "abacus"}, "device abacus"),
    ],
)
def test_each_fault_is_told_with_its_job(folder: Path, options: dict[str, Any], words: str) -> None:
    told = fault(write_manifest(folder, {"good": {"tuned": "tuned"}, "odd": options}))
    assert "has 1 fault: " in told
    assert re.search(rf"job odd: [^;]*{re.escape(words)}", told), told


def test_all_faults_are_told_at_once_and_equal_ones_together(folder: Path) -> None:
    jobs: dict[str, dict[str, Any]] = {f"j{i}": {"tuned": "tuned", "task": "none.jsonl"} for i in range(5)}
    jobs["k"] = {"tuned": "missing", "benign": "prompts/none.jsonl", "spede": 3}
    told = fault(write_manifest(folder, jobs))
    assert "has 8 faults" in told
    assert told.count("none.jsonl") == 2, "the task's and k's"
    assert "job j0, j1, j2 and 2 more:" in told
    assert "job k: there is no option spede" in told
    assert "missing does not exist" in told


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "batch.json", "x.log", "a" * 101, "two words"])
def test_a_name_must_be_a_directorys(folder: Path, name: str) -> None:
    assert "cannot be a directory's" in fault(write_manifest(folder, {name: {"tuned": "tuned"}}))


def test_names_are_not_there_twice(folder: Path) -> None:
    file = write_manifest(folder, {"a": {"tuned": "tuned"}})
    file.write_text(file.read_text() + '[[job]]\nname = "a"\ntuned = "other"\n')
    assert "job a, a: two jobs have this name" in fault(file)


@pytest.mark.parametrize(
    "text",
    ["", "aligned =", 'aligned = "aligned"', 'aligned = "aligned"\njob = []', "[[job]]", f"{DEFAULTS}\n[more]\na = 1"],
)
def test_what_is_no_manifest_is_one_sentence(folder: Path, text: str) -> None:
    file = folder / "batch.toml"
    file.write_text(text)
    assert "is no manifest of a batch" in fault(file)


def test_an_aligned_model_that_cannot_be_opened_is_a_fault(folder: Path) -> None:
    file = write_manifest(folder, {"a": {"tuned": "tuned"}}, DEFAULTS.replace('"aligned"', '"broken/cut"'))
    assert "job a: " in fault(file)


def test_results_may_not_lie_in_a_checkpoint(folder: Path) -> None:
    file = write_manifest(folder, {"a": {"tuned": "tuned"}})
    with pytest.raises(InputError, match="lies in or over the input"):
        read(file, folder / "tuned" / "out")
    with pytest.raises(InputError, match="lies in or over the input"):
        read(file, folder)


def test_a_directory_needs_an_aligned_model_and_fine_tunes(folder: Path, tmp_path: Path) -> None:
    assert "give one with --aligned" in fault(folder)
    assert "is itself a checkpoint" in fault(folder / "tuned", str(folder / "aligned"))
    assert "holds no checkpoint" in fault(folder / "prompts", str(folder / "aligned"))
    assert "--aligned is for a directory" in fault(write_manifest(folder, {"a": {"tuned": "tuned"}}), "aligned")


# What a result depends on


def test_the_inputs_are_the_same_as_long_as_nothing_changed(folder: Path) -> None:
    file = write_manifest(folder, {"a": {"tuned": "tuned"}, "b": {"tuned": "tuned"}})
    first, second = members(file), members(file)
    assert first["a"].key == second["a"].key == first["b"].key, "a name changes nothing"
    assert json.loads(first["a"].inputs)["options"]["max_new_tokens"] == 8


@pytest.mark.parametrize(
    "change", ["option", "weights", "tokenizer", "aligned", "report", "general", "task", "template"]
)
def test_every_input_counts(folder: Path, change: str) -> None:
    (folder / "chat.jinja").write_text("{{ messages[0].content }}")
    options = {"tuned": "tuned", "task": "prompts/task.jsonl", "chat-template": "chat.jinja"}
    before = only(write_manifest(folder, {"a": options}))
    rows = [{"prompt": f"another number {i}?", "reference": "yes"} for i in range(20)]
    touched = {
        "weights": "tuned/model.safetensors",
        "tokenizer": "tuned/tokenizer.json",
        "aligned": "aligned/config.json",
    }
    if change in touched:
        os.utime(folder / touched[change], (1, 1))
    elif change in ("report", "general", "task"):
        write_rows(folder / "prompts" / f"{change}.jsonl", rows)  # type: ignore[arg-type]
    elif change == "template":
        (folder / "chat.jinja").write_text("user: {{ messages[0].content }}")
    after = only(write_manifest(folder, {"a": {**options, **({"budget": 0.02} if change == "option" else {})}}))
    assert before.key != after.key


# Documents


def test_the_example_is_a_manifest_that_could_run(tmp_path: Path) -> None:
    found = read(ROOT / "examples" / "batch.toml", tmp_path / "out").members
    assert [(member.name, member.broken) for member in found] == [("tickets", None), ("tickets-careful", None)]


def test_the_documented_manifest_is_one(folder: Path) -> None:
    (text,) = re.findall(r"(?s)```toml\n(.*?)```", (ROOT / "docs" / "batch.md").read_text("utf-8"))
    for place, source in (("models/aligned", "aligned"), ("models/law-7b", "tuned"), ("adapters/support", "adapter")):
        shutil.copytree(folder / source, folder / place)
    shutil.copytree(folder / "prompts", folder / "tasks")
    (folder / "tasks" / "task.jsonl").rename(folder / "tasks" / "law.jsonl")
    (folder / "prompts" / "report.jsonl").rename(folder / "prompts" / "ours.jsonl")
    (folder / "batch.toml").write_text(text)
    found = members(folder / "batch.toml")
    assert list(found) == ["law-7b", "support-lora"]
    assert found["support-lora"].job.option == {"start": "0.001"}
    assert found["law-7b"].job.max_task_drop == 0.03


def test_beside_bare_weights_only_what_a_model_is_read_with_counts(folder: Path) -> None:
    job = {"a": {"tuned": "bare/w.pt"}}
    (folder / "bare").mkdir()
    shutil.copytree(folder / "tuned", folder / "bare", dirs_exist_ok=True)
    torch.save(load_file(folder / "bare" / "model.safetensors"), folder / "bare" / "w.pt")
    keys = [only(write_manifest(folder, job)).key]
    for name in ("log.txt", "results.json", "tokenizer_config.json"):
        (folder / "bare" / name).write_text("{}")
        keys.append(only(write_manifest(folder, job)).key)
    assert keys[0] == keys[1] == keys[2] != keys[3]


def test_a_home_that_is_none_is_a_fault(folder: Path) -> None:
    with pytest.raises(InputError, match="config: typo is no directory; name the one with the configuration"):
        members(write_manifest(folder, {"a": {"tuned": "tuned", "config": "typo"}}))


@pytest.mark.parametrize(("source", "place"), [("tunes.v2/", "tunes.v2-restored"), ("plan.toml", "plan-restored")])
def test_the_output_is_named_after_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if source.endswith("/"):
        Path(source).mkdir()
    else:
        Path(source).touch()
    Path(place).touch()  # so that the command names it and ends
    with pytest.raises(InputError, match=f"{re.escape(place)} is no directory; choose another --out"):
        CliRunner().invoke(cli, ["batch", source, "--aligned", "a"], catch_exceptions=False)
