"""Rates, intervals and paired tests: every number with its denominator and its interval.

All fractions lie in [0, 1], and so do the limits of their intervals. This module does not know what is counted.
Impossible counts (k > n, n < 0) are programming errors and raise ValueError. An empty sample raises Undecided, because
the rate of nothing is not 0.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import fsum, hypot, sqrt
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from recover.errors import Undecided

RESAMPLES = 9999  # of the bootstrap: its limits then differ by less than 0.03 standard errors between seeds


@dataclass(frozen=True)
class Measurement:
    """A number with its 95 % interval [low, high], from `n` items."""

    name: str
    value: float
    n: int
    low: float
    high: float

    def __post_init__(self) -> None:
        _not_empty(self.name, self.n)


def rate(name: str, k: int, n: int, effective: float | None = None) -> Measurement:
    """Return the rate k / n with its Wilson 95 % interval.

    The interval is that of `effective` items if the n items are worth no more independent ones. Source: Wilson, Journal
    of the American Statistical Association 22 (1927).
    """
    _not_empty(name, n)
    if effective is not None and effective < n:
        low, high = wilson_at(k / n, effective)
    else:
        low, high = scipy.stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    return Measurement(name, k / n, n, low, high)


def clustered(hits: Sequence[bool], clusters: Sequence[Hashable], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the share of `hits`. Items of one cluster are not independent of each other.

    It is a percentile bootstrap of hits over items that draws whole clusters. It is never narrower than the interval of
    independent items, since a bootstrap is too narrow where hits are rare. Where all items have the same outcome a
    bootstrap has no spread; then the interval is Wilson's, of `effective_n` items. Source: Davison and Hinkley,
    Bootstrap Methods and their Application (1997), section 3.8.
    """
    _not_empty("clustered rate", len(hits))
    index_of = {cluster: index for index, cluster in enumerate(dict.fromkeys(clusters))}
    indices = [index_of[cluster] for cluster in clusters]
    sizes = np.bincount(indices).astype(np.float64)
    positive = np.bincount(indices, weights=hits).astype(np.float64)
    share = float(positive.sum() / sizes.sum())
    if share in (0.0, 1.0) or len(index_of) == 1:
        return wilson_at(share, effective_n(clusters))
    low, high = _bootstrap((positive, sizes), _ratio, seed, "two-sided")
    independent_low, independent_high = wilson_at(share, len(hits))
    return min(low, independent_low), max(high, independent_high)


def effective_n(clusters: Sequence[Hashable]) -> float:
    """Return how many independent items the items of these clusters are worth at least.

    The least is reached if the items of a cluster are copies of each other: n^2 / sum(size^2). That is the number of
    clusters if all have the same size. It does not depend on outcomes, so a bound for so many items rises with every
    hit. Source: Kish, Survey Sampling (1965), the design effect for an intraclass correlation of 1.
    """
    sizes = Counter(clusters).values()
    return sum(sizes) ** 2 / sum(size * size for size in sizes) if sizes else 0.0


def upper95(k: int, n: int, effective: float | None = None) -> float:
    """Return the one-sided 95 % Clopper-Pearson upper bound of a rate, after k of n items were positive.

    It is exact: a true rate above the bound gives k or fewer with a probability below 5 %. If the n items are worth
    only `effective` independent ones, it is the bound of so many items with the same rate.
    """
    _not_empty("upper bound", n)
    if effective is not None and effective < n:
        return _upper_at(k / n, effective)
    return float(scipy.stats.binomtest(k, n, alternative="less").proportion_ci(0.95, method="exact").high)


@dataclass(frozen=True)
class TwoPhase:
    """A rate of n items whose positives were found in two phases.

    First a screening divides the items into picked ones and `negatives`. Then people check all picked items, of which
    `confirmed` are positive, and a random sample of the negatives, of which `missed` of `sampled` are positive. The
    rate is

        (confirmed + negatives * missed / sampled) / n

    This is double sampling for stratification: Cochran, Sampling Techniques (1977), chapter 12.

    The error has two independent sources: the n items are a sample, and so are the checked negatives. The limits
    combine the two as in Zou and Donner (Statistics in Medicine 27 (2008) 1693-1702): the distance to a limit is the
    root of the sum of the two squared distances. The first distance is that of a rate of n items, or of `effective`
    items if they are worth no more independent ones. The second is that of missed / sampled, times negatives / n, times
    the factor of a finite population, sqrt(1 - sampled / negatives). If every negative is checked, the limits are those
    of an ordinary rate. If no checked negative is positive, they still have a width.
    """

    confirmed: int
    n: int
    negatives: int = 0
    sampled: int = 0
    missed: int = 0
    effective: float | None = None

    def __post_init__(self) -> None:
        _not_empty("two-phase rate", self.n)
        if self.negatives and not self.sampled:
            raise Undecided(f"none of {self.negatives} negatives was checked; at least one is needed.")
        if not (0 <= self.missed <= self.sampled <= self.negatives <= self.n - self.confirmed <= self.n):
            raise ValueError(f"impossible counts: {self}")

    @property
    def share(self) -> float:
        """The fraction of the negatives that are positive after all."""
        return self.missed / self.sampled if self.sampled else 0.0

    @property
    def rate(self) -> float:
        """The estimated rate."""
        return (self.confirmed + self.negatives * self.share) / self.n

    @property
    def ci95(self) -> tuple[float, float]:
        """The 95 % interval of the rate, combined from Wilson's limits."""
        first = wilson_at(self.rate, self.effective or self.n)
        second = wilson_at(self.share, self.sampled) if self.sampled else (0.0, 0.0)
        scale = self._unseen / self.n
        down = hypot(self.rate - first[0], scale * (self.share - second[0]))
        up = hypot(first[1] - self.rate, scale * (second[1] - self.share))
        return max(0.0, self.rate - down), min(1.0, self.rate + up)

    @property
    def upper95(self) -> float:
        """The one-sided 95 % upper bound of the rate, combined from Clopper and Pearson's bounds."""
        if self.sampled == self.negatives:
            return upper95(self.confirmed + self.missed, self.n, self.effective)
        first = _upper_at(self.rate, self.effective or self.n) - self.rate
        second = self._unseen / self.n * (_upper_at(self.share, self.sampled) - self.share)
        return min(1.0, self.rate + hypot(first, second))

    @property
    def _unseen(self) -> float:
        """The negatives times the factor of a finite population: 0 if all were checked."""
        return sqrt(self.negatives * (self.negatives - self.sampled))


def total_missed(parts: Sequence[TwoPhase]) -> tuple[float, float, float]:
    """Return how many negatives of all parts are positive after all, with the two limits of its 95 % interval.

    The number is about these items only, so its only error is that not all of them were checked.
    """
    total = fsum(part.negatives * part.share for part in parts)
    limits_of = [(part, wilson_at(part.share, part.sampled)) for part in parts if part.sampled]
    down, up = (
        sqrt(fsum((part._unseen * (limits[side] - part.share)) ** 2 for part, limits in limits_of)) for side in (0, 1)
    )
    fewest = sum(part.missed for part in parts)
    most = sum(part.negatives - part.sampled + part.missed for part in parts)
    return total, max(float(fewest), total - down), min(float(most), total + up)


def mcnemar(b: int, c: int) -> float:
    """Return the exact two-sided p of McNemar's test. `b` items changed in one direction, `c` in the other.

    If no item changed, p = 1.
    """
    return float(scipy.stats.binomtest(b, b + c).pvalue) if b + c else 1.0


def paired_difference(
    both: int, only_first: int, only_second: int, neither: int, level: float = 0.95, effective: float | None = None
) -> tuple[float, float, float]:
    """Return p2 - p1 of two rates measured on the same items, and the two limits of its interval.

    `both` items are positive in both measurements, `only_first` in the first alone, and so on. If the items are worth
    only `effective` independent ones, the limits are those of so many. Source: Newcombe, Statistics in Medicine 17
    (1998) 2635-2650, method 10: the two Wilson intervals, combined with their correlation.
    """
    n = both + only_first + only_second + neither
    _not_empty("paired difference", n)
    size = n if effective is None else effective
    p1, p2 = (both + only_first) / n, (both + only_second) / n
    (low1, high1), (low2, high2) = wilson_at(p1, size, level), wilson_at(p2, size, level)
    phi = _phi(*(count * size / n for count in (both, only_first, only_second, neither)))
    down = _combine(p2 - low2, high1 - p1, phi)
    up = _combine(high2 - p2, p1 - low1, phi)
    difference = (only_second - only_first) / n
    return difference, max(-1.0, difference - down), min(1.0, difference + up)


def mean(name: str, values: Sequence[float], seed: int = 0) -> Measurement:
    """Return the mean of per-item values with a 95 % interval: Wilson for 0/1 values, else a percentile bootstrap.

    If all values are equal, a bootstrap has no spread. Then the interval allows for the share of other items that n
    equal ones cannot rule out, if the value lies in [0, 1]; else it has no width.
    """
    x = np.asarray(values, dtype=np.float64)
    _not_empty(name, x.size)
    if _is_binary(x):
        return rate(name, int(x.sum()), x.size)
    if np.ptp(x) > 0:
        low, high = _bootstrap((x,), np.mean, seed, "two-sided")
    else:
        low, high = _constant(float(x[0]), x.size)
    return Measurement(name, float(x.mean()), x.size, low, high)


def non_inferior(restored: Sequence[float], tuned: Sequence[float], margin: float, seed: int = 0) -> tuple[bool, float]:
    """Return whether `restored` is at most `margin` worse than `tuned`, and the bound that decides it.

    Both hold one value in [0, 1] for each item, in the same order; higher is better. The bound is the one-sided 95 %
    lower bound of mean(restored - tuned): Newcombe's for 0/1 values, else a percentile bootstrap. If all differences
    are equal, the bound takes the share of other items that n equal ones cannot rule out to have a difference of -1.
    """
    new, old = np.asarray(restored, dtype=np.float64), np.asarray(tuned, dtype=np.float64)
    if new.shape != old.shape:
        raise ValueError(f"{new.size} restored values against {old.size} tuned ones: they must be of the same items")
    _not_empty("non-inferiority", new.size)
    bound = _lower_bound(new, old, seed)
    return bound > -margin, bound


def cohen_kappa(both: int, only_first: int, only_second: int, neither: int) -> float | None:
    """Return Cohen's kappa of two raters who say yes or no to the same items: 1 is full agreement, 0 that of chance.

    None if both give every item the same answer, since chance would then agree fully too. Source: Cohen, Educational
    and Psychological Measurement 20 (1960).
    """
    n = both + only_first + only_second + neither
    _not_empty("kappa", n)
    first, second = both + only_first, both + only_second
    chance = (first * second + (n - first) * (n - second)) / n**2
    return None if chance == 1.0 else ((both + neither) / n - chance) / (1.0 - chance)


def rogan_gladen(rate: float, sensitivity: float, specificity: float) -> float | None:
    """Return the true rate, clipped to [0, 1], of which an imperfect judge measured `rate`.

    None if sensitivity + specificity <= 1, since such a judge is no better than chance. Source: Rogan and Gladen,
    American Journal of Epidemiology 107 (1978).
    """
    youden = sensitivity + specificity - 1.0
    if youden <= 0.0:
        return None
    return min(1.0, max(0.0, (rate + specificity - 1.0) / youden))


def _not_empty(name: str, n: int) -> None:
    if n == 0:
        raise Undecided(f"'{name}' has no scored item to be measured on; at least one is needed.")


def wilson_at(p: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's limits of a rate p of n. Neither n nor p * n need be a whole number."""
    z = float(scipy.stats.norm.ppf((1 + level) / 2))
    middle, half = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    return max(0.0, (middle - half) / (1 + z * z / n)), min(1.0, (middle + half) / (1 + z * z / n))


def _upper_at(p: float, n: float) -> float:
    """Return `upper95` of a rate p of n. Neither n nor p * n need be a whole number."""
    return 1.0 if p >= 1.0 else float(scipy.stats.beta.ppf(0.95, p * n + 1, n - p * n))


def _phi(both: float, only_first: float, only_second: float, neither: float) -> float:
    """Return the correlation of the two measurements. Newcombe's continuity correction shrinks a positive one."""
    n = both + only_first + only_second + neither
    first, second = both + only_first, both + only_second
    product = first * (n - first) * second * (n - second)
    if product == 0:
        return 0.0
    covariance = both * neither - only_first * only_second
    return min(covariance, max(0.0, covariance - n / 2)) / sqrt(product)


def _combine(a: float, b: float, phi: float) -> float:
    return sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))  # rounding may take a perfect cancellation below 0


def _is_binary(x: NDArray[np.float64]) -> bool:
    return bool(np.isin(x, (0.0, 1.0)).all())


def _ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64], axis: int) -> Any:
    return numerator.sum(axis) / denominator.sum(axis)


def _bootstrap(
    columns: tuple[NDArray[np.float64], ...], statistic: Callable[..., Any], seed: int, alternative: str
) -> tuple[float, float]:
    """Return the percentile bootstrap's 95 % limits of a statistic of whole rows. Its batches stay below 100 MB."""
    interval = scipy.stats.bootstrap(
        columns,
        statistic,
        n_resamples=RESAMPLES,
        batch=max(1, 5_000_000 // columns[0].size),
        paired=len(columns) > 1,
        confidence_level=0.95,
        alternative=alternative,
        method="percentile",
        random_state=np.random.default_rng(seed),  # `rng` from scipy 1.15 on; the old name still works
    ).confidence_interval
    return float(interval.low), float(interval.high)


def _constant(value: float, n: int) -> tuple[float, float]:
    """Return the limits of a mean of n equal values, with the share of items not ruled out at 0, or at 1."""
    if not 0.0 <= value <= 1.0:
        return value, value
    unseen = float(scipy.stats.binomtest(0, n).proportion_ci(0.95, method="exact").high)
    return (1 - unseen) * value, (1 - unseen) * value + unseen


def _lower_bound(new: NDArray[np.float64], old: NDArray[np.float64], seed: int) -> float:
    """Return the one-sided 95 % lower bound of mean(new - old)."""
    if _is_binary(new) and _is_binary(old):
        both, only_old, only_new = ((new * old).sum(), (old * (1 - new)).sum(), (new * (1 - old)).sum())
        neither = new.size - both - only_old - only_new
        return paired_difference(int(both), int(only_old), int(only_new), int(neither), level=0.90)[1]
    difference = new - old
    if np.ptp(difference) > 0:
        return _bootstrap((difference,), np.mean, seed, "greater")[0]
    unseen = upper95(0, difference.size)
    return float((1 - unseen) * difference[0] - unseen)
