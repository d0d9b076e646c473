"""Rates of one to three checkpoints, without restoring anything: the `evaluate` command's job."""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from recover import artifact, report, rundir, viewer
from recover.asking import Interview, Models
from recover.checkpoint import Checkpoint
from recover.errors import Exit, InputError
from recover.pair import open_checkpoint
from recover.progress import Notify, silent
from recover.questions import Questions
from recover.result import Result
from recover.served import models as served_models
from recover.speech import Mismatch

NAMES = {1: ("model",), 2: ("aligned", "tuned"), 3: ("aligned", "tuned", "restored")}


class Rating(Questions):
    """Checkpoints to be asked, and where to put what was found."""

    models: tuple[str, ...]
    names: tuple[str, ...] | None = None  # by default those that the number of models gives
    out: Path | None = None
    overwrite: bool = False
    backend: str | None = None
    allow_mismatch: tuple[Mismatch, ...] = ()


def rate(request: Rating, *, command: str | None = None, notify: Notify = silent) -> Result:
    """Evaluate the checkpoints on the same prompts. Adapters lie over the first. Raises InputError, Undecided."""
    started = time.monotonic()
    names = request.names or NAMES.get(len(request.models))
    if names is None:
        raise InputError(f"found {len(request.models)} models; evaluate compares 1 to 3")
    models = _named(request, names)
    questions = request.read()
    out = request.out
    if out:
        inputs = [place for c in models.values() if isinstance(c, Checkpoint) for place in (c.path, c.root)]
        artifact.check_place(out, inputs, request.overwrite or rundir.begun(out))
    interview = questions.prepare(models, request.allow_mismatch)
    with rundir.opened(out, interview.manifest, request.overwrite) if out else contextlib.nullcontext():
        asked = questions.conduct(interview, out, notify)
        result = questions.result(models, asked, Exit.OK, command, time.monotonic() - started)
        result = result.model_copy(update={"warnings": [*_apart(interview), *result.warnings]})
        if out:
            viewer.write(result, out)
            report.write(result, out)
    return result


def _apart(interview: Interview) -> list[str]:
    """What was allowed to differ and does."""
    first, *_ = interview.voices
    return [
        f"{name} was asked with other settings than {first} ({', '.join(found)}), as was allowed: rates may differ "
        "because of it"
        for name, found in interview.apart.items()
    ]


def _named(request: Rating, names: Sequence[str]) -> Models:
    """What the request names: checkpoints, or models that its backend serves."""
    if request.backend:
        _check_served(request)
        return dict(zip(names, served_models(request.backend, request.models), strict=True))
    first = open_checkpoint(request.models[0], config=request.config)
    others = [open_checkpoint(m, config=request.config, base=first) for m in request.models[1:]]
    return dict(zip(names, [first, *others], strict=True))


def _check_served(request: Rating) -> None:
    """Refuse options that are the server's to decide."""
    ours = ("allow_mismatch", "chat_template", "config", "dtype", "device", "offload", "batching")
    if moot := [f"--{f.replace('_', '-')}" for f in ours if getattr(request, f) != Rating.model_fields[f].default]:
        raise InputError(f"found {', '.join(moot)} beside --backend, where the server decides; leave {moot[0]} out")
