"""The gradient pass: losses in, one exact gradient per weight matrix out, one matrix at a time.

The engine knows parameters and losses. Everything else, candidates, gains and the selection, lies with its callers,
who see an iterator of (name, gradient) and may rely on nothing more.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


def gradients(
    model: Any, parameters: Mapping[str, Tensor], losses: Iterable[Callable[[Any], Tensor]]
) -> Iterator[tuple[str, Tensor]]:
    """The gradient of the sum of `losses` with respect to each parameter, in fp32, freed as it is consumed.

    Micro-batch gradients are added up in fp32 whatever the model's dtype. Parameters that no loss reaches yield zeros.
    """
    totals = {name: torch.zeros_like(p, dtype=torch.float32) for name, p in parameters.items()}
    hooks = []
    for name, parameter in parameters.items():
        parameter.requires_grad_(True)
        register: Any = parameter.register_post_accumulate_grad_hook
        hooks.append(register(_adder(totals[name])))
    try:
        with torch.enable_grad():
            for loss in losses:
                value: Any = loss(model)
                value.backward()
    finally:
        for hook, parameter in zip(hooks, parameters.values(), strict=True):
            hook.remove()
            parameter.requires_grad_(False)
            parameter.grad = None
    for name in list(totals):
        yield name, totals.pop(name)


def _adder(total: Tensor) -> Callable[[Tensor], None]:
    def add(parameter: Tensor) -> None:
        assert parameter.grad is not None  # noqa: S101, autograd calls this hook after it has set the gradient
        total.add_(parameter.grad)
        parameter.grad = None

    return add
