"""Writing a restored checkpoint or a patch, all or nothing, and putting a patch on or taking it off.

A checkpoint is written as a copy of the tuned checkpoint's own files with some bytes replaced, under a temporary name
beside its place, flushed to disk and then renamed: a crash leaves the old state, never half a model, and the next run
settles what is left of it. Keys, shards, dtypes and every other file stay as the user had them.
"""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from recover import containers, files
from recover.checkpoint import Checkpoint, Override
from recover.containers import Entry
from recover.errors import InputError, Undecided
from recover.pair import Pair
from recover.selection import Selection

SCHEMA = "recover-align/patch/1"
FILE = "selection.safetensors"  # a patch's name in an output
PARTS = ("", ".recovery")  # an output is a directory, or a file with a folder beside it
Change = Callable[[Tensor, Tensor], Tensor]  # (aligned, tuned) -> restored, all of one shape and dtype
Dense = Mapping[str, Change]  # whole tensors by name; those that are not named stay the tuned model's
Edit = Selection | Dense


@dataclass(frozen=True)
class Patch:
    """A selection with the values of both sides, so that it can be applied and taken back without either of them.

    `aligned`, `tuned`: name -> values at the selection's positions, in the tuned dtype. Fingerprints name the
    checkpoints before and after.
    """

    selection: Selection
    aligned: Mapping[str, Tensor]
    tuned: Mapping[str, Tensor]
    tuned_fingerprint: str
    restored_fingerprint: str
    aligned_fingerprint: str = ""

    def save(self, file: Path) -> None:
        """Write as safetensors: `<name>|positions` (int32, or int64 for huge tensors), `|aligned`, `|tuned`.

        The same patch gives the same bytes: safetensors has no order of metadata entries, so there is one.
        """
        tensors: dict[str, Tensor] = {}
        for name, positions in self.selection:
            small = not positions.numel() or int(positions[-1]) < 2**31
            tensors[f"{name}|positions"] = positions.to(torch.int32 if small else torch.int64)
            tensors[f"{name}|aligned"] = self.aligned[name].contiguous()
            tensors[f"{name}|tuned"] = self.tuned[name].contiguous()
        keys = ("tuned_fingerprint", "restored_fingerprint", "aligned_fingerprint")
        save_file(tensors, file, {"patch": json.dumps({"schema": SCHEMA, **{k: getattr(self, k) for k in keys}})})
        file.chmod(0o644)  # save_file creates files that only their owner can read
        files.flush(file)

    @staticmethod
    def load(path: Path) -> "Patch":
        """Read a patch file, or the one in a restored output; InputError if it is none or was damaged."""
        file = _patch_file(path)
        try:
            with safe_open(file, "pt") as handle:
                metadata = json.loads((handle.metadata() or {}).get("patch", "{}"))
                tensors = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118, not a dict
        except (SafetensorError, OSError, ValueError) as error:
            raise InputError(f"{file} is damaged or no patch ({error})") from error
        if metadata.get("schema") != SCHEMA:
            raise InputError(
                f"{file} is no recover-align patch: its schema is {metadata.get('schema')!r}, not {SCHEMA}"
            )
        return _assemble(file, tensors, metadata)

    def overrides(self, side: str) -> dict[str, Override]:
        """What makes a tensor the `aligned` or the `tuned` side's at the selection, for Checkpoint.with_overrides."""
        values = self.aligned if side == "aligned" else self.tuned
        return {name: partial(_scatter, positions, values[name]) for name, positions in self.selection}


def _patch_file(path: Path) -> Path:
    if found := files.in_output(path, FILE):
        return found
    if path.is_file() and path.suffix == ".safetensors":
        return path
    raise InputError(f"{path} holds no patch; expected a {FILE} or an output that has one")


def _assemble(file: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Patch:
    """Check a patch's parts against each other: it is a file from outside."""
    parts: dict[str, dict[str, Tensor]] = {"positions": {}, "aligned": {}, "tuned": {}}
    for key, tensor in tensors.items():
        name, _, part = key.rpartition("|")
        if part not in parts or tensor.dim() != 1:
            raise InputError(f"{file} holds an unknown entry {key!r}; expected a patch as recover-align writes it")
        parts[part][name] = tensor.to(torch.int64) if part == "positions" else tensor
    for name, positions in parts["positions"].items():
        sides = [parts[side].get(name) for side in ("aligned", "tuned")]
        if any(v is None or v.shape != positions.shape for v in sides) or not _ascending(positions):
            raise InputError(f"{file} is inconsistent at {name}: positions must ascend and have one value each")
    fingerprints = {k: metadata.get(k, "") for k in ("tuned_fingerprint", "restored_fingerprint")}
    selection = Selection(parts["positions"])
    return Patch(
        selection,
        parts["aligned"],
        parts["tuned"],
        **fingerprints,
        aligned_fingerprint=metadata.get("aligned_fingerprint", ""),
    )


def _ascending(positions: Tensor) -> bool:
    return not positions.numel() or (int(positions[0]) >= 0 and bool((positions.diff() > 0).all()))


def _scatter(positions: Tensor, values: Tensor, original: Tensor) -> Tensor:
    if values.dtype != original.dtype or (positions.numel() and int(positions[-1]) >= original.numel()):
        raise InputError("the patch does not fit: a tensor of the checkpoint has another size or dtype than it expects")
    changed = original.clone(memory_format=torch.contiguous_format)
    changed.view(-1).index_copy_(0, positions, values)
    return changed


def make_patch(pair: Pair, selection: Selection, restored: Checkpoint | None = None) -> Patch:
    """The patch that turns the pair's tuned checkpoint into the restored one, whose view may be at hand already: a view
    is hashed once."""
    restored = restored or restored_checkpoint(pair, selection)
    places: dict[str, Tensor] = {}
    sides: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
    for name, (source, positions) in _everywhere(pair, selection.positions).items():
        places[name] = positions
        for side, values in zip(sides, pair.values(source), strict=True):
            side[name] = values.reshape(-1).index_select(0, positions)
    fingerprints = (c.fingerprint for c in (pair.tuned, restored, pair.aligned))
    return Patch(Selection(places), *sides, *fingerprints)


def restored_checkpoint(pair: Pair, edit: Edit) -> Checkpoint:
    """The restored checkpoint as a view of the pair, nothing written."""
    if isinstance(edit, Selection):
        chosen = _everywhere(pair, edit.positions)
        return pair.tuned.with_overrides({n: partial(_take, pair, *what) for n, what in chosen.items()})
    changes = _everywhere(pair, edit)
    return pair.tuned.with_overrides({n: partial(_changed, pair, *what) for n, what in changes.items()})


def _everywhere(pair: Pair, edit: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """What is done to each of the files' tensors, and the name whose values it is done with: what a method does to an
    embedding is done to the tied head that the files hold too."""
    tied = {head: (name, edit[name]) for name, head in pair.copies.items() if name in edit}
    return {name: (name, what) for name, what in edit.items()} | tied


def _take(pair: Pair, name: str, positions: Tensor, tuned: Tensor) -> Tensor:
    return _scatter(positions, pair.values(name)[0].reshape(-1).index_select(0, positions), tuned)


def _changed(pair: Pair, name: str, change: Change, tuned: Tensor) -> Tensor:
    return change(pair.values(name)[0], tuned)


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


def _patch_tensor(entry: Entry, file: Path, value: Tensor) -> bool:
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


def apply(patch: Patch, tuned: Checkpoint) -> Checkpoint:
    """The restored checkpoint; InputError unless `tuned` is the very checkpoint that the patch was made for."""
    return _moved(patch, tuned, "aligned", patch.tuned_fingerprint, patch.restored_fingerprint, "tuned")


def revert(patch: Patch, restored: Checkpoint) -> Checkpoint:
    """The tuned checkpoint again, bit for bit; InputError unless `restored` is what the patch made."""
    return _moved(patch, restored, "tuned", patch.restored_fingerprint, patch.tuned_fingerprint, "restored")


def _moved(patch: Patch, start: Checkpoint, side: str, expected: str, after: str, word: str) -> Checkpoint:
    if start.fingerprint != expected:
        raise InputError(
            f"{start.path} is not the {word} checkpoint of this patch: its fingerprint is {start.fingerprint[:12]}, "
            f"the patch expects {expected[:12]}"
        )
    moved = start.with_overrides(patch.overrides(side))
    if moved.fingerprint != after or not moved.overrides.keys() <= moved.entries.keys():
        raise InputError("the patch is damaged: applying it does not give the fingerprint that it records")
    return moved


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
