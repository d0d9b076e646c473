"""A decision in a model card: what the user wrote stays to the byte, and merging twice is merging once."""

import logging
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from gates import released, result
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st

from recover.errors import InputError
from recover.gate import model_card
from recover.gate.decide import Decision, decide
from recover.gate.model_card import CARD_TASK, SECTION_END, SECTION_START, merge
from recover.gate.policy import load_policy
from recover.results.schema import Result

RESULT = released()
PASSED = decide(load_policy(None), RESULT, date(2026, 3, 1))
FRONT = """\
---
# what this is
license: apache-2.0  # as upstream
language: [en,
  de]
tags:
- safety

model-index:
# of the authors
- name: mine
  results:
  - task: {type: text-generation}
    dataset: {name: theirs, type: theirs}
    metrics:
    - type: accuracy
      value: 0.5
    custom: kept

# the end
date: 2026-01-01
---
"""
BODY = "# Mine\n\nText with <b>tags</b> and ---\n"


def front_of(text: str) -> Any:
    return yaml.safe_load(text.split("---\n")[1])


def merged(text: str, decision: Decision = PASSED, found: Result = RESULT) -> str:
    return merge(text, decision, found)


@pytest.mark.parametrize("front", [FRONT, "---\nlicense: mit\n---\n", "---\n---\n", ""])
@pytest.mark.parametrize("body", [BODY, BODY.rstrip(), "", "\n\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_merging_again_changes_nothing(front: str, body: str, newline: str, mark: str) -> None:
    text = (front + body).replace("\n", newline)
    newline = newline if text else "\n"
    once = merged(mark + text)
    assert merged(once) == once
    assert once.startswith(f"{mark}---{newline}")
    assert once.count(SECTION_START) == once.count(SECTION_END) == once.count("model-index:") == 1
    assert once.count("\n") == once.count(newline)
    assert body.replace("\n", newline) in once


def test_the_users_text_stays() -> None:
    text = merged(FRONT + BODY)
    before, after = FRONT.split("model-index:")[0], "\n# the end\ndate: 2026-01-01\n---\n" + BODY
    assert text.startswith(before + "model-index:\n- name: mine\n")
    assert after in text
    mine = front_of(text)["model-index"][0]["results"]
    assert mine[0] == front_of(FRONT)["model-index"][0]["results"][0]
    assert {key: value for key, value in front_of(text).items() if key != "model-index"} == {
        key: value for key, value in front_of(FRONT).items() if key != "model-index"
    }


def test_the_hub_reads_what_was_measured(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = ModelCard(merged(BODY)).data
    assert caplog.records == []
    assert found.model_name == "restored"
    rates = {(r.dataset_name, r.metric_name): r.metric_value for r in found.eval_results}
    assert rates == {
        ("report_harmful", "Harmful rate"): 0.027778,
        ("report_harmful", "Degenerate rate"): 0.0,
        ("benign_lookalike", "Over-refusal rate"): 0.047619,
        ("benign_lookalike", "Degenerate rate"): 0.0,
        ("sums", "choice"): 0.8,
    }
    assert {r.task_name for r in found.eval_results} == {CARD_TASK}


def test_a_later_decision_replaces_ours_only() -> None:
    failed = released(harm="H" * 360)
    decision = decide(load_policy(None), failed, date(2026, 3, 1))
    text = merged(merged(FRONT + BODY), decision, failed)
    assert text == merged(FRONT + BODY, decision, failed)
    assert "The gate failed" in text
    assert "The gate passed" not in text
    results = front_of(text)["model-index"][0]["results"]
    assert [r["dataset"]["name"] for r in results] == ["theirs", "report_harmful", "benign_lookalike", "sums"]
    assert results[1]["metrics"][0]["value"] == 1.0


def test_the_section_stays_where_the_user_moved_it() -> None:
    text = merged(BODY)
    section = text[text.index(SECTION_START) : text.index(SECTION_END) + len(SECTION_END)]
    moved = text.replace(section, "").replace("# Mine\n", f"# Mine\n\n{section}\n")
    assert merged(moved) == moved


def test_a_rule_at_the_top_is_no_front_matter() -> None:
    assert "\n----\n# Mine\n" in merged("----\n# Mine\n")


def test_nothing_measured_adds_no_metadata() -> None:
    text = merged(BODY, decide(load_policy(None), result(), date(2026, 3, 1)), result())
    assert text.startswith(f"---\n---\n{BODY}")
    assert "could not decide" in text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_body_is_kept(body: str) -> None:
    try:
        text = merged(body)
    except InputError:  # it begins with three dashes
        assert body.lstrip("\ufeff").lstrip().startswith("---")
        return
    assert body.removeprefix("\ufeff") in text
    assert merged(text) == text


DAMAGED = {
    "no YAML": ("---\na: [\n---\n", "is not valid YAML"),
    "a tag": ("---\na: !!python/object/apply:os.system [id]\n---\n", "is not valid YAML"),
    "an impossible date": ("---\na: 2026-99-99\n---\n", "is not valid YAML"),
    "a list": ("---\n- a\n---\n", "is a list; expected keys"),
    "no end": ("---\nlicense: mit\n# Mine\n", "has no end"),
    "a text as index": ("---\nmodel-index: mine\n---\n", "model-index is no list"),
    "texts as models": ("---\nmodel-index: [mine]\n---\n", "model-index is no list"),
    "a text as results": ("---\nmodel-index: [{name: a, results: b}]\n---\n", "model-index is no list"),
    "texts as results": ("---\nmodel-index: [{name: a, results: [b]}]\n---\n", "model-index is no list"),
    "keys in braces": ("---\n{license: mit}\n---\n", "cannot be edited; write each key on a line of its own"),
    "half a section": (f"{BODY}{SECTION_START}\n", "expected one"),
    "a section turned round": (f"{SECTION_END}\n{SECTION_START}\n", "expected one"),
    "two sections": (f"{SECTION_START}\n{SECTION_END}\n{SECTION_START}\n{SECTION_END}\n", "expected one"),
}


@pytest.mark.parametrize(("text", "told"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_card_is_left_alone(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "README.md"
    file.write_text(text)
    with pytest.raises(InputError, match=told) as raised:
        model_card.write(file, PASSED, RESULT)
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert file.read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_a_card_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the model card"):
        model_card.write(tmp_path / "README.md", PASSED, RESULT)
    (tmp_path / "README.md").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="in UTF-8"):
        model_card.write(tmp_path / "README.md", PASSED, RESULT)


def test_a_card_is_written_whole_and_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text(FRONT + BODY)
    link = tmp_path / "README.md"
    link.symlink_to("card.md")
    model_card.write(link, PASSED, RESULT)
    assert link.is_symlink()
    assert (tmp_path / "card.md").read_text() == merged(FRONT + BODY)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "card.md"]
