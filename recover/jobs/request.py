"""What a user may ask, declared once. The commands' options, their help and the reference in docs come from here.

Field names are the commands' long options. Defaults that a search or an evaluation shares stand in `recover.settings`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from recover.evaluation.settings import EvaluationSettings
from recover.generation.runtime import Runtime
from recover.search.settings import SearchSettings

Fraction = Annotated[float, Field(ge=0, le=1)]


def asked(default: Any, help_: str, *, metavar: str | None = None, short: str | None = None, **limits: Any) -> Any:
    """A field of a request, with what the command's help says of it. `limits` are pydantic's, such as ge=1."""
    shown: dict[str, Any] = {"metavar": metavar, "short": short}
    return Field(default, description=help_, json_schema_extra=shown, **limits)


def _several(value: object) -> object:
    return (str(value),) if isinstance(value, str | Path) else value


def _none_by_its_word(value: object) -> object:
    return None if value == "none" else value


def _pairs(value: object) -> object:
    """NAME=VALUE texts as a dict."""
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


Several = Annotated[tuple[str, ...], BeforeValidator(_several)]


class Request(BaseModel):
    """What is asked of checkpoints."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    report_set: Several = asked(
        ("report_harmful",),
        "Harmful prompts to report on: a file (JSONL, CSV, JSON, TXT, parquet, or a TOML "
        "sidecar), or a set by its name (see prompts list). Repeatable.",
        metavar="SET",
    )
    benign: Annotated[str | None, BeforeValidator(_none_by_its_word)] = asked(
        "benign_lookalike", "Harmless prompts that look harmful, for over-refusal; 'none' to leave out.", metavar="SET"
    )
    task: Several = asked(
        (),
        "The downstream task: a file of rows with prompt and reference (metric, choices), "
        "split into capture, validation and report parts; or a task of "
        "lm-evaluation-harness, lm-eval:NAME[,include_path=DIR][,num_fewshot=K], which is "
        "measured for the report only. Repeatable, with one file at most.",
        metavar="FILE|lm-eval:NAME",
    )
    task_report: Path | None = asked(None, "A separate file for the task's report part.", metavar="FILE")
    task_metric: Literal["exact_match", "choice", "f1", "rouge1"] | None = asked(
        None, "How task answers are scored.  [default: by the references]"
    )
    judge: Several = asked(
        (EvaluationSettings.judge,),
        "Who judges the answers: rules, guard:..., openai:..., or another (see judge list). "
        "The first one's verdicts make the rates; how far further ones agree is reported. "
        "Repeatable.",
        metavar="JUDGE",
    )
    calibration: Path | None = asked(
        None, "What judge calibrate found out about the first judge; corrects the rates of its channel.", metavar="FILE"
    )
    prefill: str | None = asked(
        None,
        "Words that every answer to the harmful report prompts begins with, such as 'Sure, "
        "here is': do refusals hold beyond the first token?",
        metavar="TEXT",
    )
    chat_template: str | None = asked(
        EvaluationSettings.chat_template,
        "A Jinja chat template, or 'none' for plain prompts.  [default: the tokenizer's]",
        metavar="FILE|none",
    )
    config: Path | None = asked(
        None, "Configuration and tokenizer of a bare weights file.  [default: the file's directory]", metavar="DIR"
    )
    max_new_tokens: int = asked(EvaluationSettings.max_new_tokens, "Longest answer on report prompts.", ge=1)
    dtype: str = asked(Runtime.dtype, "Compute dtype: auto, float32, bfloat16, float16.")
    device: str = asked(Runtime.device, "auto, cpu, cuda, cuda:1, ...")
    batching: Literal["auto", "static", "continuous"] = asked(
        "static", "How prompts are asked at once; auto is continuous on an accelerator."
    )
    offload: Literal["auto", "always", "never"] = asked(
        Runtime.offload, "Stream the model's blocks from its files: by default where it does not fit into memory."
    )
    seed: int = asked(Runtime.seed, "Seed of every draw and split.", ge=0)
    samples: int = asked(
        EvaluationSettings.samples,
        "Answers to each report prompt, drawn by chance where N > 1. Samples of one prompt "
        "count in a rate and not as more prompts.",
        metavar="N",
        ge=1,
    )
    temperature: float | None = asked(
        None,
        "Draw answers to report prompts at this temperature.  [default: 0, which is greedy, or 1 with --samples]",
        metavar="FLOAT",
        ge=0,
        le=10,
    )
    top_p: float | None = asked(
        None,
        "Draw from the likeliest tokens that hold this much of the probability.  [default: 1]",
        metavar="FLOAT",
        gt=0,
        le=1,
    )
    limit: int | None = asked(
        None,
        "A quick look: at most N prompts a report set, and of the task's report part (marked in the result).",
        metavar="N",
        ge=1,
    )
    max_task_drop: Fraction = asked(
        EvaluationSettings.max_task_drop, "Largest relative drop of the task's score; sets its floor."
    )


class Job(Request):
    """A restoration as a user asks for it."""

    aligned: str
    tuned: str
    out: Path | None = asked(
        None, "Where the restored checkpoint goes.  [default: ./<TUNED>-restored]", metavar="OUT", short="-o"
    )
    method: str = asked(
        SearchSettings.method, "One of those that the command methods lists, or package.module:function."
    )
    option: Annotated[dict[str, str], BeforeValidator(_pairs)] = asked(
        {}, "An option of the method. Repeatable.", metavar="NAME=VALUE"
    )
    unaligned: str | None = asked(
        None, "The model that ALIGNED was before its alignment, for methods that need it (see methods).", metavar="PATH"
    )
    harmful: str = asked(SearchSettings.harmful, "Harmful prompts that the method sees.", metavar="SET")
    general: str = asked(SearchSettings.general, "Ordinary prompts that the method sees.", metavar="SET")
    target_harmful_rate: Annotated[Literal["aligned"] | Fraction, BeforeValidator(_aligned_or_fraction)] = asked(
        SearchSettings.target, "Harmful rate to reach: the aligned model's own, or a fraction.", metavar="aligned|FLOAT"
    )
    budget: float = asked(SearchSettings.budget, "Largest fraction of the weights to restore.", gt=0, le=1)
    format: Literal["checkpoint", "patch", "both"] = asked("both", "What to write.")
    link: bool = asked(
        False,
        "Make weight files in which nothing is restored hard links to the input's, to save "
        "space: whoever then writes into the one writes into the other.",
    )
    overwrite: bool = asked(False, "Replace OUT if it exists, by reports alone if the model misses its floor.")
    write_anyway: bool = asked(False, "Write the checkpoint even if the task is under its floor.")

    def output(self) -> Path:
        """Where the output goes: `out`, or the tuned checkpoint's name with `-restored` in the working directory."""
        tuned = Path(self.tuned)
        return self.out or Path(f"{tuned.stem}-restored{tuned.suffix}" if tuned.is_file() else f"{tuned.name}-restored")


class EvaluateRequest(Request):
    """Checkpoints to be asked, and where to put what was found."""

    models: tuple[str, ...]
    names: tuple[str, ...] | None = None  # by default those that the number of models gives
    backend: str | None = asked(
        None,
        "Ask an OpenAI-compatible server for the answers; the arguments then name models "
        "that it serves. The key comes from OPENAI_API_KEY.",
        metavar="openai:URL[,model=NAME]",
    )
    allow_mismatch: tuple[Literal["tokenizer", "chat-template"], ...] = asked(
        (), "Compare models that differ in this, each asked with its own; the result says so. Repeatable."
    )
    out: Path | None = asked(
        None,
        "Write answers, verdicts, result.json and reports here. A run that was stopped goes "
        "on: give the same command again.",
        metavar="DIR",
        short="-o",
    )
    overwrite: bool = asked(
        False, "Replace DIR if it exists. Answers that would be given again are kept: another --judge needs no model."
    )
