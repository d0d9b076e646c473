"""Tasks of lm-evaluation-harness: what they score is what the models say, on the same prompts for all of them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cli_pairs
import pytest
import torch
from cli_pairs import run

from recover.checkpoints.checkpoint import Checkpoint
from recover.errors import Exit, InputError, Undecided
from recover.evaluation import answer_files, lm_eval
from recover.evaluation.lm_eval import LmTask, load_harness_task, measure, parse
from recover.jobs.evaluate import run_evaluation
from recover.jobs.request import EvaluateRequest
from recover.model import load
from recover.results.schema import load as load_result

ROWS = [
    {"question": f"{i} + {i} =", "choices": [str(i), str(2 * i), str(7 * i)], "answer": i % 3} for i in range(1, 25)
]
CHOICE = """\
task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {rows}
test_split: test
fewshot_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: answer
"""
ACCURACY = "metric_list:\n  - {metric: acc, aggregation: mean, higher_is_better: true}\n"
ROLLING = """\
task: rolling
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: question
metric_list:
  - metric: word_perplexity
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Task files with their rows."""
    place = tmp_path_factory.mktemp("tasks")
    rows = place / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    for name, more in (("sums", ""), ("unsolved", "num_fewshot: 0\n"), ("program", "unsafe_code: true\n")):
        (place / f"{name}.yaml").write_text(CHOICE.format(name=name, rows=rows) + ACCURACY + more)
    (place / "rolling.yaml").write_text(ROLLING.format(rows=rows))
    (place / "both.yaml").write_text("group: both\ntask: [sums, unsolved]\n")
    return place


@pytest.fixture(autouse=True)
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lm_eval")
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def models(llama: list[Path]) -> dict[str, Checkpoint]:
    return dict(zip(("aligned", "tuned"), map(Checkpoint.open, llama), strict=True))


def scores(models: dict[str, Checkpoint], task: LmTask, offload: str = "never") -> dict[str, list[float]]:
    (found,) = measure([load_harness_task(task)], models, torch.float32, torch.device("cpu"), offload)
    assert found.name == f"lm-eval:{task.name}"
    assert found.metric == "acc"
    return dict(found.values)


def by_hand(checkpoint: Checkpoint) -> list[float]:
    """1 where the right choice is the likeliest one."""
    return [float(choice == row["answer"]) for choice, row in zip(likeliest(checkpoint), ROWS, strict=True)]


def likeliest(checkpoint: Checkpoint) -> list[int]:
    """Which choice, after a space, is the likeliest continuation of each question: one pass a choice."""
    model = load.load_model(checkpoint, torch.float32, torch.device("cpu"))
    tokenizer = load.load_tokenizer(checkpoint)

    def likelihood(row: dict[str, Any], choice: str) -> float:
        start, whole = (tokenizer(text)["input_ids"] for text in (row["question"], f"{row['question']} {choice}"))
        logits = model(torch.tensor([whole])).logits[0].log_softmax(-1)
        return float(sum(logits[place - 1, whole[place]] for place in range(len(start), len(whole))))

    with torch.no_grad():
        by_row = [[likelihood(row, choice) for choice in row["choices"]] for row in ROWS]
    return [found.index(max(found)) for found in by_row]


def test_scores_are_the_models_own_in_the_documents_order(models: dict[str, Checkpoint], folder: Path) -> None:
    found = scores(models, LmTask("sums", folder))
    assert found == {name: by_hand(checkpoint) for name, checkpoint in models.items()}
    assert found["aligned"] != found["tuned"]
    assert scores(models, LmTask("sums", folder).shortened(5)) == {name: one[:5] for name, one in found.items()}


def test_a_streamed_model_scores_the_same(models: dict[str, Checkpoint], folder: Path) -> None:
    task = LmTask("sums", folder)
    assert scores(models, task, "always") == scores(models, task)


def test_all_models_see_the_same_solved_examples(models: dict[str, Checkpoint], folder: Path) -> None:
    """The examples are drawn at random: a second model must not go on with the draw of the first."""
    task = LmTask("sums", folder, num_fewshot=2)
    (aligned,) = {tuple(one) for one in scores({"a": models["aligned"]}, task).values()}
    twice = scores({"a": models["aligned"], "b": models["aligned"]}, task)
    assert list(map(tuple, twice.values())) == [aligned, aligned]
    assert aligned != tuple(scores({"a": models["aligned"]}, LmTask("sums", folder))["a"])


def test_a_spec_names_task_folder_and_examples(tmp_path: Path) -> None:
    assert parse("lm-eval:arc_easy") == LmTask("arc_easy")
    assert parse(f"lm-eval:x,include_path={tmp_path},num_fewshot=5") == LmTask("x", tmp_path, 5)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("lm-eval:", "cannot be read; write lm-eval:NAME"),
        ("lm-eval:x,shots=3", "cannot be read; write lm-eval:NAME"),
        ("lm-eval:x,num_fewshot=many", "num_fewshot is 'many'; expected a whole number"),
        ("lm-eval:x,num_fewshot=-1", "num_fewshot is '-1'"),
        ("lm-eval:x,include_path=/nowhere", "/nowhere is no directory"),
    ],
)
def test_a_wrong_spec_is_one_sentence(spec: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        parse(spec)


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        (LmTask("nonsense"), r"cannot load the task nonsense .*; check its name"),
        (LmTask("both"), "both stands for several tasks; name one of them: sums, unsolved"),
        (LmTask("rolling"), "no metric that is a mean .* found word_perplexity; choose another"),
        (LmTask("program"), "runs code that the model writes, which is never done here; choose another"),
        (LmTask("unsolved", num_fewshot=3), "takes no examples before its questions; leave num_fewshot out"),
    ],
)
def test_a_task_that_cannot_be_compared_is_one_sentence(folder: Path, task: LmTask, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        load_harness_task(LmTask(task.name, folder, task.num_fewshot))


def test_scores_that_are_no_fractions_are_refused(models: dict[str, Checkpoint], folder: Path) -> None:
    loaded = load_harness_task(LmTask("sums", folder))
    process = loaded.harness_task.process_results
    loaded.harness_task.process_results = lambda *given: {name: 50 * value for name, value in process(*given).items()}
    with pytest.raises(Undecided, match="scores acc from 0 to 50; only scores from 0 to 1"):
        measure([loaded], models, torch.float32, torch.device("cpu"))


def test_without_the_harness_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['lm_eval'] = None\n"
        "from recover.evaluation.lm_eval import LmTask, load_harness_task\n"
        "from recover.errors import InputError\n"
        "try: load_harness_task(LmTask('arc_easy'))\n"
        "except InputError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "run: pip install 'recover-align[lm-eval]'" in done.stdout


def test_nothing_of_the_harness_is_imported_before_it_is_asked_for() -> None:
    code = "import sys, recover.jobs.request; sys.exit('lm_eval' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The commands


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cli_pairs.write_pair(tmp_path_factory.mktemp("pair"))


def test_evaluate_reports_the_task(pair: Path, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    asking = cli_pairs.asking({file.stem: file for file in (pair / "prompts").iterdir()})
    spec = f"lm-eval:sums,include_path={folder}"
    out = tmp_path / "rates"
    assert run("evaluate", pair / "aligned", pair / "tuned", *asking, "--task", spec, "-o", out, "-q") == Exit.OK
    result = load_result(out / "result.json")
    (task,) = result.tasks
    assert (task.name, task.metric, task.n) == ("lm-eval:sums", "acc", len(ROWS))
    models = {name: Checkpoint.open(pair / name) for name in ("aligned", "tuned")}
    assert task.values == {name: pytest.approx(sum(by_hand(c)) / len(ROWS)) for name, c in models.items()}
    assert result.settings["task"] == [spec]
    assert "lm_eval" in result.environment
    printed = capfd.readouterr()
    assert "Task: lm-eval:sums (acc)" in printed.out
    assert "Running loglikelihood" not in printed.err + printed.out


def test_the_floor_is_held_against_the_report_where_the_search_has_no_task(
    pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The task is what the tuned model alone can do. A restored model that is the aligned one has lost it."""
    own, other = (likeliest(Checkpoint.open(pair / name)) for name in ("tuned", "aligned"))
    rows = [{**row, "answer": choice} for row, choice, lost in zip(ROWS, own, other, strict=True) if choice != lost]
    assert len(rows) >= 3
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "kept.yaml").write_text(CHOICE.format(name="kept", rows=tmp_path / "rows.jsonl") + ACCURACY)
    quick = cli_pairs.quick({file.stem: file for file in (pair / "prompts").iterdir()})[:-4]
    whole = ("--method", "interpolate", "--option", "t=1", "--format", "checkpoint", "-o", tmp_path / "out")
    task = ("--task", f"lm-eval:kept,include_path={tmp_path}")
    assert run("restore", pair / "aligned", pair / "tuned", *quick, *whole, *task) == Exit.FAILED
    told = capsys.readouterr().err
    assert "note: floor missed: lm-eval:kept is at 0.0%, its floor 95.0%" in told
    assert "no task file to check its steps with" in told
    assert not list((tmp_path / "out").glob("*.safetensors"))
    (found,) = load_result(tmp_path / "out" / "recovery" / "result.json").tasks
    assert (found.values["tuned"], found.values["restored"], found.non_inferior) == (1, 0, False)


def test_scores_are_kept_and_a_run_goes_on_with_them(
    pair: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = {file.stem: file for file in (pair / "prompts").iterdir()}
    spec = f"lm-eval:sums,include_path={folder}"
    asking = ["evaluate", pair / "aligned", pair / "tuned", *cli_pairs.asking(prompts), "-o", tmp_path / "out"]
    assert run(*asking, "--task", spec) == Exit.OK
    out, before = tmp_path / "out", load_result(tmp_path / "out" / "result.json").tasks
    files = [answer_files.scores_path(out, name, "lm-eval:sums") for name in ("aligned", "tuned")]
    kept = [file.read_bytes() for file in files]
    measured: list[Any] = []
    score = lm_eval._scores
    monkeypatch.setattr(lm_eval, "_scores", lambda *asked: (measured.append(asked), score(*asked))[1])
    for left, again in ((kept[1], 0), (kept[1][:-20], 1), (b"", 1), (kept[1].replace(b'"key": "', b'"key": "0'), 1)):
        (out / "result.json").unlink()
        files[1].write_bytes(left)
        measured.clear()
        assert run(*asking, "--task", spec) == Exit.OK
        assert (len(measured), load_result(out / "result.json").tasks) == (again, before)
        assert [file.read_bytes() for file in files] == kept
    measured.clear()
    assert run(*asking, "--task", spec, "--judge", "cli_pairs:Alarmed", "--overwrite") == Exit.OK
    assert measured == []
    assert run(*asking, "--task", f"{spec},num_fewshot=1", "--overwrite") == Exit.OK
    assert len(measured) == 2
    (out / "result.json").unlink()
    assert run(*asking, "--task", spec) == Exit.USAGE
    assert "tasks.lm-eval:sums is" in capsys.readouterr().err


def test_other_documents_or_examples_are_another_task(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(CHOICE.format(name="own", rows=tmp_path / "rows.jsonl") + ACCURACY)

    def digest(rows: list[dict[str, Any]], **more: Any) -> str:
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return load_harness_task(LmTask("own", tmp_path, **more)).digest

    changed = [*ROWS[:-1], {**ROWS[-1], "answer": (ROWS[-1]["answer"] + 1) % 3}]
    asked = [(ROWS, {}), (changed, {}), (ROWS, {"limit": 5}), (changed, {"limit": 5, "num_fewshot": 1})]
    found = [digest(rows, **more) for rows, more in asked]
    assert len(set(found)) == 4
    assert digest(*asked[0][:1]) == found[0]
    assert digest(changed, limit=5) == found[2]  # of what is left out nothing is asked


def test_two_task_files_are_refused(pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", pair / "aligned", "--task", "a.jsonl", "--task", "b.jsonl") == Exit.USAGE
    assert "found the task files a.jsonl, b.jsonl; give one" in capsys.readouterr().err
    assert run("evaluate", pair / "aligned", "--task", "lm-eval:x", "--task", "lm-eval:x,num_fewshot=1") == Exit.USAGE
    assert "a task of lm-eval is named twice" in capsys.readouterr().err


def test_a_served_model_has_no_likelihoods(folder: Path) -> None:
    request = EvaluateRequest(
        models=("a",), backend="openai:http://127.0.0.1:1/v1", task=(f"lm-eval:sums,include_path={folder}",)
    )
    with pytest.raises(InputError, match=r"needs a model's weights; leave it out with --backend"):
        run_evaluation(request)
