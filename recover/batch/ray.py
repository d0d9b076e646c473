"""The jobs of a batch on a Ray cluster: one actor for each device, a process that runs one job after another.

Ray is an extra and is imported late. Only a Member and an Ended travel between nodes, and they hold paths and plain
values: the nodes of a cluster read models and write results on a file system that they share.
"""

import contextlib
import importlib
import logging
import socket
import sys
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

from recover.batch.manifest import Member
from recover.batch.worker import Ended, Engine, Event, Started, run_job
from recover.errors import InputError, Undecided

PACKAGE = "recover-align"
RESTARTS = 3  # of a job whose worker dies: nodes of a cluster come and go, so the job may not be the cause
LOCAL_CLUSTER: dict[str, Any] = {"include_dashboard": False, "object_store_memory": 100 << 20}  # messages are short
CONNECT_TIMEOUT = 10.0  # seconds that a cluster has to answer
RAY_LOGGING: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}  # each job has a log of its own


def ray(address: str | None = None) -> Engine:
    """The engine for the cluster at `address`, or for a cluster on this machine that ends with the batch.

    Raises InputError if Ray is not installed.
    """
    try:
        library = importlib.import_module("ray")
    except ImportError as error:
        raise InputError(
            f"--engine ray needs Ray, which cannot be imported ({error}); run: pip install 'recover-align[ray]'"
        ) from error
    return partial(_run, library, address)


@dataclass(frozen=True)
class _ActorCall:
    """A call that an actor is running: a job, or without a member the question for its version."""

    actor: Any
    member: Member | None = None
    tries_left: int = 0
    started_at: float = 0.0  # seconds of the monotonic clock


def _run(
    library: Any, address: str | None, members: Sequence[Member], jobs: int | None, retry: int
) -> Generator[Event, None, None]:
    """Run jobs on as many actors as the cluster has devices, at most `jobs`. An actor without a device gets no job."""
    if not members:
        return
    waiting = deque((member, retry) for member in members)
    with _cluster(library, address), _actors(library, min(jobs or len(members), len(members))) as actors:
        calls = {actor.version.remote(): _ActorCall(actor) for actor in actors}
        while waiting or any(call.member for call in calls.values()):
            (future,), _ = library.wait(list(calls))
            call = calls.pop(future)
            if call.member is None:
                _check_version(library, future)
            elif (ended := _ended(library, future, call.member, call.started_at)).reason and call.tries_left:
                waiting.append((call.member, call.tries_left - 1))
            else:
                yield ended
            if waiting:
                member, tries_left = waiting.popleft()
                future = call.actor.run_job.remote(member)
                calls[future] = _ActorCall(call.actor, member, tries_left, time.monotonic())
                yield Started(member.name)


@contextlib.contextmanager
def _cluster(library: Any, address: str | None) -> Iterator[None]:
    """Connect to a cluster, and disconnect at the end. A connection that this process already has is left open."""
    if library.is_initialized():
        yield
        return
    with contextlib.redirect_stdout(sys.stderr):  # Ray prints news of its workers, and stdout is for results
        try:
            _connect(library, address)
        except Exception as error:  # what Ray raises if a cluster does not start in time is a plain Exception
            where = f"at {address}" if address else "on this machine"
            raise Undecided(
                f"there is no Ray cluster {where} ({error}); give the --address of one that runs"
            ) from error
        try:
            yield
        finally:
            library.shutdown()


def _connect(library: Any, address: str | None) -> None:
    """Connect to a cluster, or start one, which only holders of Ray's token can use."""
    if not address:
        library.init("local", **LOCAL_CLUSTER, **RAY_LOGGING)
        return
    if address != "auto":
        host, _, port = address.removeprefix("ray://").rpartition(":")
        socket.create_connection((host, int(port)), CONNECT_TIMEOUT).close()  # Ray would try for many minutes
    library.init(address, **RAY_LOGGING)


@contextlib.contextmanager
def _actors(library: Any, limit: int) -> Iterator[list[Any]]:
    """Start an actor for each GPU of the cluster, or for each CPU if it has none; at most `limit`. Kill them after."""
    resources = library.cluster_resources()
    device = "GPU" if resources.get("GPU") else "CPU"
    options = {f"num_{device.lower()}s": 1, "max_restarts": -1, "max_task_retries": RESTARTS}
    actor_class = library.remote(**options)(_Actor)
    actors = [actor_class.remote() for _ in range(max(1, min(limit, int(resources.get(device, 1)))))]
    try:
        yield actors
    finally:
        for actor in actors:
            library.kill(actor)


def _check_version(library: Any, future: Any) -> None:
    """Raise Undecided unless an actor answers and has this version of the package: another may give other results."""
    try:
        installed = library.get(future)
    except library.exceptions.RayError as error:
        problem = str(error).strip().splitlines()[-1]
    else:
        if installed == version(PACKAGE):
            return
        problem = f"it has {PACKAGE} {installed}"
    raise Undecided(
        f"a worker of the Ray cluster cannot be used: {problem}; install {PACKAGE} {version(PACKAGE)} on every node"
    )


def _ended(library: Any, future: Any, member: Member, started_at: float) -> Ended:
    """How a job ended; the death of its worker is an end too."""
    try:
        ended: Ended = library.get(future)
    except library.exceptions.RayTaskError as error:
        reason = f"it could not begin ({error.cause}); the nodes of the cluster must share one file system"
    except library.exceptions.RayError:
        reason = f"its worker died {RESTARTS + 1} times, as one does that is out of memory; its log may tell more"
    else:
        return ended
    return Ended(member.name, time.monotonic() - started_at, reason)


# On a node


class _Actor:
    """What an actor does. Its process imports everything once."""

    def version(self) -> str:
        return version(PACKAGE)

    def run_job(self, member: Member) -> Ended:
        return run_job(member)
