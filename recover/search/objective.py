"""What a restored model should do, as losses on fixed token sequences.

The losses know sequences, positions and teachers; they do not know where a teacher came from, nor what is done with
their gradient.
"""

import inspect
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from recover.checkpoints.architecture import decoder_blocks
from recover.generation.batched import common_prefix_length
from recover.model import distributed
from recover.model.cpu_attention import with_fp32_cpu_attention
from recover.model.shared_prefix import Continued, Prefix

BATCH_TOKENS = 4096  # tokens in a micro-batch: a constant, so that results do not depend on the machine's memory
BATCH_LOGITS = 1 << 23  # logits at a micro-batch's answer positions, of which a pass holds several copies in fp32
TEACHER_TOKENS = 4096  # likeliest tokens that a teacher keeps apart: a few MB where a vocabulary would need GBs
LEAST_SAVED_TOKENS = 256  # tokens that sharing a prefix must save a micro-batch: below, its extra call costs more


@dataclass(frozen=True)
class Passage:
    """A prompt with an answer's first tokens. Position `start + i` predicts answer token i, for `length` tokens."""

    tokens: tuple[int, ...]
    start: int
    length: int
    fading: bool = False  # whether token i counts 1 / (i + 1), and not each the same

    @property
    def weights(self) -> list[float]:
        """What its tokens count, in their order."""
        return [1 / (i + 1) if self.fading else 1.0 for i in range(self.length)]


@dataclass(frozen=True)
class Target:
    """A passage and the distribution that a teacher gave at its answer positions: log-probabilities of its `tokens`,
    and in a last column that of all others together. Where `tokens` is None they are those of the whole vocabulary."""

    passage: Passage
    vocabulary: int
    teacher: Tensor  # (length, vocabulary) or (length, TEACHER_TOKENS + 1)
    tokens: Tensor | None = None  # (length, TEACHER_TOKENS)


def passage(prompt: Sequence[int], answer: Sequence[int], fading: bool = False) -> Passage:
    """The passage whose positions predict `answer` (at least one token) after `prompt`."""
    return Passage((*prompt, *answer[:-1]), len(prompt) - 1, len(answer), fading)


def batches(passages: Sequence[Passage], vocabulary: int = 1) -> Iterator[list[int]]:
    """Indices in micro-batches of at most BATCH_TOKENS padded tokens and BATCH_LOGITS logits of answers, by length.

    They do not depend on the order of the passages.
    """
    order = sorted(range(len(passages)), key=lambda i: (len(passages[i].tokens), passages[i].tokens))
    batch: list[int] = []
    positions = 0
    for i in order:
        positions += passages[i].length
        tokens = (len(batch) + 1) * len(passages[i].tokens)
        if batch and (tokens > BATCH_TOKENS or positions * vocabulary > BATCH_LOGITS):
            yield batch
            batch, positions = [], passages[i].length
        batch.append(i)
    if batch:
        yield batch


def padded(passages: Sequence[Passage], device: torch.device) -> Tensor:
    """Token ids padded on the right with each row's last token: (rows, longest). A causal model needs no mask then,
    since no position that is read can see the padding."""
    width = max(len(s.tokens) for s in passages)
    return torch.tensor([[*s.tokens, *[s.tokens[-1]] * (width - len(s.tokens))] for s in passages], device=device)


@with_fp32_cpu_attention
def log_probabilities(model: Any, passages: Sequence[Passage], vocabulary: int) -> Tensor:
    """fp32 log-probabilities over the first `vocabulary` tokens at all answer positions, in order: (positions,
    vocabulary).

    Where the model lets us choose, logits of positions that no loss reads are not computed. A common prefix is run once
    where that saves something.
    """
    forward_options = inspect.signature(model.forward).parameters
    ids = padded(passages, model.device)
    first_read = min(passage.start for passage in passages)
    shared = common_prefix_length([passage.tokens for passage in passages], first_read)
    options: dict[str, Any] = {"use_cache": False}
    if (len(passages) - 1) * shared < LEAST_SAVED_TOKENS or not _continues(model, forward_options):
        shared = 0
    if shared:
        prefix = Prefix()
        last_only = {"logits_to_keep": 1} if "logits_to_keep" in forward_options else {}
        model(input_ids=ids[:1, :shared], past_key_values=prefix, **last_only)
        options = {"past_key_values": Continued(prefix)}
    spans = [range(p.start - shared, p.start - shared + p.length) for p in passages]
    rows = torch.tensor([row for row, span in enumerate(spans) for _ in span], device=model.device)
    columns = [p for span in spans for p in span]
    if "logits_to_keep" in forward_options:
        index = {p: i for i, p in enumerate(sorted({*columns}))}
        columns = [index[p] for p in columns]
        options["logits_to_keep"] = torch.tensor([*index], device=model.device)
    logits = model(input_ids=ids[:, shared:], **options).logits
    return functional.log_softmax(logits[rows, columns, :vocabulary].float(), dim=-1)


def _continues(model: Any, forward_options: Collection[str]) -> bool:
    """Whether a model's past is keys and values, and not a state that cannot be shared."""
    return "past_key_values" in forward_options and not getattr(model, "_is_stateful", False)


@torch.inference_mode()
def teach(model: Any, passages: Sequence[Passage], vocabulary: int) -> list[Target]:
    """Record what `model` predicts at the answer positions of every passage."""
    targets: dict[int, Target] = {}
    for batch in batches(passages, vocabulary):
        rows = [passages[i] for i in batch]
        table: Any = log_probabilities(model, rows, vocabulary)
        for i, part in zip(batch, table.split([p.length for p in rows]), strict=True):
            targets[i] = _compact(passages[i], part)
    return [targets[i] for i in range(len(passages))]


def _compact(passage: Passage, table: Tensor) -> Target:
    """The TEACHER_TOKENS likeliest tokens of each position, and the rest as one."""
    vocabulary = table.shape[-1]
    if vocabulary <= TEACHER_TOKENS + 1:
        return Target(passage, vocabulary, table.clone())
    tokens = table.topk(TEACHER_TOKENS, sorted=False).indices
    return Target(passage, vocabulary, _gathered(table, tokens), tokens)


def _gathered(table: Tensor, tokens: Tensor) -> Tensor:
    """Log-probabilities of some tokens, and of all others together: (positions, tokens + 1)."""
    rest = table.scatter(-1, tokens, -torch.inf).logsumexp(-1, keepdim=True)
    return torch.cat([table.gather(-1, tokens), rest], -1)


def divergence(model: Any, targets: Sequence[Target]) -> Tensor:
    """Sum over positions of KL(teacher || model), in nats, each times its weight.

    Where a teacher keeps TEACHER_TOKENS tokens and a rest, it is the KL of these coarser distributions. That is never
    more than the KL of the whole ones, and less by what differs inside the rest.
    """
    teacher = torch.cat([t.teacher for t in targets])
    student = log_probabilities(model, [t.passage for t in targets], targets[0].vocabulary)
    tokens = [t.tokens for t in targets if t.tokens is not None]
    if tokens:
        student = _gathered(student, torch.cat(tokens))
    weights = torch.tensor([w for t in targets for w in t.passage.weights], device=student.device)
    return functional.kl_div(student, teacher, reduction="none", log_target=True).sum(-1) @ weights


@dataclass(frozen=True)
class KL:
    """J = sum over terms of weight * mean KL(teacher || model) over positions, as these count (KL_H, KL_T, KL_G)."""

    terms: Mapping[str, Sequence[Target]]

    def losses(self, weights: Mapping[str, float]) -> Iterator[Callable[[Any], Tensor]]:
        """One weighted scalar loss a micro-batch; their sum is J."""
        for name, batch, share in self._parts():
            if weights[name]:
                yield partial(_weighted, weights[name] * share, batch)

    @torch.inference_mode()
    def value(self, model: Any) -> dict[str, float]:
        """Each term's mean KL, unweighted: forward passes only."""
        totals, parts = dict.fromkeys(self.terms, 0.0), [*self._parts()]
        divergences = distributed.mapped(lambda part: float(divergence(model, part[1])), parts)
        for (name, _, share), value in zip(parts, divergences, strict=True):
            totals[name] += share * value
        return totals

    def _parts(self) -> Iterator[tuple[str, list[Target], float]]:
        for name, targets in self.terms.items():
            weight = sum(sum(t.passage.weights) for t in targets)
            for batch in batches([t.passage for t in targets], targets[0].vocabulary):
                yield name, [targets[i] for i in batch], 1 / weight


def rotation(objective: KL, sizes: Mapping[str, int], seed: int) -> Iterator[KL]:
    """The objective on other prompts each time: as many of each term as `sizes` says, drawn in a seeded order.

    No prompt is drawn twice before all of its term were drawn once. A size of 0 means all.
    """
    draws, waiting = random.Random(seed), {name: list[int]() for name in objective.terms}
    while True:
        drawn: dict[str, Sequence[Target]] = {}
        for name, targets in objective.terms.items():
            size, queue = sizes[name] or len(targets), waiting[name]
            if size >= len(targets):
                drawn[name] = targets
                continue
            if len(queue) < size:
                queue += [i for i in draws.sample(range(len(targets)), len(targets)) if i not in queue]
            drawn[name] = [targets[i] for i in queue[:size]]
            del queue[:size]
        yield objective if drawn == objective.terms else KL(drawn)


def _weighted(weight: float, targets: Sequence[Target], model: Any) -> Tensor:
    return weight * divergence(model, targets)


@with_fp32_cpu_attention
def last_hidden(model: Any, prompts: Sequence[Sequence[int]], depth: int) -> Tensor:
    """The un-normed output of block `depth` (1-based) at each prompt's last token: fp32 (prompts, width)."""
    rows = [Passage(tuple(p), len(p) - 1, 1) for p in prompts]
    kept: list[Any] = []  # not the model's own hidden states: the last of those is normed
    hook = decoder_blocks(model)[1][depth - 1].register_forward_hook(lambda *call: kept.append(call[-1]))
    try:
        model(input_ids=padded(rows, model.device), use_cache=False)
    finally:
        hook.remove()
    states: Tensor = kept[0][0] if isinstance(kept[0], tuple) else kept[0]
    ends = torch.tensor([r.start for r in rows], device=model.device)
    return states[torch.arange(len(rows), device=model.device), ends].float()
