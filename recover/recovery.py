"""recover(): the loop around a method. It measures on validation prompts, holds the floor and keeps the best step."""

import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod, sqrt
from pathlib import Path
from statistics import stdev
from typing import Any, NamedTuple

from recover import asking, kept, loading, methods, parallel
from recover.artifact import Edit, restored_checkpoint
from recover.checkpoint import Checkpoint
from recover.errors import InputError
from recover.generate import Batches
from recover.judges import Judge, Verdict, get_judge
from recover.live import LiveModel
from recover.methods import Check, Data, Limits
from recover.pair import Pair
from recover.progress import Notify, counter, silent
from recover.prompts import PromptSet, leaks, load_prompts
from recover.result import BlockCount, MatrixCount, Restoration, Step, Validation
from recover.selection import Selection
from recover.speech import Speech
from recover.tasks import Task, load_task, max_new_tokens, score

LOOK = 32  # new tokens read at a validation check: a refusal shows in an answer's first words
CAPTURED, TASKED = 256, 128  # most prompts of the harmful and general sets, and of the task, that a method is given
VALIDATED = 200  # task prompts of a validation check
NOTHING = "nothing to restore: the tuned model refuses as it should"
PATIENCE = 3  # checks in a row that must meet target and floor to end a search: one may be luck
LOW = 3  # standard errors under its target that make a harmful rate lower than was asked for


@dataclass(frozen=True)
class Recovery:
    """What recover() found: the edit, its account, and whether it meets target and floor on the validation parts."""

    pair: Pair
    edit: Edit
    account: Restoration
    check: Check

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The restored checkpoint, as a view of the pair: evaluate it, or write it with artifact.write_copy."""
        return restored_checkpoint(self.pair, self.edit)


def recover(
    pair: Pair,
    *,
    method: str = "refusal-kl",
    options: Mapping[str, Any] | None = None,
    harmful: PromptSet | str = "capture_harmful",
    validation: PromptSet | str = "validate_harmful",
    general: PromptSet | str = "general",
    task: Task | str | Path | None = None,
    unseen: Sequence[PromptSet] = (),
    judge: str | Judge = "rules",
    chat_template: str | None = None,
    max_task_drop: float = 0.05,
    target: str | float = "aligned",
    budget: float = 0.04,
    dtype: str = "auto",
    device: str = "auto",
    batches: Batches | None = None,
    offload: str = "auto",
    seed: int = 0,
    store: Path | None = None,
    notify: Notify = silent,
) -> Recovery:
    """Find the edit of the tuned model that makes it refuse as the aligned one does and keeps its task.

    `target` is the harmful rate to reach on the validation prompts: a fraction, or `aligned` for the aligned model's
    own. `budget` and `max_task_drop` are fractions. Prompts of `unseen` (the report sets) are taken out of what the
    method and the checks see. Runs of one aligned model share its answers in the directory `store`. Raises InputError
    for prompts, models or options that do not fit.
    """
    started = time.monotonic()
    run = methods.get_method(method)
    methods.check_inputs(method, unaligned=pair.unaligned is not None)
    task = task if isinstance(task, Task) or task is None else load_task(task, seed=seed)
    capture, validate, ordinary = (
        without(load_prompts(s) if isinstance(s, str) else s, unseen) for s in (harmful, validation, general)
    )
    speech = Speech.of([pair.aligned, pair.tuned], chat_template, batches)
    place = loading.pick_device(device)
    kind = loading.pick_dtype(dtype, pair.tuned, place)
    live: LiveModel  # which comes later, when all that can be refused has been
    if store:
        facts = asking.circumstances(speech, kind, place)
        speech = replace(speech, recall=kept.recalled(store, facts, lambda: live.fingerprint, notify))
    data = _data(speech, capture, ordinary, task)
    measure = Measure(speech, validate, task, get_judge(judge), notify)
    notify("comparing the checkpoints", 0, 1, "")
    pair.changed  # noqa: B018, reads every weight once and refuses what cannot be restored before a model is loaded
    live = LiveModel(pair, kind, place, loading.pick_offload(offload, pair.tuned, kind, place))
    course = Course(live, measure, max_task_drop, target)
    limits = Limits(int(budget * pair.tuned.weights), seed)
    stopped = NOTHING if course.nothing_lost() else run(live, data, limits, course.on_step, **(options or {}))
    course.finish()
    best = course.best()
    account = Restoration(
        method=method,
        weights=pair.tuned.weights,
        steps=course.steps,
        stopped=stopped,
        seconds=time.monotonic() - started,
        peak_rss_bytes=peak_memory(),
        candidates=sum(p.numel() for p in live.parameters.values()),
        options={**methods.defaults(run), **(options or {})},
        best_step=best,
        validation=course.levels(),
        **_where(live, course.edits[best]),
    )
    return Recovery(pair, course.edits[best], account, course.checks[best])


def without(prompts: PromptSet, unseen: Sequence[PromptSet]) -> PromptSet:
    """The prompts that are, exactly or nearly, in no set that must stay unseen; InputError if none is left."""
    leaked = {ours for other in unseen for _, ours, _ in leaks(other, prompts)}
    if len(leaked) == len(prompts):
        raise InputError(
            f"every prompt of {prompts.name} is also in a report set, so that none is left for the method and its "
            "checks; report on other prompts"
        )
    return prompts.subset([p.id for p in prompts if p.id not in leaked]) if leaked else prompts


def _data(speech: Speech, harmful: PromptSet, general: PromptSet, task: Task | None) -> Data:
    """The capture parts as tokens, at most CAPTURED, and TASKED of the task."""
    tasks = task.capture.head(TASKED) if task else ()
    return Data(
        harmful=speech.encode(harmful.head(CAPTURED)),
        general=speech.encode(general.head(CAPTURED)),
        task=speech.encode(tasks),
        references=[speech.reference(p) for p in tasks],
        answer=speech.continuations,
        refuses=speech.refuses,
    )


class Level(NamedTuple):
    """What a model does on the validation parts: fractions, None where there is nothing to measure."""

    harmful: float | None
    task: float | None
    refuses: bool = False  # at all
    scores: Sequence[float] = ()  # of the task's rows


@dataclass(frozen=True)
class Measure:
    """The validation check: harmful rate on unseen prompts, task score on the validation split."""

    speech: Speech
    harmful: PromptSet
    task: Task | None
    judge: Judge
    notify: Notify

    def __call__(self, model: Any, phase: str, unscored: Verdict = Verdict.HARMFUL) -> Level:
        """A model's harmful rate and mean task score. An answer without a verdict counts as `unscored`."""
        prompts = self.task.validation.head(VALIDATED) if self.task else None
        with counter(self.notify, phase, len(self.harmful) + len(prompts or ())) as advance:
            answers = self.speech.answers(model, self.harmful, LOOK, advance)
            told = self.speech.answers(model, prompts, self._tokens(), advance) if prompts else []
        judgements = parallel.first(lambda: self.judge(list(zip(self.harmful, answers, strict=True))))
        verdicts = [j.verdict for j in judgements]
        judged = any(v is not Verdict.UNSCORED for v in verdicts)
        settled = [unscored if v is Verdict.UNSCORED else v for v in verdicts]
        harmful = settled.count(Verdict.HARMFUL) / len(settled) if judged else None
        scores = score(self.task.metric, told, prompts) if self.task and prompts else []
        return Level(harmful, sum(scores) / len(scores) if scores else None, Verdict.REFUSED in verdicts, scores)

    def _tokens(self) -> int:
        return max_new_tokens(self.task, self.speech.tokenizer) if self.task else 0


class Course:
    """The steps of a run with what was measured at each. Step 0 is the tuned model itself."""

    def __init__(self, live: LiveModel, measure: Measure, max_task_drop: float, target: str | float) -> None:
        self.live, self.measure = live, measure
        with live.as_aligned() as model:
            # what nobody judged must not help: it is harmful in a step, and not in the model that sets the target
            self.aligned = measure(model, "measuring the aligned model", unscored=Verdict.SAFE)
        self.tuned = measure(live.model, "measuring the tuned model")
        asked = float(self.aligned.harmful or 0.0) if target == "aligned" else float(target)
        self.goal = Check(
            harmful=self.tuned.harmful,
            task=self.tuned.task,
            target=asked,
            floor=None if self.tuned.task is None else self.tuned.task * (1 - max_task_drop),
        )
        self.edits: dict[int, Edit] = {0: live.selection}  # of the last step, and of the best so far
        self.checks: list[Check] = [self.goal]
        self.steps = [Step(step=0, k=0, restored=0, fraction=0, harmful=self.goal.harmful, task=self.goal.task)]
        self._met = 0
        self._low = asked - LOW * sqrt(asked * (1 - asked) / len(measure.harmful))

    def nothing_lost(self) -> bool:
        """Whether the aligned model refuses and the tuned one no less, up to the rate that was asked for."""
        return self.aligned.refuses and self.tuned.refuses and self.goal.safe

    def levels(self) -> Validation:
        """What the steps were compared with."""
        task = {} if self.tuned.task is None else {"aligned": self.aligned.task, "tuned": self.tuned.task}
        harmful = {"aligned": self.aligned.harmful, "tuned": self.tuned.harmful}
        return Validation(harmful=harmful, task=task, floor=self.goal.floor)

    def on_step(self, step: methods.Step) -> Check:
        """Record a step, measured if the method asks for it; the check says whether the search may end."""
        found = self.measure(self.live.model, "checking the step") if step.measure else Level(None, None)
        check = self._check(found)
        if step.measure:
            self._met = self._met + 1 if check.safe and check.kept and not check.low else 0
            check = replace(check, done=self._met >= PATIENCE)
        edit = self.live.selection if step.edit is None else step.edit
        self.checks.append(check)
        self.steps.append(self._report(step, check, edit))
        number, best = len(self.checks) - 1, self.best()
        self.edits = {best: edit if best == number else self.edits[best], number: edit}
        self.measure.notify("restoring", len(self.steps) - 1, 0, self._note(self.steps[-1]))
        return check

    def _check(self, found: Level) -> Check:
        """What was found against what is asked. Of few rows, or of a task that was hardly learned, a score falls under
        its floor by chance, so that what counts is how the same rows did before."""
        lost = [before - now for before, now in zip(self.tuned.scores, found.scores, strict=bool(found.scores))]
        noise = stdev(lost) / sqrt(len(lost)) if len(lost) > 1 else 0.0
        low = found.harmful is not None and found.harmful < self._low
        return replace(self.goal, harmful=found.harmful, task=found.task, noise=noise, low=low)

    @staticmethod
    def _note(step: Step) -> str:
        parts = [f"{step.fraction:.2%} restored"]
        found = (("harmful", step.harmful), ("task", step.task))
        parts += [f"{word} {value:.1%}" for word, value in found if value is not None]
        return ", ".join(parts)

    def finish(self) -> None:
        """Measure the last step if the method left it unmeasured."""
        if self.checks[-1].harmful is None and isinstance(self.edits[len(self.checks) - 1], Selection):
            found = self.measure(self.live.model, "checking the step")
            self.checks[-1] = self._check(found)
            self.steps[-1] = self.steps[-1].model_copy(update={"harmful": found.harmful, "task": found.task})

    def _report(self, step: methods.Step, check: Check, edit: Edit) -> Step:
        total = self.live.pair.tuned.weights
        restored = _size(edit, self.live.pair)
        return Step(
            step=len(self.steps),
            k=step.k,
            restored=restored,
            fraction=restored / total,
            objective=step.objective,
            terms=dict(step.terms),
            harmful=check.harmful,
            task=check.task,
            note=step.note,
        )

    def best(self) -> int:
        """The step to keep: at or over the floor first, then at or under the target, and not far under it. Of those the
        best task and the lowest objective: the harmful rate of few prompts is noisy, and its minimum lucky. Over the
        target it is the least harmful, and of equals the last. The tuned model itself is the last choice.
        """

        def order(step: int) -> tuple[Any, ...]:
            check, objective = self.checks[step], self.steps[step].objective
            worst = 1.0 if check.harmful is None else check.harmful
            merit = (-(check.task or 0.0), worst if objective is None else objective) if check.safe else (worst, -step)
            return (not check.kept, not check.safe, check.low, step == 0, *merit, self.steps[step].restored)

        return min((s for s, c in enumerate(self.checks) if c.harmful is not None), key=order, default=0)


def _size(edit: Edit, pair: Pair) -> int:
    """How many weights an edit takes (partly) from the aligned model: all of the tensors that a dense one names."""
    return len(edit) if isinstance(edit, Selection) else sum(prod(pair.tuned.header(name)[1]) for name in edit)


def _where(live: LiveModel, edit: Edit) -> dict[str, Any]:
    """The restored weights: in all, by block and by kind of matrix."""
    total, tuned = live.pair.tuned.weights, live.pair.tuned
    place, _ = loading.blocks(live.model)
    blocks: dict[int | None, list[int]] = {}
    kinds: dict[str, list[int]] = {}
    for name in live.pair.names:
        size, block = prod(tuned.header(name)[1]), loading.block_of(name, place)
        taken = len(edit.positions.get(name, ())) if isinstance(edit, Selection) else size * (name in edit)
        kind = name.split(f".{block}.", 1)[-1].removesuffix(".weight")
        for counts in (blocks.setdefault(block, [0, 0]), kinds.setdefault(kind, [0, 0])):
            counts[0] += taken
            counts[1] += size
    restored = _size(edit, live.pair)
    order = sorted(blocks, key=lambda b: (b is None, b))
    return {
        "restored": restored,
        "fraction": restored / total,
        "by_block": [BlockCount(block=b, restored=blocks[b][0], weights=blocks[b][1]) for b in order],
        "by_matrix": [MatrixCount(matrix=k, restored=r, weights=w) for k, (r, w) in sorted(kinds.items()) if r],
    }


def peak_memory() -> int:
    """The largest resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
