"""How far judges can be trusted: a judge against people's labels, and judges against each other.

A judge is calibrated in one channel. Its sensitivity is the share of the answers that people call refused (or harmful)
that the judge calls so too. Its specificity is the share of the other answers that it does not call so. Both describe
verdicts as the rates count them, so they correct the rate of that channel and no other: a judge that finds refusals
well may still be wrong about harm. The correction assumes that the judge errs as often on new answers as on the
labelled ones.
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
from recover.results.schema import AgreementReport, Channel, Fraction, Interval, Json, Rates

COMPLETION_COLUMNS = ("completion", "answer", "response", "output", "generation")
LABEL_COLUMNS = ("final_label", "label", "verdict", "human_label", "annotation")
COUNTED: dict[Channel, Verdict] = {"harmful": Verdict.HARMFUL, "refused": Verdict.REFUSED}
Counts = tuple[int, int, int, int]  # yes by both, by the first only, by the second only, by neither
Verdicts = Sequence[tuple[Channel, Sequence[Judgement]]]  # by prompt set, with the channel that matters on it


# Two raters


def cross(first: Iterable[bool | None], second: Iterable[bool | None]) -> Counts:
    """The counts of two raters on the same items, over those on which both have an opinion."""
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    return (
        pairs.count((True, True)),
        pairs.count((True, False)),
        pairs.count((False, True)),
        pairs.count((False, False)),
    )


def opinions(judgements: Sequence[Judgement], channel: Channel) -> list[bool | None]:
    """Whether each verdict is the one that a channel's rate counts; None where it is unscored."""
    return [None if j.verdict is Verdict.UNSCORED else j.verdict is COUNTED[channel] for j in judgements]


def agreements(judged: Sequence[tuple[str, Verdicts]]) -> list[AgreementReport]:
    """How far each two judges agree, by channel. `judged` holds every judge's name and verdicts on the same answers."""
    reports = []
    for (first, first_verdicts), (second, second_verdicts) in combinations(judged, 2):
        for channel in CHANNELS:
            if any(c == channel for c, _ in first_verdicts):
                counts = cross(_in_channel(first_verdicts, channel), _in_channel(second_verdicts, channel))
                reports.append(_agreement((first, second), channel, counts))
    return reports


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
    """The names of a label file's columns; None means one of the usual names."""

    prompt: str | None = None
    completion: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class Labelled:
    """Answers with people's labels."""

    source: str
    sha256: str
    items: tuple[Item, ...]
    labels: tuple[str, ...]


def read_labels(file: Path, columns: Columns = Columns()) -> Labelled:
    """Read a file of labelled answers, one in each row. Raises InputError for a missing column or label.

    Where ids are missing or repeat, because a prompt has several answers, row numbers take their place.
    """
    names = {*PROMPT_COLUMNS, *COMPLETION_COLUMNS, *LABEL_COLUMNS, *filter(None, vars(columns).values())}
    rows = read_rows(file, str(file), names)
    prompt = _column(rows, columns.prompt, PROMPT_COLUMNS, "prompt", file)
    completion = _column(rows, columns.completion, COMPLETION_COLUMNS, "completion", file)
    label = _column(rows, columns.label, LABEL_COLUMNS, "label", file)
    ids = [str(row.get("id") or "") for row in rows]
    unique_ids = all(ids) and len({*ids}) == len(ids)
    items, labels = [], []
    for number, row in enumerate(rows, 1):
        if row.get(prompt) is None or row.get(label) is None:
            raise InputError(f"{file}, row {number} has no {prompt} or no {label}; complete it or leave it out.")
        id_, text = ids[number - 1] if unique_ids else f"{file.stem}-{number}", str(row.get(completion) or "")
        tokens = len(re.findall(r"\w+|[^\w\s]", text))  # an estimate, enough to tell an answer from a word or two
        items.append((Prompt(id_, ({"role": "user", "content": str(row[prompt])},)), Answer(id_, text, "stop", tokens)))
        labels.append(str(row[label]))
    return Labelled(str(file), file_digest(file), tuple(items), tuple(labels))


def _column(rows: Sequence[Mapping[str, Any]], name: str | None, usual: Sequence[str], role: str, file: Path) -> str:
    present = dict.fromkeys(column for row in rows for column in row)
    wanted = [column_key(name)] if name else usual
    matching = [column for column in wanted if column in present]
    if not matching:
        raise InputError(
            f"{file} has no column {' or '.join(wanted)}: found {few(list(present), 12)}; name it with --{role}-column."
        )
    return matching[0]


def meaning(
    labels: Iterable[str], positive: Sequence[str] = (), channel: Channel | None = None
) -> tuple[Channel, frozenset[str]]:
    """The channel of labels, and the labels that mean yes in it: as the arguments say, or else by the labels' names."""
    values = sorted(set(labels))
    if missing := sorted(set(positive) - set(values)):
        raise InputError(f"no answer has the label {few(missing)}: found {few(values, 8)}; correct --positive.")
    channels = {channel_of(value) for value in positive or values} - {None}
    channel = channel or (channels.pop() if len(channels) == 1 else None)
    yes = frozenset(positive or (value for value in values if channel_of(value) == channel))
    if channel is None or not yes:
        raise InputError(
            f"the labels {few(values, 8)} do not say what they mean; name those that mean yes with --positive and "
            "what they are with --channel (harmful or refused)."
        )
    return channel, yes


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
    """A judge against people's labels in one channel. Intervals are Wilson's, 95 %."""

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
        """What a result says of it besides the judge's own name and fingerprint."""
        facts: dict[str, Json] = self.model_dump(mode="json", exclude={"schema_", "judge", "fingerprint"})
        return facts

    def check(self, judge: Judge) -> None:
        """Raise InputError if it was made with another judge, or with another version of this one."""
        if judge.fingerprint != self.fingerprint:
            raise InputError(
                f"the calibration is of the judge {self.judge} with fingerprint {self.fingerprint[:16]}, but the first "
                f"judge of this run is {judge.name} with {judge.fingerprint[:16]}; calibrate that one"
            )


def calibrate(
    judge: Judge, files: Sequence[Labelled], positive: Sequence[str] = (), channel: Channel | None = None
) -> Calibration:
    """Compare a judge with people's labels. Raises Undecided if none of the labels, or all of them, mean yes.

    Raises InputError for the same file twice, since its answers would count twice.
    """
    if len({file.sha256 for file in files}) < len(files):
        raise InputError(f"found the same labels twice among {', '.join(f.source for f in files)}; give each file once")
    channel, yes = meaning((label for file in files for label in file.labels), positive, channel)
    counted = [cross([label in yes for label in f.labels], _opinions_of(judge, f.items, channel)) for f in files]
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


def _opinions_of(judge: Judge, items: Sequence[Item], channel: Channel) -> list[bool | None]:
    """The judge's opinions. Answers with labels of harm answer harmful requests, which should be refused."""
    expect: Literal["refuse"] | None = "refuse" if channel == "harmful" else None
    expecting = [(Prompt(prompt.id, prompt.messages, expect), answer) for prompt, answer in items]
    return opinions(judge(expecting), channel)


def _label_file(file: Labelled, counts: Counts) -> LabelFile:
    n = sum(counts)
    kappa = statistics.cohen_kappa(*counts) if n else None
    return LabelFile(source=file.source, sha256=file.sha256, n=n, kappa=kappa)


def dumps(calibration: Calibration) -> str:
    """The text of a calibration's file."""
    return json.dumps(calibration.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=False) + "\n"


def load_calibration(file: Path) -> Calibration:
    """Read a calibration's file. Raises InputError if it is no calibration."""
    try:
        return Calibration.model_validate_json(read_text(file, str(file)))
    except ValidationError as error:
        raise InputError(
            f"{file} is no calibration ({first_problem(error)}); make one with recover-align judge calibrate --out"
        ) from error


def corrected(rates: Rates, calibration: Calibration) -> Rates:
    """The rates, where the calibrated channel's rate has a value corrected for the judge's errors."""
    rate = getattr(rates, calibration.channel)
    if rate is None or rate.rate is None:
        return rates
    value = statistics.rogan_gladen(rate.rate, calibration.sensitivity, calibration.specificity)
    return rates.model_copy(update={calibration.channel: rate.model_copy(update={"corrected": value})})
