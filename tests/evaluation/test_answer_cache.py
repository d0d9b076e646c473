"""Answers of the aligned model that runs share: given once, the same as when asked, and never another model's."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import prompt_set, save_model, tune
from transformers import AutoModelForCausalLM

from recover.checkpoints.checkpoint import Checkpoint
from recover.checkpoints.file_lock import locked
from recover.checkpoints.pair import Pair
from recover.errors import Undecided
from recover.evaluation.answer_cache import ask_once
from recover.evaluation.ask import QuestionPlan, prepare
from recover.evaluation.settings import EvaluationSettings
from recover.generation.runtime import changed
from recover.judges import get_judge
from recover.model import load
from recover.progress import silent
from recover.search.loop import Recovery, recover

SETS = [prompt_set("harm", 6, "refuse"), prompt_set("alike", 4, "comply")]


@pytest.fixture
def interview(llama: list[Path]) -> Callable[..., QuestionPlan]:
    """A function that prepares the questions of a run; options change what is asked."""

    def prepared(**changes: object) -> QuestionPlan:
        models = {name: Checkpoint.open(place) for name, place in zip(("aligned", "tuned"), llama, strict=True)}
        options = {"device": "cpu", "offload": "never", "dtype": "float32", "max_new_tokens": 6, **changes}
        sets = options.pop("sets", SETS)
        return prepare(models, sets, None, [get_judge("rules")], changed(EvaluationSettings(), options))

    return prepared


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the checkpoints that were loaded."""
    names: list[str] = []
    load_model = load.load_model
    monkeypatch.setattr(load, "load_model", lambda c, *a, **k: names.append(c.path.name) or load_model(c, *a, **k))
    return names


def told(interview: QuestionPlan, folder: Path) -> object:
    return interview.answers(folder, silent)


def test_kept_answers_are_those_that_were_given(
    interview: Callable[..., QuestionPlan], loads: list[str], tmp_path: Path
) -> None:
    asked = told(interview(), tmp_path / "alone")
    for run in ("first", "second"):
        ask_once(interview(), "aligned", tmp_path / run, tmp_path / "store", silent)
        assert told(interview(), tmp_path / run) == asked
    assert loads == ["aligned", "tuned", "aligned", "tuned", "tuned"], "the second run loads no aligned model"
    assert len(list((tmp_path / "store").glob("[!.]*"))) == len(SETS)


@pytest.mark.parametrize(
    "change",
    [
        {"max_new_tokens": 7},
        {"dtype": "bfloat16"},
        {"chat_template": "none"},
        {"sets": [prompt_set("harm", 5, "refuse")]},
    ],
)
def test_whatever_answers_depend_on_asks_again(
    interview: Callable[..., QuestionPlan], loads: list[str], tmp_path: Path, change: dict[str, object]
) -> None:
    ask_once(interview(), "aligned", tmp_path / "first", tmp_path / "store", silent)
    ask_once(interview(**change), "aligned", tmp_path / "second", tmp_path / "store", silent)
    assert loads == ["aligned", "aligned"]


def test_another_models_answers_are_not_taken(
    interview: Callable[..., QuestionPlan], loads: list[str], tmp_path: Path
) -> None:
    ask_once(interview(), "aligned", tmp_path / "first", tmp_path / "store", silent)
    other = interview()
    other = replace(other, models={"aligned": other.models["tuned"]})
    ask_once(other, "aligned", tmp_path / "second", tmp_path / "store", silent)
    assert loads == ["aligned", "tuned"]


@pytest.mark.parametrize("keep", [0, 100, -20])
def test_half_a_file_of_answers_is_asked_again(
    interview: Callable[..., QuestionPlan], tmp_path: Path, keep: int
) -> None:
    store = tmp_path / "store"
    ask_once(interview(), "aligned", tmp_path / "first", store, silent)
    whole = {file.name: file.read_bytes() for file in store.glob("[!.]*")}
    for file in store.glob("[!.]*"):
        file.write_bytes(file.read_bytes()[:keep])
    ask_once(interview(), "aligned", tmp_path / "second", store, silent)
    assert {file.name: file.read_bytes() for file in store.glob("[!.]*")} == whole


def test_who_comes_second_waits_for_the_first(
    interview: Callable[..., QuestionPlan], loads: list[str], tmp_path: Path
) -> None:
    interviews = [interview(), interview()]
    threads = [
        threading.Thread(target=ask_once, args=(one, "aligned", tmp_path / str(i), tmp_path / "store", silent))
        for i, one in enumerate(interviews)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert loads == ["aligned"]


def test_a_lock_keeps_others_out_until_it_is_let_go(tmp_path: Path) -> None:
    file = tmp_path / "there" / ".lock"
    with locked(file), pytest.raises(Undecided, match="written by process"), locked(file, wait=False):
        raise AssertionError("two hold it")
    with locked(file, wait=False):
        pass


def searched(places: Sequence[Path], store: Path | None, **changes: Any) -> tuple[Recovery, int]:
    """A short search, and how often it asked the aligned model."""
    phases: list[str] = []
    options: dict[str, Any] = {"validation": prompt_set("valid", 6, "refuse"), "dtype": "float32", **changes}
    found = recover(
        Pair.open(*places),
        options={"steps": 2},
        harmful=prompt_set("harm", 8, "refuse"),
        general=prompt_set("plain", 5),
        store=store,
        notify=lambda phase, *_: phases.append(phase),
        **options,
    )
    return found, phases.count("keeping the aligned model's answers")


def test_searches_ask_the_aligned_model_once(llama: list[Path], tmp_path: Path) -> None:
    aligned, tuned = llama
    model = AutoModelForCausalLM.from_pretrained(aligned, dtype=torch.float32)
    other = save_model(tmp_path / "other", tune(model, seed=5))
    store = tmp_path / "store"
    alone, _ = searched(llama, None)
    first, asked = searched(llama, store)
    again, asked_again = searched(llama, store)
    assert first.edit == again.edit == alone.edit
    assert first.account.steps == again.account.steps == alone.account.steps
    assert (asked, asked_again) == (3, 0)  # validation, and both captures
    assert searched((aligned, other), store)[1] == 0, "another fine-tune of the same model"
    assert searched((tuned, other), store)[1] > 0, "another aligned model"
    assert searched(llama, store, dtype="bfloat16")[1] == 3
    assert searched(llama, store, validation=prompt_set("other", 7, "refuse"))[1] == 1


def test_a_search_does_not_share_what_only_its_own_pair_says(llama: list[Path], tmp_path: Path) -> None:
    wide = AutoModelForCausalLM.from_pretrained(llama[1], dtype=torch.bfloat16)
    rounded = save_model(tmp_path / "rounded", wide)  # the aligned weights are rounded to it
    assert searched((llama[0], rounded), tmp_path / "store")[1] == 0
    assert not list((tmp_path / "store").glob("*.json"))


def test_a_damaged_answer_is_asked_again(llama: list[Path], tmp_path: Path) -> None:
    first, asked = searched(llama, tmp_path)
    files = sorted(tmp_path.glob("*.json"))
    for text in ("", "[[1], null]", "[]", '[["1"]]'):
        for file in files:
            file.write_text(text)
        assert searched(llama, tmp_path)[0].edit == first.edit
    assert asked == len(files) == 3
    assert searched(llama, tmp_path)[1] == 0
