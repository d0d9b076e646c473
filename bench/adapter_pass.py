"""One pass of gains over an adapter's own entries against one over the merged weights, as ratios in one run.

    python -m bench.adapter_pass ALIGNED ADAPTER

Both passes see the same prompts and random answers; time does not depend on what tokens say. Memory is what a pass adds
to a process that holds the model, and what the model itself adds, each in a process of its own.
"""

import argparse
from collections import deque
from functools import partial
from pathlib import Path

import torch

from bench import machine
from recover.checkpoints.pair import Pair
from recover.model.device import pick_dtype
from recover.model.editable import EditableModel
from recover.search.objective import KL, passage, teach

CPU = torch.device("cpu")
PROMPTS, PROMPT_TOKENS, ANSWER_TOKENS = 32, 48, 8
SPACES = ("adapter", "weights")


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("aligned", type=Path)
    parser.add_argument("adapter", type=Path)
    asked = parser.parse_args()
    print(machine.description())
    passes = [gain_pass(asked.aligned, asked.adapter, space) for space in SPACES]
    own, merged = machine.seconds(*passes)
    print(f"a pass: adapter {own:.2f} s, merged weights {merged:.2f} s, ratio {merged / own:.2f}")
    for what, prepare in (("a pass adds", gain_pass), ("the model takes", loading)):
        own, merged = (machine.anonymous(partial(prepare, asked.aligned, asked.adapter, space)) for space in SPACES)
        print(f"{what}: adapter {own >> 20} MiB, merged weights {merged >> 20} MiB, ratio {merged / max(own, 1):.2f}")


def loading(aligned: Path, adapter: Path, space: str) -> machine.Work:
    """Opening the pair in a space and loading its model."""
    return partial(live_model, aligned, adapter, space)


def live_model(aligned: Path, adapter: Path, space: str) -> EditableModel:
    """The tuned model in memory."""
    pair = Pair.open(aligned, adapter, space=space)  # type: ignore[arg-type]
    return EditableModel(pair, pick_dtype("auto", pair.tuned, CPU), CPU)


def gain_pass(aligned: Path, adapter: Path, space: str) -> machine.Work:
    """A pass over the gains of every changed weight, on PROMPTS prompts."""
    live = live_model(aligned, adapter, space)
    draws = torch.Generator().manual_seed(0)
    vocabulary = live.pair.aligned.config["vocab_size"]
    rows = torch.randint(3, vocabulary, (PROMPTS, PROMPT_TOKENS + ANSWER_TOKENS), generator=draws).tolist()
    passages = [passage(row[:PROMPT_TOKENS], row[PROMPT_TOKENS:]) for row in rows]
    with live.as_aligned() as model:
        objective = KL({"harmful": teach(model, passages, vocabulary)})
    return lambda: deque(live.gains(objective.losses({"harmful": 1.0}), live.parameters), maxlen=0)


if __name__ == "__main__":
    main()
