"""The set algebra of selections against Python's sets."""

import ast
from pathlib import Path

import torch
from hypothesis import given
from hypothesis import strategies as st

import recover.checkpoints.selection
import recover.search.ranking
from recover.checkpoints.selection import Selection

Coordinates = set[tuple[str, int]]

coordinates = st.sets(st.tuples(st.sampled_from("abc"), st.integers(0, 12)))


def selection(chosen: Coordinates) -> Selection:
    names = {name for name, _ in chosen}
    return Selection({n: torch.tensor(sorted(p for m, p in chosen if m == n)) for n in sorted(names, reverse=True)})


@given(coordinates, coordinates)
def test_selections_are_sets(a: Coordinates, b: Coordinates) -> None:
    x, y = selection(a), selection(b)
    for found, expected in ((x | y, a | b), (x & y, a & b), (x - y, a - b), (x ^ y, a ^ b)):
        assert found == selection(expected)
        assert len(found) == len(expected)
    assert (x == y) == (a == b)


@given(coordinates, coordinates)
def test_the_same_flip_again_undoes_it(a: Coordinates, b: Coordinates) -> None:
    assert selection(a) ^ selection(b) ^ selection(b) == selection(a)


@given(coordinates, coordinates)
def test_positions_stay_sorted_and_unique_and_no_name_is_empty(a: Coordinates, b: Coordinates) -> None:
    x, y = selection(a), selection(b)
    for found in (x | y, x & y, x - y, x ^ y):
        for _, positions in found:
            assert positions.dtype == torch.int64
            assert positions.numel()
            assert bool((positions.diff() > 0).all())


def test_equal_selections_have_equal_hashes_and_the_order_of_names_is_lost() -> None:
    one = Selection({"b": torch.tensor([1]), "a": torch.tensor([2, 3])})
    other = Selection({"a": torch.tensor([2, 3]), "b": torch.tensor([1]), "c": torch.empty(0, dtype=torch.int64)})
    assert one == other
    assert hash(one) == hash(other)
    assert [name for name, _ in one] == ["a", "b"]
    assert one != Selection({"a": torch.tensor([2, 4]), "b": torch.tensor([1])})
    assert one != "a selection"


def test_the_module_imports_no_transformers() -> None:
    tree = ast.parse(Path(recover.checkpoints.selection.__file__).read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not any(str(name).startswith(("transformers", "peft", "recover")) for name in imported)
