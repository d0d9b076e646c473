"""RESTA, safety by task arithmetic: "Language Models are Homer Simpson! Safety Re-Alignment of Fine-tuned Language
Models through Task Arithmetic", ACL 2024, arXiv 2402.11746. Its DARE is that of arXiv 2311.03099.

    restored = aligned + DARE(tuned - aligned) + gamma (aligned - unaligned)

DARE drops each entry with probability `drop` and divides the others by 1 - drop; without it the first two terms are the
tuned weights. Every weight is moved, also those that the fine-tune left alone.
"""

import zlib
from functools import partial

import torch
from torch import Tensor

from recover.checkpoints.pair import Pair
from recover.errors import InputError
from recover.model.editable import EditableModel
from recover.search.methods.protocol import Data, Limits, OnStep, Step


def resta(
    live: EditableModel, _data: Data, limits: Limits, on_step: OnStep, *, gamma: float = 0.5, drop: float = 0.0
) -> str:
    """Add `gamma` times the safety vector, aligned - unaligned, to every weight.

    `drop` is the share of the update tuned - aligned that DARE drops. Needs the unaligned model.
    """
    if not 0 <= drop < 1:
        raise InputError(f"resta has drop={drop}; expected a share from 0 to under 1")
    edit = {name: partial(_change, live.pair, name, gamma, drop, limits.seed) for name in live.pair.names}
    with live.edited(edit):
        on_step(Step(0, edit=edit, note=f"gamma = {gamma}"))
    return f"the safety vector added {gamma} times"


def _change(pair: Pair, name: str, gamma: float, drop: float, seed: int, aligned: Tensor, tuned: Tensor) -> Tensor:
    keep = kept(name, tuned.shape, drop, seed)
    return arithmetic(aligned.float(), tuned.float(), pair.before(name).float(), gamma, keep, drop).to(tuned.dtype)


def arithmetic(aligned: Tensor, tuned: Tensor, unaligned: Tensor, gamma: float, keep: Tensor, drop: float) -> Tensor:
    """The formula above; `keep` holds 1 where DARE keeps an entry."""
    update = tuned - aligned
    return tuned + (keep / (1 - drop) - 1) * update + gamma * (aligned - unaligned)


def kept(name: str, shape: torch.Size, drop: float, seed: int) -> Tensor:
    """DARE's mask of a tensor, the same each time: 0 with probability `drop`, else 1."""
    draw = torch.Generator().manual_seed(zlib.crc32(name.encode()) + seed)
    return (torch.rand(shape, generator=draw) >= drop).float()
