"""Errors that users see, and the exit codes of the commands.

RecoverError
├── InputError     a file, option or combination that the user can correct        exit 2
└── Undecided      a valid request that could not be answered                     exit 3
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pydantic import ValidationError


class Exit(IntEnum):
    """The exit codes of every command."""

    OK = 0  # done; a gate passed
    FAILED = 1  # failed: a restored model missed its target or floor or is broken, a gate failed, prompt sets overlap
    USAGE = 2  # usage, policy or input error
    UNDECIDED = 3  # could not decide: a failed load, out of memory, too little data, any unexpected error
    INTERRUPTED = 130  # stopped by the user; nothing half-written


class RecoverError(Exception):
    """An expected error. Its text is one sentence: what was found, what was expected, what to do."""

    exit_code: ClassVar[Exit] = Exit.UNDECIDED


class InputError(RecoverError):
    """The user's input cannot be used as it is."""

    exit_code: ClassVar[Exit] = Exit.USAGE


class Undecided(RecoverError):
    """The input is valid, but the question could not be answered."""


# Parts of messages


def reason_of(error: object, limit: int = 240) -> str:
    """What an error of a library says, in one line and shortened; its type where it says nothing."""
    return " ".join(str(error).split())[:limit] or type(error).__name__


def few(items: Sequence[object], limit: int = 3) -> str:
    """The first `limit` items as text, and how many more there are."""
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(str(item) for item in items[:limit]) + more


def first_problem(error: "ValidationError") -> str:
    """The first problem of a validation with the field that has it, and how many more there are."""
    problem, *others = error.errors(include_url=False)
    field = "".join(f"{part}." for part in problem["loc"])
    more = f" (and {len(others)} more)" if others else ""
    return f"{field[:-1]}: {problem['msg']}{more}".removeprefix(": ").replace("Value error, ", "")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on an accelerator or on a CPU."""
    signs = ("out of memory", "allocate memory")
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in signs)
