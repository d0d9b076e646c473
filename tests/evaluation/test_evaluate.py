"""Counting: every rate with its denominator, pairs over the same prompts, and nothing unknown that looks safe."""

import json
import shutil
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cli_pairs
import numpy as np
import pytest
from cli_pairs import digest, run
from hypothesis import given
from hypothesis import strategies as st
from tiny import byte_tokenizer, prompt_set, save_model, tiny_model
from tokenizers.normalizers import Lowercase

from recover.checkpoints.checkpoint import Checkpoint
from recover.checkpoints.pair import Pair
from recover.errors import Exit, InputError, Undecided
from recover.evaluation.ask import prepare
from recover.evaluation.evaluate import conduct, count, evaluate, summarise
from recover.evaluation.settings import EvaluationSettings
from recover.generation.chat import ChatFormat
from recover.generation.runtime import changed
from recover.generation.sampling import Sampling
from recover.jobs.request import Job
from recover.jobs.restore import judge_outcome, restore
from recover.judges import Judgement, Verdict, get_judge
from recover.prompts.prompt_set import Answer, Prompt, make_set
from recover.prompts.tasks import Task
from recover.results import statistics
from recover.search.loop import recover

LETTERS = {v.value[0].upper(): v for v in Verdict}  # H R S D U
verdicts = st.lists(st.sampled_from(list(Verdict)), max_size=20)
HARM, LOOKALIKE = prompt_set("harm", 6, "refuse"), prompt_set("alike", 4, "comply")


def judged(letters: str) -> list[Judgement]:
    return [Judgement(LETTERS[letter], letter == "R") for letter in letters]


class Scripted:
    """A judge that says what was written down for it, a string of verdicts a call."""

    name, fingerprint = "scripted", "7"

    def __init__(self, *said: str) -> None:
        self.said = list(said)

    def __call__(self, items: Sequence[tuple[Prompt, Answer]]) -> list[Judgement]:
        letters = self.said.pop(0)
        assert len(letters) == len(items)
        return judged(letters)


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Install a scripted judge; its name is what comes back."""

    def install(*said: str) -> str:
        module = types.ModuleType("theirs")
        module.__dict__["judge"] = Scripted(*said)
        monkeypatch.setitem(sys.modules, "theirs", module)
        return "theirs:judge"

    return install


@pytest.fixture
def models(llama: list[Path]) -> dict[str, Checkpoint]:
    aligned, tuned = (Checkpoint.open(place) for place in llama)
    return {"aligned": aligned, "tuned": tuned, "restored": aligned}


# What cannot be asked ---------------------------------------------------------------------------------------------


def test_a_set_whose_rows_do_not_expect_the_same_has_no_rate(models: dict[str, Checkpoint]) -> None:
    mixed = make_set("mixed", [*HARM, *LOOKALIKE])
    with pytest.raises(InputError, match=r"rows of mixed expect comply and refuse, .* make a file of each"):
        evaluate(models, [mixed])


def test_a_restoration_needs_a_set_that_expects_refusals(llama: list[Path], tmp_path: Path) -> None:
    (tmp_path / "kind.jsonl").write_text(json.dumps({"prompt": "Hello", "expect": "comply"}) + "\n")
    asked = Job(
        aligned=str(llama[0]), tuned=str(llama[1]), out=tmp_path / "out", report_set=[str(tmp_path / "kind.jsonl")]
    )
    with pytest.raises(InputError, match=r"no report set expects refusals: found kind \(comply\), benign_lookalike"):
        restore(asked)


def test_an_answer_ends_where_the_models_positions_do(tmp_path: Path) -> None:
    model = tiny_model("gpt2", n_positions=48)
    place = save_model(tmp_path / "short", model)
    found = evaluate({"aligned": Checkpoint.open(place)}, [HARM], max_new_tokens=64)
    assert found.sets[0].rates["aligned"].unscored.n == len(HARM)


def test_tokenizers_with_the_same_tokens_that_read_otherwise_are_different(llama: list[Path], tmp_path: Path) -> None:
    shutil.copytree(llama[1], tmp_path / "lower")
    tokenizer = byte_tokenizer()
    tokenizer.backend_tokenizer.normalizer = Lowercase()
    tokenizer.save_pretrained(tmp_path / "lower")
    with pytest.raises(Undecided, match="have different tokenizers"):
        ChatFormat.of([Checkpoint.open(llama[0]), Checkpoint.open(tmp_path / "lower")], None)


def test_an_end_token_of_the_fine_tunes_own_ends_answers_too(llama: list[Path], tmp_path: Path) -> None:
    shutil.copytree(llama[1], tmp_path / "more")
    (tmp_path / "more" / "generation_config.json").write_text(json.dumps({"eos_token_id": [257, 260]}))
    (own,) = ChatFormat.of([Checkpoint.open(llama[0])], None).ends
    assert ChatFormat.of([Checkpoint.open(llama[0]), Checkpoint.open(tmp_path / "more")], None).ends == (own, 260)


# One model on one set ---------------------------------------------------------------------------------------------


def test_rates_have_their_denominators_and_intervals() -> None:
    rates = count(judged("HHRRRSDDUU"), "refuse")
    for found, k, n in (
        (rates.harmful, 2, 8),
        (rates.refused, 3, 8),
        (rates.degenerate, 2, 8),
        (rates.unscored, 2, 10),
    ):
        assert found is not None
        interval = statistics.rate("rate", k, n)
        assert (found.k, found.n, found.rate) == (k, n, k / n)
        assert (found.ci95, found.upper95) == ((interval.low, interval.high), statistics.upper95(k, n))


@pytest.mark.parametrize(("expect", "has_harm"), [("refuse", True), (None, True), ("comply", False), ("answer", False)])
def test_harm_is_a_rate_only_where_refusals_are_expected(expect: str | None, has_harm: bool) -> None:
    assert (count(judged("HRS"), expect).harmful is not None) == has_harm


@given(verdicts)
def test_an_unscored_answer_is_never_counted_as_safe(found: list[Verdict]) -> None:
    judgements = [Judgement(v, False) for v in found]
    scored = [j for j in judgements if j.verdict is not Verdict.UNSCORED]
    with_them, without = count(judgements, "refuse"), count(scored, "refuse")
    assert with_them.harmful == without.harmful
    assert with_them.refused == without.refused
    assert with_them.unscored is not None
    assert with_them.unscored.k == len(judgements) - len(scored)


def test_with_nothing_scored_a_rate_is_unknown_and_not_zero() -> None:
    for letters in ("", "UUU"):
        rates = count(judged(letters), "refuse")
        for rate in (rates.harmful, rates.refused, rates.degenerate):
            assert rate is not None
            assert (rate.k, rate.n, rate.rate, rate.ci95, rate.upper95) == (0, 0, None, None, None)


# Several models ----------------------------------------------------------------------------------------------------


def test_pairs_are_counted_over_prompts_that_both_have_a_verdict_on(models: Any, says: Any) -> None:
    judge = says("RRRRRR", "HHHHUR", "RRHUHR")
    found = evaluate(models, [HARM], judge=judge, max_new_tokens=2)
    pairs = {(p.from_, p.to): p for p in found.sets[0].pairs}
    assert list(pairs) == [("aligned", "tuned"), ("tuned", "restored"), ("aligned", "restored")]
    fixing = pairs["tuned", "restored"]
    assert (fixing.fixed, fixing.broken, fixing.both, fixing.neither) == (2, 0, 1, 1)
    breaking = pairs["aligned", "tuned"]
    assert (breaking.fixed, breaking.broken, breaking.both, breaking.neither) == (0, 4, 0, 1)
    for pair in pairs.values():
        change = statistics.paired_difference(pair.both, pair.fixed, pair.broken, pair.neither)
        assert (pair.difference, pair.ci95) == (change[0], change[1:])
        assert pair.mcnemar_p == statistics.mcnemar(pair.fixed, pair.broken)


def test_on_benign_prompts_a_pair_counts_refusals(models: Any, says: Any) -> None:
    found = evaluate(models, [LOOKALIKE], judge=says("RSSS", "SSSS", "RRSS"), max_new_tokens=2)
    pair = found.sets[0].pairs[1]
    assert (pair.from_, pair.to, pair.fixed, pair.broken, pair.neither) == ("tuned", "restored", 0, 2, 2)
    assert found.sets[0].rates["restored"].harmful is None


def test_a_pair_without_a_common_verdict_is_unknown(models: Any, says: Any) -> None:
    two = {name: models[name] for name in ("aligned", "tuned")}
    (pair,) = evaluate(two, [HARM], judge=says("UUURRR", "RRRUUU"), max_new_tokens=2).sets[0].pairs
    assert (pair.fixed, pair.difference, pair.ci95, pair.mcnemar_p) == (0, None, None, None)


def test_one_model_has_no_pairs(models: Any, says: Any) -> None:
    found = evaluate({"model": models["tuned"]}, [HARM], judge=says("HHHRRR"), max_new_tokens=2)
    assert found.sets[0].pairs == []
    assert found.summary.harmful == {"model": 0.5}
    assert found.judge.name == "scripted"


def test_summaries_pool_prompts_over_sets_of_a_kind(models: Any, says: Any) -> None:
    more, ordinary = prompt_set("more", 2, "refuse"), prompt_set("plain", 4, "answer")
    sets = [HARM, more, LOOKALIKE, ordinary]
    answers = {"aligned": "RRRRRR RR SSSS SSSS", "tuned": "HHHHHU HR SSSS SSDD", "restored": "RRHDRU RR RRSS RSSU"}
    judge = says(*(part for said in answers.values() for part in said.split()))
    found = evaluate(models, sets, judge=judge, max_new_tokens=2).summary
    assert found.harmful == {"aligned": 0.0, "tuned": 6 / 7, "restored": 1 / 7}
    assert found.over_refusal == {"aligned": 0.0, "tuned": 0.0, "restored": 3 / 7}
    assert found.degenerate == {"aligned": 0.0, "tuned": 2 / 15, "restored": 1 / 14}
    assert found.recovery_fraction == pytest.approx(5 / 6)
    assert found.task_retention is None


def test_without_a_set_of_a_kind_its_summary_is_empty() -> None:
    assert summarise([], [], ["aligned"]).harmful == {}


def test_categories_divide_a_set(models: Any, says: Any) -> None:
    kinds = ["theft", "fraud", None, "theft", "fraud", "theft"]
    prompts = make_set("harm", [replace(p, category=kind) for p, kind in zip(HARM, kinds, strict=True)])
    (found,) = evaluate({"model": models["tuned"]}, [prompts], judge=says("HRHHUR"), max_new_tokens=2).sets
    rates = {c.category: (c.n, c.rates["model"].harmful) for c in found.by_category}
    assert list(rates) == ["fraud", "theft"]
    assert (rates["fraud"][0], rates["fraud"][1].k, rates["fraud"][1].n) == (2, 0, 1)
    assert (rates["theft"][0], rates["theft"][1].k, rates["theft"][1].n) == (3, 2, 3)


def test_the_rules_judge_counts_degenerate_answers(models: Any) -> None:
    found = evaluate({"model": models["tuned"]}, [HARM], max_new_tokens=1)
    rates = found.sets[0].rates["model"]
    assert rates.degenerate.rate == 1.0  # an answer of one token is none
    assert rates.harmful.rate == 0.0


# Tasks -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def task(models: Any) -> Task:
    """A task of which the tuned model does the first 8 items of 10, and the aligned one none."""
    asked = prompt_set("echo-report", 10)
    told = evaluate({"model": models["tuned"]}, [asked], max_new_tokens=4).answers["model"][asked.name]
    references = [answer.text or "none" for answer, _ in told[:8]] + ["wrong", "wrong"]
    parts = [prompt_set(name, 2) for name in ("a", "b")]
    filled = make_set(asked.name, [replace(p, reference=r) for p, r in zip(asked, references, strict=True)])
    return Task("echo", "rouge1", *(make_set(p.name, [replace(q, reference="x") for q in p]) for p in parts), filled)


def test_a_task_is_reported_with_its_floor_and_drop(models: Any, says: Any, task: Task) -> None:
    judge = says("R" * 6, "H" * 6, "R" * 6)
    found = evaluate(models, [HARM], task=task, judge=judge, max_new_tokens=2, max_task_drop=0.1)
    (told,) = found.tasks
    tuned, restored = told.values["tuned"], told.values["restored"]
    assert told.n == 10
    assert tuned > restored == told.values["aligned"]
    assert told.floor == pytest.approx(0.9 * tuned)
    assert told.drop == pytest.approx(tuned - restored)
    assert told.non_inferior is False
    assert found.summary.task_retention == pytest.approx(restored / tuned)
    assert [line.split(":")[0] for line in judge_outcome(JOB, found)] == ["floor missed"]


def test_prompts_of_one_cluster_widen_the_interval_and_nothing_else(models: Any, says: Any) -> None:
    """Six prompts in two clusters of three, each wholly refused or wholly answered."""
    told = "HHHRRR"
    alone = evaluate({"m": models["tuned"]}, [HARM], judge=says(told), max_new_tokens=2).sets[0].rates["m"]
    named = [replace(prompt, cluster="ab"[place // 3]) for place, prompt in enumerate(HARM)]
    grouped = make_set(HARM.name, named)
    found = evaluate({"m": models["tuned"]}, [grouped], judge=says(told), max_new_tokens=2).sets[0].rates["m"]
    assert found.harmful is not None
    assert alone.harmful is not None
    assert found.harmful.ci95 == (0, 1)
    assert alone.harmful.ci95 == pytest.approx((0.188, 0.812), abs=0.001)
    assert (found.harmful.upper95, alone.harmful.upper95) == (statistics.upper95(1, 2), statistics.upper95(3, 6))
    assert (found.harmful.k, found.harmful.n, found.harmful.rate) == (3, 6, 0.5)
    half = make_set(HARM.name, [replace(prompt, cluster=None if p else "a") for p, prompt in enumerate(HARM)])
    one = evaluate({"m": models["tuned"]}, [half], judge=says(told), max_new_tokens=2).sets[0].rates["m"]
    assert one.harmful is not None
    assert one.harmful.ci95 == pytest.approx(alone.harmful.ci95, abs=0.05)


def test_samples_of_a_prompt_count_in_its_rate_and_never_as_prompts(models: Any, says: Any) -> None:
    """Six prompts with three answers each; where all three are alike, nothing is known that one would not tell."""
    drawn = {"samples": 3, "sampling": Sampling(), "max_new_tokens": 2}
    two = {name: models[name] for name in ("aligned", "tuned")}
    judge = says("RRR" * 6, "HHHHHHHRRRRRRRRRRS")
    asked = make_set(HARM.name, [replace(prompt, category="one") for prompt in HARM])
    found = evaluate(two, [asked], judge=judge, **drawn).sets[0]
    assert (found.n, found.samples, found.effective_n, found.sha256) == (6, 3, 6, asked.sha256)
    aligned, tuned = (found.rates[name].harmful for name in two)
    assert (tuned.k, tuned.n) == (7, 18)
    assert aligned.upper95 == pytest.approx(statistics.upper95(0, 6))
    assert aligned.ci95 == pytest.approx((0, statistics.rate("rate", 0, 6).high))
    assert tuned.upper95 > statistics.upper95(7, 18)
    (part,) = found.by_category
    assert (part.n, part.rates["tuned"].harmful) == (6, tuned)
    (pair,) = found.pairs
    assert (pair.broken, pair.neither) == (7, 11)
    assert pair.mcnemar_p == statistics.mcnemar(0, 3)
    assert pair.ci95[1] - pair.ci95[0] > 1.5 * np.ptp(statistics.paired_difference(0, 0, 7, 11)[1:])


def test_a_task_is_answered_once_whatever_is_drawn(models: Any, says: Any, task: Task) -> None:
    judge = says("R" * 12)
    only = {"tuned": models["tuned"]}
    found = evaluate(only, [HARM], task=task, judge=judge, max_new_tokens=2, samples=2, sampling=Sampling(seed=3))
    once = evaluate(only, [HARM], task=task, judge=says("R" * 6), max_new_tokens=2)
    assert found.tasks == once.tasks


def test_samples_need_a_draw(models: Any) -> None:
    with pytest.raises(InputError, match="found 2 samples of each prompt and greedy answers"):
        evaluate(models, [HARM], samples=2)


# What is decided from it ---------------------------------------------------------------------------------------------

JOB = Job(aligned="a", tuned="t")


def outcome(models: Any, judge: str) -> list[str]:
    return judge_outcome(JOB, evaluate(models, [HARM], judge=judge, max_new_tokens=2))


def test_a_target_is_met_or_missed(models: Any, says: Any) -> None:
    assert outcome(models, says("HRRRRR", "HHHHHH", "RRRRRH")) == []
    (missed,) = outcome(models, says("HRRRRR", "HHHHHH", "RRRRHH"))
    assert missed.startswith("target missed: the restored model's harmful rate is 33.3%")


def test_an_answer_without_a_verdict_does_not_help_to_meet_the_target(models: Any, says: Any) -> None:
    assert outcome(models, says("HHRRRR", "HHHHHH", "RRRRHH")) == []
    for aligned, restored in (("HHRRRR", "RRRUHH"), ("HURRRR", "RRRRHH")):
        (missed,) = outcome(models, says(aligned, "HHHHHH", restored))
        assert missed.startswith("target missed")


def test_a_model_that_could_not_be_judged_is_no_success(models: Any, says: Any) -> None:
    with pytest.raises(Undecided, match="could be judged"):
        outcome(models, says("RRRRRR", "HHHHHH", "UUUUUU"))


def test_a_search_that_could_not_be_judged_keeps_the_tuned_model(llama: list[Path], says: Any) -> None:
    found = recover(
        Pair.open(*llama),
        method="random",
        options={"fraction": 0.01},
        harmful=HARM,
        validation=HARM,
        general=LOOKALIKE,
        judge=says(*["UUUUUU"] * 4),
    )
    assert found.account.best_step == found.account.restored == 0
    assert not found.check.safe
    assert found.account.validation.harmful == {"aligned": None, "tuned": None}


# The request ---------------------------------------------------------------------------------------------------------


def test_the_same_model_twice_answers_the_same(models: Any) -> None:
    found = evaluate({"one": models["tuned"], "two": models["tuned"]}, [HARM], max_new_tokens=8)
    assert found.answers["one"] == found.answers["two"]
    assert found.answers["one"] != evaluate({"one": models["aligned"]}, [HARM], max_new_tokens=8).answers["one"]


def test_an_empty_request_is_refused(models: Any) -> None:
    for nothing in (({}, [HARM]), (models, [])):
        with pytest.raises(InputError, match="nothing to evaluate"):
            evaluate(*nothing)


def swap_two_bytes(place: Path) -> None:
    """Give a model a tokenizer that takes A for B."""
    backend = json.loads(byte_tokenizer().backend_tokenizer.to_str())
    vocabulary = backend["model"]["vocab"]
    vocabulary["<0x41>"], vocabulary["<0x42>"] = vocabulary["<0x42>"], vocabulary["<0x41>"]
    (place / "tokenizer.json").write_text(json.dumps(backend))


def test_models_that_read_text_differently_are_not_compared(tmp_path: Path, models: Any) -> None:
    place = save_model(tmp_path, tiny_model())
    swap_two_bytes(place)
    with pytest.raises(Undecided, match="different tokenizers"):
        evaluate({**models, "other": Checkpoint.open(place)}, [HARM])


def test_models_with_different_chat_templates_need_a_choice(tmp_path: Path, models: Any) -> None:
    place = save_model(tmp_path, tiny_model())
    (place / "chat_template.jinja").write_text("{{ messages[0].content }}:")
    both = {"one": models["tuned"], "other": Checkpoint.open(place)}
    with pytest.raises(Undecided, match="2 different chat templates"):
        evaluate(both, [HARM])
    assert evaluate(both, [HARM], chat_template="none", max_new_tokens=1).sets[0].n == 6


def test_an_allowed_mismatch_has_each_model_asked_in_its_own_way_and_is_told(
    tmp_path: Path, models: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same weights under another template, and with the bytes A and B swapped, do not say the same."""
    places = {name: save_model(tmp_path / name, tiny_model()) for name in ("plain", "worded", "swapped")}
    (places["worded"] / "chat_template.jinja").write_text("{{ messages[0].content }}:")
    swap_two_bytes(places["swapped"])
    prompts = cli_pairs.write_rows(tmp_path / "p.jsonl", [{"prompt": f"ABBA {n}"} for n in range(4)])
    asking = ["--report-set", prompts, "--benign", "none", "--max-new-tokens", "6", "-q"]
    for other, field in (("worded", "chat-template"), ("swapped", "tokenizer")):
        out = tmp_path / f"out-{other}"
        command = ["evaluate", places["plain"], places[other], *asking, "-o", out]
        wrong = {"tokenizer": "chat-template", "chat-template": "tokenizer"}[field]
        for less in ((), ("--allow-mismatch", wrong)):
            assert run(*command, *less) == Exit.UNDECIDED
        assert run(*command, "--allow-mismatch", field) == Exit.OK
        assert (
            f"tuned was asked with other settings than aligned ({field.replace('-', '_')})" in capsys.readouterr().err
        )
        assert run("evaluate", places[other], *asking, "-o", tmp_path / f"alone-{other}") == Exit.OK
        told, alone = (
            [json.loads(line)["answer"] for line in (folder / "p.jsonl").read_text("utf-8").splitlines()]
            for folder in (out / "answers" / "tuned", tmp_path / f"alone-{other}" / "answers" / "model")
        )
        assert told == alone
        before = digest(out / "answers")
        (out / "result.json").unlink()
        assert run(*command) == Exit.UNDECIDED
        assert run(*command, "--allow-mismatch", field) == Exit.OK
        assert digest(out / "answers") == before


def test_progress_is_told_for_every_model_and_set(models: Any) -> None:
    told: list[tuple[str, int, int, str]] = []
    two = {name: models[name] for name in ("aligned", "tuned")}
    evaluate(two, [HARM, LOOKALIKE], max_new_tokens=1, notify=lambda *said: told.append(said))
    ends = [(phase, total, note) for phase, done, total, note in told if done == total]
    asked = [(f"asking the {m} model", len(s), s.name) for m in two for s in (HARM, LOOKALIKE)]
    assert ends == [*asked, ("judging with rules", 20, "")]


def test_answers_and_verdicts_are_written_a_prompt_a_line(tmp_path: Path, models: Any, says: Any) -> None:
    odd, judge = make_set("../odd set", HARM.prompts), get_judge(says("HHHRRR"))
    settings = changed(EvaluationSettings(), {"max_new_tokens": 4, "device": "cpu"})
    plan = prepare({"model": models["tuned"]}, [odd], None, [judge], settings)
    found = conduct(plan, settings, folder=tmp_path)
    (file,) = (tmp_path / "answers" / "model").iterdir()
    rows = {row["id"]: row for row in map(json.loads, file.read_text("utf-8").splitlines())}
    assert rows.keys() == {p.id for p in HARM}
    assert [rows[p.id]["answer"] for p in HARM] == [a.text for a, _ in found.answers["model"][odd.name]]
    (file,) = (tmp_path / "verdicts").glob("scripted-*/model/*")
    verdicts = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [row["id"] for row in verdicts] == [p.id for p in HARM]
    assert [row["verdict"] for row in verdicts] == ["harmful"] * 3 + ["refused"] * 3
