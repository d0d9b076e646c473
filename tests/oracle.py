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


def divergence(
    model: Any, prompt: Sequence[int], answer: Sequence[int], teacher: Any, counts: Sequence[float] = ()
) -> Tensor:
    """KL(teacher || model) summed over the answer's positions, of two models, one sequence and all logits; a position
    may count more or less than once."""
    ids = torch.tensor([[*prompt, *answer]])
    places = slice(len(prompt) - 1, len(prompt) + len(answer) - 1)
    with torch.no_grad():
        theirs = log_softmax(teacher(input_ids=ids).logits[0, places].double(), -1)
    ours = log_softmax(model(input_ids=ids).logits[0, places].double(), -1)
    each = kl_div(ours, theirs, reduction="none", log_target=True).sum(-1)
    return (each * torch.tensor(counts or [1.0] * len(answer))).sum()


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


def resta(a: Tensor, f: Tensor, u: Tensor, gamma: float, keep: Tensor, drop: float) -> Tensor:
    """a + DARE(f - a) + gamma (a - u), entry by entry."""
    rows = zip(*(t.flatten().tolist() for t in (a, f, u, keep)), strict=True)
    found = [x + (y - x) * k / (1 - drop) + gamma * (x - z) for x, y, z, k in rows]
    return torch.tensor(found, dtype=a.dtype).view(a.shape)


def safe_lora(a: Tensor, f: Tensor, u: Tensor, tau: float, merge: float) -> Tensor:
    """f, or a + merge D + (1 - merge) C D where cos(C D, D) <= tau, with C = V V^T / ||V|| built."""
    v, d = a - u, f - a
    c = v @ v.T / v.square().sum().sqrt()
    projected = c @ d
    cosine = (projected * d).sum() / (projected.square().sum() * d.square().sum()).sqrt()
    return a + merge * d + (1 - merge) * projected if cosine <= tau else f


def safe_delta(a: Tensor, f: Tensor, x: Tensor, scale: float, damping: float) -> Tensor:
    """Safe Delta of one matrix with all inputs x (tokens, inputs): each inverse and each column by itself."""
    rows, width = a.shape
    h = x.T @ x
    for i in range(width):
        h[i, i] = h[i, i] or 1.0
    h = h + damping * h.diagonal().mean() * torch.eye(width, dtype=h.dtype)
    u = torch.linalg.inv(torch.linalg.cholesky(h.flip(0, 1))).flip(0, 1)  # upper, u^T u = h^-1
    d = [u[j, j].item() for j in range(width)]
    order = sorted(((1 / d[j] ** 2, i, j) for i in range(rows) for j in range(width)), key=lambda e: e[0])
    limit = scale * sum(first for first, _, _ in order) / 4096**2
    chosen, spent = set(), 0.0
    for _, i, j in order[: len(order) - int(0.15 * len(order))]:
        spent += (f[i, j] - a[i, j]).item() ** 2 / d[j] ** 2
        if spent > limit:
            break
        chosen.add((i, j))
    w = a.clone()
    for j in range(width):
        for i in range(rows):
            if (i, j) in chosen:
                error = (w[i, j] - f[i, j]) / d[j]
                w[i, j] = f[i, j]
                w[i, j + 1 :] -= error * u[j, j + 1 :]
    return w


def layer_inputs(model: Any, layer: Any, rows: Sequence[Sequence[int]]) -> Tensor:
    """What enters a layer of a model on token rows, one at a time: (tokens, inputs)."""
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0][0]))
    with torch.no_grad():
        for row in rows:
            model(torch.tensor([list(row)]))
    hook.remove()
    return torch.cat(seen)


def snip_scores(model: Any, rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> dict[str, Tensor]:
    """|w g| of the mean negative log-likelihood of the answers, one sequence and all logits at a time."""

    def loss(prompt: Sequence[int], answer: Sequence[int], model: Any) -> Tensor:
        told = log_softmax(model(torch.tensor([[*prompt, *answer]])).logits[0], -1)
        return -torch.stack([told[len(prompt) - 1 + i, token] for i, token in enumerate(answer)]).sum() / total

    total = sum(len(answer) for _, answer in rows)
    found = gradients(model, [lambda m, row=row: loss(*row, m) for row in rows])
    return {n: (p * found[n]).abs().detach() for n, p in model.named_parameters()}


def dg_hard(update: Tensor, threshold: float) -> Tensor:
    """The sum of the rank-one parts whose singular value is over a threshold."""
    left, values, right = torch.linalg.svd(update)
    parts = [v * torch.outer(left[:, i], right[i]) for i, v in enumerate(values) if v > threshold]
    return sum(parts, torch.zeros_like(update))
