"""What is wrong or odd in a prompt set, and which prompts two sets share. Nothing is changed."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recover.errors import InputError, few
from recover.prompts.near_duplicates import NEAR_THRESHOLD, near_pairs
from recover.prompts.prompt_set import (
    Prompt,
    PromptSet,
    leaks,
    normalised,
    open_prompts,
    prompt_column,
    read_prompt,
    user_words,
)
from recover.prompts.sidecar import Source

MAX_CHARACTERS = 20_000  # a longer prompt is odd
ODD_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd]")  # control characters and U+FFFD


@dataclass(frozen=True)
class LintFinding:
    """One thing that is wrong, so that the set cannot be used, or odd, so that a person should look at it."""

    level: Literal["error", "warning"]
    row: int | None  # in the file, from 1; None for the whole set
    text: str


@dataclass(frozen=True)
class LintReport:
    """What a set holds, and what was found in it."""

    name: str
    rows: int
    prompts: int  # without copies
    categories: dict[str, int]  # prompts by category
    findings: tuple[LintFinding, ...]

    @property
    def usable(self) -> bool:
        """Whether the set can be loaded."""
        return all(finding.level != "error" for finding in self.findings)


Numbered = Sequence[tuple[int, Prompt]]  # prompts with their row numbers, from 1


def lint(source: str | Path) -> LintReport:
    """Check a SET, given as for `load_prompts`. Goes on where `load_prompts` would stop."""
    try:
        opened = open_prompts(source)
        column = prompt_column(opened)
    except InputError as error:
        return LintReport(str(source), 0, 0, {}, (LintFinding("error", None, str(error)),))
    prompts, findings = [], []
    for number, row in opened.rows:
        try:
            prompts.append((number, read_prompt(row, column, f"{opened.name}-{number}", opened.expect, opened.where)))
        except InputError as error:
            findings.append(LintFinding("error", number, str(error).removeprefix(f"{opened.where}: ")))
    for check in CHECKS:
        findings += check(prompts)
    findings += _check_file(opened)
    findings.sort(key=lambda finding: finding.row or 0)
    distinct = {normalised(prompt): prompt for _, prompt in reversed(prompts)}
    categories = Counter(prompt.category for prompt in distinct.values() if prompt.category)
    return LintReport(opened.name, len(opened.rows), len(distinct), dict(sorted(categories.items())), tuple(findings))


def _check_file(opened: Source) -> Iterator[LintFinding]:
    """Findings of the file as a whole: a missing header, and missing ids."""
    if not opened.headed:
        yield LintFinding("warning", None, "the first line is read as a prompt, not as a header")
    without_id = [number for number, row in opened.rows if row.get("id") is None]
    if without_id:
        yield LintFinding(
            "warning",
            None,
            f"{len(without_id)} of {len(opened.rows)} rows have no id (row {few(without_id)}); their row numbers are "
            "used instead, which change with the order of the rows",
        )


# Checks of prompts


def _ids(prompts: Numbered) -> Iterator[LintFinding]:
    first: dict[str, int] = {}
    for number, prompt in prompts:
        if first.setdefault(prompt.id, number) != number:
            yield LintFinding("error", number, f"has the id {prompt.id} of row {first[prompt.id]}")


def _copies(prompts: Numbered) -> Iterator[LintFinding]:
    """Prompts that are the same as an earlier one, or nearly so."""
    first: dict[object, int] = {}
    for number, prompt in prompts:
        if first.setdefault(normalised(prompt), number) != number:
            yield LintFinding(
                "warning", number, f"is the same prompt as row {first[normalised(prompt)]}; it is dropped"
            )
    distinct = [(number, prompt) for number, prompt in prompts if first[normalised(prompt)] == number]
    word_sets = [user_words(prompt) for _, prompt in distinct]
    near: dict[int, list[int]] = defaultdict(list)
    for i, j, _ in near_pairs(word_sets, word_sets):
        if j < i:
            near[distinct[i][0]].append(distinct[j][0])
    for number, earlier in near.items():
        yield LintFinding("warning", number, f"is nearly the same prompt as row {few(earlier)}")


def _lengths(prompts: Numbered) -> Iterator[LintFinding]:
    for number, prompt in prompts:
        length = sum(len(turn["content"]) for turn in prompt.messages)
        if length > MAX_CHARACTERS:
            yield LintFinding("warning", number, f"has {length:,} characters, more than {MAX_CHARACTERS:,}")


def _encoding(prompts: Numbered) -> Iterator[LintFinding]:
    for number, prompt in prompts:
        text = "\n".join(turn["content"] for turn in prompt.messages)
        if match := ODD_CHARACTERS.search(text):
            yield LintFinding("warning", number, f"holds the character U+{ord(match[0]):04X}, which is no text")
        elif _twice_encoded(text):
            yield LintFinding("warning", number, "looks like UTF-8 that was read as Windows-1252")


def _twice_encoded(text: str) -> bool:
    """Whether a text is UTF-8 that was read as Windows-1252. Real text hardly ever decodes as UTF-8 that way."""
    try:
        return text.encode("cp1252").decode("utf-8") != text
    except UnicodeError:
        return False


def _expectations(prompts: Numbered) -> Iterator[LintFinding]:
    counts = Counter(str(prompt.expect or "nothing") for _, prompt in prompts)
    if len(counts) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        yield LintFinding(
            "warning", None, f"the rows expect different things ({listed}), so the set cannot be used in a report"
        )


CHECKS: tuple[Callable[[Numbered], Iterator[LintFinding]], ...] = (_ids, _copies, _lengths, _encoding, _expectations)


# What two sets share


@dataclass(frozen=True)
class Leak:
    """A prompt that another set holds too, exactly or nearly."""

    id: str
    other: str
    other_id: str
    similarity: float  # the Jaccard index of their words
    same: bool  # equal but for case and spacing


def leakage(evaluated: PromptSet, others: Sequence[PromptSet], threshold: float = NEAR_THRESHOLD) -> list[Leak]:
    """Every prompt of `evaluated` that one of the other sets holds too, found by `leaks`."""
    ours = {prompt.id: normalised(prompt) for prompt in evaluated}
    leaked = []
    for other in others:
        theirs = {prompt.id: normalised(prompt) for prompt in other}
        for id_, other_id, similarity in leaks(evaluated, other, threshold):
            leaked.append(Leak(id_, other.name, other_id, similarity, ours[id_] == theirs[other_id]))
    return leaked
