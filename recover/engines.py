"""Who runs the jobs of a batch: engines over one function, `performing.perform`. Add one by adding it to ENGINES.

An engine takes jobs, how many of them run at a time (None: what it is used to) and how often a failed one is tried
again. It yields a Started and an Ended for each job as they come, and is over when all are. Closing it stops what still
runs.
"""

import contextlib
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import torch

from recover.errors import InputError
from recover.manifest import Member
from recover.performing import Ended, Engine, Event, Started, perform
from recover.ray_engine import ray


@dataclass
class _Worker:
    """A process that runs jobs one after another, so that imports are paid once, and the job that it has now."""

    process: SpawnProcess
    pipe: Connection
    member: Member
    since: float
    tries: int  # that are left


def local(members: Sequence[Member], jobs: int | None, retry: int) -> Generator[Event, None, None]:
    """Processes on this machine, which share its threads. One that dies takes its own job with it and is replaced."""
    waiting = deque((member, retry) for member in members)
    jobs = max(1, min(jobs or 1, len(members)))
    threads = max(1, torch.get_num_threads() // jobs)
    busy: list[_Worker] = []
    idle: list[tuple[SpawnProcess, Connection]] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < jobs:
                member, tries = waiting.popleft()
                busy.append(_begin(member, tries, *(idle.pop() if idle else _start(threads))))
                yield Started(member.name)
            worker, ended = _next(busy)
            busy.remove(worker)
            if worker.process.is_alive():
                idle.append((worker.process, worker.pipe))
            if ended.reason and worker.tries:
                waiting.append((worker.member, worker.tries - 1))
            else:
                yield ended
    finally:
        for process, pipe in [*idle, *((worker.process, worker.pipe) for worker in busy)]:
            process.kill()
            process.join()
            pipe.close()


def _start(threads: int) -> tuple[SpawnProcess, Connection]:
    context = get_context("spawn")  # a copy of this process would hold its threads' locks
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, threads))
    process.start()
    theirs.close()  # so that the other end's death is seen here
    return process, ours


def _begin(member: Member, tries: int, process: SpawnProcess, pipe: Connection) -> _Worker:
    with contextlib.suppress(OSError):  # it died while it waited: _next finds that
        pipe.send(member)
    return _Worker(process, pipe, member, time.monotonic(), tries)


def _next(busy: Sequence[_Worker]) -> tuple[_Worker, Ended]:
    """Wait for a worker that is done with its job, or dead."""
    ready = connection.wait([worker.pipe for worker in busy])
    worker = next(worker for worker in busy if worker.pipe in ready)
    try:
        ended: Ended = worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join()
        worker.pipe.close()
        ended = Ended(worker.member.name, time.monotonic() - worker.since, _death(worker.process.exitcode))
    return worker, ended


def _death(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "its process was killed, as a system does that is out of memory; use fewer --jobs or a larger machine"
    return f"its process ended with exit code {code}; its log may tell more"


# In the worker


def _work(pipe: Connection, threads: int) -> None:
    """Run the jobs that come through a pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the batch hears of it, and ends its workers
    threading.Thread(target=_die_with_the_batch, daemon=True).start()
    torch.set_num_threads(threads)
    while True:
        pipe.send(perform(pipe.recv()))


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
