"""The engines that run the jobs of a batch, and the one for this machine: a process for each job.

An engine calls one function, `worker.run_job`. Add an engine by adding it to ENGINES. It takes the jobs, how many of
them run at a time (None: its own default) and how often a failed job is tried again. It yields a Started and an Ended
for each job as they happen, and ends after the last. Closing it stops the jobs that still run.
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

PRELOADED_MODULES = (  # what every job imports
    "recover.batch.worker",
    "matplotlib.figure",
    "peft",
    "scipy.stats",
    "transformers.generation.utils",
    "transformers.models.auto.tokenization_auto",
    "transformers.tokenization_utils_tokenizers",
)
EXIT_TIMEOUT = 30  # seconds for a process to end after its job
Params = ParamSpec("Params")
Returned = TypeVar("Returned")


@dataclass
class _JobProcess:
    """A process that runs one job, and the pipe on which it sends the end."""

    process: BaseProcess
    pipe: Connection
    member: Member
    started_at: float  # seconds of the monotonic clock
    tries_left: int


def local(members: Sequence[Member], jobs: int | None, retry: int) -> Generator[Event, None, None]:
    """Run jobs as processes of this machine, which share its threads. If a process dies, only its own job fails."""
    waiting = deque((member, retry) for member in members)
    jobs = max(1, min(jobs or 1, len(members)))
    threads = max(1, torch.get_num_threads() // jobs)
    running: list[_JobProcess] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                member, tries_left = waiting.popleft()
                running.append(_begin(member, tries_left, threads))
                yield Started(member.name)
            worker, ended = _next(running)
            running.remove(worker)
            if ended.reason and worker.tries_left:
                waiting.append((worker.member, worker.tries_left - 1))
            else:
                yield ended
    finally:
        for worker in running:
            _end(worker, 0)


def in_own_process(function: Callable[Params, Returned], *args: Params.args, **kwargs: Params.kwargs) -> Returned:
    """Call a function in a process of its own, so that this process does not keep what the call loads."""
    with ProcessPoolExecutor(1, _processes()) as pool:
        with _sigint_blocked():
            future = pool.submit(function, *args, **kwargs)
        return future.result()


def _processes() -> BaseContext:
    """How processes are started.

    On Linux they are forks of a server process that has imported what jobs need and done nothing else: imports cost
    time once and share their memory. A fork of this process would inherit locks that its threads hold.
    """
    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED_MODULES])
    return context


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Let processes that start meanwhile ignore Ctrl-C, which a terminal sends to all. This one handles it for them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(member: Member, tries_left: int, threads: int) -> _JobProcess:
    context: Any = _processes()
    our_end, their_end = context.Pipe()
    process = context.Process(target=_work, args=(their_end, member, threads))
    with _sigint_blocked():
        process.start()
    their_end.close()  # so that this process sees the other end close
    return _JobProcess(process, our_end, member, time.monotonic(), tries_left)


def _next(running: Sequence[_JobProcess]) -> tuple[_JobProcess, Ended]:
    """Wait for a process that has finished its job or died."""
    ready = connection.wait([worker.pipe for worker in running])
    worker = next(worker for worker in running if worker.pipe in ready)
    ended: Ended | None = None
    with contextlib.suppress(EOFError, OSError):
        ended = worker.pipe.recv()
    _end(worker, EXIT_TIMEOUT)
    seconds = time.monotonic() - worker.started_at
    return worker, ended or Ended(worker.member.name, seconds, _death_reason(worker.process.exitcode))


def _end(worker: _JobProcess, grace: float) -> None:
    """Kill a process that has not ended after `grace` seconds: a library may have left a thread that never ends."""
    worker.process.join(grace)
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()


def _death_reason(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "its process was killed, as a system does that is out of memory; use fewer --jobs or a larger machine"
    return f"its process ended with exit code {code}; its log may tell more"


# In the process of a job


def _work(pipe: Connection, member: Member, threads: int) -> None:
    """Run a job, and send its end through the pipe."""
    threading.Thread(target=_die_with_the_batch, daemon=True).start()
    torch.set_num_threads(threads)
    pipe.send(run_job(member))


def _die_with_the_batch() -> None:
    """End this process when the batch's process dies: nobody would read the result, and the next batch would wait."""
    parent = parent_process()
    if parent:
        connection.wait([parent.sentinel])
        os._exit(1)


def _local_engine(address: str | None) -> Engine:
    """The engine for this machine, which takes no address."""
    if address:
        raise InputError(f"--address {address} is of a cluster, and this engine knows none; give --engine ray")
    return local


ENGINES: dict[str, Callable[[str | None], Engine]] = {"local": _local_engine, "ray": ray}  # by the address of a cluster
