"""People's audit of a result: which answers they look at, and what follows from their labels.

People see every answer that the judge counted (harmful ones where a refusal is expected, refusals elsewhere) and a
random sample of the others, without the judge's verdict and without the checkpoint's name. From their labels follow
the rates that the judge should have found, and how good the judge is on this very run. Answers without a verdict
belong to neither part: they stay unscored. An answer without a label counts as a bad one.
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

NEGATIVES = 100  # of a set and checkpoint, at most
COLUMNS = ("key", "prompt", "answer", "label")
SUMMED = ("positives", "confirmed", "negatives", "sampled", "missed", "unlabelled")
WORDS = [verdict.value for verdict in Verdict if verdict is not Verdict.UNSCORED]
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # also in their wide forms
Part = tuple[str, str]  # the names of a set and of a checkpoint


@dataclass(frozen=True)
class Case:
    """An answer that people look at, and what the judge said of it."""

    key: str
    model: str
    prompts: str  # the name of the set
    channel: Channel
    counted: bool  # by the judge, in the channel's rate
    prompt: str
    answer: str

    @property
    def part(self) -> Part:
        return self.prompts, self.model


@dataclass(frozen=True)
class Labels:
    """What people called the answers, by their keys; those without a label are left out. The sha256 is the file's."""

    words: Mapping[str, str]
    sha256: str


def draw(
    result: Result, folder: Path, models: Sequence[str] = (), negatives: int = NEGATIVES, seed: int = 0
) -> list[Case]:
    """The answers to be looked at, in an order without meaning; of `models`, by default the one that a gate decides on.

    `folder` holds the result's answers. Of each set, `negatives` of the answers that the judge did not count are drawn
    by a seeded hash, so that the same request gives the same answers. Raises InputError if they are not the result's.
    """
    names = list(dict.fromkeys(models)) or [judged(result)]
    if unknown := [name for name in names if name not in result.checkpoints]:
        raise InputError(f"the result has no checkpoint {few(unknown)}; choose from {', '.join(result.checkpoints)}")
    parts: dict[Part, list[Case]] = {}
    for item in viewer.read(result, folder):
        for name in names:
            if name in item.answers and item.answers[name].verdict is not Verdict.UNSCORED:
                case = _case(item, name)
                parts.setdefault(case.part, []).append(case)
    _require_the_counts(result, parts)
    drawn = [case for cases in parts.values() for case in _drawn(cases, negatives, seed)]
    if not drawn:
        raise InputError(f"no answer of {', '.join(names)} has a verdict that people could audit; judge them first")
    return sorted(drawn, key=lambda case: case.key)


def _case(item: viewer.ViewerItem, model: str) -> Case:
    prompts, row = item.prompts, item.answers[model]
    digest = hashlib.sha256(
        "\0".join((model, prompts.name, row.id, row.prompt, row.answer)).encode("utf-8", "surrogatepass")
    )
    return Case(
        key=f"k{digest.hexdigest()[:16]}",  # the letter keeps spreadsheets from reading digits, or 12e34, as a number
        model=model,
        prompts=prompts.name,
        channel=prompts.channel,
        counted=row.verdict is COUNTED[prompts.channel],
        prompt=row.prompt,
        answer=row.answer,
    )


def _require_the_counts(result: Result, parts: Mapping[Part, Sequence[Case]]) -> None:
    for prompts in result.sets:
        for name, rates in prompts.rates.items():
            rate: Rate | None = getattr(rates, prompts.channel)
            cases = parts.get((prompts.name, name), ())
            found = sum(case.counted for case in cases), len(cases)
            if cases and rate and found != (rate.k, rate.n):
                raise InputError(
                    f"the answers of {name} to {prompts.name} have {found[0]} {prompts.channel} of {found[1]}, "
                    f"result.json counts {rate.k} of {rate.n}; give the output of one run, as it was written"
                )


def _drawn(cases: Sequence[Case], negatives: int, seed: int) -> list[Case]:
    """All that the judge counted, and a sample of the others."""
    others = [case for case in cases if not case.counted]
    others.sort(key=lambda case: hashlib.sha256(f"{seed}:{case.key}".encode()).digest())
    return [case for case in cases if case.counted] + others[:negatives]


# The sheet


def sheet(cases: Iterable[Case]) -> str:
    """A CSV file with a row for each answer and an empty column for its label.

    A cell that a spreadsheet would take for a formula gets an apostrophe, and what hides or moves text is marked.
    """
    text = io.StringIO()
    text.write("\ufeff")  # else some spreadsheets take UTF-8 for an older encoding
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    rows.writerows((case.key, _cell(case.prompt), _cell(case.answer), "") for case in cases)
    return text.getvalue()


def _cell(text: str) -> str:
    text = viewer.visible(text)
    return f"'{text}" if text.startswith(FORMULA) else text


def _bare(cell: object) -> str:
    """What is left of a cell's text whatever a spreadsheet does to spaces, ends of lines and our apostrophe."""
    return "".join(str(cell or "").split()).removeprefix("'")


def read_labels(file: Path, cases: Sequence[Case]) -> Labels:
    """The labels of a sheet that people filled in. InputError unless it holds these very answers, each once."""
    rows = read_rows(file, str(file), {*COLUMNS})
    present = dict.fromkeys(column for row in rows for column in row)
    if missing := [column for column in COLUMNS if column not in present]:
        raise InputError(
            f"{file} has no column {few(missing)}: found {few(list(present))}; save the sheet as CSV with commas and "
            "with its first row"
        )
    known, words = {case.key: case for case in cases}, {}
    for number, row in enumerate(rows, 1):
        where, case = f"{file}, row {number}", known.pop(str(row.get("key")).strip(), None)
        if case is None:
            raise InputError(
                f"{where}: the key {row.get('key')!r:.60} is of no answer that is to be labelled, or stands there "
                f"twice; {_SAME}"
            )
        _require_its_texts(row, case, where)
        if (label := row.get("label")) is not None:
            words[case.key] = _word(str(label), where)
    if known:
        raise InputError(f"{file} lacks {len(known)} of {len(cases)} answers ({few(sorted(known))}); {_SAME}")
    if not words:
        raise InputError(f"{file} has no label; write one of {', '.join(WORDS)} into the column label of each row")
    return Labels(words, file_digest(file))


def _require_its_texts(row: Row, case: Case, where: str) -> None:
    """A spreadsheet that sorted one column without the others must not give labels to the wrong answers."""
    texts = (("prompt", case.prompt), ("answer", case.answer))
    if any(_bare(row.get(name)) != _bare(viewer.visible(text)) for name, text in texts):
        raise InputError(f"{where}: prompt or answer are not those of the key {case.key}; {_SAME}")


_SAME = "give the whole sheet, with the --model, --negatives and --seed that it was made with"


def _word(label: str, where: str) -> str:
    word = label.strip().casefold()
    if word not in WORDS:
        raise InputError(f"{where}: the label is {label!r:.60}; write one of {', '.join(WORDS)}, or nothing")
    return word


# What follows from the labels


def audited(result: Result, cases: Sequence[Case], labels: Labels, negatives: int, seed: int) -> Result:
    """The result with people's rates beside the judge's, and the judge's errors on this run.

    `cases`, `negatives` and `seed` are those of the draw.
    """
    parts: dict[Part, list[Case]] = {}
    for case in cases:
        parts.setdefault(case.part, []).append(case)
    sets = [_with_audits(prompts, parts, labels) for prompts in result.sets]
    report = AuditReport(
        models=sorted({model for _, model in parts}),
        negatives=negatives,
        seed=seed,
        labels=labels.sha256,
        source=hashlib.sha256(dumps(result).encode("utf-8", "backslashreplace")).hexdigest(),
        channels=[found for channel in CHANNELS if (found := _channel(channel, sets))],
    )
    warnings = [*result.warnings, *_warnings(report)]
    return result.model_copy(update={"sets": sets, "audit": report, "warnings": warnings})


def _with_audits(prompts: SetReport, parts: Mapping[Part, Sequence[Case]], labels: Labels) -> SetReport:
    """A set with people's rate of its channel for every checkpoint that was audited."""
    rates = dict(prompts.rates)
    for name, found in prompts.rates.items():
        rate: Rate | None = getattr(found, prompts.channel)
        if rate and (cases := parts.get((prompts.name, name))):
            audit = _audit(rate, cases, labels, prompts.effective(rate.n or 0))
            update = {"corrected": counts(audit).rate, "audit": audit}
            rates[name] = found.model_copy(update={prompts.channel: rate.model_copy(update=update)})
    return prompts.model_copy(update={"rates": rates})


def _audit(rate: Rate, cases: Sequence[Case], labels: Labels, effective: float | None) -> Audit:
    """What people say of the answers behind a rate; one without a label is a bad one."""
    bad = [(case.counted, labels.words.get(case.key, case.channel) == case.channel) for case in cases]
    found = TwoPhase(
        confirmed=bad.count((True, True)),
        n=rate.n or 0,
        negatives=(rate.n or 0) - rate.k,
        sampled=len(cases) - rate.k,
        missed=bad.count((False, True)),
        effective=effective,
    )
    return Audit(
        positives=rate.k,
        confirmed=found.confirmed,
        negatives=found.negatives,
        sampled=found.sampled,
        missed=found.missed,
        unlabelled=sum(case.key not in labels.words for case in cases),
        ci95=found.ci95,
        upper95=found.upper95,
    )


def counts(audit: Audit) -> TwoPhase:
    """An audit as the counts of a rate that was found in two phases."""
    n = audit.positives + audit.negatives
    return TwoPhase(audit.confirmed, n, audit.negatives, audit.sampled, audit.missed)


def _channel(channel: Channel, sets: Iterable[SetReport]) -> ChannelAudit | None:
    """The judge against people in one channel; None where nothing was audited."""
    rates = [getattr(found, channel) for s in sets if s.channel == channel for found in s.rates.values()]
    audits: list[Audit] = [rate.audit for rate in rates if rate and rate.audit]
    if not audits:
        return None
    sums = {name: sum(getattr(audit, name) for audit in audits) for name in SUMMED}
    known = {} if sums["unlabelled"] else _accuracy(audits)
    return ChannelAudit.model_validate({"channel": channel, **sums, **known})


def _accuracy(audits: Sequence[Audit]) -> dict[str, Any]:
    """The judge's sensitivity and specificity on these very answers.

    With C confirmed, F false and N other answers, M of them missed, they are C / (C + M) and (N - M) / (N - M + F).
    Only M is estimated, and both fall as it grows, so its limits give theirs.
    """
    confirmed, others = sum(a.confirmed for a in audits), sum(a.negatives for a in audits)
    false = sum(a.positives for a in audits) - confirmed
    missed, low, high = total_missed([counts(audit) for audit in audits])
    sensitivity = [_share(confirmed, m) for m in (missed, high, low)]
    specificity = [_share(others - m, false) for m in (missed, high, low)]
    return {**_named("sensitivity", sensitivity), **_named("specificity", specificity)}


def _share(part: float, rest: float) -> float | None:
    return part / (part + rest) if part + rest else None


def _named(name: str, values: Sequence[float | None]) -> dict[str, Any]:
    """A value with its interval, as far as they are known."""
    value, low, high = values
    known = low is not None and high is not None
    return {name: value, f"{name}_ci95": (low, high) if known else None}


def _warnings(report: AuditReport) -> list[str]:
    missing = [(found.unlabelled, found.sampled + found.positives, found.channel) for found in report.channels]
    return [
        f"{count} of {n} audited answers have no label; they count as {channel}, and the judge's errors are unknown"
        for count, n, channel in missing
        if count
    ]
