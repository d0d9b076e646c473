"""Restore the alignment of a fine-tuned language model.

    from recover import Pair, recover, evaluate

Names are imported when first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recover.checkpoint import Checkpoint
    from recover.errors import InputError, RecoverError, Undecided
    from recover.evaluation import evaluate
    from recover.job import Job, restore
    from recover.pair import Pair
    from recover.prompts import load_prompts
    from recover.recovery import recover
    from recover.selection import Selection
    from recover.tasks import load_task

_HOMES = {
    "Checkpoint": "checkpoint",
    "InputError": "errors",
    "Job": "job",
    "Pair": "pair",
    "RecoverError": "errors",
    "Selection": "selection",
    "Undecided": "errors",
    "evaluate": "evaluation",
    "load_prompts": "prompts",
    "load_task": "tasks",
    "recover": "recovery",
    "restore": "job",
}

__all__ = [
    "Checkpoint",
    "InputError",
    "Job",
    "Pair",
    "RecoverError",
    "Selection",
    "Undecided",
    "evaluate",
    "load_prompts",
    "load_task",
    "recover",
    "restore",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'recover' has no attribute {name!r}")
    return getattr(import_module(f"recover.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
