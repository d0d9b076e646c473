"""Sampled answers: drawn with the model\'s own probabilities, and independent of the other rows of a batch."""

from collections import Counter
from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from tiny import tiny_model

from recover.generation.batched import Batches, continuations
from recover.generation.sampling import Drawing, Draws, Sampling

PROMPTS = [[258, *range(60, 60 + n), 259] for n in (2, 9, 4, 4, 1, 12, 7)]
BEGINNING = [258, *range(90, 115), 259]
ALIKE = [[*BEGINNING, *prompt] for prompt in PROMPTS]
EOS = 257
SHAPES = {"flat": Sampling(1.7), "as it is": Sampling(), "nucleus": Sampling(0.8, top_p=0.7)}


def expected_shares(scores: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """The probabilities, found by sorting and cutting where `top_p` is reached."""
    shares = (scores.double() / sampling.temperature).softmax(-1)
    nucleus, mass = torch.zeros_like(shares), 0.0
    for token in shares.argsort(descending=True).tolist():
        if mass < sampling.top_p:
            nucleus[token], mass = shares[token], mass + float(shares[token])
    return nucleus / nucleus.sum()


@pytest.mark.parametrize("sampling", SHAPES.values(), ids=SHAPES)
def test_tokens_come_with_their_probabilities(sampling: Sampling) -> None:
    scores = torch.tensor([2.0, 0.5, -1.0, 1.0, 0.0, -3.0])
    rows, steps = 50, 100
    draws = Draws(Drawing(sampling, range(rows)), torch.device("cpu"))
    counts: Counter[int] = Counter()
    for _ in range(steps):
        counts.update(draws.processors()(None, scores.repeat(rows, 1)).argmax(-1).tolist())
    shares = expected_shares(scores, sampling)
    observed = torch.tensor([counts[token] for token in range(len(scores))])
    assert set(observed[shares == 0].tolist()) <= {0}
    possible = shares > 0
    assert chisquare(observed[possible], shares[possible] * rows * steps).pvalue > 0.01


def naive(model: Any, prompt: list[int], most: int, sampling: Sampling, seed: int, ends: list[int]) -> list[int]:
    """One token at a time, without cache, padding or transformers' generation."""
    generator, answer = torch.Generator().manual_seed(seed), []
    with torch.no_grad():
        while len(answer) < most and not (answer and answer[-1] in ends):
            scores = model(torch.tensor([prompt + answer]), use_cache=False).logits[0, -1]
            noise = torch.empty_like(scores).exponential_(generator=generator)
            answer.append(int((expected_shares(scores, sampling) / noise).argmax()))
    return answer


@pytest.mark.parametrize("family", ["llama", "mistral", "gpt2", "gpt_neox"])
@pytest.mark.parametrize("sampling", SHAPES.values(), ids=SHAPES)
def test_who_shares_a_batch_changes_no_draw(family: str, sampling: Sampling) -> None:
    model = tiny_model(family)
    for prompts in (PROMPTS, ALIKE):
        drawing = sampling.drawing(map(str, range(len(prompts))))
        free = [naive(model, p, 20, sampling, s, []) for p, s in zip(prompts, drawing.seeds, strict=True)]
        ends = [free[0][4], free[1][11]]  # rows leave the batch at different times
        expected = [naive(model, p, 20, sampling, s, ends) for p, s in zip(prompts, drawing.seeds, strict=True)]
        assert len({len(answer) for answer in expected}) > 1
        for rows in (1, 3, 64):
            assert continuations(model, prompts, 20, ends, batches=Batches(rows), drawing=drawing) == expected


def test_samples_differ_and_a_seed_gives_the_same_ones_again() -> None:
    model, prompts = tiny_model(), [BEGINNING] * 8

    def answers(seed: int) -> list[list[int]]:
        drawing = Sampling(seed=seed).drawing(f"p#{number}" for number in range(8))
        return continuations(model, prompts, 12, [EOS], drawing=drawing)

    assert len({tuple(answer) for answer in answers(0)}) == 8
    assert answers(0) == answers(0)
    assert not {tuple(answer) for answer in answers(0)} & {tuple(answer) for answer in answers(1)}


def test_the_seed_of_an_answer_is_fixed() -> None:
    assert Sampling(seed=0).seed_of("p#1") == 700_205_315
    assert len({Sampling(seed=s).seed_of(f"\ud800{n}") for s in range(5) for n in range(200)}) == 1000
    assert max(Sampling().seed_of(str(n)) for n in range(500)) < 2**31


def test_almost_no_mass_leaves_the_greedy_answer() -> None:
    model = tiny_model()
    drawing = Sampling(top_p=1e-9).drawing(map(str, range(len(PROMPTS))))
    assert continuations(model, PROMPTS, 12, [EOS], drawing=drawing) == continuations(model, PROMPTS, 12, [EOS])


def test_continuous_batches_draw_nothing() -> None:
    with pytest.raises(ValueError, match="draw no samples"):
        continuations(tiny_model(), PROMPTS, 2, [EOS], None, Batches(continuous=True), Sampling().drawing("abcdefg"))
