"""One job of a batch in its own directory: run, unless its result is there. Every engine calls `run_job`."""

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

INPUTS, BATCH_LOCK, ANSWER_STORE = "inputs.json", ".lock", ".shared"


@dataclass(frozen=True)
class Started:
    """A job began."""

    name: str


@dataclass(frozen=True)
class Ended:
    """A job ended. If it has no result, `reason` says why."""

    name: str
    seconds: float
    reason: str | None = None


Event = Started | Ended
Engine = Callable[[Sequence[Member], int | None, int], Generator[Event, None, None]]  # see local.py


def result_path(directory: Path) -> Path | None:
    """The result.json in a job's directory; None if it has none."""
    outputs = (entry for entry in sorted(directory.glob("restored*")) if ".tmp-" not in entry.name)
    return next((path for path in map(find, outputs) if path.name == "result.json"), None)


def key_of(directory: Path) -> str | None:
    """The hash of the inputs of the job that ran, or runs, in a directory; None if there is none."""
    file = directory / INPUTS
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def finished(member: Member) -> bool:
    """Whether the result of a job is there, made from the same inputs."""
    path = result_path(member.directory)
    if path is None or key_of(member.directory) != member.key:
        return False
    with contextlib.suppress(InputError):
        return bool(load(path))
    return False


def clear(member: Member) -> None:
    """Empty a job's directory of an older result, or of what a killed process left.

    The inputs go first, so that no part of an old result can be taken for a result.
    """
    (member.directory / INPUTS).unlink(missing_ok=True)
    for entry in member.directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != BATCH_LOCK:
            entry.unlink()


def run_job(member: Member) -> Ended:
    """Run a job, unless its result is there. A failure becomes the reason; the log has the details."""
    started = time.monotonic()
    with contextlib.chdir(member.folder), locked(member.directory / BATCH_LOCK), _logged(member.log) as log:
        reason = None if finished(member) else _attempt(member, log)
        return Ended(member.name, time.monotonic() - started, reason)


def _attempt(member: Member, log: TextIO) -> str | None:
    """Restore. Returns why it failed, or None. The inputs are written first, so that a result never lacks them."""
    try:
        clear(member)
        write_text(member.directory / INPUTS, member.inputs)
        restore(member.job, store=member.directory.parent / ANSWER_STORE, notify=partial(_write_down, log))
    except RecoverError as error:
        log.write(f"{error}\n")
        return str(error)
    except Exception as error:  # a bug, or too little memory, fails this job only
        traceback.print_exception(error, file=log)
        return f"unexpected {type(error).__name__}: {str(error)[:300]}; its log tells more"
    return None


def _write_down(log: TextIO, phase: str, done: int, _total: int, note: str) -> None:
    """Write progress to a log: one line when a phase begins."""
    if not done:
        log.write(f"{datetime.now(UTC):%H:%M:%S} {phase}{f': {note}' if note else ''}\n")


@contextlib.contextmanager
def _logged(file: Path) -> Iterator[TextIO]:
    """Open a log for appending, and send there all that this process prints, C code of libraries included."""
    saved_handles = [os.dup(number) for number in (1, 2)]
    with file.open("a", encoding="utf-8", errors="backslashreplace", buffering=1) as log:
        log.write(f"--- {datetime.now(UTC).isoformat(timespec='seconds')}\n")
        _redirect([log.fileno()] * 2)
        try:
            yield log
        finally:
            _redirect(saved_handles)
            for handle in saved_handles:
                os.close(handle)


def _redirect(handles: Sequence[int]) -> None:
    """Point stdout and stderr at other file handles."""
    for stream, number, handle in zip((sys.stdout, sys.stderr), (1, 2), handles, strict=True):
        stream.flush()
        os.dup2(handle, number)
