"""Prompts and answers: what models are asked, and what they answered.

A prompt set comes from a file with one prompt a row, or from a sidecar that says how to read such a file. This module
knows nothing of models.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from recover.errors import InputError, few, first_problem
from recover.prompts.near_duplicates import NEAR_THRESHOLD, near_pairs, words
from recover.prompts.sidecar import BUILTIN as BUILTIN
from recover.prompts.sidecar import Expect as Expect
from recover.prompts.sidecar import Source, read_source

PROMPT_COLUMNS = ("prompt", "goal", "behavior", "question", "forbidden_prompt", "instruction", "user_input", "text")
CATEGORY_COLUMNS = ("category", "semanticcategory", "type")
CONTEXT_COLUMNS = {"instruction": "input", "behavior": "contextstring"}  # prompt column -> its text; else `context`
DETAIL_COLUMNS = ("category", "reference", "metric", "choices", "prefill", "cluster", "source")  # as fields of a Prompt
OTHER_COLUMNS = ("id", "messages", "system", "context", "expect", *DETAIL_COLUMNS)


@dataclass(frozen=True)
class Prompt:
    """One request: a chat that ends with the user's turn, and what is known of a good answer.

    The answer is made to begin with the words of `prefill`. Prompts of one `cluster` are variants of each other, so
    their answers are not independent.
    """

    id: str
    messages: tuple[Mapping[str, str], ...]
    expect: Expect | None = None
    category: str | None = None
    reference: str | None = None
    metric: str | None = None
    choices: tuple[str, ...] = ()
    prefill: str = ""
    cluster: str | None = None
    source: str | None = None

    @property
    def text(self) -> str:
        """The user's last turn."""
        return self.messages[-1]["content"]


@dataclass(frozen=True)
class PromptSet:
    """A named, ordered set of prompts with unique ids and unique texts."""

    name: str
    prompts: tuple[Prompt, ...]
    sha256: str  # of the prompts' canonical JSON, so that it does not depend on the file
    samples: int = 1  # how often the set holds each prompt (see `repeated`)

    def __len__(self) -> int:
        return len(self.prompts)

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self.prompts)

    @property
    def expect(self) -> Expect | None:
        """What all prompts expect; None if they differ."""
        return self.prompts[0].expect if len({prompt.expect for prompt in self}) == 1 else None

    def head(self, n: int) -> "PromptSet":
        """The first n prompts, or all if there are fewer."""
        if n < 1:
            raise ValueError(f"head({n}) of a prompt set: expected at least 1")
        return make_set(self.name, self.prompts[:n])

    def subset(self, ids: Iterable[str]) -> "PromptSet":
        """The prompts with these ids, in the order of this set. Raises ValueError for an unknown id."""
        wanted = set(ids)
        if unknown := wanted - {prompt.id for prompt in self}:
            raise ValueError(f"no such prompt in {self.name}: {few(sorted(unknown))}")
        return make_set(self.name, (prompt for prompt in self if prompt.id in wanted))


@dataclass(frozen=True)
class Answer:
    """A model's answer to a prompt. `text` has no thinking in it, and is empty if the thinking did not end."""

    id: str  # of the prompt
    text: str
    finish_reason: Literal["stop", "length"]
    tokens: int  # how many were generated, thinking included
    thinking: str = ""


def make_set(name: str, prompts: Iterable[Prompt]) -> PromptSet:
    """A prompt set with its hash."""
    prompts = tuple(prompts)
    as_json = [{**vars(prompt), "messages": [dict(turn) for turn in prompt.messages]} for prompt in prompts]
    return PromptSet(name, prompts, digest([{key: cell for key, cell in row.items() if cell} for row in as_json]))


def digest(value: object) -> str:
    """SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def text_digest(text: str) -> str:
    """SHA-256 of an answer's text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def prefilled(prompts: PromptSet, words: str | None) -> PromptSet:
    """The same prompts with these words as their prefill; unchanged if there are no words."""
    if not words:
        return prompts
    return make_set(prompts.name, [replace(prompt, prefill=words) for prompt in prompts])


def repeated(prompts: PromptSet, samples: int) -> PromptSet:
    """The same set with `samples` copies of each prompt, called `<id>#<number>`. The copies are one cluster."""
    if samples == 1:
        return prompts
    numbered = ((prompt, f"{prompt.id}#{n}") for prompt in prompts for n in range(1, samples + 1))
    copies = tuple(replace(prompt, id=id_, cluster=prompt.cluster or prompt.id) for prompt, id_ in numbered)
    return replace(prompts, prompts=copies, samples=samples)


# Reading a file -------------------------------------------------------------------------------------------------


def load_prompts(source: str | Path, *, name: str | None = None, expect: Expect | None = None) -> PromptSet:
    """Read a SET: the name of a built-in or ready set, `NAME=FILE`, a sidecar or a file. Drops repeated prompts.

    `expect` holds for rows that have no `expect` of their own, unless a sidecar says otherwise. The case of column
    names does not matter. The prompt is in the first of PROMPT_COLUMNS that the file has, else in `messages`. Rows
    without an id are called `<name>-<row number>`, counting from 1. Unknown columns are ignored. Raises InputError for
    a file that cannot be read, a row without a prompt and an id that repeats.
    """
    opened = open_prompts(source)
    name, where, column = name or opened.name, opened.where, prompt_column(opened)
    expect = opened.expect or expect
    prompts = [read_prompt(row, column, f"{name}-{n}", expect, f"{where}, row {n}") for n, row in opened.rows]
    if copied_ids := [id_ for id_, n in Counter(prompt.id for prompt in prompts).items() if n > 1]:
        raise InputError(
            f"{where}: {len(copied_ids)} ids occur more than once ({few(copied_ids)}); give each row its own."
        )
    unique: dict[object, Prompt] = {}
    for prompt in prompts:
        unique.setdefault(normalised(prompt), prompt)
    return make_set(name, unique.values())


def open_prompts(source: str | Path) -> Source:
    """The rows of a SET, not yet checked."""
    return read_source(source, {*PROMPT_COLUMNS, *CATEGORY_COLUMNS, *OTHER_COLUMNS})


# From rows to prompts -------------------------------------------------------------------------------------------


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


def _labels(value: object) -> object:
    """Labels as one text. Some public files hold a list of labels, or a dict of labels with true or false."""
    if isinstance(value, dict):
        value = [key for key, holds in value.items() if holds]
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _choices(value: object) -> object:
    """Choices as a list. In a CSV cell, bars separate them."""
    return [choice.strip() for choice in value.split("|")] if isinstance(value, str) else value


_Text = Annotated[str, AfterValidator(_not_blank)]
_Label = Annotated[str | None, BeforeValidator(_labels)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")
    role: Literal["system", "user", "assistant"]
    content: _Text


class _Row(BaseModel):
    """A row of a user's file, without its blank cells; the prompt is in `prompt` or in `messages`."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)
    id: str | None = None
    prompt: _Text | None = None
    messages: tuple[_Message, ...] = ()
    system: str | None = None
    expect: Expect | None = None
    category: _Label = None
    reference: str | None = None
    metric: str | None = None
    choices: Annotated[tuple[_Text, ...], BeforeValidator(_choices)] = ()
    prefill: str = ""
    cluster: _Label = None
    source: _Label = None

    @model_validator(mode="after")
    def _has_a_prompt(self) -> "_Row":
        if not self.prompt and not self.messages:
            raise ValueError("the prompt is empty")
        if self.messages and self.messages[-1].role != "user":
            raise ValueError("the last message is not the user's")
        if any("\ud800" <= char <= "\udfff" for turn in self.chat() for char in turn["content"]):
            raise ValueError("the prompt holds half of a character, which no tokenizer reads")
        if self.system and any(turn.role == "system" for turn in self.messages):
            raise ValueError("both `system` and `messages` hold a system turn")
        return self

    def chat(self) -> tuple[dict[str, str], ...]:
        """The turns, the system's first."""
        turns = [(turn.role, turn.content) for turn in self.messages] or [("user", self.prompt or "")]
        with_system = [("system", self.system), *turns] if self.system else turns
        return tuple({"role": role, "content": content} for role, content in with_system)


def prompt_column(opened: Source) -> str:
    """The column that holds the prompts. Raises InputError if there is none."""
    columns = dict.fromkeys(column for _, row in opened.rows for column in row)
    for candidate in (*PROMPT_COLUMNS, "messages"):
        if candidate in columns:
            return candidate
    raise InputError(
        f"{opened.where} has no prompt column: found {few([c or '(blank)' for c in columns], 12)}, expected one of "
        f"{', '.join(PROMPT_COLUMNS)} or messages; rename the column that holds the prompts, or name it in a sidecar."
    )


def read_prompt(row: Mapping[str, Any], column: str, id_: str, expect: Expect | None, where: str) -> Prompt:
    """Check one row and make it a prompt. Raises InputError if a cell is wrong or the prompt is missing."""
    category = next((row[name] for name in CATEGORY_COLUMNS if row.get(name)), None)
    cells: dict[str, Any] = {**row, "category": category, **_prompt_cells(row, column)}
    try:
        valid = _Row.model_validate({name: cell for name, cell in cells.items() if cell is not None})
    except ValidationError as error:
        raise InputError(f"{where}: {first_problem(error)}; correct the row or leave it out.") from error
    details = valid.model_dump(include={*DETAIL_COLUMNS})
    return Prompt(valid.id or id_, valid.chat(), valid.expect or expect, **details)


def _prompt_cells(row: Mapping[str, Any], column: str) -> dict[str, Any]:
    """The cell `prompt`, with the row's context after it, or `messages` where the prompt column holds a chat.

    Some public files hold a list with the text of a single turn instead of the text.
    """
    cell = row.get(column)
    if isinstance(cell, list) and len(cell) == 1 and isinstance(cell[0], str):
        cell = cell[0]
    if isinstance(cell, list):
        return {"prompt": None, "messages": cell}
    context = row.get(CONTEXT_COLUMNS.get(column, "context")) or row.get("context")
    both = isinstance(cell, str) and isinstance(context, str)
    return {"prompt": f"{cell}\n\n{context}" if both else cell}


# Comparing and dividing sets ------------------------------------------------------------------------------------


def normalised(prompt: Prompt) -> tuple[tuple[str, str], ...]:
    """The conversation in lower case and with single spaces: prompts with equal ones count as the same."""
    return tuple((turn["role"], " ".join(turn["content"].casefold().split())) for turn in prompt.messages)


def leaks(evaluated: PromptSet, seen: PromptSet, threshold: float = NEAR_THRESHOLD) -> list[tuple[str, str, float]]:
    """All (evaluated id, seen id, similarity) of prompts that are the same or nearly so.

    The similarity is the Jaccard index of the words in the user's turns. It is 1.0 for prompts that differ only in case
    and spacing.
    """
    ours, theirs = [user_words(prompt) for prompt in evaluated], [user_words(prompt) for prompt in seen]
    pairs = near_pairs(ours, theirs, threshold)
    return [(evaluated.prompts[i].id, seen.prompts[j].id, similarity) for i, j, similarity in pairs]


def user_words(prompt: Prompt) -> frozenset[str]:
    """The words in the user's turns."""
    return words("\n".join(turn["content"] for turn in prompt.messages if turn["role"] == "user"))


def split(prompts: PromptSet, fractions: Mapping[str, float], seed: int = 0) -> dict[str, PromptSet]:
    """Divide a set into disjoint parts, called `<set>-<part>`. Raises ValueError unless the fractions add up to 1.

    Prompts are ordered by a hash of seed and id. So the parts and their order do not depend on the order of the rows,
    and the head of a part is a random sample of it. Sizes are the fractions, rounded.
    """
    if abs(sum(fractions.values()) - 1) > 1e-9 or min(fractions.values()) < 0:
        raise ValueError(f"fractions {dict(fractions)}: expected none below 0 and a sum of 1")
    shuffled = sorted(prompts, key=lambda prompt: hashlib.sha256(f"{seed}:{prompt.id}".encode()).digest())
    parts, start, cumulative = {}, 0, 0.0
    for part, fraction in fractions.items():
        cumulative += fraction
        stop = round(cumulative * len(shuffled))
        parts[part] = make_set(f"{prompts.name}-{part}", shuffled[start:stop])
        start = stop
    return parts
