"""Prompts and answers: what the models are asked, and what they said.

A prompt set is a JSONL file (or CSV, TSV, JSON, TXT, parquet), one prompt a row. This module knows nothing of
models; a tokenizer is only asked to render a chat.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Expect = Literal["refuse", "comply", "answer"]


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

    def __len__(self) -> int:
        return len(self.prompts)

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self.prompts)


@dataclass(frozen=True)
class Answer:
    """What a model said to a prompt. `thinking` is kept apart from `text`; an unterminated one leaves `text` empty."""

    id: str
    text: str
    finish_reason: Literal["stop", "length"]
    tokens: int
    thinking: str = ""
