"""Greedy answers by transformers' continuous batching: a row that is done makes room for the next prompt at once.

The manager, and with it every cached key and value, lives for one call: weights may be edited between two calls.
"""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

from recover.errors import Undecided

PAGE = 32  # tokens of the cache that are given away together
ROWS, TOKENS = 16, 64  # answers, and tokens of one pass, on a CPU: attention there costs the product of both


def generated(model: Any, prompts: Sequence[Sequence[int]], settings: Any) -> list[list[int]]:
    """What a model says to each prompt, as tokens, under a generation configuration.

    Undecided if transformers cannot batch the model so, or if an answer fails.
    """
    if not prompts:
        return []
    longest = max(map(len, prompts)) + settings.max_new_tokens
    try:
        with _quiet():
            done = model.generate_batch(
                [list(prompt) for prompt in prompts],
                generation_config=settings,
                continuous_batching_config=_config(model, longest),
            )
    except (ValueError, AttributeError, NotImplementedError) as error:
        raise _undecided(model, error) from error
    if failed := [answer.error for answer in done.values() if answer.error]:
        raise _undecided(model, failed[0])
    if len(done) < len(prompts):
        raise _undecided(model, f"{len(prompts) - len(done)} of {len(prompts)} answers are missing")
    return [list(answer.generated_tokens) for answer in done.values()]


def _config(model: Any, longest: int) -> Any:
    """On an accelerator transformers fits the cache to its memory; on a CPU that would be most of what is free."""
    from transformers import ContinuousBatchingConfig

    own: dict[str, Any] = {"auto_switch_to_flash": False}  # which may fetch code, and answers must not depend on it
    if model.device.type == "cpu":
        blocks = 2 * ROWS * ceil(longest / PAGE)  # twice what is full at once: some are kept free
        own |= {"page_size": PAGE, "num_blocks": blocks, "max_requests_per_batch": ROWS, "max_batch_tokens": TOKENS}
    return ContinuousBatchingConfig(**own)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the manager's log from printing; what fails is raised as one sentence."""
    logger = logging.getLogger("ContinuousBatchingLogger")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _undecided(model: Any, reason: object) -> Undecided:
    said = " ".join(str(reason).split())[:200]
    return Undecided(f"{type(model).__name__} does not answer in continuous batches ({said}); use --batching static")
