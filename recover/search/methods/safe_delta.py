"""Safe Delta: only as much of the update as costs little safety, and the rest adjusted for it. "Safe Delta:
Consistently Preserving Safety when Fine-Tuning LLMs on Diverse Datasets", ICML 2025, arXiv 2505.12038, with the details
that its text leaves open as in the authors' code.

For a matrix (outputs, inputs) let H be the damped sum of x x^T over the aligned model's inputs x on harmful prompts
with its refusals, U the upper factor of H^-1 = U^T U and d its diagonal. An entry delta of tuned - aligned costs
delta^2 / d^2 of safety and gains delta^2 of utility. Starting from the aligned matrix, entries are admitted in the
order of gain over cost, d^2, while their cost adds up to at most

    scale * sum over all entries of 1 / d^2,  over 4096^2

and the last 15 % in that order never. Then, column by column as in SparseGPT (arXiv 2301.00774), the columns that
follow compensate for what was admitted. The authors divide wide matrices into blocks of 2048 columns with a budget
each; here a matrix is one block.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from recover.checkpoints.architecture import decoder_blocks
from recover.checkpoints.patch import Change
from recover.errors import InputError
from recover.model.editable import EditableModel
from recover.search.methods.answers import by_refusal, heads
from recover.search.methods.matrices import by_matrix, linear_layers
from recover.search.methods.protocol import Data, Limits, OnStep, Step
from recover.search.objective import Passage, batches, padded

AUTHORS_WIDTH = 4096  # of the authors' models: their budget is for matrices of this many rows and columns
NEVER = 0.15  # the share of entries, last in the order, that are not admitted
COLUMNS_TOGETHER = 128  # compensated together: one matrix product for the columns after them
Call = tuple[tuple[Any, ...], dict[str, Any]]


def safe_delta(
    live: EditableModel,
    data: Data,
    _limits: Limits,
    on_step: OnStep,
    *,
    scale: float = 0.1,
    order: str = "ratio",
    tokens: int = 64,
    damping: float = 0.01,
) -> str:
    """Admit the part of each matrix's update that costs little safety, and let the rest compensate.

    `scale` is the budget: absolute, as published, so that updates far larger than those of a 7B model need more.
    `order` is ratio (the published gain over cost) or cost (the cheapest entries first). `tokens` of the aligned
    model's own refusals are read; `damping` is the share of H's mean diagonal that is added to it.
    """
    if order not in ("ratio", "cost"):
        raise InputError(f"safe-delta has order={order!r}; expected ratio or cost")
    layers, edit = linear_layers(live), dict[str, Change]()
    if odd := [name for name in live.matrices if name not in layers]:
        raise InputError(f"{odd[0]} is no linear layer's weight, and safe-delta knows no other; use another method")
    with live.as_aligned() as model:
        refused, answered = by_refusal(model, data, data.harmful, tokens)
        for grams in inputs(model, heads(refused or answered, tokens), layers):
            edit |= by_matrix(live, grams, partial(_restored, grams, scale, order, damping))
    with live.edited(edit):
        on_step(Step(0, edit=edit, note=f"scale = {scale}"))
    return f"{len(edit)} matrices adjusted"


def inputs(model: Any, passages: Sequence[Passage], layers: dict[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """Block by block, the sum of x x^T over what enters each linear layer: (inputs, inputs), fp32, by weight name.

    The passages run once through the whole model, keeping what enters each block; then each block runs again by itself.
    """
    blocks = decoder_blocks(model)[1]
    entered: list[list[Call]] = [[] for _ in blocks]
    hooks = [
        block.register_forward_pre_hook(lambda _block, *call, part=part: part.append(call), with_kwargs=True)
        for block, part in zip(blocks, entered, strict=True)
    ]
    real = []
    for batch in batches(passages):
        rows = [passages[i] for i in batch]
        ids = padded(rows, model.device)
        real.append(torch.arange(ids.shape[1]) < torch.tensor([[len(row.tokens)] for row in rows]))
        model(input_ids=ids, use_cache=False)
    for hook in hooks:
        hook.remove()
    names = {layer: name for name, layer in layers.items()}
    for block, calls in zip(blocks, entered, strict=True):
        yield _sums(block, calls, real, {m: names[m] for m in block.modules() if m in names})


def _sums(block: Any, calls: list[Call], real: list[Tensor], names: dict[nn.Module, str]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for (args, kwargs), mask in zip(calls, real, strict=True):

        def add(layer: nn.Module, given: tuple[Tensor, ...], mask: Tensor = mask) -> None:
            x = given[0][mask.to(given[0].device)].float()
            found[names[layer]] = found.get(names[layer], 0) + x.mT @ x

        hooks = [layer.register_forward_pre_hook(add) for layer in names]
        block(*args, **kwargs)
        for hook in hooks:
            hook.remove()
    return found


def _restored(
    grams: dict[str, Tensor], scale: float, order: str, damping: float, name: str, aligned: Tensor, tuned: Tensor
) -> Tensor:
    return adjusted(aligned.double(), tuned.double(), grams[name].double(), scale, order, damping)


def adjusted(aligned: Tensor, tuned: Tensor, gram: Tensor, scale: float, order: str, damping: float) -> Tensor:
    """The restored matrix (outputs, inputs), from the sum of x x^T over its inputs (inputs, inputs)."""
    upper = inverse_factor(gram, damping)
    return compensated(aligned, tuned, admitted(tuned - aligned, upper.diagonal() ** 2, scale, order), upper)


def inverse_factor(gram: Tensor, damping: float) -> Tensor:
    """U, upper triangular, with U^T U the inverse of the damped H; inputs that were always 0 count as 1."""
    diagonal = gram.diagonal()
    floor = damping * torch.where(diagonal == 0, 1, diagonal).mean()
    damped = gram + torch.diag((diagonal == 0) + floor)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    upper: Tensor = torch.linalg.cholesky(inverse, upper=True)
    return upper


def admitted(update: Tensor, squares: Tensor, scale: float, order: str) -> Tensor:
    """Which entries of an update (outputs, inputs) are admitted, given d^2 (inputs)."""
    cost = update**2 / squares
    weight = (1 / squares).expand_as(cost)
    cheapest = (weight if order == "ratio" else cost).flatten().argsort(stable=True)
    cheapest = cheapest[: cost.numel() - int(NEVER * cost.numel())]
    fits = cost.flatten()[cheapest].cumsum(0) <= scale * weight.sum() / AUTHORS_WIDTH**2
    mask = torch.zeros(cost.numel(), dtype=torch.bool, device=cost.device)
    mask[cheapest[fits]] = True
    return mask.view(cost.shape)


def compensated(aligned: Tensor, tuned: Tensor, mask: Tensor, upper: Tensor) -> Tensor:
    """The aligned matrix with the tuned entries of `mask`; each column's change is made up for in the later ones."""
    found, width = aligned.clone(), aligned.shape[1]
    for start in range(0, width, COLUMNS_TOGETHER):
        end = min(start + COLUMNS_TOGETHER, width)
        errors = torch.zeros_like(found[:, start:end])
        for j in range(start, end):
            new = torch.where(mask[:, j], tuned[:, j], found[:, j])
            errors[:, j - start] = error = (found[:, j] - new) / upper[j, j]
            found[:, j] = new
            found[:, j + 1 : end] -= torch.outer(error, upper[j, j + 1 : end])
        found[:, end:] -= errors @ upper[start:end, end:]
    return found
