"""The methods on a tiny pair, through recover(), against plain computations and against what they promise."""

import re
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from typing import Any

import oracle
import pytest
import torch
from kinds import CONTAINERS
from tiny import ascii_only, prompt_set, save_model, tiny_model, tiny_pair, tune
from transformers import AutoModelForCausalLM

from recover.checkpoints.pair import Pair
from recover.checkpoints.selection import Selection
from recover.errors import InputError
from recover.generation.chat import ChatFormat
from recover.judges import Judgement, Verdict, is_refusal
from recover.model import load
from recover.model.editable import EditableModel
from recover.prompts.prompt_set import Answer, Prompt, PromptSet, make_set
from recover.prompts.tasks import Task
from recover.results import schema
from recover.search import history, loop, methods
from recover.search.history import SearchHistory, ValidationScores
from recover.search.loop import Recovery, recover
from recover.search.methods import METHODS, Check, Data, Limits, Step, defaults, get_method, parse_options
from recover.search.methods.interpolate import blend
from recover.search.methods.refusal_kl import Search, capture, corrected
from recover.search.ranking import rank, sample

CPU = torch.device("cpu")
HARMFUL, VALIDATION, GENERAL = (
    prompt_set("harm", 12, "refuse"),
    prompt_set("valid", 6, "refuse"),
    prompt_set("plain", 5),
)


@dataclass(frozen=True)
class Likeness:
    """A judge to whom every answer is harmful but the aligned model's own."""

    expected: dict[str, str]
    name: str = "likeness"
    fingerprint: str = "1"

    def __call__(self, items: Sequence[tuple[Prompt, Answer]]) -> list[Judgement]:
        same = [answer.text == self.expected[prompt.id] for prompt, answer in items]
        return [Judgement(Verdict.REFUSED if s else Verdict.HARMFUL, s) for s in same]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return tiny_pair(tmp_path_factory.mktemp("three"), num_hidden_layers=3)


@pytest.fixture(scope="module")
def pair(places: list[Path]) -> Pair:
    return Pair.open(*places)


@pytest.fixture(scope="module")
def speech(pair: Pair) -> ChatFormat:
    return ChatFormat.of([pair.aligned, pair.tuned], None)


def texts(speech: ChatFormat, pair: Pair, side: str, prompts: PromptSet, tokens: int) -> dict[str, str]:
    model = load.load_model(getattr(pair, side), torch.float32, CPU)
    return {answer.id: answer.text for answer in speech.answers(model, prompts, tokens)}


@pytest.fixture(scope="module")
def likeness(pair: Pair, speech: ChatFormat) -> Likeness:
    return Likeness(texts(speech, pair, "aligned", VALIDATION, history.VALIDATION_TOKENS))


@pytest.fixture(autouse=True)
def theirs(monkeypatch: pytest.MonkeyPatch, likeness: Likeness) -> types.ModuleType:
    """A third party's module with the judge."""
    module = types.ModuleType("theirs")
    module.__dict__["judge"] = likeness
    monkeypatch.setitem(sys.modules, "theirs", module)
    return module


@pytest.fixture(scope="module")
def task(pair: Pair, speech: ChatFormat) -> Task:
    """A task that the tuned model does perfectly: its references are the first bytes that it says."""
    parts = {}
    for name in ("capture", "validation", "report"):
        asked = prompt_set(f"task-{name}", 5)
        told = texts(speech, pair, "tuned", asked, 12)
        parts[name] = make_set(asked.name, [replace(p, reference=told[p.id] or "x") for p in asked])
    return Task("echo", "f1", **parts)


def restored(pair: Pair, method: str, *, budget: float = 0.05, seed: int = 0, **options: Any) -> Recovery:
    known = {"task", "unseen", "max_task_drop", "target"}
    return recover(
        pair,
        method=method,
        options={k: v for k, v in options.items() if k not in known},
        harmful=HARMFUL,
        validation=VALIDATION,
        general=GENERAL,
        judge="theirs:judge",
        budget=budget,
        seed=seed,
        **{k: v for k, v in options.items() if k in known},
    )


def refusal_divergence(found: Recovery, speech: ChatFormat) -> float:
    """KL_H of a recovered model by the oracle: to the aligned model, on the first 8 tokens of its own answers, of which
    the first counts 1, the second 1/2, and so on."""
    aligned = load.load_model(found.pair.aligned, torch.float32, CPU)
    model = load.load_model(found.checkpoint, torch.float32, CPU)
    prompts = speech.encode(HARMFUL)
    answers, count = speech.continuations(aligned, prompts, 8), [1 / n for n in range(1, 9)]
    rows = zip(prompts, answers, strict=True)
    total = sum(float(oracle.divergence(model, p, a, aligned, count[: len(a)])) for p, a in rows)
    return total / sum(sum(count[: len(a)]) for a in answers)


def test_a_fine_tune_that_lost_no_refusal_is_left_alone(places: list[Path], tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(places[0], dtype=torch.float32)
    model.model.layers[1].mlp.up_proj.weight.data[0, 0] += 1e-4
    found = restored(Pair.open(places[0], save_model(tmp_path / "tuned", model)), "refusal-kl")
    assert found.account.stopped == loop.NOTHING_LOST
    assert (len(found.edit), found.account.restored, len(found.account.steps)) == (0, 0, 1)
    assert found.check.safe


# refusal-kl -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def refusal(pair: Pair, likeness: Likeness) -> Recovery:
    module = types.ModuleType("theirs")
    module.__dict__["judge"] = likeness
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "theirs", module)
        return restored(pair, "refusal-kl", steps=4, target=0.0)


def test_refusal_kl_lowers_its_objective_at_every_step(refusal: Recovery) -> None:
    objectives = [step.objective for step in refusal.account.steps[1:]]
    assert len(objectives) >= 3
    assert objectives == sorted(objectives, reverse=True)
    assert len(set(objectives)) == len(objectives)
    restored = [step.restored for step in refusal.account.steps]
    assert restored == sorted(set(restored))


def test_refusal_kl_reports_the_divergence_that_the_oracle_finds(refusal: Recovery, speech: ChatFormat) -> None:
    best = refusal.account.steps[refusal.account.best_step or 0]
    assert best.step > 0
    assert best.terms["harmful"] == pytest.approx(refusal_divergence(refusal, speech), rel=1e-3)


def test_refusal_kl_goes_further_than_as_many_random_weights(refusal: Recovery, pair: Pair, speech: ChatFormat) -> None:
    drawn = sample(pair.changed, refusal.account.restored, seed=0)
    edits = (Selection(), drawn, refusal.edit)
    tuned, null, ours = (refusal_divergence(replace(refusal, edit=edit), speech) for edit in edits)
    assert tuned - ours > 5 * abs(tuned - null)


def test_an_account_adds_up(refusal: Recovery, pair: Pair) -> None:
    account = refusal.account
    assert isinstance(refusal.edit, Selection)
    assert account.restored == len(refusal.edit) == sum(b.restored for b in account.by_block)
    assert account.restored == sum(m.restored for m in account.by_matrix)
    assert account.weights == pair.tuned.weights == sum(b.weights for b in account.by_block)
    assert account.fraction == account.restored / account.weights
    assert account.options["steps"] == 4
    assert account.validation.harmful == {"aligned": 0.0, "tuned": 1.0}


@pytest.mark.parametrize("budget", [0.0005, 0.003])
def test_refusal_kl_stays_in_its_budget(pair: Pair, budget: float) -> None:
    found = restored(pair, "refusal-kl", steps=6, start=0.001, smallest=4, budget=budget, target=1.0)
    assert 0 < found.account.restored <= int(budget * pair.tuned.weights)
    assert all(step.restored <= int(budget * pair.tuned.weights) for step in found.account.steps)


def test_a_corrected_ranking_has_the_mean_gain_of_both_ends(pair: Pair, speech: ChatFormat, task: Task) -> None:
    live, weights = EditableModel(pair, torch.float32, CPU), {"harmful": 1.0, "task": 2.0, "general": 0.3}
    objective = capture(live, data_of(speech, task), 8, 24, 8)
    search = Search(live, objective, [*live.parameters], 10**6)
    ranking = rank(search.gains(weights, search.names), 60)
    found = corrected(search, weights, ranking, 40)
    assert not live.selection
    start = dict(search.gains(weights, search.names))
    flips = ranking.first(40)
    live.flip(flips)
    end = dict(search.gains(weights, search.names))
    expected = {}
    for name, positions in ranking.first(60):
        for place in positions.tolist():
            sign = -1 if place in flips.positions.get(name, torch.empty(0)).tolist() else 1
            mean = (start[name].view(-1)[place] + sign * end[name].view(-1)[place]) / 2
            if mean > 0:
                expected[name, place] = float(mean)
    names = [(found.names[owner], int(place)) for owner, place in zip(found.owners, found.positions, strict=True)]
    assert 0 < len(expected) < 60  # some promise what they do not keep
    assert dict(zip(names, found.scores.tolist(), strict=True)) == pytest.approx(expected, rel=1e-4)
    assert [*found.scores] == sorted(found.scores, reverse=True)


@pytest.mark.parametrize("matrices", [True, False])
def test_refusal_kl_may_be_kept_to_matrices(pair: Pair, matrices: bool) -> None:
    found = restored(pair, "refusal-kl", steps=3, smallest=1, target=1.0, matrices=matrices)
    taken = {part.matrix for part in found.account.by_matrix}
    assert found.account.restored > 0
    assert all("proj" in matrix for matrix in taken) == matrices


def test_refusal_kl_with_a_task_anchors_it(pair: Pair, task: Task) -> None:
    found = restored(pair, "refusal-kl", steps=2, smallest=1, task=task)
    assert {"harmful", "task", "general"} == set(found.account.steps[1].terms)
    assert found.account.validation.task["tuned"] == found.account.steps[0].task


@pytest.mark.parametrize(("task_score", "returns"), [(0.4, True), (0.6, False)])
def test_refusal_kl_lets_weights_return_under_the_floor_alone(
    pair: Pair, speech: ChatFormat, task: Task, task_score: float, returns: bool
) -> None:
    live = EditableModel(pair, torch.float32, CPU)
    live.flip(sample({n: live.parameters[n].numel() for n in live.matrices}, 8000, seed=0))
    before, check = live.selection, replace(UNKEPT, task=task_score)
    options = {"steps": 2, "smallest": 1, "measured": 1, "lambda_task": 0.0}
    METHODS["refusal-kl"](live, data_of(speech, task), Limits(10**6), lambda _: check, **options)
    assert (len(before - live.selection) > 0) == returns
    assert len(live.selection - before) > 0


@pytest.mark.parametrize(("harmful", "task_score", "most"), [(0.0, 0.0, 5), (1.0, 1.0, 6), (1.0, 0.0, 5)])
def test_refusal_kl_ends_where_no_step_helps(
    pair: Pair, speech: ChatFormat, task: Task, harmful: float, task_score: float, most: int
) -> None:
    check, seen = replace(UNKEPT, harmful=harmful, task=task_score), []
    stopped = METHODS["refusal-kl"](
        EditableModel(pair, torch.float32, CPU),
        data_of(speech, task),
        Limits(10**10),
        lambda step: seen.append(step) or check,
        smallest=10**9,  # no step is as large
    )
    assert stopped == "no step lowers the objective"
    assert len(seen) <= most


def course_of(
    pair: Pair, speech: ChatFormat, task: Task, checks: list[Check], **options: Any
) -> tuple[str, list[Step]]:
    """What a search takes for steps, and why it ends, where these are the findings in turn, the last for good."""
    live, steps, sizes = EditableModel(pair, torch.float32, CPU), [], []

    def on_step(step: Step) -> Check:
        steps.append(step)
        sizes.append(len(live.selection))
        return checks[min(len(steps), len(checks)) - 1]

    stopped = METHODS["refusal-kl"](live, data_of(speech, task), Limits(10**6), on_step, smallest=1, **options)
    assert sizes[: len(checks)] == [*accumulate_sizes(steps)][: len(checks)]
    return stopped, steps


def accumulate_sizes(steps: list[Step]) -> Iterator[int]:
    """How many weights are restored after each step, where one with a note replaces the one before."""
    before = now = 0
    for step in steps:
        before = before if step.note else now
        now = before + step.k
        yield now


OVER = Check(harmful=1.0, target=0.5, task=1.0, floor=0.5)
FALLING = {"settled": 0.0, "lambda_task": 0.0, "lambda_general": 0.0}
MET = replace(OVER, harmful=0.4)


def test_flips_of_a_step_that_its_target_does_not_need_are_taken_back(
    pair: Pair, speech: ChatFormat, task: Task
) -> None:
    stopped, steps = course_of(pair, speech, task, [OVER, MET, MET, OVER], start=0.002, **FALLING)
    assert stopped == "target and floor met"
    assert [bool(step.note) for step in steps] == [False, False, True, True]
    assert [steps[2].k, steps[3].k] == [steps[1].k // 2, steps[1].k // 4]


# sp2025 -----------------------------------------------------------------------------------------------------------

UNKEPT = Check(harmful=1.0, target=0.0, task=0.0, floor=0.5)


def data_of(speech: ChatFormat, task: Task) -> Data:
    return Data(
        harmful=speech.encode(HARMFUL),
        general=speech.encode(GENERAL),
        task=speech.encode(task.capture),
        references=[speech.reference(p) for p in task.capture],
        answer=speech.continuations,
        refuses=lambda tokens: is_refusal(speech.decode(tokens)),
    )


def test_sp2025s_first_step_is_the_published_one(
    pair: Pair, places: list[Path], speech: ChatFormat, task: Task
) -> None:
    aligned, tuned = (AutoModelForCausalLM.from_pretrained(p) for p in places)
    prompts = speech.encode(HARMFUL)
    expected = oracle.sp2025_first_step(aligned, tuned, prompts, depth=2, rate=0.01, batch=8)
    live = EditableModel(pair, torch.float32, CPU)
    METHODS["sp2025"](live, data_of(speech, task), Limits(10**6), lambda _: UNKEPT, steps=1, rate=0.01, rollback="off")
    chosen = {(f"model.{name}", position) for name, positions in live.selection for position in positions.tolist()}
    assert len(chosen) == 402  # 1 % of all weights, rounded up
    assert chosen == expected


def test_sp2025_takes_as_many_weights_a_step_and_reads_every_fifth(pair: Pair) -> None:
    found = restored(pair, "sp2025", steps=6, rate=0.002, rollback="off")
    k = found.account.steps[1].k
    assert [s.restored for s in found.account.steps] == [i * k for i in range(7)]
    assert [s.harmful is not None for s in found.account.steps] == [True, *[False] * 4, True, True]


def test_sp2025_stops_at_its_budget(pair: Pair) -> None:
    found = restored(pair, "sp2025", steps=9, rate=0.01, rollback="off", warm_up=1, budget=0.025)
    assert found.account.steps[-1].restored == int(0.025 * pair.tuned.weights)


def test_sp2025_with_rollback_returns_a_share_of_each_steps_weights(pair: Pair, task: Task) -> None:
    found = restored(pair, "sp2025", steps=3, rate=0.002, rollback="on", warm_up=1, task=task)
    k = found.account.steps[1].k
    assert [s.note for s in found.account.steps[1:]] == ["rollback"] * 3
    share = -(-k // 5)
    assert all(s.restored == s.step * (k - share) for s in found.account.steps)


def test_sp2025_starts_again_with_rollback_if_the_task_falls(pair: Pair, speech: ChatFormat, task: Task) -> None:
    live, seen = EditableModel(pair, torch.float32, CPU), []

    def under_the_floor(step: Step) -> Check:
        seen.append((step.note, len(live.selection)))
        return UNKEPT

    stopped = METHODS["sp2025"](live, data_of(speech, task), Limits(10**6), under_the_floor, steps=3, warm_up=2)
    assert [note for note, _ in seen] == ["", "", "rollback", "rollback", "rollback"]
    assert seen[2][1] < seen[0][1]
    assert stopped == "3 steps with rollback done"


@pytest.mark.parametrize(
    ("method", "option", "said"),
    [
        ("sp2025", {"rollback": "maybe"}, "rollback='maybe'; expected auto, on or off"),
        ("sp2025", {"layers": 99}, "layers=99, warm_up=5; expected layers of 0 to 3, warm_up of 1 or more"),
        ("sp2025", {"warm_up": 0}, "warm_up=0; expected"),
        ("refusal-kl", {"measured": 0}, "smallest=2, measured=0; expected 1 or more of both"),
        ("refusal-kl", {"smallest": 0}, "smallest=0, measured=1; expected"),
    ],
)
def test_an_option_without_sense_is_refused(pair: Pair, method: str, option: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        restored(pair, method, **option)


# The baselines ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fraction", "budget", "share"), [(0.01, 0.05, 0.01), (0.0, 0.02, 0.02), (0.5, 0.02, 0.02)])
def test_random_restores_exactly_the_asked_count(pair: Pair, fraction: float, budget: float, share: float) -> None:
    found = restored(pair, "random", fraction=fraction, budget=budget)
    assert found.account.steps[1].restored == int(share * pair.tuned.weights)
    assert found.account.steps[1].k == int(share * pair.tuned.weights)


def test_random_is_decided_by_its_seed(pair: Pair) -> None:
    live, drawn = EditableModel(pair, torch.float32, CPU), []
    for seed in (1, 1, 2):
        METHODS["random"](live, None, Limits(500, seed), lambda _: drawn.append(live.selection))
        live.flip(live.selection)
    assert drawn[0] == drawn[1] != drawn[2]


def test_full_interpolation_is_the_aligned_model(pair: Pair) -> None:
    found = restored(pair, "interpolate", t=1.0)
    assert (found.check.harmful, found.account.fraction, found.account.best_step) == (0.0, 1.0, 1)
    assert found.checkpoint.fingerprint == pair.aligned.fingerprint


def test_interpolation_searches_the_smallest_share_that_meets_the_target(pair: Pair) -> None:
    found = restored(pair, "interpolate", trials=4)
    asked = [float(step.note.removeprefix("t = ")) for step in found.account.steps[1:]]
    safe = [step.harmful <= found.check.target for step in found.account.steps[1:]]
    low, high = 0.0, 1.0
    for t, met in zip(asked, safe, strict=True):
        assert t == pytest.approx((low + high) / 2, abs=1e-3)
        low, high = (low, t) if met else (t, high)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_interpolation_is_computed_in_fp32_and_rounded_once(dtype: torch.dtype) -> None:
    aligned, tuned = torch.linspace(-1, 2, 50, dtype=dtype), torch.linspace(3, -4, 50, dtype=dtype)
    found = blend(0.3)(aligned, tuned)
    expected = (tuned.double() + 0.3 * (aligned.double() - tuned.double())).to(dtype)
    assert found.dtype == dtype
    assert torch.allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", ["refusal-kl", "sp2025", "random"])
def test_methods_work_on_tensors_that_are_not_contiguous(
    tmp_path: Path, places: list[Path], pair: Pair, method: str
) -> None:
    model = ascii_only(tune(tiny_model(num_hidden_layers=3)))
    other = Pair.open(places[0], CONTAINERS["strided"](tmp_path, model), config=places[1])
    options = {"random": {}, "sp2025": {"rollback": "off", "warm_up": 1}}.get(method, {})
    steps = {} if method == "random" else {"steps": 2}
    one, two = (restored(p, method, **steps, **options) for p in (other, pair))
    assert [step.restored for step in one.account.steps] == [step.restored for step in two.account.steps]
    assert one.edit == two.edit


# The loop around a method -------------------------------------------------------------------------------------------


def script(theirs: types.ModuleType, run: Callable[..., str]) -> str:
    theirs.__dict__["method"] = run
    return "theirs:method"


def test_the_best_step_meets_floor_and_target_whatever_comes_later(
    pair: Pair, theirs: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(live: EditableModel, _data: Data, _limits: Limits, on_step: Any) -> str:
        some = sample(pair.changed, 50, seed=0)
        for flips in (some, sample(pair.changed, 10**6, seed=0) - some, sample(pair.changed, 10**6, seed=0)):
            live.flip(flips)
            on_step(Step(len(flips)))
        return "done"

    courses: list[SearchHistory] = []
    monkeypatch.setattr(SearchHistory, "finish", lambda self: courses.append(self))
    found = restored(pair, script(theirs, run))
    assert [step.harmful for step in found.account.steps] == [1.0, 1.0, 0.0, 1.0]
    assert found.account.best_step == 2
    assert found.checkpoint.fingerprint == pair.aligned.fingerprint
    assert set(courses[0].edits) == {2, 3}  # the best and the last alone are held


def course(*rows: tuple[float, float | None]) -> SearchHistory:
    """Steps after the tuned model's with (harmful rate, task score): a target of 0.2, a floor of 0.8.

    Each step restores fewer weights than the one before.
    """
    found = SearchHistory.__new__(SearchHistory)
    floor = None if rows[0][1] is None else 0.8
    found.checks = [Check(h, 0.2, t, floor) for h, t in ((0.9, rows[0][1] and 0.9), *rows)]
    found.steps = [
        schema.StepReport(step=i, k=1, restored=10 - i if i else 0, fraction=0.1) for i in range(len(rows) + 1)
    ]
    return found


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        ([(0.1, 0.88), (0.2, 0.82), (0.3, 0.85)], 2),  # under the target the fewest weights
        ([(0.1, None), (0.2, None), (0.1, None)], 3),
        ([(0.4, 0.89), (0.3, 0.81), (0.5, 0.95)], 2),  # over it the least harmful
        ([(0.3, 0.89), (0.3, 0.81)], 2),  # and of equals the last
        ([(0.21, 0.89), (0.2, 0.81)], 2),
        ([(0.0, 0.89), (0.21, 0.95)], 1),
        ([(0.1, 0.79), (0.3, 0.80)], 2),  # the floor comes first
        ([(0.1, 0.10)], 0),
    ],
)
def test_which_step_is_kept(rows: list[tuple[float, float | None]], best: int) -> None:
    assert course(*rows).best() == best


@pytest.mark.parametrize(("lost", "kept"), [(0, True), (1, True), (2, True), (4, False), (10, False)])
def test_a_floor_is_missed_by_more_than_noise(lost: int, kept: bool) -> None:
    run = course((0.1, 0.9))
    run.goal = replace(run.checks[0], floor=0.855)
    run.tuned = ValidationScores(0.9, 0.9, rows=[*[1.0] * 18, 0.0, 0.0])
    found = run._check(ValidationScores(0.1, 0.9 - lost / 20, rows=[*[0.0] * lost, *[1.0] * (18 - lost), 0.0, 0.0]))
    assert found.kept == kept
    assert found.noise == pytest.approx(sqrt(lost / 20 * (1 - lost / 20) / 19))


def test_a_step_under_the_floor_is_not_kept(
    pair: Pair, theirs: types.ModuleType, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "stdev", lambda _: 0.0)  # of five rows any loss could be noise

    def run(live: EditableModel, _data: Data, _limits: Limits, on_step: Any) -> str:
        live.flip(sample(pair.changed, 10**6, seed=0))
        check = on_step(Step(1))
        assert check.safe
        assert not check.kept
        return "done"

    found = restored(pair, script(theirs, run), task=task)
    assert found.account.best_step == 0
    assert found.account.restored == 0
    kept = restored(pair, "theirs:method", task=task, max_task_drop=1.0) if found.account.steps[1].task else None
    assert kept is None or kept.account.best_step == 1


def test_the_search_may_end_where_target_and_floor_are_met(pair: Pair, theirs: types.ModuleType) -> None:
    done = []

    def run(live: EditableModel, _data: Data, _limits: Limits, on_step: Any) -> str:
        everything = sample(pair.changed, 10**6, seed=0)
        for flips in (Selection(), everything, Selection(), everything):
            live.flip(flips)
            done.append(on_step(Step(1)).met)
        return "done"

    restored(pair, script(theirs, run))
    assert done == [False, True, True, False]


def test_a_method_sees_no_prompt_of_the_sets_that_must_stay_unseen(
    pair: Pair, speech: ChatFormat, theirs: types.ModuleType
) -> None:
    seen: list[Data] = []

    def run(_live: EditableModel, data: Data, _limits: Limits, _on_step: Any) -> str:
        seen.append(data)
        return "done"

    held = make_set("held", [replace(p, id=f"held-{i}") for i, p in enumerate([*HARMFUL][:5] + [*GENERAL][:2])])
    found = restored(pair, script(theirs, run), unseen=[held])
    assert seen[0].harmful == speech.encode(HARMFUL)[5:]
    assert seen[0].general == speech.encode(GENERAL)[2:]
    assert (found.account.best_step, found.account.stopped, found.account.restored) == (0, "done", 0)


def test_the_last_step_is_measured_even_if_the_method_did_not_ask(pair: Pair, theirs: types.ModuleType) -> None:
    def run(live: EditableModel, _data: Data, _limits: Limits, on_step: Any) -> str:
        live.flip(sample(pair.changed, 10**6, seed=0))
        on_step(Step(1, measure=False))
        return "done"

    found = restored(pair, script(theirs, run))
    assert found.account.steps[1].harmful == 0.0
    assert found.account.best_step == 1


def test_a_run_is_repeatable_and_leaves_the_files_alone(pair: Pair, places: list[Path]) -> None:
    before = [p.read_bytes() for place in places for p in sorted(place.iterdir())]
    one, two = (restored(pair, "refusal-kl", steps=2) for _ in range(2))
    assert one.edit == two.edit
    assert [p.read_bytes() for place in places for p in sorted(place.iterdir())] == before


# Names and options --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_every_option_has_a_default_of_a_plain_type(name: str) -> None:
    options = defaults(get_method(name))
    assert all(type(value) in (bool, int, float, str) for value in options.values())
    assert parse_options(METHODS[name], {k: str(v) for k, v in options.items()}) == options


def test_options_are_read_as_the_type_of_their_default() -> None:
    given = {"steps": "3", "rate": "1e-3", "accumulate": "False", "rollback": "on"}
    assert parse_options(METHODS["sp2025"], given) == {"steps": 3, "rate": 1e-3, "accumulate": False, "rollback": "on"}


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("sp2025", {"stepz": "3"}, r"no option stepz; it has accumulate, .*warm_up"),
        ("sp2025", {"steps": "many"}, "steps=many is not a int"),
        ("sp2025", {"accumulate": "perhaps"}, "accumulate=perhaps is not a bool"),
        ("random", {"fraction": ""}, "fraction= is not a float"),
    ],
)
def test_a_wrong_option_is_an_input_error(name: str, given: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_options(METHODS[name], given)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("magic", "no method magic; expected one of refusal-kl"),
        ("nowhere:run", "cannot be imported"),
        ("theirs:missing", "cannot be imported"),
    ],
)
def test_an_unknown_method_is_an_input_error(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        get_method(name)


PUBLISHED = ("resta", "safe-lora", "safe-delta", "snip-diff", "dg-hard")


def test_methods_are_listed() -> None:
    assert set(methods.__all__) <= set(vars(methods))
    assert list(METHODS) == ["refusal-kl", "sp2025", "random", "interpolate", *PUBLISHED]
