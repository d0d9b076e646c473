"""Answers in batches: which prompts share one, how a batch runs, and how its tokens become text."""

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

ROWS = 64  # prompts in a batch: wide enough for speed, small enough that one long answer holds up few
STRIDE = 8  # tokens after which rows that are done leave their batch
SHARED = 8  # tokens that all prompts of a batch must begin with before they are read only once
OPEN, CLOSE = "<think>", "</think>"


@dataclass
class Batches:
    """How many prompts are asked at once: fewer from where memory runs out, to the end of a run.

    Answers in reduced precision can depend on it, so `note` tells whoever reads the answers.
    """

    rows: int = ROWS
    continuous: bool = False
    first: int | None = None  # the rows that were too many

    def shrink(self, tried: int) -> None:
        """Halve the batch after `tried` rows did not fit into memory; Undecided after a single one."""
        if tried < 2:
            raise Undecided(
                "memory ran out over a single prompt; expected room for at least one answer at a time; use a smaller "
                "--max-new-tokens, shorter prompts or another --device"
            )
        self.first = self.first or tried
        self.rows = tried // 2

    def meet(self, other: "Batches") -> None:
        """Learn what did not fit into memory elsewhere."""
        self.rows, self.first = min(self.rows, other.rows), self.first or other.first

    @property
    def note(self) -> str | None:
        """What happened, for the warnings of a result."""
        if self.first is None:
            return None
        return (
            f"memory ran out over {self.first} prompts at once, and later batches had at most {self.rows}: models and "
            "sets may have been asked in different batches, which in reduced precision can change an answer"
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
    """Continuations of at most `max_new_tokens`, each with the end token where it has one, in prompt order.

    They are greedy, or drawn. Batches depend on the prompts alone, unless memory runs out: then `batches` shrinks. The
    longest prompts come first, so that this happens at the beginning if at all. `advance` is told how many more are
    done.
    """
    batches = batches or Batches()
    if batches.continuous:
        if drawing:
            raise ValueError("continuous batches draw no samples")
        found = continuous.generated(model, prompts, settings(max_new_tokens, ends))
        advance(len(prompts))
        return [cut(tokens, ends) for tokens in found]
    answers: list[list[int]] = [[] for _ in prompts]
    waiting = [place for batch in composition(prompts) for place in batch]
    while waiting:
        rows = waiting[: batches.rows]
        told = _fitting(
            model, [prompts[row] for row in rows], max_new_tokens, ends, drawing.of(rows) if drawing else None
        )
        if told is None:
            batches.shrink(len(rows))
            continue
        for row, tokens in zip(rows, told, strict=True):
            answers[row] = tokens
        waiting = waiting[len(rows) :]
        advance(len(rows))
    return answers


def composition(prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Which prompts share a batch, by their places: the longest first, so that it depends on the prompts alone.

    A batch on its own is composed of itself.
    """
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
    return [order[start : start + ROWS] for start in range(0, len(order), ROWS)]


def _fitting(
    model: Any, prompts: Sequence[Sequence[int]], max_new_tokens: int, ends: Sequence[int], drawing: Drawing | None
) -> list[list[int]] | None:
    """A batch's continuations; None if they do not fit into memory (what they held is free again by then)."""
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
    """One batch. The beginning that all prompts share is read once, and rows leave the batch soon after their end."""
    told: list[list[int]] = [[] for _ in prompts]
    live = list(range(len(prompts)))  # the prompts whose rows are still in the batch
    cache, draws = _cache(model), Draws(drawing, model.device) if drawing else None
    ids, mask = padded(prompts, _read_once(model, prompts, cache), ends, model.device)
    for most in _strides(max_new_tokens, max_new_tokens if cache is None else STRIDE):
        seen, ids = ids, extended(model, ids, mask, cache, most, ends, draws)
        new = ids[:, seen.shape[1] :]
        mask = torch.cat([mask, torch.ones_like(new)], 1)
        for place, tokens in zip(live, new.tolist(), strict=True):
            told[place] += cut(tokens, ends)
        stay = [row for row, place in enumerate(live) if told[place][-1] not in ends]
        if not stay:
            break
        if cache is not None and len(stay) < len(live):
            kept = torch.tensor(stay, device=model.device)
            ids, mask, live = ids[kept], mask[kept], [live[row] for row in stay]
            cache.batch_select_indices(kept)
            if draws:
                draws.keep(stay)
    return told


def _strides(total: int, stride: int) -> Iterator[int]:
    for start in range(0, total, stride):
        yield min(stride, total - start)


def _cache(model: Any) -> Any:
    """An empty cache that rows can be taken out of; None for a model that keeps more than keys and values."""
    from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

    cache = DynamicCache(config=model.config)
    known = all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers)
    return cache if known and not model._is_stateful else None


def _read_once(model: Any, prompts: Sequence[Sequence[int]], cache: Any) -> int:
    """Read the tokens that all prompts begin with into the cache, a row for each; how many tokens they are.

    0 if they are few, or if a layer looks through a sliding window: that would count the padding that follows them.
    """
    from transformers.cache_utils import DynamicLayer

    shared = common(prompts, min(map(len, prompts)) - 1)  # something is left to read in every row
    if cache is None or any(type(layer) is not DynamicLayer for layer in cache.layers):
        return 0
    if shared < SHARED or len(prompts) < 2:
        return 0
    model.base_model(input_ids=torch.tensor([prompts[0][:shared]], device=model.device), past_key_values=cache)
    cache.batch_repeat_interleave(len(prompts))
    return shared


def common(rows: Sequence[Sequence[int]], most: int) -> int:
    """How many first tokens all rows share, up to `most`: the first and the last row in their order differ first."""
    first, last = min(map(tuple, rows)), max(map(tuple, rows))
    return next((i for i in range(most) if first[i] != last[i]), most)


def padded(
    prompts: Sequence[Sequence[int]], shared: int, ends: Sequence[int], device: torch.device
) -> tuple[Tensor, Tensor]:  # (rows, longest prompt) twice
    """Ids and mask of a batch, padded on the left, but right of the first `shared` tokens."""
    pad = _pad(ends)
    gaps = [max(map(len, prompts)) - len(p) for p in prompts]
    ids = [[*p[:shared], *[pad] * gap, *p[shared:]] for p, gap in zip(prompts, gaps, strict=True)]
    mask = [[1] * shared + [0] * gap + [1] * (len(p) - shared) for p, gap in zip(prompts, gaps, strict=True)]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _pad(ends: Sequence[int]) -> int:
    return ends[0] if ends else 0  # masked out, and cut off after an end: any token will do


def extended(
    model: Any, ids: Tensor, mask: Tensor, cache: Any, most: int, ends: Sequence[int], draws: Draws | None = None
) -> Tensor:
    """The ids with at most so many more, by transformers' own generation, under no settings but ours."""
    drawn = {"logits_processor": draws.processors()} if draws else {}
    keep = model.generation_config  # a model's own sampling settings must not leak into a measurement
    model.generation_config = settings(most, ends)
    try:
        out: Tensor = model.generate(input_ids=ids, attention_mask=mask, past_key_values=cache, **drawn)
        return out
    finally:
        model.generation_config = keep


def settings(max_new_tokens: int, ends: Sequence[int]) -> Any:
    """A generation configuration for greedy answers."""
    from transformers import GenerationConfig

    end = list(ends) or None
    return GenerationConfig(do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=end, pad_token_id=_pad(ends))


def cut(tokens: list[int], ends: Sequence[int]) -> list[int]:
    """Tokens up to and with the first end token."""
    for place, token in enumerate(tokens):
        if token in ends:
            return tokens[: place + 1]
    return tokens


# From tokens to text --------------------------------------------------------------------------------------------


def as_answer(tokenizer: Any, id_: str, tokens: Sequence[int], ends: Sequence[int], head: str = "") -> Answer:
    """A continuation as text, its end token dropped and its thinking split off.

    `head` is what the prompt already said in the model's name (see `begun`): a thought that it opened, first words.
    """
    stopped = bool(tokens) and tokens[-1] in ends
    content = tokens[:-1] if stopped else tokens
    thinking, text = split_thinking(head + _text(tokenizer, content))
    return Answer(id_, text, "stop" if stopped else "length", len(content), thinking)


def _text(tokenizer: Any, tokens: Sequence[int]) -> str:
    """Tokens as text without the special ones, but with the marks of thinking, which some tokenizers count as such."""
    added = tokenizer.get_added_vocab()
    marks = {added[mark]: mark for mark in (OPEN, CLOSE) if mark in added}
    parts = []
    for mark, group in groupby(tokens, marks.get):
        said = list(group)
        parts.append(mark * len(said) if mark else tokenizer.decode(said, skip_special_tokens=True))
    return "".join(parts)


def begun(tokenizer: Any, prompt: Sequence[int], prefill: str = "") -> str:
    """What an encoded prompt says in the model's name: the thought that its template opened, then the prefill."""
    shown = tokenizer.decode(prompt, skip_special_tokens=False).rstrip()
    head = shown.removesuffix(prefill.rstrip()).rstrip()
    return (OPEN if head.endswith(OPEN) else "") + prefill


def split_thinking(text: str) -> tuple[str, str]:
    """(thinking, answer): what stands before `</think>` is no answer, and an unterminated thought leaves none."""
    head, _, tail = text.rpartition(CLOSE)
    if re.match(rf"\s*{OPEN}", tail):
        return text.replace(OPEN, "").strip(), ""
    return head.replace(OPEN, "").strip(), tail.strip()
