"""Tokens per cpu-second of the ways to batch greedy answers, on prompts that begin with the same template.

`python -m bench.batching MODEL` prints one line a way; the first is transformers' own `generate` on 64 rows at once,
which the others are held against. cpu-seconds are the least of some runs, one thread.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from recover.checkpoints.checkpoint import Checkpoint
from recover.generation import batched, continuous
from recover.generation.chat import ChatFormat
from recover.model import load
from recover.model.device import pick_device, pick_dtype
from recover.prompts.prompt_set import load_prompts

Way = Callable[[Any, list[list[int]], int, Sequence[int]], list[list[int]]]
SYSTEM = "You are a helpful assistant. Answer in full sentences, be brief, and say so if you do not know. "
TARGET = 1.3


def plain(model: Any, prompts: list[list[int]], most: int, ends: Sequence[int]) -> list[list[int]]:
    """One call of `generate` a batch: every row stays to the end of the longest answer."""
    answers: list[list[int]] = []
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    for start in range(0, len(order), batched.BATCH_ROWS):
        rows = [prompts[i] for i in order[start : start + batched.BATCH_ROWS]]
        ids, mask = batched.padded(rows, 0, ends, model.device)
        with torch.inference_mode():
            said = batched.extended(model, ids, mask, None, most, ends)[:, ids.shape[1] :]
        answers += [batched.cut(tokens, ends) for tokens in said.tolist()]
    return [answer for _, answer in sorted(zip(order, answers, strict=True))]


def static(rows: int, stride: int, shared: int) -> Way:
    """Our own batches, with other constants."""

    def run(model: Any, prompts: list[list[int]], most: int, ends: Sequence[int]) -> list[list[int]]:
        batched.STRIDE, batched.MIN_SHARED_TOKENS = stride, shared
        return batched.continuations(model, prompts, most, ends, batches=batched.Batches(rows))

    return run


def paged(rows: int, tokens: int) -> Way:
    """Continuous batching, with other constants."""

    def run(model: Any, prompts: list[list[int]], most: int, ends: Sequence[int]) -> list[list[int]]:
        continuous.CPU_ROWS, continuous.CPU_TOKENS = rows, tokens
        return batched.continuations(model, prompts, most, ends, batches=batched.Batches(continuous=True))

    return run


NEVER = 10**6
WAYS: dict[str, Way] = {
    "plain": plain,
    "static: rows leave every 8 tokens": static(64, 8, NEVER),
    "static: shared beginning read once": static(64, NEVER, 8),
    "static: both": static(64, 8, 8),
    "static: both, every 16 tokens": static(64, 16, 8),
    "static: both, 32 rows": static(32, 8, 8),
    "static: both, 128 rows": static(128, 8, 8),
    "continuous: 16 rows, 64 tokens a pass": paged(16, 64),
    "continuous: 8 rows, 64 tokens a pass": paged(8, 64),
    "continuous: 64 rows, 256 tokens a pass": paged(64, 256),
}


def measured(ways: dict[str, Callable[[], list[list[int]]]], times: int) -> dict[str, tuple[float, list[list[int]]]]:
    """The least cpu-seconds of each way, and its answers. Ways take turns: other work on the machine hits them all."""
    spent: dict[str, float] = {}
    answers: dict[str, list[list[int]]] = {}
    for name, run in [*ways.items()] * times:
        start = time.process_time()
        answers[name] = run()
        spent[name] = min(time.process_time() - start, spent.get(name, float("inf")))
    return {name: (spent[name], answers[name]) for name in ways}


def main() -> None:
    """Measure every way on one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--prompts", type=int, default=128)
    parser.add_argument("--new-tokens", type=int, default=256)
    parser.add_argument(
        "--shared", type=int, default=64, help="tokens that all prompts begin with, beside the template's"
    )
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint = Checkpoint.open(asked.model)
    speech = ChatFormat.of([checkpoint], None)
    device = pick_device(asked.device)
    model = load.load_model(checkpoint, pick_dtype(asked.dtype, checkpoint, device), device)
    system = speech.tokenizer(SYSTEM * asked.shared, add_special_tokens=False)["input_ids"][: asked.shared]
    prompts = [system + ids for ids in speech.encode(load_prompts("report_harmful").head(asked.prompts))]
    asking = {name: partial(way, model, prompts, asked.new_tokens, speech.ends) for name, way in WAYS.items()}
    found = measured(asking, asked.times)
    first, expected = found["plain"]
    lengths = sorted(map(len, expected))
    print(f"answers of {lengths[0]} to {lengths[-1]} tokens, half of them under {lengths[len(lengths) // 2] + 1}")
    print(f"{'way':44} tokens/cpu-s  ratio  same answers (target {TARGET})")
    for name, (seconds, answers) in found.items():
        same = sum(a == b for a, b in zip(answers, expected, strict=True))
        speed = sum(map(len, answers)) / seconds
        print(f"{name:44} {speed:12.0f}  {first / seconds:5.2f}  {same} of {len(answers)}")


if __name__ == "__main__":
    main()
