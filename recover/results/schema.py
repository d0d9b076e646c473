"""The result of a run: the schema `recover-align/result/1` as pydantic models.

Every report is rendered from one `Result`. Fractions lie in [0, 1]. An unknown number is `None`, never 0.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from recover.checkpoints import files
from recover.errors import InputError, first_problem
from recover.prompts.prompt_set import Expect

RESULT_SCHEMA = "recover-align/result/1"


def _finite(value: JsonValue) -> JsonValue:
    json.dumps(value, allow_nan=False)  # raises ValueError, which pydantic reports with the field
    return value


Json = Annotated[JsonValue, AfterValidator(_finite)]
Count = Annotated[int, Field(ge=0, le=2**53)]  # every reader of JSON can hold it exactly
Fraction = Annotated[float, Field(ge=0, le=1)]
Interval = tuple[float, float]
Levels = dict[str, Fraction | None]  # checkpoint name -> fraction
Channel = Literal["harmful", "refused"]  # what a judge's verdicts are counted for, and a judge is calibrated for


def channel_of_set(expect: Expect | None) -> Channel:
    """What counts as a failure on a prompt set: a refusal where an answer is expected, else a harmful answer."""
    return "refused" if expect in ("comply", "answer") else "harmful"


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        populate_by_name=True,
        json_schema_serialization_defaults_required=True,  # every field is written, even if it has its default
    )


class Tool(_Part):
    """The program that wrote the result."""

    name: str = "recover-align"
    version: str


class CheckpointInfo(_Part):
    """A checkpoint's path and contents."""

    path: str
    sha256: str | None = None
    dtype: str | None = None


class StepReport(_Part):
    """One step of the search, measured on the validation prompts."""

    step: Count
    k: Count  # flips of this step, in either direction
    restored: Count  # weights at their aligned value after the step
    fraction: Fraction
    objective: float | None = None
    terms: dict[str, float] = {}
    harmful: Fraction | None = None
    asked: Count | None = None  # harmful prompts that the rate is of
    task: Fraction | None = None
    note: str = ""


class BlockCount(_Part):
    """Restored weights in one transformer block; `block` is `None` for all weights outside the blocks."""

    block: Count | None
    restored: Count
    weights: Count


class MatrixCount(_Part):
    """Restored weights in one kind of matrix, over all blocks."""

    matrix: str
    restored: Count
    weights: Count


class Validation(_Part):
    """What the search compares its steps with: scores of the validation prompts by model, and the task's floor."""

    harmful: Levels = {}
    task: Levels = {}
    floor: Fraction | None = None


class Restoration(_Part):
    """How the restored checkpoint was made."""

    method: str
    space: Literal["weights", "adapter"] = "weights"  # the tensors that `restored` and `weights` count
    restored: Count | None
    weights: Count
    fraction: Fraction | None
    model_weights: Count | None = None  # of base and adapter together, if the space is `adapter`
    steps: list[StepReport] = []
    stopped: str
    seconds: Annotated[float, Field(ge=0)] | None = None
    peak_rss_bytes: Count | None = None
    candidates: Count | None = None
    options: dict[str, Json] = {}
    by_block: list[BlockCount] = []
    by_matrix: list[MatrixCount] = []
    best_step: Count | None = None
    validation: Validation | None = None


class JudgeInfo(_Part):
    """A judge of the answers; `calibration` holds its errors against people's labels, `None` if it has none."""

    name: str
    fingerprint: str
    calibration: dict[str, Json] | None = None


class AgreementReport(_Part):
    """How far two judges agree on what a channel counts, over the answers that both have a verdict on.

    Sets that expect a refusal belong to the harmful channel, sets that expect an answer to the refused channel.
    """

    judges: tuple[str, str]
    channel: Literal["harmful", "refused"]
    n: Count
    agreement: Fraction | None = None
    kappa: float | None = None  # also unknown where both say the same of every answer


class Audit(_Part):
    """People's labels of the answers behind a rate: of all that the judge counted, and of a sample of the others.

    An answer that was shown to people and got no label counts as confirmed or missed, and as `unlabelled` too.
    """

    positives: Count
    confirmed: Count
    negatives: Count
    sampled: Count
    missed: Count
    unlabelled: Count = 0
    ci95: Interval  # of the rate's `corrected`
    upper95: float

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.confirmed > self.positives or not self.missed <= self.sampled <= self.negatives:
            raise ValueError("an audit cannot confirm or miss more answers than people looked at")
        if self.negatives and not self.sampled:
            raise ValueError("an audit needs a sample of the answers that the judge did not count")
        return self


class Rate(_Part):
    """A count k of n with its 95 % interval and one-sided upper bound; `corrected` allows for the judge's errors.

    With an `audit`, `corrected` is the rate by people's labels; else it follows from the judge's calibration.
    """

    k: Count
    n: Count | None = None
    rate: Fraction | None = None
    ci95: Interval | None = None
    upper95: float | None = None
    corrected: float | None = None
    audit: Audit | None = None

    @model_validator(mode="after")
    def _has_denominator(self) -> Self:
        if self.n is not None and self.k > self.n:
            raise ValueError(f"k = {self.k} exceeds n = {self.n}")
        if not self.n and any(value is not None for value in (self.rate, self.ci95, self.upper95, self.corrected)):
            raise ValueError("a rate needs n > 0; without answers it is null")
        if self.audit and (self.k, self.n) != (self.audit.positives, self.audit.positives + self.audit.negatives):
            raise ValueError("an audit must cover as many answers as its rate")
        return self


class Rates(_Part):
    """The rates of one checkpoint on one prompt set; `None` for a rate that means nothing on this set."""

    harmful: Rate | None = None
    refused: Rate | None = None
    degenerate: Rate | None = None
    unscored: Rate | None = None


class PairReport(_Part):
    """Two checkpoints on the same prompts: failures that are fixed, new, in both or in neither."""

    from_: str = Field(validation_alias="from", serialization_alias="from")
    to: str
    fixed: Count
    broken: Count
    both: Count
    neither: Count
    difference: float | None = None
    ci95: Interval | None = None
    mcnemar_p: Fraction | None = None


class CategoryReport(_Part):
    """The rates of one category of a prompt set."""

    category: str
    n: Count
    rates: dict[str, Rates]


class SetReport(_Part):
    """One prompt set, and the rates of each checkpoint on it."""

    name: str
    expect: Expect | None
    n: Count
    samples: Annotated[int, Field(ge=1)] = 1  # answers to each of the n prompts
    effective_n: Annotated[float, Field(gt=0)] | None = None  # independent answers that all are worth, if fewer
    sha256: str | None = None
    leakage: Count | None = None  # prompts that a capture or validation set holds too, exactly or nearly
    rates: dict[str, Rates]
    pairs: list[PairReport] = []
    by_category: list[CategoryReport] = []

    @model_validator(mode="after")
    def _counts_samples(self) -> Self:
        if self.effective_n is None and self.samples > 1:
            raise ValueError("several samples of a prompt need an effective_n")
        if self.effective_n is not None and self.effective_n > self.n + 1e-9:
            raise ValueError(f"effective_n = {self.effective_n} exceeds the {self.n} prompts")
        return self

    @property
    def channel(self) -> Channel:
        """What counts as a failure on this set."""
        return channel_of_set(self.expect)

    @property
    def answers(self) -> int:
        """How many answers each checkpoint gave."""
        return self.n * self.samples

    def effective(self, count: int) -> float | None:
        """How many independent answers `count` of the answers are worth; None if all answers are independent."""
        return None if self.effective_n is None else self.effective_n * count / self.answers


class TaskReport(_Part):
    """A task's score by checkpoint; `drop` is tuned minus restored, `floor` the least score allowed for restored."""

    name: str
    metric: str
    n: Count
    values: Levels
    ci95: dict[str, Interval | None] = {}
    drop: float | None = None
    floor: Fraction | None = None
    non_inferior: bool | None = None


class ChannelAudit(_Part):
    """The judge against people's labels on this run, over all audited sets of a channel; counts as in `Audit`.

    The intervals hold for these answers, not for others. They and the rates are unknown while a label is missing.
    """

    channel: Channel
    positives: Count
    confirmed: Count
    negatives: Count
    sampled: Count
    missed: Count
    unlabelled: Count
    sensitivity: Fraction | None = None
    sensitivity_ci95: Interval | None = None
    specificity: Fraction | None = None
    specificity_ci95: Interval | None = None


class AuditReport(_Part):
    """Which answers people labelled, where the labels are from, and what they say of the judge."""

    models: list[str]
    negatives: Count  # the most that were drawn from a set
    seed: int
    labels: str  # sha256 of the file of labels
    source: str  # sha256 of the result.json that was audited
    channels: list[ChannelAudit]


class Summary(_Part):
    """The most important numbers, by checkpoint."""

    harmful: Levels = {}
    over_refusal: Levels = {}
    degenerate: Levels = {}
    task_retention: float | None = None
    recovery_fraction: float | None = None


class Result(_Part):
    """All results of a run, with what they depend on."""

    schema_: Literal["recover-align/result/1"] = Field(
        default="recover-align/result/1", validation_alias="schema", serialization_alias="schema"
    )
    tool: Tool
    created: str
    status: Literal["complete", "partial"]
    exit_code: Count
    checkpoints: dict[str, CheckpointInfo]
    restoration: Restoration | None = None
    settings: dict[str, Json] = {}
    judges: list[JudgeInfo] = []  # the rates count the first one's verdicts
    agreement: list[AgreementReport] = []
    sets: list[SetReport] = []
    tasks: list[TaskReport] = []
    audit: AuditReport | None = None
    summary: Summary = Summary()
    warnings: list[str] = []
    environment: dict[str, Json] = {}

    @model_validator(mode="after")
    def _names_known_checkpoints(self) -> Self:
        names: set[str] = {*self.summary.harmful, *self.summary.over_refusal, *self.summary.degenerate}
        for set_report in self.sets:
            names.update(set_report.rates)
            names.update(name for pair in set_report.pairs for name in (pair.from_, pair.to))
            names.update(name for category in set_report.by_category for name in category.rates)
        for task in self.tasks:
            names.update(task.values, task.ci95)
        names.update(self.audit.models if self.audit else ())
        if unknown := sorted(names - set(self.checkpoints)):
            raise ValueError(f"numbers for {', '.join(unknown)}, which `checkpoints` does not list")
        return self


def schema() -> dict[str, Any]:
    """The JSON Schema of `result.json`."""
    generated = Result.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **generated}


def dumps(result: Result) -> str:
    """The text of `result.json`; the same result gives the same text."""
    data = result.model_dump(mode="json", by_alias=True)
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def find(path: Path) -> Path:
    """The path of an output's `result.json`: in its folder or beside its file, else the path itself."""
    return files.in_output(path, "result.json") or path


def load(path: Path) -> Result:
    """Read a `result.json`. Raises InputError if it cannot be read or has another schema."""
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_refuse_constant)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}; give the path of a result.json") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({error}); give the path of a result.json") from error
    schema_name = data.get("schema") if isinstance(data, dict) else None
    if schema_name != RESULT_SCHEMA:
        raise InputError(
            f"{path} has schema {schema_name!r}, expected {RESULT_SCHEMA!r}; give a result.json that this version wrote"
        )
    _drop_old_fields(data)
    try:
        return Result.model_validate(data)
    except ValidationError as error:
        raise InputError(
            f"{path} does not follow {RESULT_SCHEMA}: {first_problem(error)}; correct it or make it again"
        ) from error


def _drop_old_fields(data: dict[str, Any]) -> None:
    """Remove fields that older results have and that meant nothing."""
    data.pop("rules", None)
    restoration = data.get("restoration")
    steps = restoration.get("steps") if isinstance(restoration, dict) else None
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, dict):
            step.pop("accepted", None)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")
