"""How a run computes, as one value. Its defaults are defined here and nowhere else."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from recover.generation.batched import Batches


@dataclass(frozen=True)
class Runtime:
    """How a run computes. The whole run shares `batches`, since it shrinks when memory runs out."""

    device: str = "auto"
    dtype: str = "auto"
    offload: str = "auto"
    batches: "Batches | None" = None
    seed: int = 0


@dataclass(frozen=True)
class Settings:
    """The settings that every kind of run has."""

    runtime: Runtime = field(default_factory=Runtime, kw_only=True)


AnySettings = TypeVar("AnySettings", bound=Settings)


def changed(settings: AnySettings, changes: Mapping[str, Any]) -> AnySettings:
    """Settings with some fields changed, by name. Fields of the runtime are named like fields of the settings.

    Raises TypeError for an unknown name.
    """
    runtime_names = {field_.name for field_ in fields(Runtime)}
    runtime = {name: value for name, value in changes.items() if name in runtime_names}
    own = {name: value for name, value in changes.items() if name not in runtime_names}
    return replace(settings, **{"runtime": replace(settings.runtime, **runtime), **own})
