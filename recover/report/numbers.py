"""Numbers as text for people (percent, intervals, counts, durations, sizes), and text from outside made harmless."""

import math
import re

from recover.results.schema import Interval

NONE = "\u2013"  # stands for an unknown value


def percent(value: float | None) -> str:
    """A fraction in percent: one decimal, or two significant digits under 1 %."""
    if value is None:
        return NONE
    if 0 < abs(value) < 1e-6:
        return "< 0.0001 %" if value > 0 else "> -0.0001 %"
    return f"{_hundredths(value)} %"


def _hundredths(fraction: float) -> str:
    value = 100 * fraction
    if value in (0, 100):
        return f"{value:.0f}"
    if abs(value) >= 0.995:
        return f"{value:.1f}"
    return f"{value:.{min(1 - math.floor(math.log10(abs(value))), 6)}f}"


def interval(ends: Interval | None) -> str:
    """An interval of fractions in percent, such as "[9.1, 16.2]"; empty if it is unknown."""
    if ends is None:
        return ""
    low, high = (f"{100 * end:.1f}" for end in ends)
    return f"[{low}, {high}]".replace("-0.0", "0.0")


def count(value: int | None) -> str:
    """A whole number with commas between its thousands."""
    return NONE if value is None else f"{value:,}"


def duration(seconds: float | None) -> str:
    """A time in seconds, in minutes and seconds, or in hours and minutes."""
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
    """Text from outside on one line, without control characters, changes of the reading direction, and surrogates."""
    text = re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)
    return re.sub("[\u202a-\u202e\u2066-\u2069\ud800-\udfff]", "", text)
