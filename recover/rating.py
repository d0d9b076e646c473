"""Rates of one to three checkpoints, without restoring anything: the `evaluate` command's job."""

import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from recover import artifact, evaluation, report, viewer
from recover.errors import Exit, InputError
from recover.job import Fraction, Questions, checkpoint_info, environment, settings, warnings
from recover.pair import open_checkpoint
from recover.progress import Notify, silent
from recover.result import Result, Tool

NAMES = {1: ("model",), 2: ("aligned", "tuned"), 3: ("aligned", "tuned", "restored")}


class Rating(Questions):
    """Checkpoints to be asked, and where to put what was found."""

    models: tuple[str, ...]
    names: tuple[str, ...] | None = None  # by default those that the number of models gives
    max_task_drop: Fraction = 0.05
    out: Path | None = None
    overwrite: bool = False


def rate(request: Rating, *, command: str | None = None, notify: Notify = silent) -> Result:
    """Evaluate the checkpoints on the same prompts. Adapters lie over the first. Raises InputError, Undecided."""
    started = time.monotonic()
    names = request.names or NAMES.get(len(request.models))
    if names is None:
        raise InputError(f"found {len(request.models)} models; evaluate compares 1 to 3")
    first = open_checkpoint(request.models[0], config=request.config)
    others = [open_checkpoint(m, config=request.config, base=first) for m in request.models[1:]]
    models = dict(zip(names, [first, *others], strict=True))
    sets, task = request.sets(), request.the_task()
    critics, calibration = request.critics()
    if request.out:
        inputs = [place for c in models.values() for place in (c.path, c.root)]
        artifact.check_place(request.out, inputs, request.overwrite)
    asked = evaluation.evaluate(
        models,
        sets,
        task=task,
        judge=critics,
        calibration=calibration,
        chat_template=request.chat_template,
        max_new_tokens=request.max_new_tokens,
        max_task_drop=request.max_task_drop,
        dtype=request.dtype,
        device=request.device,
        seed=request.seed,
        notify=notify,
    )
    told = {**settings(request), "command": command, "total_seconds": round(time.monotonic() - started, 1)}
    result = Result(
        tool=Tool(version=version("recover-align")),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        status="partial" if request.limit else "complete",
        exit_code=Exit.OK,
        checkpoints={name: checkpoint_info(c) for name, c in models.items()},
        settings=told,
        judges=asked.judges,
        agreement=asked.agreement,
        sets=asked.sets,
        tasks=asked.tasks,
        summary=asked.summary,
        warnings=warnings(request, asked),
        environment=environment(),
    )
    if request.out:
        with artifact.staged(request.out) as place:
            evaluation.write_answers(asked, sets, place)
            viewer.write(result, place)
            report.write(result, place)
            artifact.publish(place, request.out)
    return result
