"""run(): the jobs of a plan through an engine, and the account of them, which is on disk all the time."""

import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path

from recover.batch import overview
from recover.batch.local import local
from recover.batch.manifest import Member, Plan
from recover.batch.overview import FILE, Batch, JobEntry
from recover.batch.worker import LOCK, Ended, Engine, Started, clear, finished, key_of, result_place
from recover.checkpoints import files
from recover.checkpoints.file_lock import locked
from recover.errors import Exit, InputError
from recover.report.render import save
from recover.results.schema import Tool, load

Watch = Callable[[Started | JobEntry], None]  # is told what begins, and what comes of it


def _nobody(event: Started | JobEntry) -> None:
    """Tell nobody."""


def run(
    plan: Plan,
    out: Path,
    *,
    only: str = "*",
    jobs: int | None = None,
    retry: int = 0,
    fail_fast: bool = False,
    engine: Engine = local,
    watch: Watch = _nobody,
) -> Batch:
    """Run the jobs whose names match `only` and that are not done, `jobs` of them at a time, into `out`.

    Without `jobs` that is one on this machine, and one a device on a cluster. A job that fails is tried `retry` times
    more; then it is an entry like the others, and the batch goes on, or stops with `fail_fast`. batch.json, batch.csv
    and batch.html are written whatever stops it; who is killed goes on by the same call. Raises Undecided if another
    batch is at work in `out` or the disk is full, InputError if something else lies there.
    """
    check_place(out)
    with files.room_for(out), locked(out / LOCK, wait=False):
        entries = standing(plan, out, only)
        todo = [m for m in plan.members if entries[m.name].status == "pending" and fnmatchcase(m.name, only)]
        for entry in entries.values():
            if entry.status != "pending":
                watch(entry)
        running: set[str] = set()
        try:
            _save(plan, out, entries)
            with contextlib.closing(engine(todo, jobs, retry)) as events:
                for event in events:
                    if isinstance(event, Started):
                        running.add(event.name)
                        watch(event)
                        continue
                    running.remove(event.name)
                    entries[event.name] = _entry(event, entries[event.name], out)
                    _save(plan, out, entries)
                    watch(entries[event.name])
                    if fail_fast and event.reason:
                        break
        finally:
            _tidy([member for member in todo if member.name in running])
            overview.write(_batch(plan, entries), out)
        return _batch(plan, entries)


def check_place(out: Path) -> None:
    """Refuse a directory that holds anything but a batch: jobs empty their own directories before they begin."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is no directory; choose another --out")
    names = [entry.name for entry in out.iterdir()] if out.is_dir() else []
    if any(not name.startswith(".") for name in names):  # hidden ones are all that a batch killed at once leaves
        if FILE not in names:
            raise InputError(
                f"{out} holds something else than a batch; choose a new --out, or that of an earlier batch"
            )
        overview.read(out)


def standing(plan: Plan, out: Path, only: str = "*") -> dict[str, JobEntry]:
    """What is known of every job before any runs: its result is there, its checkpoint is broken, or it is pending.

    What `only` leaves out is not run, and so does not fail.
    """
    return {member.name: _known(member, out, only) for member in plan.members}


def _known(member: Member, out: Path, only: str) -> JobEntry:
    pending = JobEntry(name=member.name, key=member.key, status="pending")
    if member.broken and fnmatchcase(member.name, only):
        return _failed(pending, member.broken)
    return _settled(pending, "skipped", out) if finished(member) else pending


def _entry(ended: Ended, pending: JobEntry, out: Path) -> JobEntry:
    """What became of a job."""
    found = _failed(pending, ended.reason) if ended.reason else _settled(pending, "done", out)
    return found.model_copy(update={"seconds": ended.seconds})


def _failed(pending: JobEntry, reason: str) -> JobEntry:
    """In a batch, whose request was checked before, whatever left no result could not be decided."""
    return pending.model_copy(update={"status": "failed", "exit_code": Exit.UNDECIDED, "reason": reason})


def _settled(pending: JobEntry, status: overview.Status, out: Path) -> JobEntry:
    """The entry of a job whose result is there."""
    place = result_place(out / pending.name)
    if place is None:
        return _failed(pending, "it left no result; its log may tell more")
    result = load(place)
    seconds = result.settings.get("total_seconds")
    told = {
        "status": status,
        "exit_code": result.exit_code,
        "result": str(place.relative_to(out)),
        "seconds": seconds if isinstance(seconds, int | float) else None,
        "reason": result.warnings[0] if result.exit_code and result.warnings else None,  # what it missed comes first
    }
    return pending.model_copy(update=told)


def _batch(plan: Plan, entries: Mapping[str, JobEntry]) -> Batch:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    tool = Tool(version=version("recover-align"))
    return Batch(tool=tool, created=created, aligned=plan.aligned, jobs=list(entries.values()))


def _save(plan: Plan, out: Path, entries: Mapping[str, JobEntry]) -> None:
    save(out, {FILE: overview.dumps(_batch(plan, entries))})


def _tidy(todo: list[Member]) -> None:
    """Take away what stopped jobs left half-written."""
    for member in todo:
        if member.place.is_dir():
            with locked(member.place / LOCK):  # a worker on another machine may take a moment to end
                if not finished(member):
                    clear(member)


# From what is there


def rebuild(out: Path) -> Batch:
    """The batch of a directory, finished or not, by what lies there now; its three files are written anew.

    Raises InputError if there is no batch, Undecided while one is at work there.
    """
    batch = overview.read(out)
    with files.room_for(out), locked(out / LOCK, wait=False):
        found = batch.model_copy(update={"jobs": [_again(entry, out) for entry in batch.jobs]})
        overview.write(found, out)
    return found


def _again(entry: JobEntry, out: Path) -> JobEntry:
    """An entry after a look at what its job left: a kill may have come between a result and its entry."""
    pending = JobEntry(name=entry.name, key=entry.key, status="pending")
    if key_of(out / entry.name) == entry.key and result_place(out / entry.name):
        return entry if entry.result else _settled(pending, "done", out)
    return entry if entry.status == "failed" else pending
