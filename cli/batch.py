"""The `batch` command, and what `report` does with a batch's directory."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recover.errors import Exit

if TYPE_CHECKING:
    from recover.batch.overview import Batch, JobEntry, Line
    from recover.batch.run import Watch
    from recover.batch.worker import Started

EPILOG = """\b
Exit codes: the worst of the jobs': 0 all met target and floor; 1 one missed; 3 one failed (a broken checkpoint, a crash,
too little memory); 2 the manifest has faults, and nothing ran; 130 interrupted: the same command goes on.
"""


@click.command(epilog=EPILOG)
@click.argument("source", metavar="MANIFEST|DIR", type=click.Path(path_type=Path))
@click.option("-o", "--out", metavar="OUT", type=click.Path(path_type=Path), help="Where results go.  [default: ./<MANIFEST>-restored]")  # fmt: skip
@click.option("--aligned", metavar="ALIGNED", help="The aligned model, where a DIR is given.")
@click.option("--jobs", type=click.IntRange(1), help="How many jobs run at a time; they share the machine's threads.  [default: 1; on a cluster, one a device]")  # fmt: skip
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True, help="Processes of this machine, or actors on a Ray cluster (the extra ray).")  # fmt: skip
@click.option("--address", metavar="ADDRESS", help="The Ray cluster, such as auto or HOST:6379.  [default: one on this machine, for this batch]")  # fmt: skip
@click.option("--retry", type=click.IntRange(0), default=0, show_default=True, help="How often a failed job is tried again.")  # fmt: skip
@click.option("--only", metavar="PATTERN", default="*", show_default=True, help="Run the jobs whose names match, such as 'law-*'.")  # fmt: skip
@click.option("--fail-fast", is_flag=True, help="Stop when a job fails; by default the others go on.")
@click.option("--dry-run", is_flag=True, help="Check everything and say what would run; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print batch.json on stdout; everything else goes to stderr.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def batch(
    source: Path,
    out: Path | None,
    aligned: str | None,
    engine: str,
    address: str | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Restore many fine-tunes of one aligned model.

    MANIFEST is a TOML file: aligned = PATH, [defaults], and a [[job]] for each fine-tune with name, tuned and any long
    option of restore. Of a DIR every checkpoint and adapter is a job. OUT/<name> gets each restored checkpoint with its
    reports, OUT/<name>.log its log, and OUT itself batch.html, batch.csv and batch.json. What is done is not done again:
    after a stop the same command goes on.
    """
    from recover.batch import manifest, overview
    from recover.batch import run as batches
    from recover.batch.local import ENGINES, apart

    from . import show

    workers = ENGINES[engine](address)
    place = out or Path(f"{source.resolve().name if source.is_dir() else source.stem}-restored")
    batches.check_place(place)
    if dry_run:
        plan = manifest.read(source, place, aligned)
        known = batches.standing(plan, place, asked["only"])
        entries = [entry for name, entry in known.items() if fnmatchcase(name, asked["only"])]
        show.out("".join(f"{_told(entry)}\n" for entry in entries))
        sys.exit(max((entry.exit_code or Exit.OK for entry in entries), default=Exit.OK))
    plan = apart(manifest.read, source, place, aligned)
    with _watching(len(plan.members), quiet) as watch:
        found = batches.run(plan, place, engine=workers, watch=watch, **asked)
    show.out(overview.dumps(found) if as_json else _table(found, overview.lines(found, place)))
    show.out(f"report: {place / 'batch.html'}\n", err=True)
    sys.exit(found.exit_code)


def report(place: Path, form: str) -> None:
    """Write the overview of a batch's directory anew, and print it."""
    from recover.batch import overview
    from recover.batch.run import rebuild

    from . import show

    if form == "viewer":
        raise click.UsageError("A batch has no viewer; give the output of one of its jobs")
    found = rebuild(place)
    pages = {"html": overview.html, "md": overview.markdown}
    show.out(pages[form](found, overview.lines(found, place)) if form in pages else overview.dumps(found))


def _table(found: "Batch", lines: "Sequence[Line]") -> str:
    """The jobs as a table for a terminal, the worst first, and why some failed."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from recover.batch.overview import HEADER

    console, table = Console(highlight=False), Table(title=Text(found.headline), title_justify="left")
    shown = [place for place, word in enumerate(HEADER) if word not in ("over-refusal", "weights restored")]
    for place in shown:
        table.add_column(Text(HEADER[place]), justify="left" if place < 2 else "right")
    for line in lines:
        table.add_row(*(Text(line.cells[place]) for place in shown))
    with console.capture() as printed:
        console.print(table)
        for line in lines:
            if line.entry.reason:
                console.print(Text(_told(line.entry)), soft_wrap=True)
    return printed.get()


def _told(entry: "JobEntry") -> str:
    """An entry in a line."""
    from recover.report.numbers import duration, sanitise

    took = f" ({duration(entry.seconds)})" if entry.seconds is not None else ""
    return f"{sanitise(entry.name)}: {entry.status}{took}{f': {sanitise(entry.reason)}' if entry.reason else ''}"


# While it runs


@contextlib.contextmanager
def _watching(total: int, quiet: bool) -> "Iterator[Watch]":
    """Tell on stderr what comes of each job, and on a terminal what runs, how many failed and how long it will take."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    from recover.batch.worker import Started
    from recover.errors import few

    console = Console(stderr=True, highlight=False, quiet=quiet)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bars = Progress(
        *columns, TextColumn("left"), TimeRemainingColumn(), console=console, disable=not console.is_terminal,
        speed_estimate_period=1e9,  # all jobs that ended: one may take hours
    )  # fmt: skip
    running: set[str] = set()
    known: list[JobEntry] = []  # before anything ran
    ended: list[JobEntry] = []

    def watch(event: "Started | JobEntry") -> None:
        if isinstance(event, Started):
            running.add(event.name)
        else:
            (ended if event.name in running else known).append(event)
            running.discard(event.name)
            place = f"[{len(known) + len(ended)}/{total}]"
            console.print(Text(f"{place} {_told(event)}"), soft_wrap=True)
        failed = sum(entry.status == "failed" for entry in known + ended)
        words = f"{few(sorted(running))}{f'; {failed} failed' if failed else ''}"
        bars.update(bar, completed=len(ended), total=total - len(known), description=words)

    with bars:
        bar = bars.add_task("", total=total)
        yield watch
