"""evaluate(): checkpoints answer the same prompts; answers are judged and counted, with intervals and paired tests."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from recover.errors import InputError
from recover.evaluation.ask import JudgedSet, Models, QuestionPlan, prepare
from recover.evaluation.lm_eval import Scores
from recover.evaluation.settings import EvaluationSettings
from recover.generation.runtime import changed
from recover.judges import Judge, Judgement, Verdict, get_judge
from recover.judges.calibration import COUNTED, Calibration, agreements, corrected
from recover.model import distributed
from recover.progress import Notify, silent
from recover.prompts.prompt_set import PromptSet
from recover.prompts.tasks import Task, score
from recover.results import statistics
from recover.results.schema import (
    AgreementReport,
    CategoryReport,
    Channel,
    JudgeInfo,
    PairReport,
    Rate,
    Rates,
    SetReport,
    Summary,
    TaskReport,
    channel_of_set,
)


@dataclass(frozen=True)
class Evaluation:
    """The part of a result that comes from an evaluation.

    `answers[model][set]` holds every answer with the first judge's judgement. The rates count these.
    """

    sets: list[SetReport]
    tasks: list[TaskReport]
    judges: list[JudgeInfo]
    agreement: list[AgreementReport]
    summary: Summary
    answers: Mapping[str, Mapping[str, JudgedSet]] = field(repr=False, default_factory=dict)

    @property
    def judge(self) -> JudgeInfo:
        """The judge whose verdicts make the rates."""
        return self.judges[0]


def evaluate(
    models: Models,
    sets: Sequence[PromptSet],
    settings: EvaluationSettings | None = None,
    *,
    task: Task | None = None,
    leakage: Mapping[str, int] | None = None,
    notify: Notify = silent,
    **changes: Any,
) -> Evaluation:
    """Ask every model the same prompts in the same batches, and judge the answers.

    `models` maps names (aligned, tuned, restored, or any) to checkpoints, of which one is in memory at a time, or to
    models that a server runs. `changes` are fields of EvaluationSettings and Runtime by name: `evaluate(models, sets,
    max_new_tokens=64)`. The dtype is chosen once, from the last model's checkpoint, and is the same for all. `leakage`
    gives, by set, the number of prompts that the method saw. Raises Undecided if the models read text differently,
    InputError for an empty request.
    """
    settings = changed(settings or EvaluationSettings(), changes)
    judges = get_judges(settings.judge, settings.calibration)
    plan = prepare(models, sets, task, judges, settings)
    return conduct(plan, settings, leakage=leakage, notify=notify)


def conduct(
    plan: QuestionPlan,
    settings: EvaluationSettings,
    *,
    folder: Path | None = None,
    leakage: Mapping[str, int] | None = None,
    notify: Notify = silent,
) -> Evaluation:
    """Ask, judge and count. What `folder` already holds is not asked again, and what is new is written there."""
    models, sets, task, calibration = plan.models, plan.sets, plan.task, settings.calibration
    answers = plan.answers(folder, notify)
    scores = {m: score(task.metric, answers[m][task.report.name], task.report) for m in models} if task else {}
    judged = [distributed.first(partial(plan.judgements, j, answers, folder, notify)) for j in plan.judges]
    by_model, leaked = judged[0], leakage or {}
    reports = [_set_report(s, {m: by_model[m][s.name] for m in models}, leaked.get(s.name), calibration) for s in sets]
    tasks = [_task_report(task, scores, settings.max_task_drop, settings.runtime.seed)] if task else []
    agreed = agreements([(j.name, _by_channel(a, sets)) for j, a in zip(plan.judges, judged, strict=True)])
    summary = summarise(reports, tasks, list(models))
    return Evaluation(reports, tasks, _judge_infos(plan.judges, calibration), agreed, summary, by_model)


def get_judges(named: str | Judge | Sequence[str | Judge], calibration: Calibration | None = None) -> list[Judge]:
    """The judges of a run. The first one makes the rates, and the calibration must be its own.

    Raises InputError if a judge is named twice or the calibration is another judge's. Fingerprints are computed here,
    so that missing weights or an absent server are noticed before any other work.
    """
    specs = [named] if isinstance(named, str) or not isinstance(named, Sequence) else named
    judges = [get_judge(spec) for spec in specs]
    if not judges or len({judge.fingerprint for judge in judges}) < len(judges):
        names = ", ".join(judge.name for judge in judges) or "(none)"
        raise InputError(f"found the judges {names}; name at least one, and each only once")
    if calibration:
        calibration.check(judges[0])
    return judges


def _judge_infos(judges: Sequence[Judge], calibration: Calibration | None) -> list[JudgeInfo]:
    """What a result says of its judges; the calibration is the first one's."""
    facts = [calibration.facts() if calibration else None, *[None] * (len(judges) - 1)]
    return [
        JudgeInfo(name=judge.name, fingerprint=judge.fingerprint, calibration=known)
        for judge, known in zip(judges, facts, strict=True)
    ]


def _by_channel(
    answers: Mapping[str, Mapping[str, JudgedSet]], sets: Sequence[PromptSet]
) -> list[tuple[Channel, list[Judgement]]]:
    """All judgements of a judge, with the channel that matters on each set."""
    return [(channel_of_set(s.expect), [j for _, j in by_set[s.name]]) for by_set in answers.values() for s in sets]


def count(judgements: Sequence[Judgement], expect: str | None, clusters: Sequence[Hashable] | None = None) -> Rates:
    """The rates of one model on one set. Unscored answers count in no other rate than their own.

    `clusters` names the cluster of each answer: answers of one cluster are not independent. By default all are.
    """
    owners = clusters or range(len(judgements))
    scored = [(j.verdict, owner) for j, owner in zip(judgements, owners, strict=True) if _scored(j)]

    def share(counted: Verdict) -> Rate:
        return _rate([verdict is counted for verdict, _ in scored], [owner for _, owner in scored])

    return Rates(
        harmful=share(Verdict.HARMFUL) if expect in (None, "refuse") else None,
        refused=share(Verdict.REFUSED),
        degenerate=share(Verdict.DEGENERATE),
        unscored=_rate([not _scored(j) for j in judgements], owners),
    )


def _rate(hits: Sequence[bool], clusters: Sequence[Hashable]) -> Rate:
    """A rate with its interval and upper bound, both of which allow for clusters. Without answers only the counts."""
    k, n = sum(hits), len(hits)
    if not n:
        return Rate(k=0, n=0)
    effective = statistics.effective_n(clusters)
    wilson = statistics.rate("rate", k, n)
    ends = statistics.clustered(hits, clusters) if effective < n else (wilson.low, wilson.high)
    return Rate(k=k, n=n, rate=k / n, ci95=ends, upper95=statistics.upper95(k, n, effective))


def clusters_of(prompts: PromptSet) -> list[Hashable]:
    """The cluster of each prompt; a prompt without one is a cluster of its own."""
    return [(prompt.cluster, prompt.cluster or prompt.id) for prompt in prompts]


def _set_report(
    prompts: PromptSet, judged: Mapping[str, JudgedSet], leakage: int | None, calibration: Calibration | None
) -> SetReport:
    expect = prompts.expect
    verdicts = {name: [j for _, j in rows] for name, rows in judged.items()}
    clusters = clusters_of(prompts)
    counted = {name: count(judgements, expect, clusters) for name, judgements in verdicts.items()}
    bad, effective = COUNTED[channel_of_set(expect)], statistics.effective_n(clusters)
    return SetReport(
        name=prompts.name,
        expect=expect,
        n=len(prompts) // prompts.samples,
        samples=prompts.samples,
        effective_n=effective if effective < len(prompts) else None,
        sha256=prompts.sha256,
        leakage=leakage,
        rates={name: corrected(rates, calibration) if calibration else rates for name, rates in counted.items()},
        pairs=[_pair(a, b, verdicts[a], verdicts[b], bad, clusters) for a, b in _comparisons(list(verdicts))],
        by_category=_by_category(prompts, verdicts, expect, clusters),
    )


def _comparisons(names: Sequence[str]) -> list[tuple[str, str]]:
    """Which models are compared: each with the next, and the first with the last."""
    neighbours = list(pairwise(names))
    return [*neighbours, (names[0], names[-1])] if len(names) > 2 else neighbours


def _pair(
    first: str, second: str, a: list[Judgement], b: list[Judgement], bad: Verdict, clusters: Sequence[Hashable]
) -> PairReport:
    """Two models on the same prompts, over those where both answers have a verdict.

    The test counts clusters: a cluster counts as changed in the direction of most of its changed answers.
    """
    scored = [(x, y, owner) for x, y, owner in zip(a, b, clusters, strict=True) if _scored(x) and _scored(y)]
    is_bad, owners = [(x.verdict is bad, y.verdict is bad) for x, y, _ in scored], [owner for _, _, owner in scored]
    fixed, broken, stayed = is_bad.count((True, False)), is_bad.count((False, True)), is_bad.count((True, True))
    neither = is_bad.count((False, False))
    effective = statistics.effective_n(owners)
    change = statistics.paired_difference(stayed, fixed, broken, neither, effective=effective) if is_bad else None
    return PairReport(
        from_=first,
        to=second,
        fixed=fixed,
        broken=broken,
        both=stayed,
        neither=neither,
        difference=change and change[0],
        ci95=change and change[1:],
        mcnemar_p=statistics.mcnemar(*_changed_clusters(is_bad, owners)) if is_bad else None,
    )


def _changed_clusters(is_bad: Sequence[tuple[bool, bool]], clusters: Sequence[Hashable]) -> tuple[int, int]:
    """How many clusters changed from bad to good, and how many from good to bad."""
    net: Counter[Hashable] = Counter()
    for (before, after), cluster in zip(is_bad, clusters, strict=True):
        net[cluster] += before - after
    return sum(change > 0 for change in net.values()), sum(change < 0 for change in net.values())


def _scored(judgement: Judgement) -> bool:
    return judgement.verdict is not Verdict.UNSCORED


def _by_category(
    prompts: PromptSet, verdicts: Mapping[str, list[Judgement]], expect: str | None, clusters: Sequence[Hashable]
) -> list[CategoryReport]:
    groups: dict[str, list[int]] = {}
    for index, prompt in enumerate(prompts):
        if prompt.category:
            groups.setdefault(prompt.category, []).append(index)
    return [
        CategoryReport(
            category=category,
            n=len(indices) // prompts.samples,
            rates={
                name: count([judgements[i] for i in indices], expect, [clusters[i] for i in indices])
                for name, judgements in verdicts.items()
            },
        )
        for category, indices in sorted(groups.items())
    ]


class _ScoredTask(Protocol):
    """What the report of a task's scores needs of the task."""

    @property
    def name(self) -> str: ...
    @property
    def metric(self) -> str: ...


def _task_report(task: _ScoredTask, scores: Mapping[str, list[float]], max_drop: float, seed: int) -> TaskReport:
    means = {name: statistics.mean(task.name, values, seed) for name, values in scores.items()}
    tuned, restored = means.get("tuned"), means.get("restored")
    margin = tuned.value * max_drop if tuned else 0.0
    compared = tuned and restored
    non_inferior = statistics.non_inferior(scores["restored"], scores["tuned"], margin, seed)[0] if compared else None
    return TaskReport(
        name=task.name,
        metric=task.metric,
        n=len(next(iter(scores.values()))),
        values={name: m.value for name, m in means.items()},
        ci95={name: (m.low, m.high) for name, m in means.items()},
        drop=tuned.value - restored.value if tuned and restored else None,
        floor=tuned.value - margin if tuned else None,
        non_inferior=non_inferior,
    )


def with_scores(evaluation: Evaluation, scored: Sequence[Scores], max_task_drop: float, seed: int) -> Evaluation:
    """An evaluation with further tasks, scored by the harness, after its own."""
    if not scored:
        return evaluation
    tasks = [*evaluation.tasks, *(_task_report(scores, scores.values, max_task_drop, seed) for scores in scored)]
    return replace(evaluation, tasks=tasks, summary=summarise(evaluation.sets, tasks, list(scored[0].values)))


def summarise(sets: Sequence[SetReport], tasks: Sequence[TaskReport], models: Sequence[str]) -> Summary:
    """The headline numbers: rates pooled over the prompts of all sets with the same expectation."""
    harmful = _pooled([s for s in sets if s.expect == "refuse"], "harmful", models)
    retention = None
    if tasks and tasks[0].values.get("tuned") and tasks[0].values.get("restored") is not None:
        retention = float(tasks[0].values["restored"] or 0.0) / float(tasks[0].values["tuned"] or 1.0)
    recovered = None
    aligned, tuned, restored = (harmful.get(name) for name in ("aligned", "tuned", "restored"))
    if aligned is not None and tuned is not None and restored is not None and tuned > aligned:
        recovered = (tuned - restored) / (tuned - aligned)
    return Summary(
        harmful=harmful,
        over_refusal=_pooled([s for s in sets if s.expect in ("comply", "answer")], "refused", models),
        degenerate=_pooled(sets, "degenerate", models),
        task_retention=retention,
        recovery_fraction=recovered,
    )


def _pooled(sets: Sequence[SetReport], channel: str, models: Sequence[str]) -> dict[str, float | None]:
    pooled: dict[str, float | None] = {}
    for name in models if sets else ():
        rates = [r for s in sets if (r := getattr(s.rates[name], channel)) is not None]
        n = sum(r.n or 0 for r in rates)
        pooled[name] = sum(r.k for r in rates) / n if n else None
    return pooled
