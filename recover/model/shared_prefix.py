"""The first tokens that all prompts of a batch have in common, run once: most chat templates begin every prompt alike.

The common tokens go through the blocks as one row, whose keys and values every row then sees as its own past. Both
passes may be differentiated, and each block's two calls may be run again in the same order.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


class Prefix(DynamicCache):  # type: ignore[misc]
    """Keys and values of the common tokens, one row, a layer a block. A block that runs again starts its layer anew."""

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any) -> Any:
        while len(self.layers) <= layer_idx:
            self.layers.append(DynamicLayer())
        self.layers[layer_idx] = DynamicLayer()
        return self.layers[layer_idx].update(key_states, value_states)


class Continued(DynamicCache):  # type: ignore[misc]
    """What the rows after a prefix see: the prefix before their own keys and values, which are not kept."""

    def __init__(self, prefix: Prefix) -> None:
        super().__init__()
        self.layers = prefix.layers

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any) -> Any:
        past, rows = self.layers[layer_idx], key_states.shape[0]
        return (
            torch.cat([past.keys.expand(rows, -1, -1, -1), key_states], dim=-2),
            torch.cat([past.values.expand(rows, -1, -1, -1), value_states], dim=-2),
        )
