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
    """At most a few k of the best scores seen so far, with where they were."""

    k: int
    names: list[str] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)
    owners: list[np.ndarray] = field(default_factory=list)
    places: list[np.ndarray] = field(default_factory=list)
    held: int = 0
    threshold: float = 0.0

    def add(self, name: str, scores: np.ndarray, places: np.ndarray) -> None:
        if not self.names or self.names[-1] != name:
            self.names.append(name)
        self.scores.append(scores)
        self.owners.append(np.full(scores.size, len(self.names) - 1, np.int32))
        self.places.append(places)
        self.held += scores.size
        if self.held > 4 * self.k + 1024:
            self.shrink()

    def shrink(self) -> None:
        """Keep exactly the k best; a partition cuts first, so that only ties at the edge need the full order."""
        scores, owners, places = (np.concatenate(x) for x in (self.scores, self.owners, self.places))
        if scores.size > self.k:
            edge = np.partition(scores, scores.size - self.k)[scores.size - self.k]
            above, ties = np.flatnonzero(scores > edge), np.flatnonzero(scores == edge)
            ties = ties[np.lexsort((places[ties], self.order()[owners[ties]]))][: self.k - above.size]
            best = np.concatenate([above, ties])
            scores, owners, places = scores[best], owners[best], places[best]
            self.threshold = float(edge)
        self.scores, self.owners, self.places, self.held = [scores], [owners], [places], scores.size

    def order(self) -> np.ndarray:
        """The rank of each name in alphabetical order."""
        return np.argsort(np.argsort(self.names, kind="stable"), kind="stable")

    def ranking(self) -> "Ranking":
        if not self.held:
            return Ranking((), np.empty(0, np.float32), np.empty(0, np.int32), np.empty(0, np.int64))
        self.shrink()
        scores, owners, places = self.scores[0], self.owners[0], self.places[0]
        best = np.lexsort((places, self.order()[owners], -scores))
        return Ranking(tuple(self.names), scores[best], owners[best], places[best])


@dataclass(frozen=True)
class Ranking:
    """The best scores of a pass, best first: `owners` index into `names`, `places` are flat positions."""

    names: tuple[str, ...]
    scores: np.ndarray
    owners: np.ndarray
    places: np.ndarray

    def first(self, k: int) -> Selection:
        """The k best (or all, if fewer): the selection that `top_k` would have made."""
        return _selection(self.names, self.owners[:k], self.places[:k])

    def __len__(self) -> int:
        return len(self.scores)

    def between(self, start: int, end: int) -> Selection:
        """The coordinates from place `start` of the ranking up to `end`, which is not among them."""
        return _selection(self.names, self.owners[start:end], self.places[start:end])

    def again(self, scores: Iterable[tuple[str, Tensor]]) -> np.ndarray:
        """What another pass of scores gives these coordinates, in their order; 0 where it has none."""
        found = np.zeros_like(self.scores)
        for name, tensor in scores:
            mine = np.flatnonzero(self.owners == self.names.index(name)) if name in self.names else ()
            if len(mine):
                places = torch.from_numpy(self.places[mine]).to(tensor.device)
                found[mine] = tensor.detach().reshape(-1)[places].float().cpu().numpy()
        return found

    def rescored(self, scores: np.ndarray) -> "Ranking":
        """The same coordinates under other scores, in their new order; those whose score is not positive are out."""
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] > 0]
        return Ranking(self.names, scores[order], self.owners[order], self.places[order])


def _selection(names: Sequence[str], owners: np.ndarray, places: np.ndarray) -> Selection:
    return Selection({names[o]: torch.from_numpy(np.sort(places[owners == o])) for o in np.unique(owners)})


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
            found, places = _over(part, buffer.threshold)
            if places.size:
                buffer.add(name, found, places + start)
            start, seen = start + part.numel(), seen + part.numel()
    return buffer


def _over(part: Tensor, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """The fp32 scores that are positive and at or over a threshold, and where they are."""
    if part.device.type != "cpu":  # only the survivors leave the device
        kept = ((part > 0) & (part >= threshold)).nonzero().squeeze(1)
        return part[kept].float().cpu().numpy(), kept.cpu().numpy()
    scores: np.ndarray = part.float().numpy()
    places = np.flatnonzero(scores >= threshold if threshold > 0 else scores > 0)
    return scores[places], places


def top_k(scores: Iterable[tuple[str, Tensor]], k: int) -> Selection:
    """Select exactly min(k, number of positive scores) coordinates of largest score: see `rank`."""
    buffer = _best(scores, k)
    if not buffer.held:
        return Selection()
    buffer.shrink()
    return _selection(buffer.names, buffer.owners[0], buffer.places[0])


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
