"""The answers of a run and the verdicts on them as files, one prompt a line, beside result.json.

`answers/<model>/<set>.jsonl` grows batch by batch. `verdicts/<judge>/<model>/<set>.jsonl` is written in one piece, in
the set's order. `scores/<model>/<task>.jsonl` is a single line. People may change the files before they pass an output
on, so every line is checked.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recover.errors import InputError, first_problem
from recover.judges import Judgement, Verdict
from recover.prompts.prompt_set import Answer, Prompt, text_digest

MAX_NAME_BYTES = 200  # bytes of a name in a path


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    key: str  # the hash of everything that the answer depends on


LineT = TypeVar("LineT", bound=_Line)


class AnswerLine(_Line):
    """A line of `answers/`: one prompt with a model's answer."""

    prompt: str
    answer: str
    finish_reason: Literal["stop", "length"]
    tokens: int
    thinking: str = ""
    category: str | None = None

    @staticmethod
    def of(prompt: Prompt, answer: Answer, key: str) -> "AnswerLine":
        """The line for an answer."""
        return AnswerLine(
            id=prompt.id,
            key=key,
            prompt=prompt.text,
            answer=answer.text,
            finish_reason=answer.finish_reason,
            tokens=answer.tokens,
            thinking=answer.thinking,
            category=prompt.category,
        )

    def read(self) -> Answer:
        """The answer of a line."""
        return Answer(self.id, self.answer, self.finish_reason, self.tokens, self.thinking)


class VerdictLine(_Line):
    """A line of `verdicts/`: a judge's verdict on one answer. The judge `file:` reads such lines too."""

    answer_sha256: str
    verdict: Verdict
    refused: bool
    raw: str = ""
    p_harmful: float | None = None

    @staticmethod
    def of(answer: Answer, judgement: Judgement, key: str) -> "VerdictLine":
        """The line for a judgement of an answer."""
        return VerdictLine(
            id=answer.id,
            key=key,
            answer_sha256=text_digest(answer.text),
            verdict=judgement.verdict,
            refused=judgement.refused,
            raw=judgement.raw,
            p_harmful=judgement.p_harmful,
        )

    def read(self) -> Judgement:
        """The judgement of a line."""
        return Judgement(self.verdict, self.refused, self.raw, self.p_harmful)


class ScoreLine(_Line):
    """The line of a file in `scores/`: a model's score on each document of a task of the harness."""

    scores: list[Annotated[float, Field(ge=0, le=1)]]


class JudgedAnswer(BaseModel):
    """One prompt with a model's answer and the judge's verdict on it."""

    model_config = ConfigDict(frozen=True)

    id: str
    prompt: str
    answer: str
    finish_reason: str
    verdict: Verdict
    reason: str = ""
    category: str | None = None


class Named(Protocol):
    """A judge, or the information on one in a result."""

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...


# Paths


def answers_path(folder: Path, model: str, prompts: str) -> Path:
    """The file of a model's answers to a set. No name can lead out of the folder."""
    return folder / "answers" / _file_name(model) / f"{_file_name(prompts)}.jsonl"


def verdicts_path(folder: Path, judge: Named, model: str, prompts: str) -> Path:
    """The file of a judge's verdicts on these answers."""
    return folder / "verdicts" / _file_name(judge_folder(judge)) / _file_name(model) / f"{_file_name(prompts)}.jsonl"


def scores_path(folder: Path, model: str, task: str) -> Path:
    """The file of a model's scores on a task of the harness."""
    return folder / "scores" / _file_name(model) / f"{_file_name(task)}.jsonl"


def judge_folder(judge: Named) -> str:
    """The name of a judge's folder: its name and a hash of its fingerprint, since other weights are another judge."""
    return f"{judge.name}-{text_digest(judge.fingerprint)[:8]}"


def _file_name(name: str) -> str:
    """A name as one part of a path. A changed name gets a hash, so that no two names share a file.

    File systems allow 255 bytes in a part; a judge's name, such as a command, may be longer.
    """
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name).lstrip(".")
    safe = safe.encode("utf-8", "ignore")[:MAX_NAME_BYTES].decode("utf-8", "ignore")
    if safe and safe == name:
        return safe
    return f"{safe}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


# Writing, and continuing after a stop


def append(path: Path, lines: Sequence[_Line]) -> None:
    """Add lines to a file, and wait until they are on the disk.

    A lone surrogate, which UTF-8 cannot encode, is written as its JSON escape.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line.model_dump(mode="json"), ensure_ascii=False) + "\n" for line in lines)
    with path.open("ab") as file:
        file.write(text.encode("utf-8", "backslashreplace"))
        file.flush()
        os.fsync(file.fileno())


def resume_answers(path: Path, key: str, batches: Sequence[Sequence[str]]) -> list[AnswerLine]:
    """The answers of the complete batches at the start of a file. The rest of the file is cut off.

    `batches` holds the ids of the prompts in the order in which they are asked. An answer with another key ends the
    complete ones.
    """
    if not path.is_file():
        return []
    data = path.read_bytes()
    answers, size = complete_batches(data, key, batches)
    if size < len(data):
        os.truncate(path, size)
    return answers


def complete_batches(data: bytes, key: str, batches: Sequence[Sequence[str]]) -> tuple[list[AnswerLine], int]:
    """The answers of the complete batches that a file begins with, and how many bytes they take."""
    lines = data.split(b"\n")[:-1]  # what follows the last line feed is an incomplete line
    answers: list[AnswerLine] = []
    for batch in batches:
        parsed = [_parse(line, AnswerLine) for line in lines[len(answers) : len(answers) + len(batch)]]
        valid = [line for line, id_ in zip(parsed, batch, strict=False) if line and (line.id, line.key) == (id_, key)]
        if len(valid) < len(batch):
            break
        answers += valid
    return answers, sum(len(line) + 1 for line in lines[: len(answers)])


def read_verdicts(path: Path, key: str, answers: Sequence[Answer]) -> list[VerdictLine]:
    """A judge's verdicts on exactly these answers; an empty list if one is missing or unscored."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
    parsed = [_parse(line, VerdictLine) for line in lines]
    verdicts = [line for line in parsed if line and line.verdict is not Verdict.UNSCORED]
    expected = [(a.id, key, text_digest(a.text)) for a in answers]
    return verdicts if [(line.id, line.key, line.answer_sha256) for line in verdicts] == expected else []


def read_scores(path: Path, key: str) -> list[float] | None:
    """The scores in a file; None if it has none with this key."""
    line = _parse(path.read_bytes(), ScoreLine) if path.is_file() else None
    return line.scores if line and line.key == key else None


def key_of(path: Path) -> str | None:
    """The key of a file's first line; None if it has no such line."""
    with path.open("rb") as file:
        first = _parse(file.readline(), _Line)
    return first.key if first else None


def _parse(line: bytes, line_type: type[LineT]) -> LineT | None:
    """A line as a value; None if it is no such line, as after a kill in the middle of a write."""
    try:
        return line_type.model_validate(json.loads(line))
    except (ValueError, RecursionError):
        return None


# Reading a finished output


def read(folder: Path, judge: Named, model: str, prompts: str) -> list[JudgedAnswer]:
    """A model's answers to a set with a judge's verdicts, in the set's order.

    InputError names the line that cannot be read.
    """
    files = answers_path(folder, model, prompts), verdicts_path(folder, judge, model, prompts)
    answers = {line.id: line for line in _lines(files[0], AnswerLine)}
    verdicts = _lines(files[1], VerdictLine)
    if sorted(answers) != sorted(line.id for line in verdicts):
        raise InputError(f"{files[0]} and {files[1]} tell of different prompts; give the output of one run")
    return [_judged(answers[line.id], line) for line in verdicts]


def _judged(answer: AnswerLine, verdict: VerdictLine) -> JudgedAnswer:
    fields = answer.model_dump(include={"id", "prompt", "answer", "finish_reason", "category"})
    return JudgedAnswer(**fields, verdict=verdict.verdict, reason=verdict.raw)


def _lines(path: Path, line_type: type[LineT]) -> list[LineT]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error}; "
            "give an output of restore or of evaluate -o, with answers and verdicts beside its result.json"
        ) from error
    return [_line(line, line_type, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def _line(line: bytes, line_type: type[LineT], where: str) -> LineT:
    try:
        return line_type.model_validate(json.loads(line.decode("utf-8")))
    except ValidationError as error:
        problem = first_problem(error)
    except RecursionError:
        problem = "nested too deeply"
    except ValueError as error:
        problem = f"not JSON ({error})"
    what = "answer" if line_type is AnswerLine else "verdict"
    raise InputError(f"{where} is no {what}: {problem}; correct it or make the output again")
