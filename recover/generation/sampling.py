"""Sampled answers: tokens drawn by a seed of the answer's own, so that no other row of a batch changes them."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn: at a temperature, from the likeliest ones that hold `top_p` of the probability."""

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0

    def drawing(self, ids: Iterable[str]) -> "Drawing":
        """How the answers to prompts with these ids are drawn."""
        return Drawing(self, [self.seed_of(id_) for id_ in ids])

    def seed_of(self, id_: str) -> int:
        """The seed of one answer, by the id of its prompt; of 31 bits, which every server takes."""
        text = f"{self.seed}:{id_}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.sha256(text).digest()[:4]) >> 1


@dataclass(frozen=True)
class Drawing:
    """How the answers to some prompts are drawn: each by its own seed."""

    sampling: Sampling
    seeds: Sequence[int]

    def of(self, rows: Sequence[int]) -> "Drawing":
        """The same for some of the prompts."""
        return Drawing(self.sampling, [self.seeds[row] for row in rows])


class Draws:
    """The generators of a batch, one for each row; every token of a row takes as many numbers from its own."""

    def __init__(self, drawing: Drawing, device: torch.device) -> None:
        self.sampling = drawing.sampling
        self._generators = [torch.Generator(device).manual_seed(seed) for seed in drawing.seeds]

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only."""
        self._generators = [self._generators[row] for row in rows]

    def processors(self) -> Any:
        """What makes transformers' greedy generation draw: scores that leave the drawn token alone possible."""
        from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

        shaping = [TemperatureLogitsWarper(self.sampling.temperature)]
        if self.sampling.top_p < 1:
            shaping.append(TopPLogitsWarper(self.sampling.top_p))
        return LogitsProcessorList([*shaping, self._drawn])

    def _drawn(self, _ids: Tensor, scores: Tensor) -> Tensor:  # (rows, vocabulary) of scores
        """Draw by an exponential race, won by a token with its probability.

        Rounding that depends on the batch moves the times a little, and with them the winner hardly ever; the steps of
        a cumulative sum it would move all.
        """
        noise = torch.stack([torch.empty_like(scores[0]).exponential_(generator=g) for g in self._generators])
        winners = (scores.softmax(-1) / noise).argmax(-1, keepdim=True)
        return torch.full_like(scores, -torch.inf).scatter(-1, winners, 0.0)
