"""Judges against people's labels and against each other: counts by hand, files as they come, and the correction."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cli_pairs
import pytest
from cli_pairs import COMPLIANCE, REFUSAL, run
from hypothesis import given
from hypothesis import strategies as st

from recover.errors import Exit, InputError, Undecided
from recover.evaluation.evaluate import count
from recover.judges import Judgement, Rules, Verdict, calibration, get_judge
from recover.judges.calibration import Calibration, Columns, agreements, calibrate, cross, meaning, read_labels
from recover.report.tables import grids, table
from recover.results import schema, statistics
from recover.results.schema import Rates, Result

HELP = "Take the red one, it is on the left, and then go home."
LETTERS = {v.value[0].upper(): v for v in Verdict}  # H R S D U


def judged(letters: str) -> list[Judgement]:
    return [Judgement(LETTERS[letter], letter == "R") for letter in letters]


def write(file: Path, rows: Sequence[dict[str, str]]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


def labelled(folder: Path, answers: dict[str, tuple[int, int, int]], name: str = "labels.csv") -> Path:
    """A table of answers, each so many times called compliance, refusal and partial refusal by people."""
    labels = ("1_full_compliance", "2_full_refusal", "3_partial_refusal")
    said = [
        (a, label) for a, counts in answers.items() for label, n in zip(labels, counts, strict=True) for _ in range(n)
    ]
    rows = [{"id": f"v{i}", "Prompt": f"Ask {i}?", "completion": a, "final_label": b} for i, (a, b) in enumerate(said)]
    return write(folder / name, rows)


@pytest.fixture
def table_file(tmp_path: Path) -> Path:
    """20 refusals that the rules find and 2 that they miss; 3 that they invent and 15 that are none."""
    return labelled(tmp_path, {REFUSAL: (3, 14, 6), HELP: (15, 0, 2)})


@pytest.fixture
def found(table_file: Path) -> Calibration:
    return calibrate(Rules(), [read_labels(table_file)])


# Two raters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "kappa"),
    [((20, 5, 10, 15), 0.4), ((45, 15, 25, 15), 0.1304), ((10, 0, 0, 10), 1.0), ((0, 5, 5, 0), -1.0)],
)
def test_kappa_is_cohens(counts: tuple[int, int, int, int], kappa: float) -> None:
    assert statistics.cohen_kappa(*counts) == pytest.approx(kappa, abs=1e-4)


def test_kappa_is_unknown_where_chance_agrees_as_well() -> None:
    assert statistics.cohen_kappa(7, 0, 0, 0) is None
    assert statistics.cohen_kappa(0, 0, 0, 7) is None
    with pytest.raises(Undecided):
        statistics.cohen_kappa(0, 0, 0, 0)


@given(st.lists(st.tuples(st.sampled_from([True, False, None]), st.sampled_from([True, False, None])), max_size=30))
def test_items_without_an_opinion_are_left_out(pairs: list[tuple[bool | None, bool | None]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    counts = cross(first, second)
    assert sum(counts) == sum(None not in pair for pair in pairs)
    assert counts[0] == pairs.count((True, True))
    assert cross(second, first) == (counts[0], counts[2], counts[1], counts[3])


def test_judges_are_compared_by_channel() -> None:
    ours = [("harmful", judged("HHRRU")), ("refused", judged("RSS"))]
    theirs = [("harmful", judged("HSRDH")), ("refused", judged("RRU"))]
    harm, refusal = agreements([("a", ours), ("b", theirs)])
    assert (harm.judges, harm.channel, harm.n, harm.agreement) == (("a", "b"), "harmful", 4, 0.75)
    assert harm.kappa == statistics.cohen_kappa(1, 1, 0, 2)
    assert (refusal.channel, refusal.n, refusal.agreement, refusal.kappa) == ("refused", 2, 0.5, 0.0)


def test_three_judges_make_three_pairs_and_one_makes_none() -> None:
    said = [(name, [("harmful", judged("HS"))]) for name in "abc"]
    assert [a.judges for a in agreements(said)] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert agreements(said[:1]) == []


def test_judges_without_a_common_verdict_agree_on_nothing_known() -> None:
    (found,) = agreements([("a", [("harmful", judged("UU"))]), ("b", [("harmful", judged("HS"))])])
    assert (found.n, found.agreement, found.kappa) == (0, None, None)


# People's labels ---------------------------------------------------------------------------------------------------


def test_a_public_file_is_read_as_it_is(table_file: Path) -> None:
    read = read_labels(table_file)
    assert len(read.items) == len(read.labels) == 40
    prompt, answer = read.items[0]
    assert (prompt.id, prompt.text, answer.text, read.labels[0]) == ("v0", "Ask 0?", REFUSAL, "1_full_compliance")
    assert meaning(read.labels) == ("refused", {"2_full_refusal", "3_partial_refusal"})


def test_columns_may_be_named(tmp_path: Path) -> None:
    rows = [{"Q": "Who?", "Said By Model": "", "Gold": "bad", "label": "ignored"}]
    read = read_labels(write(tmp_path / "odd.csv", rows), Columns("q", "said by model", "GOLD"))
    assert (read.items[0][0].text, read.items[0][1].text, read.labels) == ("Who?", "", ("bad",))
    assert read.items[0][0].id == "odd-1"


def test_rows_whose_ids_repeat_are_known_by_their_number(tmp_path: Path) -> None:
    rows = [{"id": "x", "prompt": "Who?", "answer": text, "label": "refused"} for text in ("One.", "Two.")]
    read = read_labels(write(tmp_path / "two.csv", rows))
    assert [prompt.id for prompt, _ in read.items] == ["two-1", "two-2"]


@pytest.mark.parametrize(
    ("rows", "columns", "problem"),
    [
        ([{"a": "x", "completion": "x", "label": "x"}], Columns(), "no column prompt or goal .*--prompt-column"),
        ([{"prompt": "x", "b": "x", "label": "x"}], Columns(), "no column completion or .*--completion-column"),
        ([{"prompt": "x", "answer": "x", "c": "x"}], Columns(), "found prompt, answer, c; name it with --label-column"),
        ([{"prompt": "x", "answer": "x", "label": "x"}], Columns(label="gold"), "no column gold"),
        ([{"prompt": "x", "answer": "x", "label": ""}], Columns(), "row 1 has no prompt or no label"),
    ],
)
def test_a_file_without_its_columns_is_one_sentence(
    tmp_path: Path, rows: list[dict[str, str]], columns: Columns, problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        read_labels(write(tmp_path / "x.csv", rows), columns)


def test_what_labels_mean_is_read_or_told() -> None:
    assert meaning(["safe", "unsafe"]) == ("harmful", {"unsafe"})
    assert meaning(["refusal", "non-refusal"]) == ("refused", {"refusal"})
    assert meaning(["0", "1"], ["1"], "harmful") == ("harmful", {"1"})
    assert meaning(["harmful", "refused", "safe"], channel="refused") == ("refused", {"refused"})
    assert meaning(["full refusal", "partial refusal", "answer"], ["full refusal"]) == ("refused", {"full refusal"})
    for labels, positive, channel in (
        (["0", "1"], [], None),
        (["0", "1"], ["1"], None),
        (["0", "1"], [], "harmful"),
        (["harmful", "refused", "safe"], [], None),
    ):
        with pytest.raises(InputError, match="do not say what they mean"):
            meaning(labels, positive, channel)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no answer has the label 2: found 0, 1"):
        meaning(["0", "1"], ["2"], "harmful")


# A judge against people --------------------------------------------------------------------------------------------


def test_a_calibration_counts_what_the_judge_finds_and_misses(found: Calibration) -> None:
    sensitivity, specificity = statistics.rate("", 20, 22), statistics.rate("", 15, 18)
    assert (found.channel, found.n, found.unscored) == ("refused", 40, 0)
    assert (found.sensitivity, found.sensitivity_ci95) == (20 / 22, (sensitivity.low, sensitivity.high))
    assert (found.specificity, found.specificity_ci95) == (15 / 18, (specificity.low, specificity.high))
    assert found.agreement == 35 / 40
    assert found.kappa == statistics.cohen_kappa(20, 2, 3, 15)
    assert (found.judge, found.fingerprint) == ("rules", Rules().fingerprint)


def test_files_are_pooled_and_each_is_told_of(tmp_path: Path, table_file: Path) -> None:
    other = labelled(tmp_path, {REFUSAL: (0, 5, 0), HELP: (5, 0, 0)}, "other.csv")
    found = calibrate(Rules(), [read_labels(table_file), read_labels(other)])
    assert (found.n, found.sensitivity, found.specificity) == (50, 25 / 27, 20 / 23)
    assert [(f.n, f.kappa) for f in found.files] == [(40, statistics.cohen_kappa(20, 2, 3, 15)), (10, 1.0)]


def test_labels_of_harm_calibrate_the_harmful_channel(tmp_path: Path) -> None:
    rows = [("unsafe", HELP), ("unsafe", REFUSAL), ("safe", REFUSAL), ("safe", REFUSAL), ("safe", "")]
    table = [{"prompt": f"Ask {i}?", "response": text, "label": label} for i, (label, text) in enumerate(rows)]
    found = calibrate(Rules(), [read_labels(write(tmp_path / "harm.csv", table))])
    assert (found.channel, found.sensitivity, found.specificity) == ("harmful", 0.5, 1.0)


def test_unscored_answers_are_counted_and_help_nobody(tmp_path: Path, table_file: Path) -> None:
    rows = [{"id": f"v{i}", "verdict": "refused"} for i in range(30)]  # 3 of compliance, 20 refusals, 7 of compliance
    (tmp_path / "some.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = calibrate(get_judge(f"file:{tmp_path / 'some.jsonl'}"), [read_labels(table_file)])
    assert (found.n, found.unscored, found.sensitivity, found.specificity) == (30, 10, 1.0, 0.0)


@pytest.mark.parametrize("counts", [{REFUSAL: (0, 5, 0)}, {REFUSAL: (0, 0, 3), HELP: (0, 2, 0)}])
def test_labels_that_are_all_alike_calibrate_nothing(tmp_path: Path, counts: Any) -> None:
    with pytest.raises(Undecided, match="'specificity' has no scored item"):
        calibrate(Rules(), [read_labels(labelled(tmp_path, counts))])


def test_a_calibration_survives_its_file(tmp_path: Path, found: Calibration) -> None:
    (tmp_path / "c.json").write_text(calibration.dumps(found))
    assert calibration.load_calibration(tmp_path / "c.json") == found


@pytest.mark.parametrize("change", [{"sensitivity": 1.2}, {"channel": "taste"}, {"n": 0}, {"schema": "x"}, {"more": 1}])
def test_a_file_that_is_no_calibration_is_one_sentence(
    tmp_path: Path, found: Calibration, change: dict[str, object]
) -> None:
    (tmp_path / "c.json").write_text(json.dumps({**json.loads(calibration.dumps(found)), **change}))
    with pytest.raises(InputError, match=r"is no calibration \("):
        calibration.load_calibration(tmp_path / "c.json")


def test_another_judges_calibration_is_refused(found: Calibration, monkeypatch: pytest.MonkeyPatch) -> None:
    found.check(Rules())
    monkeypatch.setattr("recover.judges.rules._VERSION", "next")
    with pytest.raises(InputError, match="calibrate that one"):
        found.check(Rules())


# The correction ----------------------------------------------------------------------------------------------------


def test_only_the_rate_of_the_calibrated_channel_is_corrected(found: Calibration) -> None:
    rates = count(judged("HHRRRSSSSS"), "refuse")
    true = calibration.corrected(rates, found)
    assert rates.refused is not None
    assert true.refused is not None
    assert true.refused.corrected == pytest.approx((0.3 + 15 / 18 - 1) / (20 / 22 + 15 / 18 - 1))
    assert true.refused.model_copy(update={"corrected": None}) == rates.refused
    assert (true.harmful, true.degenerate, true.unscored) == (rates.harmful, rates.degenerate, rates.unscored)
    other = calibration.corrected(rates, found.model_copy(update={"channel": "harmful"}))
    assert other.refused == rates.refused
    assert other.harmful is not None
    assert other.harmful.corrected is not None


def test_what_is_unknown_stays_unknown(found: Calibration) -> None:
    for rates in (Rates(), count(judged("UU"), "refuse")):
        assert calibration.corrected(rates, found) == rates
    useless = found.model_copy(update={"sensitivity": 0.4, "specificity": 0.5})
    assert calibration.corrected(count(judged("RS"), "refuse"), useless) == count(judged("RS"), "refuse")


# The commands ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An aligned model that always refuses, its fine-tune that never does, and prompts."""
    return cli_pairs.write_pair(tmp_path_factory.mktemp("models"))


def evaluate(models: Path, *more: object) -> Any:
    prompts = {file.stem: file for file in (models / "prompts").iterdir()}
    return run("evaluate", models / "aligned", models / "tuned", *cli_pairs.asking(prompts), *more)


def test_calibrate_prints_and_stores(table_file: Path, tmp_path: Path, capsys: Any, found: Calibration) -> None:
    out = tmp_path / "c.json"
    assert run("judge", "calibrate", "--labels", table_file, "--judge", "rules", "--out", out) == Exit.OK
    told = capsys.readouterr().out
    assert "n: 40 (0 unscored)\n" in told
    assert f"kappa: {found.kappa:.3f}\n" in told
    assert "sensitivity: 90.9 % [72.2, 97.5]\nspecificity: 83.3 % [60.8, 94.2]\n" in told
    assert calibration.load_calibration(out) == found
    assert run("judge", "calibrate", "--labels", table_file, "--out", out) == Exit.USAGE
    assert "exists; pass --overwrite" in capsys.readouterr().err
    assert run("judge", "calibrate", "--labels", table_file, "--json") == Exit.OK
    assert capsys.readouterr().out == out.read_text()


def test_judge_list_names_every_kind(capsys: Any) -> None:
    assert run("judge", "list") == Exit.OK
    told = capsys.readouterr().out
    for kind in (
        "rules",
        "guard:",
        "classifier:",
        "openai:",
        "exec:",
        "file:",
        "ensemble:",
        "package.module:attribute",
    ):
        assert kind in told


def test_a_calibrated_run_carries_the_corrected_rates(
    models: Path, table_file: Path, tmp_path: Path, capsys: Any
) -> None:
    run("judge", "calibrate", "--labels", table_file, "--out", tmp_path / "c.json")
    assert evaluate(models, "--calibration", tmp_path / "c.json", "-o", tmp_path / "out") == Exit.OK
    told = capsys.readouterr().out
    found = schema.load(tmp_path / "out" / "result.json")
    (judge,) = found.judges
    assert judge.calibration is not None
    assert (judge.calibration["channel"], judge.calibration["sensitivity"]) == ("refused", 20 / 22)
    report, benign = found.sets
    for rates in (report.rates["aligned"], benign.rates["aligned"]):
        assert rates.refused is not None
        assert (rates.refused.rate, rates.refused.corrected) == (1.0, 1.0)
    assert report.rates["tuned"].harmful is not None
    assert report.rates["tuned"].harmful.corrected is None
    assert "corrected" in told
    for form in ("report.md", "report.html"):
        assert "Over-refusal: benign, corrected" in (tmp_path / "out" / form).read_text()
    labels = [row.label for row in table(found)]
    assert "Over-refusal: benign, corrected" in labels
    assert not any(label.startswith("Harmful") and "corrected" in label for label in labels)


def test_a_calibration_of_another_judge_is_refused_before_any_work(
    models: Path, table_file: Path, tmp_path: Path, capsys: Any
) -> None:
    run("judge", "calibrate", "--labels", table_file, "--out", tmp_path / "c.json")
    capsys.readouterr()
    more = ("--judge", "cli_pairs:Alarmed", "--judge", "rules", "--calibration", tmp_path / "c.json")
    assert evaluate(models, *more, "-o", tmp_path / "out") == Exit.USAGE
    assert "first judge of this run is alarmed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_first_judge_makes_the_rates_and_the_others_agree_or_not(models: Path, tmp_path: Path, capsys: Any) -> None:
    asked = "".join((models / "prompts" / f"{name}.jsonl").read_text() for name in ("report", "benign"))
    prompts = [json.loads(line) for line in asked.splitlines()]
    rows = [{"id": p["id"], "answer": COMPLIANCE, "verdict": "harmful"} for p in prompts[:6]]
    (tmp_path / "people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    people = f"file:{tmp_path / 'people.jsonl'}"
    more = ("--judge", "rules", "--judge", people, "--judge", "cli_pairs:Alarmed")
    assert evaluate(models, *more, "-o", tmp_path / "out") == Exit.OK
    found = schema.load(tmp_path / "out" / "result.json")
    assert found.summary.harmful == {"aligned": 0.0, "tuned": 1.0}
    assert [judge.name for judge in found.judges] == ["rules", people, "alarmed"]
    seen = {(*a.judges, a.channel): (a.n, a.agreement, a.kappa) for a in found.agreement}
    assert seen["rules", people, "harmful"] == (6, 1.0, None)  # people labelled six of the fine-tune's answers
    assert seen["rules", people, "refused"] == (0, None, None)
    assert seen["rules", "alarmed", "harmful"] == (16, 0.5, 0.0)
    assert len(seen) == 6
    (grid,) = [grid for grid in grids(found) if grid.title == "Agreement of the judges"]
    assert ("rules", "alarmed", "harmful", "16", "50.0 %", "0.000") in grid.rows
    assert "Agreement of the judges" in (tmp_path / "out" / "report.html").read_text()


def test_answers_that_could_not_be_judged_are_told_of(models: Path, capsys: Any) -> None:
    assert evaluate(models, "--judge", "cli_pairs:Blind", "--json") == Exit.OK
    found = Result.model_validate_json(capsys.readouterr().out)
    assert found.warnings == ["32 of 32 answers could not be judged; the rates are of the others"]
    assert found.summary.harmful == {"aligned": None, "tuned": None}


@pytest.mark.parametrize("specs", [("rules", "rules"), ("file:x.jsonl",)])
def test_judges_that_cannot_be_used_are_refused(models: Path, specs: tuple[str, ...], capsys: Any) -> None:
    assert evaluate(models, *(word for spec in specs for word in ("--judge", spec))) == Exit.USAGE
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_result_without_agreement_is_still_read() -> None:
    data = {"tool": {"version": "0.1.0"}, "created": "x", "status": "complete", "exit_code": 0, "checkpoints": {}}
    assert Result.model_validate(data).agreement == []
