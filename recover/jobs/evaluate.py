"""Rates of one to three checkpoints, without restoring anything: the `evaluate` command's job."""

import contextlib
import time
from collections.abc import Sequence

from recover.checkpoints.checkpoint import Checkpoint
from recover.checkpoints.pair import open_checkpoint
from recover.checkpoints.publish import check_place
from recover.errors import Exit, InputError
from recover.evaluation import run_directory
from recover.evaluation.ask import Models, QuestionPlan
from recover.generation.remote_models import models as served_models
from recover.jobs.loaded_request import load_request
from recover.jobs.request import EvaluateRequest
from recover.progress import Notify, silent
from recover.report import render, viewer
from recover.results.schema import Result

NAMES = {1: ("model",), 2: ("aligned", "tuned"), 3: ("aligned", "tuned", "restored")}


def run_evaluation(request: EvaluateRequest, *, command: str | None = None, notify: Notify = silent) -> Result:
    """Evaluate the checkpoints on the same prompts. Adapters lie over the first. Raises InputError, Undecided."""
    started = time.monotonic()
    names = request.names or NAMES.get(len(request.models))
    if names is None:
        raise InputError(f"found {len(request.models)} models; evaluate compares 1 to 3")
    models = _named(request, names)
    loaded = load_request(request)
    out = request.out
    if out:
        inputs = [path for c in models.values() if isinstance(c, Checkpoint) for path in (c.path, c.root)]
        check_place(out, inputs, request.overwrite or run_directory.begun(out))
    plan = loaded.prepare(models, request.allow_mismatch)
    with run_directory.opened(out, plan.manifest, request.overwrite) if out else contextlib.nullcontext():
        evaluation = loaded.conduct(plan, out, notify)
        result = loaded.result(models, evaluation, Exit.OK, command, time.monotonic() - started)
        result = result.model_copy(update={"warnings": [*_apart(plan), *result.warnings]})
        if out:
            viewer.write(result, out)
            render.write(result, out)
    return result


def _apart(plan: QuestionPlan) -> list[str]:
    """What was allowed to differ and does."""
    first, *_ = plan.chat_formats
    return [
        f"{name} was asked with other settings than {first} ({', '.join(found)}), as was allowed: rates may differ "
        "because of it"
        for name, found in plan.apart.items()
    ]


def _named(request: EvaluateRequest, names: Sequence[str]) -> Models:
    """What the request names: checkpoints, or models that its backend serves."""
    if request.backend:
        _check_served(request)
        return dict(zip(names, served_models(request.backend, request.models), strict=True))
    first = open_checkpoint(request.models[0], config=request.config)
    others = [open_checkpoint(m, config=request.config, base=first) for m in request.models[1:]]
    return dict(zip(names, [first, *others], strict=True))


def _check_served(request: EvaluateRequest) -> None:
    """Refuse options that are the server's to decide."""
    ours = ("allow_mismatch", "chat_template", "config", "dtype", "device", "offload", "batching")
    if moot := [
        f"--{f.replace('_', '-')}" for f in ours if getattr(request, f) != EvaluateRequest.model_fields[f].default
    ]:
        raise InputError(f"found {', '.join(moot)} beside --backend, where the server decides; leave {moot[0]} out")
