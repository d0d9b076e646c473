"""The null of every claim: as many weights as a method restored, drawn at random."""

from recover.model.editable import EditableModel
from recover.search.methods.protocol import Data, Limits, OnStep, Step
from recover.search.ranking import sample


def random(live: EditableModel, _data: Data, limits: Limits, on_step: OnStep, *, fraction: float = 0.0) -> str:
    """Restore a random `fraction` of all weights (0: the whole budget), drawn among those that fine-tuning changed."""
    asked = int(fraction * live.pair.tuned.weights) or limits.weights
    sizes = {name: parameter.numel() for name, parameter in live.parameters.items()}
    live.flip(sample(sizes, min(asked, limits.weights), limits.seed))
    on_step(Step(len(live.selection)))
    return "one random selection"
