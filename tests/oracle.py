"""What the optimised routines must agree with, written as plainly as the definitions read. Slow, and meant to be."""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, kl_div, log_softmax

Coordinate = tuple[str, int]


def top_k(scores: Mapping[str, Tensor], k: int) -> set[Coordinate]:
    """The k largest positive scores of a full sort by (score descending, name, position)."""
    rows = [(-s, n, i) for n, t in scores.items() for i, s in enumerate(t.reshape(-1).float().tolist()) if s > 0]
    return {(name, position) for _, name, position in sorted(rows)[:k]}


def gradients(model: Any, losses: Sequence[Callable[[Any], Tensor]]) -> dict[str, Tensor]:
    """The gradient of the losses' sum by one backward pass, by the parameter's own name."""
    model.requires_grad_(True)
    names, parameters = zip(*model.named_parameters(), strict=True)
    total = torch.stack([loss(model) for loss in losses]).sum()
    found = torch.autograd.grad(total, parameters, allow_unused=True)
    model.requires_grad_(False)
    return {n: torch.zeros_like(p) if g is None else g for n, p, g in zip(names, parameters, found, strict=True)}


def divergence(model: Any, prompt: Sequence[int], answer: Sequence[int], teacher: Any) -> Tensor:
    """KL(teacher || model) summed over the answer's positions, of two models, one sequence and all logits."""
    ids = torch.tensor([[*prompt, *answer]])
    places = slice(len(prompt) - 1, len(prompt) + len(answer) - 1)
    with torch.no_grad():
        theirs = log_softmax(teacher(input_ids=ids).logits[0, places].double(), -1)
    ours = log_softmax(model(input_ids=ids).logits[0, places].double(), -1)
    return kl_div(ours, theirs, reduction="sum", log_target=True)


def hidden(model: Any, depth: int, prompt: Sequence[int]) -> Tensor:
    """A model's own hidden state after block `depth`, not its last, at a prompt's last token: (width,)."""
    states: Sequence[Tensor] = model(torch.tensor([list(prompt)]), output_hidden_states=True).hidden_states
    return states[depth][0, -1]


def sp2025_first_step(
    aligned: Any, tuned: Any, prompts: Sequence[Sequence[int]], depth: int, rate: float, batch: int
) -> set[Coordinate]:
    """The coordinates of a Llama that the published method restores first, by the names in its state dict.

    h_a is the aligned model's mean state; the loss of a batch is -cos(mean state of the batch, h_a); the weights of
    the first `depth` blocks outside norms with sign(f - a) == sign(g) are ranked by |g|.
    """
    with torch.no_grad():
        states = [hidden(aligned, depth, p) for p in prompts]
    direction = torch.stack(states).mean(0)

    def loss(part: Sequence[Sequence[int]], model: Any) -> Tensor:
        mean = torch.stack([hidden(model, depth, p) for p in part]).mean(0)
        return -cosine_similarity(mean, direction, dim=0)

    parts = [prompts[i : i + batch] for i in range(0, len(prompts), batch)]
    found = gradients(tuned, [lambda m, part=part: loss(part, m) for part in parts])
    a, f = dict(aligned.named_parameters()), dict(tuned.named_parameters())
    inside = [n for n in f if any(n.startswith(f"model.layers.{i}.") for i in range(depth)) and "norm" not in n]
    scores = {n: found[n].abs() * ((f[n] - a[n]).sign() == found[n].sign()) * (f[n] != a[n]) for n in inside}
    return top_k(scores, ceil(rate * sum(p.numel() for p in f.values())))
