"""The overview of a batch: worst first, nothing unknown as a number, and nothing of a name that a page could run."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from overview_pages import HOSTILE, entry, make_batch

from recover.batch import overview
from recover.batch.overview import Batch, JobEntry, lines
from recover.errors import InputError
from recover.report import render


@pytest.fixture
def found(tmp_path: Path) -> Batch:
    """One of each kind."""
    return make_batch(
        [
            JobEntry(name="later", key="0", status="pending"),
            entry(tmp_path, "good"),
            entry(tmp_path, "worse", (0.01, 0.9, 0.04)),
            entry(tmp_path, "missed", (0.01, 0.7, 0.3), code=1),
            entry(tmp_path, "unjudged", (None, None, None)),
            JobEntry(name="broken", key="0", status="failed", exit_code=3, reason=HOSTILE),
        ]
    )


def test_the_worst_come_first_and_what_never_ran_last(found: Batch, tmp_path: Path) -> None:
    order = [line.entry.name for line in lines(found, tmp_path)]
    assert order == ["broken", "missed", "worse", "good", "unjudged", "later"]


def test_the_exit_code_is_the_worst_and_the_headline_counts_all(found: Batch) -> None:
    assert found.exit_code == 3
    assert make_batch(found.jobs[:4]).exit_code == 1
    assert make_batch(found.jobs[:3]).exit_code == 0
    assert found.headline == "6 fine-tunes of models/aligned: 4 with a result, 1 failed, 1 not run."


def test_what_is_unknown_is_no_number(found: Batch, tmp_path: Path) -> None:
    rows = {row["name"]: row for row in csv.DictReader(overview.table(lines(found, tmp_path)).splitlines())}
    assert [rows["good"][f"harmful_{name}"] for name in ("aligned", "tuned", "restored")] == ["0.01", "0.8", "0.02"]
    assert rows["good"]["task_retention"] == "0.98"
    for name in ("unjudged", "broken", "later"):
        assert {rows[name][f"harmful_{side}"] for side in ("aligned", "tuned", "restored")} == {""}
    assert rows["later"]["exit_code"] == rows["broken"]["seconds"] == ""
    cells = {line.entry.name: line.cells for line in lines(found, tmp_path)}
    assert set(cells["later"][2:]) == {"\u2013"}
    assert overview.HEADER[-1] == "time"
    assert cells["good"][-1] == "1 min 1 s"


def test_a_result_that_is_gone_is_unknown(found: Batch, tmp_path: Path) -> None:
    (tmp_path / "good" / "restored" / "recovery" / "result.json").write_text("{}")
    good = next(line for line in lines(found, tmp_path) if line.entry.name == "good")
    assert good.harmful == (None, None, None)


def test_no_reason_is_a_formula_or_a_line_of_its_own(tmp_path: Path) -> None:
    odd = make_batch([JobEntry(name="a", key="0", status="failed", exit_code=3, reason="=HYPERLINK(1)\nb,c")])
    (row,) = csv.DictReader(overview.table(lines(odd, tmp_path)).splitlines())
    assert row["reason"] == "HYPERLINK(1) b,c"


def test_the_page_loads_and_runs_nothing_from_outside(found: Batch, tmp_path: Path) -> None:
    page = overview.html(found, lines(found, tmp_path))
    assert "<script>window" not in page
    assert "\x1b" not in page
    assert "&lt;script&gt;window.ran" in page
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert f"script-src {render.content_hash(script)};" in page
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    assert set(re.findall(r'href="([^"]+)"', page)) == {
        f"{name}/restored/recovery/report.html" for name in ("good", "worse", "missed", "unjudged")
    }


def test_the_page_draws_each_known_pair_where_it_lies(found: Batch, tmp_path: Path) -> None:
    page = overview.html(found, lines(found, tmp_path))
    points = re.findall(r'class="(\w+)"><circle cx="([\d.]+)" cy="([\d.]+)"', page)
    assert points == [
        ("missed", f"{50 + 380 * 0.7:.1f}", f"{350 - 340 * 0.3:.1f}"),
        ("met", f"{50 + 380 * 0.9:.1f}", f"{350 - 340 * 0.04:.1f}"),
        ("met", f"{50 + 380 * 0.8:.1f}", f"{350 - 340 * 0.02:.1f}"),
    ]
    assert "<svg" not in overview.html(make_batch(found.jobs[:1]), lines(make_batch(found.jobs[:1]), tmp_path))


def test_every_row_has_a_key_for_every_column(found: Batch, tmp_path: Path) -> None:
    page = overview.html(found, lines(found, tmp_path))
    heads = re.findall(r"<th scope=\"col\"", page)
    for row in re.findall(r"<tr><th scope=\"row\".*?</tr>", page, re.DOTALL):
        assert row.count("data-key=") == len(heads)


def test_markdown_shows_names_and_reasons_as_they_are(found: Batch, tmp_path: Path) -> None:
    text = overview.markdown(found, lines(found, tmp_path))
    assert "<script>" not in text
    assert "| worse | done | 0 | 1.0 % | 90.0 % | 4.0 % |" in text
    assert text.count("\n| ") == 2 + len(found.jobs)


def test_writing_and_reading_give_the_same(found: Batch, tmp_path: Path) -> None:
    overview.write(found, tmp_path)
    assert overview.read(tmp_path) == found
    told = json.loads((tmp_path / "batch.json").read_text())
    assert told["schema"] == "recover-align/batch/1"
    assert list(told["jobs"][0]) == ["name", "key", "status", "exit_code", "result", "seconds", "reason"]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../up"},
        {"result": "../../etc/result.json"},
        {"result": "/etc/result.json"},
        {"status": "fine"},
        {"x": 1},
    ],
)
def test_a_record_that_leads_elsewhere_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    told = json.loads(overview.dumps(make_batch([JobEntry(name="a", key="0", status="pending")])))
    told["jobs"][0].update(change)
    (tmp_path / "batch.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match="is no record of a batch"):
        overview.read(tmp_path)


def test_a_directory_without_a_record_is_no_batch(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"batch\.json is no record of a batch: No such file"):
        overview.read(tmp_path)
