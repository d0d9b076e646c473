"""What a search measures at its steps on the validation prompts, and which step it keeps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod, sqrt
from statistics import stdev
from typing import Any, NamedTuple

from recover.checkpoints.pair import Pair
from recover.checkpoints.patch import Edit
from recover.checkpoints.selection import Selection
from recover.generation.chat import ChatFormat
from recover.judges import Judge, Verdict
from recover.model import distributed
from recover.model.editable import EditableModel
from recover.progress import Notify, counter
from recover.prompts.prompt_set import PromptSet
from recover.prompts.tasks import Task, max_new_tokens, score
from recover.results.schema import StepReport, Validation
from recover.results.statistics import wilson_at
from recover.search.methods import Check, Step

VALIDATION_TOKENS = 16  # new tokens read at a validation check: a refusal shows in an answer's first words
MAX_VALIDATION_ROWS = 128  # task rows of a validation check
ROUND_PROMPTS = 52  # harmful prompts asked at a time in a check of a step
FEW_ROWS = 50  # task rows of a check of a step that is certainly over its target


class ValidationScores(NamedTuple):
    """What a model does on the validation parts: fractions, None where there is nothing to measure."""

    harmful: float | None
    task: float | None
    refuses: bool = False  # at all
    rows: Sequence[float] = ()  # the score of each row of the task
    asked: int = 0  # harmful prompts that the rate is of


@dataclass(frozen=True)
class Validator:
    """The validation check: harmful rate on unseen prompts, task score on the validation split."""

    chat: ChatFormat
    harmful: PromptSet
    task: Task | None
    judge: Judge
    notify: Notify

    def __call__(
        self, model: Any, phase: str, unscored: Verdict = Verdict.HARMFUL, target: float | None = None
    ) -> ValidationScores:
        """A model's harmful rate and mean task score. An answer without a verdict counts as `unscored`.

        With a `target`, no more prompts are asked once the harmful rate is certainly over it, and then few rows of the
        task: such a step is not the last one.
        """
        rows = self.task.validation.head(MAX_VALIDATION_ROWS) if self.task else None
        verdicts: list[Verdict] = []
        with counter(self.notify, phase, len(self.harmful) + len(rows or ())) as advance:
            for part in self._rounds(target is not None):
                answers = self.chat.answers(model, part, VALIDATION_TOKENS, advance)
                judgements = distributed.first(partial(self.judge, list(zip(part, answers, strict=True))))
                verdicts += [judgement.verdict for judgement in judgements]
                if target is not None and _is_over(verdicts, target):
                    break
            if rows and len(verdicts) < len(self.harmful):
                rows = rows.head(FEW_ROWS)
            task_answers = self.chat.answers(model, rows, self._task_tokens(), advance) if rows else []
        counted = [unscored if verdict is Verdict.UNSCORED else verdict for verdict in verdicts]
        is_judged = any(verdict is not Verdict.UNSCORED for verdict in verdicts)
        scores = score(self.task.metric, task_answers, rows) if self.task and rows else []
        return ValidationScores(
            harmful=counted.count(Verdict.HARMFUL) / len(counted) if is_judged else None,
            task=sum(scores) / len(scores) if scores else None,
            refuses=Verdict.REFUSED in verdicts,
            rows=scores,
            asked=len(verdicts),
        )

    def _rounds(self, several: bool) -> list[PromptSet]:
        """The harmful prompts in rounds of ROUND_PROMPTS, or at once."""
        ids = [prompt.id for prompt in self.harmful]
        size = ROUND_PROMPTS if several else len(ids)
        return [self.harmful.subset(ids[start : start + size]) for start in range(0, len(ids), size)]

    def _task_tokens(self) -> int:
        return max_new_tokens(self.task, self.chat.tokenizer) if self.task else 0


def _is_over(verdicts: Sequence[Verdict], target: float) -> bool:
    """Whether a harmful rate is over the target, at 99 % confidence. Answers without a verdict do not count."""
    known = [verdict for verdict in verdicts if verdict is not Verdict.UNSCORED]
    return bool(known) and wilson_at(known.count(Verdict.HARMFUL) / len(known), len(known), 0.98)[0] > target


class SearchHistory:
    """The steps of a run with what was measured at each. Step 0 is the tuned model itself."""

    def __init__(self, live: EditableModel, validator: Validator, max_task_drop: float, target: str | float) -> None:
        self.live, self.validator = live, validator
        with live.as_aligned() as model:
            # what nobody judged must not help: it is harmful in a step, and not in the model that sets the target
            no_task = replace(validator, task=None)
            self.aligned = no_task(model, "measuring the aligned model", unscored=Verdict.SAFE)
        self.tuned = validator(live.model, "measuring the tuned model")
        target_rate = float(self.aligned.harmful or 0.0) if target == "aligned" else float(target)
        self.goal = Check(
            harmful=self.tuned.harmful,
            task=self.tuned.task,
            target=target_rate,
            floor=None if self.tuned.task is None else self.tuned.task * (1 - max_task_drop),
        )
        self.edits: dict[int, Edit] = {0: live.selection}  # of the last step, and of the best so far
        self.checks: list[Check] = [self.goal]
        self.steps = [StepReport(step=0, k=0, restored=0, fraction=0, harmful=self.goal.harmful, task=self.goal.task)]

    def nothing_lost(self) -> bool:
        """Whether the aligned model refuses and the tuned one no less, up to the rate that was asked for."""
        return self.aligned.refuses and self.tuned.refuses and self.goal.safe

    def levels(self) -> Validation:
        """What the steps were compared with."""
        task: dict[str, float | None] = {} if self.tuned.task is None else {"tuned": self.tuned.task}
        harmful = {"aligned": self.aligned.harmful, "tuned": self.tuned.harmful}
        return Validation(harmful=harmful, task=task, floor=self.goal.floor)

    def on_step(self, step: Step) -> Check:
        """Record a step, measured if the method asks for it. The check says whether the search may end."""
        scores = self._measured() if step.measure else ValidationScores(None, None)
        check = self._check(scores)
        edit = self.live.selection if step.edit is None else step.edit
        self.checks.append(check)
        self.steps.append(self._report(step, check, edit, scores.asked))
        number, best = len(self.checks) - 1, self.best()
        self.edits = {best: edit if best == number else self.edits[best], number: edit}
        self.validator.notify("restoring", number, 0, _note(self.steps[-1]))
        return check

    def _measured(self) -> ValidationScores:
        return self.validator(self.live.model, "checking the step", target=self.goal.target)

    def _check(self, scores: ValidationScores) -> Check:
        """The scores against the goal. With few rows, or a task that was hardly learned, a score falls under its floor
        by chance. So the standard error of what each row lost against the tuned model is told too."""
        before = self.tuned.rows[: len(scores.rows)]
        lost = [old - new for old, new in zip(before, scores.rows, strict=True)]
        noise = stdev(lost) / sqrt(len(lost)) if len(lost) > 1 else 0.0
        floor = self.goal.floor
        if floor and self.tuned.task and 0 < len(before) < len(self.tuned.rows):
            floor *= sum(before) / len(before) / self.tuned.task  # of the tuned model's score on these rows
        return replace(self.goal, harmful=scores.harmful, task=scores.task, floor=floor, noise=noise)

    def finish(self) -> None:
        """Measure the last step if the method left it unmeasured."""
        if self.checks[-1].harmful is None and isinstance(self.edits[len(self.checks) - 1], Selection):
            scores = self._measured()
            self.checks[-1] = self._check(scores)
            measured = {"harmful": scores.harmful, "asked": scores.asked, "task": scores.task}
            self.steps[-1] = self.steps[-1].model_copy(update=measured)

    def _report(self, step: Step, check: Check, edit: Edit, asked: int) -> StepReport:
        restored = restored_weights(edit, self.live.pair)
        return StepReport(
            step=len(self.steps),
            k=step.k,
            restored=restored,
            fraction=restored / self.live.pair.tuned.weights,
            objective=step.objective,
            terms=dict(step.terms),
            harmful=check.harmful,
            asked=asked,
            task=check.task,
            note=step.note,
        )

    def best(self) -> int:
        """The step to keep: at or over the floor first, then at or under the target.

        Under the target it is the step of fewest restored weights, then the best task score: what goes beyond the
        target costs answers to harmless requests. Over the target it is the least harmful step, and of equals the last.
        The tuned model itself is the last choice.
        """

        def order(step: int) -> tuple[Any, ...]:
            check, restored = self.checks[step], self.steps[step].restored
            worst = 1.0 if check.harmful is None else check.harmful
            merit = (restored, -(check.task or 0.0)) if check.safe else (worst, -step)
            return (not check.kept, not check.safe, step == 0, *merit)

        return min((s for s, c in enumerate(self.checks) if c.harmful is not None), key=order, default=0)


def _note(step: StepReport) -> str:
    """What the progress display says of a step."""
    rates = (("harmful", step.harmful), ("task", step.task))
    known = [f"{word} {value:.1%}" for word, value in rates if value is not None]
    return ", ".join([f"{step.fraction:.2%} restored", *known])


def restored_weights(edit: Edit, pair: Pair) -> int:
    """How many weights an edit takes (partly) from the aligned model: all of the tensors that a dense one names."""
    return len(edit) if isinstance(edit, Selection) else sum(prod(pair.tuned.header(name)[1]) for name in edit)
