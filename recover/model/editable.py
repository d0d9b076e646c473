"""The tuned model in memory: the only code that changes weights."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from recover.checkpoints.architecture import weights_by_name
from recover.checkpoints.checkpoint import BUFFERS, canonical
from recover.checkpoints.pair import Pair
from recover.checkpoints.patch import Dense
from recover.checkpoints.selection import Selection
from recover.errors import InputError
from recover.model import load
from recover.model.block_streaming import Streamed
from recover.model.gradients import Losses, gradients

PART = 1 << 18  # weights whose gains are computed at a time on a CPU: they stay in the cache


def gain(gradient: Tensor, current: Tensor, other: Tensor) -> Tensor:
    """`gradient * (current - other)` in fp32, in the gradient's own memory where that is contiguous."""
    gradient = gradient.contiguous()
    flat, now, then = gradient.view(-1), current.detach().reshape(-1), other.reshape(-1)
    step = PART if gradient.device.type == "cpu" else max(1, flat.numel())
    for start in range(0, flat.numel(), step):
        part = slice(start, start + step)
        flat[part] *= now[part].float() - then[part]
    return gradient


class EditableModel:
    """One model whose weights are `where(selection, aligned, tuned)` at all times, on one device.

    Both sides' values come from the memory-mapped files, so no second model is held. Weights are kept in the compute
    dtype; every value is first rounded to the tuned checkpoint's own, so that what is tried is what will be written.
    """

    def __init__(self, pair: Pair, dtype: torch.dtype, device: torch.device, offload: bool = False) -> None:
        self.pair = pair
        self.model: Any = load.load_model(pair.tuned, dtype, device, offload=offload)
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
        """The candidates of published methods: changed weight matrices, no norms, biases, embeddings or the head."""
        tables = {
            id(p) for m in self.model.modules() if isinstance(m, nn.Embedding) for p in m.parameters(recurse=False)
        }
        head = self.model.get_output_embeddings()
        tables |= {id(p) for p in head.parameters()} if head is not None else set()
        found = [n for n, p in self._parameters.items() if p.dim() >= 2 and id(p) not in tables]
        if not found:
            raise InputError("no weight matrix inside the blocks differs between ALIGNED and TUNED: nothing to restore")
        return found

    def flip(self, flips: Selection) -> None:
        """Move coordinates to the other side; the same flip again undoes it exactly."""
        for name, positions in flips:
            target = self.selection.positions.get(name)
            back = (
                torch.isin(positions, target) if target is not None else torch.zeros_like(positions, dtype=torch.bool)
            )
            aligned, tuned = (v.reshape(-1)[positions] for v in self.pair.values(name))
            self._write(name, positions, torch.where(back, tuned, aligned))
        self.selection = self.selection ^ flips
        self._stream(self.current)

    @torch.no_grad()
    def _write(self, name: str, positions: Tensor, values: Tensor) -> None:
        if self._streamed and name in self._streamed.names:
            return  # it is made of the selection when it is needed
        parameter = self._parameters[name]
        parameter.data.view(-1)[positions.to(parameter.device)] = values.to(parameter)

    def other(self, name: str) -> Tensor:
        """The value that each coordinate would take if it flipped, in the tensor's shape, on the device."""
        aligned, tuned = self.pair.values(name)
        positions = self.selection.positions.get(name)
        if positions is not None:
            aligned = aligned.clone(memory_format=torch.contiguous_format)
            aligned.view(-1)[positions] = tuned.reshape(-1)[positions]
        return aligned.to(self._parameters[name])

    def gradients(self, losses: Losses, names: Iterable[str] | None = None) -> Iterator[tuple[str, Tensor]]:
        """(name, fp32 gradient of the losses' sum) for the named parameters, by default the matrices."""
        wanted = {n: self._parameters[n] for n in (self.matrices if names is None else names)}
        return gradients(self.model, wanted, losses)

    def gains(self, losses: Losses, names: Iterable[str] | None = None) -> Iterator[tuple[str, Tensor]]:
        """fp32 `gradient * (current - other)`: the first-order drop of the losses' sum if a coordinate flips."""
        for name, gradient in self.gradients(losses, names):
            if self._streamed:
                self._streamed.bring(name)
            yield name, gain(gradient, self._parameters[name], self.other(name))

    @contextlib.contextmanager
    def as_aligned(self) -> Iterator[Any]:
        """The aligned model for a while, in this model's own memory; afterwards everything is as it was."""
        with self._filled(self._parameters, lambda name: self.pair.values(name)[0]) as model:
            self._is_aligned = True
            try:
                yield model
            finally:
                self._is_aligned = False

    @property
    def fingerprint(self) -> str | None:
        """That of the aligned checkpoint while the model is it, weight by weight; None while it is another."""
        return self.pair.aligned.fingerprint if self._is_aligned and self.pair.same_layout else None

    @contextlib.contextmanager
    def edited(self, edit: Dense) -> Iterator[Any]:
        """The model under an edit of whole tensors for a while; afterwards everything is as it was."""
        named = {n: p for n, p in self._paired.items() if n in edit}
        with self._filled(named, lambda name: edit[name](*self.pair.values(name))) as model:
            yield model

    @contextlib.contextmanager
    def _filled(self, parameters: Mapping[str, Tensor], source: Callable[[str], Tensor]) -> Iterator[Any]:
        """The model with these tensors from `source` for a while."""
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
        """Take streamed tensors from `source` from now on."""
        if self._streamed:
            self._streamed.source = source
            self._streamed.drop()

    def current(self, name: str) -> Tensor:
        """`where(selection, aligned, tuned)` from the files: what the live tensor must equal."""
        positions = self.selection.positions.get(name)
        if positions is None:
            return self.pair.tuned.tensor(name)
        aligned, tuned = self.pair.values(name)
        restored = tuned.clone(memory_format=torch.contiguous_format)
        restored.view(-1)[positions] = aligned.reshape(-1)[positions]
        return restored


def _paired(model: Any, pair: Pair) -> dict[str, Tensor]:
    """The parameters that hold the pair's tensors, by the pair's names.

    transformers renames some tensors as it loads them: those are known by what they hold. Raises InputError for a
    changed tensor that it builds into another one, since nothing of it could be flipped.
    """
    named = weights_by_name(model)
    tied = {canonical(name) for name, _ in model.named_parameters(remove_duplicate=False)}
    spare = {name: p for name, p in named.items() if name not in pair.tuned.entries}
    changed_first = sorted(pair.names, key=lambda n: n not in pair.changed)
    renamed = [n for n in changed_first if n not in tied and not BUFFERS.search(n)] if spare else []
    for name in renamed:
        twin = next((n for n, p in spare.items() if _holds(p, pair.tuned.tensor(name))), None)
        if twin is not None:
            named[name] = spare.pop(twin)
        elif name in pair.changed:
            raise InputError(
                f"transformers builds {name} into another tensor of {type(model).__name__} (one of "
                f"{', '.join([*spare][:3])}), where it cannot be restored; expected weights that are loaded as they lie"
            )
    return {n: named[n] for n in pair.names if n in named}


def _holds(parameter: Tensor, value: Tensor) -> bool:
    return parameter.shape == value.shape and torch.equal(parameter.cpu(), value.to(parameter.dtype))
