"""The losses: what they are zero for, what they do not depend on, and that they agree with a plain computation."""

import inspect
import random
from typing import Any

import oracle
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_model, tune
from torch import Tensor

from recover.search import objective
from recover.search.objective import (
    KL,
    Passage,
    batches,
    divergence,
    last_hidden,
    log_probabilities,
    padded,
    passage,
    teach,
)

PROMPTS = [[258, *range(40, 40 + n), 259] for n in (3, 12, 5, 1, 12, 7)]
ANSWERS = [[70], [71, 72, 73], [74, 75], [76, 77, 78, 79, 80], [81, 82], [83, 257]]
PASSAGES = [passage(p, a) for p, a in zip(PROMPTS, ANSWERS, strict=True)]

Passages = st.lists(st.integers(1, 60), min_size=1, max_size=12)


@pytest.fixture(scope="module", params=["llama", "gpt2", "gemma2"])
def models(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """A teacher and a student of one family."""
    return tiny_model(request.param), tune(tiny_model(request.param))


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objective, "BATCH_TOKENS", 20)


def test_a_passage_predicts_the_answer_after_the_prompt() -> None:
    assert passage([1, 2, 3], [7, 8, 9]) == Passage((1, 2, 3, 7, 8), 2, 3)
    assert passage([1], [7]) == Passage((1,), 0, 1)


@given(Passages)
def test_batches_hold_every_passage_once_and_few_tokens(lengths: list[int]) -> None:
    passages = [Passage(tuple(range(n)), 0, 1) for n in lengths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objective, "BATCH_TOKENS", 64)
        found = list(batches(passages))
    assert sorted(i for batch in found for i in batch) == list(range(len(lengths)))
    assert all(len(batch) * max(lengths[i] for i in batch) <= 64 for batch in found)


def test_batches_do_not_depend_on_the_order_of_passages() -> None:
    shuffled = random.Random(3).sample(PASSAGES, len(PASSAGES))
    assert [PASSAGES[i] for b in batches(PASSAGES) for i in b] == [shuffled[i] for b in batches(shuffled) for i in b]


def test_a_long_passage_is_a_batch_of_its_own(small_batches: None) -> None:
    passages = [Passage(tuple(range(n)), 0, 1) for n in (50, 2, 2)]
    assert list(batches(passages)) == [[1, 2], [0]]


def test_padding_repeats_the_last_token_on_the_right() -> None:
    rows = [Passage((1, 2, 3), 0, 1), Passage((4,), 0, 1)]
    assert padded(rows, torch.device("cpu")).tolist() == [[1, 2, 3], [4, 4, 4]]


def test_log_probabilities_are_the_models_own(models: Any) -> None:
    found = log_probabilities(models[1], PASSAGES, 264).split([p.length for p in PASSAGES])
    for prompt, answer, table in zip(PROMPTS, ANSWERS, found, strict=True):
        logits = models[1](torch.tensor([[*prompt, *answer]])).logits[0, len(prompt) - 1 : -1]
        assert torch.allclose(table, logits.log_softmax(-1), atol=2e-5)


def test_padding_changes_nothing(models: Any) -> None:
    together = log_probabilities(models[1], PASSAGES, 264)
    alone = torch.cat([log_probabilities(models[1], [p], 264) for p in PASSAGES])
    assert torch.allclose(together, alone, atol=2e-5)


class Plain:
    """A model whose forward takes no `logits_to_keep`."""

    def __init__(self, model: Any) -> None:
        self.model, self.device = model, model.device

    def forward(self, input_ids: Tensor, use_cache: bool) -> Any:
        return self.model(input_ids=input_ids, use_cache=use_cache)

    __call__ = forward


def test_computing_only_the_logits_that_are_read_changes_nothing(models: Any) -> None:
    assert "logits_to_keep" in inspect.signature(models[0].forward).parameters
    for passages in (PASSAGES, PASSAGES[1:2]):
        few, all_of_them = (log_probabilities(m, passages, 264) for m in (models[0], Plain(models[0])))
        assert torch.allclose(few, all_of_them, atol=2e-5)


def test_a_smaller_vocabulary_is_renormalised(models: Any) -> None:
    table = log_probabilities(models[0], PASSAGES, 200)
    full = log_probabilities(models[0], PASSAGES, 264)[:, :200]
    assert table.shape == (sum(p.length for p in PASSAGES), 200)
    assert torch.allclose(table, full - full.logsumexp(-1, keepdim=True), atol=2e-5)


def test_the_divergence_is_zero_for_the_teacher_alone(models: Any) -> None:
    teacher, student = models
    targets = teach(teacher, PASSAGES, 264)
    with torch.no_grad():
        assert float(divergence(teacher, targets)) == pytest.approx(0.0, abs=1e-4)
        assert all(float(divergence(student, [target])) > 0.1 for target in targets)


def test_the_divergence_is_the_plain_one(models: Any) -> None:
    teacher, student = models
    with torch.no_grad():
        found = float(divergence(student, teach(teacher, PASSAGES, 264)))
    expected = sum(
        float(oracle.divergence(student, p, a, teacher).detach()) for p, a in zip(PROMPTS, ANSWERS, strict=True)
    )
    assert found == pytest.approx(expected, rel=1e-4)


def test_first_tokens_may_count_most(models: Any) -> None:
    teacher, student = models
    fading = [passage(p, a, fading=True) for p, a in zip(PROMPTS, ANSWERS, strict=True)]
    assert fading[0].weights == [1 / (i + 1) for i in range(len(ANSWERS[0]))]
    with torch.no_grad():
        found = KL({"harmful": teach(teacher, fading, 264)}).value(student)["harmful"]
    counts = [[1 / (i + 1) for i in range(len(a))] for a in ANSWERS]
    rows = zip(PROMPTS, ANSWERS, counts, strict=True)
    total = sum(float(oracle.divergence(student, p, a, teacher, c).detach()) for p, a, c in rows)
    assert found == pytest.approx(total / sum(map(sum, counts)), rel=1e-4)


def test_teaching_keeps_the_order_of_passages(models: Any, small_batches: None) -> None:
    targets = teach(models[0], PASSAGES, 264)
    assert [t.passage for t in targets] == PASSAGES
    for target in targets:
        assert torch.allclose(target.teacher, log_probabilities(models[0], [target.passage], 264), atol=2e-5)
        assert not target.teacher.requires_grad


def test_the_objective_is_the_weighted_sum_of_means_per_position(models: Any, small_batches: None) -> None:
    teacher, student = models
    targets = teach(teacher, PASSAGES, 264)
    kl = KL({"harmful": targets[:3], "task": targets[3:], "general": targets[1:2]})
    values = kl.value(student)
    with torch.no_grad():
        assert values["harmful"] == pytest.approx(float(divergence(student, targets[:3])) / 6, rel=1e-4)
        assert values["task"] == pytest.approx(float(divergence(student, targets[3:])) / 9, rel=1e-4)
        weights = {"harmful": 1.0, "task": 2.0, "general": 0.0}
        losses = list(kl.losses(weights))
        total = sum(float(loss(student)) for loss in losses)
    assert len(losses) > 2
    assert total == pytest.approx(values["harmful"] + 2 * values["task"], rel=1e-4)


def test_the_last_hidden_state_is_the_blocks_own_output(models: Any) -> None:
    model = models[0]
    body = model.base_model
    norm = body.ln_f if hasattr(body, "ln_f") else body.norm
    with torch.no_grad():
        own = [model(torch.tensor([p]), output_hidden_states=True).hidden_states for p in PROMPTS]
        hooks = [len(module._forward_hooks) for module in body.modules()]
        first, second = (last_hidden(model, PROMPTS, depth) for depth in (1, 2))
        assert torch.allclose(first, torch.stack([states[1][0, -1] for states in own]), atol=1e-4)
        assert torch.allclose(norm(second), torch.stack([states[2][0, -1] for states in own]), atol=1e-4)
    assert [len(module._forward_hooks) for module in body.modules()] == hooks


def test_a_teacher_keeps_its_likeliest_tokens_and_the_rest_as_one(models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher, student = models
    whole = teach(teacher, PASSAGES, 264)
    full, found = float(divergence(student, whole).detach()), []
    for kept in (4, 32, 128, 262):
        monkeypatch.setattr(objective, "TEACHER_TOKENS", kept)
        targets = teach(teacher, PASSAGES, 264)
        assert all(t.teacher.shape == (t.passage.length, kept + 1) for t in targets)
        assert all(torch.allclose(t.teacher.exp().sum(-1), torch.ones(t.passage.length), atol=1e-5) for t in targets)
        found.append(float(divergence(student, targets).detach()))
    assert found == sorted(found)  # a coarser distribution never diverges more
    assert 0 < found[0] < found[-1] <= full * (1 + 1e-6)
    assert found[-1] == pytest.approx(full, rel=1e-2)


def test_a_kept_teachers_gradient_nears_the_whole_ones(models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher, student = models
    weight = student.get_output_embeddings().weight

    def gradient() -> Tensor:
        weight.requires_grad_(True)
        (found,) = torch.autograd.grad(divergence(student, teach(teacher, PASSAGES, 264)), weight)
        weight.requires_grad_(False)
        return found

    whole = gradient()
    monkeypatch.setattr(objective, "TEACHER_TOKENS", 200)
    assert torch.allclose(gradient(), whole, atol=0.05 * float(whole.abs().max()))
