"""Exact streaming top-k over scores: which coordinates have the largest gains, in one pass and few entries."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from recover.checkpoints.selection import Selection

SCORES_AT_A_TIME = 1 << 18  # scores scanned at a time: they and the scratch memory stay in the cache
FIRST_SCORES = (
    1 << 14
)  # of them the first time; then as many as were seen, so that few pass a threshold that is still low


@dataclass
class _Buffer:
    """At most a few k of the best scores seen so far, with their positions."""

    k: int
    names: list[str] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)
    owners: list[np.ndarray] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)
    held: int = 0
    threshold: float = 0.0

    def add(self, name: str, scores: np.ndarray, positions: np.ndarray) -> None:
        if not self.names or self.names[-1] != name:
            self.names.append(name)
        self.scores.append(scores)
        self.owners.append(np.full(scores.size, len(self.names) - 1, np.int32))
        self.positions.append(positions)
        self.held += scores.size
        if self.held > 4 * self.k + 1024:
            self.shrink()

    def shrink(self) -> None:
        """Keep exactly the k best; a partition cuts first, so that only ties at the edge need the full order."""
        scores, owners, positions = (np.concatenate(x) for x in (self.scores, self.owners, self.positions))
        if scores.size > self.k:
            edge = np.partition(scores, scores.size - self.k)[scores.size - self.k]
            above, ties = np.flatnonzero(scores > edge), np.flatnonzero(scores == edge)
            ties = ties[np.lexsort((positions[ties], self.order()[owners[ties]]))][: self.k - above.size]
            best = np.concatenate([above, ties])
            scores, owners, positions = scores[best], owners[best], positions[best]
            self.threshold = float(edge)
        self.scores, self.owners, self.positions, self.held = [scores], [owners], [positions], scores.size

    def order(self) -> np.ndarray:
        """The rank of each name in alphabetical order."""
        return np.argsort(np.argsort(self.names, kind="stable"), kind="stable")

    def ranking(self) -> "Ranking":
        if not self.held:
            return Ranking((), np.empty(0, np.float32), np.empty(0, np.int32), np.empty(0, np.int64))
        self.shrink()
        scores, owners, positions = self.scores[0], self.owners[0], self.positions[0]
        best = np.lexsort((positions, self.order()[owners], -scores))
        return Ranking(tuple(self.names), scores[best], owners[best], positions[best])


@dataclass(frozen=True)
class Ranking:
    """The best scores of a pass, best first: `owners` index into `names`, `positions` are flat positions."""

    names: tuple[str, ...]
    scores: np.ndarray
    owners: np.ndarray
    positions: np.ndarray

    def first(self, k: int) -> Selection:
        """The k best (or all, if fewer): the selection that `top_k` would have made."""
        return _selection(self.names, self.owners[:k], self.positions[:k])

    def __len__(self) -> int:
        return len(self.scores)

    def between(self, start: int, end: int) -> Selection:
        """The coordinates from rank `start` up to and without `end`."""
        return _selection(self.names, self.owners[start:end], self.positions[start:end])

    def again(self, scores: Iterable[tuple[str, Tensor]]) -> np.ndarray:
        """What another pass of scores gives these coordinates, in their order; 0 where it has none."""
        again = np.zeros_like(self.scores)
        for name, tensor in scores:
            mine = np.flatnonzero(self.owners == self.names.index(name)) if name in self.names else ()
            if len(mine):
                positions = torch.from_numpy(self.positions[mine]).to(tensor.device)
                again[mine] = tensor.detach().reshape(-1)[positions].float().cpu().numpy()
        return again

    def rescored(self, scores: np.ndarray) -> "Ranking":
        """The same coordinates under other scores, in their new order; those whose score is not positive are out."""
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] > 0]
        return Ranking(self.names, scores[order], self.owners[order], self.positions[order])


def _selection(names: Sequence[str], owners: np.ndarray, positions: np.ndarray) -> Selection:
    return Selection({names[o]: torch.from_numpy(np.sort(positions[owners == o])) for o in np.unique(owners)})


def rank(scores: Iterable[tuple[str, Tensor]], k: int) -> Ranking:
    """Rank the k largest positive scores, in one pass that holds a few k entries.

    `scores` yields (name, tensor of any shape), each name once, in any order. Holds exactly min(k, number of positive
    scores); NaN counts as not positive. Ties are broken by (score descending, name, position), so the result does not
    depend on the order of names, on sharding or on SCORES_AT_A_TIME.
    """
    return _best(scores, k).ranking()


def _best(scores: Iterable[tuple[str, Tensor]], k: int) -> _Buffer:
    """The pass over the scores."""
    buffer = _Buffer(max(k, 1))
    seen = 0
    for name, tensor in scores:
        flat, start = tensor.detach().reshape(-1), 0
        while start < flat.numel() and k > 0:
            part = flat[start : start + min(SCORES_AT_A_TIME, max(FIRST_SCORES, seen))]
            over, positions = _over(part, buffer.threshold)
            if positions.size:
                buffer.add(name, over, positions + start)
            start, seen = start + part.numel(), seen + part.numel()
    return buffer


def _over(part: Tensor, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """The fp32 scores that are positive and at or over a threshold, and where they are."""
    if part.device.type != "cpu":  # only the survivors leave the device
        kept = ((part > 0) & (part >= threshold)).nonzero().squeeze(1)
        return part[kept].float().cpu().numpy(), kept.cpu().numpy()
    scores: np.ndarray = part.float().numpy()
    positions = np.flatnonzero(scores >= threshold if threshold > 0 else scores > 0)
    return scores[positions], positions


def top_k(scores: Iterable[tuple[str, Tensor]], k: int) -> Selection:
    """Select exactly min(k, number of positive scores) coordinates of largest score: see `rank`."""
    buffer = _best(scores, k)
    if not buffer.held:
        return Selection()
    buffer.shrink()
    return _selection(buffer.names, buffer.owners[0], buffer.positions[0])


def sample(sizes: Mapping[str, int], k: int, seed: int) -> Selection:
    """Draw min(k, total) coordinates uniformly without replacement from tensors of the given sizes (the null)."""
    names = sorted(sizes)
    ends = np.cumsum([sizes[n] for n in names]) if names else np.zeros(1, np.int64)
    drawn = np.sort(
        np.random.default_rng(seed).choice(ends[-1], size=min(k, int(ends[-1])), replace=False, shuffle=False)
    )
    starts = np.concatenate([[0], ends[:-1]])
    return Selection(
        {
            n: torch.from_numpy(drawn[(drawn >= a) & (drawn < b)] - a)
            for n, a, b in zip(names, starts, ends, strict=False)
        }
    )
