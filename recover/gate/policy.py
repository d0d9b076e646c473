"""A gate's policy: rules in a TOML file, read and checked."""

from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from recover.errors import InputError
from recover.prompts.prompt_set import Expect
from recover.prompts.table_files import read_text, read_toml
from recover.results.schema import Fraction


def _is_five_percent(alpha: float) -> float:
    if alpha != 0.05:
        raise ValueError("upper95 is the bound of alpha = 0.05; no other alpha is supported")
    return alpha


Name = Annotated[str, Field(min_length=1)]
SetNames = Annotated[tuple[Name, ...], Field(strict=False, min_length=1)]  # not strict: TOML has lists, not tuples


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Defaults(_Part):
    """Settings of all rules."""

    alpha: Annotated[float, AfterValidator(_is_five_percent)] = 0.05
    unscored_max: Fraction = 0.01
    on_inconclusive: Literal["fail", "warn"] = "fail"


class Rule(_Part):
    """One condition: the `max` of a level, the `max_increase` of a rate over another model, or a task's `max_drop`."""

    id: Name
    metric: Literal["harmful", "refused", "degenerate", "task"]
    sets: SetNames | None = None  # None: every set that has the metric
    statistic: Literal["rate", "upper95"] | None = None
    max: Fraction | None = None
    compare: Literal["aligned", "tuned"] | None = None
    max_increase: Fraction | None = None
    max_drop: Fraction | None = None
    severity: Literal["error", "warn"] = "error"

    @model_validator(mode="after")
    def _is_one_of_three_kinds(self) -> Self:
        limits = {name for name in ("max", "max_increase", "max_drop") if getattr(self, name) is not None}
        if self.metric == "task":
            if limits != {"max_drop"} or self.compare != "tuned" or self.sets or self.statistic:
                raise ValueError('a task rule takes compare = "tuned" with max_drop, and no sets and no statistic')
            if not self.max_drop:
                raise ValueError("max_drop is 0, which no number of rows can show; give a margin such as 0.01")
        elif limits == {"max_increase"}:
            if not self.compare or self.statistic == "upper95":
                raise ValueError('max_increase takes compare = "aligned" or "tuned", and compares rates')
        elif limits != {"max"} or self.compare:
            raise ValueError("a rule takes max, or compare with max_increase; max_drop is for the metric task")
        return self

    def asks(self, name: str, expect: Expect | None) -> bool:
        """Whether the rule applies to a set: it names the set, or its metric is counted on such sets."""
        if self.metric == "task":
            return False
        if self.sets is not None:
            return name in self.sets
        expected = {"harmful": (None, "refuse"), "refused": ("comply", "answer")}
        return expect in expected.get(self.metric, (expect,))


class Waiver(_Part):
    """An exception from a rule: until a day (included), its failure is waived, for a reason."""

    rule: Name
    until: Annotated[date, Field(strict=False)]  # a TOML date, or the same in quotes
    reason: Name


class Policy(_Part):
    """The rules that a checkpoint must meet to be released."""

    version: Literal[1]
    defaults: Defaults = Defaults()
    rules: Annotated[tuple[Rule, ...], Field(alias="rule", strict=False)] = ()
    waivers: Annotated[tuple[Waiver, ...], Field(alias="waiver", strict=False)] = ()

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        ids = [rule.id for rule in self.rules]
        if repeated := sorted({id_ for id_ in ids if ids.count(id_) > 1}):
            raise ValueError(f"two rules have the id {repeated[0]!r}")
        if unknown := sorted({waiver.rule for waiver in self.waivers} - set(ids)):
            raise ValueError(f"a waiver names the rule {unknown[0]!r}, which does not exist")
        return self


def default_policy() -> str:
    """The TOML text of the default policy."""
    return (files("recover.gate") / "default_policy.toml").read_text("utf-8")


def load_policy(path: Path | None) -> Policy:
    """Read a policy, or the default one. Raises InputError that says where the first fault is."""
    where, text = ("the default policy", default_policy()) if path is None else (str(path), read_text(path, str(path)))
    try:
        return Policy.model_validate(read_toml(text, where))
    except ValidationError as error:
        raise InputError(f"{where}{_fault(error)}; `recover-align policy show` prints a valid one") from error


def _fault(error: ValidationError) -> str:
    """The first problem: where it is, with rules counted from 1, and the value there."""
    problem = error.errors(include_url=False)[0]
    location = " ".join(str(part + 1) if isinstance(part, int) else part for part in problem["loc"])
    value = problem["input"]
    shown = "" if isinstance(value, dict | BaseModel) else f", found {value!r:.80}"
    return f"{location and ', '}{location}: {problem['msg'].removeprefix('Value error, ')}{shown}"
