"""Several processes of one job, forked from one warm process: `python ranks.py FOLDER`. Each writes what it found.

Also a method and a judge for tests of the command line in which processes fail.
"""

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from cli_pairs import Blind, Items
from tiny import tiny_model, tiny_pair, tune
from torch import Tensor

from recover.checkpoints.architecture import decoder_blocks
from recover.checkpoints.pair import Pair
from recover.errors import Undecided
from recover.judges import Judgement
from recover.model import distributed, gradients
from recover.model.editable import EditableModel
from recover.search.methods import Data, Limits
from recover.search.methods.protocol import OnStep
from recover.search.objective import KL, Target, passage, teach
from recover.search.ranking import top_k

WORLDS = (2, 4, 8)
COUNTS = (11, 3)  # losses: more than there are processes, and fewer than eight
Loss = Callable[[Any], Tensor]


def surprise(prompt: Sequence[int], model: Any) -> Tensor:
    """A loss of one prompt."""
    logits: Tensor = model(torch.tensor([[*prompt]]), use_cache=False).logits
    return logits[0, -1].logsumexp(-1) - logits[0, -1, 7]


def losses(count: int) -> list[Loss]:
    """As many losses, of prompts of different lengths."""
    return [partial(surprise, [258, *range(40, 43 + i % 5), 60 + i]) for i in range(count)]


def passes(model: Any, wanted: Sequence[Loss]) -> list[dict[str, Tensor]]:
    """Gradients of all weights, the embedding's and the norms' too, layer by layer and at once."""
    blocks, named = list(decoder_blocks(model)[1]), dict(model.named_parameters())
    return [dict(way(model, blocks, named, wanted)) for way in (gradients.by_block, gradients.at_once)]


def found(folder: Path) -> dict[str, Any]:
    """What a process finds of a job; `ran` tells which items were its own."""
    model = tune(tiny_model(num_hidden_layers=3))
    live = EditableModel(
        Pair.open(folder / "aligned", folder / "tuned"), torch.float32, torch.device("cpu"), offload=True
    )
    objective = KL({"harmful": taught(live)})
    ran: list[int] = []

    def square(item: int) -> int:
        ran.append(item)
        return item * item

    return {
        "gradients": {count: passes(model, losses(count)) for count in COUNTS},
        "value": objective.value(live.model),
        "chosen": dict(top_k(live.gains(objective.losses({"harmful": 1.0})), 200).positions),
        "squares": [*distributed.mapped(square, range(11))],
        "ran": ran,
        "first": distributed.first(os.getpid),
        "gathered": distributed.gathered(os.getpid()),
    }


def taught(live: EditableModel) -> list[Target]:
    """A single micro-batch: all processes but one have nothing to do, and their streamed blocks are not there."""
    with live.as_aligned() as model:
        return teach(model, [passage([258, 40, 41 + i, 259], [70, 71]) for i in range(4)], 264)


def launched(rank: int, world: int, port: int) -> dict[str, str]:
    """The variables by which torchrun tells a process its place, on the loopback interface."""
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_PORT": port}
    own = {name: str(number) for name, number in numbers.items()}
    return {**own, "MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _fork(folder: Path, rank: int, world: int, port: int) -> int:
    child = os.fork()
    if not child:
        try:
            os.environ.update(launched(rank, world, port))
            with distributed.joined():
                torch.save(found(folder), folder / f"{world}-{rank}.pt")
        finally:
            os._exit(0)
    return child


# A method and a judge


def dying(
    live: EditableModel, data: Data, limits: Limits, on_step: OnStep, *, steps: int = 0, measured: int = 0
) -> str:
    """A method in which the second process is killed while the first waits for it."""
    if os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    distributed.gathered(None)
    raise AssertionError("nobody is there to answer")


class Tired(Blind):
    """A judge that gives up."""

    name = "tired"

    def __call__(self, items: Items) -> list[Judgement]:
        raise Undecided(f"tired of judging {len(items)} answers")


if __name__ == "__main__":
    torch.set_num_threads(1)
    place = Path(sys.argv[1])
    tiny_pair(place, num_hidden_layers=3)
    for size in WORLDS:
        free = free_port()
        for process in [_fork(place, number, size, free) for number in range(size)]:
            os.waitpid(process, 0)
