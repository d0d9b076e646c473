"""How models are asked and judged, as one value. Its defaults are defined here and nowhere else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recover.generation.runtime import Settings

if TYPE_CHECKING:
    from recover.generation.sampling import Sampling
    from recover.judges import Judge
    from recover.judges.calibration import Calibration

MAX_TASK_DROP = 0.05  # the part of its score that a task may lose, as a fraction of the tuned model's


@dataclass(frozen=True)
class EvaluationSettings(Settings):
    """How models are asked and judged. Answers are greedy, or drawn by `sampling`, then `samples` of each prompt.

    Of several judges the first one's verdicts make the rates, and its `calibration` corrects them. `max_task_drop` is a
    fraction of the tuned model's score.
    """

    judge: "str | Judge | Sequence[str | Judge]" = "rules"
    calibration: "Calibration | None" = None
    chat_template: str | None = None
    max_new_tokens: int = 256
    max_task_drop: float = MAX_TASK_DROP
    samples: int = 1
    sampling: "Sampling | None" = None
