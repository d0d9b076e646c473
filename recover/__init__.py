"""Restore the alignment of a fine-tuned language model.

    from recover import Pair, recover, evaluate

Names are imported when first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recover.checkpoints.checkpoint import Checkpoint
    from recover.checkpoints.pair import Pair
    from recover.checkpoints.selection import Selection
    from recover.errors import InputError, RecoverError, Undecided
    from recover.evaluation.evaluate import evaluate
    from recover.jobs.in_memory import RestoreCallback, restore_adapter
    from recover.jobs.request import Job
    from recover.jobs.restore import restore
    from recover.prompts.prompt_set import load_prompts
    from recover.prompts.tasks import load_task
    from recover.search.loop import recover

_HOMES = {
    "Checkpoint": "checkpoints.checkpoint",
    "InputError": "errors",
    "Job": "jobs.request",
    "Pair": "checkpoints.pair",
    "RecoverError": "errors",
    "RestoreCallback": "jobs.in_memory",
    "Selection": "checkpoints.selection",
    "Undecided": "errors",
    "evaluate": "evaluation.evaluate",
    "load_prompts": "prompts.prompt_set",
    "load_task": "prompts.tasks",
    "recover": "search.loop",
    "restore": "jobs.restore",
    "restore_adapter": "jobs.in_memory",
}

__all__ = [
    "Checkpoint",
    "InputError",
    "Job",
    "Pair",
    "RecoverError",
    "RestoreCallback",
    "Selection",
    "Undecided",
    "evaluate",
    "load_prompts",
    "load_task",
    "recover",
    "restore",
    "restore_adapter",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'recover' has no attribute {name!r}")
    return getattr(import_module(f"recover.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
