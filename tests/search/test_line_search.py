"""The steps of refusal-kl on a toy: which sizes are tried, what is flipped, and how budget and ranking bound a step."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from recover.checkpoints.selection import Selection
from recover.search.methods.protocol import Check, Step
from recover.search.methods.refusal_kl import (
    Flips,
    Search,
    SearchState,
    adapt,
    ended,
    fewest,
    line_search,
    next_width,
    propose,
)

SIZE = 64


@dataclass
class Toy:
    """A model of one tensor whose weights are 1 on the tuned side and 0 on the aligned one.

    The objective is (pull @ weights - goal)^2. More than `cliff` restored weights cost 1000 each, which no gradient
    shows.
    """

    pull: Tensor
    goal: float = 0.0
    cliff: int = SIZE
    selection: Selection = field(default_factory=Selection)
    flips: list[int] = field(default_factory=list)  # coordinates that each flip moved
    tried: list[int] = field(default_factory=list)  # restored coordinates at each measurement of the objective

    @property
    def model(self) -> "Toy":
        return self

    def weights(self) -> Tensor:
        weights = torch.ones(SIZE)
        weights[self.selection.positions.get("w", torch.empty(0, dtype=torch.int64))] = 0.0
        return weights

    def flip(self, flips: Selection) -> None:
        self.flips.append(len(flips))
        self.selection = self.selection ^ flips

    def gains(self, _losses: object, _names: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        weights = self.weights()
        gradient = 2 * (self.pull @ weights - self.goal) * self.pull
        yield "w", gradient * (weights - (1 - weights))

    def losses(self, _weights: Mapping[str, float]) -> list[Any]:
        return []

    def value(self, _model: object) -> dict[str, float]:
        self.tried.append(len(self.selection))
        over = max(0, len(self.selection) - self.cliff)
        return {"harmful": float((self.pull @ self.weights() - self.goal) ** 2) + 1000.0 * over}


def begin(toy: Toy, budget: int = SIZE, k: int = 32, smallest: int = 1) -> tuple[Search, SearchState]:
    search: Search = Search(toy, toy, ["w"], budget, smallest)  # type: ignore[arg-type]
    state = SearchState({"harmful": 1.0}, toy.value(toy), k, k)
    toy.tried.clear()
    return search, state


def even(goal: float = 0.0, cliff: int = SIZE) -> Toy:
    return Toy(torch.ones(SIZE), goal, cliff)


def test_k_is_halved_while_the_objective_falls_further() -> None:
    toy = even(cliff=8)
    search, state = begin(toy)
    flips = line_search(search, state, propose(search, state))
    assert toy.tried == [32, 16, 8, 4]
    assert flips.k == len(toy.selection) == 8
    assert flips.terms == {"harmful": 56.0**2}


def test_a_trial_flips_the_difference_alone() -> None:
    toy = even(cliff=8)
    search, state = begin(toy)
    ranking = propose(search, state)
    toy.flips.clear()
    line_search(search, state, ranking)
    correction, trials = toy.flips[:2], toy.flips[2:]
    assert correction == [32, 32]
    assert trials == [32, 16, 8, 4, 4]  # to 32, back to 16, to 8, to 4, and forward again to the best


def test_the_ranking_is_corrected_anew_for_an_eighth_of_its_flips() -> None:
    toy = even(goal=56.0)  # eight are right; to correct for many more leaves nothing that promises a drop
    search, state = begin(toy)
    flips = line_search(search, state, propose(search, state))
    assert toy.tried == [4, 2]
    assert flips.k == len(toy.selection) == 4


def test_nothing_is_flipped_where_no_trial_lowers_the_objective() -> None:
    toy = even(cliff=0)
    toy.pull /= 10
    search, state = begin(toy, smallest=2)
    flips = line_search(search, state, propose(search, state))
    assert toy.tried == [32, 16, 8, 4, 2]
    assert flips.k == len(toy.selection) == 0
    assert flips.terms == state.terms


def test_a_ranking_shorter_than_a_step_is_halved_too() -> None:
    pull = torch.zeros(SIZE)
    pull[:6] = 1.0
    toy = Toy(pull, cliff=3)
    search, state = begin(toy, k=16)
    flips = line_search(search, state, propose(search, state))
    assert toy.tried == [6, 3, 1]
    assert flips.k == len(toy.selection) == 3


@pytest.mark.parametrize(("budget", "restored"), [(1, 0), (2, 2), (5, 5), (20, 20)])
def test_a_step_is_as_large_as_the_budget_lets_it_be(budget: int, restored: int) -> None:
    toy = even(goal=0.0)
    search, state = begin(toy, budget=budget, smallest=2)
    flips = line_search(search, state, propose(search, state))
    assert flips.k == len(toy.selection) == restored
    assert search.room == budget - restored


def test_an_empty_ranking_is_no_step() -> None:
    toy = even(goal=64.0)  # nothing to gain
    search, state = begin(toy)
    flips = line_search(search, state, propose(search, state))
    assert (flips.k, toy.tried, toy.flips) == (0, [], [])


@pytest.mark.parametrize(("needed", "left"), [(1, 8), (8, 8), (9, 16), (17, 24), (24, 24), (25, 32)])
def test_of_a_step_that_met_its_target_the_fewest_flips_are_left(needed: int, left: int) -> None:
    toy = Toy(torch.arange(SIZE, 0, -1).float())
    search, state = begin(toy)
    flips = line_search(search, state, propose(search, state))
    assert flips.k == 32

    def on_step(step: Step) -> Check:
        assert toy.selection == flips.ranking.first(step.k)
        return MET if step.k >= needed else OVER_TARGET

    kept, check = fewest(search, flips, MET, on_step)
    assert (kept.k, check) == (left, MET)
    assert toy.selection == flips.ranking.first(left)


# From one step to the next


def state_of(**changes: Any) -> SearchState:
    known = {"weights": {"harmful": 1.0, "task": 2.0, "general": 0.3}, "terms": {"harmful": 4.0}, "k": 8, "widest": 16}
    return SearchState(**{**known, **changes})


LAMBDAS = {"harmful": 1.0, "task": 2.0, "general": 0.3}
MET = Check(0.1, 0.2, 0.9, 0.8)
OVER_TARGET = Check(0.5, 0.2, 0.9, 0.8)
UNDER_FLOOR = Check(0.5, 0.2, 0.7, 0.8)


def flips_of(toy: Toy, k: int) -> Flips:
    search, state = begin(toy)
    return Flips(propose(search, state), k, {"harmful": 3.0})


def test_under_the_floor_the_task_weighs_more_and_coordinates_may_return() -> None:
    after = adapt(state_of(), flips_of(even(0.0), 4), UNDER_FLOOR, LAMBDAS, flat=False, returns=False)
    assert after.weights == {"harmful": 1.0, "task": 4.0, "general": 0.3}
    assert after.allow_returns
    for _ in range(5):
        after = adapt(after, flips_of(even(0.0), 4), UNDER_FLOOR, LAMBDAS, flat=False, returns=False)
    assert after.weights["task"] == 16.0  # eight times its own, and no more


def test_over_the_target_after_a_flat_step_the_anchors_weigh_less() -> None:
    after = adapt(state_of(), flips_of(even(0.0), 4), OVER_TARGET, LAMBDAS, flat=True, returns=False)
    assert after.weights == {"harmful": 1.0, "task": 0.5, "general": 0.075}
    assert not after.allow_returns


def test_a_step_under_the_same_objective_grows_and_under_another_is_the_widest() -> None:
    state, flips = state_of(), flips_of(even(0.0), 4)
    same = adapt(state, flips, OVER_TARGET, LAMBDAS, flat=False, returns=False)
    assert next_width(state, same, flips, 2.0).k == 8
    other = adapt(state, flips, UNDER_FLOOR, LAMBDAS, flat=False, returns=False)
    assert next_width(state, other, flips, 2.0).k == 16


def test_why_a_search_ends() -> None:
    toy = even(0.0)
    search, _ = begin(toy, budget=10, smallest=2)
    state, some, none = state_of(), flips_of(toy, 4), flips_of(toy, 0)
    same = adapt(state, some, OVER_TARGET, LAMBDAS, flat=False, returns=False)
    assert ended(search, state, same, some, OVER_TARGET, False) is None
    assert ended(search, state, same, none, OVER_TARGET, False) == "no step lowers the objective"
    met = adapt(state, some, MET, LAMBDAS, flat=True, returns=False)
    assert ended(search, state, met, some, MET, True) == "target and floor met"
    toy.flip(Selection({"w": torch.arange(9)}))
    assert ended(search, state, same, none, OVER_TARGET, False) == "budget reached"
