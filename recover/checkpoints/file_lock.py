"""Files that keep other processes out, by locks that the system takes back when a process ends, however it ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from recover.errors import Undecided


@contextlib.contextmanager
def locked(file: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock file, which is made if it is not there. Raises Undecided if another holds it and we do not wait."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+", encoding="utf-8") as handle:  # open for writing: some network file systems lock nothing else
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            handle.seek(0)
            holder = handle.read(20)
            who = f"process {holder}" if holder.isdecimal() else "another process"
            raise Undecided(
                f"{file.parent} is being written by {who}; wait for its end, or choose another --out"
            ) from error
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        try:
            yield
        finally:
            handle.truncate(0)
