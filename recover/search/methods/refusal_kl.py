"""The default method: few first-order flips that bring the aligned model's refusals back and keep everything else.

    J(w) = KL_H + lambda_T KL_T + lambda_G KL_G

KL_H pulls the first answer tokens to the aligned model's own answer on harmful prompts that it refuses. KL_T and KL_G
hold the tuned model's answers on the task and on ordinary requests that the aligned model answers. Every weight that
fine-tuning changed is a candidate, norms and embeddings too. A step restores the k coordinates of largest positive
gain; k is halved for as long as J falls further. The gain is the mean of two gradients: at the start of the step, and
at its end, with the first ranking's k best flipped. At the start of the search the anchors KL_T and KL_G are at their
minimum. Their gradient there says nothing of what a flip costs. The one at the end of the step does.

Where the task is measured under its floor, its weight in J doubles and coordinates may also return to the tuned side:
the same flip in the other direction is the rollback. Where J stands still and the harmful rate is over its target, the
anchors lose weight. A step that meets the target gives back the flips that it did not need.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf
from typing import NamedTuple

from torch import Tensor

from recover.errors import InputError
from recover.model.editable import EditableModel
from recover.search.methods.answers import answered_by, by_refusal, heads
from recover.search.methods.protocol import Check, Data, Limits, OnStep, Step
from recover.search.objective import KL, passage, rotation, teach
from recover.search.ranking import Ranking, rank

MOST_WEIGHT, LEAST_WEIGHT = 8.0, 1 / 64  # bounds of an anchor's weight in J, as multiples of its own
LOOSEN_BY = 4  # the anchors' weights are divided by this where J stands still
CORRECTION_REACH = 8  # a corrected ranking serves down to this many times fewer flips than it was corrected for
CANDIDATES_PER_FLIP = 2  # coordinates that the second gradient looks at, as a multiple of the step's flips
START = {"weights": 0.0002, "adapter": 0.005}  # the first step's share of all coordinates, by space
BISECTIONS = 2  # checks that look for fewer flips of a step that met its target
NARROWEST = 16  # a step is at least the widest step's flips divided by this


@dataclass(frozen=True)
class Search:
    """What stays the same in all steps of a run."""

    live: EditableModel
    objective: KL
    names: Sequence[str]  # the candidates' tensors
    budget: int  # the most weights that may be restored
    smallest: int = 2  # the fewest flips of a step

    @property
    def room(self) -> int:
        """How many more weights the budget lets a step restore."""
        return self.budget - len(self.live.selection)

    def gains(self, weights: dict[str, float], names: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
        """The first-order fall of J under these weights, where the model stands now."""
        return self.live.gains(self.objective.losses(weights), names)


@dataclass(frozen=True)
class SearchState:
    """What one step leaves to the next."""

    weights: dict[str, float]  # of J's terms
    terms: dict[str, float]  # J's terms where the model stands
    k: int  # flips that the next step tries first
    widest: int  # the most flips that a step has made, or that the first one tried
    allow_returns: bool = False  # whether coordinates may also go back to the tuned side

    def least(self, smallest: int) -> int:
        """The fewest flips that a step tries."""
        return max(smallest, self.widest // NARROWEST)


class Flips(NamedTuple):
    """The first k of a ranking, flipped, and the terms of J that this gives."""

    ranking: Ranking
    k: int
    terms: dict[str, float]


def refusal_kl(
    live: EditableModel,
    data: Data,
    limits: Limits,
    on_step: OnStep,
    *,
    start: float = 0.0,
    smallest: int = 2,
    growth: float = 2.0,
    lambda_task: float = 2.0,
    lambda_general: float = 0.3,
    harmful_tokens: int = 8,
    task_tokens: int = 24,
    general_tokens: int = 8,
    harmful_prompts: int = 32,
    task_prompts: int = 24,
    general_prompts: int = 32,
    steps: int = 64,
    measured: int = 1,
    settled: float = 0.02,
    returns: bool = False,
    matrices: bool = False,
) -> str:
    """Restore the few weights that bring refusals back at least cost to the task and to ordinary answers.

    `start` is the first step's share of all weights, or of an adapter's entries; 0 is 0.0002, or 0.005 for an adapter.
    `smallest` is the fewest flips of a step. An accepted step multiplies k by `growth`; k is the widest step's again
    when the weights of J have moved or nothing else has. Each step draws other prompts of each term, 0 for all. At most
    `steps` steps are taken. The first is measured, then every `measured`-th, and each that lowers J by less than the
    share `settled`. `returns` lets coordinates return in every step, and not only under the task's floor. `matrices`
    leaves norms, biases, embeddings and the head alone; with a large vocabulary their gradients are large. The search
    ends when target and floor are met for good, or where J stands still.
    """
    if min(smallest, measured) < 1:
        raise InputError(f"refusal-kl has smallest={smallest}, measured={measured}; expected 1 or more of both")
    objective = capture(live, data, harmful_tokens, task_tokens, general_tokens)
    sizes = {"harmful": harmful_prompts, "task": task_prompts, "general": general_prompts}
    search = Search(live, objective, [*(live.matrices if matrices else live.parameters)], limits.weights, smallest)
    lambdas = {"harmful": 1.0, "task": lambda_task, "general": lambda_general}
    first = max(1, min(ceil((start or START[live.pair.space]) * live.pair.tuned.weights), search.room))
    state = SearchState(dict(lambdas), {}, first, first, returns)
    for number, drawn in zip(range(1, steps + 1), rotation(objective, sizes, limits.seed), strict=False):
        if number == 1 or drawn is not objective:
            search, state = replace(search, objective=drawn), replace(state, terms=drawn.value(live.model))
        flips = line_search(search, state, propose(search, state))
        flat = is_flat(search, state, flips, settled)
        own = lambdas if drawn is objective else None
        check = on_step(_report(flips, own, measure=number % measured == 1 % measured or flat))
        if check.safe:
            flips, check = fewest(search, flips, check, on_step)
        following = adapt(state, flips, check, lambdas, flat=flat, returns=returns)
        if reason := ended(search, state, following, flips, check, flat):
            return reason
        state = next_width(state, following, flips, growth)
    return f"{steps} steps done"


def _report(flips: Flips, lambdas: dict[str, float] | None, *, measure: bool = True, note: str = "") -> Step:
    """What is said of a step. J is only said where `lambdas` are given: of other prompts it cannot be compared."""
    objective = total(flips.terms, lambdas) if lambdas else None
    return Step(flips.k, objective, flips.terms, measure=measure, note=note)


def propose(search: Search, state: SearchState) -> Ranking:
    """The candidates of largest first-order gain, a few for each flip of the step. Without returns, coordinates that
    are restored already are left out."""
    gains = search.gains(state.weights, search.names)
    return rank(gains if state.allow_returns else _restoring(search.live, gains), CANDIDATES_PER_FLIP * state.k)


def line_search(search: Search, state: SearchState, proposed: Ranking) -> Flips:
    """Try the first k, k/2, k/4, ... of a ranking, each by J itself, until a smaller k no longer lowers J further, and
    flip the best. Where no trial lowers J, nothing is flipped.

    The ranking is corrected for k by a second gradient, and again where k has become much smaller without a success.
    k is at most what the ranking holds and, without returns, what the budget leaves.
    """
    live, weights = search.live, state.weights
    best, ranking, flipped, reach = Flips(proposed, 0, state.terms), proposed, 0, inf
    k = min(state.k, len(proposed), state.k if state.allow_returns else max(0, search.room))
    least = max(search.smallest, min(state.widest // NARROWEST, k))  # a step that is cut short is tried as it is
    while k >= least:
        if not best.k and k * CORRECTION_REACH <= reach:
            flipped = _move(live, ranking, flipped, 0)
            ranking, reach = corrected(search, weights, proposed, k), k
        size = min(k, len(ranking))
        if size:
            flipped = _move(live, ranking, flipped, size)
            fits = len(live.selection) <= search.budget  # returns make room, so that only the trial shows it
            terms = search.objective.value(live.model) if fits else state.terms
            if total(terms, weights) < total(best.terms, weights):
                best = Flips(ranking, size, terms)
            elif best.k:
                break
        k = (size or k) // 2
    _move(live, ranking, flipped, best.k)
    return best


def _move(live: EditableModel, ranking: Ranking, flipped: int, k: int) -> int:
    """Flip the difference between the first `flipped` coordinates of a ranking and its first k; k."""
    if k != flipped:
        live.flip(ranking.between(min(flipped, k), max(flipped, k)))
    return k


def fewest(search: Search, flips: Flips, check: Check, on_step: OnStep) -> tuple[Flips, Check]:
    """The fewest flips of a step that still meet the target, by bisection along its ranking, and their check.

    More would refuse too much: a model that refuses more harmful requests than was asked for also refuses more
    harmless ones. Each trial costs a check, and no gradient.
    """
    low, high, now = 0, flips.k, flips.k
    for _ in range(BISECTIONS):
        middle = (low + high) // 2
        if middle - low < search.smallest:
            break
        now = _move(search.live, flips.ranking, now, middle)
        trial = on_step(Step(middle, note="fewer flips of a step that met its target"))
        low, high, check = (low, middle, trial) if trial.safe else (middle, high, check)
    _move(search.live, flips.ranking, now, high)
    if high == flips.k:
        return flips, check
    return Flips(flips.ranking, high, search.objective.value(search.live.model)), check


def corrected(search: Search, weights: dict[str, float], ranking: Ranking, k: int) -> Ranking:
    """A ranking by the mean of its gains and of those that are left after its k best were flipped. This is the
    trapezoidal rule: coordinates that overshoot together lose what they promise one by one."""
    trial = ranking.first(k)
    search.live.flip(trial)
    after = ranking.again(search.gains(weights, ranking.names))
    search.live.flip(trial)
    after[:k] *= -1  # what a flipped coordinate would gain by returning
    return ranking.rescored((ranking.scores + after) / 2)


def is_flat(search: Search, state: SearchState, flips: Flips, settled: float) -> bool:
    """Whether a step moved almost nothing: few flips, or a drop of J by less than the share `settled`. Flips that the
    budget or the ranking cut short are few too."""
    before, after = total(state.terms, state.weights), total(flips.terms, state.weights)
    return flips.k < state.least(search.smallest) or after > (1 - settled) * before


def adapt(
    state: SearchState, flips: Flips, check: Check, lambdas: dict[str, float], *, flat: bool, returns: bool
) -> SearchState:
    """The state after a step: J where the model stands, and its weights moved toward what the check missed."""
    moved = replace(state, terms=flips.terms)
    if check.harmful is None:
        return moved
    weights = _reweighted(state.weights, lambdas, check, flat)
    return replace(moved, weights=weights, allow_returns=returns or not check.kept)


def _reweighted(weights: dict[str, float], lambdas: dict[str, float], check: Check, flat: bool) -> dict[str, float]:
    """The weights of J, moved toward what is missing. The task's doubles under its floor, up to MOST_WEIGHT times its
    own. Both anchors lose weight, down to LEAST_WEIGHT of their own, where J stands still over the harmful target."""
    if not check.kept:
        return {**weights, "task": min(2 * weights["task"], MOST_WEIGHT * lambdas["task"])}
    if not check.safe and flat:
        anchors = {a: max(weights[a] / LOOSEN_BY, LEAST_WEIGHT * lambdas[a]) for a in ("task", "general")}
        return {**weights, **anchors}
    return weights


def ended(
    search: Search, state: SearchState, following: SearchState, flips: Flips, check: Check, flat: bool
) -> str | None:
    """Why the search ends after a step; None if it goes on."""
    if check.met:
        return "target and floor met"
    if not flips.k and search.room < search.smallest:
        return "budget reached"
    unchanged = (following.weights, following.allow_returns) == (state.weights, state.allow_returns)
    if unchanged and (not flips.k or (flat and check.kept)):
        return "no step lowers the objective"
    return None


def next_width(state: SearchState, following: SearchState, flips: Flips, growth: float) -> SearchState:
    """The state with the flips that the next step tries first: `growth` times this step's under the same J, and the
    widest step's where J's weights have changed or nothing moved."""
    widest = max(state.widest, flips.k)
    goes_on = flips.k and following.weights == state.weights
    return replace(following, widest=widest, k=ceil(flips.k * growth) if goes_on else widest)


def _restoring(live: EditableModel, gains: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """The gains of coordinates that are still the tuned model's; 0 at the others."""
    for name, gain in gains:
        taken = live.selection.positions.get(name)
        if taken is not None:
            gain.view(-1)[taken.to(gain.device)] = 0.0
        yield name, gain


def total(terms: dict[str, float], weights: dict[str, float]) -> float:
    """J from its terms."""
    return sum(weights[name] * value for name, value in terms.items())


def capture(live: EditableModel, data: Data, harmful: int, task: int, general: int) -> KL:
    """The objective: teachers are the aligned model on its own answers to harmful prompts, and the tuned model on the
    task's references and on its own answers to ordinary requests. Requests that the aligned
    model itself refuses are no anchors: holding them would fight the refusals that come back."""
    vocabulary = min(c.config.get("vocab_size", 1 << 62) for c in (live.pair.aligned, live.pair.tuned))
    with live.as_aligned() as model:
        refused, complied = by_refusal(model, data, data.harmful, harmful)
        _, ordinary = by_refusal(model, data, data.general)
        terms = {"harmful": teach(model, heads(refused or complied, harmful), vocabulary)}
    if data.task:
        rows = [passage(prompt, answer[:task]) for prompt, answer in zip(data.task, data.references, strict=True)]
        terms["task"] = teach(live.model, rows, vocabulary)
    if ordinary:
        answers = answered_by(live.model, data, [prompt for prompt, _ in ordinary], general)
        terms["general"] = teach(live.model, heads(answers, general), vocabulary)
    return KL(terms)
