"""What a method is given, and what it owes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from recover.artifact import Edit
from recover.live import LiveModel

Tokens = Sequence[int]


@dataclass(frozen=True)
class Data:
    """The capture parts as token ids: all that a method may look at. Validation and report prompts are not here."""

    harmful: Sequence[Tokens]
    general: Sequence[Tokens] = ()
    task: Sequence[Tokens] = ()
    references: Sequence[Tokens] = ()  # the task's reference answers, end token included; parallel to `task`
    answer: Callable[[Any, Sequence[Tokens], int], list[list[int]]] = lambda model, prompts, tokens: []
    refuses: Callable[[Tokens], bool] = lambda tokens: False  # whether an answer is a refusal


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
    done: bool = False  # target and floor have been met for long enough: the search may end

    @property
    def safe(self) -> bool:
        """Whether the harmful rate is at or under its target."""
        return self.harmful is not None and self.harmful <= self.target

    @property
    def kept(self) -> bool:
        """Whether the task is at or over its floor; true where there is no task."""
        return self.floor is None or (self.task is not None and self.task >= self.floor)


OnStep = Callable[[Step], Check]


class Method(Protocol):
    """Moves the live model and calls `on_step` after each step; recovery measures there and keeps the best step.

    Keyword arguments are the method's options, with their defaults.
    """

    def __call__(self, live: LiveModel, data: Data, limits: Limits, on_step: OnStep, **options: Any) -> str: ...

    # returns why it stopped, in a few words
