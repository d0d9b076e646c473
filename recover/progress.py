"""How long work tells how far it is, without knowing who listens."""

import contextlib
from collections.abc import Callable, Iterator

Notify = Callable[[str, int, int, str], None]  # (phase, done, total or 0 if unknown, what was measured)
Advance = Callable[[int], None]  # how many more are done


def silent(phase: str, done: int, total: int, note: str) -> None:
    """Tell nobody."""


def nowhere(count: int) -> None:
    """Count for nobody."""


@contextlib.contextmanager
def counter(notify: Notify, phase: str, total: int, note: str = "") -> Iterator[Advance]:
    """An `advance` that adds up what is done and tells it."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        notify(phase, done, total, note)

    notify(phase, 0, total, note)
    yield advance
