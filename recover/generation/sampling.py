"""Sampled answers. Each answer is drawn with its own seed, so no other row of a batch changes it."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn: at a temperature, from the likeliest tokens that together have the probability `top_p`."""

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0

    def drawing(self, ids: Iterable[str]) -> "Drawing":
        """The drawing of the answers to the prompts with these ids."""
        return Drawing(self, [self.seed_of(id_) for id_ in ids])

    def seed_of(self, id_: str) -> int:
        """The seed of one answer, from the id of its prompt. It has 31 bits, which every server accepts."""
        text = f"{self.seed}:{id_}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.sha256(text).digest()[:4]) >> 1


@dataclass(frozen=True)
class Drawing:
    """How the answers to some prompts are drawn: each with its own seed."""

    sampling: Sampling
    seeds: Sequence[int]

    def of(self, indices: Sequence[int]) -> "Drawing":
        """The drawing of some of these answers, by their indices."""
        return Drawing(self.sampling, [self.seeds[index] for index in indices])


class Draws:
    """The random generators of a batch, one for each row. Every token of a row takes as many numbers from its own."""

    def __init__(self, drawing: Drawing, device: torch.device) -> None:
        self.sampling = drawing.sampling
        self._generators = [torch.Generator(device).manual_seed(seed) for seed in drawing.seeds]

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all rows but these."""
        self._generators = [self._generators[row] for row in rows]

    def processors(self) -> Any:
        """Logits processors that make transformers' greedy generation draw: only the drawn token stays possible."""
        from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

        shaping = [TemperatureLogitsWarper(self.sampling.temperature)]
        if self.sampling.top_p < 1:
            shaping.append(TopPLogitsWarper(self.sampling.top_p))
        return LogitsProcessorList([*shaping, self._draw])

    def _draw(self, _ids: Tensor, scores: Tensor) -> Tensor:  # (rows, vocabulary) of scores
        """Draw by an exponential race, which each token wins with its probability.

        Rounding depends on the batch. It moves the times of the race a little, which hardly ever changes the winner.
        With a cumulative sum it would move every step.
        """
        noise = torch.stack([torch.empty_like(scores[0]).exponential_(generator=g) for g in self._generators])
        winners = (scores.softmax(-1) / noise).argmax(-1, keepdim=True)
        return torch.full_like(scores, -torch.inf).scatter(-1, winners, 0.0)
