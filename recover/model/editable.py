"""The tuned model in memory: the only code that changes weights."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from recover.checkpoints.architecture import weights_by_name
from recover.checkpoints.checkpoint import RECOMPUTED_BUFFERS, canonical
from recover.checkpoints.pair import Pair
from recover.checkpoints.patch import Dense
from recover.checkpoints.selection import Selection
from recover.errors import InputError
from recover.model import load
from recover.model.block_streaming import Streamed
from recover.model.gradients import Losses, gradients

GAINS_AT_A_TIME = 1 << 18  # weights whose gains are computed together on a CPU: they stay in its cache


def gain(gradient: Tensor, current: Tensor, other: Tensor) -> Tensor:
    """`gradient * (current - other)` in fp32, computed in the gradient's own memory if that is contiguous."""
    gradient = gradient.contiguous()
    flat, flat_current, flat_other = gradient.view(-1), current.detach().reshape(-1), other.reshape(-1)
    size = GAINS_AT_A_TIME if gradient.device.type == "cpu" else max(1, flat.numel())
    for start in range(0, flat.numel(), size):
        part = slice(start, start + size)
        flat[part] *= flat_current[part].float() - flat_other[part]
    return gradient


class EditableModel:
    """One model whose weights are `where(selection, aligned, tuned)` at all times, on one device.

    Both sides' values come from the memory-mapped files, so no second model is in memory. Weights have the compute
    dtype. Every value is first rounded to the tuned checkpoint's dtype, so that the model tried is the model written.
    """

    def __init__(self, pair: Pair, dtype: torch.dtype, device: torch.device, offload: bool = False) -> None:
        self.pair = pair
        self.model: Any = load.load_model(pair.tuned, dtype, device, offload=offload, autocast_adapter=False)
        self.selection = Selection()
        self._is_aligned = False
        self._streamed: Streamed | None = self.model.streamed
        self._paired = _paired(self.model, pair)
        self._parameters = {n: p for n, p in self._paired.items() if n in pair.changed}
        self._stream(self.current)

    @property
    def device(self) -> torch.device:
        device: torch.device = self.model.device
        return device

    @property
    def parameters(self) -> Mapping[str, Tensor]:
        """The weights that differ between the two sides, by canonical name."""
        return self._parameters

    @cached_property
    def matrices(self) -> list[str]:
        """The candidates of published methods: changed weight matrices, without norms, biases, embeddings and the head.

        Raises InputError if there are none.
        """
        tables = {
            id(p) for m in self.model.modules() if isinstance(m, nn.Embedding) for p in m.parameters(recurse=False)
        }
        head = self.model.get_output_embeddings()
        tables |= {id(p) for p in head.parameters()} if head is not None else set()
        names = [n for n, p in self._parameters.items() if p.dim() >= 2 and id(p) not in tables]
        if not names:
            raise InputError("no weight matrix inside the blocks differs between ALIGNED and TUNED: nothing to restore")
        return names

    def flip(self, flips: Selection) -> None:
        """Move coordinates to the other side; the same flip again undoes it exactly."""
        for name, positions in flips:
            selected = self.selection.positions.get(name)
            if selected is None:
                returns = torch.zeros_like(positions, dtype=torch.bool)
            else:
                returns = torch.isin(positions, selected)
            aligned, tuned = (v.reshape(-1)[positions] for v in self.pair.values(name))
            self._write(name, positions, torch.where(returns, tuned, aligned))
        self.selection = self.selection ^ flips
        self._stream(self.current)

    @torch.no_grad()
    def _write(self, name: str, positions: Tensor, values: Tensor) -> None:
        if self._streamed and name in self._streamed.names:
            return  # computed from the selection when its block runs
        parameter = self._parameters[name]
        parameter.data.view(-1)[positions.to(parameter.device)] = values.to(parameter)

    def other(self, name: str) -> Tensor:
        """The value that each coordinate would take by a flip: the tensor's shape, the compute dtype, on the device."""
        aligned, tuned = self.pair.values(name)
        positions = self.selection.positions.get(name)
        if positions is not None:
            aligned = aligned.clone(memory_format=torch.contiguous_format)
            aligned.view(-1)[positions] = tuned.reshape(-1)[positions]
        return aligned.to(self._parameters[name])

    def gradients(self, losses: Losses, names: Iterable[str] | None = None) -> Iterator[tuple[str, Tensor]]:
        """(name, fp32 gradient of the sum of the losses) for the named parameters, by default the matrices."""
        wanted = {n: self._parameters[n] for n in (self.matrices if names is None else names)}
        return gradients(self.model, wanted, losses)

    def gains(self, losses: Losses, names: Iterable[str] | None = None) -> Iterator[tuple[str, Tensor]]:
        """(name, fp32 `gradient * (current - other)`): the first-order drop of the sum of the losses by each flip."""
        for name, gradient in self.gradients(losses, names):
            if self._streamed:
                self._streamed.bring(name)
            yield name, gain(gradient, self._parameters[name], self.other(name))

    @contextlib.contextmanager
    def as_aligned(self) -> Iterator[Any]:
        """While entered, the aligned model in this model's memory; afterwards the model is as before."""
        with self._filled(self._parameters, lambda name: self.pair.values(name)[0]) as model, self._turned_off():
            self._is_aligned = True
            try:
                yield model
            finally:
                self._is_aligned = False

    def _turned_off(self) -> contextlib.AbstractContextManager[None]:
        """While entered, an adapter is turned off, so that the base's answers are exact; nothing for other models."""
        return self.model.live_adapter.turned_off() if self.pair.tuned.adapter else contextlib.nullcontext()

    @property
    def fingerprint(self) -> str | None:
        """The aligned checkpoint's fingerprint while the model equals it in every weight, else None."""
        equal = self.pair.tuned.adapter is not None or self.pair.same_layout
        return self.pair.aligned.fingerprint if self._is_aligned and equal else None

    @contextlib.contextmanager
    def edited(self, edit: Dense) -> Iterator[Any]:
        """While entered, the model under an edit of whole tensors; afterwards the model is as before."""
        edited = {n: p for n, p in self._paired.items() if n in edit}
        with self._filled(edited, lambda name: edit[name](*self.pair.values(name))) as model:
            yield model

    @contextlib.contextmanager
    def _filled(self, parameters: Mapping[str, Tensor], source: Callable[[str], Tensor]) -> Iterator[Any]:
        """While entered, the model takes these tensors from `source`."""
        try:
            self._fill(parameters, source)
            yield self.model
        finally:
            self._fill(parameters, self.current)

    def _fill(self, parameters: Mapping[str, Tensor], source: Callable[[str], Tensor]) -> None:
        for name, parameter in parameters.items():
            if not (self._streamed and name in self._streamed.names):
                parameter.data.copy_(source(name))
        self._stream(lambda name: (source if name in parameters else self.current)(name))

    def _stream(self, source: Callable[[str], Tensor]) -> None:
        """From now on, take streamed tensors from `source`."""
        if self._streamed:
            self._streamed.source = source
            self._streamed.drop()

    def current(self, name: str) -> Tensor:
        """`where(selection, aligned, tuned)` from the files: the value that the live tensor must have."""
        if name not in self.pair.tuned.entries:  # a weight of an adapter's base, whose blocks are streamed
            return self.pair.aligned.tensor(name)
        positions = self.selection.positions.get(name)
        if positions is None:
            return self.pair.tuned.tensor(name)
        aligned, tuned = self.pair.values(name)
        restored = tuned.clone(memory_format=torch.contiguous_format)
        restored.view(-1)[positions] = aligned.reshape(-1)[positions]
        return restored


def _paired(model: Any, pair: Pair) -> dict[str, Tensor]:
    """The parameters that hold the pair's tensors, by the pair's names.

    transformers renames some tensors as it loads them. Those are recognised by their values. Raises InputError for a
    changed tensor that transformers builds into another one: its coordinates could not be flipped.
    """
    if pair.tuned.adapter:
        return {name: model.live_adapter.weights[name] for name in pair.names}
    by_name = weights_by_name(model)
    with_tied = {canonical(name) for name, _ in model.named_parameters(remove_duplicate=False)}
    unmatched = {name: p for name, p in by_name.items() if name not in pair.tuned.entries}
    changed_first = sorted(pair.names, key=lambda n: n not in pair.changed)
    renamed = [n for n in changed_first if n not in with_tied and not RECOMPUTED_BUFFERS.search(n)] if unmatched else []
    for name in renamed:
        new_name = next((n for n, p in unmatched.items() if _holds(p, pair.tuned.tensor(name))), None)
        if new_name is not None:
            by_name[name] = unmatched.pop(new_name)
        elif name in pair.changed:
            raise InputError(
                f"transformers builds {name} into another tensor of {type(model).__name__} (one of "
                f"{', '.join([*unmatched][:3])}), where it cannot be restored; expected weights that transformers "
                "loads unchanged"
            )
    return {n: by_name[n] for n in pair.names if n in by_name}


def _holds(parameter: Tensor, value: Tensor) -> bool:
    return parameter.shape == value.shape and torch.equal(parameter.cpu(), value.to(parameter.dtype))
