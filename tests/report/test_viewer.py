"""Tests of the viewer's making: what is read, what is refused, what the page holds, and that no text leaves its place.

What the page does is tested in a browser, in test_viewer_browser.py.
"""

import base64
import hashlib
import html as entities
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from runs import JUDGE, NAMES, at_length, drawn, make_result, make_rows, make_run, make_set, three, write_rows

from recover.errors import InputError
from recover.evaluation import answer_files
from recover.evaluation.answer_files import JudgedAnswer
from recover.judges import Verdict
from recover.report import render, tables, viewer
from recover.results import schema
from recover.results.schema import Result

HOSTILE = (
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", "<!-- <script>", "</template>", "]]>",
    "<img src=x onerror=alert(1)>", "javascript:alert(1)", "&lt;b&gt; &amp;", "a\u2028b\u2029c", "\ud800 alone",
    "\u202egnp.exe", "\x00\x1b[31mred", "{{ 7 * 7 }}", "__proto__", "\\u003c \\", '"',
)  # fmt: skip


class Page(HTMLParser):
    """A page's elements with the text in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside.append("")

    def handle_data(self, data: str) -> None:
        self.inside[-1:] = [part + data for part in self.inside[-1:]]

    def texts(self, tag: str) -> list[str]:
        return [text for (name, _), text in zip(self.tags, self.inside, strict=True) if name == tag]

    def data(self) -> dict[str, Any]:
        places = [i for i, (_, attributes) in enumerate(self.tags) if attributes.get("id") == "data"]
        assert len(places) == 1
        found: dict[str, Any] = json.loads(self.inside[places[0]])
        return found


def shape(page: str) -> list[str]:
    return [tag for tag, _ in Page(page).tags]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_run(tmp_path, {("report_harmful", "refuse"): three(drawn(40)), ("benign", "comply"): three(drawn(20))})
    return tmp_path


def page_of(folder: Path, **options: bool) -> str:
    result = schema.load(folder / "result.json")
    return viewer.html(result, viewer.read(result, folder), **options)


# Reading


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = [
        JudgedAnswer(
            id=str(i),
            prompt=text,
            answer=text * 2,
            finish_reason="stop",
            verdict=Verdict.SAFE,
            category=None if i else "c",
        )
        for i, text in enumerate([*HOSTILE, "", "caf\u00e9\r\n\u4f60\u597d\U0001f600"])
    ]
    write_rows(tmp_path, "m", "s", rows)
    assert answer_files.read(tmp_path, JUDGE, "m", "s") == rows
    path = tmp_path / "answers" / "m" / "s.jsonl"
    assert path.read_text("utf-8").count("\n") == len(rows)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[1]", "valid dictionary"),
        (b'{"id": "1"}', "key: Field required .and 4 more"),
        (b'{"id": 1, "key": "k", "prompt": "", "answer": "", "finish_reason": "stop", "tokens": 1}', "id: .*valid str"),
        (
            b'{"id": "1", "key": "k", "prompt": "", "answer": "", "finish_reason": "?", "tokens": 1}',
            "finish_reason: .*",
        ),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_bad_line_is_named(folder: Path, line: bytes, words: str) -> None:
    file = answer_files.answers_path(folder, "tuned", "report_harmful")
    lines = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join([*lines[:4], line, *lines[5:]]))
    with pytest.raises(InputError, match=rf"tuned/report_harmful\.jsonl, line 5 is no answer: .*{words}") as caught:
        page_of(folder)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_bad_verdict_is_named(folder: Path) -> None:
    file = answer_files.verdicts_path(folder, JUDGE, "tuned", "report_harmful")
    file.write_bytes(file.read_bytes().replace(b'"harmful"', b'"nice"', 1))
    with pytest.raises(InputError, match=r"report_harmful\.jsonl, line \d+ is no verdict: verdict: .*'harmful'"):
        page_of(folder)


def test_verdicts_on_other_answers_are_refused(folder: Path) -> None:
    file = answer_files.verdicts_path(folder, JUDGE, "tuned", "report_harmful")
    file.write_bytes(file.read_bytes().replace(b'"p7"', b'"q7"'))
    with pytest.raises(InputError, match=r"tell of different prompts; give the output of one run"):
        page_of(folder)


def test_a_result_without_a_judge_has_no_page(folder: Path) -> None:
    result = schema.load(folder / "result.json").model_copy(update={"judges": []})
    with pytest.raises(InputError, match=r"names no judge"):
        viewer.read(result, folder)


def test_missing_answers_are_one_sentence(tmp_path: Path) -> None:
    result = make_result([make_set("report_harmful", "refuse", three(drawn(4)))])
    with pytest.raises(
        InputError, match=r"cannot read .*aligned/report_harmful\.jsonl: No such file.*beside its result"
    ):
        viewer.read(result, tmp_path)


def test_answers_of_another_run_are_refused(folder: Path, tmp_path: Path) -> None:
    rows = answer_files.read(folder, JUDGE, "restored", "benign")
    write_rows(folder, "restored", "benign", rows[:-1])
    with pytest.raises(InputError, match=r"holds 19 answers, result\.json counts 20; give the output of one run"):
        page_of(folder)
    changed = rows[2].model_copy(update={"prompt": "another"})
    write_rows(folder, "restored", "benign", [*rows[:2], changed, *rows[3:]])
    with pytest.raises(InputError, match=r"prompt 3 .*differs.*give the output of one run"):
        page_of(folder)


@pytest.mark.parametrize("name", ["../../outside", "..", "/etc/passwd", "a/../../b", ".", ""])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    inside = (tmp_path / "answers").resolve()
    assert answer_files.answers_path(tmp_path, name, "set").resolve().parent.parent == inside
    assert answer_files.answers_path(tmp_path, "model", name).resolve().parent.parent == inside


def test_no_two_names_share_a_file(tmp_path: Path) -> None:
    names = ["a b", "a_b", "a/b", ".a_b", "", "_", "a"]
    assert len({answer_files.answers_path(tmp_path, "model", name) for name in names}) == len(names)
    assert (
        answer_files.answers_path(tmp_path, "tuned", "my-set.v2") == tmp_path / "answers" / "tuned" / "my-set.v2.jsonl"
    )


# What the page knows


@pytest.mark.parametrize(
    ("before", "after", "fails", "told"),
    [
        ("harmful", "refused", "harmful", "fixed"), ("harmful", "safe", "harmful", "fixed"),
        ("refused", "harmful", "harmful", "broke"), ("harmful", "harmful", "harmful", ""),
        ("refused", "safe", "harmful", ""), ("refused", "safe", "refused", "fixed"),
        ("safe", "refused", "refused", "broke"), ("harmful", "degenerate", "harmful", ""),
        ("refused", "degenerate", "harmful", "broke"), ("degenerate", "refused", "harmful", "fixed"),
        ("harmful", "unscored", "harmful", ""), ("unscored", "harmful", "harmful", ""),
    ],
)  # fmt: skip
def test_a_change_is_from_bad_to_good_or_back(before: str, after: str, fails: Any, told: str) -> None:
    assert viewer.change(Verdict(before), Verdict(after), fails) == told


@pytest.mark.parametrize(
    ("names", "pair"),
    [
        (["aligned", "tuned", "restored"], ("tuned", "restored")), (["aligned", "tuned"], ("aligned", "tuned")),
        (["model"], None), (["a", "b", "c"], None),
    ],
)  # fmt: skip
def test_tuned_and_restored_are_compared(names: list[str], pair: tuple[str, str] | None) -> None:
    assert viewer.compared(names) == pair


def test_the_payload_says_what_the_files_say(folder: Path) -> None:
    data = Page(page_of(folder)).data()
    texts = data["texts"]
    assert [model["name"] for model in data["models"]] == list(NAMES)
    assert data["sets"] == [{"name": "report_harmful", "fails": "harmful"}, {"name": "benign", "fails": "refused"}]
    assert len(data["rows"]) == 60
    assert len(texts) == len(set(texts))
    for place, prompts in enumerate(("report_harmful", "benign")):
        own = [row for row in data["rows"] if row[0] == place]
        for i, model in enumerate(NAMES):
            for row, written in zip(own, answer_files.read(folder, JUDGE, model, prompts), strict=True):
                answer, verdict, cut_off, reason = row[5][i]
                assert (data["categories"][row[1]], texts[row[2]], texts[row[3]]) == (
                    written.category,
                    written.id,
                    written.prompt,
                )
                assert (texts[answer], data["verdicts"][verdict]) == (written.answer, written.verdict)
                assert (texts[reason], cut_off == 1) == (written.reason, written.finish_reason == "length")


def test_a_model_that_was_not_asked_has_no_answer(tmp_path: Path) -> None:
    rows = three(drawn(5))
    result = make_run(tmp_path, {("report_harmful", "refuse"): rows})
    prompts = result.sets[0]
    rates = {name: found for name, found in prompts.rates.items() if name != "restored"}
    result = result.model_copy(update={"sets": [prompts.model_copy(update={"rates": rates, "by_category": []})]})
    data = viewer.payload(result, viewer.read(result, tmp_path))
    assert [row[5][2] for row in data["rows"]] == [None] * 5
    assert {row[4] for row in data["rows"]} == {""}


def test_a_result_without_sets_has_a_page(tmp_path: Path) -> None:
    result = make_result([])
    assert Page(viewer.html(result, viewer.read(result, tmp_path))).data()["rows"] == []


# Safety


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_changes_no_element(tmp_path: Path, text: str) -> None:
    """The page has the same elements as one with harmless texts, and its data give the text back, made visible."""
    prompts = three(dict.fromkeys(NAMES, "HRS"), at_length)
    evil = {
        model: [
            row.model_copy(
                update={"id": f"{text}{i}", **dict.fromkeys(("prompt", "answer", "reason", "category"), text)}
            )
            for i, row in enumerate(rows)
        ]
        for model, rows in prompts.items()
    }
    tame = {model: [row.model_copy(update={"category": "one"}) for row in rows] for model, rows in prompts.items()}
    result = make_run(tmp_path / "evil", {("s", "refuse"): evil})
    make_run(tmp_path / "tame", {("s", "refuse"): tame})
    result = result.model_copy(update={"warnings": [text]})
    page = viewer.html(result, viewer.read(result, tmp_path / "evil"))
    assert shape(page) == shape(page_of(tmp_path / "tame"))
    data = Page(page).data()
    assert data["texts"][data["rows"][0][3]] == viewer.visible(text)
    page.encode("utf-8")


def test_the_data_hold_nothing_that_html_could_read(tmp_path: Path) -> None:
    text = viewer.embedded({"x": list(HOSTILE), "<key>": "&"})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {"x": list(HOSTILE), "<key>": "&"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        viewer.embedded(float("nan"))


def test_what_hides_or_moves_text_becomes_visible() -> None:
    assert viewer.visible("a\u202eb") == "a\u2039U+202E\u203ab"
    assert viewer.visible("\x00\ud800\U000e0041\u200b") == "".join(
        f"\u2039U+{code}\u203a" for code in ("0000", "D800", "E0041", "200B")
    )
    unchanged = "tab\t, line\n, caf\u00e9, \u05e9\u05dc\u05d5\u05dd, \U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert viewer.visible(unchanged) == unchanged
    assert viewer.visible("dos\r\nlines") == "dos\nlines"


def test_the_policy_allows_the_pages_own_script_and_style_only(folder: Path) -> None:
    page = page_of(folder)
    (policy,) = (a["content"] or "" for tag, a in Page(page).tags if a.get("http-equiv") == "Content-Security-Policy")
    allowed = dict(rule.split(" ", 1) for rule in entities.unescape(policy).split("; "))
    assert {allowed[rule] for rule in ("default-src", "base-uri", "form-action")} == {"'none'"}
    for tag in ("script", "style"):
        own = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert len(own) == 1
        digest = base64.b64encode(hashlib.sha256(own[0].encode()).digest()).decode()
        assert allowed[f"{tag}-src"] == f"'sha256-{digest}'"


def test_the_page_fetches_nothing_and_puts_no_text_in_as_html(folder: Path) -> None:
    page = page_of(folder)
    for _, attributes in Page(page).tags:
        assert not {"src", "srcset", "style", "action", "data", "poster"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("href", "#answers") == "#answers"
    script = (render.TEMPLATES / "viewer.js").read_text("utf-8")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|Function\(|\.href|\bsrc\b", script
    )
    assert not re.search(r"https?:|@import|url\(", page.split('id="data"')[0])


# Size, links, bytes


def test_700_answers_of_three_models_stay_under_3_mb(tmp_path: Path) -> None:
    make_run(tmp_path, {("report_harmful", "refuse"): three(drawn(700), at_length)})
    written = answer_files.read(tmp_path, JUDGE, "tuned", "report_harmful")
    assert len({row.answer for row in written}) == 700
    assert min(len(row.answer) for row in written) > 900  # about 250 tokens of English
    page = page_of(tmp_path).encode()
    assert 2_000_000 < len(page) < 3_000_000


def test_equal_texts_are_kept_once(tmp_path: Path) -> None:
    def long(model: str, number: int, letter: str) -> str:
        return "the same " * 1000

    make_run(tmp_path, {("report_harmful", "refuse"): three(drawn(100), long)})
    assert page_of(tmp_path).count("the same the same") < 1000


def test_the_report_and_the_viewer_link_to_each_other_where_both_lie(folder: Path) -> None:
    result = schema.load(folder / "result.json")
    render.write(result, folder)
    assert "viewer.html" not in (folder / "report.html").read_text("utf-8")
    viewer.write(result, folder)
    render.write(result, folder)
    linked = '<p><a href="viewer.html">Read the answers</a></p>\n'
    text = (folder / "report.html").read_text("utf-8")
    assert linked in text
    assert text.replace(linked, "") == render.html(result)
    assert '<a href="report.html">' in (folder / "viewer.html").read_text("utf-8")
    assert "report.html" not in page_of(folder).split('id="data"')[0]


def test_the_same_run_gives_the_same_bytes(folder: Path) -> None:
    assert page_of(folder) == page_of(folder)


def test_the_overview_has_the_results_numbers(folder: Path) -> None:
    result: Result = schema.load(folder / "result.json")
    page = viewer.html(result, viewer.read(result, folder))
    words = " ".join(re.sub(r"<[^>]*>", " ", entities.unescape(page.split('id="data"')[0])).split())
    for row in tables.table(result):
        for cell in row.cells.values():
            assert f"{cell.share} {cell.ends}" in words
    assert result.warnings[0] in words


def test_categories_come_worst_first_and_unknown_last(tmp_path: Path) -> None:
    rows = {name: make_rows(name, "RRRRRRHRRRRHHRR") for name in NAMES}
    result = make_run(tmp_path, {("s", "refuse"): rows})
    rows["restored"][4::5] = [row.model_copy(update={"verdict": Verdict.UNSCORED}) for row in rows["restored"][4::5]]
    result = make_run(tmp_path, {("s", "refuse"): rows})
    page = viewer.html(result, viewer.read(result, tmp_path))
    shown = re.findall(r'data-category="([^"]+)"', page)
    assert shown == ["fraud and scams", "violent crimes", "harassment", "privacy", "malware"]
    assert re.findall(r'data-value="([^"]*)"', page)[-1] == ""
