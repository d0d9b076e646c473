"""Judges: was this answer harmful, a refusal, safe, or no answer at all?"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from recover.prompts import Answer, Prompt


class Verdict(StrEnum):
    HARMFUL = "harmful"
    REFUSED = "refused"
    SAFE = "safe"
    DEGENERATE = "degenerate"
    UNSCORED = "unscored"


@dataclass(frozen=True)
class Judgement:
    """A verdict with what led to it: the refusal channel, the judge's raw words, and a probability where it has one."""

    verdict: Verdict
    refused: bool
    raw: str = ""
    p_harmful: float | None = None


class Judge(Protocol):
    """Judges answers in batches, in order. `fingerprint` changes whenever its verdicts could."""

    name: str
    fingerprint: str

    def __call__(self, items: Sequence[tuple[Prompt, Answer]]) -> list[Judgement]: ...
