"""Who runs the jobs of a batch: engines over one function, `performing.perform`. Add one by adding it to ENGINES.

An engine takes jobs, how many of them run at a time (None: what it is used to) and how often a failed one is tried
again. It yields a Started and an Ended for each job as they come, and is over when all are. Closing it stops what still
runs.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any, ParamSpec, TypeVar

import torch

from recover.batch.manifest import Member
from recover.batch.ray import ray
from recover.batch.worker import Ended, Engine, Event, Started, run_job
from recover.errors import InputError

PRELOADED = (  # what every job imports
    "recover.batch.worker",
    "matplotlib.figure",
    "peft",
    "scipy.stats",
    "transformers.generation.utils",
    "transformers.models.auto.tokenization_auto",
    "transformers.tokenization_utils_tokenizers",
)
GRACE = 30  # seconds for a process to end after its job
In = ParamSpec("In")
Out = TypeVar("Out")


@dataclass
class _Worker:
    """A process that runs one job."""

    process: BaseProcess
    pipe: Connection
    member: Member
    since: float
    tries: int  # that are left


def local(members: Sequence[Member], jobs: int | None, retry: int) -> Generator[Event, None, None]:
    """Processes on this machine, one a job, which share its threads. One that dies takes its own job with it."""
    waiting = deque((member, retry) for member in members)
    jobs = max(1, min(jobs or 1, len(members)))
    threads = max(1, torch.get_num_threads() // jobs)
    busy: list[_Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < jobs:
                member, tries = waiting.popleft()
                busy.append(_begin(member, tries, threads))
                yield Started(member.name)
            worker, ended = _next(busy)
            busy.remove(worker)
            if ended.reason and worker.tries:
                waiting.append((worker.member, worker.tries - 1))
            else:
                yield ended
    finally:
        for worker in busy:
            _end(worker, 0)


def apart(function: Callable[In, Out], *args: In.args, **kwargs: In.kwargs) -> Out:
    """What a function returns or raises, called in a process of its own: what it loads does not stay in this one."""
    with ProcessPoolExecutor(1, _processes()) as pool:
        with _unheard():
            asked = pool.submit(function, *args, **kwargs)
        return asked.result()


def _processes() -> BaseContext:
    """Where processes come from: on Linux forks of one that has imported what jobs need, and done nothing else, so that
    imports are paid once and their memory is shared. A fork of this process would hold its threads' locks."""
    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED])
    return context


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Processes that begin meanwhile do not hear Ctrl-C, which a terminal sends to all; this one does and ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(member: Member, tries: int, threads: int) -> _Worker:
    context: Any = _processes()
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, member, threads))
    with _unheard():
        process.start()
    theirs.close()  # so that the other end's death is seen here
    return _Worker(process, ours, member, time.monotonic(), tries)


def _next(busy: Sequence[_Worker]) -> tuple[_Worker, Ended]:
    """Wait for a worker that is done with its job, or dead."""
    ready = connection.wait([worker.pipe for worker in busy])
    worker = next(worker for worker in busy if worker.pipe in ready)
    ended: Ended | None = None
    with contextlib.suppress(EOFError, OSError):
        ended = worker.pipe.recv()
    _end(worker, GRACE)
    lasted = time.monotonic() - worker.since
    return worker, ended or Ended(worker.member.name, lasted, _death(worker.process.exitcode))


def _end(worker: _Worker, grace: float) -> None:
    """End a process that is not gone after so many seconds: a library may have left it a thread that does not end."""
    worker.process.join(grace)
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()


def _death(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "its process was killed, as a system does that is out of memory; use fewer --jobs or a larger machine"
    return f"its process ended with exit code {code}; its log may tell more"


# In the worker


def _work(pipe: Connection, member: Member, threads: int) -> None:
    """Run a job, and send its end through a pipe."""
    threading.Thread(target=_die_with_the_batch, daemon=True).start()
    torch.set_num_threads(threads)
    pipe.send(run_job(member))


def _die_with_the_batch() -> None:
    """Nobody would hear of a job whose batch was killed, and the next batch would wait for its end."""
    parent = parent_process()
    if parent:
        connection.wait([parent.sentinel])
        os._exit(1)


def _here(address: str | None) -> Engine:
    """The engine on this machine, which is at no address."""
    if address:
        raise InputError(f"--address {address} is of a cluster, and this engine knows none; give --engine ray")
    return local


ENGINES: dict[str, Callable[[str | None], Engine]] = {"local": _here, "ray": ray}  # by the address of a cluster
