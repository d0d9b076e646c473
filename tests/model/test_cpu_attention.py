"""Small attention of reduced precision is computed in fp32: nearer to the truth, and only where it should be."""

import pytest
import torch
from tiny import tiny_model
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from recover.model.cpu_attention import SMALL, Fp32CpuAttention
from recover.model.gradients import gradients
from recover.search.objective import divergence, last_hidden, passage, teach

ROWS, HEADS, LENGTH, WIDTH = 3, 2, 24, 16
CAUSAL = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril()
MASKS = {"none": None, "boolean": CAUSAL, "added": torch.zeros(LENGTH, LENGTH).masked_fill(~CAUSAL, -1e4)}


class Seen(TorchFunctionMode):
    """The dtypes in which attention was really computed, and how long its keys were."""

    def __init__(self) -> None:
        self.dtypes: list[torch.dtype] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if func is scaled_dot_product_attention:
            self.dtypes.append(args[0].dtype)
        return func(*args, **(kwargs or {}))


def parts(dtype: torch.dtype, length: int = LENGTH) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(ROWS, HEADS, length, WIDTH).to(torch.bfloat16).to(dtype).requires_grad_() for _ in range(3)]


def worked(dtype: torch.dtype, mask: Tensor | None) -> list[Tensor]:
    """The result and the three gradients of a sum."""
    given = parts(dtype)
    fitting = mask.to(dtype) if mask is not None and mask.is_floating_point() else mask
    out = scaled_dot_product_attention(*given, attn_mask=fitting, is_causal=mask is None)
    weights = torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view(out.shape)
    return [out, *torch.autograd.grad(out, given, weights.to(dtype))]


def error(found: list[Tensor], truth: list[Tensor]) -> list[float]:
    return [float(((f.double() - t).norm() / t.norm()).detach()) for f, t in zip(found, truth, strict=True)]


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_the_result_and_its_gradients_are_rounded_once(mask: Tensor | None) -> None:
    truth, plain = worked(torch.float64, mask), worked(torch.bfloat16, mask)
    with Fp32CpuAttention():
        found = worked(torch.bfloat16, mask)
    assert all(tensor.dtype is torch.bfloat16 for tensor in found)
    assert all(e < 2**-8 for e in error(found, truth))  # one rounding
    assert all(ours <= theirs for ours, theirs in zip(error(found, truth), error(plain, truth), strict=True))


@pytest.mark.parametrize(
    ("dtype", "length", "computed"),
    [
        (torch.bfloat16, SMALL // WIDTH, torch.float32),
        (torch.float16, 8, torch.float32),
        (torch.bfloat16, SMALL // WIDTH + 1, torch.bfloat16),
        (torch.float64, 8, torch.float64),
    ],
)
def test_only_what_is_small_and_of_reduced_precision_is_widened(
    dtype: torch.dtype, length: int, computed: torch.dtype
) -> None:
    with Seen() as seen, Fp32CpuAttention():
        scaled_dot_product_attention(*parts(dtype, length))
    assert seen.dtypes == [computed]


def test_teachers_losses_and_their_gradients_agree_on_it() -> None:
    """A teacher that computed otherwise than its student would make a gradient out of rounding."""
    model = tiny_model("llama").to(torch.bfloat16)
    asked = [passage([258, *range(40, 60), 259], [70, 71, 72])]
    with Seen() as seen:
        targets = teach(model, asked, 264)
        found = dict(gradients(model, dict(model.named_parameters()), [lambda m: divergence(m, targets)]))
        last_hidden(model, [[258, 40, 41]], 1)
    assert {*seen.dtypes} == {torch.float32}
    assert len(seen.dtypes) == 2 * (1 + 2 + 1)  # two blocks: taught, run forward, run again; and read for their states
    assert max(float(gradient.abs().max()) for gradient in found.values()) < 1e-6  # its own teacher
