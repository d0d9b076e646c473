"""The tables of an audit by people: the rates by their labels, and the judge's errors on the same answers."""

from recover.report.numbers import count, interval, percent, sanitise
from recover.report.tables import Grid, columns
from recover.results.schema import Interval, Rate, Rates, Result


def audit_grids(result: Result) -> list[Grid]:
    """The tables of an audit that have rows."""
    return [grid for grid in (_rates(result), _judge(result)) if grid.rows]


def _rates(result: Result) -> Grid:
    header = ("set", "checkpoint", "rate", "confirmed", "missed, of others seen", "others", "by people", "upper bound")
    rows = []
    for prompts in result.sets:
        for name in columns(result):
            rate: Rate | None = getattr(prompts.rates.get(name, Rates()), prompts.channel)
            if rate and (audit := rate.audit):
                labelled = (
                    f"{count(audit.confirmed)} / {count(rate.k)}",
                    f"{count(audit.missed)} / {count(audit.sampled)}",
                    count(audit.negatives),
                )
                rates = with_interval(rate.corrected, audit.ci95), percent(audit.upper95)
                rows.append((sanitise(prompts.name), sanitise(name), prompts.channel, *labelled, *rates))
    return Grid("People's audit", header, tuple(rows), left=3)


def _judge(result: Result) -> Grid:
    rows = tuple(
        (
            audit.channel,
            with_interval(audit.sensitivity, audit.sensitivity_ci95),
            with_interval(audit.specificity, audit.specificity_ci95),
        )
        for audit in (result.audit.channels if result.audit else ())
    )
    return Grid("The judge against people, on these answers", ("channel", "sensitivity", "specificity"), rows)


def with_interval(value: float | None, ends: Interval | None) -> str:
    """A fraction and its interval, in percent."""
    return f"{percent(value)} {interval(ends)}".rstrip()
