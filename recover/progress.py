"""Progress of long work, reported to any listener."""

import contextlib
from collections.abc import Callable, Iterator

Notify = Callable[[str, int, int, str], None]  # (phase, done, total or 0 if unknown, a note such as a measured value)
Advance = Callable[[int], None]  # by how many more items


def silent(phase: str, done: int, total: int, note: str) -> None:
    """A Notify that does nothing."""


def nowhere(count: int) -> None:
    """An Advance that does nothing."""


@contextlib.contextmanager
def counter(notify: Notify, phase: str, total: int, note: str = "") -> Iterator[Advance]:
    """Yield an `advance` that adds up the items done and reports them to `notify`."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        notify(phase, done, total, note)

    notify(phase, 0, total, note)
    yield advance
