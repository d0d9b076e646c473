"""The answers of a run and the verdicts on them as files, one prompt a line, beside result.json.

`answers/<model>/<set>.jsonl` grows batch by batch; `verdicts/<judge>/<model>/<set>.jsonl` comes in one piece, in the
set's order, and so does `scores/<model>/<task>.jsonl`, which is a single line. Whoever hands a finished output on may
have changed them, so every line is checked.
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

LONGEST = 200  # bytes of a name in a path


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    key: str  # the hash of everything that the answer depends on


Kind = TypeVar("Kind", bound=_Line)


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
    """A line of `verdicts/`: what a judge said of one answer. The judge `file:` reads such lines too."""

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
    """The line of a file in `scores/`: what a model scored on each document of a task of the harness."""

    scores: list[Annotated[float, Field(ge=0, le=1)]]


class JudgedAnswer(BaseModel):
    """One prompt with a model's answer, and what the judge said of it."""

    model_config = ConfigDict(frozen=True)

    id: str
    prompt: str
    answer: str
    finish_reason: str
    verdict: Verdict
    reason: str = ""
    category: str | None = None


class Named(Protocol):
    """A judge, or what a result says of one."""

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...


# Places


def place(folder: Path, model: str, prompts: str) -> Path:
    """The file of a model's answers to a set. Names from outside lose what could lead out of the folder."""
    return folder / "answers" / _file_name(model) / f"{_file_name(prompts)}.jsonl"


def verdicts_place(folder: Path, judge: Named, model: str, prompts: str) -> Path:
    """The file of a judge's verdicts on these answers."""
    return folder / "verdicts" / _file_name(called(judge)) / _file_name(model) / f"{_file_name(prompts)}.jsonl"


def scores_place(folder: Path, model: str, task: str) -> Path:
    """The file of a model's scores on a task of the harness."""
    return folder / "scores" / _file_name(model) / f"{_file_name(task)}.jsonl"


def called(judge: Named) -> str:
    """A judge's name, and a hash of its fingerprint: the same judge with other weights is another one."""
    return f"{judge.name}-{text_digest(judge.fingerprint)[:8]}"


def _file_name(name: str) -> str:
    """A name as one part of a path; one that had to be changed gets a hash, so that no two names share a file. Systems
    take 255 bytes, and a judge's name, a command for instance, may have more."""
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name).lstrip(".")
    safe = safe.encode("utf-8", "ignore")[:LONGEST].decode("utf-8", "ignore")
    if safe and safe == name:
        return safe
    return f"{safe}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


# Writing, and going on after a stop


def append(path: Path, lines: Sequence[_Line]) -> None:
    """Add lines to a file, and wait until they are on the disk.

    What no UTF-8 has, a lone surrogate, becomes the escape that JSON has for it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line.model_dump(mode="json"), ensure_ascii=False) + "\n" for line in lines)
    with path.open("ab") as file:
        file.write(text.encode("utf-8", "backslashreplace"))
        file.flush()
        os.fsync(file.fileno())


def resumed(path: Path, key: str, batches: Sequence[Sequence[str]]) -> list[AnswerLine]:
    """The answers of the whole batches at the beginning of a file, which loses what follows them.

    `batches` holds the ids of the prompts in the order in which they are asked. An answer of another key is none.
    """
    if not path.is_file():
        return []
    data = path.read_bytes()
    found, size = finished(data, key, batches)
    if size < len(data):
        os.truncate(path, size)
    return found


def finished(data: bytes, key: str, batches: Sequence[Sequence[str]]) -> tuple[list[AnswerLine], int]:
    """The answers of the whole batches that a file begins with, and how many bytes they take."""
    lines = data.split(b"\n")[:-1]  # what stands after the last line feed is half a line
    found: list[AnswerLine] = []
    for batch in batches:
        read = [_whole(line, AnswerLine) for line in lines[len(found) : len(found) + len(batch)]]
        whole = [one for one, id_ in zip(read, batch, strict=False) if one and (one.id, one.key) == (id_, key)]
        if len(whole) < len(batch):
            break
        found += whole
    return found, sum(len(line) + 1 for line in lines[: len(found)])


def ruled(path: Path, key: str, answers: Sequence[Answer]) -> list[VerdictLine]:
    """A judge's verdicts on these very answers; none if one is missing, or if one could not be given then."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
    found = [
        one for one in (_whole(line, VerdictLine) for line in lines) if one and one.verdict is not Verdict.UNSCORED
    ]
    wanted = [(a.id, key, text_digest(a.text)) for a in answers]
    return found if [(one.id, one.key, one.answer_sha256) for one in found] == wanted else []


def scored(path: Path, key: str) -> list[float] | None:
    """The scores that a file holds; None if it has none of this key."""
    line = _whole(path.read_bytes(), ScoreLine) if path.is_file() else None
    return line.scores if line and line.key == key else None


def key_of(path: Path) -> str | None:
    """The key of a file's first line; None if it has no such line."""
    with path.open("rb") as file:
        first = _whole(file.readline(), _Line)
    return first.key if first else None


def _whole(line: bytes, kind: type[Kind]) -> Kind | None:
    """A line as its kind; None if it is none, as where a process was killed."""
    try:
        return kind.model_validate(json.loads(line))
    except (ValueError, RecursionError):
        return None


# Reading what is complete


def read(folder: Path, judge: Named, model: str, prompts: str) -> list[JudgedAnswer]:
    """A model's answers to a set with a judge's verdicts, in the set's order.

    InputError names the line that is none.
    """
    files = place(folder, model, prompts), verdicts_place(folder, judge, model, prompts)
    answers = {line.id: line for line in _lines(files[0], AnswerLine)}
    verdicts = _lines(files[1], VerdictLine)
    if sorted(answers) != sorted(line.id for line in verdicts):
        raise InputError(f"{files[0]} and {files[1]} tell of different prompts; give the output of one run")
    return [_row(answers[line.id], line) for line in verdicts]


def _row(said: AnswerLine, ruled: VerdictLine) -> JudgedAnswer:
    known = said.model_dump(include={"id", "prompt", "answer", "finish_reason", "category"})
    return JudgedAnswer(**known, verdict=ruled.verdict, reason=ruled.raw)


def _lines(path: Path, kind: type[Kind]) -> list[Kind]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error}; "
            "give an output of restore or of evaluate -o, with answers and verdicts beside its result.json"
        ) from error
    return [_line(line, kind, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def _line(line: bytes, kind: type[Kind], where: str) -> Kind:
    try:
        return kind.model_validate(json.loads(line.decode("utf-8")))
    except ValidationError as error:
        problem = first_problem(error)
    except RecursionError:
        problem = "nested too deeply"
    except ValueError as error:
        problem = f"not JSON ({error})"
    what = "answer" if kind is AnswerLine else "verdict"
    raise InputError(f"{where} is no {what}: {problem}; correct it or make the output again")
