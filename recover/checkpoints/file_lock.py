"""Lock files that keep other processes out. The system frees a lock when its process ends, in whatever way."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from recover.errors import Undecided


@contextlib.contextmanager
def locked(file: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock file while entered; the file is created if it does not exist.

    Without `wait`, raises Undecided if another process holds the lock.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+", encoding="utf-8") as handle:  # some network file systems only lock files open for writing
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            handle.seek(0)
            process = handle.read(20)
            writer = f"process {process}" if process.isdecimal() else "another process"
            raise Undecided(
                f"{file.parent} is being written by {writer}; wait for its end, or choose another --out"
            ) from error
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        try:
            yield
        finally:
            handle.truncate(0)
