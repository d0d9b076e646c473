"""What methods ask models before they begin: which prompts one refuses, and what it says."""

from collections.abc import Sequence
from typing import Any

from recover.search.methods.protocol import Data, TokenIds
from recover.search.objective import Passage, passage

REFUSAL_TOKENS = 24  # enough of an answer to see whether it is a refusal


def by_refusal(model: Any, data: Data, prompts: Sequence[TokenIds]) -> tuple[list[TokenIds], list[TokenIds]]:
    """The prompts that a model refuses, and those that it answers."""
    refused: list[TokenIds] = []
    answered: list[TokenIds] = []
    for prompt, answer in zip(prompts, data.answer(model, prompts, REFUSAL_TOKENS), strict=True):
        (refused if data.refuses(answer) else answered).append(prompt)
    return refused, answered


def heads(data: Data, model: Any, prompts: Sequence[TokenIds], tokens: int) -> list[Passage]:
    """The prompts with the first `tokens` tokens of a model's own answers, of which the first count most."""
    return [passage(p, a, fading=True) for p, a in zip(prompts, data.answer(model, prompts, tokens), strict=True)]
