"""A patch: the restored coordinates with both sides' values, and the checkpoints that it turns into each other."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from recover.checkpoints import files
from recover.checkpoints.checkpoint import Checkpoint, Override
from recover.checkpoints.pair import Pair
from recover.checkpoints.selection import Selection
from recover.errors import InputError

SCHEMA = "recover-align/patch/1"
PATCH_FILE = "selection.safetensors"  # a patch's name in an output
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
    if found := files.in_output(path, PATCH_FILE):
        return found
    if path.is_file() and path.suffix == ".safetensors":
        return path
    raise InputError(f"{path} holds no patch; expected a {PATCH_FILE} or an output that has one")


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
