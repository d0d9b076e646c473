"""run(): an engine runs the jobs of a plan. The overview on the disk is always up to date."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path

from recover.batch import overview
from recover.batch.local import local
from recover.batch.manifest import BatchPlan, Member
from recover.batch.overview import BATCH_FILE, Batch, JobEntry
from recover.batch.worker import BATCH_LOCK, Ended, Engine, Started, clear, finished, key_of, result_path
from recover.checkpoints import files
from recover.checkpoints.file_lock import locked
from recover.errors import Exit, InputError
from recover.report.render import save
from recover.results.schema import Tool, load

Watch = Callable[[Started | JobEntry], None]  # is called when a job begins, and with its entry when it has one


def _ignore(event: Started | JobEntry) -> None:
    """Do nothing with an event."""


def run(
    plan: BatchPlan,
    out: Path,
    *,
    only: str = "*",
    jobs: int | None = None,
    retry: int = 0,
    fail_fast: bool = False,
    engine: Engine = local,
    watch: Watch = _ignore,
) -> Batch:
    """Run the jobs whose names match `only` and whose results are not there, `jobs` of them at a time, into `out`.

    By default one job runs at a time on this machine, and one for each device on a cluster. A job that fails is tried
    `retry` times more. If it still fails, the batch continues, or stops with `fail_fast`. batch.json, batch.csv and
    batch.html are written whatever stops the batch; after a kill the same call continues it. Raises Undecided if
    another batch is running in `out` or the disk is full, InputError if `out` holds something else.
    """
    check_batch_folder(out)
    with files.room_for(out), locked(out / BATCH_LOCK, wait=False):
        entries = current_entries(plan, out, only)
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
            _clear_stopped([member for member in todo if member.name in running])
            overview.write(_batch(plan, entries), out)
        return _batch(plan, entries)


def check_batch_folder(out: Path) -> None:
    """Refuse a directory that holds anything but a batch, since jobs empty their own directories before they begin."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is no directory; choose another --out")
    names = [entry.name for entry in out.iterdir()] if out.is_dir() else []
    if any(not name.startswith(".") for name in names):  # a batch that is killed at its start leaves only hidden files
        if BATCH_FILE not in names:
            raise InputError(
                f"{out} holds something else than a batch; choose a new --out, or that of an earlier batch"
            )
        overview.read(out)


def current_entries(plan: BatchPlan, out: Path, only: str = "*") -> dict[str, JobEntry]:
    """Every job's entry before any runs: its result is there, its checkpoint is broken, or it is pending.

    A job that `only` leaves out is not run, and so does not fail.
    """
    return {member.name: _current_entry(member, out, only) for member in plan.members}


def _current_entry(member: Member, out: Path, only: str) -> JobEntry:
    pending = JobEntry(name=member.name, key=member.key, status="pending")
    if member.broken and fnmatchcase(member.name, only):
        return _failed(pending, member.broken)
    return _with_result(pending, "skipped", out) if finished(member) else pending


def _entry(ended: Ended, pending: JobEntry, out: Path) -> JobEntry:
    """The entry of a job that has ended."""
    entry = _failed(pending, ended.reason) if ended.reason else _with_result(pending, "done", out)
    return entry.model_copy(update={"seconds": ended.seconds})


def _failed(pending: JobEntry, reason: str) -> JobEntry:
    """The entry of a job without a result. Its request was checked before, so the exit code is that of Undecided."""
    return pending.model_copy(update={"status": "failed", "exit_code": Exit.UNDECIDED, "reason": reason})


def _with_result(pending: JobEntry, status: overview.JobStatus, out: Path) -> JobEntry:
    """The entry of a job whose result is there."""
    path = result_path(out / pending.name)
    if path is None:
        return _failed(pending, "it left no result; its log may tell more")
    result = load(path)
    seconds = result.settings.get("total_seconds")
    fields = {
        "status": status,
        "exit_code": result.exit_code,
        "result": str(path.relative_to(out)),
        "seconds": seconds if isinstance(seconds, int | float) else None,
        # the warning about a missed target or floor comes first
        "reason": result.warnings[0] if result.exit_code and result.warnings else None,
    }
    return pending.model_copy(update=fields)


def _batch(plan: BatchPlan, entries: Mapping[str, JobEntry]) -> Batch:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    tool = Tool(version=version("recover-align"))
    return Batch(tool=tool, created=created, aligned=plan.aligned, jobs=list(entries.values()))


def _save(plan: BatchPlan, out: Path, entries: Mapping[str, JobEntry]) -> None:
    save(out, {BATCH_FILE: overview.dumps(_batch(plan, entries))})


def _clear_stopped(members: Sequence[Member]) -> None:
    """Remove what stopped jobs left incomplete."""
    for member in members:
        if member.directory.is_dir():
            with locked(member.directory / BATCH_LOCK):  # a worker on another machine may take a moment to end
                if not finished(member):
                    clear(member)


# From what is on the disk


def rebuild(out: Path) -> Batch:
    """Read a batch, finished or not, from what its directory holds now, and write its three files again.

    Raises InputError if there is no batch, Undecided while one is running there.
    """
    batch = overview.read(out)
    with files.room_for(out), locked(out / BATCH_LOCK, wait=False):
        rebuilt = batch.model_copy(update={"jobs": [_refreshed(entry, out) for entry in batch.jobs]})
        overview.write(rebuilt, out)
    return rebuilt


def _refreshed(entry: JobEntry, out: Path) -> JobEntry:
    """An entry by what its job left: the batch may have been killed between a result and its entry."""
    pending = JobEntry(name=entry.name, key=entry.key, status="pending")
    if key_of(out / entry.name) == entry.key and result_path(out / entry.name):
        return entry if entry.result else _with_result(pending, "done", out)
    return entry if entry.status == "failed" else pending
