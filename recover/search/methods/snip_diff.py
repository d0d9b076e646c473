"""What matters to safety and not to the task, by one gradient each: the set difference of Wei et al., "Assessing the
Brittleness of Safety Alignment via Pruning and Low-Rank Modifications", ICML 2024, arXiv 2402.05162 (section 3.3), with
the SNIP score |weight * gradient| of arXiv 1810.02340.

They remove such weights to show that alignment sits there; here they are taken from the aligned model. Chosen here: the
score is that of the mean loss and not the mean of each prompt's, and the ranking is over all candidates together.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import ceil
from typing import Any

import torch
from torch import Tensor

from recover.model.editable import EditableModel
from recover.search.methods.answers import answered_by, by_refusal
from recover.search.methods.protocol import Data, Limits, OnStep, PromptAndAnswer, Step
from recover.search.objective import batches, log_probabilities, passage
from recover.search.ranking import top_k


def snip_diff(
    live: EditableModel,
    data: Data,
    limits: Limits,
    on_step: OnStep,
    *,
    q: float = 0.03,
    p: float = 0.03,
    harmful_tokens: int = 24,
    task_tokens: int = 24,
) -> str:
    """Restore the top `q` of |weight * gradient| on refusals that are not in the top `p` on the task.

    Shares are of all candidates; the first is cut to the budget. The losses are the negative log-likelihoods of the
    aligned model's own refusals, and of the task's references; without a task, of the tuned model's own answers to
    ordinary prompts.
    """
    with live.as_aligned() as model:
        refused, answered = by_refusal(model, data, data.harmful, harmful_tokens)
    safe = [(prompt, answer[:harmful_tokens]) for prompt, answer in refused or answered]
    useful = [(x, y[:task_tokens]) for x, y in zip(data.task, data.references, strict=True)]
    useful = useful or answered_by(live.model, data, data.general, task_tokens)
    candidates = sum(live.parameters[n].numel() for n in live.matrices)
    kept = top_k(scores(live, useful), ceil(p * candidates))
    live.flip(top_k(scores(live, safe), min(ceil(q * candidates), limits.weights)) - kept)
    on_step(Step(len(live.selection)))
    return "one set difference"


def scores(live: EditableModel, rows: Sequence[PromptAndAnswer]) -> Iterator[tuple[str, Tensor]]:
    """(name, |weight * gradient|) of the answers' mean negative log-likelihood, for every candidate matrix."""
    for name, gradient in live.gradients(_losses(rows)):
        yield name, gradient.mul_(live.current(name).to(gradient)).abs_()


def _losses(rows: Sequence[PromptAndAnswer]) -> Iterator[Callable[[Any], Tensor]]:
    total = sum(len(answer) for _, answer in rows)
    for batch in batches([passage(*row) for row in rows]):
        yield partial(surprise, [rows[i] for i in batch], total)


def surprise(rows: Sequence[PromptAndAnswer], total: int, model: Any) -> Tensor:
    """The negative log-likelihood of the rows' answers, summed over their tokens and divided by `total`."""
    table = log_probabilities(model, [passage(*row) for row in rows], model.get_output_embeddings().weight.shape[0])
    answer_tokens = torch.tensor([token for _, answer in rows for token in answer], device=table.device)
    return -table.gather(1, answer_tokens[:, None]).sum() / total
