"""A result as text: the main table, the headline, the facts, the other tables.

Nothing here knows Markdown, HTML or a terminal. The code for each of them escapes these texts.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from recover.report.numbers import NONE, count, duration, interval, percent, sanitise, size
from recover.results.schema import (
    Channel,
    Interval,
    JudgeInfo,
    Levels,
    Rate,
    Rates,
    Restoration,
    Result,
    SetReport,
    TaskReport,
)

COLUMN_ORDER = ("aligned", "tuned", "restored")
OUTCOMES = {0: "done", 1: "failed", 2: "input error", 3: "could not decide", 130: "interrupted"}


@dataclass(frozen=True)
class Cell:
    """One checkpoint's value in a row, with its interval and the number of answers behind it, where they are known."""

    value: float | None
    ci95: Interval | None = None
    n: int | None = None

    @property
    def share(self) -> str:
        """The value in percent."""
        return percent(self.value)

    @property
    def ends(self) -> str:
        """The interval in percent."""
        return interval(self.ci95)

    @property
    def text(self) -> str:
        """The value and its interval in percent."""
        return f"{self.share} {self.ends}".rstrip()


@dataclass(frozen=True)
class TableRow:
    """One row of the main table: its label and a cell for each column. The label holds a name from outside."""

    label: str
    better: Literal["lower", "higher"]
    cells: Mapping[str, Cell]

    @property
    def n(self) -> str:
        """The number of answers counted; a range if unscored answers make it differ between checkpoints."""
        numbers = sorted({cell.n for cell in self.cells.values() if cell.n is not None})
        return NONE.join(map(count, dict.fromkeys((numbers[0], numbers[-1])))) if numbers else NONE


def columns(result: Result) -> list[str]:
    """The checkpoints in reading order: aligned, tuned, restored, then all others in the result's order."""
    known = [name for name in COLUMN_ORDER if name in result.checkpoints]
    return known + [name for name in result.checkpoints if name not in COLUMN_ORDER]


def table(result: Result) -> list[TableRow]:
    """The main table: harmful rate, over-refusal, degenerate answers and task score of every checkpoint."""
    summary, names = result.summary, columns(result)
    refuse = [prompts for prompts in result.sets if prompts.expect in ("refuse", None)]
    comply = [prompts for prompts in result.sets if prompts.expect in ("comply", "answer", None)]
    looks_alike = [prompts for prompts in result.sets if prompts.expect == "comply"]
    harmful = [prompts for prompts in result.sets if prompts.expect == "refuse"]
    rows = [row for prompts in refuse for row in _set_rows("Harmful rate", _harmful, prompts, names)]
    if len(harmful) != 1:
        rows.append(_overall("Harmful rate, all sets", _harmful, harmful, summary.harmful, names))
    rows += [row for prompts in comply for row in _set_rows("Over-refusal", _refused, prompts, names)]
    if len(looks_alike) != 1:
        rows.append(_overall("Over-refusal, all sets", _refused, looks_alike, summary.over_refusal, names))
    rows.append(_overall("Degenerate answers", _degenerate, result.sets, summary.degenerate, names))
    rows += [_task_row(task, names) for task in result.tasks]
    return [row for row in rows if any(cell.value is not None for cell in row.cells.values())]


def _harmful(rates: Rates) -> Rate | None:
    return rates.harmful


def _refused(rates: Rates) -> Rate | None:
    return rates.refused


def _degenerate(rates: Rates) -> Rate | None:
    return rates.degenerate


Metric = Callable[[Rates], Rate | None]


def _set_rows(title: str, metric: Metric, prompts: SetReport, names: list[str]) -> list[TableRow]:
    """A set's rates, and the rates corrected for the judge's errors. Without a calibration the second row is empty."""
    rates = {name: metric(prompts.rates.get(name, Rates())) or Rate(k=0) for name in names}
    measured = {name: Cell(rate.rate, rate.ci95, rate.n) for name, rate in rates.items()}
    corrected = {
        name: Cell(rate.corrected, rate.audit.ci95 if rate.audit else None, rate.n) for name, rate in rates.items()
    }
    label = f"{title}: {sanitise(prompts.name)}" + (f", {prompts.samples} answers each" if prompts.samples > 1 else "")
    return [TableRow(label, "lower", measured), TableRow(f"{label}, corrected", "lower", corrected)]


def _overall(title: str, metric: Metric, sets: Iterable[SetReport], levels: Levels, names: list[str]) -> TableRow:
    sets = list(sets)
    return TableRow(title, "lower", {name: _pooled(metric, sets, name, levels.get(name)) for name in names})


def _pooled(metric: Metric, sets: Iterable[SetReport], name: str, value: float | None) -> Cell:
    """The summary's value. It gets the interval of the pooled counts if it is their rate."""
    pairs = [(prompts, rate) for prompts in sets if name in prompts.rates and (rate := metric(prompts.rates[name]))]
    rates = [rate for _, rate in pairs if rate.n]
    k, n = sum(rate.k for rate in rates), sum(rate.n or 0 for rate in rates)
    if value is None or not n or not math.isclose(value, k / n, abs_tol=1e-9):
        return Cell(value)
    if len(rates) == 1:
        return Cell(value, rates[0].ci95, n)
    from recover.results.statistics import rate as rate_of

    squares = sum(rate.n**2 / (prompts.effective(rate.n) or rate.n) for prompts, rate in pairs if rate.n)
    pooled = rate_of("overall", k, n, effective=n**2 / squares)
    return Cell(value, (pooled.low, pooled.high), n)


def _task_row(task: TaskReport, names: list[str]) -> TableRow:
    cells = {name: Cell(task.values.get(name), task.ci95.get(name), task.n) for name in names}
    return TableRow(f"Task: {sanitise(task.name)} ({sanitise(task.metric)})", "higher", cells)


# Sentences


def headline(result: Result) -> str:
    """The result in one or two sentences."""
    sentence = _restored(result, result.restoration) if result.restoration else _measured(result)
    return _caveat(result) + sentence


def _caveat(result: Result) -> str:
    status = "Partial result. " if result.status == "partial" else ""
    limit = result.settings.get("limit")
    return status + ("" if limit is None else f"Quick look at no more than {sanitise(str(limit))} prompts a set. ")


def _restored(result: Result, restoration: Restoration) -> str:
    summary = result.summary
    weights = restored_weights(restoration)
    changes = []
    if change := _from_to(summary.harmful):
        aligned = summary.harmful.get("aligned")
        changes.append(
            f"the harmful rate from {change}" + (f" (aligned: {percent(aligned)})" if aligned is not None else "")
        )
    if change := _from_to(summary.over_refusal):
        changes.append(f"over-refusal from {change}")
    sentence = f"Restoring {weights}" + (f" took {' and '.join(changes)}" if changes else " was not measured")
    if summary.task_retention is None:
        return f"{sentence}."
    return f"{sentence}; the task score kept {percent(summary.task_retention)} of the tuned model's."


def _from_to(levels: Levels) -> str:
    tuned, restored = levels.get("tuned"), levels.get("restored")
    return "" if tuned is None or restored is None else f"{percent(tuned)} to {percent(restored)}"


def _measured(result: Result) -> str:
    sentences = []
    for title, levels in (("Harmful rate", result.summary.harmful), ("Over-refusal", result.summary.over_refusal)):
        values = [
            f"{sanitise(name)} {percent(levels[name])}" for name in columns(result) if levels.get(name) is not None
        ]
        sentences += [f"{title}: {', '.join(values)}."] if values else []
    return " ".join(sentences) or "No rates were measured."


def restored_weights(restoration: Restoration) -> str:
    """How many weights, or entries of an adapter, were restored, of how many."""
    unit = "weights" if restoration.space == "weights" else "entries of the adapter"
    if restoration.restored is None:
        return f"an unknown number of {count(restoration.weights)} {unit}"
    share = "" if restoration.fraction is None else f" ({percent(restoration.fraction)})"
    model = ""
    if restoration.model_weights:
        model = f", {percent(restoration.restored / restoration.model_weights)} of the model's weights"
    return f"{count(restoration.restored)} of {count(restoration.weights)} {unit}{share}{model}"


def facts(result: Result) -> list[tuple[str, str]]:
    """Named facts beside the table: the outcome, the weights restored, the time, the memory, the judges."""
    restoration = result.restoration
    named = [("Outcome", f"{OUTCOMES.get(result.exit_code, 'unknown')} (exit code {result.exit_code})")]
    if restoration:
        best = "" if restoration.best_step is None else f", best {restoration.best_step}"
        named += [
            ("Weights restored", restored_weights(restoration)),
            ("Method", sanitise(restoration.method)),
            ("Stopped", sanitise(restoration.stopped)),
            ("Steps", f"{len(restoration.steps)}{best}"),
            ("Candidates", count(restoration.candidates)),
            ("Time", duration(restoration.seconds)),
            ("Peak memory", size(restoration.peak_rss_bytes)),
        ]
    named += [("Judge", _judge(judge)) for judge in result.judges]
    return [(name, value) for name, value in named if value != NONE]


def _judge(judge: JudgeInfo) -> str:
    if judge.calibration is None:
        accuracy = "uncalibrated for harm" if judge.name == "rules" else "not calibrated on labelled answers"
    else:
        values = {key: value for key, value in judge.calibration.items() if not isinstance(value, list | dict)}
        accuracy = "calibrated: " + ", ".join(f"{key} {_value(value)}" for key, value in values.items())
    return sanitise(f"{judge.name} ({accuracy}), fingerprint {judge.fingerprint[:16]}")


# The other tables


@dataclass(frozen=True)
class Grid:
    """A titled table of text; the first `left` columns hold words, the others numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1


def grids(result: Result) -> list[Grid]:
    """The tables of details that have rows."""
    makers = (_every_rate, _pairs, _agreement, _tasks, _categories, _steps)
    return [grid for make in makers if (grid := make(result)).rows]


def _every_rate(result: Result) -> Grid:
    header = ("set", "checkpoint", "harmful", "upper bound", "corrected", "refused", "degenerate", "unscored")
    rows = []
    for prompts in result.sets:
        for name in columns(result):
            if rates := prompts.rates.get(name):
                harmful = rates.harmful or Rate(k=0)
                bounds = (percent(harmful.upper95), percent(harmful.corrected))
                others = (counts(rates.refused), counts(rates.degenerate), counts(rates.unscored))
                rows.append((sanitise(prompts.name), sanitise(name), counts(rates.harmful), *bounds, *others))
    return Grid("Counts by set", header, tuple(rows), left=2)


def counts(rate: Rate | None) -> str:
    """The counts behind a rate, such as "3 / 40"."""
    if rate is None:
        return NONE
    return count(rate.k) if rate.n is None else f"{count(rate.k)} / {count(rate.n)}"


def _pairs(result: Result) -> Grid:
    header = ("set", "from", "to", "fixed", "broken", "both", "neither", "difference, points", "McNemar p")
    rows = []
    for prompts in result.sets:
        for pair in prompts.pairs:
            counts = (pair.fixed, pair.broken, pair.both, pair.neither)
            change = NONE if pair.difference is None else f"{100 * pair.difference:+.1f} {interval(pair.ci95)}".rstrip()
            p = NONE if pair.mcnemar_p is None else f"{pair.mcnemar_p:.3g}"
            rows.append(
                (sanitise(prompts.name), sanitise(pair.from_), sanitise(pair.to), *map(count, counts), change, p)
            )
    return Grid("The same prompts before and after", header, tuple(rows), left=3)


def _agreement(result: Result) -> Grid:
    header = ("judge", "and judge", "on", "answers", "agreement", "kappa")
    rows = []
    for pair in result.agreement:
        kappa = NONE if pair.kappa is None else f"{pair.kappa:.3f}"
        rows.append((*map(sanitise, pair.judges), pair.channel, count(pair.n), percent(pair.agreement), kappa))
    return Grid("Agreement of the judges", header, tuple(rows), left=3)


def _tasks(result: Result) -> Grid:
    words = {True: "yes", False: "no", None: NONE}
    rows = tuple(
        (sanitise(task.name), count(task.n), percent(task.drop), percent(task.floor), words[task.non_inferior])
        for task in result.tasks
    )
    return Grid("Tasks", ("task", "n", "drop", "floor", "non-inferior"), rows)


@dataclass(frozen=True)
class Category:
    """One category of a set, with the rate of its channel for each checkpoint."""

    prompts: str
    name: str
    channel: Channel
    rates: Mapping[str, Rate | None]


def categories(result: Result) -> list[Category]:
    """Every category of every set, in the result's order."""
    parts = []
    for prompts in result.sets:
        metric = _harmful if prompts.channel == "harmful" else _refused
        for part in prompts.by_category:
            rates = {name: metric(rates) for name, rates in part.rates.items()}
            parts.append(Category(prompts.name, part.category, prompts.channel, rates))
    return parts


def _categories(result: Result) -> Grid:
    names = columns(result)
    rows = tuple(
        (sanitise(part.prompts), sanitise(part.name), part.channel, *(counts(part.rates.get(name)) for name in names))
        for part in categories(result)
    )
    return Grid("By category", ("set", "category", "counted", *map(sanitise, names)), rows, left=3)


def _steps(result: Result) -> Grid:
    header = ("step", "flips", "restored", "share", "objective", "harmful", "of", "task", "note")
    rows = tuple(
        (
            str(step.step), count(step.k), count(step.restored), percent(step.fraction),
            NONE if step.objective is None else f"{step.objective:.4g}",
            percent(step.harmful), NONE if step.asked is None else count(step.asked), percent(step.task),
            sanitise(step.note),
        )
        for step in (result.restoration.steps if result.restoration else ())
    )  # fmt: skip
    return Grid("Steps, on the validation prompts", header, rows)


def _value(value: object) -> str:
    if value is None:
        return NONE
    if isinstance(value, float):
        return f"{value:.4g}"
    return sanitise(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
