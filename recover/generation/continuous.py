"""Greedy answers by transformers' continuous batching: a row that is done makes room for the next prompt at once.

The manager and all cached keys and values live for one call, since weights may be edited between two calls.
"""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

from recover.errors import Undecided

PAGE_TOKENS = 32  # tokens of the cache that are allocated together
CPU_ROWS, CPU_TOKENS = 16, 64  # answers, and tokens of one pass, on a CPU: attention costs the product of both there


def generate(model: Any, prompts: Sequence[Sequence[int]], settings: Any) -> list[list[int]]:
    """A model's answer to each prompt, as tokens, with a generation configuration of transformers.

    Raises Undecided if transformers cannot batch the model in this way, or if an answer fails.
    """
    if not prompts:
        return []
    longest = max(map(len, prompts)) + settings.max_new_tokens
    try:
        with _quiet():
            outputs = model.generate_batch(
                [list(prompt) for prompt in prompts],
                generation_config=settings,
                continuous_batching_config=_config(model, longest),
            )
    except (ValueError, AttributeError, NotImplementedError) as error:
        raise _undecided(model, error) from error
    if errors := [output.error for output in outputs.values() if output.error]:
        raise _undecided(model, errors[0])
    if len(outputs) < len(prompts):
        raise _undecided(model, f"{len(prompts) - len(outputs)} of {len(prompts)} answers are missing")
    return [list(output.generated_tokens) for output in outputs.values()]


def _config(model: Any, longest: int) -> Any:
    """On an accelerator transformers fits the cache to its memory. On a CPU it would take most of the free memory."""
    from transformers import ContinuousBatchingConfig

    options: dict[str, Any] = {"auto_switch_to_flash": False}  # it may fetch code, and answers must not depend on it
    if model.device.type == "cpu":
        options |= {
            "page_size": PAGE_TOKENS,
            "num_blocks": 2 * CPU_ROWS * ceil(longest / PAGE_TOKENS),  # twice those in use, since some are kept free
            "max_requests_per_batch": CPU_ROWS,
            "max_batch_tokens": CPU_TOKENS,
        }
    return ContinuousBatchingConfig(**options)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the manager's log. Failures are raised as one sentence instead."""
    logger = logging.getLogger("ContinuousBatchingLogger")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _undecided(model: Any, reason: object) -> Undecided:
    text = " ".join(str(reason).split())[:200]
    return Undecided(f"{type(model).__name__} does not answer in continuous batches ({text}); use --batching static")
