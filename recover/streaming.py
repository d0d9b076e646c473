"""Models larger than memory: a block's weights are taken from the files when it runs, and let go when another one does.

On a CPU that computes in the files' own dtype nothing is copied: a block's weights are the memory-mapped file itself,
whose pages the system may drop at any time.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from recover.checkpoint import canonical


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
        for block in blocks:
            self._empty(block)
            block.register_forward_pre_hook(lambda block, _args: self._bring(block), prepend=True)

    def bring(self, name: str) -> None:
        """See to it that a weight is there, even if its block has not just run; others may be let go."""
        if name in self._homes:
            self._bring(self._homes[name])

    def drop(self) -> None:
        """Let go of the weights that are there."""
        if self._there is not None:
            self._empty(self._there)
            self._there = None

    def _bring(self, block: nn.Module) -> None:
        if block is self._there:  # it stays until another one comes: a backward pass needs it after its forward pass
            return
        self.drop()
        with torch.inference_mode(False):  # generating may bring what a backward pass then needs
            for name, parameter in self._parts[block].items():
                parameter.data = self.source(name).to(self._device, self._dtype)
        self._there = block

    def _empty(self, block: nn.Module) -> None:
        """Weights of the right shape, dtype and device that take no memory."""
        with torch.inference_mode(False):
            nothing = torch.zeros((), dtype=self._dtype, device=self._device)
            for parameter in self._parts[block].values():
                parameter.data = nothing.expand(parameter.shape)
