"""The answers of a model that many runs ask the same: given once, and kept in a store that the runs share."""

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

LOCK = ".lock"
Tokens = list[list[int]]


def ask_once(interview: QuestionPlan, name: str, folder: Path, store: Path, notify: Notify) -> None:
    """Lay a model's answers into a run's folder, out of the store; what the store lacks is asked for and kept there.

    A file of the store is one of the run's own, called by the key of its answers: what does not fit is not taken. Who
    comes while another asks waits for its answers.
    """
    files = {
        answer_files.place(folder, name, ask.prompts.name): store / interview.manifest.key(name, ask.prompts.name)
        for ask in interview.asks[name]
    }
    alone = {n: model for n, model in interview.models.items() if n == name and isinstance(model, Checkpoint)}
    with locked(store / LOCK):
        for file, kept in files.items():
            if kept.is_file():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(kept.read_bytes())
        replace(interview, models=alone).answers(folder, notify)
        for file, kept in files.items():
            if not kept.is_file() or kept.read_bytes() != file.read_bytes():
                notify(f"keeping the {name} model's answers", 0, 1, file.stem)
                write_text(kept, file.read_text("utf-8"))


def cached_answers(store: Path, facts: Mapping[str, Any], whose: Callable[[], str | None], notify: Notify) -> Recall:
    """Answers as tokens out of the store; what it lacks is asked for and kept there, under the hash of all of it.

    `facts` says what else they depend on, `whose` the fingerprint of the weights that answer now, or None if nobody
    else will ask them.
    """

    def recall(prompts: Sequence[Sequence[int]], tokens: int, ask: Callable[[], Tokens]) -> Tokens:
        weights = whose()
        if weights is None:
            return ask()
        key = digest({**facts, "weights": weights, "prompts": [[*prompt] for prompt in prompts], "tokens": tokens})
        file = store / f"{key}.json"
        with locked(store / LOCK):
            told = _tokens(file)
            if told is None or len(told) != len(prompts):
                told = ask()
                notify("keeping the aligned model's answers", 0, 1, "for the search")
                write_text(file, json.dumps(told))
        return told

    return recall


def _tokens(file: Path) -> Tokens | None:
    """What a file of the store holds; None if it is not there or not whole."""
    try:
        return TypeAdapter(Tokens).validate_json(file.read_bytes(), strict=True)
    except (FileNotFoundError, ValidationError):
        return None
