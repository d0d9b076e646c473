"""One job of a batch in its own directory: done if it is not, and its account. Every engine runs this function."""

import contextlib
import hashlib
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TextIO

from recover.batch.manifest import Member
from recover.checkpoints.file_lock import locked
from recover.checkpoints.files import write_text
from recover.errors import InputError, RecoverError
from recover.jobs.restore import restore
from recover.results.schema import find, load

INPUTS, LOCK, SHARED = "inputs.json", ".lock", ".shared"


@dataclass(frozen=True)
class Started:
    """A job began."""

    name: str


@dataclass(frozen=True)
class Ended:
    """A job came to its end; `reason` says why it has no result, if it has none."""

    name: str
    seconds: float
    reason: str | None = None


Event = Started | Ended
Engine = Callable[[Sequence[Member], int | None, int], Generator[Event, None, None]]  # see recover.engines


def result_place(own: Path) -> Path | None:
    """Where a job's result lies; None if it has none."""
    outputs = (entry for entry in sorted(own.glob("restored*")) if ".tmp-" not in entry.name)
    return next((place for place in map(find, outputs) if place.name == "result.json"), None)


def key_of(own: Path) -> str | None:
    """The hash of what is made, or being made, in a job's directory; None if nothing is."""
    file = own / INPUTS
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def finished(member: Member) -> bool:
    """Whether the result of a job is there, and made from the same inputs."""
    place = result_place(member.place)
    if place is None or key_of(member.place) != member.key:
        return False
    with contextlib.suppress(InputError):
        return bool(load(place))
    return False


def clear(member: Member) -> None:
    """Take away what is in a job's directory: an older result, or what a process left that was killed.

    The inputs go first, so that nothing that is left of a result can pass for one.
    """
    (member.place / INPUTS).unlink(missing_ok=True)
    for entry in member.place.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != LOCK:
            entry.unlink()


def run_job(member: Member) -> Ended:
    """Run a job, unless it is done. Whatever goes wrong is its reason; the log has the rest."""
    started = time.monotonic()
    with contextlib.chdir(member.folder), locked(member.place / LOCK), _logged(member.log) as log:
        reason = None if finished(member) else _attempt(member, log)
        return Ended(member.name, time.monotonic() - started, reason)


def _attempt(member: Member, log: TextIO) -> str | None:
    """Restore; why it failed, if it did. What it is made from is there before the result, which so is complete."""
    try:
        clear(member)
        write_text(member.place / INPUTS, member.inputs)
        restore(member.job, store=member.place.parent / SHARED, notify=partial(_write_down, log))
    except RecoverError as error:
        log.write(f"{error}\n")
        return str(error)
    except Exception as error:  # a bug, or too little memory, is this job's alone
        traceback.print_exception(error, file=log)
        return f"unexpected {type(error).__name__}: {str(error)[:300]}; its log tells more"
    return None


def _write_down(log: TextIO, phase: str, done: int, _total: int, note: str) -> None:
    """Progress as lines of a log: when a phase begins."""
    if not done:
        log.write(f"{datetime.now(UTC):%H:%M:%S} {phase}{f': {note}' if note else ''}\n")


@contextlib.contextmanager
def _logged(file: Path) -> Iterator[TextIO]:
    """The end of a log, where all that this process prints goes too, its libraries' C code included."""
    kept = [os.dup(number) for number in (1, 2)]
    with file.open("a", encoding="utf-8", errors="backslashreplace", buffering=1) as log:
        log.write(f"--- {datetime.now(UTC).isoformat(timespec='seconds')}\n")
        _redirect([log.fileno()] * 2)
        try:
            yield log
        finally:
            _redirect(kept)
            for handle in kept:
                os.close(handle)


def _redirect(handles: Sequence[int]) -> None:
    """Make stdout and stderr lead elsewhere."""
    for stream, number, handle in zip((sys.stdout, sys.stderr), (1, 2), handles, strict=True):
        stream.flush()
        os.dup2(handle, number)
