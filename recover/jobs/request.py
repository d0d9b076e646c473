"""The requests of users. The commands' options, their help and the reference in docs come from these fields.

Field names are the commands' long options. Defaults that Python shares with the commands come from `SearchSettings`,
`EvaluationSettings` and `Runtime`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from recover.evaluation.settings import EvaluationSettings
from recover.generation.runtime import Runtime
from recover.results.schema import Fraction
from recover.search.settings import BUDGETS, SearchSettings


def option_field(
    default: Any, help_: str, *, metavar: str | None = None, short: str | None = None, **limits: Any
) -> Any:
    """A field of a request, with the help text of its option. `limits` are pydantic's, such as ge=1."""
    display: dict[str, Any] = {"metavar": metavar, "short": short}
    return Field(default, description=help_, json_schema_extra=display, **limits)


def _as_tuple(value: object) -> object:
    return (str(value),) if isinstance(value, str | Path) else value


def _none_word(value: object) -> object:
    return None if value == "none" else value


def _pairs(value: object) -> object:
    """Texts of the form NAME=VALUE as a dict."""
    if isinstance(value, Mapping) or not isinstance(value, list | tuple):
        return value
    pairs = [str(text).partition("=") for text in value]
    if any(not sign for _, sign, _ in pairs):
        raise ValueError("takes NAME=VALUE, for example --option start=0.002")
    return {name: text for name, _, text in pairs}


def _aligned_or_fraction(value: object) -> object:
    if value == "aligned":
        return value
    try:
        rate = float(str(value))
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise ValueError(f"takes 'aligned' or a fraction from 0 to 1, found {value!r}")
    return rate


Several = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class Request(BaseModel):
    """How checkpoints are asked and judged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    report_set: Several = option_field(
        ("report_harmful",),
        "Harmful prompts to report on: a file (JSONL, CSV, JSON, TXT, parquet, or a TOML "
        "sidecar), or a set by its name (see prompts list). Repeatable.",
        metavar="SET",
    )
    benign: Annotated[str | None, BeforeValidator(_none_word)] = option_field(
        "benign_lookalike", "Harmless prompts that look harmful, for over-refusal; 'none' to leave out.", metavar="SET"
    )
    task: Several = option_field(
        (),
        "The downstream task: a file of rows with prompt and reference (metric, choices), "
        "split into capture, validation and report parts; or a task of "
        "lm-evaluation-harness, lm-eval:NAME[,include_path=DIR][,num_fewshot=K], which is "
        "measured for the report only. Repeatable, with one file at most.",
        metavar="FILE|lm-eval:NAME",
    )
    task_report: Path | None = option_field(None, "A separate file for the task's report part.", metavar="FILE")
    task_metric: Literal["exact_match", "choice", "f1", "rouge1"] | None = option_field(
        None, "How task answers are scored.  [default: by the references]"
    )
    judge: Several = option_field(
        (EvaluationSettings.judge,),
        "Who judges the answers: rules, guard:..., openai:..., or another (see judge list). "
        "The first judge's verdicts make the rates; the others' agreement with it is reported. "
        "Repeatable.",
        metavar="JUDGE",
    )
    calibration: Path | None = option_field(
        None, "The result of judge calibrate for the first judge; corrects the rates of its channel.", metavar="FILE"
    )
    prefill: str | None = option_field(
        None,
        "Words that every answer to the harmful report prompts begins with, such as 'Sure, "
        "here is': do refusals hold beyond the first token?",
        metavar="TEXT",
    )
    chat_template: str | None = option_field(
        EvaluationSettings.chat_template,
        "A Jinja chat template, or 'none' for plain prompts.  [default: the tokenizer's]",
        metavar="FILE|none",
    )
    config: Path | None = option_field(
        None, "Configuration and tokenizer of a bare weights file.  [default: the file's directory]", metavar="DIR"
    )
    max_new_tokens: int = option_field(EvaluationSettings.max_new_tokens, "Longest answer on report prompts.", ge=1)
    dtype: str = option_field(Runtime.dtype, "Compute dtype: auto, float32, bfloat16, float16.")
    device: str = option_field(Runtime.device, "auto, cpu, cuda, cuda:1, ...")
    batching: Literal["auto", "static", "continuous"] = option_field(
        "static", "How prompts form batches; auto is continuous on an accelerator."
    )
    offload: Literal["auto", "always", "never"] = option_field(
        Runtime.offload, "Stream the model's blocks from its files; auto does so if the model does not fit into memory."
    )
    seed: int = option_field(Runtime.seed, "Seed of every draw and split.", ge=0)
    samples: int = option_field(
        EvaluationSettings.samples,
        "Answers to each report prompt, drawn by chance where N > 1. Samples of one prompt "
        "count in a rate and not as more prompts.",
        metavar="N",
        ge=1,
    )
    temperature: float | None = option_field(
        None,
        "Draw answers to report prompts at this temperature.  [default: 0, which is greedy, or 1 with --samples]",
        metavar="FLOAT",
        ge=0,
        le=10,
    )
    top_p: float | None = option_field(
        None,
        "Draw from the likeliest tokens that hold this much of the probability.  [default: 1]",
        metavar="FLOAT",
        gt=0,
        le=1,
    )
    limit: int | None = option_field(
        None,
        "A quick look: at most N prompts of each report set and of the task's report part. The result says so.",
        metavar="N",
        ge=1,
    )
    max_task_drop: Fraction = option_field(
        EvaluationSettings.max_task_drop, "Largest relative drop of the task's score; sets its floor."
    )


class Job(Request):
    """A restoration as a user asks for it."""

    aligned: str
    tuned: str
    out: Path | None = option_field(
        None, "Where to write the restored checkpoint.  [default: ./<TUNED>-restored]", metavar="OUT", short="-o"
    )
    method: str = option_field(
        SearchSettings.method, "A method that the command methods lists, or package.module:function."
    )
    option: Annotated[dict[str, str], BeforeValidator(_pairs)] = option_field(
        {}, "An option of the method. Repeatable.", metavar="NAME=VALUE"
    )
    unaligned: str | None = option_field(
        None, "The model that ALIGNED was before its alignment, for methods that need it (see methods).", metavar="PATH"
    )
    harmful: str = option_field(SearchSettings.harmful, "Harmful prompts that the method sees.", metavar="SET")
    general: str = option_field(SearchSettings.general, "Ordinary prompts that the method sees.", metavar="SET")
    target_harmful_rate: Annotated[Literal["aligned"] | Fraction, BeforeValidator(_aligned_or_fraction)] = option_field(
        SearchSettings.target, "Harmful rate to reach: the aligned model's own, or a fraction.", metavar="aligned|FLOAT"
    )
    budget: float | None = option_field(
        SearchSettings.budget,
        "Largest fraction to restore, of the weights or of an adapter's entries.  "
        f"[default: {BUDGETS['weights']}, or {BUDGETS['adapter']} of an adapter's]",
        gt=0,
        le=1,
    )
    space: Literal["auto", "adapter", "weights"] = option_field(
        "auto",
        "Where an adapter is restored: in its own entries, so that OUT is an adapter, or in merged weights, "
        "so that OUT is a full checkpoint. auto: its own, if it has aligned values there.",
    )
    format: Literal["checkpoint", "patch", "both"] = option_field("both", "What to write.")
    link: bool = option_field(
        False,
        "Make weight files in which nothing is restored hard links to the input's, to save "
        "space. A later write into one of them changes both.",
    )
    overwrite: bool = option_field(
        False, "Replace OUT if it exists, also by reports alone if the model misses its floor."
    )
    write_anyway: bool = option_field(False, "Write the checkpoint even if the task is under its floor.")

    def output(self) -> Path:
        """Where the output goes: `out`, or the tuned checkpoint's name with `-restored` in the working directory."""
        tuned = Path(self.tuned)
        return self.out or Path(f"{tuned.stem}-restored{tuned.suffix}" if tuned.is_file() else f"{tuned.name}-restored")


class EvaluateRequest(Request):
    """An evaluation of one to three checkpoints as a user asks for it."""

    models: tuple[str, ...]
    names: tuple[str, ...] | None = None  # the default depends on the number of models
    backend: str | None = option_field(
        None,
        "Ask an OpenAI-compatible server for the answers; the arguments are then names of models "
        "on it. The key comes from OPENAI_API_KEY.",
        metavar="openai:URL[,model=NAME]",
    )
    allow_mismatch: tuple[Literal["tokenizer", "chat-template"], ...] = option_field(
        (), "Compare models that differ in this; each is asked with its own, and the result says so. Repeatable."
    )
    out: Path | None = option_field(
        None,
        "Write answers, verdicts, result.json and reports here. The same command continues a run that was stopped.",
        metavar="DIR",
        short="-o",
    )
    overwrite: bool = option_field(
        False,
        "Replace DIR if it exists. Answers that would stay the same are kept: a change of --judge loads no model.",
    )
