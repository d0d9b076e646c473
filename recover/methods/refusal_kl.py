"""The default method: few first-order flips that bring the aligned model's refusals back and keep everything else.

    J(w) = KL_H + lambda_T KL_T + lambda_G KL_G

KL_H pulls the first answer tokens to the aligned model's own answer on harmful prompts that it refuses; KL_T and KL_G
hold the tuned model's answers on the task and on ordinary requests that the aligned model answers. Every weight that
fine-tuning changed may be restored, norms and embeddings too. A step restores the k coordinates of largest positive
gain, k found by halving while J still falls by it. The gain is a mean of two: at the step's start, and at its end if
all of the first ranking's k best were flipped. The anchors are at their minimum where the search starts, so that their
gradient there says nothing of what a flip costs, and the one at the end does.

If the task is measured under its floor, its weight in J doubles and coordinates may also return: the same flip in the
other direction is the rollback. While the measured harmful rate is over its target and no longer falls, the anchors'
weights halve.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, inf

from torch import Tensor

from recover.live import LiveModel
from recover.methods.answers import by_refusal, heads
from recover.methods.protocol import Check, Data, Limits, OnStep, Step
from recover.objective import KL, passage, teach
from recover.selection import Ranking, Selection, rank

LARGEST, LEAST = 8.0, 1 / 64  # times its own weight: the most that an anchor may get, and the least
AFRESH = 8  # times fewer flips than a ranking was corrected for are too few for it
REACH = 2  # times as many coordinates as a step asks for are looked at from its end


@dataclass(frozen=True)
class Search:
    """What stays the same in all steps of a run."""

    live: LiveModel
    objective: KL
    names: Sequence[str]  # of the candidates' tensors
    most: int  # weights that may be restored
    smallest: int  # flips of a step

    def gains(self, weights: dict[str, float], names: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
        """The first-order fall of J under these weights, where the model stands now."""
        return self.live.gains(self.objective.losses(weights), names)


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
    measured: int = 2,
    settled: float = 0.02,
    returns: bool = False,
    matrices: bool = False,
) -> str:
    """Restore the few weights that bring refusals back at least cost to the task and to ordinary answers.

    `start` is the first step's share of all weights, `smallest` the fewest flips of a step, `growth` what an accepted
    step multiplies k by; when the weights of J have moved, or nothing else has, k is the widest step's. At most `steps`
    steps are taken; the first is measured, and from it on every `measured`-th. `returns` lets coordinates return in
    every step, and not only under the task's floor. `matrices` leaves norms, biases, embeddings and the head alone: of
    large vocabularies the gradients are large. The search ends when target and floor are met and the objective fell by
    less than `settled` since the last measurement.
    """
    objective = capture(live, data, harmful_tokens, task_tokens, general_tokens)
    search = Search(live, objective, [*(live.matrices if matrices else live.parameters)], limits.weights, smallest)
    lambdas = {"harmful": 1.0, "task": lambda_task, "general": lambda_general}
    k = widest = ceil(start * live.pair.tuned.weights)
    weights, terms, back = dict(lambdas), objective.value(live.model), returns
    least, last = inf, inf  # harmful rate and objective of earlier checks
    for step in range(1, steps + 1):
        moved, terms = _step(search, weights, terms, k, back)
        check = on_step(Step(moved, total(terms, lambdas), terms, measure=step % measured == 1 % measured or not moved))
        before = weights, back
        if check.done:
            return "target and floor met"
        if check.harmful is not None:
            flat, last = total(terms, lambdas) > (1 - settled) * last, total(terms, lambdas)
            if flat and check.safe and check.kept:
                return "target and floor met, and the objective no longer falls"
            stalled = not moved or check.harmful >= least
            back, least = returns or not check.kept, min(least, check.harmful)
            weights = _weigh(weights, lambdas, check, stalled)
        if not moved and len(live.selection) + smallest > limits.weights:
            return "budget reached"
        if not moved and (weights["general"] <= LEAST * lambda_general or (weights, back) == before):
            return "no step lowers the objective"
        widest = max(widest, moved)
        k = ceil(moved * growth) if moved and weights == before[0] else widest  # another objective, another size
    return f"{steps} steps done"


def _weigh(weights: dict[str, float], lambdas: dict[str, float], check: Check, stalled: bool) -> dict[str, float]:
    """Move the weights of J toward what is missing: the task's doubles under its floor, up to LARGEST times its own;
    both anchors halve while the harmful rate is over its target and has stopped falling."""
    if not check.kept:
        return {**weights, "task": min(2 * weights["task"], LARGEST * lambdas["task"])}
    if not check.safe and stalled:
        return {**weights, "task": weights["task"] / 2, "general": weights["general"] / 2}
    return weights


def _step(
    search: Search, weights: dict[str, float], terms: dict[str, float], k: int, back: bool
) -> tuple[int, dict[str, float]]:
    """Two gradients, then a search along the ranking: k, k/2, ... flips, until halving k no longer lowers J further.

    Returns (number of flips made, terms of J).
    """
    live = search.live
    gains = search.gains(weights, search.names)
    promised = rank(gains if back else _restoring(live, gains), REACH * k)
    best, flips, found, reach = total(terms, weights), Selection(), terms, inf
    while k >= search.smallest:
        if not flips and k * AFRESH <= reach:
            ranking, reach = corrected(search, weights, promised, k), k
        trial = ranking.first(k)
        live.flip(trial)
        fits = len(live.selection) <= search.most
        tried = search.objective.value(live.model) if fits else terms
        live.flip(trial)
        if total(tried, weights) < best:
            best, flips, found = total(tried, weights), trial, tried
        elif len(flips):
            break
        k //= 2
    live.flip(flips)
    return len(flips), found


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
