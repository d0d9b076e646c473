"""Edits of whole weight matrices, one at a time: what the methods without a selection have in common."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from recover.checkpoints.adapter_space import without_marks
from recover.checkpoints.checkpoint import held_on_disk
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


def conv1d_weights(live: EditableModel) -> set[str]:
    """The names of all weights of GPT-2's own linear layers, an adapter's base's among them."""
    return {
        without_marks(f"{path}.weight") for path, module in live.model.named_modules() if isinstance(module, Conv1D)
    }


def linear_layers(live: EditableModel) -> dict[str, nn.Module]:
    """The linear layers whose weights are candidates, by the weight's name."""
    layers: dict[int, Any] = {
        id(module.weight): module for module in live.model.modules() if isinstance(module, nn.Linear | Conv1D)
    }
    owners = {name: layers.get(id(live.parameters[name])) for name in live.matrices}
    return {name: layer for name, layer in owners.items() if layer is not None}


def fixed(value: Tensor) -> Change:
    """The change to this very value. A product that is computed twice may differ in its last bits, and a method must
    not hold a second model, so the value is computed once and kept on disk."""
    held = held_on_disk(value)
    return lambda _aligned, _tuned: held
