"""What can go wrong, and the exit code that says so.

RecoverError
├── InputError     a file, option or combination that the user can correct        exit 2
└── Undecided      nothing wrong with the request, but no answer could be given   exit 3
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pydantic import ValidationError


class Exit(IntEnum):
    """The exit codes of every command."""

    OK = 0  # done; a gate passed
    FAILED = 1  # decided, and failed: a restored model missed target or floor or is broken, a gate failed, sets overlap
    USAGE = 2  # usage, policy or input error
    UNDECIDED = 3  # could not decide: a failed load, out of memory, too little data, any unexpected exception
    INTERRUPTED = 130  # stopped by the user; nothing half-written


class RecoverError(Exception):
    """An expected error: its text is one sentence that says what was found, what was expected and what to do."""

    exit_code: ClassVar[Exit] = Exit.UNDECIDED


class InputError(RecoverError):
    """The user's input cannot be used as it is."""

    exit_code: ClassVar[Exit] = Exit.USAGE


class Undecided(RecoverError):
    """The input was fine, but the question could not be answered."""


# Parts of such a sentence


def few(items: Sequence[object], most: int = 3) -> str:
    """The first few of some items, as a message names them."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(str(item) for item in items[:most]) + more


def first_problem(error: "ValidationError") -> str:
    """The first thing that is wrong with what was read, with its place, and how many there are besides."""
    problem, *others = error.errors(include_url=False)
    place = "".join(f"{part}." for part in problem["loc"])
    more = f" (and {len(others)} more)" if others else ""
    return f"{place[:-1]}: {problem['msg']}{more}".removeprefix(": ").replace("Value error, ", "")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: an accelerator's says so, and torch's on a CPU."""
    signs = ("out of memory", "allocate memory")
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in signs)
