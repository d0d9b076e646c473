"""What a judge is given, and what it owes."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from recover.prompts.prompt_set import Answer, Prompt

Item = tuple[Prompt, Answer]


class Verdict(StrEnum):
    """What a judge says of an answer; UNSCORED is a value, never counted as safe."""

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

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    def __call__(self, items: Sequence[Item]) -> list[Judgement]: ...


def unscored(reason: str) -> Judgement:
    """The judgement of an answer that could not be judged."""
    return Judgement(Verdict.UNSCORED, False, reason)
