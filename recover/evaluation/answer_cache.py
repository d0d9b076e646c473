"""A store of the aligned model's answers, which runs that ask it the same share."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from recover.checkpoints.checkpoint import Checkpoint
from recover.checkpoints.file_lock import locked
from recover.checkpoints.files import write_text
from recover.evaluation import answer_files
from recover.evaluation.ask import QuestionPlan
from recover.generation.chat import Recall
from recover.progress import Notify
from recover.prompts.prompt_set import digest

STORE_LOCK = ".lock"
TokenLists = list[list[int]]


def ask_once(plan: QuestionPlan, name: str, folder: Path, store: Path, notify: Notify) -> None:
    """Put a model's answers into a run's folder: copied from the store, or asked for and added to it.

    A file of the store is an answer file of a run, named by the key of its answers, so a file that does not fit is not
    used. Only one process asks at a time; the others wait, and then find its answers.
    """
    stored_files = {
        answer_files.answers_path(folder, name, asked.name): store / plan.manifest.key(name, asked.name)
        for asked in plan.asked_sets[name]
    }
    only_model = {n: model for n, model in plan.models.items() if n == name and isinstance(model, Checkpoint)}
    with locked(store / STORE_LOCK):
        for path, stored in stored_files.items():
            if stored.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(stored.read_bytes())
        replace(plan, models=only_model).answers(folder, notify)
        for path, stored in stored_files.items():
            if not stored.is_file() or stored.read_bytes() != path.read_bytes():
                notify(f"keeping the {name} model's answers", 0, 1, path.stem)
                write_text(stored, path.read_text("utf-8"))


def cached_answers(
    store: Path, facts: Mapping[str, Any], fingerprint: Callable[[], str | None], notify: Notify
) -> Recall:
    """Answers as tokens: read from the store, or asked for and added to it under a hash of all they depend on.

    `fingerprint` returns the hash of the weights that answer now, or None if no other run will ask them. `facts` holds
    whatever else the answers depend on.
    """

    def recall(prompts: Sequence[Sequence[int]], tokens: int, ask: Callable[[], TokenLists]) -> TokenLists:
        weights = fingerprint()
        if weights is None:
            return ask()
        key = digest({**facts, "weights": weights, "prompts": [[*prompt] for prompt in prompts], "tokens": tokens})
        path = store / f"{key}.json"
        with locked(store / STORE_LOCK):
            answers = _read_tokens(path)
            if answers is None or len(answers) != len(prompts):
                answers = ask()
                notify("keeping the aligned model's answers", 0, 1, "for the search")
                write_text(path, json.dumps(answers))
        return answers

    return recall


def _read_tokens(path: Path) -> TokenLists | None:
    """The answers in a file of the store; None if it is missing or incomplete."""
    try:
        return TypeAdapter(TokenLists).validate_json(path.read_bytes(), strict=True)
    except (FileNotFoundError, ValidationError):
        return None
