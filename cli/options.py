"""What several commands share: the options that ask questions of checkpoints, and how they become a request."""

import contextlib
import shlex
import sys
from collections.abc import Callable
from typing import Any

import click

from recover.errors import InputError


def _stack(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


questions = _stack(
    click.option("--report-set", "report_set", metavar="SET", multiple=True, default=("report_harmful",), show_default=True, help="Harmful prompts to report on: a file (JSONL, CSV, JSON, TXT, parquet, or a TOML sidecar), or a set by its name (see prompts list). Repeatable."),
    click.option("--benign", metavar="SET", default="benign_lookalike", show_default=True, help="Harmless prompts that look harmful, for over-refusal; 'none' to leave out."),
    click.option("--task", metavar="FILE|lm-eval:NAME", multiple=True, help="The downstream task: a file of rows with prompt and reference (metric, choices), split into capture, validation and report parts; or a task of lm-evaluation-harness, lm-eval:NAME[,include_path=DIR][,num_fewshot=K], which is measured for the report only. Repeatable, with one file at most."),
    click.option("--task-report", metavar="FILE", help="A separate file for the task's report part."),
    click.option("--task-metric", type=click.Choice(["exact_match", "choice", "f1", "rouge1"]), help="How task answers are scored.  [default: by the references]"),
    click.option("--judge", metavar="JUDGE", multiple=True, default=("rules",), show_default=True, help="Who judges the answers: rules, guard:..., openai:..., or another (see judge list). The first one's verdicts make the rates; how far further ones agree is reported. Repeatable."),
    click.option("--calibration", metavar="FILE", help="What judge calibrate found out about the first judge; corrects the rates of its channel."),
    click.option("--prefill", metavar="TEXT", help="Words that every answer to the harmful report prompts begins with, such as 'Sure, here is': do refusals hold beyond the first token?"),
    click.option("--chat-template", metavar="FILE|none", help="A Jinja chat template, or 'none' for plain prompts.  [default: the tokenizer's]"),
    click.option("--config", metavar="DIR", help="Configuration and tokenizer of a bare weights file.  [default: the file's directory]"),
    click.option("--max-new-tokens", type=click.IntRange(1), default=256, show_default=True, help="Longest answer on report prompts."),
    click.option("--dtype", default="auto", show_default=True, help="Compute dtype: auto, float32, bfloat16, float16."),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ..."),
    click.option("--batching", type=click.Choice(["auto", "static", "continuous"]), default="static", show_default=True, help="How prompts are asked at once; auto is continuous on an accelerator."),
    click.option("--offload", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True, help="Stream the model's blocks from its files: by default where it does not fit into memory."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of every draw and split."),
    click.option("--samples", type=click.IntRange(1), metavar="N", default=1, show_default=True, help="Answers to each report prompt, drawn by chance where N > 1. Samples of one prompt count in a rate and not as more prompts."),
    click.option("--temperature", type=click.FloatRange(0, 10), metavar="FLOAT", help="Draw answers to report prompts at this temperature.  [default: 0, which is greedy, or 1 with --samples]"),
    click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), metavar="FLOAT", help="Draw from the likeliest tokens that hold this much of the probability.  [default: 1]"),
    click.option("--limit", type=click.IntRange(1), metavar="N", help="A quick look: at most N prompts a report set, and of the task's report part (marked in the result)."),
    click.option("--json", "as_json", is_flag=True, help="Print result.json on stdout; everything else goes to stderr."),
    click.option("-q", "--quiet", is_flag=True, help="No progress bars."),
)  # fmt: skip

backend = click.option("--backend", metavar="openai:URL[,model=NAME]", help="Ask an OpenAI-compatible server for the answers; the arguments then name models that it serves. The key comes from OPENAI_API_KEY.")  # fmt: skip


run_directory = _stack(
    click.option("--allow-mismatch", type=click.Choice(["tokenizer", "chat-template"]), multiple=True, help="Compare models that differ in this, each asked with its own; the result says so. Repeatable."),
    click.option("-o", "--out", metavar="DIR", help="Write answers, verdicts, result.json and reports here. A run that was stopped goes on: give the same command again."),
    click.option("--overwrite", is_flag=True, help="Replace DIR if it exists. Answers that would be given again are kept: another --judge needs no model."),
)  # fmt: skip


def validated(model: Any, asked: dict[str, Any]) -> Any:
    """Validate a command's options as one request; empty ones take their defaults."""
    from pydantic import ValidationError

    if asked.get("benign") == "none":
        asked["benign"] = None
    known = {k: v for k, v in asked.items() if v is not None or k == "benign"}
    if "option" in known:
        pairs = [o.partition("=") for o in known["option"]]
        if any(not sign for _, sign, _ in pairs):
            raise InputError("--option takes NAME=VALUE, for example --option start=0.002")
        known["option"] = {name: value for name, _, value in pairs}
    if known.get("target_harmful_rate", "aligned") != "aligned":
        known["target_harmful_rate"] = _fraction("--target-harmful-rate", known["target_harmful_rate"])
    try:
        return model(**known)
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise InputError(f"{option}: {first['msg'][0].lower()}{first['msg'][1:]}, found {first['input']!r}") from error


def _fraction(option: str, text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise InputError(f"{option} takes 'aligned' or a fraction from 0 to 1, found {text!r}")


def command_line() -> str:
    """The command as it was typed, for a shell."""
    return shlex.join(["recover-align", *sys.argv[1:]])
