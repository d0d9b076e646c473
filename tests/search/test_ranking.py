"""The streaming top-k against a full sort, rankings, and the random sample."""

import math
import random
from collections.abc import Mapping

import oracle
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import recover.search.ranking
from recover.checkpoints.selection import Selection
from recover.search.ranking import rank, sample, top_k

Coordinates = set[tuple[str, int]]

# few different values, so that ties are the rule
values = st.sampled_from([-2.0, -1.0, -0.0, 0.0, 0.25, 0.5, 0.5, 1.0, math.inf, -math.inf, math.nan])
score_tables = st.dictionaries(st.sampled_from("abcdef"), st.lists(values, max_size=9).map(torch.tensor), max_size=5)


def chosen(found: Selection) -> Coordinates:
    return {(name, position) for name, positions in found for position in positions.tolist()}


@pytest.fixture(params=[1, 3, 1 << 22])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(recover.search.ranking, "SCORES_AT_A_TIME", request.param)
    return int(request.param)


@given(tables=score_tables, k=st.integers(0, 40), seed=st.integers(0, 3))
def test_top_k_is_the_head_of_a_full_sort(tables: dict[str, Tensor], k: int, seed: int) -> None:
    names = list(tables)
    random.Random(seed).shuffle(names)
    found = top_k(((n, tables[n]) for n in names), k)
    assert chosen(found) == oracle.top_k(tables, k)
    assert len(found) == min(k, sum(int((t > 0).sum()) for t in tables.values()))


def tables_of(ties: int, size: int = 4000) -> Mapping[str, Tensor]:
    """Scores of `ties` different values, with NaN and negative ones between, in tensors of two and three dimensions."""
    generator = torch.Generator().manual_seed(ties)
    scores = (torch.rand(3, size, generator=generator) * ties).floor() / ties - 0.2
    scores[0, ::17], scores[1, ::5] = math.nan, -1.0
    return {"z": scores[0].view(50, -1), "m": scores[1].view(10, 20, -1), "a": scores[2]}


@pytest.mark.usefixtures("chunk_of_37")
@pytest.mark.parametrize("ties", [2, 20, 100_000])
@pytest.mark.parametrize("k", [1, 7, 1000, 100_000])
@pytest.mark.parametrize("order", ["zma", "amz", "mza"])
def test_top_k_shrinks_its_buffer_on_the_way(ties: int, k: int, order: str) -> None:
    tables = tables_of(ties)
    assert chosen(top_k(((n, tables[n]) for n in order), k)) == oracle.top_k(tables, k)


@pytest.fixture
def chunk_of_37(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recover.search.ranking, "SCORES_AT_A_TIME", 37)


def test_chunks_make_no_difference(chunk: int) -> None:
    tables = {"a": torch.tensor([0.5, 0.5, 1.0, 0.5, math.nan, 0.5]), "b": torch.tensor([[0.5, 2.0], [-1.0, 0.5]])}
    assert chosen(top_k(tables.items(), 4)) == {("b", 1), ("a", 2), ("a", 0), ("a", 1)}


@given(tables=score_tables, k=st.integers(0, 20), m=st.integers(0, 20))
def test_the_first_of_a_ranking_are_nested(tables: dict[str, Tensor], k: int, m: int) -> None:
    ranking, m = rank(tables.items(), k), min(k, m)
    assert ranking.first(m) == top_k(tables.items(), m)
    assert len(ranking.first(m) - ranking.first(k)) == 0


def test_a_ranking_finds_its_coordinates_in_another_pass_and_takes_their_scores() -> None:
    first = {"b": torch.tensor([[4.0, 1.0], [0.0, 3.0]]), "a": torch.tensor([2.0, -1.0])}
    ranking = rank(first.items(), 4)
    other = ranking.again(
        {"a": torch.tensor([7.0, 9.0]), "c": torch.ones(3), "b": torch.arange(4.0).view(2, 2)}.items()
    )
    assert other.tolist() == [0.0, 3.0, 7.0, 1.0]  # of 4, 3, 2 and 1
    assert ranking.again(()).tolist() == [0.0] * 4
    again = ranking.rescored(other)
    assert [(again.names[o], int(p)) for o, p in zip(again.owners, again.positions, strict=True)] == [
        ("a", 0),
        ("b", 3),
        ("b", 1),
    ]
    assert again.scores.tolist() == [7.0, 3.0, 1.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_scores_may_be_of_any_float_dtype_and_not_contiguous(dtype: torch.dtype) -> None:
    scores = torch.tensor([[1.0, 4.0], [2.0, 3.0], [-1.0, 0.0]], dtype=dtype)
    assert chosen(top_k([("a", scores.T)], 2)) == {("a", 3), ("a", 4)}


def test_a_sample_is_of_the_asked_size_without_repeats_and_repeatable() -> None:
    sizes = {"b": 70, "a": 30, "empty": 0}
    for k in (0, 1, 50, 100, 500):
        found = sample(sizes, k, seed=3)
        assert len(found) == len(chosen(found)) == min(k, 100)
        assert all(0 <= position < sizes[name] for name, position in chosen(found))
        assert found == sample(dict(reversed(sizes.items())), k, seed=3)
    assert sample(sizes, 50, seed=3) != sample(sizes, 50, seed=4)
    assert len(sample({}, 5, seed=0)) == 0


def test_a_sample_is_uniform_over_all_coordinates() -> None:
    counts = torch.zeros(40)
    for seed in range(400):
        found = sample({"a": 10, "b": 30}, 4, seed)
        for name, position in chosen(found):
            counts[position + (10 if name == "b" else 0)] += 1
    expected = 400 * 4 / 40
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert chi_square < 72.1  # the 0.1 % tail of chi-square with 39 degrees of freedom
