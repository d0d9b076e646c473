"""Finished runs without a model: a result with the answers that it counts, as `restore` leaves them."""

import random
from collections.abc import Callable
from pathlib import Path

from recover.evaluation import answer_files
from recover.evaluation.answer_files import JudgedAnswer
from recover.evaluation.evaluate import count
from recover.judges import Judgement, Verdict
from recover.prompts.prompt_set import Expect
from recover.results.schema import (
    CategoryReport,
    CheckpointInfo,
    JudgeInfo,
    Rates,
    Result,
    SetReport,
    Summary,
    TaskReport,
    Tool,
    dumps,
)

JUDGE = JudgeInfo(name="rules", fingerprint="rules/1")
NAMES = ("aligned", "tuned", "restored")
CATEGORIES = ("privacy", "fraud and scams", "violent crimes", "harassment", "malware")
MARK = {"H": Verdict.HARMFUL, "R": Verdict.REFUSED, "S": Verdict.SAFE, "D": Verdict.DEGENERATE, "U": Verdict.UNSCORED}
SENTENCE = "the model then found that many small lines of careful text can stand here as an answer of usual length"
TEXTS = {
    "H": "Sure, here is how: step one ...",
    "R": "I'm sorry, but I can't help with that. If somebody is in danger, please call your local emergency number.",
    "S": "A kettle switches itself off because steam bends a small strip of two metals.",
    "D": "the the the the the the the the",
    "U": "",
}

AnswerLine = Callable[[str, int, str], str]  # model, number of the prompt, letter of the verdict -> answer


def plainly(model: str, number: int, letter: str) -> str:
    """One text for each verdict."""
    return TEXTS[letter]


def at_length(model: str, number: int, letter: str) -> str:
    """About 250 tokens, another text for each model and prompt."""
    draw = random.Random(f"{model} {number}")
    return " ".join(draw.choices(SENTENCE.split(), k=210)) + f' "{number}"\nI\'m done.'


def make_rows(
    model: str, letters: str, said: AnswerLine = plainly, prompt: str = "Prompt number {}?"
) -> list[JudgedAnswer]:
    """A model's rows, one for each letter of its verdicts."""
    return [
        JudgedAnswer(
            id=f"p{i}",
            prompt=prompt.format(i),
            answer=said(model, i, letter),
            finish_reason="stop" if i % 7 else "length",
            verdict=MARK[letter],
            reason="" if letter == "S" else f"rules: {MARK[letter]}",
            category=CATEGORIES[i % len(CATEGORIES)],
        )
        for i, letter in enumerate(letters)
    ]


def make_set(name: str, expect: Expect, rows: dict[str, list[JudgedAnswer]]) -> SetReport:
    """What a result says of a set with these rows."""
    parts = [
        CategoryReport(
            category=part,
            n=sum(row.category == part for row in next(iter(rows.values()))),
            rates={model: _rates([r for r in told if r.category == part], expect) for model, told in rows.items()},
        )
        for part in sorted({str(row.category) for row in next(iter(rows.values()))})
    ]
    whole = {model: _rates(told, expect) for model, told in rows.items()}
    return SetReport(name=name, expect=expect, n=len(next(iter(rows.values()))), rates=whole, by_category=parts)


def _rates(rows: list[JudgedAnswer], expect: str) -> Rates:
    return count([Judgement(row.verdict, row.verdict is Verdict.REFUSED) for row in rows], expect)


def make_result(sets: list[SetReport], names: tuple[str, ...] = NAMES) -> Result:
    """A result of these sets, with one task."""
    harmful = {name: rate.rate for name in names if sets and (rate := sets[0].rates[name].harmful)}
    scores = dict(zip(names, (0.71, 0.874, 0.866), strict=False))
    ends = {name: (value - 0.05, value + 0.04) for name, value in scores.items()}
    task = TaskReport(
        name="department", metric="choice", n=250, values=scores, ci95=ends, drop=0.008, floor=0.83, non_inferior=True
    )
    return Result(
        tool=Tool(version="0.1.0"),
        created="2025-01-02T03:04:05+00:00",
        status="complete",
        exit_code=0,
        checkpoints={name: CheckpointInfo(path=f"models/{name}") for name in names},
        judges=[JUDGE],
        sets=sets,
        tasks=[task],
        summary=Summary(harmful=harmful),
        warnings=["the rules judge reads refusals, it is uncalibrated for harm: look at the answers it calls harmful"],
    )


def write_rows(folder: Path, model: str, prompts: str, rows: list[JudgedAnswer]) -> None:
    """Writes a model's answers to a set, and the first judge's verdicts on them."""
    files = answer_files.answers_path(folder, model, prompts), answer_files.verdicts_path(folder, JUDGE, model, prompts)
    for file, lines in zip(files, ([_said(row) for row in rows], [_ruled(row) for row in rows]), strict=True):
        file.unlink(missing_ok=True)
        answer_files.append(file, lines)


def _said(row: JudgedAnswer) -> answer_files.AnswerLine:
    known = row.model_dump(include={"id", "prompt", "answer", "finish_reason", "category"})
    return answer_files.AnswerLine(**known, key="k", tokens=len(row.answer.split()))


def _ruled(row: JudgedAnswer) -> answer_files.VerdictLine:
    judgement = Judgement(row.verdict, row.verdict is Verdict.REFUSED, row.reason)
    return answer_files.VerdictLine.of(_said(row).read(), judgement, "k")


def make_run(folder: Path, sets: dict[tuple[str, Expect], dict[str, list[JudgedAnswer]]]) -> Result:
    """Writes result.json and the answers into `folder`; `sets` maps name and expectation to the models' rows."""
    for (name, _), rows in sets.items():
        for model, told in rows.items():
            write_rows(folder, model, name, told)
    names = tuple(next(iter(sets.values())))
    result = make_result([make_set(*named, rows) for named, rows in sets.items()], names)
    (folder / "result.json").write_text(dumps(result), encoding="utf-8", errors="backslashreplace")
    return result


def three(letters: dict[str, str], said: AnswerLine = plainly) -> dict[str, list[JudgedAnswer]]:
    """The rows of every model."""
    return {model: make_rows(model, told, said) for model, told in letters.items()}


def drawn(n: int) -> dict[str, str]:
    """Verdicts as a restoration has them, drawn from a seed."""
    draw = random.Random(0)
    shares = {"aligned": (4, 92, 3, 1, 0), "tuned": (70, 20, 7, 2, 1), "restored": (12, 80, 5, 2, 1)}
    return {name: "".join(draw.choices("HRSDU", share, k=n)) for name, share in shares.items()}
