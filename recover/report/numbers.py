"""Numbers and names from outside as text for people: percent, intervals, counts, durations, sizes."""

import math
import re

from recover.results.schema import (
    Interval,
)

NONE = "\u2013"


def percent(value: float | None) -> str:
    """A fraction in percent: one decimal, or two significant digits under 1 %."""
    if value is None:
        return NONE
    if 0 < abs(value) < 1e-6:
        return "< 0.0001 %" if value > 0 else "> -0.0001 %"
    return f"{_hundredths(value)} %"


def _hundredths(value: float) -> str:
    hundred = 100 * value
    if hundred in (0, 100):
        return f"{hundred:.0f}"
    size = abs(hundred)
    if size >= 0.995:
        return f"{hundred:.1f}"
    return f"{hundred:.{min(1 - math.floor(math.log10(size)), 6)}f}"


def interval(ends: Interval | None) -> str:
    """An interval of fractions in percent: "[9.1, 16.2]", or nothing if it is unknown."""
    if ends is None:
        return ""
    low, high = (f"{100 * end:.1f}" for end in ends)
    return f"[{low}, {high}]".replace("-0.0", "0.0")


def count(value: int | None) -> str:
    """A whole number with its thousands apart."""
    return NONE if value is None else f"{value:,}"


def duration(seconds: float | None) -> str:
    """A time in the one or two units that a reader wants."""
    if seconds is None:
        return NONE
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def size(number: int | None) -> str:
    """A number of bytes in MiB or GiB."""
    if number is None:
        return NONE
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.0f} MiB"


def sanitise(text: str) -> str:
    """Text from outside on one line, without what steers a terminal, turns the reading direction or is no character."""
    text = re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)
    return re.sub("[\u202a-\u202e\u2066-\u2069\ud800-\udfff]", "", text)


# The main table
