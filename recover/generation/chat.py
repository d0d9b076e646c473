"""The chat format of a run: one tokenizer, one chat template and one set of end tokens for all checkpoints."""

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

# Text that tokenizers with the same tokens may still read differently: case, spaces, digits, accents, scripts, code.
PROBE = "Hello HELLO  world,\n\tdon't: 12345.67 na\u00efve \u6771\u4eac {'a': [x_y]} \u00abend\u00bb "

Mismatch = Literal["tokenizer", "chat-template"]  # differences between checkpoints that may be allowed
Recall = Callable[[Sequence[Sequence[int]], int, Callable[[], list[list[int]]]], list[list[int]]]
"""(prompts, most new tokens, function that asks the model) -> answers, from a store or by asking"""


@dataclass(frozen=True)
class ChatFormat:
    """The tokenizer and template that all checkpoints of a comparison share."""

    tokenizer: Any
    template: str | None
    ends: tuple[int, ...]  # the tokens that end an answer
    batches: Batches = field(default_factory=Batches)
    positions: int | None = None  # of the models, for a prompt and its answer; None if they do not say
    recall: Recall | None = None  # a store of greedy answers

    @staticmethod
    def of(checkpoints: Sequence[Checkpoint], template: str | None, batches: Batches | None = None) -> "ChatFormat":
        """Load the checkpoints' tokenizers. Raises Undecided unless they read the same text as the same tokens.

        `template` is the choice that `resolve_template` takes.
        """
        tokenizers = _tokenizers(checkpoints)
        _require_equal(tokenizers)
        first, *_ = tokenizers.values()
        resolved = resolve_template([*tokenizers.values()], template)
        ends_of_each = [load.end_tokens(checkpoint, tokenizers[checkpoint.home]) for checkpoint in checkpoints]
        ends = tuple(dict.fromkeys(end for ends in ends_of_each for end in ends))  # a fine-tune may have one more
        return ChatFormat(first, resolved, ends, batches or Batches(), _positions(checkpoints))

    @staticmethod
    def of_each(
        checkpoints: Mapping[str, Checkpoint],
        template: str | None,
        batches: Batches | None,
        apart: Collection[Mismatch],
    ) -> "dict[str, ChatFormat]":
        """The chat format of each checkpoint, by its name. They are one and the same unless `apart` allows more.

        `apart` names the differences that are allowed. Raises Undecided for any other difference.
        """
        if not apart:
            return dict.fromkeys(checkpoints, ChatFormat.of([*checkpoints.values()], template, batches))
        tokenizers = _tokenizers([*checkpoints.values()])
        if "tokenizer" not in apart:
            _require_equal(tokenizers)
        chat_formats = {}
        for name, checkpoint in checkpoints.items():
            tokenizer = tokenizers[checkpoint.home]
            resolved = resolve_template([tokenizer] if "chat-template" in apart else [*tokenizers.values()], template)
            ends = tuple(load.end_tokens(checkpoint, tokenizer))
            chat_formats[name] = ChatFormat(tokenizer, resolved, ends, batches or Batches(), _positions([checkpoint]))
        return chat_formats

    def encode(self, prompts: Iterable[Prompt]) -> list[list[int]]:
        """Token ids of each prompt, up to where the answer starts or to the end of its prefill."""
        return encode(self.tokenizer, prompts, self.template)

    @property
    def facts(self) -> dict[str, str]:
        """What decides how prompts are read and answers are made: hashes, and the way of batching."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        state = json.loads(backend.to_str()) if backend else dict(self.tokenizer.get_vocab())
        of_a_call = ("padding", "truncation")  # a call to the tokenizer may set them
        tokenizer = {name: part for name, part in state.items() if name not in of_a_call}
        parts = {"tokenizer": tokenizer, "chat_template": self.template, "ends": self.ends}
        batching = "continuous" if self.batches.continuous else "static"
        return {**{name: digest(part) for name, part in parts.items()}, "batching": batching}

    def composition(self, prompts: Sequence[Prompt]) -> tuple[list[list[int]], str]:
        """The indices of the prompts in each batch, and a hash of all their tokens in this order.

        Raises InputError if a prompt leaves no room for an answer.
        """
        ids = self.encode(prompts)
        for prompt, tokens in zip(prompts, ids, strict=True):
            if self.positions and len(tokens) >= self.positions:
                raise InputError(
                    f"the prompt {prompt.id} has {len(tokens)} tokens, and the models have {self.positions} positions; "
                    "expected room for an answer; shorten the prompt or leave it out"
                )
        index_batches = self._index_batches(ids, 1)
        return index_batches, digest([[ids[index] for index in batch] for batch in index_batches])

    def _index_batches(self, prompts: Sequence[Sequence[int]], processes: int) -> list[list[int]]:
        """The indices of the prompts that are asked together. With continuous batches, one part for each process."""
        if self.batches.continuous:
            return [[*range(start, len(prompts), processes)] for start in range(processes)]
        return batched.composition(prompts)

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
        """Answers of at most `tokens` new tokens, as tokens: greedy, or drawn with `drawing`."""

        def ask() -> list[list[int]]:
            return self._ask(model, prompts, tokens, advance, drawing)

        return ask() if self.recall is None or drawing else self.recall(prompts, tokens, ask)

    def _ask(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        tokens: int,
        advance: Advance,
        drawing: Drawing | None,
    ) -> list[list[int]]:
        """Answers as tokens. If there are several processes, they share the batches."""
        answers: dict[int, list[int]] = {}
        alone = distributed.world() == 1
        index_batches = self._index_batches(prompts, distributed.world())

        def ask_batch(indices: Sequence[int]) -> tuple[list[list[int]], Batches]:
            batch = [prompts[index] for index in indices]
            batch_advance = advance if alone else nowhere
            batch_drawing = drawing.of(indices) if drawing else None
            most = self._room(batch, tokens)
            tokens_of_each = batched.continuations(
                model, batch, most, self.ends, batch_advance, self.batches, batch_drawing
            )
            return tokens_of_each, self.batches

        mapped = distributed.mapped(ask_batch, index_batches)
        for indices, (batch_answers, batches) in zip(index_batches, mapped, strict=True):
            self.batches.merge(batches)
            answers |= zip(indices, batch_answers, strict=True)
            if not alone:
                advance(len(indices))
        return [answers[index] for index in range(len(prompts))]

    def _room(self, prompts: Sequence[Sequence[int]], tokens: int) -> int:
        """How many new tokens, at most `tokens`, the model has positions for after the longest prompt.

        At least 1, since some models go on past the positions that they name.
        """
        return max(1, min(tokens, self.positions - max(map(len, prompts)))) if self.positions and prompts else tokens

    def answers(
        self,
        model: Any,
        prompts: Iterable[Prompt],
        tokens: int,
        advance: Advance = nowhere,
        sampling: Sampling | None = None,
    ) -> list[Answer]:
        """Answers of at most `tokens` new tokens, in prompt order: greedy, or drawn with `sampling`."""
        prompts = list(prompts)
        encoded = self.encode(prompts)
        drawing = sampling.drawing(prompt.id for prompt in prompts) if sampling else None
        continuations = self.continuations(model, encoded, tokens, advance, drawing)
        return [self._answer(*parts) for parts in zip(prompts, encoded, continuations, strict=True)]

    def _answer(self, prompt: Prompt, encoded: Sequence[int], continuation: Sequence[int]) -> Answer:
        head = batched.answer_head(self.tokenizer, encoded, prompt.prefill)
        return batched.as_answer(self.tokenizer, prompt.id, continuation, self.ends, head)

    def decode(self, tokens: Sequence[int]) -> str:
        """Tokens as text, without the special ones."""
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return text


def _tokenizers(checkpoints: Sequence[Checkpoint]) -> dict[Path, Any]:
    """The checkpoints' tokenizers, by the directories that hold them."""
    return {checkpoint.home: load.load_tokenizer(checkpoint) for checkpoint in checkpoints}


def _positions(checkpoints: Sequence[Checkpoint]) -> int | None:
    """The fewest positions of any of the checkpoints; None if no configuration says."""
    sizes = [c.config.get(name) for c in checkpoints for name in ("max_position_embeddings", "n_positions")]
    return min((size for size in sizes if isinstance(size, int)), default=None)


def _require_equal(tokenizers: Mapping[Path, Any]) -> None:
    """Raise Undecided unless all have the same tokens and read PROBE in the same way.

    A token that was added to one tokenizer only makes no difference.
    """
    (home, first), *others = tokenizers.items()
    for other_home, other in others:
        added = set(other.get_added_vocab()) ^ set(first.get_added_vocab())
        shared = {token: id_ for token, id_ in first.get_vocab().items() if token not in added}
        other_vocab = other.get_vocab()
        first_ids, other_ids = (t(PROBE, add_special_tokens=False)["input_ids"] for t in (first, other))
        if any(other_vocab.get(token) != id_ for token, id_ in shared.items()) or first_ids != other_ids:
            raise Undecided(
                f"{home} and {other_home} have different tokenizers; rates of models that read a prompt differently "
                "cannot be compared; give both checkpoints the same tokenizer, or evaluate with "
                "--allow-mismatch tokenizer"
            )
