"""The null of every claim: as many weights as a method restored, drawn at random."""

from recover.live import LiveModel
from recover.methods.protocol import Data, Limits, OnStep, Step
from recover.selection import sample


def random(live: LiveModel, _data: Data, limits: Limits, on_step: OnStep, *, fraction: float = 0.0) -> str:
    """Restore a uniformly random `fraction` of all weights (0: the whole budget), drawn among changed matrices."""
    asked = int(fraction * live.pair.tuned.weights) or limits.weights
    live.flip(sample({n: live.parameters[n].numel() for n in live.matrices}, min(asked, limits.weights), limits.seed))
    on_step(Step(len(live.selection)))
    return "one random selection"
