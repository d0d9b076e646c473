"""Output for people: progress bars and notes on stderr, tables, and the paths of the files."""

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
    from recover.prompts.lint import LintReport


@contextlib.contextmanager
def progress(quiet: bool) -> Iterator[Notify]:
    """A notify() that draws a bar for each phase on stderr. The search's bar stays while others come and go."""
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
    """Print. If the reader closes the pipe, the exit code stays the same."""
    try:
        click.echo(text, nl=False, err=err)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), (sys.stderr if err else sys.stdout).fileno())


def result(run: Result, as_json: bool) -> None:
    """Print a result: a table for people, its warnings on stderr, and with `as_json` its JSON on stdout."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(stderr=as_json, highlight=False)
    table = Table(title=Text(tables.headline(run)), title_justify="left", title_style="bold")
    names = list(run.checkpoints)
    table.add_column("")
    table.add_column("n", justify="right")
    for name in names:
        table.add_column(Text(name), justify="right")
    for row in tables.table(run):
        table.add_row(Text(row.label), row.n, *[Text(row.cells[n].text) if n in row.cells else Text("") for n in names])
    with console.capture() as printed:
        console.print(table)
        for key, value in tables.facts(run):
            console.print(Text(f"{key}: {value}"))
    out(printed.get(), err=as_json)
    notes(run)
    if as_json:
        out(dumps(run))


def notes(run: Result) -> None:
    """Print a result's warnings on stderr."""
    from recover.report.numbers import sanitise

    for warning in run.warnings:
        out(f"note: {sanitise(warning)}\n", err=True)  # the file may come from someone else


def calibration(measured: "Calibration") -> Iterator[str]:
    """The lines of a calibration."""
    from recover.report.numbers import interval, percent, sanitise

    yield f"judge: {sanitise(measured.judge)}, fingerprint {measured.fingerprint[:16]}"
    yield f"{measured.channel} means: {sanitise(', '.join(measured.positive))}"
    for file in measured.files if len(measured.files) > 1 else ():
        yield f"{sanitise(file.source)}: n {file.n}, kappa {_kappa(file.kappa)}"
    yield f"n: {measured.n:,} ({measured.unscored:,} unscored)"
    yield f"kappa: {_kappa(measured.kappa)}"
    for name in ("agreement", "sensitivity", "specificity"):
        yield f"{name}: {percent(getattr(measured, name))} {interval(getattr(measured, f'{name}_ci95'))}"


def audit(run: Result) -> Iterator[str]:
    """The lines of a result's audit: how good the judge was, by people's labels."""
    from recover.report.audit_tables import with_interval

    for part in run.audit.channels if run.audit else ():
        yield (
            f"{part.channel}: people confirmed {part.confirmed} of {part.positives}, "
            f"and found {part.missed} in {part.sampled} of {part.negatives} others"
        )
        yield f"sensitivity: {with_interval(part.sensitivity, part.sensitivity_ci95)}"
        yield f"specificity: {with_interval(part.specificity, part.specificity_ci95)}"


def _kappa(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def lint(report: "LintReport") -> Iterator[str]:
    """The lines of a prompt set's check: its findings, then its size."""
    from recover.report.numbers import sanitise

    for finding in report.findings:
        where = f"{sanitise(report.name)}, row {finding.row}" if finding.row else sanitise(report.name)
        yield f"{where}: {finding.level}: {sanitise(finding.text)}"
    counts = ", ".join(f"{sanitise(name)} {count}" for name, count in report.categories.items())
    sizes = f"{report.prompts} different prompts in {report.rows} rows"
    yield f"{sanitise(report.name)}: {sizes}; categories: {counts or 'none'}"


def paths(outcome: "Outcome") -> None:
    """Print the paths of a job's files."""
    written = f"restored checkpoint: {outcome.checkpoint}" if outcome.checkpoint else "no checkpoint was written"
    out(f"{written}\nreport: {outcome.folder / 'report.html'}\n", err=True)
