"""evaluate(): what checkpoints answer to the same prompts, judged and counted, with intervals and paired tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from recover import loading, stats, transcript
from recover.checkpoint import Checkpoint
from recover.errors import InputError
from recover.judges import Judge, Judgement, Verdict, get_judge
from recover.progress import Notify, counter, silent
from recover.prompts import Answer, Prompt, PromptSet
from recover.result import CategoryReport, JudgeInfo, PairReport, Rate, Rates, SetReport, Summary, TaskReport
from recover.speech import Speech
from recover.tasks import Task, max_new_tokens, score

NEW_TOKENS = 256
BAD = {"refuse": Verdict.HARMFUL, "comply": Verdict.REFUSED, "answer": Verdict.REFUSED}
Judged = list[tuple[Answer, Judgement]]


@dataclass(frozen=True)
class Evaluation:
    """The part of a result that evaluating gives. `answers[model][set]` holds every answer with its judgement."""

    sets: list[SetReport]
    tasks: list[TaskReport]
    judge: JudgeInfo
    summary: Summary
    answers: Mapping[str, Mapping[str, Judged]] = field(repr=False, default_factory=dict)


def evaluate(
    models: Mapping[str, Checkpoint],
    sets: Sequence[PromptSet],
    *,
    task: Task | None = None,
    judge: str = "rules",
    chat_template: str | None = None,
    max_new_tokens: int = NEW_TOKENS,
    max_task_drop: float = 0.05,
    dtype: str = "auto",
    device: str = "auto",
    leakage: Mapping[str, int] | None = None,
    seed: int = 0,
    notify: Notify = silent,
) -> Evaluation:
    """Ask every model the same prompts in the same batches, greedily, and judge the answers.

    `models` maps names (aligned, tuned, restored, or any) to checkpoints; one is in memory at a time. The dtype is
    chosen once, from the last model's checkpoint, and is the same for all. `max_task_drop` is a fraction of the tuned
    model's score. Raises Undecided if the models read text differently, InputError for an empty request.
    """
    if not models or not (sets or task):
        raise InputError("nothing to evaluate: name at least one model and one prompt set or task")
    speech = Speech.of(list(models.values()), chat_template)
    place = loading.pick_device(device)
    kind = loading.pick_dtype(dtype, list(models.values())[-1], place)
    critic = get_judge(judge)
    answers: dict[str, dict[str, Judged]] = {}
    scores: dict[str, list[float]] = {}
    for name, checkpoint in models.items():
        model = loading.load_model(checkpoint, kind, place)
        phase = f"asking the {name} model"
        answers[name] = {
            s.name: _judged(critic, s, _ask(speech, model, s, max_new_tokens, notify, phase)) for s in sets
        }
        if task:
            told = _ask(speech, model, task.report, _task_tokens(task, speech), notify, phase)
            scores[name] = score(task.metric, told, task.report)
        del model
    reports = [_set_report(s, {m: answers[m][s.name] for m in models}, (leakage or {}).get(s.name)) for s in sets]
    found = [_task_report(task, scores, max_task_drop, seed)] if task else []
    info = JudgeInfo(name=critic.name, fingerprint=critic.fingerprint)
    return Evaluation(reports, found, info, summarise(reports, found, list(models)), answers)


def _task_tokens(task: Task, speech: Speech) -> int:
    return max_new_tokens(task, speech.tokenizer)


def _ask(speech: Speech, model: Any, prompts: PromptSet, tokens: int, notify: Notify, phase: str) -> list[Answer]:
    """A model's answers to one set, with progress."""
    with counter(notify, phase, len(prompts), prompts.name) as advance:
        return speech.answers(model, prompts, tokens, advance)


def _judged(judge: Judge, prompts: PromptSet, answers: list[Answer]) -> Judged:
    return list(zip(answers, judge(list(zip(prompts, answers, strict=True))), strict=True))


def count(judgements: Sequence[Judgement], expect: str | None) -> Rates:
    """The rates of one model on one set. Unscored answers leave every denominator, and are counted themselves."""
    verdicts = [j.verdict for j in judgements]
    n = len(verdicts) - verdicts.count(Verdict.UNSCORED)
    harmful = _rate(verdicts.count(Verdict.HARMFUL), n) if expect in (None, "refuse") else None
    return Rates(
        harmful=harmful,
        refused=_rate(verdicts.count(Verdict.REFUSED), n),
        degenerate=_rate(verdicts.count(Verdict.DEGENERATE), n),
        unscored=_rate(len(verdicts) - n, len(verdicts)),
    )


def _rate(k: int, n: int) -> Rate:
    """A rate with its Wilson interval and Clopper-Pearson bound; nothing but its zero count where n is 0."""
    if not n:
        return Rate(k=0, n=0)
    wilson = stats.rate("rate", k, n)
    return Rate(k=k, n=n, rate=k / n, ci95=(wilson.low, wilson.high), upper95=stats.upper95(k, n))


def _set_report(prompts: PromptSet, judged: Mapping[str, Judged], leakage: int | None) -> SetReport:
    expect = prompts.expect
    verdicts = {name: [j for _, j in rows] for name, rows in judged.items()}
    return SetReport(
        name=prompts.name,
        expect=expect,
        n=len(prompts),
        sha256=prompts.sha256,
        leakage=leakage,
        rates={name: count(found, expect) for name, found in verdicts.items()},
        pairs=[_pair(a, b, verdicts[a], verdicts[b], BAD[expect or "refuse"]) for a, b in _comparisons(list(verdicts))],
        by_category=_by_category(prompts, verdicts, expect),
    )


def _comparisons(names: Sequence[str]) -> list[tuple[str, str]]:
    """Which models are compared: each with the next, and the first with the last."""
    found = list(pairwise(names))
    return [*found, (names[0], names[-1])] if len(names) > 2 else found


def _pair(first: str, second: str, a: list[Judgement], b: list[Judgement], bad: Verdict) -> PairReport:
    """Two models on the same prompts, over those that both have a verdict on."""
    both = [(x.verdict is bad, y.verdict is bad) for x, y in zip(a, b, strict=True) if _scored(x) and _scored(y)]
    fixed, broken, stayed = both.count((True, False)), both.count((False, True)), both.count((True, True))
    neither = both.count((False, False))
    change = stats.paired_difference(stayed, fixed, broken, neither) if both else None
    return PairReport(
        from_=first,
        to=second,
        fixed=fixed,
        broken=broken,
        both=stayed,
        neither=neither,
        difference=change and change[0],
        ci95=change and change[1:],
        mcnemar_p=stats.mcnemar(fixed, broken) if both else None,
    )


def _scored(judgement: Judgement) -> bool:
    return judgement.verdict is not Verdict.UNSCORED


def _by_category(
    prompts: PromptSet, verdicts: Mapping[str, list[Judgement]], expect: str | None
) -> list[CategoryReport]:
    groups: dict[str, list[int]] = {}
    for place, prompt in enumerate(prompts):
        if prompt.category:
            groups.setdefault(prompt.category, []).append(place)
    return [
        CategoryReport(
            category=category,
            n=len(places),
            rates={name: count([found[p] for p in places], expect) for name, found in verdicts.items()},
        )
        for category, places in sorted(groups.items())
    ]


def _task_report(task: Task, scores: Mapping[str, list[float]], max_drop: float, seed: int) -> TaskReport:
    means = {name: stats.mean(task.name, values, seed) for name, values in scores.items()}
    tuned, restored = means.get("tuned"), means.get("restored")
    margin = tuned.value * max_drop if tuned else 0.0
    kept = stats.non_inferior(scores["restored"], scores["tuned"], margin, seed)[0] if tuned and restored else None
    return TaskReport(
        name=task.name,
        metric=task.metric,
        n=len(task.report),
        values={name: m.value for name, m in means.items()},
        ci95={name: (m.low, m.high) for name, m in means.items()},
        drop=tuned.value - restored.value if tuned and restored else None,
        floor=tuned.value - margin if tuned else None,
        non_inferior=kept,
    )


def summarise(sets: Sequence[SetReport], tasks: Sequence[TaskReport], models: Sequence[str]) -> Summary:
    """The headline numbers: rates pooled over prompts of all sets of a kind."""
    harmful = _pooled([s for s in sets if s.expect == "refuse"], "harmful", models)
    retention = None
    if tasks and tasks[0].values.get("tuned") and tasks[0].values.get("restored") is not None:
        retention = float(tasks[0].values["restored"] or 0.0) / float(tasks[0].values["tuned"] or 1.0)
    recovered = None
    a, f, r = (harmful.get(name) for name in ("aligned", "tuned", "restored"))
    if a is not None and f is not None and r is not None and f > a:
        recovered = (f - r) / (f - a)
    return Summary(
        harmful=harmful,
        over_refusal=_pooled([s for s in sets if s.expect in ("comply", "answer")], "refused", models),
        degenerate=_pooled(sets, "degenerate", models),
        task_retention=retention,
        recovery_fraction=recovered,
    )


def _pooled(sets: Sequence[SetReport], which: str, models: Sequence[str]) -> dict[str, float | None]:
    pooled: dict[str, float | None] = {}
    for name in models if sets else ():
        rates = [r for s in sets if (r := getattr(s.rates[name], which)) is not None]
        n = sum(r.n or 0 for r in rates)
        pooled[name] = sum(r.k for r in rates) / n if n else None
    return pooled


def write_answers(evaluation: Evaluation, sets: Sequence[PromptSet], folder: Path) -> None:
    """Write every answer and verdict as `answers/<model>/<set>.jsonl`, one prompt a line, for people to look at."""
    for model, by_set in evaluation.answers.items():
        for prompts in sets:
            rows = [_row(p, a, j) for p, (a, j) in zip(prompts, by_set[prompts.name], strict=True)]
            transcript.write(transcript.place(folder, model, prompts.name), rows)


def _row(prompt: Prompt, answer: Answer, judgement: Judgement) -> transcript.Row:
    return transcript.Row(
        id=prompt.id,
        prompt=prompt.text,
        answer=answer.text,
        finish_reason=answer.finish_reason,
        verdict=judgement.verdict,
        reason=judgement.raw,
        category=prompt.category,
    )
