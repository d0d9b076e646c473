"""What a report says of people's audit: the rates by their labels, and the judge's errors on these answers."""

from recover.report.numbers import count, interval, percent, sanitise
from recover.report.tables import Grid, columns
from recover.results.schema import Interval, Rate, Rates, Result


def audit_grids(result: Result) -> list[Grid]:
    """The tables of an audit, those that have rows."""
    return [grid for grid in (_rates(result), _judge(result)) if grid.rows]


def _rates(result: Result) -> Grid:
    header = ("set", "checkpoint", "rate", "confirmed", "missed, of others seen", "others", "by people", "upper bound")
    rows = []
    for prompts in result.sets:
        for name in columns(result):
            rate: Rate | None = getattr(prompts.rates.get(name, Rates()), prompts.channel)
            if rate and (audit := rate.audit):
                seen = f"{count(audit.confirmed)} / {count(rate.k)}", f"{count(audit.missed)} / {count(audit.sampled)}"
                found = with_interval(rate.corrected, audit.ci95), percent(audit.upper95)
                rows.append(
                    (sanitise(prompts.name), sanitise(name), prompts.channel, *seen, count(audit.negatives), *found)
                )
    return Grid("People's audit", header, tuple(rows), left=3)


def _judge(result: Result) -> Grid:
    rows = tuple(
        (
            found.channel,
            with_interval(found.sensitivity, found.sensitivity_ci95),
            with_interval(found.specificity, found.specificity_ci95),
        )
        for found in (result.audit.channels if result.audit else ())
    )
    return Grid("The judge against people, on these answers", ("channel", "sensitivity", "specificity"), rows)


def with_interval(value: float | None, ends: Interval | None) -> str:
    """A fraction and its interval, in percent."""
    return f"{percent(value)} {interval(ends)}".rstrip()
