import json
import random
import time
from pathlib import Path

import pytest
from recover.cli.main import main

from recover.errors import Exit
from recover.prompts.lint import Leak, LintFinding, leakage, lint
from recover.prompts.near_duplicates import near_pairs, words
from recover.prompts.prompt_set import Prompt, load_prompts, make_set


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)


def write(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def findings_of(path: Path) -> list[tuple[str, int | None, str]]:
    return [(finding.level, finding.row, finding.text) for finding in lint(path).findings]


# Lint


def test_a_shipped_set_has_nothing_to_find() -> None:
    report = lint("general")
    assert report.findings == ()
    assert report.usable
    assert (report.rows, report.prompts, sum(report.categories.values())) == (220, 220, 220)


def test_every_finding_names_its_row(tmp_path: Path) -> None:
    contents = [
        "How do I bake good dark bread",
        "how do I bake  good dark BREAD",
        "How do I bake good dark bread now",
        " ",
    ]
    contents += ["x" * 20_001, "A\ufffdB", "cafÃ© au lait", "café au lait", "Sing"]
    rows: list[object] = [{"id": number, "prompt": text, "category": "c"} for number, text in enumerate(contents, 1)]
    rows += [{"id": 1, "prompt": "Dance", "expect": "comply"}, {"prompt": "Jump"}]
    report = lint(write(tmp_path / "s.jsonl", rows))
    assert [(f.level, f.row, f.text) for f in report.findings] == [
        (
            "warning",
            None,
            "the rows expect different things (comply 1, nothing 9), so the set cannot be used in a report",
        ),
        (
            "warning",
            None,
            "1 of 11 rows have no id (row 11); their row numbers are used instead, which change with the order of the "
            "rows",
        ),
        ("warning", 2, "is the same prompt as row 1; it is dropped"),
        ("warning", 3, "is nearly the same prompt as row 1"),
        ("error", 4, "the prompt is empty; correct the row or leave it out."),
        ("warning", 5, "has 20,001 characters, more than 20,000"),
        ("warning", 6, "holds the character U+FFFD, which is no text"),
        ("warning", 7, "looks like UTF-8 that was read as Windows-1252"),
        ("error", 10, "has the id 1 of row 1"),
    ]
    assert not report.usable
    assert (report.rows, report.prompts, report.categories) == (11, 9, {"c": 7})


def test_a_file_without_a_header_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("Tell me about the sea.\nSing\n")
    assert ("warning", None, "the first line is read as a prompt, not as a header") in findings_of(path)
    path.write_text("id,prompt\n1,Tell me about the sea.\n2,Sing\n")
    assert findings_of(path) == []


def test_what_cannot_be_read_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_bytes(b"caf\xe9\n")
    assert lint(path).findings == (
        LintFinding("error", None, f"{path} is not UTF-8 (byte 3 is 0xe9); convert it to UTF-8."),
    )


def test_a_set_is_usable_if_it_can_be_loaded(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", [{"id": 1, "prompt": "Sing"}, {"id": 2, "prompt": "sing"}])
    assert lint(path).usable
    assert len(load_prompts(path)) == 1


def test_lint_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "s.jsonl", [{"id": 1, "prompt": "Sing", "category": "c\x1b[31m"}, {"id": 2, "prompt": ""}])
    assert run("prompts", "lint", path, "general") == Exit.USAGE
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "s, row 2: error: the prompt is empty; correct the row or leave it out.",
        "s: 1 different prompts in 2 rows; categories: c [31m 1",
    ]
    assert lines[2].startswith("general: 220 different prompts in 220 rows; categories: advice 18, ")
    assert run("prompts", "lint", "general", "--json") == Exit.OK
    (report,) = json.loads(capsys.readouterr().out)
    assert (report["name"], report["findings"], report["prompts"]) == ("general", [], 220)


# Leakage


def prompts_of(name: str, *texts: str) -> object:
    return make_set(name, [Prompt(f"{name}{i}", ({"role": "user", "content": text},)) for i, text in enumerate(texts)])


def test_leakage_distinguishes_the_same_prompt_from_a_near_one() -> None:
    ours = prompts_of("a", "Name one red bird", "bird red one Name", "Name a wholly other thing")
    theirs = prompts_of("b", "name  one red BIRD", "Name one red bird now")
    assert leakage(ours, [prompts_of("c", "Sing"), theirs]) == [  # type: ignore[arg-type, list-item]
        Leak("a0", "b", "b0", 1.0, True),
        Leak("a0", "b", "b1", 0.8, False),
        Leak("a1", "b", "b0", 1.0, False),
        Leak("a1", "b", "b1", 0.8, False),
    ]


def test_leakage_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = load_prompts("general").prompts[0]
    path = write(tmp_path / "s.jsonl", [{"id": "x", "prompt": first.text.upper()}, {"id": "y", "prompt": "Sing to me"}])
    assert run("prompts", "leakage", path, "benign_lookalike") == Exit.OK
    assert capsys.readouterr().out == "0 of 2 prompts of s are in another set\n"
    assert run("prompts", "leakage", path, "benign_lookalike", "general") == Exit.FAILED
    expected = f"x\tgeneral\t{first.id}\tsame\n1 of 2 prompts of s are in another set\n"
    assert capsys.readouterr().out == expected
    assert run("prompts", "leakage", path, "general", "--json") == Exit.FAILED
    (leak,) = json.loads(capsys.readouterr().out)
    assert leak == {"id": "x", "other": "general", "other_id": first.id, "similarity": 1.0, "same": True}


def test_thousands_of_prompts_take_seconds_and_nothing_is_missed() -> None:
    """Words as unequal in frequency as in real text; a pair in a hundred is a near copy."""
    rng = random.Random(0)
    vocabulary = [f"w{i}" for i in range(4_000)]
    weights = [1 / (i + 1) for i in range(4_000)]
    texts = [rng.choices(vocabulary, weights, k=rng.randint(8, 25)) for _ in range(3_000)]
    near = [[*text[:-1], "changed"] if i % 100 == 0 else rng.sample(vocabulary, 12) for i, text in enumerate(texts)]
    ours, theirs = ([words(" ".join(text)) for text in side] for side in (texts, near))
    started = time.monotonic()
    pairs = near_pairs(ours, theirs)
    assert time.monotonic() - started < 3
    few = range(0, 3_000, 50)
    naive = [(i, j, len(ours[i] & theirs[j]) / len(ours[i] | theirs[j])) for i in few for j in range(3_000)]
    assert [pair for pair in pairs if pair[0] in few] == [pair for pair in naive if pair[2] >= 0.8]
    assert len(pairs) >= 20
