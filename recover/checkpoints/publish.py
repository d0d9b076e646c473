"""Writing a restored checkpoint, all or nothing.

A checkpoint is written as a copy of the tuned checkpoint's own files with some bytes replaced, under a temporary name
beside its place, flushed to disk and then renamed: a crash leaves the old state, never half a model, and the next run
settles what is left of it. Keys, shards, dtypes and every other file stay as the user had them.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from recover.checkpoints import containers, files
from recover.checkpoints.checkpoint import Checkpoint
from recover.checkpoints.containers import TensorEntry
from recover.errors import InputError, Undecided

PARTS = ("", ".recovery")  # an output is a directory, or a file with a folder beside it


def write_copy(checkpoint: Checkpoint, out: Path, *, link: bool = False) -> None:
    """Write a checkpoint to `out`: its files copied, the bytes of overridden tensors replaced.

    `out` is a directory or a file of the checkpoint's own kind, staged; publish() flushes it and gives it its name.
    With `link`, weight files in which nothing is replaced become one with the checkpoint's own: whoever writes into the
    one then writes into the other.
    """
    if checkpoint.overrides:
        check_layout(checkpoint)
    replaced = {checkpoint.entries[name].file for name in checkpoint.overrides}
    shared = {*checkpoint.files} - replaced if link else set()

    def bring(source: str, target: str) -> None:
        (files.share if Path(source) in shared else files.copy)(Path(source), Path(target))

    if checkpoint.is_directory:
        copies = _copy_directory(checkpoint, out, bring)
    else:
        bring(str(checkpoint.root), str(out))
        copies = {checkpoint.root: out}
    _patch_files(checkpoint, copies)


def _copy_directory(checkpoint: Checkpoint, out: Path, bring: Callable[[str, str], None]) -> dict[Path, Path]:
    """Copy a checkpoint's directory, and an adapter's tokenizer over it; weights map to their copies."""
    hidden = shutil.ignore_patterns(".*", "recovery")
    shutil.copytree(checkpoint.root, out, copy_function=bring, ignore=hidden, dirs_exist_ok=True)
    for folder in (out, *(p for p in out.rglob("*") if p.is_dir())):
        folder.chmod(0o755)  # the input may be read-only; what is written must not be
    for extra in checkpoint.extras:
        for file in sorted(extra.iterdir()):
            if file.is_file() and not file.name.startswith(("adapter_", ".", "README", "training_args")):
                (out / file.name).unlink(missing_ok=True)  # never written over: it may be one with an input's file
                files.copy(file, out / file.name)
    return {file: out / file.name for file in checkpoint.files}


def _patch_files(checkpoint: Checkpoint, copies: Mapping[Path, Path]) -> None:
    """Replace the bytes of overridden tensors in the copies; only bytes that differ are written."""
    touched: dict[Path, list[int]] = {}
    for name in sorted(checkpoint.overrides):
        entry = checkpoint.entries[name]
        if _patch_tensor(entry, copies[entry.file], checkpoint.tensor(name)):
            touched.setdefault(entry.file, []).append(entry.offset)
    for file, offsets in touched.items():
        if containers.is_torch(file):  # the copy has a temporary name, which does not say so
            containers.refresh_checksums(copies[file], offsets)


def check_layout(checkpoint: Checkpoint) -> None:
    """Refuse files in which a tensor's bytes cannot be replaced where they lie."""
    old = {entry.file for entry in checkpoint.entries.values() if entry.value is not None}
    for file in sorted(old):
        raise InputError(f"{file} is in torch's format of before 1.6; load it and save it again with torch.save")


def _patch_tensor(entry: TensorEntry, file: Path, value: Tensor) -> bool:
    """Write a tensor's values over its bytes in a file; whether any byte changed.

    Read and written, and not mapped: a copy may share its blocks with its source, so that a full disk is met only here,
    where it is an error of a write and would be a signal in a map.
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
    """Open what write_copy() wrote; Undecided unless it holds every bit that it should."""
    written = Checkpoint.open(out, config=None if checkpoint.is_directory else checkpoint.home)
    if written.fingerprint != checkpoint.fingerprint:
        raise Undecided(
            f"what was written does not hold the weights that it should: {checkpoint.root} changed meanwhile, or the "
            "disk or the memory fails; make sure of both and run again"
        )
    return written


def check_place(out: Path, inputs: list[Path], overwrite: bool) -> None:
    """Refuse an output place that exists, or that lies in or over an input, before any work is done."""
    place = out.resolve()
    for source in (p.resolve() for p in inputs):
        if place == source or (source.is_dir() and source in place.parents) or place in source.parents:
            raise InputError(f"the output {out} lies in or over the input {source}; choose another place")
    if not out.absolute().parent.is_dir():
        raise InputError(f"{out.absolute().parent} is no directory; create it, or choose another --out")
    if not os.access(out.absolute().parent, os.W_OK):
        raise InputError(f"{out.absolute().parent} cannot be written to; choose another --out")
    _settle(out, {p.resolve() for p in inputs})
    for spot in _parts(out):
        if (spot.exists() or spot.is_symlink()) and not overwrite:
            raise InputError(f"{spot} exists; pass --overwrite to replace it, or choose another --out")


def _parts(output: object) -> list[Path]:
    return [Path(f"{output}{part}") for part in PARTS]


def _settle(out: Path, inputs: set[Path]) -> None:
    """Bring to an end what killed runs left beside `out`. What a living run or this one's input needs stays."""
    names = re.compile(re.escape(out.name) + r"\.(?:tmp|old)-(\d+)(?:\.recovery)?")
    found = [names.fullmatch(path.name) for path in out.absolute().parent.iterdir()]
    for process in sorted({int(match[1]) for match in found if match}):
        new, old = f"{out}.tmp-{process}", f"{out}.old-{process}"
        if not files.is_alive(process) and inputs.isdisjoint(path.resolve() for path in _parts(new) + _parts(old)):
            _finish(new, out, old)


def _finish(new: str, out: Path, old: str) -> None:
    """Bring one killed run's renames to their end. Where an old output was set aside, they had begun, and so the new
    one is whole: what of it still has its temporary name is given its own. With nothing new, the old one returns."""
    aside, waiting = (any(part.exists() for part in _parts(name)) for name in (old, new))
    replaced = out.exists() or all(Path(f"{name}.recovery").exists() for name in (out, old))
    if aside and Path(new).exists() and out.exists():
        return  # neither of ours: somebody put it there since, and may want the others
    if aside and waiting:
        _, *rest = _moves(new, out, old)  # of the first it is certain that it was made
        _rename(rest, [])
    elif aside and not replaced:
        _rename(list(zip(_parts(old), _parts(out), strict=True)), [])
    files.flush(out.absolute().parent)
    for left in _parts(new) + _parts(old):
        files.remove(left)


@contextlib.contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A temporary place beside `out`, removed unless publish() was reached; a full disk becomes one sentence."""
    place = out.parent / f"{out.name}.tmp-{os.getpid()}"
    try:
        yield place
    except (OSError, SafetensorError) as error:
        if _is_full(error):
            raise Undecided(f"the disk is full: {out} was not written; free space and run again") from error
        raise
    finally:
        for left in _parts(place):
            files.remove(left)


def _is_full(error: Exception) -> bool:
    """Whether a disk or a quota is full; shutil.copytree and safetensors give the system's error as text only."""
    return any(os.strerror(number) in str(error) for number in files.FULL)


def publish(place: Path, out: Path) -> None:
    """Give a staged output, and what lies in `.recovery` beside it, its final name; the old one goes last.

    All of it is on the disk before the first rename. Stopped halfway, everything is put back; killed halfway, the next
    run for the same place finishes it.
    """
    old = f"{out}.old-{os.getpid()}"
    for part in _parts(place):
        if part.exists():
            files.flush_all(part)
    begun: list[tuple[Path, Path]] = []
    try:
        _rename(_moves(place, out, old), begun)
        files.flush(out.absolute().parent)
    except BaseException:
        for start, end in reversed(begun):
            if end.exists() and not start.exists():
                end.rename(start)
        raise
    for part in _parts(old):
        files.remove(part)


def _moves(new: object, out: object, old: object) -> list[tuple[Path, Path]]:
    """The renames that publish: all that is old goes before anything new comes, and the reports, with the mark that an
    output is complete, come last. _finish() knows by this order how far a killed run came."""
    return [move for start, end in ((out, old), (new, out)) for move in zip(_parts(start), _parts(end), strict=True)]


def _rename(moves: list[tuple[Path, Path]], begun: list[tuple[Path, Path]]) -> None:
    """Make those renames whose start is there; `begun` gets each before it is made."""
    for start, end in moves:
        if start.exists():
            begun.append((start, end))
            start.rename(end)
