"""Batches in whole runs: the batching is recorded and changes no answer; a thought that a template opens is none."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import CHAT_TEMPLATE, prompt_set

from recover.checkpoints.checkpoint import Checkpoint
from recover.evaluation.evaluate import evaluate
from recover.generation.batched import Batches
from recover.generation.chat import ChatFormat
from recover.jobs.evaluate import run_evaluation
from recover.jobs.loaded_request import load_request
from recover.jobs.request import EvaluateRequest
from recover.model.load import load_model


@pytest.fixture
def request_of_two(llama: list[Path], tmp_path: Path) -> EvaluateRequest:
    """Two models and a few prompts."""
    rows = [json.dumps({"prompt": f"Say {'abcdefgh'[i] * (i + 1)}"}) for i in range(8)]
    (tmp_path / "harm.jsonl").write_text("\n".join(rows))
    models = tuple(map(str, llama))
    return EvaluateRequest(models=models, report_set=(str(tmp_path / "harm.jsonl"),), benign=None, max_new_tokens=24)


def test_a_result_names_the_batching_and_is_else_the_same(request_of_two: EvaluateRequest) -> None:
    static = run_evaluation(request_of_two)
    continuous = run_evaluation(request_of_two.model_copy(update={"batching": "continuous"}))
    assert (static.settings["batching"], continuous.settings["batching"]) == ("static", "continuous")
    assert static.sets == continuous.sets
    assert (
        run_evaluation(request_of_two.model_copy(update={"batching": "auto", "device": "cpu"})).settings["batching"]
        == "static"
    )


def test_a_batch_that_shrank_is_a_warning_of_the_result(request_of_two: EvaluateRequest, llama: list[Path]) -> None:
    models = {"aligned": Checkpoint.open(llama[0]), "tuned": Checkpoint.open(llama[1])}
    loaded = load_request(request_of_two)
    evaluation = loaded.conduct(loaded.prepare(models), None, lambda *_: None)
    assert not [w for w in loaded.result(models, evaluation, 0, None, 0).warnings if "memory" in w]
    runtime = replace(loaded.settings.runtime, batches=Batches(rows=2, first_failed=4))
    shrunk = replace(loaded, settings=replace(loaded.settings, runtime=runtime))
    again = shrunk.conduct(shrunk.prepare(models), None, lambda *_: None)
    assert again.sets == evaluation.sets
    assert "memory ran out over 4 prompts at once" in shrunk.result(models, again, 0, None, 0).warnings[0]


def test_a_run_keeps_one_size_of_batches_for_all_models(llama: list[Path]) -> None:
    batches, counts = Batches(rows=3), []
    models = {name: Checkpoint.open(path) for name, path in zip(("aligned", "tuned"), llama, strict=True)}
    evaluate(
        models,
        [prompt_set("harm", 7, "refuse")],
        max_new_tokens=2,
        batches=batches,
        notify=lambda phase, done, *_: counts.append(done) if phase.startswith("asking") else None,
    )
    assert {3, 6, 7} <= set(counts) <= {0, 3, 6, 7}


def test_thinking_that_the_template_opens_and_the_model_does_not_end_is_no_answer(llama: list[Path]) -> None:
    checkpoint = Checkpoint.open(llama[0])
    model = load_model(checkpoint, torch.float32, torch.device("cpu"))
    chat = ChatFormat.of([checkpoint], None)
    prompts = prompt_set("harm", 4, "refuse")
    plain = chat.answers(model, prompts, 8)
    assert any(answer.text for answer in plain)
    assert not any(answer.thinking for answer in plain)
    thinking = replace(chat, template=CHAT_TEMPLATE + "<think>\n")
    thought = thinking.answers(model, prompts, 8)
    assert any(answer.thinking for answer in thought)
    assert not any(answer.text for answer in thought)
