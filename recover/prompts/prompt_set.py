"""Prompts and answers: what the models are asked, and what they said.

A prompt set is a JSONL file (or CSV, TSV, JSON, TXT, parquet), one prompt a row, or what a sidecar makes of one. This
module knows nothing of models; a tokenizer is only asked to render a chat.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from recover.errors import InputError, few, first_problem
from recover.prompts import sidecar
from recover.prompts.near_duplicates import NEAR, near_pairs, words
from recover.prompts.sidecar import Source, read_source

if TYPE_CHECKING:
    pass


Expect = sidecar.Expect
BUILTIN = sidecar.BUILTIN
PROMPT_COLUMNS = ("prompt", "goal", "behavior", "question", "forbidden_prompt", "instruction", "user_input", "text")
CATEGORY_COLUMNS = ("category", "semanticcategory", "type")
COMPANIONS = {"instruction": "input", "behavior": "contextstring"}  # what the request is about, else in `context`
KEPT = ("category", "reference", "metric", "choices", "prefill", "cluster", "source")  # fields of a prompt as they are
OTHER_COLUMNS = ("id", "messages", "system", "context", "expect", *KEPT)


@dataclass(frozen=True)
class Prompt:
    """One request: the chat so far, the last turn being the user's, and what is known of a good answer.

    With a `prefill` the answer begins with these words, whatever the model would have said. Prompts of one `cluster`
    are variants of each other and not independent.
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
    sha256: str  # of the prompts' canonical JSON, so that a set is the same set in whatever file it came
    samples: int = 1  # how often each prompt is in the set (see `repeated`)

    def __len__(self) -> int:
        return len(self.prompts)

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self.prompts)

    @property
    def expect(self) -> Expect | None:
        """What all prompts expect; None where they differ."""
        return self.prompts[0].expect if len({prompt.expect for prompt in self}) == 1 else None

    def head(self, n: int) -> "PromptSet":
        """The first n prompts, or all where there are fewer."""
        if n < 1:
            raise ValueError(f"head({n}) of a prompt set: expected at least 1")
        return make_set(self.name, self.prompts[:n])

    def subset(self, ids: Iterable[str]) -> "PromptSet":
        """The prompts with these ids, in the order of this set; an unknown id is a ValueError."""
        wanted = set(ids)
        if unknown := wanted - {prompt.id for prompt in self}:
            raise ValueError(f"no such prompt in {self.name}: {few(sorted(unknown))}")
        return make_set(self.name, (prompt for prompt in self if prompt.id in wanted))


@dataclass(frozen=True)
class Answer:
    """What a model said to a prompt. `thinking` is kept apart from `text`; an unterminated one leaves `text` empty."""

    id: str
    text: str
    finish_reason: Literal["stop", "length"]
    tokens: int
    thinking: str = ""


def make_set(name: str, prompts: Iterable[Prompt]) -> PromptSet:
    """A prompt set with its hash."""
    prompts = tuple(prompts)
    plain = [{**vars(prompt), "messages": [dict(turn) for turn in prompt.messages]} for prompt in prompts]
    known = [{key: value for key, value in prompt.items() if value} for prompt in plain]
    return PromptSet(name, prompts, digest(known))


def digest(value: object) -> str:
    """SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def prefilled(prompts: PromptSet, words: str | None) -> PromptSet:
    """The same prompts, whose answers all begin with these words; unchanged where there are none."""
    if not words:
        return prompts
    return make_set(prompts.name, [replace(prompt, prefill=words) for prompt in prompts])


def repeated(prompts: PromptSet, samples: int) -> PromptSet:
    """The same set with each prompt so often, to be answered anew each time; all of them are one cluster."""
    if samples == 1:
        return prompts
    numbered = ((prompt, f"{prompt.id}#{n}") for prompt in prompts for n in range(1, samples + 1))
    each = tuple(replace(prompt, id=id_, cluster=prompt.cluster or prompt.id) for prompt, id_ in numbered)
    return replace(prompts, prompts=each, samples=samples)


# Reading a file -------------------------------------------------------------------------------------------------


def load_prompts(source: str | Path, *, name: str | None = None, expect: Expect | None = None) -> PromptSet:
    """Read a SET: a built-in or ready one by its name, `NAME=FILE`, a sidecar or a file.

    `expect` is for rows and sidecars that say nothing of their own. Columns are found whatever their case. The prompt
    is in `messages` or in the first of PROMPT_COLUMNS that the file has. Rows without an id are called
    `<name>-<row number>`, counting from 1. Unknown columns are ignored.
    """
    found = open_prompts(source)
    name, where, column = name or found.name, found.where, prompt_column(found)
    expect = found.expect or expect
    prompts = [read_prompt(row, column, f"{name}-{n}", expect, f"{where}, row {n}") for n, row in found.rows]
    if repeated := [id_ for id_, n in Counter(prompt.id for prompt in prompts).items() if n > 1]:
        raise InputError(f"{where}: {len(repeated)} ids occur more than once ({few(repeated)}); give each row its own.")
    unique: dict[object, Prompt] = {}
    for prompt in prompts:
        unique.setdefault(normalised(prompt), prompt)
    return make_set(name, unique.values())


def open_prompts(source: str | Path) -> Source:
    """The rows that a SET names, not yet checked."""
    return read_source(source, {*PROMPT_COLUMNS, *CATEGORY_COLUMNS, *OTHER_COLUMNS})


# From rows to prompts -------------------------------------------------------------------------------------------


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


def _labels(value: object) -> object:
    """A label as text: some public files hold a list of them, or a dict of truth values."""
    if isinstance(value, dict):
        value = [key for key, holds in value.items() if holds]
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _choices(value: object) -> object:
    """Choices as a list: a cell of a CSV file holds them with a bar between."""
    return [choice.strip() for choice in value.split("|")] if isinstance(value, str) else value


_Said = Annotated[str, AfterValidator(_not_blank)]
_Label = Annotated[str | None, BeforeValidator(_labels)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")
    role: Literal["system", "user", "assistant"]
    content: _Said


class _Row(BaseModel):
    """A row of a user's file, blank cells left out, the prompt's column renamed."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)
    id: str | None = None
    prompt: _Said | None = None
    messages: tuple[_Message, ...] = ()
    system: str | None = None
    expect: Expect | None = None
    category: _Label = None
    reference: str | None = None
    metric: str | None = None
    choices: Annotated[tuple[_Said, ...], BeforeValidator(_choices)] = ()
    prefill: str = ""
    cluster: _Label = None
    source: _Label = None

    @model_validator(mode="after")
    def _asks(self) -> "_Row":
        if not self.prompt and not self.messages:
            raise ValueError("the prompt is empty")
        if self.messages and self.messages[-1].role != "user":
            raise ValueError("the last message is not the user's")
        if any("\ud800" <= char <= "\udfff" for turn in self.chat() for char in turn["content"]):
            raise ValueError("the prompt holds half of a character, which no tokenizer reads")
        if self.system and any(turn.role == "system" for turn in self.messages):
            raise ValueError("the system's words are both in `system` and in `messages`")
        return self

    def chat(self) -> tuple[dict[str, str], ...]:
        """The turns, the system's first."""
        said = [(turn.role, turn.content) for turn in self.messages] or [("user", self.prompt or "")]
        turns = [("system", self.system), *said] if self.system else said
        return tuple({"role": role, "content": content} for role, content in turns)


def prompt_column(found: Source) -> str:
    """The column that holds the prompts; InputError if there is none."""
    columns = dict.fromkeys(column for _, row in found.rows for column in row)
    for candidate in (*PROMPT_COLUMNS, "messages"):
        if candidate in columns:
            return candidate
    raise InputError(
        f"{found.where} has no prompt column: found {few([c or '(blank)' for c in columns], 12)}, expected one of "
        f"{', '.join(PROMPT_COLUMNS)} or messages; rename the column that holds the prompts, or name it in a sidecar."
    )


def read_prompt(row: Mapping[str, Any], column: str, id_: str, expect: Expect | None, where: str) -> Prompt:
    """Check one row and make it a prompt; InputError if it is none."""
    category = next((row[name] for name in CATEGORY_COLUMNS if row.get(name)), None)
    cells: dict[str, Any] = {**row, "category": category, **_asked(row, column)}
    try:
        valid = _Row.model_validate({name: cell for name, cell in cells.items() if cell is not None})
    except ValidationError as error:
        raise InputError(f"{where}: {first_problem(error)}; correct the row or leave it out.") from error
    fields = valid.model_dump(include={*KEPT})
    return Prompt(valid.id or id_, valid.chat(), valid.expect or expect, **fields)


def _asked(row: Mapping[str, Any], column: str) -> dict[str, Any]:
    """What a row asks, with the text that it is about: in some public files as messages, or as a list of one turn."""
    asked = row.get(column)
    if isinstance(asked, list) and len(asked) == 1 and isinstance(asked[0], str):
        asked = asked[0]
    if isinstance(asked, list):
        return {"prompt": None, "messages": asked}
    about = row.get(COMPANIONS.get(column, "context")) or row.get("context")
    both = isinstance(asked, str) and isinstance(about, str)
    return {"prompt": f"{asked}\n\n{about}" if both else asked}


# Comparing and dividing sets ------------------------------------------------------------------------------------


def normalised(prompt: Prompt) -> tuple[tuple[str, str], ...]:
    """The conversation without what makes no difference: equal for prompts that differ in case or spacing alone."""
    return tuple((turn["role"], " ".join(turn["content"].casefold().split())) for turn in prompt.messages)


def leaks(evaluated: PromptSet, seen: PromptSet, threshold: float = NEAR) -> list[tuple[str, str, float]]:
    """Pairs (id evaluated, id seen, similarity) of prompts that are the same or nearly so.

    The similarity is the Jaccard index of the sets of words that the user says: 1.0 for equal prompts, whatever
    their case and spacing.
    """
    ours, theirs = [user_words(prompt) for prompt in evaluated], [user_words(prompt) for prompt in seen]
    pairs = near_pairs(ours, theirs, threshold)
    return [(evaluated.prompts[i].id, seen.prompts[j].id, similarity) for i, j, similarity in pairs]


def user_words(prompt: Prompt) -> frozenset[str]:
    """The words that the user says."""
    return words("\n".join(turn["content"] for turn in prompt.messages if turn["role"] == "user"))


def split(prompts: PromptSet, fractions: Mapping[str, float], seed: int = 0) -> dict[str, PromptSet]:
    """Divide a set into disjoint parts of these fractions, which add up to 1; a part is called `<set>-<part>`.

    Prompts are ordered by a hash of seed and id, so parts and their order depend on ids alone, not on the order of
    the rows, and the head of a part is a random sample of it. Sizes are the fractions, rounded.
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


# Rendering the chat ---------------------------------------------------------------------------------------------


def text_digest(text: str) -> str:
    """The sha256 of an answer."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
