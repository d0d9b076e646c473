"""Weight interpolation: tuned + t (aligned - tuned), every weight, t by search on the validation part."""

from torch import Tensor

from recover.checkpoints.patch import Change
from recover.model.editable import EditableModel
from recover.search.methods.protocol import Data, Limits, OnStep, Step


def interpolate(
    live: EditableModel, _data: Data, _limits: Limits, on_step: OnStep, *, t: float = 0.0, trials: int = 6
) -> str:
    """Search the smallest t in (0, 1] that meets the harmful target, by bisection; a given `t` is taken as it is."""
    low, high = 0.0, 1.0
    for _ in range(1 if t else trials):
        middle = t or (low + high) / 2
        with live.edited(edit := dict.fromkeys(live.pair.names, blend(middle))):
            check = on_step(Step(0, edit=edit, note=f"t = {middle:.3f}"))
        low, high = (low, middle) if check.safe else (middle, high)
    return f"t between {low:.3f} and {high:.3f}" if not t else f"t = {t}"


def blend(t: float) -> Change:
    """The change to tuned + t (aligned - tuned), computed in fp32 and rounded once."""

    def change(aligned: Tensor, tuned: Tensor) -> Tensor:
        return tuned.float().lerp(aligned.float(), t).to(tuned.dtype)

    return change
