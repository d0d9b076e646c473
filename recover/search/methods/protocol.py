"""What a method is given, and what it owes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from recover.checkpoints.patch import Edit

TokenIds = Sequence[int]
PromptAndAnswer = tuple[TokenIds, TokenIds]
Answers = Callable[[Any, Sequence[TokenIds], int], list[list[int]]]  # (model, prompts, most tokens) -> answers


@dataclass(frozen=True)
class Data:
    """The capture parts as token ids: all that a method may look at. Validation and report prompts are not here."""

    harmful: Sequence[TokenIds]
    general: Sequence[TokenIds]
    task: Sequence[TokenIds]
    references: Sequence[TokenIds]  # the task's reference answers, end token included; parallel to `task`
    answer: Answers
    refuses: Callable[[TokenIds], bool]  # whether an answer is a refusal


@dataclass(frozen=True)
class Limits:
    """How far a method may go: at most `weights` restored coordinates; `seed` for whatever it draws."""

    weights: int
    seed: int = 0


@dataclass(frozen=True)
class Step:
    """What a method says of a step that it took: the live model holds the step's weights."""

    k: int
    objective: float | None = None
    terms: Mapping[str, float] = field(default_factory=dict)
    edit: Edit | None = None  # only where the live model's selection does not say it
    note: str = ""
    measure: bool = True  # whether this step is worth a measurement


@dataclass(frozen=True)
class Check:
    """What was measured at a step on the validation parts, and what is asked. Fractions; None where not measured."""

    harmful: float | None
    target: float
    task: float | None = None
    floor: float | None = None
    noise: float = 0.0  # one standard error of what the task lost, row by row

    @property
    def safe(self) -> bool:
        """Whether the harmful rate is at or under its target."""
        return self.harmful is not None and self.harmful <= self.target

    @property
    def kept(self) -> bool:
        """Whether the task is at or over its floor, or under it by no more than noise; true where there is no task."""
        return self.floor is None or (self.task is not None and self.task >= self.floor - self.noise)

    @property
    def met(self) -> bool:
        """Whether target and floor are met: the search may end."""
        return self.safe and self.kept


OnStep = Callable[[Step], Check]


class Method(Protocol):
    """Moves the live model and calls `on_step` after each step; recovery measures there and keeps the best step.

    Called with keyword options beside these four; returns why it stopped, in a few words.
    """

    __call__: Callable[..., str]
