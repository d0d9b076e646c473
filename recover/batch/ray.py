"""The jobs of a batch on a Ray cluster: one actor a device, each a process that runs one job after another.

Ray is an extra and imported late. What travels is a Member and an Ended, which hold paths and plain values: the nodes
of a cluster read models and write results on a file system that they share.
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
RESTARTS = 3  # of a job whose worker dies: the nodes of a cluster come and go, and the job need not be to blame
OWN: dict[str, Any] = {"include_dashboard": False, "object_store_memory": 100 << 20}  # messages are short
PATIENCE = 10.0  # seconds that a cluster has to answer
QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}  # each job has a log of its own


def ray(address: str | None = None) -> Engine:
    """The engine on the cluster at `address`, or on one that this machine has as long as the batch runs.

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
class _Call:
    """What an actor is at: a job, with the tries that are left for it, or at first no job, but telling its version."""

    actor: Any
    member: Member | None = None
    tries: int = 0
    since: float = 0.0


def _run(
    library: Any, address: str | None, members: Sequence[Member], jobs: int | None, retry: int
) -> Generator[Event, None, None]:
    """As many actors as the cluster has devices, but no more than `jobs`. One that waits for its device has no job."""
    if not members:
        return
    waiting = deque((member, retry) for member in members)
    with _cluster(library, address), _actors(library, min(jobs or len(members), len(members))) as actors:
        calls = {actor.version.remote(): _Call(actor) for actor in actors}
        while waiting or any(call.member for call in calls.values()):
            (future,), _ = library.wait(list(calls))
            call = calls.pop(future)
            if call.member is None:
                _check_version(library, future)
            elif (ended := _ended(library, future, call.member, call.since)).reason and call.tries:
                waiting.append((call.member, call.tries - 1))
            else:
                yield ended
            if waiting:
                member, tries = waiting.popleft()
                calls[call.actor.perform.remote(member)] = _Call(call.actor, member, tries, time.monotonic())
                yield Started(member.name)


@contextlib.contextmanager
def _cluster(library: Any, address: str | None) -> Iterator[None]:
    """Be connected to a cluster; a connection that this process has already is left as it is."""
    if library.is_initialized():
        yield
        return
    with contextlib.redirect_stdout(sys.stderr):  # Ray prints what befalls a worker, and stdout is for results
        try:
            _connect(library, address)
        except Exception as error:  # the very class that Ray raises where a cluster does not start in time
            where = f"at {address}" if address else "on this machine"
            raise Undecided(
                f"there is no Ray cluster {where} ({error}); give the --address of one that runs"
            ) from error
        try:
            yield
        finally:
            library.shutdown()


def _connect(library: Any, address: str | None) -> None:
    """Connect to a cluster, or begin one, which Ray's token keeps others out of."""
    if not address:
        library.init("local", **OWN, **QUIET)
        return
    if address != "auto":
        host, _, port = address.removeprefix("ray://").rpartition(":")
        socket.create_connection((host, int(port)), PATIENCE).close()  # Ray would try for many minutes
    library.init(address, **QUIET)


@contextlib.contextmanager
def _actors(library: Any, most: int) -> Iterator[list[Any]]:
    """One actor for each device of the cluster, a processor being one where there is no other; ended at the end."""
    there = library.cluster_resources()
    kind = "GPU" if there.get("GPU") else "CPU"
    options = {f"num_{kind.lower()}s": 1, "max_restarts": -1, "max_task_retries": RESTARTS}
    actor = library.remote(**options)(_Worker)
    actors = [actor.remote() for _ in range(max(1, min(most, int(there.get(kind, 1)))))]
    try:
        yield actors
    finally:
        for one in actors:
            library.kill(one)


def _check_version(library: Any, future: Any) -> None:
    """Undecided unless an actor is there and has this version of the package: another would give other results."""
    try:
        found = library.get(future)
    except library.exceptions.RayError as error:
        problem = str(error).strip().splitlines()[-1]
    else:
        if found == version(PACKAGE):
            return
        problem = f"it has {PACKAGE} {found}"
    raise Undecided(
        f"a worker of the Ray cluster cannot be used: {problem}; install {PACKAGE} {version(PACKAGE)} on every node"
    )


def _ended(library: Any, future: Any, member: Member, since: float) -> Ended:
    """How a job ended, the death of its worker included."""
    try:
        ended: Ended = library.get(future)
    except library.exceptions.RayTaskError as error:
        reason = f"it could not begin ({error.cause}); the nodes of the cluster must share one file system"
    except library.exceptions.RayError:
        reason = f"its worker died {RESTARTS + 1} times, as one does that is out of memory; its log may tell more"
    else:
        return ended
    return Ended(member.name, time.monotonic() - since, reason)


# On a node


class _Worker:
    """What an actor does; its process imports everything once."""

    def version(self) -> str:
        return version(PACKAGE)

    def run_job(self, member: Member) -> Ended:
        return run_job(member)
