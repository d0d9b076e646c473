"""What is wrong or odd in a prompt set, and which prompts two sets share; nothing is changed."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recover.errors import InputError, few
from recover.prompts.near_duplicates import NEAR, near_pairs
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

LONGEST = 20_000  # characters that a prompt may have before it is odd
STRANGE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd]")  # control characters, and what was no text


@dataclass(frozen=True)
class LintFinding:
    """One thing that is wrong, so that the set cannot be used, or odd, so that somebody should look."""

    level: Literal["error", "warning"]
    row: int | None  # in the file, from 1; None: the whole set
    text: str


@dataclass(frozen=True)
class Lint:
    """What was found in a set, row by row, and what it holds."""

    name: str
    rows: int
    prompts: int  # different ones
    categories: dict[str, int]
    findings: tuple[LintFinding, ...]

    @property
    def usable(self) -> bool:
        """Whether the set can be loaded."""
        return all(finding.level != "error" for finding in self.findings)


Numbered = Sequence[tuple[int, Prompt]]


def lint(source: str | Path) -> Lint:
    """Look at a SET as `load_prompts` takes it, and go on where that would stop."""
    try:
        found = open_prompts(source)
        column = prompt_column(found)
    except InputError as error:
        return Lint(str(source), 0, 0, {}, (LintFinding("error", None, str(error)),))
    prompts, findings = [], []
    for number, row in found.rows:
        try:
            prompts.append((number, read_prompt(row, column, f"{found.name}-{number}", found.expect, found.where)))
        except InputError as error:
            findings.append(LintFinding("error", number, str(error).removeprefix(f"{found.where}: ")))
    for check in CHECKS:
        findings += check(prompts)
    findings += _of_the_file(found)
    findings.sort(key=lambda finding: finding.row or 0)
    different = {normalised(prompt): prompt for _, prompt in reversed(prompts)}
    categories = Counter(prompt.category for prompt in different.values() if prompt.category)
    return Lint(found.name, len(found.rows), len(different), dict(sorted(categories.items())), tuple(findings))


def _of_the_file(found: Source) -> Iterator[LintFinding]:
    """A header that is none, and rows that have no id."""
    if not found.headed:
        yield LintFinding("warning", None, "the first line is read as a prompt, not as a header")
    without = [number for number, row in found.rows if row.get("id") is None]
    if without:
        yield LintFinding(
            "warning",
            None,
            f"{len(without)} of {len(found.rows)} rows have no id (row {few(without)}): they are known by their "
            "numbers, which change with the order of the rows",
        )


# Checks of prompts


def _ids(prompts: Numbered) -> Iterator[LintFinding]:
    first: dict[str, int] = {}
    for number, prompt in prompts:
        if first.setdefault(prompt.id, number) != number:
            yield LintFinding("error", number, f"has the id {prompt.id} of row {first[prompt.id]}")


def _copies(prompts: Numbered) -> Iterator[LintFinding]:
    """Prompts that an earlier row asks too, or nearly so."""
    first: dict[object, int] = {}
    for number, prompt in prompts:
        if first.setdefault(normalised(prompt), number) != number:
            yield LintFinding("warning", number, f"asks what row {first[normalised(prompt)]} asks, and is dropped")
    different = [(number, prompt) for number, prompt in prompts if first[normalised(prompt)] == number]
    said = [user_words(prompt) for _, prompt in different]
    near: dict[int, list[int]] = defaultdict(list)
    for i, j, _ in near_pairs(said, said):
        if j < i:
            near[different[i][0]].append(different[j][0])
    for number, earlier in near.items():
        yield LintFinding("warning", number, f"asks nearly the same as row {few(earlier)}")


def _lengths(prompts: Numbered) -> Iterator[LintFinding]:
    for number, prompt in prompts:
        length = sum(len(turn["content"]) for turn in prompt.messages)
        if length > LONGEST:
            yield LintFinding("warning", number, f"has {length:,} characters, more than {LONGEST:,}")


def _encoding(prompts: Numbered) -> Iterator[LintFinding]:
    for number, prompt in prompts:
        said = "\n".join(turn["content"] for turn in prompt.messages)
        if strange := STRANGE.search(said):
            yield LintFinding("warning", number, f"holds the character U+{ord(strange[0]):04X}, which is no text")
        elif _twice_encoded(said):
            yield LintFinding("warning", number, "looks like UTF-8 that was read as Windows-1252")


def _twice_encoded(text: str) -> bool:
    """Whether a text is UTF-8 taken for Windows-1252: real text hardly ever reads as UTF-8 that way."""
    try:
        return text.encode("cp1252").decode("utf-8") != text
    except UnicodeError:
        return False


def _expectations(prompts: Numbered) -> Iterator[LintFinding]:
    counts = Counter(str(prompt.expect or "nothing") for _, prompt in prompts)
    if len(counts) > 1:
        told = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        yield LintFinding(
            "warning", None, f"the rows do not expect the same ({told}), so no report can be made on all of them"
        )


CHECKS: tuple[Callable[[Numbered], Iterator[LintFinding]], ...] = (_ids, _copies, _lengths, _encoding, _expectations)


# What two sets share


@dataclass(frozen=True)
class Leak:
    """A prompt of a set that another set holds too, or nearly so."""

    id: str
    other: str
    other_id: str
    similarity: float
    same: bool  # but for case and spacing


def leakage(evaluated: PromptSet, others: Sequence[PromptSet], threshold: float = NEAR) -> list[Leak]:
    """Every prompt of a set that is in one of the others, as `leaks` finds them."""
    asked = {prompt.id: normalised(prompt) for prompt in evaluated}
    found = []
    for other in others:
        theirs = {prompt.id: normalised(prompt) for prompt in other}
        for ours, seen, similarity in leaks(evaluated, other, threshold):
            found.append(Leak(ours, other.name, seen, similarity, asked[ours] == theirs[seen]))
    return found
