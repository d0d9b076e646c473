"""The default method: few first-order flips that bring the aligned model's refusals back and keep everything else.

    J(w) = KL_H + lambda_T KL_T + lambda_G KL_G

KL_H pulls the first answer tokens to the aligned model's own answer on harmful prompts that it refuses; KL_T and KL_G
hold the tuned model's answers on the task and on ordinary requests that the aligned model answers. Every weight that
fine-tuning changed may be restored, norms and embeddings too. A step restores the k coordinates of largest positive
gain, k found by halving while J still falls by it. The gain is a mean of two: at the step's start, and at its end if
all of the first ranking's k best were flipped. The anchors are at their minimum where the search starts, so that their
gradient there says nothing of what a flip costs, and the one at the end does.

If the task is measured under its floor, its weight in J doubles and coordinates may also return: the same flip in the
other direction is the rollback. Where J stands still and the harmful rate is over its target, the anchors lose weight.
Of a step that took the rate far under its target, half is taken back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import NamedTuple

from torch import Tensor

from recover.errors import InputError
from recover.live import LiveModel
from recover.methods.answers import by_refusal, heads
from recover.methods.protocol import Check, Data, Limits, OnStep, Step
from recover.objective import KL, passage, teach
from recover.selection import Ranking, rank

LARGEST, LEAST = 8.0, 1 / 64  # times its own weight: the most that an anchor may get, and the least
LOOSER = 4  # what the anchors' weights are divided by where J stands still
AFRESH = 8  # times fewer flips than a ranking was corrected for are too few for it
REACH = 2  # times as many coordinates as a step asks for are looked at from its end
NARROW = 16  # times fewer flips than the widest step's are too few to go on so


@dataclass(frozen=True)
class Search:
    """What stays the same in all steps of a run."""

    live: LiveModel
    objective: KL
    names: Sequence[str]  # of the candidates' tensors
    most: int  # weights that may be restored

    def gains(self, weights: dict[str, float], names: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
        """The first-order fall of J under these weights, where the model stands now."""
        return self.live.gains(self.objective.losses(weights), names)


class Flips(NamedTuple):
    """The first k of a ranking, flipped, and the terms of J that this gives."""

    ranking: Ranking
    k: int
    terms: dict[str, float]


def refusal_kl(
    live: LiveModel,
    data: Data,
    limits: Limits,
    on_step: OnStep,
    *,
    start: float = 0.0002,
    smallest: int = 2,
    growth: float = 2.0,
    lambda_task: float = 2.0,
    lambda_general: float = 0.3,
    harmful_tokens: int = 8,
    task_tokens: int = 24,
    general_tokens: int = 8,
    steps: int = 64,
    measured: int = 1,
    settled: float = 0.02,
    returns: bool = False,
    matrices: bool = False,
) -> str:
    """Restore the few weights that bring refusals back at least cost to the task and to ordinary answers.

    `start` is the first step's share of all weights, `smallest` the fewest flips of a step, `growth` what an accepted
    step multiplies k by; when the weights of J have moved, or nothing else has, k is the widest step's. At most `steps`
    steps are taken; the first is measured, from it on every `measured`-th, and each that lowered J by less than the
    share `settled`. `returns` lets coordinates return in every step, and not only under the task's floor. `matrices`
    leaves norms, biases, embeddings and the head alone: of large vocabularies the gradients are large. The search ends
    when target and floor are met for good or where J stands still.
    """
    if min(smallest, measured) < 1:
        raise InputError(f"refusal-kl has smallest={smallest}, measured={measured}; expected 1 or more of both")
    objective = capture(live, data, harmful_tokens, task_tokens, general_tokens)
    search = Search(live, objective, [*(live.matrices if matrices else live.parameters)], limits.weights)
    lambdas = {"harmful": 1.0, "task": lambda_task, "general": lambda_general}
    k = widest = ceil(start * live.pair.tuned.weights)
    weights, terms, back, met = dict(lambdas), objective.value(live.model), returns, False
    for step in range(1, steps + 1):
        least = max(smallest, widest // NARROW)
        made = _step(search, weights, terms, k, least, back)
        flat = made.k < least or total(made.terms, weights) > (1 - settled) * total(terms, weights)
        check = on_step(_told(made, lambdas, measure=step % measured == 1 % measured or flat))
        if check.low and met:
            return "target and floor met, and more would refuse too much"
        while check.low and made.k > smallest:
            made = _halved(search, made)
            check = on_step(_told(made, lambdas, note="half of a step that went far under the target"))
        moved, terms, met = made.k, made.terms, check.safe and check.kept
        before = weights, back
        if check.done:
            return "target and floor met"
        if check.harmful is not None:
            if flat and check.safe and check.kept:
                return "target and floor met, and the objective no longer falls"
            back = returns or not check.kept
            weights = _weigh(weights, lambdas, check, flat)
        if not moved and len(live.selection) + least > limits.weights:
            return "budget reached"
        if (weights, back) == before and (not moved or (flat and check.kept)):
            return "no step lowers the objective"
        widest = max(widest, moved)
        pace = 1.0 if check.safe else growth
        k = ceil(moved * pace) if moved and weights == before[0] else widest  # another objective, another size
    return f"{steps} steps done"


def _told(made: Flips, lambdas: dict[str, float], *, measure: bool = True, note: str = "") -> Step:
    return Step(made.k, total(made.terms, lambdas), made.terms, measure=measure, note=note)


def _weigh(weights: dict[str, float], lambdas: dict[str, float], check: Check, flat: bool) -> dict[str, float]:
    """Move the weights of J toward what is missing: the task's doubles under its floor, up to LARGEST times its own;
    both anchors lose weight, down to LEAST of their own, where J stands still over the harmful rate's target."""
    if not check.kept:
        return {**weights, "task": min(2 * weights["task"], LARGEST * lambdas["task"])}
    if not check.safe and flat:
        return {**weights, **{a: max(weights[a] / LOOSER, LEAST * lambdas[a]) for a in ("task", "general")}}
    return weights


def _step(search: Search, weights: dict[str, float], terms: dict[str, float], k: int, least: int, back: bool) -> Flips:
    """Two gradients, then a search along the ranking: k, k/2, ... flips, until halving k no longer lowers J further.
    Fewer than `least` are not tried; where no k lowers J, none are made."""
    live = search.live
    gains = search.gains(weights, search.names)
    promised = rank(gains if back else _restoring(live, gains), REACH * k)
    best, reach = Flips(promised, 0, terms), inf
    while k >= least:
        if not best.k and k * AFRESH <= reach:
            ranking, reach = corrected(search, weights, promised, k), k
        trial = ranking.first(k)
        live.flip(trial)
        fits = len(live.selection) <= search.most
        tried = search.objective.value(live.model) if fits else terms
        live.flip(trial)
        if total(tried, weights) < total(best.terms, weights):
            best = Flips(ranking, len(trial), tried)
        elif best.k:
            break
        k //= 2
    live.flip(best.ranking.first(best.k))
    return best


def _halved(search: Search, made: Flips) -> Flips:
    """Take back the half of a step that its ranking put last."""
    half = made.k // 2
    search.live.flip(made.ranking.first(made.k))
    search.live.flip(made.ranking.first(half))
    return Flips(made.ranking, half, search.objective.value(search.live.model))


def corrected(search: Search, weights: dict[str, float], ranking: Ranking, k: int) -> Ranking:
    """A ranking by the mean of its gains and of those that are left after its k best were flipped: the trapezoidal
    rule, by which coordinates that overshoot together lose what they promise one by one."""
    trial = ranking.first(k)
    search.live.flip(trial)
    after = ranking.again(search.gains(weights, ranking.names))
    search.live.flip(trial)
    after[:k] *= -1  # what a flipped coordinate would gain by returning
    return ranking.rescored((ranking.scores + after) / 2)


def _restoring(live: LiveModel, gains: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """The gains of coordinates that are still the tuned model's; 0 at the others."""
    for name, gain in gains:
        taken = live.selection.positions.get(name)
        if taken is not None:
            gain.view(-1)[taken.to(gain.device)] = 0.0
        yield name, gain


def total(terms: dict[str, float], weights: dict[str, float]) -> float:
    """J from its terms."""
    return sum(weights[name] * value for name, value in terms.items())


def capture(live: LiveModel, data: Data, harmful: int, task: int, general: int) -> KL:
    """The objective: teachers are the aligned model on its own answers to harmful prompts, and the tuned model on the
    task's references and on its own answers to ordinary requests. Requests that the aligned
    model itself refuses are no anchors: holding them would fight the refusals that come back."""
    vocabulary = min(c.config.get("vocab_size", 1 << 62) for c in (live.pair.aligned, live.pair.tuned))
    with live.as_aligned() as model:
        refused, _ = by_refusal(model, data, data.harmful)
        _, ordinary = by_refusal(model, data, data.general)
        terms = {"harmful": teach(model, heads(data, model, refused or data.harmful, harmful), vocabulary)}
    if data.task:
        kept = [passage(p, a[:task]) for p, a in zip(data.task, data.references, strict=True)]
        terms["task"] = teach(live.model, kept, vocabulary)
    if ordinary:
        terms["general"] = teach(live.model, heads(data, live.model, ordinary, general), vocabulary)
    return KL(terms)
