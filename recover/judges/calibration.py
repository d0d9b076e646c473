"""How far judges can be trusted: a judge against people's labels, and judges against each other.

A judge is calibrated in one channel. Its sensitivity is the share of what people call refused (or harmful) that it
calls so too, its specificity the share of the rest that it leaves out. Both tell of verdicts as the rates count them,
so they correct the rate of that channel and no other: a judge that finds refusals well may still be wrong about harm.
The correction supposes that the judge errs as often on the answers at hand as on the labelled ones.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recover.errors import InputError, few, first_problem
from recover.judges import Judge, Judgement, Verdict
from recover.judges.protocol import Item
from recover.judges.spec import file_digest
from recover.judges.words import CHANNELS, channel_of
from recover.prompts.prompt_set import PROMPT_COLUMNS, Answer, Prompt
from recover.prompts.table_files import column_key, read_rows, read_text
from recover.results import statistics
from recover.results.schema import AgreementReport, Channel, Json, Rates

COMPLETION_COLUMNS = ("completion", "answer", "response", "output", "generation")
LABEL_COLUMNS = ("final_label", "label", "verdict", "human_label", "annotation")
COUNTED: dict[Channel, Verdict] = {"harmful": Verdict.HARMFUL, "refused": Verdict.REFUSED}
Counts = tuple[int, int, int, int]  # yes by both, by the first only, by the second only, by neither
Interval = tuple[float, float]
Fraction = Annotated[float, Field(ge=0, le=1)]
Verdicts = Sequence[tuple[Channel, Sequence[Judgement]]]  # by prompt set, with the channel that matters on it


# Two raters


def cross(first: Iterable[bool | None], second: Iterable[bool | None]) -> Counts:
    """The counts of two raters on the same items, over those on which both have an opinion."""
    known = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    return (
        known.count((True, True)),
        known.count((True, False)),
        known.count((False, True)),
        known.count((False, False)),
    )


def opinions(judgements: Sequence[Judgement], channel: Channel) -> list[bool | None]:
    """Whether each verdict is the one that a channel's rate counts; None where there is none."""
    return [None if j.verdict is Verdict.UNSCORED else j.verdict is COUNTED[channel] for j in judgements]


def agreements(judged: Sequence[tuple[str, Verdicts]]) -> list[AgreementReport]:
    """How far each two judges agree, by channel. `judged` holds every judge's name and verdicts on the same answers."""
    found = []
    for (first, ours), (second, theirs) in combinations(judged, 2):
        for channel in CHANNELS:
            if any(c == channel for c, _ in ours):
                counts = cross(_in_channel(ours, channel), _in_channel(theirs, channel))
                found.append(_agreement((first, second), channel, counts))
    return found


def _in_channel(verdicts: Verdicts, channel: Channel) -> list[bool | None]:
    return [opinion for c, judgements in verdicts if c == channel for opinion in opinions(judgements, channel)]


def _agreement(names: tuple[str, str], channel: Channel, counts: Counts) -> AgreementReport:
    n = sum(counts)
    if not n:
        return AgreementReport(judges=names, channel=channel, n=0)
    share, kappa = (counts[0] + counts[3]) / n, statistics.cohen_kappa(*counts)
    return AgreementReport(judges=names, channel=channel, n=n, agreement=share, kappa=kappa)


# People's labels


@dataclass(frozen=True)
class Columns:
    """The names of a label file's columns; None is a guess by the usual names."""

    prompt: str | None = None
    completion: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class Labelled:
    """Answers with what people called them."""

    source: str
    sha256: str
    items: tuple[Item, ...]
    labels: tuple[str, ...]


def read_labels(file: Path, columns: Columns = Columns()) -> Labelled:
    """Read a file of labelled answers, one a row, as it is; InputError for a column or a label that is not there.

    Where ids are missing or repeat, because a prompt has several answers, rows are known by their numbers.
    """
    names = {*PROMPT_COLUMNS, *COMPLETION_COLUMNS, *LABEL_COLUMNS, *filter(None, vars(columns).values())}
    rows = read_rows(file, str(file), names)
    prompt = _column(rows, columns.prompt, PROMPT_COLUMNS, "prompt", file)
    completion = _column(rows, columns.completion, COMPLETION_COLUMNS, "completion", file)
    label = _column(rows, columns.label, LABEL_COLUMNS, "label", file)
    ids = [str(row.get("id") or "") for row in rows]
    named = all(ids) and len({*ids}) == len(ids)
    items, labels = [], []
    for number, row in enumerate(rows, 1):
        if row.get(prompt) is None or row.get(label) is None:
            raise InputError(f"{file}, row {number} has no {prompt} or no {label}; complete it or leave it out.")
        id_, text = ids[number - 1] if named else f"{file.stem}-{number}", str(row.get(completion) or "")
        tokens = len(re.findall(r"\w+|[^\w\s]", text))  # about; it tells an answer from a word or two
        items.append((Prompt(id_, ({"role": "user", "content": str(row[prompt])},)), Answer(id_, text, "stop", tokens)))
        labels.append(str(row[label]))
    return Labelled(str(file), file_digest(file), tuple(items), tuple(labels))


def _column(rows: Sequence[Mapping[str, Any]], named: str | None, usual: Sequence[str], what: str, file: Path) -> str:
    present = dict.fromkeys(column for row in rows for column in row)
    wanted = [column_key(named)] if named else usual
    found = [column for column in wanted if column in present]
    if not found:
        raise InputError(
            f"{file} has no column {' or '.join(wanted)}: found {few(list(present), 12)}; name it with --{what}-column."
        )
    return found[0]


def meaning(
    labels: Iterable[str], positive: Sequence[str] = (), channel: Channel | None = None
) -> tuple[Channel, frozenset[str]]:
    """The channel that labels speak of, and those that mean yes in it: as told, or else by what their names say."""
    values = sorted(set(labels))
    if missing := sorted(set(positive) - set(values)):
        raise InputError(f"no answer has the label {few(missing)}: found {few(values, 8)}; correct --positive.")
    said = {channel_of(value) for value in positive or values} - {None}
    found = channel or (said.pop() if len(said) == 1 else None)
    yes = frozenset(positive or (value for value in values if channel_of(value) == found))
    if found is None or not yes:
        raise InputError(
            f"the labels {few(values, 8)} do not say what they mean; name those that mean yes with --positive and "
            "what they are with --channel (harmful or refused)."
        )
    return found, yes


# A judge against people


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)


class LabelFile(_Stored):
    """One file of labels that a calibration was made with."""

    source: str
    sha256: str
    n: Annotated[int, Field(ge=0)]
    kappa: float | None


class Calibration(_Stored):
    """What people's labels say of a judge in one channel; intervals are Wilson's, 95 %."""

    schema_: Literal["recover-align/calibration/1"] = Field(
        default="recover-align/calibration/1", validation_alias="schema", serialization_alias="schema"
    )
    judge: str
    fingerprint: str
    channel: Channel
    positive: tuple[str, ...]
    files: tuple[LabelFile, ...]
    n: Annotated[int, Field(ge=1)]
    unscored: Annotated[int, Field(ge=0)]
    kappa: float | None
    agreement: Fraction
    agreement_ci95: Interval
    sensitivity: Fraction
    sensitivity_ci95: Interval
    specificity: Fraction
    specificity_ci95: Interval

    def facts(self) -> dict[str, Json]:
        """What a result says of it beside the judge's own name and fingerprint."""
        facts: dict[str, Json] = self.model_dump(mode="json", exclude={"schema_", "judge", "fingerprint"})
        return facts

    def check(self, judge: Judge) -> None:
        """InputError if it was made with another judge, or with the same one before its verdicts could change."""
        if judge.fingerprint != self.fingerprint:
            raise InputError(
                f"the calibration is of the judge {self.judge} with fingerprint {self.fingerprint[:16]}, but the first "
                f"judge of this run is {judge.name} with {judge.fingerprint[:16]}; calibrate that one"
            )


def calibrate(
    judge: Judge, files: Sequence[Labelled], positive: Sequence[str] = (), channel: Channel | None = None
) -> Calibration:
    """Compare a judge with people's labels. Undecided if none of them, or all, mean yes.

    InputError for the same file twice, whose answers would count twice.
    """
    if len({file.sha256 for file in files}) < len(files):
        raise InputError(f"found the same labels twice among {', '.join(f.source for f in files)}; give each file once")
    channel, yes = meaning((label for file in files for label in file.labels), positive, channel)
    counted = [cross([label in yes for label in f.labels], _said(judge, f.items, channel)) for f in files]
    both, missed, invented, neither = counts = tuple(map(sum, zip(*counted, strict=True)))
    n, total = sum(counts), sum(len(f.items) for f in files)
    agreement = statistics.rate("agreement", both + neither, n)
    sensitivity = statistics.rate("sensitivity", both, both + missed)
    specificity = statistics.rate("specificity", neither, neither + invented)
    return Calibration(
        judge=judge.name,
        fingerprint=judge.fingerprint,
        channel=channel,
        positive=tuple(sorted(yes)),
        files=tuple(_label_file(f, c) for f, c in zip(files, counted, strict=True)),
        n=n,
        unscored=total - n,
        kappa=statistics.cohen_kappa(both, missed, invented, neither),
        agreement=agreement.value,
        agreement_ci95=(agreement.low, agreement.high),
        sensitivity=sensitivity.value,
        sensitivity_ci95=(sensitivity.low, sensitivity.high),
        specificity=specificity.value,
        specificity_ci95=(specificity.low, specificity.high),
    )


def _said(judge: Judge, items: Sequence[Item], channel: Channel) -> list[bool | None]:
    """The judge's opinions. Labels of harm are of answers to harmful requests, which should be refused."""
    expect: Literal["refuse"] | None = "refuse" if channel == "harmful" else None
    asked = [(Prompt(prompt.id, prompt.messages, expect), answer) for prompt, answer in items]
    return opinions(judge(asked), channel)


def _label_file(file: Labelled, counts: Counts) -> LabelFile:
    n = sum(counts)
    kappa = statistics.cohen_kappa(*counts) if n else None
    return LabelFile(source=file.source, sha256=file.sha256, n=n, kappa=kappa)


def dumps(calibration: Calibration) -> str:
    """The text of a calibration's file."""
    return json.dumps(calibration.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=False) + "\n"


def load_calibration(file: Path) -> Calibration:
    """Read a calibration's file; InputError if it is none."""
    try:
        return Calibration.model_validate_json(read_text(file, str(file)))
    except ValidationError as error:
        raise InputError(
            f"{file} is no calibration ({first_problem(error)}); make one with recover-align judge calibrate --out"
        ) from error


def corrected(rates: Rates, calibration: Calibration) -> Rates:
    """The rates, that of the calibrated channel with its value corrected for the judge's errors."""
    rate = getattr(rates, calibration.channel)
    if rate is None or rate.rate is None:
        return rates
    value = statistics.rogan_gladen(rate.rate, calibration.sensitivity, calibration.specificity)
    return rates.model_copy(update={calibration.channel: rate.model_copy(update={"corrected": value})})
