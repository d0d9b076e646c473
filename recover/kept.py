"""The answers of a model that many runs ask the same: given once, and kept in a store that the runs share."""

from dataclasses import replace
from pathlib import Path

from recover import transcript
from recover.asking import Interview
from recover.checkpoint import Checkpoint
from recover.locks import held
from recover.progress import Notify
from recover.report import write_text


def ask_once(interview: Interview, name: str, folder: Path, store: Path, notify: Notify) -> None:
    """Lay a model's answers into a run's folder, out of the store; what the store lacks is asked for and kept there.

    A file of the store is one of the run's own, called by the key of its answers: what does not fit is not taken. Who
    comes while another asks waits for its answers.
    """
    files = {
        transcript.place(folder, name, ask.prompts.name): store / interview.manifest.key(name, ask.prompts.name)
        for ask in interview.asks[name]
    }
    alone = {n: model for n, model in interview.models.items() if n == name and isinstance(model, Checkpoint)}
    with held(store / ".lock"):
        for file, kept in files.items():
            if kept.is_file():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(kept.read_bytes())
        replace(interview, models=alone).answers(folder, notify)
        for file, kept in files.items():
            if not kept.is_file() or kept.read_bytes() != file.read_bytes():
                notify(f"keeping the {name} model's answers", 0, 1, file.stem)
                write_text(kept, file.read_text("utf-8"))
