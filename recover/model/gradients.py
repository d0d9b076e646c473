"""The gradient pass: losses in, one exact gradient per weight matrix out, one block's gradients alive at a time.

A plain backward holds the gradient of every weight until the last prompt is done. Here the loops are swapped: the
prompts run forward through all blocks first, keeping only what enters each block; then, from the last block down, one
block at a time runs again and backward for all prompts, so that its gradients are final and can be used and freed
before the next block's begin. It costs a second forward pass, 4/3 of forward and backward, and keeps what enters each
block: tokens x width x blocks values, where a plain backward keeps a gradient for every weight. Of one block's
gradients up to distributed.LEVELS + 1 are alive, parts of a sum, if there are as many micro-batches.

The engine knows parameters, blocks and losses. Candidates, gains and the selection lie with its callers, who see an
iterator of (name, gradient) and may rely on nothing more.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import Cache

from recover.checkpoints.architecture import decoder_blocks
from recover.errors import Undecided
from recover.model import distributed
from recover.model.cpu_attention import Fp32CpuAttention, with_fp32_cpu_attention
from recover.model.shared_prefix import Continued, Prefix

Losses = Iterable[Callable[[Any], Tensor]]  # each maps the model to a scalar; their sum is what counts
Stage = Callable[[Callable[[int], None]], None]


def gradients(model: Any, parameters: Mapping[str, Tensor], losses: Losses) -> Iterator[tuple[str, Tensor]]:
    """The gradient of the sum of `losses` with respect to each parameter, in fp32, to be consumed as it comes.

    Micro-batch gradients are added up in fp32 whatever the model's dtype, in an order that does not depend on how many
    processes share the losses; each of them gets the sums. Parameters that no loss reaches yield zeros. Losses call
    the model with `use_cache=False` or with a prefix. A model whose blocks share weights with each other or with the
    rest takes one checkpointed backward instead, which holds the gradients of all parameters; Undecided if its blocks
    are streamed.
    """
    blocks = list(decoder_blocks(model)[1])
    if separate(model, blocks):
        return by_block(model, blocks, parameters, losses)
    if getattr(model, "streamed", None):  # what is computed again in a backward pass does not call the block
        raise Undecided(
            "blocks of this model share weights and cannot be streamed in a gradient pass; use --offload never"
        )
    return at_once(model, blocks, parameters, losses)


def separate(model: nn.Module, blocks: list[nn.Module]) -> bool:
    """Whether every block is there once and shares no weight with anything else."""
    owners: dict[int, int] = {}
    for _, parameter in model.named_parameters(remove_duplicate=False):
        owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    return all(owners[id(p)] == 1 for block in blocks for p in block.parameters())


def at_once(
    model: Any, blocks: list[nn.Module], parameters: Mapping[str, Tensor], losses: Losses
) -> Iterator[tuple[str, Tensor]]:
    """One backward a loss, activations computed again block by block; holds the gradients of all parameters."""
    mine = distributed.share(losses)
    with _adding(parameters, len(mine)) as (totals, stage), _checkpointed(blocks):
        with Fp32CpuAttention():
            stage(lambda i: _run(model, mine[i]))
        yield from _final(parameters, totals)


def by_block(
    model: Any, blocks: list[nn.Module], parameters: Mapping[str, Tensor], losses: Losses
) -> Iterator[tuple[str, Tensor]]:
    """The layer-by-layer pass, from the last block down; holds the gradients of one block, and of what is in none."""
    place = {id(p): i for i, block in enumerate(blocks) for p in block.parameters()}
    inside: list[dict[str, Tensor]] = [{} for _ in blocks]
    outside: dict[str, Tensor] = {}
    for name, parameter in parameters.items():
        (inside[place[id(parameter)]] if id(parameter) in place else outside)[name] = parameter
    lowest = 0 if outside else min((i for i, wanted in enumerate(inside) if wanted), default=len(blocks))
    mine = distributed.share(losses)
    tapes: list[_Tape] = [[[] for _ in blocks] for _ in mine]

    def forward(number: int) -> None:
        with _recorded(blocks, tapes[number]):
            _run(model, mine[number])

    def backward(i: int, number: int) -> None:
        for calls in tapes[number].pop():
            _backward(blocks[i], calls, onward=i > lowest or bool(outside))

    with _adding(parameters, len(mine)) as (totals, stage):
        stage(forward)
        for i in reversed(range(len(blocks))):
            if i >= lowest:
                stage(partial(backward, i))
            yield from _final(inside[i], totals)
        yield from _final(outside, totals)


def _run(model: Any, loss: Callable[[Any], Tensor]) -> None:
    """Backward from a loss, as far as there is a graph."""
    with torch.enable_grad():
        torch.autograd.backward(loss(model))


@dataclass
class _Call:
    """What entered a block in one micro-batch, and what left it: a leaf, whose gradient the later stages fill in."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Tensor

    @property
    def cache(self) -> Any:
        """The past that the block was given, if any."""
        return next((v for v in (*self.args, *self.kwargs.values()) if isinstance(v, Cache)), None)


_Tape = list[list[list[_Call]]]  # of one loss: each block's calls, a prefix's together with the one after it


@contextlib.contextmanager
def _recorded(blocks: list[nn.Module], tape: _Tape) -> Iterator[None]:
    """Blocks that run without a graph for a while: each puts its calls on its part of the tape."""

    def enter(*_: Any) -> None:
        torch.set_grad_enabled(False)

    def leave(
        part: list[list[_Call]], _block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> Any:
        torch.set_grad_enabled(True)
        first, *others = output if isinstance(output, tuple) else (output,)
        leaf = first.detach().requires_grad_()
        call = _Call(args, kwargs, leaf)
        if call.cache is not None and not isinstance(call.cache, Prefix | Continued):
            raise ValueError(
                "a loss must call its model with use_cache=False: a block that runs again fills a cache twice"
            )
        if isinstance(call.cache, Continued):
            part[-1].append(call)
        else:
            part.append([call])
        return (leaf, *others) if isinstance(output, tuple) else leaf

    hooks: list[Any] = [block.register_forward_pre_hook(enter) for block in blocks]
    for block, part in zip(blocks, tape, strict=True):
        hooks.append(block.register_forward_hook(partial(leave, part), prepend=True, with_kwargs=True))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@with_fp32_cpu_attention
def _backward(block: nn.Module, calls: list[_Call], onward: bool) -> None:
    """Run a block again and backward into its weights and, `onward`, into what entered it."""
    if all(call.output.grad is None for call in calls):
        return  # no loss reads what comes after this block
    inputs: list[tuple[Tensor, Tensor]] = []  # what entered, with the leaf that stands for it

    def leaf(value: Any) -> Any:
        if not (isinstance(value, Tensor) and value.requires_grad):
            return value
        stand_in = value.detach().requires_grad_(onward)
        inputs.append((value, stand_in))
        return stand_in

    with torch.enable_grad():
        outputs = []
        for call in calls:
            output = block(*map(leaf, call.args), **{k: leaf(v) for k, v in call.kwargs.items()})
            outputs.append(output[0] if isinstance(output, tuple) else output)
        read = [(o, c.output.grad) for o, c in zip(outputs, calls, strict=True) if c.output.grad is not None]
        torch.autograd.backward([output for output, _ in read], [gradient for _, gradient in read])
        reached = [(value, stand_in.grad) for value, stand_in in inputs if stand_in.grad is not None]
        if reached:
            torch.autograd.backward([value for value, _ in reached], [gradient for _, gradient in reached])


@contextlib.contextmanager
def _adding(parameters: Mapping[str, Tensor], losses: int) -> Iterator[tuple[dict[str, Tensor], Stage]]:
    """fp32 sums of what backward passes add to these parameters for a while; no trace of it stays on them.

    A stage is what is done for each of the losses of this process; its sums over all processes go to the totals.
    """
    fresh: dict[str, Tensor] = {}
    totals: dict[str, Tensor] = {}
    hooks = []
    for name, parameter in parameters.items():
        parameter.requires_grad_(True)
        register: Any = parameter.register_post_accumulate_grad_hook
        hooks.append(register(partial(_add, fresh, name)))

    def stage(run: Callable[[int], None]) -> None:
        _join(totals, distributed.summed(_halved(run, range(losses), distributed.levels(), fresh), parameters))

    try:
        yield totals, stage
    finally:
        for hook, parameter in zip(hooks, parameters.values(), strict=True):
            hook.remove()
            parameter.requires_grad_(False)
            parameter.grad = None


def _halved(
    run: Callable[[int], None], losses: Sequence[int], levels: int, fresh: dict[str, Tensor]
) -> dict[str, Tensor]:
    """What runs add to `fresh`, summed in the order that `parallel` tells of: even places, odd places, both."""
    if levels and len(losses) > 1:
        even = _halved(run, losses[::2], levels - 1, fresh)
        _join(even, _halved(run, losses[1::2], levels - 1, fresh))
        return even
    for loss in losses:
        run(loss)
    found = dict(fresh)
    fresh.clear()
    return found


def _join(totals: dict[str, Tensor], parts: Mapping[str, Tensor]) -> None:
    """Add parts to totals by name."""
    for name, part in parts.items():
        totals[name] = totals[name].add_(part) if name in totals else part


def _add(totals: dict[str, Tensor], name: str, parameter: Tensor) -> None:
    assert parameter.grad is not None  # noqa: S101, autograd calls this hook after it has set the gradient
    if name in totals:
        totals[name].add_(parameter.grad)
    else:
        totals[name] = parameter.grad.float()
    parameter.grad = None


def _final(parameters: Mapping[str, Tensor], totals: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The sums that no later stage adds to; whoever gets them may compute with the parameters freely."""
    for name, parameter in parameters.items():
        parameter.requires_grad_(False)
        total = totals.pop(name, None)
        yield name, torch.zeros_like(parameter, dtype=torch.float32) if total is None else total


@contextlib.contextmanager
def _checkpointed(blocks: list[nn.Module]) -> Iterator[None]:
    """Blocks whose activations are not kept for the backward pass but computed again there, for a while."""
    distinct = {id(block): block for block in blocks}.values()
    for block in distinct:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    try:
        yield
    finally:
        for block in distinct:
            del block.forward
