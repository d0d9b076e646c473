"""Answers in batches: which prompts share a batch, how a batch runs, and how its tokens become text."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from recover.errors import Undecided, out_of_memory
from recover.generation import continuous
from recover.generation.sampling import Drawing, Draws
from recover.progress import Advance, nowhere
from recover.prompts.prompt_set import Answer

BATCH_ROWS = 64  # prompts in a batch: enough for speed, and few enough that a long answer keeps few rows waiting
STRIDE = 8  # tokens between two checks for rows that are done; those leave the batch
MIN_SHARED_TOKENS = 8  # a beginning that all prompts of a batch share is read only once if it has so many tokens
THINK_OPEN, THINK_CLOSE = "<think>", "</think>"


@dataclass
class Batches:
    """How many prompts are asked at once. The number shrinks for the rest of a run when memory runs out.

    Answers in reduced precision can depend on it, so `note` says so in the result.
    """

    rows: int = BATCH_ROWS
    continuous: bool = False
    first_failed: int | None = None  # the rows of the first batch that did not fit into memory

    def shrink(self, tried: int) -> None:
        """Halve the batch after `tried` rows did not fit into memory. Raises Undecided if it was a single row."""
        if tried < 2:
            raise Undecided(
                "memory ran out over a single prompt; expected room for at least one answer at a time; use a smaller "
                "--max-new-tokens, shorter prompts or another --device"
            )
        self.first_failed = self.first_failed or tried
        self.rows = tried // 2

    def merge(self, other: "Batches") -> None:
        """Take over what did not fit into the memory of another process."""
        self.rows, self.first_failed = min(self.rows, other.rows), self.first_failed or other.first_failed

    @property
    def note(self) -> str | None:
        """A warning for the result if memory ran out; else None."""
        if self.first_failed is None:
            return None
        return (
            f"memory ran out over {self.first_failed} prompts at once, and later batches had at most {self.rows}; so "
            "models and sets may have been asked in different batches, which can change an answer in reduced precision"
        )


def continuations(
    model: Any,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    ends: Sequence[int],
    advance: Advance = nowhere,
    batches: Batches | None = None,
    drawing: Drawing | None = None,
) -> list[list[int]]:
    """Continuations of at most `max_new_tokens` tokens, in prompt order, each with its end token if it has one.

    They are greedy, or drawn with `drawing`. Batches depend on the prompts alone, unless memory runs out and `batches`
    shrinks. The longest prompts come first, so that this happens at the start if at all. `advance` gets the number of
    prompts that were just answered. Raises Undecided if a single prompt does not fit into memory.
    """
    batches = batches or Batches()
    if batches.continuous:
        if drawing:
            raise ValueError("continuous batches draw no samples")
        generated = continuous.generate(model, prompts, greedy_config(max_new_tokens, ends))
        advance(len(prompts))
        return [cut(tokens, ends) for tokens in generated]
    answers: list[list[int]] = [[] for _ in prompts]
    waiting = [index for batch in composition(prompts) for index in batch]
    while waiting:
        indices = waiting[: batches.rows]
        batch_drawing = drawing.of(indices) if drawing else None
        batch_answers = _try_batch(model, [prompts[index] for index in indices], max_new_tokens, ends, batch_drawing)
        if batch_answers is None:
            batches.shrink(len(indices))
            continue
        for index, tokens in zip(indices, batch_answers, strict=True):
            answers[index] = tokens
        waiting = waiting[len(indices) :]
        advance(len(indices))
    return answers


def composition(prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """The indices of the prompts in each batch, the longest prompts first.

    It depends on the prompts alone. The prompts of one batch make that same batch again.
    """
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
    return [order[start : start + BATCH_ROWS] for start in range(0, len(order), BATCH_ROWS)]


def _try_batch(
    model: Any, prompts: Sequence[Sequence[int]], max_new_tokens: int, ends: Sequence[int], drawing: Drawing | None
) -> list[list[int]] | None:
    """A batch's continuations; None if they do not fit into memory. Their memory is free again on return."""
    try:
        return _generate(model, prompts, max_new_tokens, ends, drawing)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
    return None


@torch.inference_mode()
def _generate(
    model: Any, prompts: Sequence[Sequence[int]], max_new_tokens: int, ends: Sequence[int], drawing: Drawing | None
) -> list[list[int]]:
    """Continue one batch. The beginning that all prompts share is read once; rows leave the batch after their end."""
    answers: list[list[int]] = [[] for _ in prompts]
    active = list(range(len(prompts)))  # row of the batch -> index of its prompt
    cache, draws = _make_cache(model), Draws(drawing, model.device) if drawing else None
    ids, mask = padded(prompts, _read_shared(model, prompts, cache), ends, model.device)
    for new_tokens in _strides(max_new_tokens, max_new_tokens if cache is None else STRIDE):
        length = ids.shape[1]
        ids = extended(model, ids, mask, cache, new_tokens, ends, draws)
        new_ids = ids[:, length:]
        mask = torch.cat([mask, torch.ones_like(new_ids)], 1)
        for index, tokens in zip(active, new_ids.tolist(), strict=True):
            answers[index] += cut(tokens, ends)
        unfinished = [row for row, index in enumerate(active) if answers[index][-1] not in ends]
        if not unfinished:
            break
        if cache is not None and len(unfinished) < len(active):
            rows = torch.tensor(unfinished, device=model.device)
            ids, mask, active = ids[rows], mask[rows], [active[row] for row in unfinished]
            cache.batch_select_indices(rows)
            if draws:
                draws.keep(unfinished)
    return answers


def _strides(total: int, stride: int) -> Iterator[int]:
    for start in range(0, total, stride):
        yield min(stride, total - start)


def _make_cache(model: Any) -> Any:
    """An empty cache that rows can be removed from; None for a model whose state is more than keys and values."""
    from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

    cache = DynamicCache(config=model.config)
    known = all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers)
    return cache if known and not model._is_stateful else None


def _read_shared(model: Any, prompts: Sequence[Sequence[int]], cache: Any) -> int:
    """Read the tokens that all prompts begin with into the cache, for every row. Returns how many tokens they are.

    0 if they are few, or if a layer has a sliding window: the window would count the padding that follows them.
    """
    from transformers.cache_utils import DynamicLayer

    most = min(map(len, prompts)) - 1  # at least one token must be left to read in every row
    shared = common_prefix_length(prompts, most)
    if cache is None or any(type(layer) is not DynamicLayer for layer in cache.layers):
        return 0
    if shared < MIN_SHARED_TOKENS or len(prompts) < 2:
        return 0
    model.base_model(input_ids=torch.tensor([prompts[0][:shared]], device=model.device), past_key_values=cache)
    cache.batch_repeat_interleave(len(prompts))
    return shared


def common_prefix_length(rows: Sequence[Sequence[int]], most: int) -> int:
    """How many first tokens all rows share, up to `most`. The first and the last row in sorted order decide it."""
    first, last = min(map(tuple, rows)), max(map(tuple, rows))
    return next((i for i in range(most) if first[i] != last[i]), most)


def padded(
    prompts: Sequence[Sequence[int]], shared: int, ends: Sequence[int], device: torch.device
) -> tuple[Tensor, Tensor]:  # (rows, longest prompt) twice
    """Ids and mask of a batch. The padding stands on the left, but after the first `shared` tokens."""
    pad = _pad(ends)
    gaps = [max(map(len, prompts)) - len(p) for p in prompts]
    ids = [[*p[:shared], *[pad] * gap, *p[shared:]] for p, gap in zip(prompts, gaps, strict=True)]
    mask = [[1] * shared + [0] * gap + [1] * (len(p) - shared) for p, gap in zip(prompts, gaps, strict=True)]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _pad(ends: Sequence[int]) -> int:
    return ends[0] if ends else 0  # any token will do: padding is masked, and cut off after an end


def extended(
    model: Any, ids: Tensor, mask: Tensor, cache: Any, most: int, ends: Sequence[int], draws: Draws | None = None
) -> Tensor:  # (rows, tokens)
    """The ids with at most `most` new tokens, by transformers' generation, with settings of ours only."""
    options = {"logits_processor": draws.processors()} if draws else {}
    own_config = model.generation_config  # a model's own sampling settings must not leak into a measurement
    model.generation_config = greedy_config(most, ends)
    try:
        out: Tensor = model.generate(input_ids=ids, attention_mask=mask, past_key_values=cache, **options)
        return out
    finally:
        model.generation_config = own_config


def greedy_config(max_new_tokens: int, ends: Sequence[int]) -> Any:
    """A generation configuration of transformers for greedy answers."""
    from transformers import GenerationConfig

    end = list(ends) or None
    return GenerationConfig(do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=end, pad_token_id=_pad(ends))


def cut(tokens: list[int], ends: Sequence[int]) -> list[int]:
    """Tokens up to the first end token, with it."""
    for index, token in enumerate(tokens):
        if token in ends:
            return tokens[: index + 1]
    return tokens


# From tokens to text --------------------------------------------------------------------------------------------


def as_answer(tokenizer: Any, id_: str, tokens: Sequence[int], ends: Sequence[int], head: str = "") -> Answer:
    """A continuation as an answer, without its end token, and with its thinking split off.

    `head` is the start of the answer that the prompt already holds (see `answer_head`).
    """
    stopped = bool(tokens) and tokens[-1] in ends
    content = tokens[:-1] if stopped else tokens
    thinking, text = split_thinking(head + _text(tokenizer, content))
    return Answer(id_, text, "stop" if stopped else "length", len(content), thinking)


def _text(tokenizer: Any, tokens: Sequence[int]) -> str:
    """Tokens as text without the special ones, but with the marks of thinking, which some tokenizers call special."""
    added = tokenizer.get_added_vocab()
    marks = {added[mark]: mark for mark in (THINK_OPEN, THINK_CLOSE) if mark in added}
    parts = []
    for mark, group in groupby(tokens, marks.get):
        run = list(group)
        parts.append(mark * len(run) if mark else tokenizer.decode(run, skip_special_tokens=True))
    return "".join(parts)


def answer_head(tokenizer: Any, prompt: Sequence[int], prefill: str = "") -> str:
    """The start of the answer that an encoded prompt holds: `<think>` if its template opened it, then the prefill."""
    text = tokenizer.decode(prompt, skip_special_tokens=False).rstrip()
    before_prefill = text.removesuffix(prefill.rstrip()).rstrip()
    return (THINK_OPEN if before_prefill.endswith(THINK_OPEN) else "") + prefill


def split_thinking(text: str) -> tuple[str, str]:
    """(thinking, answer): the text before and after the last `</think>`. Unended thinking leaves no answer."""
    head, _, tail = text.rpartition(THINK_CLOSE)
    if re.match(rf"\s*{THINK_OPEN}", tail):
        return text.replace(THINK_OPEN, "").strip(), ""
    return head.replace(THINK_OPEN, "").strip(), tail.strip()
