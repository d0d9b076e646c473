"""Edits of whole weight matrices, one at a time: what the methods without a selection have in common."""

import mmap
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from recover.checkpoints.checkpoint import raw_bytes
from recover.checkpoints.patch import Change, Dense
from recover.errors import InputError
from recover.model.editable import EditableModel

ByName = Callable[[str, Tensor, Tensor], Tensor | None]  # (name, aligned, tuned) -> restored, None: as tuned


def by_matrix(live: EditableModel, names: Iterable[str], restore: ByName) -> Dense:
    """The edit that `restore` makes of some matrices, each given in fp32 as (outputs, inputs) on the live device.
    InputError for a weight that is no matrix, as fused experts are."""
    turned, edit = sideways(live), {}
    for name in names:
        aligned, tuned = live.pair.values(name)
        if tuned.dim() != 2:
            raise InputError(f"{name} has shape {list(tuned.shape)}; this method knows matrices alone: use another")
        restored = restore(name, *(upright(v.to(live.device).float(), name in turned) for v in (aligned, tuned)))
        if restored is not None:
            edit[name] = fixed(upright(restored, name in turned).to("cpu", tuned.dtype))
    return edit


def upright(matrix: Tensor, turned: bool) -> Tensor:
    """A matrix as (outputs, inputs), or back as it lies."""
    return matrix.mT if turned else matrix


def sideways(live: EditableModel) -> set[str]:
    """The matrices that lie as (inputs, outputs): those of GPT-2's own linear layers."""
    return {name for name, layer in linear_layers(live).items() if isinstance(layer, Conv1D)}


def linear_layers(live: EditableModel) -> dict[str, nn.Module]:
    """The linear layers whose weights are candidates, by the weight's name."""
    layers: dict[int, Any] = {
        id(module.weight): module for module in live.model.modules() if isinstance(module, nn.Linear | Conv1D)
    }
    owners = {name: layers.get(id(live.parameters[name])) for name in live.matrices}
    return {name: layer for name, layer in owners.items() if layer is not None}


def fixed(value: Tensor) -> Change:
    """The change to this very value. It is computed once, since the same product may differ in its last bits the next
    time, and kept in a file without a name, whose pages the system may drop: a method holds no second model."""
    with tempfile.TemporaryFile() as file:
        file.write(raw_bytes(value))
        file.flush()
        held: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    kept = torch.frombuffer(held, dtype=value.dtype).view(value.shape)
    return lambda _aligned, _tuned: kept
