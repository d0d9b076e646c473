"""How a run computes, as one value. Its defaults stand here and nowhere else."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from recover.generation.batched import Batches


@dataclass(frozen=True)
class Runtime:
    """How a run computes. `batches` is shared by all of it, since it shrinks where memory runs out."""

    device: str = "auto"
    dtype: str = "auto"
    offload: str = "auto"
    batches: "Batches | None" = None
    seed: int = 0


@dataclass(frozen=True)
class Settings:
    """What every kind of run has settings for."""

    runtime: Runtime = field(default_factory=Runtime, kw_only=True)


AnySettings = TypeVar("AnySettings", bound=Settings)


def changed(settings: AnySettings, changes: Mapping[str, Any]) -> AnySettings:
    """Settings with some fields changed, by name; those of the runtime are named as if they were its owner's.

    Raises TypeError for a name that is neither's.
    """
    names = {one.name for one in fields(Runtime)}
    runtime = {name: value for name, value in changes.items() if name in names}
    own = {name: value for name, value in changes.items() if name not in names}
    return replace(settings, **{"runtime": replace(settings.runtime, **runtime), **own})
