"""What methods ask models before they begin: which prompts one refuses, and what it says."""

from collections.abc import Sequence
from typing import Any

from recover.search.methods.protocol import Data, PromptAndAnswer, TokenIds
from recover.search.objective import Passage, passage

REFUSAL_TOKENS = 16  # enough of an answer to see whether it is a refusal


def by_refusal(
    model: Any, data: Data, prompts: Sequence[TokenIds], tokens: int = REFUSAL_TOKENS
) -> tuple[list[PromptAndAnswer], list[PromptAndAnswer]]:
    """The prompts that a model refuses, and those that it answers, each with at least `tokens` tokens of the answer."""
    refused: list[PromptAndAnswer] = []
    answered: list[PromptAndAnswer] = []
    for prompt, answer in zip(prompts, data.answer(model, prompts, max(tokens, REFUSAL_TOKENS)), strict=True):
        (refused if data.refuses(answer[:REFUSAL_TOKENS]) else answered).append((prompt, answer))
    return refused, answered


def answered_by(model: Any, data: Data, prompts: Sequence[TokenIds], tokens: int) -> list[PromptAndAnswer]:
    """The prompts with the first `tokens` tokens of a model's own answers."""
    return list(zip(prompts, data.answer(model, prompts, tokens), strict=True))


def heads(rows: Sequence[PromptAndAnswer], tokens: int) -> list[Passage]:
    """The prompts with the first `tokens` tokens of their answers, of which the first count most."""
    return [passage(prompt, answer[:tokens], fading=True) for prompt, answer in rows]
