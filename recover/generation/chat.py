"""One way of asking for all checkpoints: one tokenizer, one chat template, one way of reading answers."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from recover.checkpoints.checkpoint import Checkpoint
from recover.errors import InputError, Undecided
from recover.generation import batched
from recover.generation.batched import Batches
from recover.generation.sampling import Drawing, Sampling
from recover.model import distributed, load
from recover.progress import Advance, nowhere
from recover.prompts.chat_template import encode, resolve_template
from recover.prompts.prompt_set import Answer, Prompt, digest
from recover.prompts.tasks import Task, max_new_tokens

# What tokenizers with the same tokens may still read differently: case, spaces, digits, accents, other scripts, code.
PROBE = "Hello HELLO  world,\n\tdon't: 12345.67 na\u00efve \u6771\u4eac {'a': [x_y]} \u00abend\u00bb "

Mismatch = Literal["tokenizer", "chat-template"]  # what checkpoints may be allowed to have apart
Recall = Callable[[Sequence[Sequence[int]], int, Callable[[], list[list[int]]]], list[list[int]]]
"""(prompts, most tokens, how to ask) -> answers"""


@dataclass(frozen=True)
class ChatFormat:
    """The tokenizer and template that all checkpoints of a comparison share."""

    tokenizer: Any
    template: str | None
    ends: tuple[int, ...]
    batches: Batches = field(default_factory=Batches)
    positions: int | None = None  # that the models have for a prompt and its answer, where they say so
    recall: Recall | None = None  # where greedy answers may be known from before

    @staticmethod
    def of(checkpoints: Sequence[Checkpoint], template: str | None, batches: Batches | None = None) -> "ChatFormat":
        """Load the checkpoints' tokenizers; Undecided unless they read the same text as the same tokens."""
        tokenizers = _tokenizers(checkpoints)
        _require_the_same(tokenizers)
        first, *_ = tokenizers.values()
        chosen = resolve_template([*tokenizers.values()], template)
        told = [load.end_tokens(checkpoint, tokenizers[checkpoint.home]) for checkpoint in checkpoints]
        ends = tuple(dict.fromkeys(end for own in told for end in own))  # a fine-tune may have one more
        return ChatFormat(first, chosen, ends, batches or Batches(), _positions(checkpoints))

    @staticmethod
    def of_each(
        checkpoints: Mapping[str, Checkpoint],
        template: str | None,
        batches: Batches | None,
        apart: Collection[Mismatch],
    ) -> "dict[str, ChatFormat]":
        """A way of asking for each checkpoint, by its name: one for all, but for what they may have `apart`."""
        if not apart:
            return dict.fromkeys(checkpoints, ChatFormat.of([*checkpoints.values()], template, batches))
        tokenizers = _tokenizers([*checkpoints.values()])
        if "tokenizer" not in apart:
            _require_the_same(tokenizers)
        chat_formats = {}
        for name, checkpoint in checkpoints.items():
            own = tokenizers[checkpoint.home]
            chosen = resolve_template([own] if "chat-template" in apart else [*tokenizers.values()], template)
            ends = tuple(load.end_tokens(checkpoint, own))
            chat_formats[name] = ChatFormat(own, chosen, ends, batches or Batches(), _positions([checkpoint]))
        return chat_formats

    def encode(self, prompts: Iterable[Prompt]) -> list[list[int]]:
        """Token ids of each prompt, ready for an answer."""
        return encode(self.tokenizer, prompts, self.template)

    @property
    def facts(self) -> dict[str, str]:
        """What decides how prompts and answers are read, as hashes."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        reader = json.loads(backend.to_str()) if backend else dict(self.tokenizer.get_vocab())
        whole = {name: part for name, part in reader.items() if name not in ("padding", "truncation")}  # a call's
        parts = {"tokenizer": whole, "chat_template": self.template, "ends": self.ends}
        way = "continuous" if self.batches.continuous else "static"
        return {**{name: digest(part) for name, part in parts.items()}, "batching": way}

    def composition(self, prompts: Sequence[Prompt]) -> tuple[list[list[int]], str]:
        """Which prompts are asked together, by their places, and a hash of all their tokens in this order.

        InputError if one leaves no room for an answer.
        """
        ids = self.encode(prompts)
        for prompt, tokens in zip(prompts, ids, strict=True):
            if self.positions and len(tokens) >= self.positions:
                raise InputError(
                    f"the prompt {prompt.id} has {len(tokens)} tokens, and the models have {self.positions} positions; "
                    "expected room for an answer; shorten the prompt or leave it out"
                )
        places = self._shares(ids, 1)
        return places, digest([[ids[place] for place in batch] for batch in places])

    def _shares(self, asked: Sequence[Sequence[int]], processes: int) -> list[list[int]]:
        """Which prompts a process asks together, by their places: a batch, or its part of all if that is continuous."""
        if self.batches.continuous:
            return [[*range(start, len(asked), processes)] for start in range(processes)]
        return batched.composition(asked)

    def longest(self, task: Task) -> int:
        """The most tokens that a task's answer may have."""
        return max_new_tokens(task, self.tokenizer)

    def reference(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt's reference answer, with the token that ends an answer."""
        ids: list[int] = self.tokenizer(prompt.reference, add_special_tokens=False)["input_ids"]
        return [*ids, *self.ends[:1]]

    def continuations(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        tokens: int,
        advance: Advance = nowhere,
        drawing: Drawing | None = None,
    ) -> list[list[int]]:
        """Answers as tokens, greedy or drawn."""

        def ask() -> list[list[int]]:
            return self._shared(model, prompts, tokens, advance, drawing)

        return ask() if self.recall is None or drawing else self.recall(prompts, tokens, ask)

    def _shared(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        tokens: int,
        advance: Advance,
        drawing: Drawing | None,
    ) -> list[list[int]]:
        """Answers as tokens; several processes share the batches."""
        told: dict[int, list[int]] = {}
        alone = distributed.world() == 1
        shares = self._shares(prompts, distributed.world())

        def ask(places: Sequence[int]) -> tuple[list[list[int]], Batches]:
            asked, tell = [prompts[place] for place in places], advance if alone else nowhere
            draws = drawing.of(places) if drawing else None
            most = self._room(asked, tokens)
            return batched.continuations(model, asked, most, self.ends, tell, self.batches, draws), self.batches

        for places, (answers, batches) in zip(shares, distributed.mapped(ask, shares), strict=True):
            self.batches.meet(batches)
            told |= zip(places, answers, strict=True)
            if not alone:
                advance(len(places))
        return [told[place] for place in range(len(prompts))]

    def _room(self, asked: Sequence[Sequence[int]], tokens: int) -> int:
        """How many tokens, at most `tokens`, the model has positions for after the longest of these prompts; one at
        least, since some models go on past the positions that they name."""
        return max(1, min(tokens, self.positions - max(map(len, asked)))) if self.positions and asked else tokens

    def answers(
        self,
        model: Any,
        prompts: Iterable[Prompt],
        tokens: int,
        advance: Advance = nowhere,
        sampling: Sampling | None = None,
    ) -> list[Answer]:
        """Answers of at most `tokens` new tokens, greedy or drawn, in the prompts' order."""
        prompts = list(prompts)
        asked, drawing = self.encode(prompts), sampling.drawing(prompt.id for prompt in prompts) if sampling else None
        told = self.continuations(model, asked, tokens, advance, drawing)
        return [self._answer(*each) for each in zip(prompts, asked, told, strict=True)]

    def _answer(self, prompt: Prompt, asked: Sequence[int], told: Sequence[int]) -> Answer:
        head = batched.begun(self.tokenizer, asked, prompt.prefill)
        return batched.as_answer(self.tokenizer, prompt.id, told, self.ends, head)

    def decode(self, tokens: Sequence[int]) -> str:
        """Tokens as text, without the special ones."""
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return text


def _tokenizers(checkpoints: Sequence[Checkpoint]) -> dict[Path, Any]:
    """The tokenizers of some checkpoints, by where they are from."""
    return {checkpoint.home: load.load_tokenizer(checkpoint) for checkpoint in checkpoints}


def _positions(checkpoints: Sequence[Checkpoint]) -> int | None:
    """The fewest positions that one of the checkpoints has; None if no configuration tells."""
    told = [c.config.get(name) for c in checkpoints for name in ("max_position_embeddings", "n_positions")]
    return min((size for size in told if isinstance(size, int)), default=None)


def _require_the_same(tokenizers: Mapping[Path, Any]) -> None:
    """Undecided unless all have the same tokens and read a text of many kinds as the same ones; what one of them has
    added is its own."""
    (home, first), *others = tokenizers.items()
    for place, other in others:
        added = set(other.get_added_vocab()) ^ set(first.get_added_vocab())
        shared = {t: i for t, i in first.get_vocab().items() if t not in added}
        theirs = other.get_vocab()
        read = [one(PROBE, add_special_tokens=False)["input_ids"] for one in (first, other)]
        if any(theirs.get(t) != i for t, i in shared.items()) or read[0] != read[1]:
            raise Undecided(
                f"{home} and {place} have different tokenizers; rates of models that read a prompt differently cannot "
                "be compared; give both checkpoints the same tokenizer, or evaluate with --allow-mismatch tokenizer"
            )
