"""Models larger than memory: a block's weights are taken from the files when it runs, and let go when another one does.

On a CPU that computes in the files' own dtype nothing is copied: a block's weights are the memory-mapped file itself,
whose pages the system may drop at any time. For an accelerator the block that comes next is read while one runs, by a
thread, into pinned memory of the host.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor, nn

from recover.checkpoints.checkpoint import canonical


class Streamed:
    """The blocks of a model, one of which has its weights at a time.

    `source` gives a weight by its canonical name, in its shape. Whoever changes what it gives calls `drop`. `names` are
    the weights that come and go.
    """

    def __init__(
        self,
        path: str,
        blocks: nn.ModuleList,
        source: Callable[[str], Tensor],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.source = source
        self._dtype, self._device = dtype, device
        self._parts = {
            block: {canonical(f"{path}.{i}.{name}"): p for name, p in block.named_parameters()}
            for i, block in enumerate(blocks)
        }
        self._homes = {name: block for block, part in self._parts.items() for name in part}
        self.names = frozenset(self._homes)
        self._there: nn.Module | None = None
        self._order = [*self._parts]
        self._at = 0  # the place of the block that came last
        self._reader = ThreadPoolExecutor(1) if device.type != "cpu" else None
        self._coming: tuple[nn.Module, Future[list[Tensor]]] | None = None
        for block in blocks:
            self._empty(block)
            block.register_forward_pre_hook(lambda block, _args: self._bring(block), prepend=True)

    def bring(self, name: str) -> None:
        """See to it that a weight is there, even if its block has not just run; others may be let go."""
        if name in self._homes:
            self._bring(self._homes[name])

    def drop(self) -> None:
        """Let go of the weights that are there, and of those that are on their way."""
        self._coming = None
        if self._there is not None:
            self._empty(self._there)
            self._there = None

    def _bring(self, block: nn.Module) -> None:
        if block is self._there:  # it stays until another one comes: a backward pass needs it after its forward pass
            return
        coming = self._coming
        self.drop()
        values = coming[1].result() if coming and coming[0] is block else self._read(block)
        with torch.inference_mode(False):  # generating may bring what a backward pass then needs
            for parameter, value in zip(self._parts[block].values(), values, strict=True):
                parameter.data = value.to(self._device, non_blocking=value.is_pinned())
        self._there = block
        if self._reader:
            follower = self._following(block)
            self._coming = follower, self._reader.submit(self._read, follower)

    def _read(self, block: nn.Module) -> list[Tensor]:
        """A block's weights in the host's memory."""
        with torch.inference_mode(False):
            values = [self.source(name).to(dtype=self._dtype) for name in self._parts[block]]
            return [v.pin_memory() for v in values] if self._device.type == "cuda" else values

    def _following(self, block: nn.Module) -> nn.Module:
        """The block that is likely to come next: passes go up and begin again, or come down from the last block."""
        at = self._order.index(block)
        way = 1 if at > self._at or at == 0 else -1
        self._at = at
        return self._order[(at + way) % len(self._order)]

    def _empty(self, block: nn.Module) -> None:
        """Weights of the right shape, dtype and device that take no memory."""
        with torch.inference_mode(False):
            nothing = torch.zeros((), dtype=self._dtype, device=self._device)
            for parameter in self._parts[block].values():
                parameter.data = nothing.expand(parameter.shape)
