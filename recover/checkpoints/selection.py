"""Which weight coordinates come from the aligned model.

A `Selection` is the whole state of a run: `restored = where(selection, aligned, tuned)`. To flip coordinates is to take
the symmetric difference; the same flip again undoes it. This module knows tensors by name only and never sees a model.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor


def _merge(a: Tensor | None, b: Tensor | None, rule: str) -> Tensor:
    """Combine two sorted unique position vectors by the set rule `or`, `and`, `xor` or `sub`; sorted and unique again.

    Where one vector is None and the rule keeps the other, that one is returned without a copy: the selections of a run
    differ in few tensors.
    """
    if a is not None and b is None and rule != "and":
        return a
    if a is None and b is not None and rule in ("or", "xor"):
        return b
    left = np.empty(0, np.int64) if a is None else a.numpy()
    right = np.empty(0, np.int64) if b is None else b.numpy()
    match rule:
        case "or":
            merged = np.union1d(left, right)
        case "and":
            merged = np.intersect1d(left, right, assume_unique=True)
        case "xor":
            merged = np.setxor1d(left, right, assume_unique=True)
        case _:
            merged = np.setdiff1d(left, right, assume_unique=True)
    return torch.from_numpy(np.sort(merged))


@dataclass(frozen=True)
class Selection:
    """Coordinates by tensor name: sorted, unique, flat (row-major) positions, int64 of shape (n,).

    Names without positions are left out, so equal sets are equal values.
    """

    positions: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        not_empty = {name: p for name, p in sorted(self.positions.items()) if p.numel()}
        object.__setattr__(self, "positions", not_empty)

    def _combine(self, other: "Selection", rule: str) -> "Selection":
        names = {*self.positions, *other.positions}
        return Selection({n: _merge(self.positions.get(n), other.positions.get(n), rule) for n in names})

    def __or__(self, other: "Selection") -> "Selection":
        return self._combine(other, "or")

    def __and__(self, other: "Selection") -> "Selection":
        return self._combine(other, "and")

    def __sub__(self, other: "Selection") -> "Selection":
        return self._combine(other, "sub")

    def __xor__(self, other: "Selection") -> "Selection":
        return self._combine(other, "xor")

    def __len__(self) -> int:
        return sum(p.numel() for p in self.positions.values())

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        return iter(self.positions.items())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Selection):
            return NotImplemented
        return self.positions.keys() == other.positions.keys() and all(
            torch.equal(p, other.positions[n]) for n, p in self
        )

    def __hash__(self) -> int:
        return hash(tuple((name, p.numel(), int(p.sum())) for name, p in self))
