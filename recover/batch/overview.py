"""What is known of a batch: the schema `recover-align/batch/1`, and its forms: JSON, CSV, Markdown and HTML."""

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

FILE = "batch.json"
NAME = r"\w[\w.+-]{0,99}"  # of a job: one part of a path, that hides nowhere and leads nowhere else
Status = Literal["done", "failed", "skipped", "pending"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)


class JobEntry(_Part):
    """One job: done now, failed, skipped because its result was there, or pending. What is unknown is None."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    key: str  # the hash of what its result is made from
    status: Status
    exit_code: int | None = None
    result: Annotated[str, Field(pattern=f"^{NAME}(/{NAME})*$")] | None = (
        None  # the place of its result.json, from the batch's directory
    )
    seconds: float | None = None
    reason: str | None = None


class Batch(_Part):
    """A batch as it stands. Its exit code is the worst, which is the highest, of those that are known."""

    schema_: Literal["recover-align/batch/1"] = Field(
        default="recover-align/batch/1", validation_alias="schema", serialization_alias="schema"
    )
    tool: Tool
    created: str
    aligned: str
    jobs: list[JobEntry]

    @property
    def exit_code(self) -> int:
        """The worst of the members' exit codes."""
        return max((entry.exit_code or 0 for entry in self.jobs), default=0)

    def count(self, *statuses: Status) -> int:
        """How many jobs have one of these statuses."""
        return sum(entry.status in statuses for entry in self.jobs)

    @property
    def headline(self) -> str:
        """How the jobs ended, in one sentence."""
        parts = ((self.count("done", "skipped"), "with a result"), (self.count("failed"), "failed"))
        rest = self.count("pending")
        told = [f"{number} {word}" for number, word in (*parts, (rest, "not run")) if number]
        return f"{len(self.jobs)} fine-tunes of {sanitise(self.aligned)}: {', '.join(told)}."


def dumps(batch: Batch) -> str:
    """The text of batch.json."""
    return batch.model_dump_json(by_alias=True, indent=1) + "\n"


def read(folder: Path) -> Batch:
    """Read the batch.json of a directory. Raises InputError if it is none."""
    try:
        return Batch.model_validate_json((folder / FILE).read_bytes())
    except OSError as error:
        problem = error.strerror or str(error)
    except ValidationError as error:
        problem = first_problem(error)
    raise InputError(f"{folder / FILE} is no record of a batch: {problem}; give the --out of a batch of this version")


# The numbers of a batch


@dataclass(frozen=True)
class Line:
    """One job with the numbers of its result; what is unknown is None."""

    entry: JobEntry
    harmful: tuple[float | None, float | None, float | None] = (None, None, None)  # aligned, tuned, restored
    over_refusal: float | None = None  # of the restored model, like those that follow
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
    return sorted((_line(entry, folder) for entry in batch.jobs), key=_goodness)


def _line(entry: JobEntry, folder: Path) -> Line:
    with contextlib.suppress(InputError):  # a result that was taken away since then is unknown
        if entry.result:
            return _numbers(entry, load(folder / entry.result))
    return Line(entry)


def _numbers(entry: JobEntry, found: Result) -> Line:
    summary = found.summary
    aligned, tuned, restored = (summary.harmful.get(name) for name in ("aligned", "tuned", "restored"))
    return Line(
        entry,
        (aligned, tuned, restored),
        summary.over_refusal.get("restored"),
        summary.task_retention,
        found.restoration.fraction if found.restoration else None,
    )


def _goodness(line: Line) -> tuple[bool, int, float, str]:
    code, harmful = line.entry.exit_code, line.harmful[2]
    return code is None, -(code or 0), math.inf if harmful is None else -harmful, line.entry.name


# Files


def write(batch: Batch, folder: Path) -> None:
    """Write batch.csv, batch.html and batch.json into a batch's directory."""
    found = lines(batch, folder)
    render.save(folder, {"batch.csv": table(found), "batch.html": html(batch, found), FILE: dumps(batch)})


def table(found: Sequence[Line]) -> str:
    """The lines as CSV; rates are fractions, and what is unknown is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rates = ["harmful_aligned", "harmful_tuned", "harmful_restored", "over_refusal", "task_retention", "restored"]
    writer.writerow(["name", "status", "exit_code", *rates, "seconds", "result", "reason"])
    for line in found:
        entry = line.entry
        reason = sanitise(entry.reason or "").lstrip("=+-@ ")  # which a spreadsheet would take for a formula
        writer.writerow([entry.name, entry.status, entry.exit_code, *line.numbers, entry.seconds, entry.result, reason])
    return text.getvalue()


def markdown(batch: Batch, found: Sequence[Line]) -> str:
    """The lines as Markdown."""
    reasons = [
        f"- {render.md(sanitise(f'{line.entry.name}: {line.entry.reason}'))}" for line in found if line.entry.reason
    ]
    parts = [f"**{render.md(batch.headline)}**", render.md_table(HEADER, [line.cells for line in found])]
    return "\n\n".join([*parts, *(["\n".join(reasons)] if reasons else [])]) + "\n"


def html(batch: Batch, found: Sequence[Line]) -> str:
    """The overview as one page that loads nothing."""
    from markupsafe import Markup

    script = (render.TEMPLATES / "batch.js").read_text(encoding="utf-8")
    return render.render(
        "batch.html.j2",
        batch=batch,
        lines=found,
        header=HEADER,
        points=[line for line in found if line.harmful[1] is not None and line.harmful[2] is not None],
        script=Markup(script),  # noqa: S704, the package's own file
        script_hash=render.content_hash(script),
    )
