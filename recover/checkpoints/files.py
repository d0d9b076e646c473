"""Files and folders on disk, whatever they hold: copied, shared, flushed, removed, and found in an output."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from recover.errors import Undecided

FULL = (errno.ENOSPC, errno.EDQUOT)  # a disk, or somebody's part of it


def in_output(path: Path, name: str) -> Path | None:
    """Where a file of an output's recovery folder lies: the folder is inside a directory, beside a file, or the path
    itself. None if it is in none of them."""
    places = (path / "recovery" / name, path / name, Path(f"{path}.recovery") / name)
    return next((place for place in places if place.is_file()), None)


def copy(source: Path, target: Path) -> None:
    """Copy a file's bytes to a new file, inside the kernel if it can; Undecided if the copy is not whole.

    Only bytes are copied: the copy of a link is a file, and that of a read-only file can be written.
    """
    size = source.stat().st_size
    if not _copied_by_kernel(source, target, size):
        shutil.copyfile(source, target)
    if target.stat().st_size != size:
        raise Undecided(f"{source} changed while it was copied; let nothing write to it, and run again")


def _copied_by_kernel(source: Path, target: Path, size: int) -> bool:
    """Whether the kernel could copy `size` bytes: it shares the blocks where the file system can (btrfs, XFS), and
    nowhere brings them into this process."""
    with source.open("rb") as start, target.open("xb") as end:
        try:
            while size and (count := os.copy_file_range(start.fileno(), end.fileno(), size)):
                size -= count
        except (OSError, AttributeError):  # not here, or not between these two; a true fault meets copyfile again
            return False
    return not size


def share(source: Path, target: Path) -> None:
    """Give a file a second name, so that both are one file; where the file system cannot, copy it."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        copy(source, target)


def flush(path: Path) -> None:
    """Wait until a file's bytes, or a directory's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_all(place: Path) -> None:
    """Wait until a file, or a directory with all that is in it, is on the disk: every name after what it names."""
    for folder, _, names in os.walk(place, topdown=False):
        for path in (*(Path(folder, name) for name in names), Path(folder)):
            flush(path)
    if place.is_file():
        flush(place)


def remove(path: Path) -> None:
    """Remove a file, or a directory with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_alive(process: int) -> bool:
    """Whether a process other than this one runs under an id."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


@contextlib.contextmanager
def room_for(out: Path) -> Iterator[None]:
    """Undecided, in one sentence, if the disk fills while `out` is written: the same command goes on there."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise Undecided(f"the disk is full: {out} is not complete; free space and run again, to go on there") from error


def write_text(path: Path, text: str) -> None:
    """Writes a file beside its place and then moves it there, so that nobody sees half of it."""
    unfinished = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        # a lone surrogate, which UTF-8 has not, becomes the escape that JSON has for it
        with unfinished.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
