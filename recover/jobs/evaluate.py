"""The `evaluate` command's work: the rates of one to three checkpoints. Nothing is restored."""

import contextlib
import time
from collections.abc import Sequence

from recover.checkpoints.checkpoint import Checkpoint
from recover.checkpoints.pair import open_checkpoint
from recover.checkpoints.publish import check_place
from recover.errors import Exit, InputError
from recover.evaluation import run_directory
from recover.evaluation.ask import Models, QuestionPlan
from recover.generation.remote_models import served_models
from recover.jobs.loaded_request import load_request
from recover.jobs.request import EvaluateRequest
from recover.progress import Notify, silent
from recover.report import render, viewer
from recover.results.schema import Result

DEFAULT_NAMES = {1: ("model",), 2: ("aligned", "tuned"), 3: ("aligned", "tuned", "restored")}


def run_evaluation(request: EvaluateRequest, *, command: str | None = None, notify: Notify = silent) -> Result:
    """Evaluate the checkpoints on the same prompts. The first is the base of adapters. Raises InputError, Undecided."""
    started = time.monotonic()
    names = request.names or DEFAULT_NAMES.get(len(request.models))
    if names is None:
        raise InputError(f"found {len(request.models)} models; evaluate compares 1 to 3")
    models = _open_models(request, names)
    loaded = load_request(request)
    out = request.out
    if out:
        inputs = [path for c in models.values() if isinstance(c, Checkpoint) for path in (c.path, c.root)]
        check_place(out, inputs, request.overwrite or run_directory.begun(out))
    plan = loaded.prepare(models, request.allow_mismatch)
    with run_directory.opened(out, plan.manifest, request.overwrite) if out else contextlib.nullcontext():
        evaluation = loaded.conduct(plan, out, notify)
        result = loaded.result(models, evaluation, Exit.OK, command, time.monotonic() - started)
        result = result.model_copy(update={"warnings": [*_mismatches(plan), *result.warnings]})
        if out:
            viewer.write(result, out)
            render.write(result, out)
    return result


def _mismatches(plan: QuestionPlan) -> list[str]:
    """Warnings of settings that differ between models, as the request allows."""
    first, *_ = plan.chat_formats
    return [
        f"{name} was asked with other settings than {first} ({', '.join(fields)}), as the request allows: rates may "
        "differ for this reason"
        for name, fields in plan.apart.items()
    ]


def _open_models(request: EvaluateRequest, names: Sequence[str]) -> Models:
    """The request's checkpoints, or models that its backend serves, by name."""
    if request.backend:
        _check_served(request)
        return dict(zip(names, served_models(request.backend, request.models), strict=True))
    first = open_checkpoint(request.models[0], config=request.config)
    others = [open_checkpoint(m, config=request.config, base=first) for m in request.models[1:]]
    return dict(zip(names, [first, *others], strict=True))


def _check_served(request: EvaluateRequest) -> None:
    """Refuse options that the server decides."""
    local = ("allow_mismatch", "chat_template", "config", "dtype", "device", "offload", "batching")
    if given := [
        f"--{f.replace('_', '-')}" for f in local if getattr(request, f) != EvaluateRequest.model_fields[f].default
    ]:
        raise InputError(f"found {', '.join(given)} beside --backend, where the server decides; leave {given[0]} out")
