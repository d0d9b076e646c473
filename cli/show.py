"""What people see: progress bars on stderr, a table, and where the files are."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from recover.progress import Notify
from recover.report import tables
from recover.results.schema import Result, dumps

if TYPE_CHECKING:
    from recover.jobs.restore import Outcome
    from recover.judges.calibration import Calibration
    from recover.prompts.lint import Lint


@contextlib.contextmanager
def progress(quiet: bool) -> Iterator[Notify]:
    """A notify() that draws one bar a phase on stderr: the search stays, short measurements come and go under it."""
    from tqdm import tqdm

    bars: dict[str, tqdm[None]] = {}

    def notify(phase: str, done: int, total: int, note: str) -> None:
        lasting = "restoring" if phase == "checking the step" else None
        for other in [p for p in bars if p not in (phase, lasting)]:
            bars.pop(other).close()
        if phase not in bars:
            bars[phase] = tqdm(
                desc=phase,
                total=total or None,
                unit="" if total else "step",
                file=sys.stderr,
                disable=quiet or None,
                leave=phase != "checking the step",
                dynamic_ncols=True,
            )
        bar = bars[phase]
        bar.total = total or None
        bar.set_postfix_str(note, refresh=False)
        bar.update(done - bar.n)
        bar.refresh()

    try:
        yield notify
    finally:
        for bar in bars.values():
            bar.close()


def out(text: str, *, err: bool = False) -> None:
    """Print; who reads it may stop reading, and that changes no exit code."""
    try:
        click.echo(text, nl=False, err=err)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), (sys.stderr if err else sys.stdout).fileno())


def result(found: Result, as_json: bool) -> None:
    """The result: as JSON on stdout, or as a table for people; warnings on stderr."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(stderr=as_json, highlight=False)
    table = Table(title=Text(tables.headline(found)), title_justify="left", title_style="bold")
    names = list(found.checkpoints)
    table.add_column("")
    table.add_column("n", justify="right")
    for name in names:
        table.add_column(Text(name), justify="right")
    for row in tables.table(found):
        table.add_row(Text(row.label), row.n, *[Text(row.cells[n].text) if n in row.cells else Text("") for n in names])
    with console.capture() as printed:
        console.print(table)
        for key, value in tables.facts(found):
            console.print(Text(f"{key}: {value}"))
    out(printed.get(), err=as_json)
    notes(found)
    if as_json:
        out(dumps(found))


def notes(found: Result) -> None:
    """What a reader should know of the result, on stderr: the result may be another's."""
    from recover.report.numbers import sanitise

    for warning in found.warnings:
        out(f"note: {sanitise(warning)}\n", err=True)


def calibration(found: "Calibration") -> Iterator[str]:
    """A calibration, line by line."""
    from recover.report.numbers import interval, percent, sanitise

    yield f"judge: {sanitise(found.judge)}, fingerprint {found.fingerprint[:16]}"
    yield f"{found.channel} means: {sanitise(', '.join(found.positive))}"
    for file in found.files if len(found.files) > 1 else ():
        yield f"{sanitise(file.source)}: n {file.n}, kappa {_kappa(file.kappa)}"
    yield f"n: {found.n:,} ({found.unscored:,} unscored)"
    yield f"kappa: {_kappa(found.kappa)}"
    for name in ("agreement", "sensitivity", "specificity"):
        yield f"{name}: {percent(getattr(found, name))} {interval(getattr(found, f'{name}_ci95'))}"


def audit(found: Result) -> Iterator[str]:
    """What people's labels say of a result's judge, line by line."""
    from recover.report.audit_tables import with_interval

    for part in found.audit.channels if found.audit else ():
        yield (
            f"{part.channel}: people confirmed {part.confirmed} of {part.positives}, "
            f"and found {part.missed} in {part.sampled} of {part.negatives} others"
        )
        yield f"sensitivity: {with_interval(part.sensitivity, part.sensitivity_ci95)}"
        yield f"specificity: {with_interval(part.specificity, part.specificity_ci95)}"


def _kappa(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def lint(found: "Lint") -> Iterator[str]:
    """What is odd in a prompt set, line by line."""
    from recover.report.numbers import sanitise

    for finding in found.findings:
        place = f"{sanitise(found.name)}, row {finding.row}" if finding.row else sanitise(found.name)
        yield f"{place}: {finding.level}: {sanitise(finding.text)}"
    counts = ", ".join(f"{sanitise(name)} {count}" for name, count in found.categories.items())
    sizes = f"{found.prompts} different prompts in {found.rows} rows"
    yield f"{sanitise(found.name)}: {sizes}; categories: {counts or 'none'}"


def places(outcome: "Outcome") -> None:
    """Where the files are."""
    written = f"restored checkpoint: {outcome.checkpoint}" if outcome.checkpoint else "no checkpoint was written"
    out(f"{written}\nreport: {outcome.folder / 'report.html'}\n", err=True)
