"""Restoring an adapter in memory: `restore_adapter` for a peft model, `RestoreCallback` for a Trainer."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from pydantic import PrivateAttr
from torch import Tensor
from transformers import TrainerCallback

from recover.checkpoints.checkpoint import Checkpoint
from recover.checkpoints.publish import check_place
from recover.errors import Exit, InputError
from recover.jobs.loaded_request import load_request
from recover.jobs.request import Job
from recover.jobs.restore import (
    judge_outcome,
    method_options,
    misses_floor,
    prompts_leakage,
    require_harmful_set,
    search_settings,
    with_restoration,
)
from recover.model.in_memory import as_pair
from recover.progress import Notify, silent
from recover.report import render, viewer
from recover.results.schema import Result
from recover.search.loop import recover

FILE_OPTIONS = ("aligned", "tuned", "space", "config", "dtype", "device", "offload", "format", "link", "unaligned")


class RestoredAdapter(Result):
    """The result of a restoration in memory. `revert()` takes it back."""

    _undo: Callable[[], None] = PrivateAttr()

    def revert(self) -> None:
        """Give the adapter its tuned values again, exact to the bit."""
        self._undo()


def restore_adapter(model: Any, tokenizer: Any, *, notify: Notify = silent, **options: Any) -> RestoredAdapter:
    """Restore the active adapter of a peft model in place, in memory.

    `options` are those of the command `restore`, with underscores: task, report_set, benign, judge, budget, seed,
    limit, ... With `out`, a new directory gets the answers and the reports. The aligned model is the base, with the
    adapter turned off. The model's dtype, device, training mode and requires_grad stay as they were; so do the
    adapter's values if the task is under its floor, without `write_anyway`, or if an exception ends the call.

    Raises InputError for options or a model that do not fit, Undecided if no verdict can be given.
    """
    started = time.monotonic()
    job = _job(model, options)
    loaded = load_request(job)
    require_harmful_set(loaded.sets)
    settings = search_settings(job, loaded, method_options(job))
    if job.out:
        check_place(job.out, [], job.overwrite)
    with as_pair(model, tokenizer) as pair:
        loaded.prepare({"aligned": pair.aligned, "tuned": pair.tuned})
        unseen = [*loaded.sets, *([loaded.task.report] if loaded.task else [])]
        recovery = recover(pair, settings, unseen=unseen, notify=notify)
        restored = recovery.checkpoint
        models = {"aligned": pair.aligned, "tuned": pair.tuned, "restored": restored}
        leakage = {prompts.name: prompts_leakage(job, prompts) for prompts in loaded.sets}
        evaluation = loaded.conduct(loaded.prepare(models), job.out, notify, leakage)
        failures = judge_outcome(job, evaluation)
        code = Exit.FAILED if failures else Exit.OK
        result = loaded.result(models, evaluation, code, None, time.monotonic() - started)
        result = with_restoration(result, recovery, failures, restored.path)
        if job.out:
            viewer.write(result, job.out)
            render.write(result, job.out)
        weights = model.get_base_model().live_adapter.weights
        undo = partial(_write_back, _differences(weights, pair.tuned, restored))
        kept = pair.tuned if misses_floor(failures) and not job.write_anyway else restored
        assert kept.resident  # noqa: S101, as_pair() gives one
        kept.resident(kept)
    adapter = RestoredAdapter.model_validate(result.model_dump(by_alias=True))
    adapter._undo = undo
    return adapter


def _job(model: Any, options: Mapping[str, Any]) -> Job:
    """The request that the options make. Raises InputError for an option that is not known here."""
    if wrong := [name for name in options if name not in Job.model_fields or name in FILE_OPTIONS]:
        raise InputError(f"restore_adapter has no option {wrong[0]}; it takes the model in memory as it is")
    texts = {name: str(value) for name, value in options.get("option", {}).items()}
    device = str(next(model.parameters()).device)
    given = {**options, "option": texts, "device": device, "offload": "never"}
    return Job(aligned="the base", tuned="the adapter", **given)


Difference = tuple[Tensor, Tensor, Tensor]  # (parameter, flat positions, tuned values)


def _differences(weights: Mapping[str, Tensor], tuned: Checkpoint, restored: Checkpoint) -> list[Difference]:
    """For each of the adapter's parameters: where the restored value differs, and the tuned values there."""
    differences = []
    for name, parameter in weights.items():
        before, after = (checkpoint.tensor(name).reshape(-1) for checkpoint in (tuned, restored))
        positions = (before != after).nonzero().squeeze(1)
        if positions.numel():
            differences.append((parameter, positions, before[positions].clone()))
    return differences


@torch.no_grad()
def _write_back(differences: list[Difference]) -> None:
    for parameter, positions, values in differences:
        parameter.data.view(-1)[positions.to(parameter.device)] = values.to(parameter)


class RestoreCallback(TrainerCallback):  # type: ignore[misc]
    """Restores the adapter at the end of a Trainer's training, before it is saved. `result` is then the result.

    Takes the options of `restore_adapter`.
    """

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.result: RestoredAdapter | None = None

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002, the Trainer's
        """Restore the trained model."""
        if not state.is_world_process_zero:
            raise InputError("found a training in several processes; expected one: save the adapter, then run restore")
        self.result = restore_adapter(kwargs["model"], kwargs["processing_class"], **self.options)
