"""Attention of short rows on a processor: in fp32, since the kernels of reduced precision are slow there.

Forward and backward it takes a fifth to a half of the time (see docs/log.md), and rounds less. It is for losses and
their gradients, whose rows are short and many; a decoded token reads a long past for one row, and stays as it is.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

SMALL = 1 << 13  # keys x width of a head: above, the kernels of reduced precision are no slower

P = ParamSpec("P")
R = TypeVar("R")


class Fp32CpuAttention(TorchFunctionMode):
    """While entered, small bf16 and fp16 attention on a CPU is computed in fp32 and rounded once, at its end."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        if func is scaled_dot_product_attention and len(args) == 3 and _small(args[1]):
            mask = options.get("attn_mask")
            if mask is not None and mask.is_floating_point():
                options["attn_mask"] = mask.float()
            return func(*(part.float() for part in args), **options).to(args[0].dtype)
        return func(*args, **options)


def with_fp32_cpu_attention(function: Callable[P, R]) -> Callable[P, R]:
    """A function that runs under `Fp32CpuAttention`. A forward pass and its recomputation must both be, or neither."""

    @wraps(function)
    def within(*args: P.args, **kwargs: P.kwargs) -> R:
        with Fp32CpuAttention():
            return function(*args, **kwargs)

    return within


def _small(keys: Tensor) -> bool:
    reduced = keys.dtype in (torch.bfloat16, torch.float16)
    return reduced and keys.device.type == "cpu" and keys.shape[-2] * keys.shape[-1] <= SMALL
