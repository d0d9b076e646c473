"""Prompts and answers: what the models are asked, and what they said.

A prompt set is a JSONL file (or CSV, TSV, JSON, TXT, parquet), one prompt a row. This module knows nothing of
models; a tokenizer is only asked to render a chat.
"""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from recover.errors import InputError, Undecided
from recover.rows import read_rows, read_text

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from transformers import PreTrainedTokenizerBase

Expect = Literal["refuse", "comply", "answer"]

BUILTIN = ("capture_harmful", "validate_harmful", "report_harmful", "benign_lookalike", "general")
PROMPT_COLUMNS = ("prompt", "goal", "behavior", "question", "forbidden_prompt", "instruction", "user_input", "text")
CATEGORY_COLUMNS = ("category", "semanticcategory", "type")
COMPANIONS = {"instruction": "input", "behavior": "contextstring"}  # the text that the request is about, beside it
OTHER_COLUMNS = ("id", "messages", "expect", "reference", "metric", "choices")


@dataclass(frozen=True)
class Prompt:
    """One request: the chat so far, the last turn being the user's, and what is known of a good answer."""

    id: str
    messages: tuple[Mapping[str, str], ...]
    expect: Expect | None = None
    category: str | None = None
    reference: str | None = None
    metric: str | None = None
    choices: tuple[str, ...] = ()

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
    dropped: int = 0  # rows of the file left out because an earlier row asks the same

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
        return make_set(self.name, self.prompts[:n], self.dropped)

    def subset(self, ids: Iterable[str]) -> "PromptSet":
        """The prompts with these ids, in the order of this set; an unknown id is a ValueError."""
        wanted = set(ids)
        if unknown := wanted - {prompt.id for prompt in self}:
            raise ValueError(f"no such prompt in {self.name}: {few(sorted(unknown))}")
        return make_set(self.name, (prompt for prompt in self if prompt.id in wanted), self.dropped)


@dataclass(frozen=True)
class Answer:
    """What a model said to a prompt. `thinking` is kept apart from `text`; an unterminated one leaves `text` empty."""

    id: str
    text: str
    finish_reason: Literal["stop", "length"]
    tokens: int
    thinking: str = ""


def make_set(name: str, prompts: Iterable[Prompt], dropped: int = 0) -> PromptSet:
    """A prompt set with its hash."""
    prompts = tuple(prompts)
    plain = [{**vars(prompt), "messages": [dict(turn) for turn in prompt.messages]} for prompt in prompts]
    known = [{key: value for key, value in prompt.items() if value} for prompt in plain]
    canonical = json.dumps(known, sort_keys=True, separators=(",", ":"))
    return PromptSet(name, prompts, hashlib.sha256(canonical.encode()).hexdigest(), dropped)


def few(items: Sequence[object], most: int = 3) -> str:
    """The first few of some items, as a message names them."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(str(item) for item in items[:most]) + more


# Reading a file -------------------------------------------------------------------------------------------------


def load_prompts(source: str | Path, *, name: str | None = None, expect: Expect | None = None) -> PromptSet:
    """Read a built-in set, by its name, or a file; `expect` is for the rows that say nothing of their own.

    Columns are found whatever their case. The prompt is in `messages` or in the first of PROMPT_COLUMNS that the
    file has. Rows without an id are called `<name>-<row number>`, counting from 1. Unknown columns are ignored.
    """
    file, where = _locate(source), str(source)
    rows = read_rows(file, where, {*PROMPT_COLUMNS, *CATEGORY_COLUMNS, *OTHER_COLUMNS})
    name = name or Path(file.name).stem
    column = _prompt_column(rows, where)
    prompts = [_prompt(row, column, f"{name}-{n}", expect, f"{where}, row {n}") for n, row in enumerate(rows, 1)]
    if repeated := [id_ for id_, n in Counter(prompt.id for prompt in prompts).items() if n > 1]:
        raise InputError(f"{where}: {len(repeated)} ids occur more than once ({few(repeated)}); give each row its own.")
    unique: dict[object, Prompt] = {}
    for prompt in prompts:
        unique.setdefault(normalised(prompt), prompt)
    return make_set(name, unique.values(), len(prompts) - len(unique))


def _locate(source: str | Path) -> "Traversable":
    """The file that a source names: a built-in set by its bare name, else a path."""
    if str(source) in BUILTIN:
        return resources.files("recover.eval_prompts").joinpath(f"{source}.jsonl")
    path = Path(source)
    if not path.exists():
        raise InputError(f"{source}: no such file and no built-in set; the built-in sets are {', '.join(BUILTIN)}.")
    if not path.is_file():
        raise InputError(f"{source} is not a file; name one file of prompts.")
    return path


# From rows to prompts -------------------------------------------------------------------------------------------


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


def _category(value: object) -> object:
    """A category as text: some public files hold a list of them, or a dict of truth values."""
    if isinstance(value, dict):
        value = [key for key, holds in value.items() if holds]
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _choices(value: object) -> object:
    """Choices as a list: a cell of a CSV file holds them with a bar between."""
    return [choice.strip() for choice in value.split("|")] if isinstance(value, str) else value


_Said = Annotated[str, AfterValidator(_not_blank)]


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
    expect: Expect | None = None
    category: Annotated[str | None, BeforeValidator(_category)] = None
    reference: str | None = None
    metric: str | None = None
    choices: Annotated[tuple[_Said, ...], BeforeValidator(_choices)] = ()

    @model_validator(mode="after")
    def _asks(self) -> "_Row":
        if not self.prompt and not self.messages:
            raise ValueError("the prompt is empty")
        if self.messages and self.messages[-1].role != "user":
            raise ValueError("the last message is not the user's")
        return self


def _prompt_column(rows: Sequence[Mapping[str, Any]], where: str) -> str:
    columns = dict.fromkeys(column for row in rows for column in row)
    for candidate in (*PROMPT_COLUMNS, "messages"):
        if candidate in columns:
            return candidate
    raise InputError(
        f"{where} has no prompt column: found {few([c or '(blank)' for c in columns], 12)}, expected one of "
        f"{', '.join(PROMPT_COLUMNS)} or messages; rename the column that holds the prompts."
    )


def _prompt(row: Mapping[str, Any], column: str, id_: str, expect: Expect | None, where: str) -> Prompt:
    """Check one row and make it a prompt."""
    asked = row.get(column)
    about = row.get(COMPANIONS[column]) if column in COMPANIONS else None
    if isinstance(asked, str) and isinstance(about, str):
        asked = f"{asked}\n\n{about}"
    category = next((row[name] for name in CATEGORY_COLUMNS if row.get(name)), None)
    cells: dict[str, Any] = {**row, "category": category, "prompt": asked}
    if isinstance(asked, list):  # some public files keep the messages in a column called prompt
        cells = {**cells, "prompt": None, "messages": asked}
    try:
        valid = _Row.model_validate({name: cell for name, cell in cells.items() if cell is not None})
    except ValidationError as error:
        raise InputError(f"{where}: {first_problem(error)}; correct the row or leave it out.") from error
    said = tuple({"role": turn.role, "content": turn.content} for turn in valid.messages)
    said = said or ({"role": "user", "content": valid.prompt or ""},)
    fields = valid.model_dump(include={"category", "reference", "metric", "choices"})
    return Prompt(valid.id or id_, said, valid.expect or expect, **fields)


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong with what was read, with its place, and how many there are besides."""
    problem, *others = error.errors(include_url=False)
    place = "".join(f"{part}." for part in problem["loc"])
    more = f" (and {len(others)} more)" if others else ""
    return f"{place[:-1]}: {problem['msg']}{more}".removeprefix(": ").replace("Value error, ", "")


# Comparing and dividing sets ------------------------------------------------------------------------------------


def normalised(prompt: Prompt) -> tuple[tuple[str, str], ...]:
    """The conversation without what makes no difference: equal for prompts that differ in case or spacing alone."""
    return tuple((turn["role"], " ".join(turn["content"].casefold().split())) for turn in prompt.messages)


def leaks(evaluated: PromptSet, seen: PromptSet, threshold: float = 0.8) -> list[tuple[str, str, float]]:
    """Pairs (id evaluated, id seen, similarity) of prompts that are the same or nearly so.

    The similarity is the Jaccard index of the sets of words that the user says: 1.0 for equal prompts, whatever
    their case and spacing. Sets that similar share one of their few rarest words (prefix filtering; Chaudhuri, Ganti
    and Kaushik 2006), so only prompts with a rare word in common are compared.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold {threshold}: expected more than 0 and at most 1")
    ours, theirs = [_words(prompt) for prompt in evaluated], [_words(prompt) for prompt in seen]
    frequency = Counter(word for words in (*ours, *theirs) for word in words)

    def rarest(words: frozenset[str]) -> list[str]:
        needed = ceil(threshold * len(words) - 1e-9)  # words in common, at least
        return sorted(words, key=lambda word: (frequency[word], word))[: len(words) - needed + 1]

    holders: dict[str, list[int]] = defaultdict(list)
    for j, words in enumerate(theirs):
        for word in rarest(words):
            holders[word].append(j)
    found = []
    for prompt, words in zip(evaluated, ours, strict=True):
        for j in sorted({j for word in rarest(words) for j in holders.get(word, ())}):
            similarity = len(words & theirs[j]) / len(words | theirs[j])
            if similarity >= threshold:
                found.append((prompt.id, seen.prompts[j].id, similarity))
    return found


def _words(prompt: Prompt) -> frozenset[str]:
    """The words that the user says; a text without any is its own only word."""
    said = "\n".join(text for role, text in normalised(prompt) if role == "user")
    return frozenset(re.findall(r"\w+", said)) or frozenset({said})


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


def resolve_template(tokenizers: "Sequence[PreTrainedTokenizerBase]", choice: str | None) -> str | None:
    """The one chat template for all checkpoints; None means none: prompts go in as plain text.

    `choice` is None (the template that the tokenizers ship), "none", or the path of a jinja file.
    """
    if choice == "none":
        return None
    if choice is not None:
        return _template_file(choice)
    shipped = {template for tokenizer in tokenizers if (template := _shipped(tokenizer))}
    if not shipped:
        raise InputError(
            "The tokenizers ship no chat template; pass `--chat-template FILE`, or `--chat-template none` for models "
            "that take plain text."
        )
    if len(shipped) > 1:
        raise Undecided(
            f"The tokenizers ship {len(shipped)} different chat templates and one is needed for all; choose it with "
            "`--chat-template FILE`."
        )
    return shipped.pop()


def _template_file(choice: str) -> str:
    path = Path(choice)
    if not path.is_file():
        raise InputError(f"--chat-template {choice}: no such file; pass the path of a jinja file, or `none`.")
    template = read_text(path, choice)
    if not template.strip():
        raise InputError(f"--chat-template {choice}: the file is empty; expected a jinja template, or pass `none`.")
    return template


def _shipped(tokenizer: "PreTrainedTokenizerBase") -> str | None:
    """The template of a tokenizer; of several named ones the default."""
    template = tokenizer.chat_template
    if isinstance(template, dict):
        if "default" not in template:
            raise Undecided(
                f"A tokenizer ships the chat templates {few(sorted(template))} and no default; choose one with "
                "`--chat-template FILE`."
            )
        template = template["default"]
    return template or None


def encode(
    tokenizer: "PreTrainedTokenizerBase", prompts: Iterable[Prompt], template: str | None
) -> list[list[int]]:  # (prompts, length of each)
    """Token ids of each conversation, up to where the answer starts.

    Without a template: of the turns' text, a blank line between turns, with the tokenizer's special tokens.
    """
    encoded = []
    for prompt in prompts:
        if template is None:
            ids = tokenizer("\n\n".join(turn["content"] for turn in prompt.messages))["input_ids"]
        else:
            ids = _rendered(tokenizer, prompt, template)
        if not ids:
            raise InputError(f"The prompt {prompt.id} has no tokens once rendered; check the chat template.")
        encoded.append(list(ids))
    return encoded


def _rendered(tokenizer: "PreTrainedTokenizerBase", prompt: Prompt, template: str) -> list[int]:
    from jinja2 import TemplateError

    chat = [dict(turn) for turn in prompt.messages]
    try:
        ids: list[int] = tokenizer.apply_chat_template(
            chat, chat_template=template, add_generation_prompt=True, return_dict=False
        )
    except (TemplateError, TypeError) as error:
        raise InputError(
            f"The chat template cannot render the prompt {prompt.id} ({error}); correct it, or pass another with "
            "`--chat-template FILE`."
        ) from error
    return ids
