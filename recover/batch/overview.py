"""The overview of a batch: the schema `recover-align/batch/1`, and its forms JSON, CSV, Markdown and HTML."""

import contextlib
import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recover.errors import InputError, first_problem
from recover.report import render
from recover.report.numbers import NONE, duration, percent, sanitise
from recover.results.schema import Result, Tool, load

BATCH_FILE = "batch.json"
JOB_NAME = r"\w[\w.+-]{0,99}"  # one part of a path: not hidden, and inside its directory
JobStatus = Literal["done", "failed", "skipped", "pending"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)


class JobEntry(_Part):
    """One job: done in this run, failed, skipped because its result was there, or pending. Unknown values are None."""

    name: Annotated[str, Field(pattern=f"^{JOB_NAME}$")]
    key: str  # the hash of the inputs of its result
    status: JobStatus
    exit_code: int | None = None
    result: Annotated[str, Field(pattern=f"^{JOB_NAME}(/{JOB_NAME})*$")] | None = (
        None  # the path of its result.json, relative to the batch's directory
    )
    seconds: float | None = None
    reason: str | None = None


class Batch(_Part):
    """The state of a batch. Its exit code is the worst known one of its jobs, which is the highest."""

    schema_: Literal["recover-align/batch/1"] = Field(
        default="recover-align/batch/1", validation_alias="schema", serialization_alias="schema"
    )
    tool: Tool
    created: str
    aligned: str
    jobs: list[JobEntry]

    @property
    def exit_code(self) -> int:
        """The worst of the jobs' exit codes."""
        return max((entry.exit_code or 0 for entry in self.jobs), default=0)

    def count(self, *statuses: JobStatus) -> int:
        """How many jobs have one of these statuses."""
        return sum(entry.status in statuses for entry in self.jobs)

    @property
    def headline(self) -> str:
        """How the jobs ended, in one sentence."""
        parts = ((self.count("done", "skipped"), "with a result"), (self.count("failed"), "failed"))
        pending = self.count("pending")
        counts = [f"{number} {word}" for number, word in (*parts, (pending, "not run")) if number]
        return f"{len(self.jobs)} fine-tunes of {sanitise(self.aligned)}: {', '.join(counts)}."


def dumps(batch: Batch) -> str:
    """The text of batch.json."""
    return batch.model_dump_json(by_alias=True, indent=1) + "\n"


def read(folder: Path) -> Batch:
    """Read the batch.json of a directory. Raises InputError if it is none."""
    try:
        return Batch.model_validate_json((folder / BATCH_FILE).read_bytes())
    except OSError as error:
        problem = error.strerror or str(error)
    except ValidationError as error:
        problem = first_problem(error)
    raise InputError(
        f"{folder / BATCH_FILE} is no record of a batch: {problem}; give the --out of a batch of this version"
    )


# The numbers of a batch


@dataclass(frozen=True)
class Line:
    """One job with the numbers of its result. Unknown values are None."""

    entry: JobEntry
    harmful: tuple[float | None, float | None, float | None] = (None, None, None)  # aligned, tuned, restored
    over_refusal: float | None = None  # of the restored model, like the fields below
    retention: float | None = None
    share: float | None = None

    @property
    def link(self) -> str | None:
        """The address of its report, from the batch's directory."""
        return self.entry.result and str(Path(self.entry.result).with_name("report.html"))

    @property
    def numbers(self) -> list[float | None]:
        """The fractions, in the order of the columns."""
        return [*self.harmful, self.over_refusal, self.retention, self.share]

    @property
    def keys(self) -> list[float | None]:
        """What the columns of numbers are sorted by."""
        return [self.entry.exit_code, *self.numbers, self.entry.seconds]

    @property
    def cells(self) -> list[str]:
        """The line as text, under HEADER."""
        code = NONE if self.entry.exit_code is None else str(self.entry.exit_code)
        return [
            sanitise(self.entry.name),
            self.entry.status,
            code,
            *map(percent, self.numbers),
            duration(self.entry.seconds),
        ]


HEADER = (
    "fine-tune", "status", "exit code", "harmful aligned", "harmful tuned", "harmful restored", "over-refusal",
    "task kept", "weights restored", "time",
)  # fmt: skip


def lines(batch: Batch, folder: Path) -> list[Line]:
    """All jobs, the worst first: failed ones, missed ones, then by the restored harmful rate; pending ones last."""
    return sorted((_line(entry, folder) for entry in batch.jobs), key=_worst_first)


def _line(entry: JobEntry, folder: Path) -> Line:
    with contextlib.suppress(InputError):  # a result that was removed since is unknown
        if entry.result:
            return _numbers(entry, load(folder / entry.result))
    return Line(entry)


def _numbers(entry: JobEntry, result: Result) -> Line:
    summary = result.summary
    aligned, tuned, restored = (summary.harmful.get(name) for name in ("aligned", "tuned", "restored"))
    return Line(
        entry,
        (aligned, tuned, restored),
        summary.over_refusal.get("restored"),
        summary.task_retention,
        result.restoration.fraction if result.restoration else None,
    )


def _worst_first(line: Line) -> tuple[bool, int, float, str]:
    """The key that sorts the worst line first."""
    code, harmful = line.entry.exit_code, line.harmful[2]
    return code is None, -(code or 0), math.inf if harmful is None else -harmful, line.entry.name


# Files


def write(batch: Batch, folder: Path) -> None:
    """Write batch.csv, batch.html and batch.json into a batch's directory."""
    rows = lines(batch, folder)
    render.save(folder, {"batch.csv": table(rows), "batch.html": html(batch, rows), BATCH_FILE: dumps(batch)})


def table(rows: Sequence[Line]) -> str:
    """The lines as CSV. Rates are fractions; unknown values are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rates = ["harmful_aligned", "harmful_tuned", "harmful_restored", "over_refusal", "task_retention", "restored"]
    writer.writerow(["name", "status", "exit_code", *rates, "seconds", "result", "reason"])
    for line in rows:
        entry = line.entry
        reason = sanitise(entry.reason or "").lstrip("=+-@ ")  # else a spreadsheet reads a formula
        writer.writerow([entry.name, entry.status, entry.exit_code, *line.numbers, entry.seconds, entry.result, reason])
    return text.getvalue()


def markdown(batch: Batch, rows: Sequence[Line]) -> str:
    """The lines as Markdown."""
    reasons = [
        f"- {render.md(sanitise(f'{line.entry.name}: {line.entry.reason}'))}" for line in rows if line.entry.reason
    ]
    parts = [f"**{render.md(batch.headline)}**", render.md_table(HEADER, [line.cells for line in rows])]
    return "\n\n".join([*parts, *(["\n".join(reasons)] if reasons else [])]) + "\n"


def html(batch: Batch, rows: Sequence[Line]) -> str:
    """The overview as one page that loads nothing."""
    from markupsafe import Markup

    script = (render.TEMPLATES / "batch.js").read_text(encoding="utf-8")
    return render.render(
        "batch.html.j2",
        batch=batch,
        lines=rows,
        header=HEADER,
        points=[line for line in rows if line.harmful[1] is not None and line.harmful[2] is not None],
        script=Markup(script),  # noqa: S704, the package's own file
        script_hash=render.content_hash(script),
    )
