"""The gradient pass: losses in, one exact gradient per weight matrix out, one block's gradients alive at a time.

A plain backward pass holds the gradient of every weight until the last prompt is done. Here the loops are swapped.
First, all prompts run forward through all blocks, and only the inputs of each block are kept. Then, from the last block
to the first, each block runs forward again and backward for all prompts. After that, the block's gradients are final:
they can be used and freed before the next block starts.

The cost is a second forward pass: 4/3 of the time of one forward and one backward pass. The memory is the blocks'
inputs, tokens x width x blocks values, instead of a gradient for every weight. With enough micro-batches, up to
distributed.LEVELS + 1 partial sums of one block's gradients are alive.

This module knows parameters, blocks and losses. Callers get an iterator of (name, gradient); candidates, gains and the
selection are theirs.
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
Stage = Callable[[Callable[[int], None]], None]  # runs a function for each loss, by its index


def gradients(model: Any, parameters: Mapping[str, Tensor], losses: Losses) -> Iterator[tuple[str, Tensor]]:
    """The gradient of the sum of `losses` with respect to each parameter, in fp32, one parameter at a time.

    Micro-batch gradients are added in fp32, whatever the model's dtype. The order of additions does not depend on the
    number of processes that share the losses; each process gets the sums. Parameters that no loss depends on get zeros.
    A loss must call the model with `use_cache=False` or with a prefix.

    Where blocks share weights with each other or with the rest of the model, one checkpointed backward pass runs
    instead. It holds the gradients of all parameters. Raises Undecided if such a model's blocks are streamed.
    """
    blocks = list(decoder_blocks(model)[1])
    if separate(model, blocks):
        return by_block(model, blocks, parameters, losses)
    if getattr(model, "streamed", None):  # checkpointing runs `forward` again without the hooks that load weights
        raise Undecided(
            "blocks of this model share weights and cannot be streamed in a gradient pass; use --offload never"
        )
    return at_once(model, blocks, parameters, losses)


def separate(model: nn.Module, blocks: list[nn.Module]) -> bool:
    """Whether every block occurs once and shares no weight with the rest of the model."""
    owners: dict[int, int] = {}
    for _, parameter in model.named_parameters(remove_duplicate=False):
        owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    return all(owners[id(p)] == 1 for block in blocks for p in block.parameters())


def at_once(
    model: Any, blocks: list[nn.Module], parameters: Mapping[str, Tensor], losses: Losses
) -> Iterator[tuple[str, Tensor]]:
    """One backward pass for each loss, which computes activations again block by block.

    Holds the gradients of all parameters.
    """
    own_losses = distributed.share(losses)
    with _summing(parameters, len(own_losses)) as (totals, stage), _checkpointed(blocks):
        with Fp32CpuAttention():
            stage(lambda i: _run(model, own_losses[i]))
        yield from _final(parameters, totals)


def by_block(
    model: Any, blocks: list[nn.Module], parameters: Mapping[str, Tensor], losses: Losses
) -> Iterator[tuple[str, Tensor]]:
    """The layer-by-layer pass, from the last block to the first.

    Holds the gradients of one block and of the parameters outside all blocks.
    """
    block_index = {id(p): i for i, block in enumerate(blocks) for p in block.parameters()}
    inside: list[dict[str, Tensor]] = [{} for _ in blocks]
    outside: dict[str, Tensor] = {}
    for name, parameter in parameters.items():
        (inside[block_index[id(parameter)]] if id(parameter) in block_index else outside)[name] = parameter
    lowest = 0 if outside else min((i for i, wanted in enumerate(inside) if wanted), default=len(blocks))
    own_losses = distributed.share(losses)
    tapes: list[_Tape] = [[[] for _ in blocks] for _ in own_losses]

    def forward(loss: int) -> None:
        with _recorded(blocks, tapes[loss]):
            _run(model, own_losses[loss])

    def backward(block: int, loss: int) -> None:
        for calls in tapes[loss].pop():
            _backward(blocks[block], calls, onward=block > lowest or bool(outside))

    with _summing(parameters, len(own_losses)) as (totals, stage):
        stage(forward)
        for block in reversed(range(len(blocks))):
            if block >= lowest:
                stage(partial(backward, block))
            yield from _final(inside[block], totals)
        yield from _final(outside, totals)


def _run(model: Any, loss: Callable[[Any], Tensor]) -> None:
    """Run a loss forward, then backward as far as its graph reaches."""
    with torch.enable_grad():
        torch.autograd.backward(loss(model))


@dataclass
class _Call:
    """A block's inputs in one micro-batch, and its output: a leaf, whose gradient the later stages fill in."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Tensor

    @property
    def cache(self) -> Any:
        """The key-value cache among the block's arguments, if any."""
        return next((v for v in (*self.args, *self.kwargs.values()) if isinstance(v, Cache)), None)


_Tape = list[list[list[_Call]]]  # of one loss: each block's calls; a prefix's call is grouped with the one after it


@contextlib.contextmanager
def _recorded(blocks: list[nn.Module], tape: _Tape) -> Iterator[None]:
    """While entered, blocks run without a graph, and each records its calls on its part of the tape."""

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
                "a loss must call its model with use_cache=False: a block that runs twice fills a cache twice"
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
    """Run a block again, then backward into its weights and, with `onward`, into its inputs."""
    if all(call.output.grad is None for call in calls):
        return  # no loss depends on the output of this block
    inputs: list[tuple[Tensor, Tensor]] = []  # each input with the leaf that stands for it

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
        used = [(o, c.output.grad) for o, c in zip(outputs, calls, strict=True) if c.output.grad is not None]
        torch.autograd.backward([output for output, _ in used], [gradient for _, gradient in used])
        reached = [(value, stand_in.grad) for value, stand_in in inputs if stand_in.grad is not None]
        if reached:
            torch.autograd.backward([value for value, _ in reached], [gradient for _, gradient in reached])


@contextlib.contextmanager
def _summing(parameters: Mapping[str, Tensor], losses: int) -> Iterator[tuple[dict[str, Tensor], Stage]]:
    """While entered, fp32 sums of the gradients that backward passes give these parameters; no hook stays afterwards.

    Gives the totals by name, and a stage. A stage runs a function for each loss of this process, sums the gradients
    over all processes, and adds the sums to the totals.
    """
    pending: dict[str, Tensor] = {}  # sums that are not in the totals yet
    totals: dict[str, Tensor] = {}
    hooks = []
    for name, parameter in parameters.items():
        parameter.requires_grad_(True)
        register: Any = parameter.register_post_accumulate_grad_hook
        hooks.append(register(partial(_add, pending, name)))

    def stage(run: Callable[[int], None]) -> None:
        _join(totals, distributed.summed(_tree_sums(run, range(losses), distributed.levels(), pending), parameters))

    try:
        yield totals, stage
    finally:
        for hook, parameter in zip(hooks, parameters.values(), strict=True):
            hook.remove()
            parameter.requires_grad_(False)
            parameter.grad = None


def _tree_sums(
    run: Callable[[int], None], losses: Sequence[int], levels: int, pending: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The sums that runs leave in `pending`, added in the order that `distributed` describes: even indices, odd
    indices, then both."""
    if levels and len(losses) > 1:
        even = _tree_sums(run, losses[::2], levels - 1, pending)
        _join(even, _tree_sums(run, losses[1::2], levels - 1, pending))
        return even
    for loss in losses:
        run(loss)
    sums = dict(pending)
    pending.clear()
    return sums


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
    """(name, sum) for parameters whose sums are final; the caller may then use these parameters freely."""
    for name, parameter in parameters.items():
        parameter.requires_grad_(False)
        total = totals.pop(name, None)
        yield name, torch.zeros_like(parameter, dtype=torch.float32) if total is None else total


@contextlib.contextmanager
def _checkpointed(blocks: list[nn.Module]) -> Iterator[None]:
    """While entered, blocks do not keep activations for the backward pass; they compute them again there."""
    distinct = {id(block): block for block in blocks}.values()
    for block in distinct:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    try:
        yield
    finally:
        for block in distinct:
            del block.forward
