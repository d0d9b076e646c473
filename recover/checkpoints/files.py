"""Files and folders on disk, whatever they hold: copied, linked, flushed, removed, and found in an output."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from recover.errors import Undecided

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)  # error numbers: the disk or the user's quota is full


def in_output(path: Path, name: str) -> Path | None:
    """The path of a file in an output's recovery folder, or None if the output has no such file.

    The recovery folder is inside an output directory or beside an output file; `path` may also be the folder itself.
    """
    candidates = (path / "recovery" / name, path / name, Path(f"{path}.recovery") / name)
    return next((file for file in candidates if file.is_file()), None)


def copy(source: Path, target: Path) -> None:
    """Copy a file's bytes to a new file, inside the kernel where possible; Undecided if the copy is incomplete.

    Only bytes are copied. The copy of a link is a file, and the copy of a read-only file is writable.
    """
    size = source.stat().st_size
    if not _copied_by_kernel(source, target, size):
        shutil.copyfile(source, target)
    if target.stat().st_size != size:
        raise Undecided(f"{source} changed while it was copied; let nothing write to it, and run again")


def _copied_by_kernel(source: Path, target: Path, size: int) -> bool:
    """Copy `size` bytes inside the kernel; whether all were copied.

    The kernel shares blocks where the file system can (btrfs, XFS). The bytes never enter this process.
    """
    with source.open("rb") as reader, target.open("xb") as writer:
        try:
            while size and (count := os.copy_file_range(reader.fileno(), writer.fileno(), size)):
                size -= count
        except (OSError, AttributeError):  # not supported, or not between these files; copyfile repeats a true fault
            return False
    return not size


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name by a hard link; copy it where the file system has no hard links."""
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


def flush_all(path: Path) -> None:
    """Wait until a file, or a directory and its contents, is on the disk. Contents are flushed before their folder."""
    for folder, _, names in os.walk(path, topdown=False):
        for inner in (*(Path(folder, name) for name in names), Path(folder)):
            flush(inner)
    if path.is_file():
        flush(path)


def remove(path: Path) -> None:
    """Remove a file, or a directory and its contents, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_alive(process: int) -> bool:
    """Whether a process other than this one runs with this id."""
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
    """Raise Undecided if the disk fills while `out` is written. The same command can then continue the work."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise Undecided(f"the disk is full: {out} is not complete; free space and run again, to go on there") from error


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name and then rename it, so that no reader sees an unfinished file."""
    unfinished = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        # UTF-8 cannot encode a lone surrogate; it becomes the escape that JSON has for it
        with unfinished.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
