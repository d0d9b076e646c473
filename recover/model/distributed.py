"""Several processes that do one job: torchrun starts them, each holds the pair, and they share the prompts.

Every process runs the same code. The functions here are where their ways part or meet, and do nothing in a process of
its own. What processes tell each other comes as pickles, which only processes of the same run can send.

Floating-point sums depend on their order, so there is one order whatever the number of processes: the losses at even
places are added up apart from those at odd places, and so are the halves of either, LEVELS times. Processes take
branches of this tree, and exchange sums where branches meet. Two numbers have one sum in either order, so that all
processes get the same bits, and the same as a process of its own.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import timedelta
from types import FrameType
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from recover.errors import Exit, InputError, RecoverError, Undecided, reason_of

LEVELS = 3  # of the tree of sums: at most 2^LEVELS processes, and LEVELS more gradients of a block than one
COLLECTIVE_TIMEOUT = timedelta(
    hours=2
)  # for one that works alone, as where it judges; one that is gone is missed at once
FAREWELL = timedelta(seconds=20)  # for the others to fail with the same error
VARIABLES = {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"}

In = TypeVar("In")
Out = TypeVar("Out")
_several = ContextVar("_several", default=False)  # a caller may have processes of its own that know nothing of ours


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Be one of the processes that torchrun started, if it did; all leave together.

    Where all fail, the first raises its error and the others exit with its code. Where one ends alone, the others raise
    Undecided. Raises InputError for a number of processes that the tree has no branches for.
    """
    if _asked() == 1:
        yield
        return
    signal.signal(signal.SIGTERM, _told_to_end)
    if torch.accelerator.is_available():
        torch.accelerator.set_device_index(int(os.environ["LOCAL_RANK"]))
    with _connected():
        distributed.init_process_group(timeout=COLLECTIVE_TIMEOUT)
        last: Any = distributed.new_group(backend="gloo", timeout=FAREWELL)
    before = _several.set(True)
    try:
        if world() not in [2**level for level in range(LEVELS + 1)]:
            raise InputError(f"found {world()} processes; expected 1, 2, 4 or 8, among which sums can be divided")
        yield
        gathered(None)  # the first may still write: whoever ends before it with another code than 0 ends it
    except (Exception, KeyboardInterrupt) as error:
        code = _firsts(_code(error), last)
        if not leads() and code is not None:
            raise SystemExit(code) from None
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # nothing is left to do but to say how it ended
        _several.reset(before)
        distributed.destroy_process_group()


def _told_to_end(_signal: int, _frame: FrameType | None) -> None:
    raise Undecided(
        "told to end, as torchrun does when another process of the run ended; see what that one said, and run again"
    )


def _asked() -> int:
    """How many processes torchrun, or another that sets its variables, started for this job."""
    return int(os.environ["WORLD_SIZE"]) if os.environ.keys() >= VARIABLES else 1


def _firsts(code: Exit, group: Any) -> Exit | None:
    """The first process's exit code, if all of them come here."""
    codes: list[Any] = [None] * world()
    try:
        distributed.all_gather_object(codes, code, group)
    except RuntimeError:
        return None
    first: Exit = codes[0]
    return first


def _code(error: BaseException) -> Exit:
    if isinstance(error, RecoverError):
        return error.exit_code
    return Exit.INTERRUPTED if isinstance(error, KeyboardInterrupt) else Exit.UNDECIDED


@contextlib.contextmanager
def _connected() -> Iterator[None]:
    """Exchange something; one sentence if another process does not answer."""
    try:
        yield
    except RuntimeError as error:
        reason = reason_of(error, 160)
        raise Undecided(
            f"another process of this run ended or does not answer ({reason}); see what it said, and run again"
        ) from error


def world() -> int:
    """How many processes do this job."""
    return distributed.get_world_size() if _several.get() else 1


def _place() -> int:
    return distributed.get_rank() if _several.get() else 0


def leads() -> bool:
    """Whether this is the process that writes, judges and tells."""
    return _place() == 0


def first(function: Callable[[], Out]) -> Out:
    """What a function returns in the first process, which alone calls it. Where it fails there, all fail."""
    if world() == 1:
        return function()
    sent: list[Any] = [None, False]
    try:
        if leads():
            sent = [function(), True]
    finally:
        with _connected():
            distributed.broadcast_object_list(sent, src=0)
    value, done = sent
    if not done:
        raise Undecided("the first process of this run failed; see what it said")
    found: Out = value
    return found


def gathered(value: Out) -> list[Out]:
    """The values of all processes, in their order."""
    if world() == 1:
        return [value]
    found: list[Any] = [None] * world()
    with _connected():
        distributed.all_gather_object(found, value)
    return found


def mapped(function: Callable[[In], Out], items: Sequence[In]) -> Iterator[Out]:
    """What a function returns for each item, in order; the processes take turns and tell each other."""
    for start in range(0, len(items), world()):
        turn = items[start : start + world()]
        mine = function(turn[_place()]) if _place() < len(turn) else None
        told: list[Any] = gathered(mine)
        yield from told[: len(turn)]


def share(items: Iterable[In]) -> list[In]:
    """This process's part of what is added up: its branch of the tree."""
    return [*items][_place() :: world()]


def levels() -> int:
    """How many levels of the tree lie in one process's branch."""
    return LEVELS - (world().bit_length() - 1)


def summed(parts: dict[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """fp32 sums by name over all processes, each of which has some or none of the parts, shaped `like` these."""
    if world() == 1:
        return parts
    held = torch.tensor([name in parts for name in like], dtype=torch.uint8)
    with _connected():
        distributed.all_reduce(held, distributed.ReduceOp.MAX)
    names = [name for name, somewhere in zip(like, held.tolist(), strict=True) if somewhere]
    return {name: _sum(parts.get(name), like[name]) for name in names}


def _sum(part: Tensor | None, like: Tensor) -> Tensor:
    """The sum of all processes' parts, up the tree: neighbours in the least bit of their places meet last."""
    total = torch.zeros_like(like, dtype=torch.float32) if part is None else part.contiguous()
    theirs = torch.empty_like(total)
    for level in reversed(range(LEVELS - levels())):
        other = _place() ^ 1 << level
        ways = [distributed.P2POp(distributed.isend, total, other), distributed.P2POp(distributed.irecv, theirs, other)]
        with _connected():
            for work in distributed.batch_isend_irecv(ways):
                work.wait()
        total += theirs
    return total
