"""Intervals and tests against published values; where none is published, against their own guarantees."""

import ast
from collections.abc import Callable
from math import comb
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recover.results.statistics
from recover.errors import Exit, Undecided
from recover.results.statistics import (
    Measurement,
    TwoPhase,
    clustered,
    effective_n,
    mcnemar,
    mean,
    non_inferior,
    paired_difference,
    rate,
    rogan_gladen,
    total_missed,
    upper95,
)

COUNTS = st.integers(0, 60)


@pytest.mark.parametrize(("k", "n", "low", "high"), [(12, 700, 0.0098, 0.0297), (2, 100, 0.0055, 0.0700)])
def test_a_rate_has_wilsons_interval(k: int, n: int, low: float, high: float) -> None:
    measured = rate("harmful", k, n)
    assert (measured.name, measured.value, measured.n) == ("harmful", k / n, n)
    assert (measured.low, measured.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(("k", "n", "bound"), [(12, 700, 0.0276), (2, 100, 0.0616), (0, 100, 0.0295), (0, 700, 0.0043)])
def test_the_upper_bound_is_clopper_pearsons(k: int, n: int, bound: float) -> None:
    assert upper95(k, n) == pytest.approx(bound, abs=5e-5)


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
def test_a_rate_at_the_upper_bound_gives_so_few_with_a_probability_of_5_percent(counts: tuple[int, int]) -> None:
    k, n = counts
    p = upper95(k, n)
    assert sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1)) == pytest.approx(0.05, abs=1e-6)


def test_the_upper_bound_of_a_full_count_is_one() -> None:
    assert upper95(7, 7) == 1.0


@pytest.mark.parametrize(("n", "allowed"), [(100, 1), (330, 9), (550, 18), (700, 25)])
def test_how_many_harmful_answers_an_upper_bound_of_5_percent_allows(n: int, allowed: int) -> None:
    assert upper95(allowed, n) <= 0.05 < upper95(allowed + 1, n)


@pytest.mark.parametrize(
    ("b", "c", "p"), [(5, 0, 0.0625), (6, 0, 0.03125), (10, 1, 0.01171875), (31, 8, 2.94e-4), (0, 0, 1.0), (4, 4, 1.0)]
)
def test_mcnemar_is_exact_and_symmetric(b: int, c: int, p: float) -> None:
    assert mcnemar(b, c) == mcnemar(c, b) == pytest.approx(p, rel=2e-3)


@pytest.mark.parametrize(
    ("first_second", "published"),
    [
        # Complete response before and after consolidation therapy (Cavo et al. 2012), first minus second, in
        # Fagerland, Lydersen and Laake, Statistical Analysis of Contingency Tables (2017), chapter 8; the authors'
        # R package contingencytables prints these digits. Without the continuity correction of phi it would be
        # -0.1174 to -0.0059.
        ((59, 6, 16, 80), (-0.0621, -0.1186, -0.0046)),
        # Newcombe 1998, table II, a = 36, b = 12, c = 2, d = 0: no correction, as phi is negative.
        ((36, 12, 2, 0), (0.2000, 0.0569, 0.3404)),
    ],
)
def test_the_paired_interval_is_the_published_one(
    first_second: tuple[int, int, int, int], published: tuple[float, float, float]
) -> None:
    both, only_first, only_second, neither = first_second
    swapped = paired_difference(both, only_second, only_first, neither)  # published as first minus second
    assert swapped == pytest.approx(published, abs=5e-5)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_the_paired_interval_holds_the_difference_and_mirrors(a: int, b: int, c: int, d: int) -> None:
    if a + b + c + d == 0:
        return
    difference, low, high = paired_difference(a, b, c, d)
    assert -1 <= low <= difference <= high <= 1
    assert difference == pytest.approx((c - b) / (a + b + c + d))
    mirrored = paired_difference(a, c, b, d)
    assert (-mirrored[0], -mirrored[2], -mirrored[1]) == pytest.approx((difference, low, high), abs=1e-12)
    narrower = paired_difference(a, b, c, d, level=0.90)
    assert low - 1e-12 <= narrower[1] <= narrower[2] <= high + 1e-12


@pytest.mark.parametrize("cells", [(0.02, 0.28, 0.03, 0.67), (0.6, 0.1, 0.1, 0.2), (0.01, 0.02, 0.01, 0.96)])
def test_the_paired_interval_covers_the_truth(cells: tuple[float, float, float, float]) -> None:
    truth = cells[2] - cells[1]
    tables = np.random.default_rng(0).multinomial(120, cells, size=1000)
    covered = [low <= truth <= high for _, low, high in (paired_difference(*map(int, t)) for t in tables)]
    assert np.mean(covered) >= 0.93  # 0.95, less three standard errors of the simulation


def test_a_mean_of_ones_and_zeros_is_a_rate() -> None:
    assert mean("exact_match", [1, 0, 1, 1]) == rate("exact_match", 3, 4)


def test_a_mean_is_bootstrapped_and_its_seed_repeats_it() -> None:
    values = np.random.default_rng(1).beta(2, 3, size=200)
    measured = mean("f1", values.tolist(), seed=5)
    error = 1.96 * values.std(ddof=1) / np.sqrt(200)
    assert measured.value == pytest.approx(values.mean())
    assert (measured.low, measured.high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.005)
    assert measured == mean("f1", values.tolist(), seed=5)
    assert measured != mean("f1", values.tolist(), seed=6)


def test_a_constant_mean_does_not_claim_certainty() -> None:
    few, many = mean("f1", [0.5] * 5), mean("f1", [0.5] * 500)
    assert few.low < many.low < 0.5 < many.high < few.high
    assert (few.low, few.high) == pytest.approx((0.5 - 0.2609, 0.5 + 0.2609), abs=1e-4)  # 1 - 0.025 ** (1 / 5) = 0.522
    assert mean("perplexity", [7.0, 7.0]) == Measurement("perplexity", 7.0, 2, 7.0, 7.0)


def test_no_loss_at_all_is_non_inferior_only_with_enough_items() -> None:
    assert non_inferior([1.0] * 200, [1.0] * 200, margin=0.05)[0]
    assert not non_inferior([1.0] * 20, [1.0] * 20, margin=0.05)[0]
    assert non_inferior([0.5] * 200, [0.5] * 200, margin=0.05)[0]
    passed, bound = non_inferior([0.5] * 20, [0.5] * 20, margin=0.05)
    assert not passed
    assert bound == pytest.approx(-(1 - 0.05 ** (1 / 20)))


def test_non_inferiority_of_exact_matches_is_newcombes_bound() -> None:
    tuned = [1.0] * 150 + [0.0] * 50
    restored = [1.0] * 147 + [0.0] * 3 + [1.0] * 2 + [0.0] * 48
    passed, bound = non_inferior(restored, tuned, margin=0.05)
    assert passed
    assert bound == paired_difference(147, 3, 2, 48, level=0.90)[1]
    assert not non_inferior([1.0] * 130 + [0.0] * 70, tuned, margin=0.05)[0]


def test_non_inferiority_of_graded_metrics_is_bootstrapped() -> None:
    rng = np.random.default_rng(2)
    tuned = rng.uniform(0.2, 0.8, size=300)
    noise = rng.normal(0, 0.05, size=300)
    passed, bound = non_inferior((tuned + noise).tolist(), tuned.tolist(), margin=0.02)
    assert passed
    assert bound == pytest.approx(noise.mean() - 1.645 * noise.std(ddof=1) / np.sqrt(300), abs=0.001)
    assert not non_inferior((tuned + noise - 0.03).tolist(), tuned.tolist(), margin=0.02)[0]
    assert non_inferior((tuned + noise).tolist(), tuned.tolist(), margin=0.02) == (passed, bound)


def test_non_inferiority_needs_the_same_items() -> None:
    with pytest.raises(ValueError, match="3 restored values against 2 tuned"):
        non_inferior([1, 0, 1], [1, 0], margin=0.1)


def test_rogan_gladen_corrects_and_clips() -> None:
    # a true 1.74 % behind a specificity of 0.96 and a sensitivity of 0.96 reads 5.6 %
    assert rogan_gladen(0.0174 * 0.96 + 0.9826 * 0.04, 0.96, 0.96) == pytest.approx(0.0174)
    assert rogan_gladen(0.01, 0.9, 0.95) == 0.0
    assert rogan_gladen(0.99, 0.9, 0.95) == 1.0
    assert rogan_gladen(0.3, 1.0, 1.0) == pytest.approx(0.3)
    assert rogan_gladen(0.3, 0.5, 0.5) is None
    assert rogan_gladen(0.3, 0.2, 0.7) is None


@pytest.mark.parametrize(
    "measure",
    [
        lambda: Measurement("harmful", 0.0, 0, 0.0, 1.0),
        lambda: rate("harmful", 0, 0),
        lambda: mean("harmful", []),
        lambda: upper95(0, 0),
        lambda: paired_difference(0, 0, 0, 0),
        lambda: non_inferior([], [], 0.05),
    ],
)
def test_an_empty_sample_is_undecided(measure: Callable[[], object]) -> None:
    with pytest.raises(Undecided, match="no scored item") as caught:
        measure()
    assert caught.value.exit_code is Exit.UNDECIDED


def test_impossible_counts_are_an_error() -> None:
    with pytest.raises(ValueError, match="k"):
        rate("harmful", 3, 2)


def test_the_module_needs_neither_torch_nor_transformers() -> None:
    tree = ast.parse(Path(recover.results.statistics.__file__).read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not {"torch", "transformers"} & {str(name).partition(".")[0] for name in imported}


# Rates found in two phases


@given(st.integers(0, 40), st.integers(0, 30), st.integers(0, 60), st.integers(0, 20))
def test_a_census_is_an_ordinary_rate(confirmed: int, missed: int, clean: int, known: int) -> None:
    n = confirmed + missed + clean + known
    if n:
        census = TwoPhase(confirmed, n, missed + clean, missed + clean, missed)
        plain = rate("rate", confirmed + missed, n)
        assert census.rate == pytest.approx(plain.value)
        assert census.ci95 == pytest.approx((plain.low, plain.high), abs=1e-12)
        assert census.upper95 == upper95(confirmed + missed, n)
        assert total_missed([census]) == pytest.approx((missed, missed, missed))


def test_a_two_phase_rate_is_the_stratified_one_with_its_limits_combined() -> None:
    """20 of 400 are picked, 15 rightly; 3 of 100 others should have been. Each distance is computed by hand."""
    two_phase = TwoPhase(confirmed=15, n=400, negatives=380, sampled=100, missed=3)
    p = (15 + 380 * 0.03) / 400
    assert two_phase.rate == pytest.approx(p)
    share, scale = rate("share", 3, 100), 380 / 400 * (1 - 100 / 380) ** 0.5
    z = 1.959963984540054
    half = z / (1 + z * z / 400) * (p * (1 - p) / 400 + z * z / (4 * 400 * 400)) ** 0.5
    middle = (p + z * z / 800) / (1 + z * z / 400)
    assert two_phase.ci95[0] == pytest.approx(p - ((p - middle + half) ** 2 + (scale * (0.03 - share.low)) ** 2) ** 0.5)
    assert two_phase.ci95[1] == pytest.approx(
        p + ((middle + half - p) ** 2 + (scale * (share.high - 0.03)) ** 2) ** 0.5
    )
    missed, low, high = total_missed([two_phase])
    assert missed == pytest.approx(11.4)
    assert (low, high) == pytest.approx(
        (11.4 - 400 * scale * (0.03 - share.low), 11.4 + 400 * scale * (share.high - 0.03))
    )


@pytest.mark.parametrize(
    ("true", "sensitivity", "specificity"), [(0.03, 0.7, 0.98), (0.2, 0.8, 0.9), (0.01, 1.0, 0.99)]
)
def test_two_phase_limits_cover_the_true_rate(true: float, sensitivity: float, specificity: float) -> None:
    """In 1,500 seeded runs of 300 answers, 60 of the judge's negatives labelled: 95 %, within the runs' own error."""
    draws, covered, below = np.random.default_rng(0), 0, 0
    for _ in range(1500):
        positives = draws.binomial(300, true)
        confirmed = draws.binomial(positives, sensitivity)
        false = draws.binomial(300 - positives, 1 - specificity)
        negatives = 300 - confirmed - false
        missed = draws.hypergeometric(positives - confirmed, negatives - positives + confirmed, 60)
        two_phase = TwoPhase(int(confirmed), 300, int(negatives), 60, int(missed))
        covered += two_phase.ci95[0] <= true <= two_phase.ci95[1]
        below += true <= two_phase.upper95
    assert covered / 1500 > 0.935
    assert below / 1500 > 0.935


@settings(max_examples=400)
@given(st.integers(0, 40), st.integers(1, 60), st.integers(0, 60), st.floats(0.5, 160), st.data())
def test_one_more_positive_never_lowers_a_bound(
    picked: int, sampled: int, unseen: int, effective: float, data: st.DataObject
) -> None:
    n, confirmed = picked + sampled + unseen, data.draw(st.integers(0, picked))
    missed = data.draw(st.integers(0, sampled))
    worth = min(n, effective)
    two_phase = TwoPhase(confirmed, n, sampled + unseen, sampled, missed, worth)
    worse = []
    if confirmed < picked:
        worse.append(TwoPhase(confirmed + 1, n, sampled + unseen, sampled, missed, worth))
    if missed < sampled:
        worse.append(TwoPhase(confirmed, n, sampled + unseen, sampled, missed + 1, worth))
    for other in worse:
        assert other.rate > two_phase.rate
        assert (
            other.upper95 >= min(two_phase.upper95, 0.99) - 1e-12
        )  # combined limits of next to no items all are about 1


def test_negatives_that_nobody_checked_do_not_count_as_clean() -> None:
    with pytest.raises(Undecided, match="none of 9 negatives was checked"):
        TwoPhase(confirmed=1, n=10, negatives=9)
    with pytest.raises(ValueError, match="impossible"):
        TwoPhase(confirmed=5, n=10, negatives=9, sampled=9)


# Clusters


def test_the_interval_of_equal_clusters_is_that_of_their_means() -> None:
    """400 clusters of 5: the closed form is mean +- 1.96 sd / 20 of the clusters' own rates."""
    draws = np.random.default_rng(1)
    chances = draws.beta(2, 3, 400)
    hits = draws.random((400, 5)) < chances[:, None]
    means = hits.mean(1)
    half = 1.96 * means.std() / 20
    interval = clustered(list(hits.ravel()), list(np.repeat(np.arange(400), 5)))
    assert interval == pytest.approx((means.mean() - half, means.mean() + half), abs=0.003)
    plain = rate("rate", int(hits.sum()), 2000)
    assert interval[1] - interval[0] > 1.2 * (plain.high - plain.low)


def test_copies_of_an_item_say_nothing_more() -> None:
    hits = [index % 5 == 0 for index in range(100)]
    once = clustered(hits, range(100))
    copied = clustered([hit for hit in hits for _ in range(7)], [index for index in range(100) for _ in range(7)])
    assert copied == pytest.approx(once, abs=0.02)
    naive = rate("rate", 140, 700)
    assert copied[1] - copied[0] > 2 * (naive.high - naive.low)


@pytest.mark.parametrize("hit", [True, False])
def test_where_all_items_are_alike_a_cluster_counts_once(hit: bool) -> None:
    plain = rate("rate", 20 * hit, 20)
    assert clustered([hit] * 200, [index // 10 for index in range(200)]) == pytest.approx((plain.low, plain.high))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=40))
def test_clusters_never_make_an_interval_narrower(items: list[tuple[bool, int]]) -> None:
    hits, clusters = [hit for hit, _ in items], [cluster for _, cluster in items]
    plain = rate("rate", sum(hits), len(hits))
    low, high = clustered(hits, clusters)
    assert 0 <= low <= plain.low + 1e-9
    assert plain.high - 1e-9 <= high <= 1
    assert (low, high) == clustered(hits, clusters)


def test_items_of_clusters_are_worth_as_many_as_the_clusters() -> None:
    assert effective_n(range(12)) == 12
    assert effective_n([index // 3 for index in range(12)]) == 4
    assert effective_n(["a"] * 12) == 1
    assert effective_n("aaab") == pytest.approx(16 / 10)
    assert effective_n([]) == 0


@given(st.integers(1, 30), st.integers(1, 8), st.data())
def test_copies_leave_bounds_and_differences_where_they_were(n: int, copies: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    assert upper95(k * copies, n * copies, n) == pytest.approx(upper95(k, n))
    single, copied = rate("rate", k, n), rate("rate", k * copies, n * copies, effective=n)
    assert (copied.low, copied.high) == pytest.approx((single.low, single.high), abs=1e-12)
    cells = [k, *(data.draw(st.integers(0, 9)) for _ in range(3))]
    expected = paired_difference(*cells) if sum(cells) else None
    difference = paired_difference(*(c * copies for c in cells), effective=sum(cells)) if expected else None
    assert difference == (expected and pytest.approx(expected, abs=1e-9))


def test_the_bound_covers_clusters_of_copies_and_of_anything_between() -> None:
    """Drawn from clusters whose items are all alike, half alike or independent, 95 % of the bounds must hold."""
    draws, true = np.random.default_rng(0), 0.04
    for alike in (1.0, 0.5, 0.0):
        copied = draws.random((2000, 150, 1)) < true
        own = draws.random((2000, 150, 6)) < true
        hits = np.where(draws.random((2000, 150, 1)) < alike, copied, own).sum((1, 2))
        bounds = {k: upper95(int(k), 900, 150) for k in set(hits)}
        assert np.mean([bounds[k] >= true for k in hits]) > 0.945
