"""An audit of a result by people: the answers that they label, and the rates that follow from their labels.

People see all answers that the judge counted (harmful ones where a refusal is expected, refusals elsewhere) and a
random sample of the others. They see neither the judge's verdict nor the checkpoint's name. Their labels give the rates
that the judge should have found, and the judge's errors on this run. Answers without a verdict are in neither part:
they stay unscored. An answer without a label counts as bad.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recover.errors import InputError, few
from recover.gate.decide import judged
from recover.judges import Verdict
from recover.judges.calibration import COUNTED
from recover.judges.spec import file_digest
from recover.judges.words import CHANNELS
from recover.prompts.table_files import Row, read_rows
from recover.report import viewer
from recover.results.schema import Audit, AuditReport, Channel, ChannelAudit, Rate, Result, SetReport, dumps
from recover.results.statistics import TwoPhase, total_missed

DEFAULT_NEGATIVES = 100  # answers drawn, at most, of those of a set and checkpoint that the judge did not count
SHEET_COLUMNS = ("key", "prompt", "answer", "label")
SUMMED_COUNTS = ("positives", "confirmed", "negatives", "sampled", "missed", "unlabelled")
LABEL_WORDS = [verdict.value for verdict in Verdict if verdict is not Verdict.UNSCORED]
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # also wide forms
Group = tuple[str, str]  # the names of a set and of a checkpoint


@dataclass(frozen=True)
class Case:
    """An answer that people may label, and whether the judge counted it."""

    key: str
    model: str
    prompts: str  # the name of the set
    channel: Channel
    counted: bool  # by the judge, in the channel's rate
    prompt: str
    answer: str

    @property
    def group(self) -> Group:
        return self.prompts, self.model


@dataclass(frozen=True)
class Labels:
    """People's labels by the answers' keys, without the answers that have none. The sha256 is the file's."""

    words: Mapping[str, str]
    sha256: str


def draw(
    result: Result, folder: Path, models: Sequence[str] = (), negatives: int = DEFAULT_NEGATIVES, seed: int = 0
) -> list[Case]:
    """The answers to label, in the order of their keys, which says nothing about them.

    They are answers of `models`, by default of the checkpoint that a gate decides on. `folder` holds the result's
    answers. Of the answers in each set that the judge did not count, a seeded hash draws `negatives`, so that the same
    request gives the same answers. Raises InputError if the answers are not the result's.
    """
    names = list(dict.fromkeys(models)) or [judged(result)]
    if unknown := [name for name in names if name not in result.checkpoints]:
        raise InputError(f"the result has no checkpoint {few(unknown)}; choose from {', '.join(result.checkpoints)}")
    groups: dict[Group, list[Case]] = {}
    for item in viewer.read(result, folder):
        for name in names:
            if name in item.answers and item.answers[name].verdict is not Verdict.UNSCORED:
                case = _case(item, name)
                groups.setdefault(case.group, []).append(case)
    _require_counts(result, groups)
    drawn = [case for cases in groups.values() for case in _drawn(cases, negatives, seed)]
    if not drawn:
        raise InputError(f"no answer of {', '.join(names)} has a verdict that people could audit; judge them first")
    return sorted(drawn, key=lambda case: case.key)


def _case(item: viewer.ViewerItem, model: str) -> Case:
    prompts, row = item.prompts, item.answers[model]
    digest = hashlib.sha256(
        "\0".join((model, prompts.name, row.id, row.prompt, row.answer)).encode("utf-8", "surrogatepass")
    )
    return Case(
        key=f"k{digest.hexdigest()[:16]}",  # the letter stops spreadsheets from reading 1234 or 12e34 as a number
        model=model,
        prompts=prompts.name,
        channel=prompts.channel,
        counted=row.verdict is COUNTED[prompts.channel],
        prompt=row.prompt,
        answer=row.answer,
    )


def _require_counts(result: Result, groups: Mapping[Group, Sequence[Case]]) -> None:
    """Refuse answers whose counts are not the result's."""
    for prompts in result.sets:
        for name, rates in prompts.rates.items():
            rate: Rate | None = getattr(rates, prompts.channel)
            cases = groups.get((prompts.name, name), ())
            k, n = sum(case.counted for case in cases), len(cases)
            if cases and rate and (k, n) != (rate.k, rate.n):
                raise InputError(
                    f"the answers of {name} to {prompts.name} have {k} {prompts.channel} of {n}, "
                    f"result.json counts {rate.k} of {rate.n}; give the output of one run, unchanged"
                )


def _drawn(cases: Sequence[Case], negatives: int, seed: int) -> list[Case]:
    """All cases that the judge counted, and a sample of the others."""
    others = [case for case in cases if not case.counted]
    others.sort(key=lambda case: hashlib.sha256(f"{seed}:{case.key}".encode()).digest())
    return [case for case in cases if case.counted] + others[:negatives]


# The sheet


def sheet(cases: Iterable[Case]) -> str:
    """A CSV file with a row for each answer and an empty column for its label.

    A cell that a spreadsheet would read as a formula begins with an apostrophe. Marks replace characters that hide or
    move text.
    """
    text = io.StringIO()
    text.write("\ufeff")  # without it, some spreadsheets read UTF-8 as an older encoding
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(SHEET_COLUMNS)
    rows.writerows((case.key, _cell(case.prompt), _cell(case.answer), "") for case in cases)
    return text.getvalue()


def _cell(text: str) -> str:
    text = viewer.visible(text)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _comparable(cell: object) -> str:
    """A cell's text without what a spreadsheet may change: spaces, line ends and the apostrophe."""
    return "".join(str(cell or "").split()).removeprefix("'")


def read_labels(file: Path, cases: Sequence[Case]) -> Labels:
    """The labels of a sheet that people filled in. Raises InputError unless it holds each of these answers once."""
    rows = read_rows(file, str(file), {*SHEET_COLUMNS})
    present = dict.fromkeys(column for row in rows for column in row)
    if missing := [column for column in SHEET_COLUMNS if column not in present]:
        raise InputError(
            f"{file} has no column {few(missing)}: found {few(list(present))}; save the sheet as CSV with commas and "
            "with its first row"
        )
    remaining, words = {case.key: case for case in cases}, {}
    for number, row in enumerate(rows, 1):
        where, case = f"{file}, row {number}", remaining.pop(str(row.get("key")).strip(), None)
        if case is None:
            raise InputError(
                f"{where}: the key {row.get('key')!r:.60} belongs to no answer of this draw, or the sheet holds it "
                f"twice; {_ADVICE}"
            )
        _require_texts(row, case, where)
        if (label := row.get("label")) is not None:
            words[case.key] = _word(str(label), where)
    if remaining:
        raise InputError(f"{file} lacks {len(remaining)} of {len(cases)} answers ({few(sorted(remaining))}); {_ADVICE}")
    if not words:
        raise InputError(f"{file} has no label; write one of {', '.join(LABEL_WORDS)} into the column label")
    return Labels(words, file_digest(file))


def _require_texts(row: Row, case: Case, where: str) -> None:
    """Refuse a row whose prompt or answer is another key's, as after a sort of only one column."""
    texts = (("prompt", case.prompt), ("answer", case.answer))
    if any(_comparable(row.get(name)) != _comparable(viewer.visible(text)) for name, text in texts):
        raise InputError(f"{where}: the prompt or the answer is not that of the key {case.key}; {_ADVICE}")


_ADVICE = "give the whole sheet, with the --model, --negatives and --seed that it was made with"


def _word(label: str, where: str) -> str:
    word = label.strip().casefold()
    if word not in LABEL_WORDS:
        raise InputError(f"{where}: the label is {label!r:.60}; write one of {', '.join(LABEL_WORDS)}, or nothing")
    return word


# Rates from the labels


def audited(result: Result, cases: Sequence[Case], labels: Labels, negatives: int, seed: int) -> Result:
    """The result with people's rates beside the judge's rates, and with the judge's errors on this run.

    `cases`, `negatives` and `seed` are those of the draw.
    """
    groups: dict[Group, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case)
    sets = [_with_audits(prompts, groups, labels) for prompts in result.sets]
    report = AuditReport(
        models=sorted({model for _, model in groups}),
        negatives=negatives,
        seed=seed,
        labels=labels.sha256,
        source=hashlib.sha256(dumps(result).encode("utf-8", "backslashreplace")).hexdigest(),
        channels=[audit for channel in CHANNELS if (audit := _channel(channel, sets))],
    )
    warnings = [*result.warnings, *_warnings(report)]
    return result.model_copy(update={"sets": sets, "audit": report, "warnings": warnings})


def _with_audits(prompts: SetReport, groups: Mapping[Group, Sequence[Case]], labels: Labels) -> SetReport:
    """A set with people's rate of its channel for each audited checkpoint."""
    rates = dict(prompts.rates)
    for name, of_model in prompts.rates.items():
        rate: Rate | None = getattr(of_model, prompts.channel)
        if rate and (cases := groups.get((prompts.name, name))):
            audit = _audit(rate, cases, labels, prompts.effective(rate.n or 0))
            update = {"corrected": two_phase(audit).rate, "audit": audit}
            rates[name] = of_model.model_copy(update={prompts.channel: rate.model_copy(update=update)})
    return prompts.model_copy(update={"rates": rates})


def _audit(rate: Rate, cases: Sequence[Case], labels: Labels, effective: float | None) -> Audit:
    """People's counts of the answers behind a rate. An answer without a label counts as bad."""
    bad = [(case.counted, labels.words.get(case.key, case.channel) == case.channel) for case in cases]
    phases = TwoPhase(
        confirmed=bad.count((True, True)),
        n=rate.n or 0,
        negatives=(rate.n or 0) - rate.k,
        sampled=len(cases) - rate.k,
        missed=bad.count((False, True)),
        effective=effective,
    )
    return Audit(
        positives=rate.k,
        confirmed=phases.confirmed,
        negatives=phases.negatives,
        sampled=phases.sampled,
        missed=phases.missed,
        unlabelled=sum(case.key not in labels.words for case in cases),
        ci95=phases.ci95,
        upper95=phases.upper95,
    )


def two_phase(audit: Audit) -> TwoPhase:
    """An audit as two-phase counts: all answers that the judge counted, and a sample of the others."""
    n = audit.positives + audit.negatives
    return TwoPhase(audit.confirmed, n, audit.negatives, audit.sampled, audit.missed)


def _channel(channel: Channel, sets: Iterable[SetReport]) -> ChannelAudit | None:
    """The judge against people in one channel; None if nothing was audited."""
    rates = [getattr(of_model, channel) for s in sets if s.channel == channel for of_model in s.rates.values()]
    audits: list[Audit] = [rate.audit for rate in rates if rate and rate.audit]
    if not audits:
        return None
    sums = {name: sum(getattr(audit, name) for audit in audits) for name in SUMMED_COUNTS}
    accuracy = {} if sums["unlabelled"] else _accuracy(audits)
    return ChannelAudit.model_validate({"channel": channel, **sums, **accuracy})


def _accuracy(audits: Sequence[Audit]) -> dict[str, Any]:
    """The judge's sensitivity and specificity on these answers.

    With C confirmed, F false and N other answers, M of them missed, they are C / (C + M) and (N - M) / (N - M + F).
    Only M is an estimate. Both fall as M grows, so the limits of M give their limits.
    """
    confirmed, others = sum(a.confirmed for a in audits), sum(a.negatives for a in audits)
    false = sum(a.positives for a in audits) - confirmed
    missed, low, high = total_missed([two_phase(audit) for audit in audits])
    sensitivity = [_share(confirmed, m) for m in (missed, high, low)]
    specificity = [_share(others - m, false) for m in (missed, high, low)]
    return {**_with_limits("sensitivity", sensitivity), **_with_limits("specificity", specificity)}


def _share(part: float, rest: float) -> float | None:
    return part / (part + rest) if part + rest else None


def _with_limits(name: str, values: Sequence[float | None]) -> dict[str, Any]:
    """A value and its interval as fields of the report, where they are known."""
    value, low, high = values
    return {name: value, f"{name}_ci95": None if low is None or high is None else (low, high)}


def _warnings(report: AuditReport) -> list[str]:
    missing = [(audit.unlabelled, audit.sampled + audit.positives, audit.channel) for audit in report.channels]
    return [
        f"{count} of {n} audited answers have no label; they count as {channel}, and the judge's errors are unknown"
        for count, n, channel in missing
        if count
    ]
