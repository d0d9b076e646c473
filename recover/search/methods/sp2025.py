"""The published method, as its paper and code do it: "Alleviating the Fear of Losing Alignment in LLM Fine-tuning",
IEEE S&P 2025, arXiv 2504.09757.

The direction is the mean hidden state of the aligned model at the last token of harmful prompts, at the output of block
L. Each step copies back the weights of the first L blocks whose gradient of -cos(hidden state, direction) is largest
and points toward the aligned value. With rollback, a second gradient on task prompts gives some of them back.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from recover.checkpoints.architecture import block_of, decoder_blocks
from recover.checkpoints.selection import Selection
from recover.errors import InputError
from recover.model.editable import EditableModel
from recover.search.methods.protocol import Data, Limits, OnStep, Step, TokenIds
from recover.search.objective import last_hidden
from recover.search.ranking import top_k

BATCH_PROMPTS = 8  # prompts in a mini-batch: the loss is on the batch mean, so this is part of the method
BatchLosses = Callable[[], Iterator[Callable[[Any], Tensor]]]


def sp2025(
    live: EditableModel,
    data: Data,
    limits: Limits,
    on_step: OnStep,
    *,
    rate: float = 0.002,
    steps: int = 20,
    layers: int = 0,
    accumulate: bool = True,
    rollback: str = "auto",
    returned: float = 0.2,
    warm_up: int = 5,
) -> str:
    """Run sp2025: `steps` times `rate` of all weights, read every `warm_up` steps.

    `layers` is L (0: two thirds of the depth). `accumulate` keeps adding gradients over the steps while rollback is
    off. `rollback` is on, off, or auto: start without, and start again with it if after `warm_up` steps the task is
    under its floor. `returned` is the share of a step's weights that a rollback may give back.
    """
    if rollback not in ("auto", "on", "off"):
        raise InputError(f"sp2025 has rollback={rollback!r}; expected auto, on or off")
    blocks = len(decoder_blocks(live.model)[1])
    if not 0 <= layers <= blocks or warm_up < 1:
        raise InputError(
            f"sp2025 has layers={layers}, warm_up={warm_up}; expected layers of 0 to {blocks}, warm_up of 1 or more"
        )
    depth = layers or ceil(2 * blocks / 3)
    names = candidates(live, depth)
    k = ceil(rate * live.pair.tuned.weights)
    with live.as_aligned() as model:
        safe = partial(_losses, data.harmful, mean_hidden(model, data.harmful, depth), depth)
    useful = partial(_losses, data.task, mean_hidden(live.model, data.task, depth), depth) if data.task else None
    run = Run(live, names, safe, useful, k, steps, warm_up, returned, limits.weights)
    probes = rollback == "auto" and bool(useful)
    if rollback != "on" and take_steps(run, on_step, accumulate=accumulate, roll_back=False, probe=probes):
        return f"{steps} steps done"
    live.flip(live.selection)
    take_steps(run, on_step, accumulate=False, roll_back=useful is not None, probe=False)
    return f"{steps} steps with rollback done"


@dataclass(frozen=True)
class Run:
    """What stays the same in all steps of a run."""

    live: EditableModel
    names: Sequence[str]  # the candidates' tensors
    safe: BatchLosses  # on harmful prompts
    useful: BatchLosses | None  # on the task's prompts
    k: int  # weights that a step restores
    steps: int
    every: int  # steps from one check to the next
    returned: float  # the share of a step's weights that a rollback may give back
    budget: int  # the most weights that may be restored


def take_steps(run: Run, on_step: OnStep, *, accumulate: bool, roll_back: bool, probe: bool) -> bool:
    """Take the steps; False if the probe at the first check found the task under its floor."""
    live, total = run.live, dict[str, Tensor]()
    for step in range(1, run.steps + 1):
        room = min(run.k, run.budget - len(live.selection))
        flips = top_k(_restoring(live, run.names, run.safe, total if accumulate else None), room)
        live.flip(flips)
        if roll_back and run.useful is not None:
            live.flip(top_k(_returning(live, run.useful, flips), ceil(run.returned * len(flips))))
        check = on_step(Step(len(flips), measure=step % run.every == 0, note="rollback" if roll_back else ""))
        if probe and step == run.every and not check.kept:
            return False
        if not len(flips):
            break
    return True


def candidates(live: EditableModel, depth: int) -> list[str]:
    """The changed weights of the first `depth` blocks outside normalisation layers."""
    path, _ = decoder_blocks(live.model)
    norms = {
        id(p) for m in live.model.modules() if "norm" in type(m).__name__.lower() for p in m.parameters(recurse=False)
    }
    inside = {n: block_of(n, path) for n in live.parameters}
    names = [n for n, b in inside.items() if b is not None and b < depth and id(live.parameters[n]) not in norms]
    if not names:
        raise InputError(f"no weight of the first {depth} blocks differs between ALIGNED and TUNED: nothing to restore")
    return names


@torch.inference_mode()
def mean_hidden(model: Any, prompts: Sequence[TokenIds], depth: int) -> Tensor:
    """The mean output of block `depth` at the prompts' last tokens: (width,)."""
    parts = [last_hidden(model, prompts[i : i + BATCH_PROMPTS], depth) for i in range(0, len(prompts), BATCH_PROMPTS)]
    return torch.cat(parts).mean(0).clone()


def _losses(prompts: Sequence[TokenIds], direction: Tensor, depth: int) -> Iterator[Callable[[Any], Tensor]]:
    """-cos(mean hidden state of a mini-batch, direction), a loss a mini-batch."""
    for start in range(0, len(prompts), BATCH_PROMPTS):
        yield partial(_away, prompts[start : start + BATCH_PROMPTS], direction, depth)


def _away(prompts: Sequence[TokenIds], direction: Tensor, depth: int, model: Any) -> Tensor:
    return -cosine_similarity(last_hidden(model, prompts, depth).mean(0), direction, dim=0)


def _restoring(
    live: EditableModel, names: Sequence[str], losses: BatchLosses, total: dict[str, Tensor] | None
) -> Iterator[tuple[str, Tensor]]:
    """|gradient| where the weight is the tuned one and sign(tuned - aligned) == sign(gradient), else 0."""
    for name, gradient in live.gradients(losses(), names):
        if total is not None:
            gradient = total[name] = total.get(name, torch.zeros_like(gradient)) + gradient
        aligned, tuned = (v.to(gradient.device).float() for v in live.pair.values(name))
        score = torch.where((tuned - aligned).sign() == gradient.sign(), gradient.abs(), 0.0).reshape(-1)
        taken = live.selection.positions.get(name)
        if taken is not None:
            score[taken.to(score.device)] = 0.0
        yield name, score


def _returning(live: EditableModel, losses: BatchLosses, flips: Selection) -> Iterator[tuple[str, Tensor]]:
    """|gradient| of the task at this step's weights where sign(current - tuned) == sign(gradient), else 0."""
    for name, gradient in live.gradients(losses(), list(flips.positions)):
        aligned, tuned = (v.to(gradient.device).float() for v in live.pair.values(name))
        score = torch.where((aligned - tuned).sign() == gradient.sign(), gradient.abs(), 0.0).reshape(-1)
        mask = torch.zeros_like(score)
        mask[flips.positions[name].to(score.device)] = 1.0
        yield name, score * mask
