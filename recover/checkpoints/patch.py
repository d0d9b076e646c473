"""A patch: the restored coordinates with both sides' values. It turns the tuned checkpoint into the restored one, and
the restored one into the tuned one.
"""

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
from recover.checkpoints.checkpoint import Checkpoint, Override, is_adapter, local_path
from recover.checkpoints.pair import Pair, open_checkpoint
from recover.checkpoints.selection import Selection
from recover.errors import InputError

PATCH_SCHEMA = "recover-align/patch/1"
PATCH_FILE = "selection.safetensors"  # the name of the patch file in an output
Change = Callable[[Tensor, Tensor], Tensor]  # (aligned, tuned) -> restored, all of one shape and dtype
Dense = Mapping[str, Change]  # changes of whole tensors by name; other tensors stay the tuned model's
Edit = Selection | Dense


@dataclass(frozen=True)
class Patch:
    """A selection with the values of both sides: enough to apply and to revert it without the other checkpoint.

    `aligned`, `tuned`: name -> values at the selection's positions, in the tuned dtype. The fingerprints identify the
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

        The same patch gives the same bytes. safetensors does not order its metadata entries, so there is only one.
        """
        tensors: dict[str, Tensor] = {}
        for name, positions in self.selection:
            fits_int32 = not positions.numel() or int(positions[-1]) < 2**31
            tensors[f"{name}|positions"] = positions.to(torch.int32 if fits_int32 else torch.int64)
            tensors[f"{name}|aligned"] = self.aligned[name].contiguous()
            tensors[f"{name}|tuned"] = self.tuned[name].contiguous()
        keys = ("tuned_fingerprint", "restored_fingerprint", "aligned_fingerprint")
        save_file(tensors, file, {"patch": json.dumps({"schema": PATCH_SCHEMA, **{k: getattr(self, k) for k in keys}})})
        file.chmod(0o644)  # save_file creates files that only their owner can read
        files.flush(file)

    @staticmethod
    def load(path: Path) -> "Patch":
        """Read a patch file, or the patch in a restored output; InputError if it is damaged or no patch."""
        file = _patch_file(path)
        try:
            with safe_open(file, "pt") as handle:
                metadata = json.loads((handle.metadata() or {}).get("patch", "{}"))
                tensors = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118, not a dict
        except (SafetensorError, OSError, ValueError) as error:
            raise InputError(f"{file} is damaged or no patch ({error})") from error
        if metadata.get("schema") != PATCH_SCHEMA:
            raise InputError(
                f"{file} is no recover-align patch: its schema is {metadata.get('schema')!r}, not {PATCH_SCHEMA}"
            )
        return _assemble(file, tensors, metadata)

    def overrides(self, side: str) -> dict[str, Override]:
        """For Checkpoint.with_overrides: puts the values of one side, `aligned` or `tuned`, at the selection."""
        values = self.aligned if side == "aligned" else self.tuned
        return {name: partial(_scatter, positions, values[name]) for name, positions in self.selection}


def _patch_file(path: Path) -> Path:
    if file := files.in_output(path, PATCH_FILE):
        return file
    if path.is_file() and path.suffix == ".safetensors":
        return path
    raise InputError(f"{path} holds no patch; expected a {PATCH_FILE} or an output that has one")


def _assemble(file: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Patch:
    """Make a patch of a file's tensors. Checks them against each other, since the file comes from outside."""
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
        raise InputError("the patch does not fit: it expects another size or dtype of a tensor of the checkpoint")
    changed = original.clone(memory_format=torch.contiguous_format)
    changed.view(-1).index_copy_(0, positions, values)
    return changed


def make_patch(pair: Pair, selection: Selection, restored: Checkpoint | None = None) -> Patch:
    """The patch that turns the pair's tuned checkpoint into the restored one.

    `restored` is the restored checkpoint's view, if the caller has it: one view is hashed only once.
    """
    restored = restored or restored_checkpoint(pair, selection)
    positions_by_name: dict[str, Tensor] = {}
    sides: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
    for name, (source, positions) in _with_tied_heads(pair, selection.positions).items():
        positions_by_name[name] = positions
        for side, values in zip(sides, pair.values(source), strict=True):
            side[name] = values.reshape(-1).index_select(0, positions)
    fingerprints = (c.fingerprint for c in (pair.tuned, restored, pair.aligned))
    return Patch(Selection(positions_by_name), *sides, *fingerprints)


def restored_checkpoint(pair: Pair, edit: Edit) -> Checkpoint:
    """The restored checkpoint as a view of the pair; nothing is written."""
    if isinstance(edit, Selection):
        selected = _with_tied_heads(pair, edit.positions)
        return pair.tuned.with_overrides({n: partial(_take_aligned, pair, *args) for n, args in selected.items()})
    changes = _with_tied_heads(pair, edit)
    return pair.tuned.with_overrides({n: partial(_apply_change, pair, *args) for n, args in changes.items()})


def _with_tied_heads(pair: Pair, edit: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """For each tensor of the files that changes: the name whose values its change takes, and the change.

    Where the files hold a tied head, it takes the change of its embedding.
    """
    tied = {head: (name, edit[name]) for name, head in pair.copies.items() if name in edit}
    return {name: (name, change) for name, change in edit.items()} | tied


def _take_aligned(pair: Pair, name: str, positions: Tensor, tuned: Tensor) -> Tensor:
    return _scatter(positions, pair.values(name)[0].reshape(-1).index_select(0, positions), tuned)


def _apply_change(pair: Pair, name: str, change: Change, tuned: Tensor) -> Tensor:
    return change(pair.values(name)[0], tuned)


def open_for(patch: Patch, path: str | Path, aligned: str | Path | None = None) -> Checkpoint:
    """Open the checkpoint that a patch is for: an adapter's own tensors where the patch was made for those.

    Else an adapter is merged into `aligned`. Raises InputError if it is then not given.
    """
    local = local_path(path)
    if not is_adapter(local):
        return Checkpoint.open(local)
    own = Checkpoint.open_adapter_files(local)
    if own.fingerprint in (patch.tuned_fingerprint, patch.restored_fingerprint):
        return own
    if aligned is None:
        raise InputError(
            f"{local} is an adapter, and this patch was made for other weights; if for merged ones, pass --aligned, "
            "the checkpoint under the adapter"
        )
    return open_checkpoint(local, base=open_checkpoint(aligned), space="weights")


def apply(patch: Patch, tuned: Checkpoint) -> Checkpoint:
    """The restored checkpoint; InputError unless `tuned` is the checkpoint that the patch was made for."""
    return _patched(patch, tuned, "aligned", patch.tuned_fingerprint, patch.restored_fingerprint, "tuned")


def revert(patch: Patch, restored: Checkpoint) -> Checkpoint:
    """The tuned checkpoint again, bit for bit; InputError unless `restored` is the checkpoint that the patch made."""
    return _patched(patch, restored, "tuned", patch.restored_fingerprint, patch.tuned_fingerprint, "restored")


def _patched(patch: Patch, start: Checkpoint, side: str, before: str, after: str, role: str) -> Checkpoint:
    """`start` with one side's values at the selection. `before` and `after` are the fingerprints that it must have."""
    if start.fingerprint != before:
        raise InputError(
            f"{start.path} is not the {role} checkpoint of this patch: its fingerprint is {start.fingerprint[:12]}, "
            f"the patch expects {before[:12]}"
        )
    result = start.with_overrides(patch.overrides(side))
    if result.fingerprint != after or not result.overrides.keys() <= result.entries.keys():
        raise InputError("the patch is damaged: applying it does not give the fingerprint that it records")
    return result
