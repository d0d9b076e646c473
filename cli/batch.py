"""The `batch` command, and `report` on a batch's directory."""

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
Exit codes: 0 all jobs met target and floor; 1 one missed; 2 the manifest has faults, and nothing ran; 3 one failed (a
broken checkpoint, a crash, too little memory); 130 interrupted: the same command continues. The worst job decides.
"""


@click.command(epilog=EPILOG)
@click.argument("source", metavar="MANIFEST|DIR", type=click.Path(path_type=Path))
@click.option("-o", "--out", metavar="OUT", type=click.Path(path_type=Path), help="Where to write results.  [default: ./<MANIFEST>-restored]")  # fmt: skip
@click.option("--aligned", metavar="ALIGNED", help="The aligned model, for a DIR.")
@click.option("--jobs", type=click.IntRange(1), help="How many jobs run at a time; they share the machine's threads.  [default: 1; on a cluster, one per device]")  # fmt: skip
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True, help="Processes of this machine, or actors on a Ray cluster (the extra ray).")  # fmt: skip
@click.option("--address", metavar="ADDRESS", help="The Ray cluster, such as auto or HOST:6379.  [default: one on this machine, for this batch]")  # fmt: skip
@click.option("--retry", type=click.IntRange(0), default=0, show_default=True, help="How often a failed job is tried again.")  # fmt: skip
@click.option("--only", metavar="PATTERN", default="*", show_default=True, help="Run only jobs whose names match, such as 'law-*'.")  # fmt: skip
@click.option("--fail-fast", is_flag=True, help="Stop when a job fails; by default the other jobs continue.")
@click.option("--dry-run", is_flag=True, help="Check everything and print what would run; write nothing.")
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
    **options: Any,
) -> None:
    """Restore many fine-tunes of one aligned model.

    MANIFEST is a TOML file: aligned = PATH, [defaults], and a [[job]] for each fine-tune with name, tuned and any long
    option of restore. In a DIR every checkpoint and adapter is a job. OUT/<name> gets each restored checkpoint with its
    reports, OUT/<name>.log its log, and OUT itself batch.html, batch.csv and batch.json. Finished jobs do not run again:
    after a stop, the same command continues.
    """
    from recover.batch import manifest, overview
    from recover.batch import run as batches
    from recover.batch.local import ENGINES, in_own_process

    from . import show

    workers = ENGINES[engine](address)
    folder = out or Path(f"{source.resolve().name if source.is_dir() else source.stem}-restored")
    batches.check_batch_folder(folder)
    if dry_run:
        plan = manifest.read(source, folder, aligned)
        current = batches.current_entries(plan, folder, options["only"])
        entries = [entry for name, entry in current.items() if fnmatchcase(name, options["only"])]
        show.out("".join(f"{_entry_line(entry)}\n" for entry in entries))
        sys.exit(max((entry.exit_code or Exit.OK for entry in entries), default=Exit.OK))
    plan = in_own_process(manifest.read, source, folder, aligned)
    with _watching(len(plan.members), quiet) as watch:
        result = batches.run(plan, folder, engine=workers, watch=watch, **options)
    show.out(overview.dumps(result) if as_json else _table(result, overview.lines(result, folder)))
    show.out(f"report: {folder / 'batch.html'}\n", err=True)
    sys.exit(result.exit_code)


def report(folder: Path, form: str) -> None:
    """Write the overview of a batch's directory anew, and print it."""
    from recover.batch import overview
    from recover.batch.run import rebuild

    from . import show

    if form == "viewer":
        raise click.UsageError("A batch has no viewer; give the output of one of its jobs")
    result = rebuild(folder)
    pages = {"html": overview.html, "md": overview.markdown}
    show.out(pages[form](result, overview.lines(result, folder)) if form in pages else overview.dumps(result))


def _table(result: "Batch", lines: "Sequence[Line]") -> str:
    """The jobs as a table for a terminal, the worst first, with the reasons of failures."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from recover.batch.overview import HEADER

    console, table = Console(highlight=False), Table(title=Text(result.headline), title_justify="left")
    shown = [index for index, word in enumerate(HEADER) if word not in ("over-refusal", "weights restored")]
    for index in shown:
        table.add_column(Text(HEADER[index]), justify="left" if index < 2 else "right")
    for line in lines:
        table.add_row(*(Text(line.cells[index]) for index in shown))
    with console.capture() as printed:
        console.print(table)
        for line in lines:
            if line.entry.reason:
                console.print(Text(_entry_line(line.entry)), soft_wrap=True)
    return printed.get()


def _entry_line(entry: "JobEntry") -> str:
    """An entry as one line."""
    from recover.report.numbers import duration, sanitise

    took = f" ({duration(entry.seconds)})" if entry.seconds is not None else ""
    return f"{sanitise(entry.name)}: {entry.status}{took}{f': {sanitise(entry.reason)}' if entry.reason else ''}"


# While it runs


@contextlib.contextmanager
def _watching(total: int, quiet: bool) -> "Iterator[Watch]":
    """Print each job's outcome on stderr. A terminal also shows the running jobs, the failures and the time left."""
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
        speed_estimate_period=1e9,  # the speed is the mean over all ended jobs, since one may take hours
    )  # fmt: skip
    running: set[str] = set()
    finished: list[JobEntry] = []  # by an earlier run
    ended: list[JobEntry] = []  # in this run

    def watch(event: "Started | JobEntry") -> None:
        if isinstance(event, Started):
            running.add(event.name)
        else:
            (ended if event.name in running else finished).append(event)
            running.discard(event.name)
            position = f"[{len(finished) + len(ended)}/{total}]"
            console.print(Text(f"{position} {_entry_line(event)}"), soft_wrap=True)
        failed = sum(entry.status == "failed" for entry in finished + ended)
        description = f"{few(sorted(running))}{f'; {failed} failed' if failed else ''}"
        bars.update(bar, completed=len(ended), total=total - len(finished), description=description)

    with bars:
        bar = bars.add_task("", total=total)
        yield watch
