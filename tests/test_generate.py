"""Batched greedy answers are what one prompt at a time would get, and are read the same way everywhere."""

import copy
from typing import Any

import pytest
import torch
from tiny import byte_tokenizer, tiny_model

from recover import generate
from recover.generate import as_answer, continuations, split_thinking

PROMPTS = [[258, *range(60, 60 + n), 259] for n in (2, 9, 4, 4, 1, 12, 7)]
EOS = 257


@pytest.fixture(scope="module", params=["llama", "mistral", "gpt2", "gpt_neox"])
def model(request: pytest.FixtureRequest) -> Any:
    return tiny_model(request.param)


def greedy(model: Any, prompt: list[int], most: int, ends: list[int]) -> list[int]:
    """One token at a time, without cache, padding or transformers' generation."""
    told: list[int] = []
    with torch.no_grad():
        while len(told) < most and not (told and told[-1] in ends):
            told.append(int(model(torch.tensor([prompt + told]), use_cache=False).logits[0, -1].argmax()))
    return told


def test_batched_answers_equal_single_ones(model: Any) -> None:
    expected = [greedy(model, prompt, 12, [EOS]) for prompt in PROMPTS]
    assert continuations(model, PROMPTS, 12, [EOS]) == expected
    assert len({tuple(answer) for answer in expected}) > 3


def test_any_end_token_ends_an_answer(model: Any) -> None:
    free = continuations(model, PROMPTS, 8, [])
    ends = [free[0][2], free[1][4]]
    found = continuations(model, PROMPTS, 8, ends)
    assert found == [greedy(model, prompt, 8, ends) for prompt in PROMPTS]
    assert all(not set(answer[:-1]) & set(ends) for answer in found)
    assert any(answer[-1] in ends for answer in found)
    assert all(len(answer) == 8 for answer in free)


def test_batches_are_cut_by_length_and_told(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, told = continuations(model, PROMPTS, 6, [EOS]), []
    monkeypatch.setattr(generate, "ROWS", 3)
    assert continuations(model, PROMPTS, 6, [EOS], told.append) == whole
    assert told == [3, 3, 1]
    assert continuations(model, PROMPTS[::-1], 6, [EOS]) == whole[::-1]
    assert continuations(model, [], 6, [EOS]) == []


def test_a_models_own_generation_settings_neither_leak_in_nor_change() -> None:
    model = tiny_model()
    plain = continuations(model, PROMPTS, 8, [EOS])
    for name, value in {"do_sample": True, "temperature": 9.0, "top_k": 5, "repetition_penalty": 4.0}.items():
        setattr(model.generation_config, name, value)
    model.generation_config.max_length = 3
    own = copy.deepcopy(model.generation_config)
    assert continuations(model, PROMPTS, 8, [EOS]) == plain
    assert model.generation_config.to_dict() == own.to_dict()


@pytest.mark.parametrize(
    ("text", "end", "reason", "tokens"),
    [("Yes.", [EOS], "stop", 4), ("Yes.", [], "length", 4), ("", [EOS], "stop", 0), ("", [], "length", 0)],
)
def test_an_answer_says_why_it_ended(text: str, end: list[int], reason: str, tokens: int) -> None:
    tokenizer = byte_tokenizer()
    answer = as_answer(tokenizer, "p", [*text.encode(), *end], [EOS])
    assert (answer.id, answer.text, answer.finish_reason, answer.tokens) == ("p", text, reason, tokens)


def test_an_answers_thinking_is_kept_apart() -> None:
    answer = as_answer(byte_tokenizer(), "p", [*b"<think>Hm.</think> Yes.", EOS], [EOS])
    assert (answer.thinking, answer.text) == ("Hm.", "Yes.")


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("Yes.", "", "Yes."),
        ("<think>Hm.</think>Yes.", "Hm.", "Yes."),
        ("Hm.</think>\n\nYes.", "Hm.", "Yes."),  # the template may have opened the thought
        ("<think>Hm.</think><think>So.</think>Yes.", "Hm.</think>So.", "Yes."),
        (" <think>Hm, and then", "Hm, and then", ""),
        ("<think>Hm.</think>", "Hm.", ""),
        ("I <think> not", "", "I <think> not"),
        ("", "", ""),
    ],
)
def test_thinking_is_no_answer(text: str, thinking: str, answer: str) -> None:
    assert split_thinking(text) == (thinking, answer)
