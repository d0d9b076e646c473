"""Tests of the reports: the schema holds, the numbers are the result's, and nothing from outside runs or is fetched."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from recover.errors import InputError
from recover.report.numbers import NONE, count, duration, interval, percent, size
from recover.report.render import html, markdown, write
from recover.report.tables import Cell, TableRow, facts, headline, table
from recover.results.schema import PairReport, Rate, Result, dumps, load, schema
from recover.results.statistics import paired_difference, upper95
from recover.results.statistics import rate as measured

NAMES = ("aligned", "tuned", "restored")
EVIL = "<script>alert(1)</script>"


def make_rate(k: int, n: int) -> dict[str, Any]:
    found = measured("rate", k, n)
    return {"k": k, "n": n, "rate": found.value, "ci95": [found.low, found.high], "upper95": upper95(k, n)}


def make_rates(harmful: int, refused: int, n: int) -> dict[str, Any]:
    parts = {"harmful": harmful, "refused": refused, "degenerate": 0, "unscored": 0}
    return {name: make_rate(k, n) for name, k in parts.items()}


def make_set(name: str, expect: str, n: int, harmful: tuple[int, ...], refused: tuple[int, ...]) -> dict[str, Any]:
    rates = {names: make_rates(h, r, n) for names, h, r in zip(NAMES, harmful, refused, strict=True)}
    difference, *ends = paired_difference(both=5, only_first=n // 4, only_second=1, neither=n - 6 - n // 4)
    pair = {"from": "tuned", "to": "restored", "fixed": n // 4, "broken": 1, "both": 5, "neither": n - 6 - n // 4}
    pair |= {"difference": difference, "ci95": ends, "mcnemar_p": 2.98e-8}
    half = {names: make_rates(h // 2, r // 2, n // 2) for names, h, r in zip(NAMES, harmful, refused, strict=True)}
    parts = [{"category": part, "n": n // 2, "rates": half} for part in ("violent crimes", "privacy")]
    prompts = {"name": name, "expect": expect, "n": n, "sha256": "ab" * 32, "leakage": 0, "rates": rates}
    return prompts | {"pairs": [pair], "by_category": parts}


def make_step(step: int, restored: int, harmful: float, task: float, note: str = "") -> dict[str, Any]:
    measures = {"objective": 3.2 / (step + 1), "terms": {"refusal": 3.0 / (step + 1)}, "harmful": harmful, "task": task}
    counts = {"step": step, "k": restored // 2, "restored": restored, "fraction": restored / 5_400_000}
    return counts | measures | {"note": note}


def make_restoration() -> dict[str, Any]:
    path = [(0, 0.32, 0.874), (540, 0.31, 0.875), (1080, 0.29, 0.872), (2160, 0.23, 0.869), (4320, 0.14, 0.871)]
    path += [(8640, 0.06, 0.865), (12345, 0.02, 0.866), (24690, 0.01, 0.79)]
    steps = [make_step(i, *point, note="task under the floor" if i == 7 else "") for i, point in enumerate(path)]
    kinds = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "embed_tokens")
    matrices = [{"matrix": name, "restored": 300 * (i + 1), "weights": 600_000} for i, name in enumerate(kinds)]
    blocks = [{"block": i, "restored": 40 * i * (24 - i), "weights": 220_000} for i in range(24)]
    return {
        "method": "refusal-kl", "restored": 12345, "weights": 5_400_000, "fraction": 12345 / 5_400_000, "steps": steps,
        "stopped": "target met", "seconds": 754.2, "peak_rss_bytes": 3 * 2**30, "candidates": 4_100_000,
        "options": {"budget": 0.01}, "by_block": [*blocks, {"block": None, "restored": 500, "weights": 120_000}],
        "by_matrix": matrices, "best_step": 6,
        "validation": {
            "harmful": {"aligned": 0.01, "tuned": 0.32}, "task": {"aligned": 0.71, "tuned": 0.874}, "floor": 0.83,
        },
    }  # fmt: skip


def make_data() -> dict[str, Any]:
    """A whole run: three checkpoints, two harmful sets, benign look-alikes, a task, a restoration."""
    sets = [
        make_set("report_harmful", "refuse", 350, (2, 112, 6), (345, 200, 340)),
        make_set("second_harmful", "refuse", 100, (0, 40, 3), (99, 50, 95)),
        make_set("benign_lookalike", "comply", 200, (0, 0, 0), (9, 4, 11)),
    ]
    task = {
        "name": "arithmetic",
        "metric": "exact_match",
        "n": 200,
        "values": dict(zip(NAMES, (0.7, 0.87, 0.86), strict=True)),
    }
    task |= {"ci95": dict(zip(NAMES, ([0.63, 0.76], [0.82, 0.91], [0.8, 0.9]), strict=True))}
    return {
        "schema": "recover-align/result/1",
        "tool": {"name": "recover-align", "version": "0.1.0"},
        "created": "2025-01-02T03:04:05Z",
        "status": "complete",
        "exit_code": 0,
        "checkpoints": {name: {"path": f"models/{name}", "sha256": "cd" * 32, "dtype": "bfloat16"} for name in NAMES},
        "restoration": make_restoration(),
        "settings": {"command": ["recover-align", "models/aligned", "models/tuned"], "max_new_tokens": 256, "seed": 0},
        "judges": [{"name": "rules", "fingerprint": "rules-1", "calibration": None}],
        "agreement": [
            {"judges": ["rules", "guard:x"], "channel": "harmful", "n": 1350, "agreement": 0.91, "kappa": 0.8}
        ],
        "sets": sets,
        "tasks": [task | {"drop": 0.01, "floor": 0.82, "non_inferior": True}],
        "audit": None,
        "summary": {
            "harmful": dict(zip(NAMES, (2 / 450, 152 / 450, 9 / 450), strict=True)),
            "over_refusal": dict(zip(NAMES, (0.045, 0.02, 0.055), strict=True)),
            "degenerate": dict.fromkeys(NAMES, 0.0),
            "task_retention": 0.86 / 0.87,
            "recovery_fraction": 0.953,
        },
        "warnings": ["The judge `rules` is not calibrated for harm."],
        "environment": {"python": "3.11", "threads": 1},
    }


def make_one_model() -> dict[str, Any]:
    """An evaluation of one model, under a name of its own: no task, no restoration, some rates unknown."""
    prompts = make_set("report_harmful", "refuse", 20, (1, 1, 1), (19, 19, 19))
    rates = {"my-model": prompts["rates"]["tuned"] | {"refused": None}}
    return {
        "tool": {"version": "0.1.0"}, "created": "2025-01-02T03:04:05Z", "status": "partial", "exit_code": 0,
        "schema": "recover-align/result/1", "checkpoints": {"my-model": {"path": "models/mine"}},
        "settings": {"limit": 20}, "sets": [prompts | {"rates": rates, "pairs": [], "by_category": []}],
        "summary": {"harmful": {"my-model": 0.05}},
    }  # fmt: skip


@pytest.fixture(scope="module")
def result() -> Result:
    return Result.model_validate(make_data())


@pytest.fixture(scope="module")
def page(result: Result) -> str:
    return html(result)


# The schema


def test_round_trip(result: Result) -> None:
    assert Result.model_validate_json(dumps(result)) == result
    assert json.loads(dumps(result))["sets"][0]["pairs"][0]["from"] == "tuned"
    assert dumps(result).endswith("}\n")


def test_every_field_of_the_input_is_in_the_output() -> None:
    data = make_data()
    for key, value in json.loads(dumps(Result.model_validate(data))).items():
        assert key in data
        assert value == data[key] or key in ("sets", "restoration")


@pytest.mark.parametrize(
    "change", [{"extra": 1}, {"schema": "recover-align/result/2"}, {"status": "done"}, {"exit_code": -1}]
)
def test_the_schema_is_closed(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Result.model_validate(make_data() | change)


def test_nan_is_refused_wherever_it_stands() -> None:
    for part in ("settings", "environment"):
        with pytest.raises(ValidationError):
            Result.model_validate(make_data() | {part: {"x": [float("nan")]}})
    with pytest.raises(ValidationError):
        Rate(k=1, n=2, rate=float("nan"))


def test_a_rate_of_nothing_is_not_zero() -> None:
    with pytest.raises(ValidationError, match="n > 0"):
        Rate(k=0, n=0, rate=0.0)
    with pytest.raises(ValidationError, match="exceeds"):
        Rate(k=3, n=2)
    assert Rate(k=0, n=0).rate is None
    assert Rate(k=0).n is None


def test_numbers_belong_to_listed_checkpoints() -> None:
    with pytest.raises(ValidationError, match="numbers for other"):
        Result.model_validate(make_data() | {"summary": {"harmful": {"other": 0.1}}})


def test_models_are_frozen_and_take_python_names() -> None:
    pair = PairReport(from_="tuned", to="restored", fixed=1, broken=0, both=0, neither=3)
    with pytest.raises(ValidationError):
        pair.fixed = 2  # type: ignore[misc]
    assert pair.model_dump(by_alias=True)["from"] == "tuned"


def test_json_schema_names_what_is_written() -> None:
    found = schema()
    assert set(found["properties"]) == set(make_data())
    assert set(found["required"]) == set(make_data())
    assert found["additionalProperties"] is False
    assert "from" in found["$defs"]["PairReport"]["properties"]
    json.dumps(found)


# Files


def test_write_and_load(result: Result, tmp_path: Path) -> None:
    path = write(result, tmp_path / "new" / "run")
    assert load(path) == result
    assert sorted(p.name for p in path.parent.iterdir()) == ["report.html", "report.md", "result.json"]
    assert path.read_text(encoding="utf-8") == dumps(result)
    assert (path.parent / "report.md").read_text(encoding="utf-8") == markdown(result)


def test_result_json_comes_last(result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    real = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, to: (moved.append(to.name), real(self, to))[1])
    write(result, tmp_path)
    assert moved[-1] == "result.json"


@pytest.mark.parametrize(
    ("error", "seen"), [(PermissionError(13, "Not permitted"), InputError), (OSError(28, "No space left"), OSError)]
)
def test_a_failed_write_leaves_nothing_half_done(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, seen: type[Exception]
) -> None:
    """A full disk is not the user's mistake: whoever staged the output tells of it."""

    def fail(self: Path, to: Path) -> Path:
        raise error

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(seen, match=str(error.strerror)):
        write(result, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("\udcff", "not valid JSON"),
        ("[]", "schema None"),
        ('{"schema": "recover-align/result/9"}', "expected 'recover-align/result/1'"),
        ('{"schema": "recover-align/result/1"}', "tool: Field required .and 4 more"),
        ('{"schema": NaN}', "NaN is not a JSON number"),
    ],
)
def test_load_says_what_is_wrong(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=words) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_load_of_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        load(tmp_path / "result.json")


# Numbers as text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, NONE), (0.0, "0 %"), (1.0, "100 %"), (0.123, "12.3 %"), (0.0023, "0.23 %"), (0.00023, "0.023 %"),
        (0.00999, "1.0 %"), (0.9997, "100.0 %"), (-0.015, "-1.5 %"), (1e-9, "< 0.0001 %"), (-1e-9, "> -0.0001 %"),
        (2e-6, "0.00020 %"),
    ],
)  # fmt: skip
def test_percent(value: float | None, text: str) -> None:
    assert percent(value) == text


def test_other_units() -> None:
    assert interval((0.0912, 0.1618)) == "[9.1, 16.2]"
    assert interval((-1e-18, 0.05)) == "[0.0, 5.0]"
    assert interval((-0.053, -0.0001)) == "[-5.3, 0.0]"
    assert count(1234567) == "1,234,567"
    assert [duration(s) for s in (None, 3.21, 200, 4000)] == [NONE, "3.2 s", "3 min 20 s", "1 h 6 min"]
    assert [size(b) for b in (None, 5 * 2**20, 3 * 2**30)] == [NONE, "5 MiB", "3.0 GiB"]


# The table and the sentences


def test_table_has_the_results_numbers(result: Result) -> None:
    rows = {row.label: row for row in table(result)}
    assert list(rows) == [
        "Harmful rate: report_harmful", "Harmful rate: second_harmful", "Harmful rate, all sets",
        "Over-refusal: benign_lookalike", "Degenerate answers", "Task: arithmetic (exact_match)",
    ]  # fmt: skip
    for name in NAMES:
        known = result.sets[0].rates[name].harmful
        assert known is not None
        assert rows["Harmful rate: report_harmful"].cells[name] == Cell(known.rate, known.ci95, known.n)
        overall = rows["Harmful rate, all sets"].cells[name]
        assert overall.value == result.summary.harmful[name]
        assert overall.n == 450
        assert overall.ci95 is not None
        assert overall.ci95[0] < overall.value < overall.ci95[1]


def test_no_interval_for_a_summary_that_is_no_pooled_rate() -> None:
    data = make_data()
    data["summary"]["harmful"]["tuned"] = 0.5
    row = table(Result.model_validate(data))[2]
    assert row.cells["tuned"] == Cell(0.5)


def test_n_of_a_row_is_a_range_when_it_differs() -> None:
    row = TableRow("x", "lower", {"a": Cell(0.1, n=348), "b": Cell(0.1, n=350), "c": Cell(None)})
    assert row.n == f"348{NONE}350"
    assert TableRow("x", "lower", {"a": Cell(0.1)}).n == NONE


def test_headline(result: Result) -> None:
    assert headline(result) == (
        "Restoring 12,345 of 5,400,000 weights (0.23 %) took the harmful rate from 33.8 % to 2.0 % (aligned: 0.44 %)"
        " and over-refusal from 2.0 % to 5.5 %; the task score kept 98.9 % of the tuned model's."
    )


def test_facts(result: Result) -> None:
    found = dict(facts(result))
    assert found["Outcome"] == "done (exit code 0)"
    assert found["Weights restored"] == "12,345 of 5,400,000 weights (0.23 %)"
    assert found["Time"] == "12 min 34 s"
    assert found["Peak memory"] == "3.0 GiB"
    assert found["Steps"] == "8, best 6"
    assert "uncalibrated for harm" in found["Judge"]


def test_a_calibrated_judge_says_so() -> None:
    judge = {"name": "guard:x", "fingerprint": "f", "calibration": {"sensitivity": 0.93, "specificity": 0.99}}
    found = dict(facts(Result.model_validate(make_data() | {"judges": [judge]})))
    assert "calibrated: sensitivity 0.93, specificity 0.99" in found["Judge"]
    unknown = dict(facts(Result.model_validate(make_data() | {"judges": [judge | {"calibration": None}]})))
    assert "not calibrated" in unknown["Judge"]


# Markdown


def test_markdown_has_every_number_of_the_table(result: Result) -> None:
    text = markdown(result)
    for row in table(result):
        line = next(line for line in text.splitlines() if line.startswith(f"| {row.label} |"))
        cells = [cell.strip() for cell in line.split("|")[2:-1]]
        assert cells == [row.n, *(row.cells[name].text for name in NAMES)]
    for _, value in facts(result):
        assert value in text
    assert "recover-align models/aligned models/tuned" in text


def test_markdown_survives_fences_in_a_command() -> None:
    data = make_data() | {"settings": {"command": "x ```` y"}}
    assert "`````sh\nx ```` y\n`````" in markdown(Result.model_validate(data))


# HTML


class Page(HTMLParser):
    """Collects the tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def values(self) -> Iterator[tuple[str, str]]:
        for _, attributes in self.tags:
            yield from ((name, value) for name, value in attributes.items() if value)


def test_page_has_the_tables_numbers_and_three_plots(result: Result, page: str) -> None:
    read = Page(page)
    words = " ".join(" ".join(read.text).split())
    for row in table(result):
        for cell in row.cells.values():
            assert f"{cell.share} {cell.ends}" in words
    assert [tag for tag, _ in read.tags].count("svg") == 3
    assert headline(result) in words


def test_page_fetches_nothing(page: str) -> None:
    for name, value in Page(page).values():
        if not name.startswith("xmlns"):
            assert "//" not in value
            assert name not in ("src", "action", "data", "poster", "srcset")
        if name in ("href", "xlink:href"):
            assert value.startswith("#")
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    assert set(re.findall(r"https?://[^\"'\s<]+", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert not {tag for tag, _ in Page(page).tags} & {
        "script",
        "link",
        "iframe",
        "img",
        "object",
        "embed",
        "base",
        "form",
    }


def test_ids_are_unique_and_references_hold(page: str) -> None:
    ids = [value for name, value in Page(page).values() if name == "id"]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= set(ids)


def test_same_result_same_bytes(result: Result, page: str) -> None:
    again = Result.model_validate_json(dumps(result))
    assert html(again) == page
    assert markdown(again) == markdown(result)
    assert dumps(again) == dumps(result)


def test_global_plot_settings_neither_matter_nor_change(result: Result, page: str) -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9}):
        before = dict(matplotlib.rcParams)
        assert html(result) == page
        assert dict(matplotlib.rcParams) == before


def poisoned(value: Any, key: str = "") -> Any:
    """The same data with a script, and what breaks other formats, in every text that may come from outside."""
    if isinstance(value, dict):
        names = ("options", "settings", "environment", "calibration", "terms")
        return {(k + EVIL if key in names else k): poisoned(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [poisoned(item, key) for item in value]
    fixed = ("schema", "status", "expect", "from", "to", "channel")
    return f"_{value}{EVIL}|`$x_$&\x1b[31m" if isinstance(value, str) and key not in fixed else value


def renamed(data: dict[str, Any]) -> dict[str, Any]:
    """The same data with a script in the name of a checkpoint."""
    text = json.dumps(data).replace('"aligned"', json.dumps("_aligned" + EVIL))
    changed: dict[str, Any] = json.loads(text)
    return changed


@pytest.fixture(scope="module")
def evil() -> Result:
    return Result.model_validate(renamed(poisoned(make_data())))


def test_page_escapes_everything_from_outside(evil: Result, page: str) -> None:
    text = html(evil)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "\x1b" not in text
    assert {tag for tag, _ in Page(text).tags} == {tag for tag, _ in Page(page).tags}


def test_markdown_escapes_everything_from_outside(evil: Result, result: Result) -> None:
    text = markdown(evil)
    assert "<script" not in text
    assert "\x1b" not in text
    assert [line.count(" | ") for line in text.splitlines() if line.startswith("|")] == [
        line.count(" | ") for line in markdown(result).splitlines() if line.startswith("|")
    ]


def test_evil_result_is_kept_as_it_is(evil: Result, tmp_path: Path) -> None:
    assert load(write(evil, tmp_path)) == evil


# Results with less in them


def test_one_model_without_task_or_restoration() -> None:
    one = Result.model_validate(make_one_model())
    assert [row.label for row in table(one)] == ["Harmful rate: report_harmful"]
    assert headline(one) == (
        "Partial result. Quick look at no more than 20 prompts a set. Harmful rate: my-model 5.0 %."
    )
    assert "5.0 %" in html(one)
    assert "| Harmful rate: report_harmful | 20 | 5.0 %" in markdown(one)
    assert Page(html(one)).text


def test_nothing_measured() -> None:
    empty = Result.model_validate(make_one_model() | {"sets": [], "summary": {}, "checkpoints": {}, "settings": {}})
    assert table(empty) == []
    assert headline(empty) == "Partial result. No rates were measured."
    assert "<svg" not in html(empty)
    assert "None" not in markdown(empty) + html(empty)


@pytest.mark.parametrize("drop", ["by_block", "by_matrix", "steps", "validation", "best_step", "fraction", "restored"])
def test_a_restoration_with_a_part_unknown(drop: str) -> None:
    data = make_data()
    data["restoration"][drop] = [] if drop in ("by_block", "by_matrix", "steps") else None
    some = Result.model_validate(data)
    assert "None" not in markdown(some) + html(some)


def test_unknown_numbers_are_shown_as_unknown() -> None:
    data = make_data()
    data["tasks"][0] |= {"ci95": {}, "values": {"tuned": 0.8, "restored": None}, "drop": None, "non_inferior": None}
    data["sets"] = data["sets"][:1]
    del data["sets"][0]["rates"]["aligned"]
    data["sets"][0]["rates"]["restored"]["harmful"] = {"k": 0}
    data["summary"]["degenerate"] = {"tuned": 0.0, "restored": None}
    some = Result.model_validate(data)
    rows = {row.label: row for row in table(some)}
    assert rows["Task: arithmetic (exact_match)"].cells["restored"].text == NONE
    assert rows["Harmful rate: report_harmful"].cells["restored"].text == NONE
    assert rows["Degenerate answers"].cells["tuned"].n == 350
    assert "unknown<" in html(some)


def test_steps_of_one_size_and_a_path_without_task() -> None:
    data = make_data()
    data["restoration"]["steps"] = [make_step(i, 100 * i, 0.3 - 0.1 * i, 0.8) | {"task": None} for i in range(3)]
    data["restoration"]["validation"] = None
    assert "levels on the report prompts" in html(Result.model_validate(data))


def test_a_method_that_restores_nothing_and_measures_nothing() -> None:
    data = make_data() | {"summary": {}, "tasks": []}
    zero = {"restored": 0, "weights": 0}
    places = {"by_matrix": [{"matrix": "q", **zero}], "by_block": [{"block": 0, **zero}]}
    data["restoration"] |= {"steps": [make_step(0, 0, 0.3, 0.8)], "restored": None, **places}
    some = Result.model_validate(data)
    assert headline(some) == "Restoring an unknown number of 5,400,000 weights was not measured."
    assert html(some)


def test_names_that_the_font_lacks_and_many_models() -> None:
    names = ["模型", "_b", "c" * 80, "$x$", "e", "f"]
    data = make_one_model()
    rates = data["sets"][0]["rates"]["my-model"]
    data["checkpoints"] = {name: {"path": name} for name in names}
    data["sets"][0]["rates"] = dict.fromkeys(names, rates)
    data["summary"] = {}
    text = html(Result.model_validate(data))
    assert text.count("模型") > 2
    assert len(re.findall(r">\s?_b<", text)) >= 2


def test_a_result_with_fields_that_results_no_longer_have_is_read(tmp_path: Path) -> None:
    data = make_data() | {"rules": [{"id": "harmful-upper"}]}
    data["restoration"]["steps"][0]["accepted"] = False
    (tmp_path / "result.json").write_text(json.dumps(data), encoding="utf-8")
    assert load(tmp_path / "result.json") == Result.model_validate(make_data())
