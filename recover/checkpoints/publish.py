"""Writing a restored checkpoint, all or nothing.

The output is a copy of the tuned checkpoint's own files with some bytes replaced. It is written under a temporary name
beside its final path, flushed to disk, and then renamed. A crash leaves the old state and never half a model; the next
run removes or finishes what the crash left. Keys, shards, dtypes and all other files stay as the user had them.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from recover.checkpoints import containers, files
from recover.checkpoints.checkpoint import Checkpoint, is_adapter
from recover.checkpoints.containers import TensorEntry
from recover.errors import InputError, Undecided

OUTPUT_SUFFIXES = ("", ".recovery")  # an output is a directory, or a file with a folder beside it


def write_copy(checkpoint: Checkpoint, out: Path, *, link: bool = False) -> None:
    """Write a checkpoint to `out`: its files copied, the bytes of overridden tensors replaced.

    `out` is a staged path: a directory or a file, like the checkpoint. publish() flushes and renames it. With `link`,
    weight files in which nothing is replaced are hard links to the checkpoint's files: a later write into one changes
    both.
    """
    if checkpoint.overrides:
        check_layout(checkpoint)
    replaced = {checkpoint.entries[name].file for name in checkpoint.overrides}
    linked = {*checkpoint.files} - replaced if link else set()

    def copy_file(source: str, target: str) -> None:
        (files.link_or_copy if Path(source) in linked else files.copy)(Path(source), Path(target))

    if checkpoint.is_directory:
        copies = _copy_directory(checkpoint, out, copy_file)
    else:
        copy_file(str(checkpoint.root), str(out))
        copies = {checkpoint.root: out}
    _patch_files(checkpoint, copies)


def _copy_directory(checkpoint: Checkpoint, out: Path, copy_file: Callable[[str, str], None]) -> dict[Path, Path]:
    """Copy a checkpoint's directory, and an adapter's tokenizer over it; each weight file's copy by the file."""
    skipped = shutil.ignore_patterns(".*", "recovery")
    shutil.copytree(checkpoint.root, out, copy_function=copy_file, ignore=skipped, dirs_exist_ok=True)
    for folder in (out, *(p for p in out.rglob("*") if p.is_dir())):
        folder.chmod(0o755)  # the input may be read-only; the output must not be
    for extra in checkpoint.extras:
        for file in sorted(extra.iterdir()):
            if file.is_file() and not file.name.startswith(("adapter_", ".", "README", "training_args")):
                (out / file.name).unlink(missing_ok=True)  # not overwritten: it may be a hard link to an input's file
                files.copy(file, out / file.name)
    return {file: out / file.name for file in checkpoint.files}


def _patch_files(checkpoint: Checkpoint, copies: Mapping[Path, Path]) -> None:
    """Replace the bytes of overridden tensors in the copies; only bytes that differ are written."""
    changed_offsets: dict[Path, list[int]] = {}
    for name in sorted(checkpoint.overrides):
        entry = checkpoint.entries[name]
        if _patch_tensor(entry, copies[entry.file], checkpoint.tensor(name)):
            changed_offsets.setdefault(entry.file, []).append(entry.offset)
    for file, offsets in changed_offsets.items():
        if containers.is_torch(file):  # asked of the source: the copy's temporary name has another suffix
            containers.refresh_checksums(copies[file], offsets)


def check_layout(checkpoint: Checkpoint) -> None:
    """Raise InputError for a file in which a tensor's bytes cannot be replaced in place."""
    old_format = {entry.file for entry in checkpoint.entries.values() if entry.value is not None}
    for file in sorted(old_format):
        raise InputError(f"{file} is in torch's format of before 1.6; load it and save it again with torch.save")


def _patch_tensor(entry: TensorEntry, file: Path, value: Tensor) -> bool:
    """Write a tensor's values over its bytes in a file; whether any byte changed.

    The file is read and written, and not mapped. A copy may share its blocks with its source, so the disk may become
    full only here: a write then raises an error, where a map would kill the process by a signal.
    """
    if not value.numel():
        return False
    width = entry.dtype.itemsize
    span: Any = np.empty(1 + sum((n - 1) * s for n, s in zip(entry.shape, entry.stride, strict=True)), f"u{width}")
    view = np.lib.stride_tricks.as_strided(span, entry.shape, [s * width for s in entry.stride])
    new = value.contiguous().view(_integer(width)).numpy().view(span.dtype)
    with file.open("r+b") as handle:
        handle.seek(entry.offset)
        handle.readinto(span)
        different = view != new
        if not different.any():
            return False
        np.copyto(view, new, where=different)
        handle.seek(entry.offset)
        handle.write(span)
    return True


def _integer(width: int) -> torch.dtype:
    return {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[width]


def reopened(checkpoint: Checkpoint, out: Path) -> Checkpoint:
    """Open the output of write_copy(); Undecided unless every bit of its weights is as expected."""
    if is_adapter(checkpoint.root):
        layout = {name: getattr(checkpoint, name) for name in ("home", "settings", "adapter")}
        written = replace(Checkpoint.open_adapter_files(out), **layout)
    else:
        written = Checkpoint.open(out, config=None if checkpoint.is_directory else checkpoint.home)
    if written.fingerprint != checkpoint.fingerprint:
        raise Undecided(
            f"the files written do not hold the expected weights: {checkpoint.root} changed meanwhile, or the disk or "
            "the memory is faulty; check them and run again"
        )
    return written


def check_place(out: Path, inputs: list[Path], overwrite: bool) -> None:
    """Raise InputError, before any work is done, for an output path that exists or lies in or over an input."""
    target = out.resolve()
    for source in (p.resolve() for p in inputs):
        if target == source or (source.is_dir() and source in target.parents) or target in source.parents:
            raise InputError(f"the output {out} lies in or over the input {source}; choose another place")
    if not out.absolute().parent.is_dir():
        raise InputError(f"{out.absolute().parent} is no directory; create it, or choose another --out")
    if not os.access(out.absolute().parent, os.W_OK):
        raise InputError(f"{out.absolute().parent} cannot be written to; choose another --out")
    _clean_up(out, {p.resolve() for p in inputs})
    for path in _output_paths(out):
        if (path.exists() or path.is_symlink()) and not overwrite:
            raise InputError(f"{path} exists; pass --overwrite to replace it, or choose another --out")


def _output_paths(output: object) -> list[Path]:
    """The paths that belong to an output: itself, and the recovery folder beside an output file."""
    return [Path(f"{output}{suffix}") for suffix in OUTPUT_SUFFIXES]


def _clean_up(out: Path, inputs: set[Path]) -> None:
    """Finish the renames of killed runs, or remove their files beside `out`.

    Files of a living run, and inputs of this one, stay.
    """
    pattern = re.compile(re.escape(out.name) + r"\.(?:tmp|old)-(\d+)(?:\.recovery)?")
    matches = [pattern.fullmatch(path.name) for path in out.absolute().parent.iterdir()]
    for process in sorted({int(match[1]) for match in matches if match}):
        new, old = f"{out}.tmp-{process}", f"{out}.old-{process}"
        leftovers = _output_paths(new) + _output_paths(old)
        if not files.is_alive(process) and inputs.isdisjoint(path.resolve() for path in leftovers):
            _finish(new, out, old)


def _finish(new: str, out: Path, old: str) -> None:
    """Finish one killed run's renames, or undo them, and remove what is left.

    Where an old output has its `.old-` name, the renames had begun, so the new output is complete. Its parts that still
    have temporary names get their final names. Where no new output is left, the old one gets its name back.
    """
    old_exists, new_exists = (any(path.exists() for path in _output_paths(name)) for name in (old, new))
    replaced = out.exists() or all(Path(f"{name}.recovery").exists() for name in (out, old))
    if old_exists and Path(new).exists() and out.exists():
        return  # `out` is neither run's: somebody put it there since, and may want the other two
    if old_exists and new_exists:
        _, *later = _moves(new, out, old)  # the first was certainly made
        _rename(later, [])
    elif old_exists and not replaced:
        _rename(list(zip(_output_paths(old), _output_paths(out), strict=True)), [])
    files.flush(out.absolute().parent)
    for path in _output_paths(new) + _output_paths(old):
        files.remove(path)


@contextlib.contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A temporary path beside `out`; what publish() has not renamed is removed at the end.

    Raises Undecided if the disk is full.
    """
    staging = out.parent / f"{out.name}.tmp-{os.getpid()}"
    try:
        yield staging
    except (OSError, SafetensorError) as error:
        if _is_full(error):
            raise Undecided(f"the disk is full: {out} was not written; free space and run again") from error
        raise
    finally:
        for path in _output_paths(staging):
            files.remove(path)


def _is_full(error: Exception) -> bool:
    """Whether an error says that a disk or a quota is full; some libraries give the system's error as text only."""
    return any(os.strerror(number) in str(error) for number in files.DISK_FULL)


def publish(staging: Path, out: Path) -> None:
    """Give a staged output, and the `.recovery` folder beside it, its final name; then remove the old output.

    Everything is on the disk before the first rename. An exception between renames undoes them. If the process is
    killed between renames, the next run for the same output finishes them.
    """
    old = f"{out}.old-{os.getpid()}"
    for path in _output_paths(staging):
        if path.exists():
            files.flush_all(path)
    begun: list[tuple[Path, Path]] = []
    try:
        _rename(_moves(staging, out, old), begun)
        files.flush(out.absolute().parent)
    except BaseException:
        for start, end in reversed(begun):
            if end.exists() and not start.exists():
                end.rename(start)
        raise
    for path in _output_paths(old):
        files.remove(path)


def _moves(new: object, out: object, old: object) -> list[tuple[Path, Path]]:
    """The renames that publish, in order: the old output to its `.old-` name, then the new output to its final name.

    The recovery folder, which marks an output as complete, comes last. By this order _finish() knows how far a killed
    run came.
    """
    steps = ((out, old), (new, out))
    return [move for start, end in steps for move in zip(_output_paths(start), _output_paths(end), strict=True)]


def _rename(moves: list[tuple[Path, Path]], begun: list[tuple[Path, Path]]) -> None:
    """Make each rename whose source exists; it is added to `begun` just before."""
    for start, end in moves:
        if start.exists():
            begun.append((start, end))
            start.rename(end)
