"""The command line: what each command takes, prints and writes, and how it exits."""

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cli_pairs
import click
import pytest
import torch
from cli_pairs import COMMAND, COMPLIANCE, REFUSAL, digest, names, quick, run, unchanged, weights
from peft import PeftModel
from recover.cli.main import cli
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from recover.errors import Exit
from recover.prompts.prompt_set import BUILTIN
from recover.results import schema
from recover.results.schema import Result
from recover.search.methods import ABOUT

REPORTS = ["answers", "report.html", "report.md", "result.json", "verdicts", "viewer.html"]
RUN = sorted([".lock", "manifest.json", *REPORTS])


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pair as directories, as an adapter, as weights files and as their home, with prompts; never written."""
    folder = tmp_path_factory.mktemp("originals")
    cli_pairs.save(cli_pairs.aligned_model(), folder / "aligned")
    cli_pairs.save(cli_pairs.tuned_model(), folder / "tuned")
    cli_pairs.save(cli_pairs.tuned_model(), folder / "sharded", max_shard_size="50KB")
    cli_pairs.save_adapter(folder / "adapter")
    cli_pairs.save_adapter(folder / "speaking")
    cli_pairs.tokenizer().save_pretrained(folder / "speaking")
    cli_pairs.save_home(folder / "home")
    for side, model in (("aligned", cli_pairs.aligned_model()), ("tuned", cli_pairs.tuned_model())):
        torch.save(weights(model), folder / f"{side}.pt")
        torch.save({"state_dict": weights(model), "epoch": 3}, folder / f"{side}.pth")
        save_file(weights(model), folder / f"{side}.safetensors", {"format": "pt"})
    shutil.copytree(folder / "home", folder / "beside")
    for side in ("aligned", "tuned"):
        shutil.copy(folder / f"{side}.pt", folder / "beside")
    cli_pairs.write_prompts(folder / "prompts")
    return folder


@pytest.fixture(scope="session")
def prompts(originals: Path) -> dict[str, Path]:
    return {file.stem: file for file in (originals / "prompts").iterdir()}


@pytest.fixture
def work(originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; the originals are as they were when it closes."""
    monkeypatch.chdir(tmp_path)
    with unchanged(originals):
        yield tmp_path


@pytest.fixture(scope="session")
def restored(originals: Path, prompts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finished restoration of the directories by the installed command: its output and its process."""
    out = tmp_path_factory.mktemp("restored") / "out"
    done = cli_pairs.command(originals / "aligned", originals / "tuned", "-o", out, *quick(prompts))
    return out, done


@pytest.fixture(scope="session")
def output(restored: Any) -> Path:
    out: Path = restored[0]
    return out


def restore(originals: Path, prompts: dict[str, Path], *more: object, tuned: str = "tuned") -> list[object]:
    """The arguments of a short restoration; what comes later overrides."""
    return [originals / "aligned", originals / tuned, *quick(prompts), *more]


def by_method(originals: Path, prompts: dict[str, Path], method: str, *more: object) -> list[object]:
    """The same with another method and its options only."""
    arguments = restore(originals, prompts, "--method", method, *more)
    cut = arguments.index("--option")
    return [*arguments[:cut], *arguments[cut + 4 :]]


def load(folder: Path) -> Result:
    return schema.load(folder / "result.json")


def answer(model: Any) -> str:
    """What a model says to a greeting."""
    tokenizer = cli_pairs.tokenizer()
    ids = torch.tensor([[*tokenizer("<|user|>hello<|assistant|>")["input_ids"]]])
    told = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=8, pad_token_id=256)
    text = tokenizer.decode(told[0, ids.shape[1] :], skip_special_tokens=True)
    assert isinstance(text, str)
    return text


def answer_of_state(state: dict[str, torch.Tensor]) -> str:
    model = cli_pairs.aligned_model()
    model.load_state_dict(state)
    return answer(model)


# Help


def commands() -> dict[tuple[str, ...], click.Command]:
    """Every command with the words that call it."""
    found: dict[tuple[str, ...], click.Command] = {(): cli}
    for name, command in cli.commands.items():
        found[(name,)] = command
        found |= {(name, sub): c for sub, c in getattr(command, "commands", {}).items()}
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_names_every_option(words: tuple[str, ...], flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words, flag) == Exit.OK
    out, err = capsys.readouterr()
    assert err == ""
    command = commands()[words]
    for parameter in command.params:
        assert parameter.opts[-1] in out.lower() or (parameter.metavar or "") in out
    for name in getattr(command, "commands", {}):
        assert re.search(rf"^  {name} ", out, re.MULTILINE)
    assert (command.help or "").split(".")[0].split()[0] in out


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    run("--help")
    out = capsys.readouterr().out
    assert all(f"{int(code)} " in out.split("Exit codes:")[1] for code in Exit)


HEAVY = {"torch", "transformers", "numpy", "scipy", "peft", "jinja2", "matplotlib", "rich"}


@pytest.mark.parametrize(
    ("asked", "heavy"),
    [([[]], HEAVY | {"pydantic"}), ([list(words) for words in commands()], HEAVY)],
    ids=["the program", "every command"],  # the options of a command may be a request's, which is a pydantic model
)
def test_help_imports_nothing_heavy(asked: list[list[str]], heavy: set[str]) -> None:
    program = (
        "import sys\n"
        "from recover.cli import main\n"
        f"for words in {asked}:\n"
        "    try: main([*words, '--help'])\n"
        "    except SystemExit as left: assert left.code == 0, words\n"
        f"sys.exit(', '.join(sorted({heavy} & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_asked_is_answered_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == Exit.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: recover-align [OPTIONS] COMMAND")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == Exit.OK
    assert capsys.readouterr().out == f"recover-align, version {version('recover-align')}\n"


# The exit codes of the installed command; 130 is in test_bad_input


def test_exit_0_and_a_table(restored: Any, output: Path) -> None:
    _, done = restored
    assert done.returncode == 0
    assert re.search(r"Restoring [1-9]\d* of 36,000 weights .* harmful rate from 100 % to 0 %", done.stdout)
    header = next(line for line in done.stdout.splitlines() if "tuned" in line and "┃" in line)
    assert re.findall(r"\w+", header) == ["n", "aligned", "tuned", "restored"]
    for label in ("Harmful rate", "Over-refusal", "Degenerate", "Outcome: done", "Method: refusal-kl", "Judge: rules"):
        assert label in done.stdout
    assert f"restored checkpoint: {output}\nreport: {output}/recovery/report.html\n" in done.stderr
    assert "\r" not in done.stderr


def test_exit_1(originals: Path, prompts: dict[str, Path], work: Path) -> None:
    more = ("--judge", "cli_pairs:Alarmed", "--target-harmful-rate", "0.5", "-o", "out")
    done = cli_pairs.command(*restore(originals, prompts, *more))
    assert done.returncode == 1
    sentence = "target missed: the restored model's harmful rate is 100.0%, the target 50.0%"
    assert f"note: {sentence}\n" in done.stderr
    found = load(work / "out" / "recovery")
    assert (found.exit_code, found.warnings[0], found.judges[0].name) == (1, sentence, "alarmed")
    assert (work / "out" / "model.safetensors").is_file()


def test_exit_2() -> None:
    done = cli_pairs.command("restore", "only-one")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "recover-align: Missing argument 'TUNED'; see recover-align restore --help\n"


def test_exit_3(originals: Path, prompts: dict[str, Path], work: Path) -> None:
    done = cli_pairs.command(*by_method(originals, prompts, "cli_pairs:broken"))
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("recover-align: unexpected LookupError: a bug of two lines; set RECOVER_ALIGN_DEBUG=1")
    assert names(work) == []


# restore


def test_the_output_is_a_checkpoint_with_its_reports(originals: Path, output: Path) -> None:
    tuned = originals / "tuned"
    assert names(output) == sorted([*names(tuned), "recovery"])
    assert names(output / "recovery") == sorted([*REPORTS, "selection.safetensors"])
    same = {name for name, hashed in digest(tuned).items() if digest(output)[name] == hashed}
    assert set(digest(tuned)) - same == {"model.safetensors"}
    for model, said in ((tuned, COMPLIANCE), (output, REFUSAL)):
        assert answer(AutoModelForCausalLM.from_pretrained(model)) == said
    assert AutoTokenizer.from_pretrained(output).chat_template


def test_the_result_says_what_was_done(originals: Path, output: Path) -> None:
    found = load(output / "recovery")
    paths = {name: c.path for name, c in found.checkpoints.items()}
    assert paths == {"aligned": f"{originals}/aligned", "tuned": f"{originals}/tuned", "restored": str(output)}
    assert found.summary.harmful == {"aligned": 0.0, "tuned": 1.0, "restored": 0.0}
    assert (found.status, found.exit_code) == ("complete", 0)
    assert found.restoration is not None
    before, after = (load_file(folder / "model.safetensors") for folder in (originals / "tuned", output))
    assert found.restoration.restored == sum(int((before[name] != after[name]).sum()) for name in before)
    assert str(found.settings["command"]).startswith(f"recover-align {originals}/aligned {originals}/tuned -o {output}")
    rows = (output / "recovery" / "answers" / "restored" / "report.jsonl").read_text().splitlines()
    assert {json.loads(row)["answer"] for row in rows} == {REFUSAL}
    assert len(rows) == 8


def test_the_same_command_gives_the_same_bytes(
    originals: Path, prompts: dict[str, Path], output: Path, work: Path
) -> None:
    """By the default verb in another process, and by its name here."""
    assert run("restore", *restore(originals, prompts, "-o", "again")) == Exit.OK
    for name in ("model.safetensors", "recovery/selection.safetensors"):
        assert (work / "again" / name).read_bytes() == (output / name).read_bytes()


def test_the_seed_decides_what_is_drawn(originals: Path, prompts: dict[str, Path], work: Path) -> None:
    for out, seed in (("one", 1), ("same", 1), ("other", 2)):
        more = ("--option", "fraction=0.25", "--budget", "1", "--seed", seed, "--format", "patch", "-o", out)
        assert run(*by_method(originals, prompts, "random", *more)) == Exit.OK
    one, same, other = (digest(work / name / "recovery" / "selection.safetensors") for name in ("one", "same", "other"))
    assert one == same != other


def test_by_default_the_output_is_named_for_the_fine_tune(
    originals: Path, prompts: dict[str, Path], work: Path
) -> None:
    assert run(*restore(originals, prompts)) == Exit.OK
    config = ("--config", originals / "home")
    assert run(originals / "aligned.pt", originals / "tuned.pt", *quick(prompts), *config) == Exit.OK
    assert names(work) == ["tuned-restored", "tuned-restored.pt", "tuned-restored.pt.recovery"]


def test_shards_stay_shards(originals: Path, prompts: dict[str, Path], output: Path, work: Path) -> None:
    assert run(*restore(originals, prompts, "-o", "out", tuned="sharded")) == Exit.OK
    assert names(work / "out") == sorted([*names(originals / "sharded"), "recovery"])
    merged = AutoModelForCausalLM.from_pretrained(work / "out").state_dict()
    whole = AutoModelForCausalLM.from_pretrained(output).state_dict()
    assert all(torch.equal(merged[name], whole[name]) for name in whole)


@pytest.mark.parametrize(
    ("aligned", "tuned", "config"),
    [
        ("aligned.safetensors", "tuned.safetensors", "home"),
        ("aligned.pt", "tuned.pt", "home"),
        ("aligned.pth", "tuned.pth", "home"),
        ("beside/aligned.pt", "beside/tuned.pt", None),
        ("aligned", "tuned.pt", "home"),
    ],
)
def test_a_bare_file_gives_a_file(
    originals: Path, prompts: dict[str, Path], output: Path, work: Path, aligned: str, tuned: str, config: str | None
) -> None:
    out = work / f"out{Path(tuned).suffix}"
    more = ["--config", originals / config] if config else []
    assert run(originals / aligned, originals / tuned, "-o", out, *quick(prompts), *more) == Exit.OK
    assert names(work) == [out.name, f"{out.name}.recovery"]
    assert names(Path(f"{out}.recovery")) == sorted([*REPORTS, "selection.safetensors"])
    found: Any = load_file(out) if out.suffix == ".safetensors" else torch.load(out, weights_only=True)
    if out.suffix == ".pth":
        assert found.pop("epoch") == 3
        found = found["state_dict"]
    assert answer_of_state(found) == REFUSAL
    whole = load_file(output / "model.safetensors")
    assert all(torch.equal(found[name], whole[name]) for name in whole)
    own, reverted, applied = (work / f"{name}{out.suffix}" for name in ("own", "reverted", "applied"))
    shutil.copy(originals / tuned, own)
    assert run("revert", out, out, "-o", reverted) == run("apply", out, own, "-o", applied) == Exit.OK
    assert digest(reverted) == digest(own) != digest(out) == digest(applied)


@pytest.mark.parametrize("adapter", ["adapter", "speaking"], ids=["without tokenizer", "with tokenizer"])
def test_an_adapter_gives_an_adapter(originals: Path, prompts: dict[str, Path], work: Path, adapter: str) -> None:
    assert run(*restore(originals, prompts, "-o", "out", tuned=adapter)) == Exit.OK
    found = load(work / "out" / "recovery")
    assert found.summary.harmful == {"aligned": 0.0, "tuned": 1.0, "restored": 0.0}
    assert found.restoration
    assert found.restoration.space == "adapter"
    assert names(work / "out") == sorted([*names(originals / adapter), "recovery"])
    base = AutoModelForCausalLM.from_pretrained(originals / "aligned")
    assert answer(PeftModel.from_pretrained(base, work / "out")) == REFUSAL
    patch = work / "out" / "recovery" / "selection.safetensors"
    assert run("apply", patch, originals / adapter, "-o", "again") == Exit.OK
    assert run("revert", work / "out", work / "out", "-o", "back") == Exit.OK
    for start, end in ((originals / adapter, work / "back"), (work / "out", work / "again")):
        assert digest(start / "adapter_model.safetensors") == digest(end / "adapter_model.safetensors")
    assert run("evaluate", originals / "aligned", work / "out", *cli_pairs.asking(prompts)) == Exit.OK


def test_a_merged_adapter_gives_a_directory(originals: Path, prompts: dict[str, Path], work: Path) -> None:
    assert run(*restore(originals, prompts, "-o", "out", "--space", "weights", tuned="speaking")) == Exit.OK
    found = load(work / "out" / "recovery")
    assert found.summary.harmful == {"aligned": 0.0, "tuned": 1.0, "restored": 0.0}
    assert names(work / "out") == sorted([*names(originals / "aligned"), "recovery"])
    assert answer(AutoModelForCausalLM.from_pretrained(work / "out")) == REFUSAL
    patch, tuned = work / "out" / "recovery" / "selection.safetensors", originals / "speaking"
    assert run("apply", patch, tuned, "-o", "again") == Exit.USAGE
    assert run("apply", patch, tuned, "--aligned", originals / "aligned", "-o", "again") == Exit.OK
    assert digest(work / "again" / "model.safetensors") == digest(work / "out" / "model.safetensors")


def test_json_and_nothing_else_on_stdout(
    originals: Path, prompts: dict[str, Path], work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(*restore(originals, prompts, "-o", "out", "--json")) == Exit.OK
    out, err = capfd.readouterr()
    assert out.encode() == (work / "out" / "recovery" / "result.json").read_bytes()
    assert "Harmful rate" in err
    assert "note: the rules judge reads refusals" in err


class Terminal(io.StringIO):
    """A stderr that people look at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("more", [(), ("-q",), ("--quiet",)])
def test_progress_is_for_people_who_want_it(
    originals: Path, prompts: dict[str, Path], work: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert run("evaluate", originals / "tuned", *cli_pairs.asking(prompts), *more) == Exit.OK
    assert ("asking the model" in terminal.getvalue()) == (not more)
    assert "note: the rules judge" in terminal.getvalue()


def test_a_quick_look_is_marked(
    originals: Path, prompts: dict[str, Path], work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("-o", "out", "--limit", "3", "--task", prompts["kept"], "--option", "lambda_task=0")
    assert run(*restore(originals, prompts, *more)) == Exit.OK
    found = load(work / "out" / "recovery")
    assert (found.status, found.settings["limit"]) == ("partial", 3)
    assert [s.n for s in found.sets] + [t.n for t in found.tasks] == [3, 3, 3]
    assert "note: quick look: at most 3 prompts a set" in capsys.readouterr().err


def test_benign_none_leaves_over_refusal_out(originals: Path, prompts: dict[str, Path], work: Path) -> None:
    assert run(*restore(originals, prompts, "-o", "out", "--benign", "none")) == Exit.OK
    found = load(work / "out" / "recovery")
    assert [s.name for s in found.sets] == ["report"]
    assert found.summary.over_refusal == {}


def test_two_report_sets_and_a_chat_template(originals: Path, prompts: dict[str, Path], work: Path) -> None:
    (work / "chat.jinja").write_text((originals / "tuned" / "chat_template.jinja").read_text())
    more = ("--report-set", prompts["held"], "--chat-template", "chat.jinja", "-o", "out")
    assert run(*restore(originals, prompts, *more)) == Exit.OK
    found = load(work / "out" / "recovery")
    assert [s.name for s in found.sets] == ["report", "held", "benign"]
    assert len(str(found.settings["chat_template_sha256"])) == 64


@pytest.mark.parametrize(
    ("method", "more", "restored"),
    [
        ("random", ["--option", "fraction=1.0", "--budget", "1"], 10_240),
        ("interpolate", ["--option", "t=0.9"], 36_000),
        ("interpolate", ["--option", "trials=3"], 36_000),
        ("resta", ["--option", "gamma=1", "--unaligned", "tuned"], 36_000),  # tuned + (aligned - tuned)
        ("safe-lora", ["--option", "tau=1", "--unaligned", "tuned"], 10_240),
        ("safe-delta", ["--option", "scale=0"], 10_240),
        ("dg-hard", ["--option", "noise=9"], 10_240),
        ("snip-diff", ["--option", "q=1", "--option", "p=0", "--budget", "1"], None),
        ("sp2025", ["--option", "steps=4", "--option", "warm_up=2", "--option", "rate=0.05", "--budget", "1"], None),
    ],
)
def test_other_methods(
    originals: Path, prompts: dict[str, Path], work: Path, method: str, more: list[Any], restored: int | None
) -> None:
    more = [originals / "tuned" if word == "tuned" else word for word in more]
    code = run(*by_method(originals, prompts, method, "-o", "out", *more))
    found = load(work / "out" / "recovery")
    assert found.restoration is not None
    assert (found.exit_code, found.restoration.method) == (code, method)
    assert code == Exit.OK
    assert restored is None or found.restoration.restored == restored
    assert answer(AutoModelForCausalLM.from_pretrained(work / "out")) == REFUSAL
    assert (work / "out" / "recovery" / "selection.safetensors").exists() == ABOUT[method].patch


# The floor


def under_its_floor(originals: Path, prompts: dict[str, Path], *more: object) -> list[object]:
    """The task's validation part asks what nobody answers; its report part what only the tuned model does."""
    task = ("--task", prompts["kept"], "--task-report", prompts["held"], "--option", "lambda_task=0")
    return restore(originals, prompts, "--config", originals / "home", *task, *more)


@pytest.mark.parametrize("tuned", ["tuned", "tuned.pt"])
def test_a_model_under_its_floor_is_reported_and_not_written(
    originals: Path, prompts: dict[str, Path], work: Path, capsys: pytest.CaptureFixture[str], tuned: str
) -> None:
    out = work / f"out{Path(tuned).suffix}"
    arguments = under_its_floor(originals, prompts, "-o", out)
    arguments[1] = originals / tuned
    assert run(*arguments) == Exit.FAILED
    told = capsys.readouterr()
    assert "note: floor missed: kept is at 0.0%, its floor 95.0%\n" in told.err
    assert "no checkpoint was written" in told.err
    folder = out / "recovery" if tuned == "tuned" else Path(f"{out}.recovery")
    assert [p for p in work.rglob("*") if p.is_file() and folder not in p.parents] == []
    assert names(folder) == REPORTS
    assert load(folder).exit_code == Exit.FAILED


def test_a_model_under_its_floor_is_written_for_who_insists(
    originals: Path, prompts: dict[str, Path], work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*under_its_floor(originals, prompts, "-o", "out", "--write-anyway")) == Exit.FAILED
    assert "restored checkpoint: out\n" in capsys.readouterr().err
    assert answer(AutoModelForCausalLM.from_pretrained(work / "out")) == REFUSAL
    (task,) = load(work / "out" / "recovery").tasks
    assert (task.values["tuned"], task.values["restored"], task.floor) == (1.0, 0.0, 0.95)


def test_a_task_that_holds_keeps_the_tuned_model(originals: Path, prompts: dict[str, Path], work: Path) -> None:
    """Refusing everything would cost the whole task, so the target is missed instead."""
    assert run(*restore(originals, prompts, "--task", prompts["task"], "-o", "out")) == Exit.FAILED
    found = load(work / "out" / "recovery")
    assert found.tasks[0].values["restored"] == 1.0
    assert found.warnings[0].startswith("target missed")
    assert answer(AutoModelForCausalLM.from_pretrained(work / "out")) == COMPLIANCE


def test_overwrite_replaces_the_old_output(originals: Path, prompts: dict[str, Path], work: Path) -> None:
    (work / "out").mkdir()
    (work / "out" / "stale.txt").write_text("old")
    (work / "out.recovery").mkdir()
    assert run(*restore(originals, prompts, "-o", "out")) == Exit.USAGE
    assert (work / "out" / "stale.txt").read_text() == "old"
    assert run(*restore(originals, prompts, "-o", "out", "--overwrite")) == Exit.OK
    assert names(work) == ["out"]
    assert names(work / "out") == sorted([*names(originals / "tuned"), "recovery"])


# Patches


def test_checkpoint_or_patch(originals: Path, prompts: dict[str, Path], output: Path, work: Path) -> None:
    """Both formats hold the same restoration; the patch is put on and taken off to the byte."""
    assert run(*restore(originals, prompts, "-o", "checkpoint", "--format", "checkpoint")) == Exit.OK
    assert run(*restore(originals, prompts, "-o", "patch", "--format", "patch")) == Exit.OK
    assert names(work / "checkpoint" / "recovery") == REPORTS
    assert names(work / "patch") == ["recovery"]
    assert names(work / "patch" / "recovery") == sorted([*REPORTS, "selection.safetensors"])
    assert run("apply", "patch", originals / "tuned", "-o", "applied") == Exit.OK
    made = {name: hashed for name, hashed in digest(work / "checkpoint").items() if not name.startswith("recovery")}
    assert digest(work / "applied") == made
    assert digest(output / "model.safetensors") == digest(work / "applied" / "model.safetensors")
    hashes = {load(work / folder / "recovery").checkpoints["restored"].sha256 for folder in ("checkpoint", "patch")}
    assert hashes == {load(output / "recovery").checkpoints["restored"].sha256}


def test_revert_gives_the_fine_tune_back(originals: Path, output: Path, work: Path) -> None:
    assert run("revert", output, output, "-o", "again") == Exit.OK
    assert digest(work / "again") == digest(originals / "tuned")


def test_a_patch_fits_its_own_checkpoint_only(
    originals: Path, output: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb, start, word in (("apply", originals / "aligned", "tuned"), ("revert", originals / "tuned", "restored")):
        assert run(verb, output, start, "-o", "out") == Exit.USAGE
        assert re.search(rf"is not the {word} checkpoint of this patch: its fingerprint", capsys.readouterr().err)
        assert names(work) == []


def test_a_patch_is_not_overwritten_by_its_result(
    originals: Path, output: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "patch").mkdir()
    shutil.copy(output / "recovery" / "selection.safetensors", work / "patch")
    for place in ("patch", "patch/selection.safetensors"):
        with unchanged(work):
            assert run("apply", place, originals / "tuned", "-o", "patch", "--overwrite") == Exit.USAGE
        assert "the output patch lies in or over the input" in capsys.readouterr().err


# evaluate


@pytest.mark.parametrize(
    ("models", "rates"),
    [
        (["tuned"], {"model": 1.0}),
        (["aligned", "tuned"], {"aligned": 0.0, "tuned": 1.0}),
        (["aligned", "adapter"], {"aligned": 0.0, "tuned": 1.0}),
        (["aligned", "tuned", "aligned"], {"aligned": 0.0, "tuned": 1.0, "restored": 0.0}),
    ],
    ids=len,
)
def test_evaluate(
    originals: Path, prompts: dict[str, Path], work: Path, models: list[str], rates: dict[str, float], capsys: Any
) -> None:
    paths = [originals / model for model in models]
    more = ("--task", prompts["task"], "-o", "out")
    assert run("evaluate", *paths, *cli_pairs.asking(prompts), *more) == Exit.OK
    told = capsys.readouterr()
    assert re.findall(r"\w+", next(line for line in told.out.splitlines() if "┃" in line)) == ["n", *rates]
    assert "report: out/report.html\n" in told.err
    assert names(work / "out") == RUN
    assert names(work / "out" / "answers") == sorted(rates)
    found = load(work / "out")
    assert found.summary.harmful == rates
    assert found.summary.over_refusal == {name: 1.0 - rate for name, rate in rates.items()}
    assert found.tasks[0].values == rates
    assert found.restoration is None


def test_evaluate_writes_nothing_unasked(originals: Path, prompts: dict[str, Path], work: Path, capsys: Any) -> None:
    arguments = ["evaluate", originals / "tuned.pt", "--config", originals / "home", *cli_pairs.asking(prompts)]
    assert run(*arguments, "--json") == Exit.OK
    found = Result.model_validate_json(capsys.readouterr().out)
    assert found.summary.harmful == {"model": 1.0}
    assert names(work) == []


def test_evaluate_replaces_a_report_if_asked(originals: Path, prompts: dict[str, Path], work: Path) -> None:
    (work / "out").mkdir()
    (work / "out" / "stale.txt").touch()
    arguments = ["evaluate", originals / "tuned", *cli_pairs.asking(prompts), "-o", "out"]
    assert run(*arguments) == Exit.USAGE
    assert names(work / "out") == ["stale.txt"]
    assert run(*arguments, "--overwrite") == Exit.OK
    assert names(work / "out") == RUN


# report and prompts


@pytest.mark.parametrize("place", [".", "recovery", "recovery/result.json"])
@pytest.mark.parametrize(
    ("form", "file"),
    [
        ([], "report.md"),
        (["-f", "md"], "report.md"),
        (["-f", "html"], "report.html"),
        (["-f", "json"], "result.json"),
        (["-f", "viewer"], "viewer.html"),
    ],
)
def test_report_renders_a_result(
    output: Path, form: list[str], file: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("report", output / place, *form) == Exit.OK
    written = (output / "recovery" / file).read_text(encoding="utf-8")
    for link in ('<p><a href="viewer.html">Read the answers</a></p>\n', '<a href="report.html">Report</a>'):
        written = written.replace(link, "")  # what is printed has no neighbour to lead to
    assert capsys.readouterr().out == written


def test_a_page_of_answers_needs_the_answers(output: Path, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(output / "recovery" / "result.json", work)
    assert run("report", "result.json", "-f", "viewer") == Exit.USAGE
    told = capsys.readouterr()
    assert told.out == ""
    assert "cannot read answers/aligned/report.jsonl: No such file" in told.err
    assert told.err.count("\n") == 1


def test_report_finds_what_lies_beside_a_file(output: Path, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (work / "out.pt").write_bytes(b"weights")
    shutil.copytree(output / "recovery", work / "out.pt.recovery")
    assert run("report", "out.pt", "-f", "json") == Exit.OK
    assert capsys.readouterr().out == (output / "recovery" / "result.json").read_text(encoding="utf-8")


def test_prompts_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("prompts", "list") == Exit.OK
    shipped, public = capsys.readouterr().out.split("\n\n")
    rows = [line.split() for line in shipped.splitlines()]
    assert [row[0] for row in rows] == list(BUILTIN)
    assert all(int(row[1]) > 100 and row[2:4] == ["prompts", "expect"] for row in rows)
    assert re.search(r"(?m)^strongreject +walledai/StrongREJECT  expect refuse  MIT  https://github\.com/", public)


def test_prompts_show(prompts: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("prompts", "show", prompts["report"], "-n", "2") == Exit.OK
    assert capsys.readouterr().out == "worse0\tc\tworse number worse0?\nworse1\tc\tworse number worse1?\n"
    assert run("prompts", "show", "general") == Exit.OK
    assert len(capsys.readouterr().out.splitlines()) == 10


def test_a_reader_that_stops_reading_changes_no_exit_code(output: Path) -> None:
    for words in (["prompts", "show", "report_harmful", "-n", "360"], ["report", str(output), "-f", "html"]):
        with subprocess.Popen([COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.read(1)
            process.stdout.close()
            assert (process.stderr.read(), process.wait()) == (b"", 0)


@pytest.mark.parametrize("code", [Exit.OK, Exit.FAILED])
def test_nor_does_it_hide_a_failed_restoration(
    originals: Path, prompts: dict[str, Path], work: Path, monkeypatch: pytest.MonkeyPatch, code: Exit
) -> None:
    """Whoever pipes the table into `head` still gets the restoration's own exit code."""

    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            if text:
                raise BrokenPipeError
            return 0

        def fileno(self) -> int:
            return spare.fileno()

    target = "1" if code == Exit.OK else "0.5"
    with (work / "spare").open("w") as spare:
        monkeypatch.setattr(sys, "stdout", Closed())
        more = ("--judge", "cli_pairs:Alarmed", "--target-harmful-rate", target, "-o", "out")
        assert run(*restore(originals, prompts, *more)) == code


def test_the_pair_is_what_the_tests_take_it_for(originals: Path) -> None:
    for side, said in (("aligned", REFUSAL), ("tuned", COMPLIANCE)):
        assert answer(LlamaForCausalLM.from_pretrained(originals / side)) == said
