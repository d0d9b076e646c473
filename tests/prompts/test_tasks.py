import json
from pathlib import Path

import pytest
from tiny import byte_tokenizer

from recover.errors import InputError, Undecided
from recover.prompts.prompt_set import Answer, Prompt, PromptSet, make_set
from recover.prompts.tasks import METRICS, Task, load_task, max_new_tokens, score


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def sums(n: int, start: int = 0, **more: object) -> list[dict[str, object]]:
    return [
        {"id": f"s{i}", "prompt": f"{i} plus {i}?", "reference": str(2 * i), **more} for i in range(start, start + n)
    ]


def prompt(reference: str | None = "x", choices: tuple[str, ...] = ()) -> Prompt:
    return Prompt("p", ({"role": "user", "content": "?"},), reference=reference, choices=choices)


def parts(task: Task) -> list[PromptSet]:
    return [task.capture, task.validation, task.report]


def test_one_file_gives_three_disjoint_parts(tmp_path: Path) -> None:
    rows = sums(40)
    task = load_task(write(tmp_path / "sums.jsonl", rows))
    assert (task.name, task.metric) == ("sums", "exact_match")
    assert [len(part) for part in parts(task)] == [20, 10, 10]
    assert sorted(p.id for part in parts(task) for p in part) == sorted(str(row["id"]) for row in rows)
    assert load_task(write(tmp_path / "sums.jsonl", rows[::-1])) == task
    assert load_task(tmp_path / "sums.jsonl", seed=1) != task


def test_a_report_file_is_the_report_part(tmp_path: Path) -> None:
    main, held_out = write(tmp_path / "train.jsonl", sums(30)), write(tmp_path / "test.jsonl", sums(8, start=30))
    task = load_task(main, report=held_out)
    assert [len(part) for part in parts(task)] == [20, 10, 8]
    assert [p.id for p in task.report] == [f"s{i}" for i in range(30, 38)]


def test_a_report_file_without_ids_may_have_the_same_name(tmp_path: Path) -> None:
    for folder, start in (("train", 0), ("test", 20)):
        (tmp_path / folder).mkdir()
        rows = [{key: row[key] for key in ("prompt", "reference")} for row in sums(20, start)]
        write(tmp_path / folder / "data.jsonl", rows)
    task = load_task(tmp_path / "train" / "data.jsonl", report=tmp_path / "test" / "data.jsonl")
    assert [part.name for part in parts(task)] == ["data-capture", "data-validation", "data-report"]


def test_prompts_of_the_report_file_are_left_out_of_the_other_parts(tmp_path: Path) -> None:
    shared = {"id": "new", "prompt": "3  PLUS 3?", "reference": "1"}
    main, held_out = write(tmp_path / "a.jsonl", sums(20)), write(tmp_path / "b.jsonl", [*sums(4, start=50), shared])
    task = load_task(main, report=held_out)
    assert (len(task.capture) + len(task.validation), len(task.report)) == (19, 5)
    assert "3 plus 3?" not in {prompt.text.lower() for part in (task.capture, task.validation) for prompt in part}


def test_rows_need_references_and_there_must_be_enough(tmp_path: Path) -> None:
    rows = [*sums(9), *({"id": f"n{i}", "prompt": f"n{i}"} for i in range(5))]
    with pytest.raises(InputError, match=r"5 of 14 rows have no reference \(n0, n1, n2 and 2 more\)"):
        load_task(write(tmp_path / "a.jsonl", rows))
    with pytest.raises(InputError, match="has 7 different prompts; a task needs at least 8"):
        load_task(write(tmp_path / "a.jsonl", sums(7)))
    with pytest.raises(InputError, match="three parts that are not empty"):
        load_task(write(tmp_path / "a.jsonl", sums(1)), report=write(tmp_path / "b.jsonl", sums(9, start=5)))


def test_the_chosen_metric_goes_before_the_rows_own(tmp_path: Path) -> None:
    assert load_task(write(tmp_path / "a.jsonl", sums(8, metric="f1")), metric="rouge1").metric == "rouge1"
    assert load_task(write(tmp_path / "a.jsonl", sums(8, metric="f1"))).metric == "f1"
    assert load_task(write(tmp_path / "a.jsonl", sums(8)), metric="rouge1").metric == "rouge1"
    mixed = write(tmp_path / "a.jsonl", [*sums(8, metric="f1"), *sums(8, start=8)])
    assert load_task(mixed, metric="rouge1").metric == "rouge1"
    with pytest.raises(InputError, match="do not agree on a metric"):
        load_task(mixed)
    with pytest.raises(InputError, match="no metric 'bleu'; use one of exact_match, choice, f1, rouge1"):
        load_task(write(tmp_path / "a.jsonl", sums(8)), metric="bleu")


@pytest.mark.parametrize(
    ("references", "metric"),
    [
        (["yes", "no"] * 6, "choice"),
        (["yes", "no", "maybe", "often"] * 2, "exact_match"),  # too few rows for so many labels
        (["yes", "a label of five words"] * 6, "exact_match"),
        (["yes"] * 12, "exact_match"),  # nothing to choose from
        ([str(n) for n in range(21)] * 4, "exact_match"),
    ],
)
def test_the_metric_follows_from_the_references(tmp_path: Path, references: list[str], metric: str) -> None:
    rows: list[dict[str, object]] = [
        {"prompt": f"q{i}", "reference": reference} for i, reference in enumerate(references)
    ]
    assert load_task(write(tmp_path / "a.jsonl", rows)).metric == metric


def test_choices_come_from_the_rows_or_from_the_references(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"prompt": f"q{i}", "reference": ["Yes", "no", "yes."][i % 3]} for i in range(12)]
    rows.append({"prompt": "own", "reference": "up", "choices": ["up", "down"]})
    task = load_task(write(tmp_path / "a.jsonl", rows))
    assert task.metric == "choice"
    choices = {p.text: p.choices for part in parts(task) for p in part}
    assert choices["own"] == ("up", "down")
    assert choices["q0"] == ("no", "up", "yes.")
    rows[-1] = {"prompt": "own", "reference": "left", "choices": ["up", "down"]}
    with pytest.raises(InputError, match=r"is 'left', which is none of its choices \(up, down\)"):
        load_task(write(tmp_path / "a.jsonl", rows))


@pytest.mark.parametrize(
    ("metric", "text", "reference", "expected"),
    [
        ("exact_match", "  The Cat. \n", "the cat", 1),
        ("exact_match", "the  cat", "the cat", 0),
        ("exact_match", "", "the cat", 0),
        ("f1", "The cat sat!", "a cat sat", 1),
        ("f1", "cat cat dog", "cat bird", 0.4),  # 1 shared of 3 and of 2 words
        ("f1", "the", "a", 1),
        ("f1", "", "cat", 0),
        ("rouge1", "The cat sat on the mat.", "the cat was on the mat", 5 / 6),
        ("rouge1", "the the the", "the end", 0.4),  # clipped
        ("rouge1", "naïve", "NAÏVE", 1),
        ("rouge1", "", "cat", 0),
    ],
)
def test_metrics(metric: str, text: str, reference: str, expected: float) -> None:
    assert METRICS[metric](text, prompt(reference)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Science", 1),
        ("**science**, not arts", 1),
        ("It is science.", 1),
        ("Science. Some would say arts.", 1),
        ("Either arts or science", 0),
        ("computer science", 0),
        ("I'd say computer science", 0),
        ("conscience", 0),
        ("", 0),
    ],
)
def test_choice(text: str, expected: float) -> None:
    assert METRICS["choice"](text, prompt("Science.", ("arts", "science", "Computer science"))) == expected


def test_choices_may_be_punctuated() -> None:
    assert METRICS["choice"]("(B) because", prompt("(B)", ("(A)", "(B)"))) == 1
    assert METRICS["choice"]("10", prompt("1", ("1", "10"))) == 0


def test_metrics_need_something_to_score_against() -> None:
    with pytest.raises(InputError, match="has no choices"):
        METRICS["choice"]("x", prompt())
    with pytest.raises(InputError, match="has no reference"):
        METRICS["f1"]("x", prompt(None))


def test_scores_are_in_the_order_of_the_prompts() -> None:
    prompts = make_set("s", [Prompt(i, ({"role": "user", "content": i},), reference=i) for i in ("a", "b")])
    answers = [Answer("b", "B.", "stop", 1), Answer("a", "wrong", "stop", 1)]
    assert score("exact_match", answers, prompts) == [0.0, 1.0]
    for wrong, named in (
        (answers[:1], "a"),
        ([*answers, Answer("c", "", "stop", 0)], "c"),
        ([*answers, answers[0]], "twice"),
    ):
        with pytest.raises(Undecided, match=f"do not match the 2 prompts of s one to one .*{named}"):
            score("exact_match", wrong, prompts)
    with pytest.raises(InputError, match="no metric 'bleu'"):
        score("bleu", answers, prompts)


@pytest.mark.parametrize(("length", "expected"), [(4, 14), (11, 25), (900, 256)])
def test_an_answer_may_be_longer_than_the_longest_reference(tmp_path: Path, length: int, expected: int) -> None:
    rows = [*sums(8), {"prompt": "long", "reference": "x" * length}]
    task = load_task(write(tmp_path / "a.jsonl", rows))
    assert max_new_tokens(task, byte_tokenizer()) == expected
