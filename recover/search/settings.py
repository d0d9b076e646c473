"""What a search is given and what it must reach, as one value. Its defaults stand here and nowhere else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recover.evaluation.settings import MAX_TASK_DROP
from recover.generation.runtime import Settings

if TYPE_CHECKING:
    from recover.judges import Judge
    from recover.prompts.prompt_set import PromptSet
    from recover.prompts.tasks import Task


BUDGETS = {"weights": 0.04, "adapter": 0.25}  # the largest fraction that is restored by default, by space


@dataclass(frozen=True)
class SearchSettings(Settings):
    """What a search is given and what it must reach.

    `target` is the harmful rate to reach on the validation prompts: a fraction, or `aligned` for the aligned model's
    own. `budget` and `max_task_drop` are fractions: of the weights (or of an adapter's entries), and of the tuned
    model's score. Prompt sets and the task are given as such, or by name or file.
    """

    method: str = "refusal-kl"
    options: Mapping[str, Any] = field(default_factory=dict)  # the method's own
    harmful: "PromptSet | str" = "capture_harmful"
    validation: "PromptSet | str" = "validate_harmful"
    general: "PromptSet | str" = "general"
    task: "Task | str | Path | None" = None
    judge: "str | Judge" = "rules"
    chat_template: str | None = None
    max_task_drop: float = MAX_TASK_DROP
    target: str | float = "aligned"
    budget: float | None = None  # by default that of BUDGETS
