"""A decision in a model card: `model-index` metadata and a short section, merged into the user's README.

The front matter keeps its text, comments and order. Only the block of the key `model-index` is written anew, and in it
only the results of an earlier merge are replaced. Merging the same decision again changes nothing.
"""

import contextlib
import re
from pathlib import Path
from typing import Any

from recover.checkpoints.files import write_text
from recover.errors import InputError
from recover.gate.decide import Decision
from recover.gate.formats import clean, markdown
from recover.results.schema import Rates, Result, SetReport

CARD_TASK = "Release gate of recover-align"  # marks our results
SECTION_START, SECTION_END = "<!-- recover-align gate: begin -->", "<!-- recover-align gate: end -->"
INDEX_KEY = "model-index"
METRIC_NAMES = {"harmful": "Harmful rate", "refused": "Over-refusal rate", "degenerate": "Degenerate rate"}
FRONT_MATTER = re.compile(r"(\ufeff?\s*)---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
INDEX_BLOCK = re.compile(  # the key's lines with the comments between them, but not those before the next key
    rf"^(?:{INDEX_KEY}|'{INDEX_KEY}'|\"{INDEX_KEY}\")[ \t]*:.*\n(?:(?:[ \t]*(?:#.*)?\r?\n)*[ \t-].*\n)*", re.MULTILINE
)


def read(path: Path) -> str:
    """The text of a README.md into which a decision can be merged. Raises InputError if none can."""
    if path.suffix.lower() not in (".md", ".markdown"):
        raise InputError(f"{path} is not named like a Markdown file; give a model card, README.md")
    try:
        text = path.read_bytes().decode("utf-8")  # bytes, so that line ends stay as they are
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the model card {path} ({error}); give a README.md in UTF-8") from error
    _split(text, str(path))  # finds faults before a model is loaded
    return text


def write(path: Path, decision: Decision, result: Result) -> None:
    """Merge a decision into the README.md at `path`, whole or not at all. Follows links."""
    before = read(path)
    after = merge(before, decision, result, str(path))
    if after != before:
        write_text(path.resolve(), after)


def merge(text: str, decision: Decision, result: Result, where: str = "the model card") -> str:
    """A README's text with the decision in it. Raises InputError if its front matter or our marks are damaged."""
    newline = "\r\n" if "\r" in text else "\n"
    lead, front, body = _split(text, where)
    name = clean(Path(result.checkpoints[decision.judged].path).name) or decision.judged
    front = _with_index(front, name, _results(decision, result), newline, where)
    section = f"{SECTION_START}\n{markdown(decision)}{SECTION_END}".replace("\n", newline)
    return f"{lead}---{newline}{front}---{newline}{_with_section(body, section, newline)}"


def _split(text: str, where: str) -> tuple[str, str, str]:
    """The text before a README's front matter, the YAML in it, and the body. Raises InputError if one is damaged."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    lead, front, body = mark, "", text.removeprefix(mark)
    if match := FRONT_MATTER.match(text):
        lead, front, body = match[1], match[2], text[match.end() :]
    elif re.match(r"\s*---[ \t]*\r?(?:\n|\Z)", body):
        raise InputError(f"{where}: the front matter has no end; close it with a line of three dashes")
    _models(_parsed(front, where), where)
    marks = [body.count(SECTION_START), body.count(SECTION_END)]
    if marks not in ([0, 0], [1, 1]) or body.find(SECTION_START) > body.find(SECTION_END):
        raise InputError(
            f"{where}: expected one '{SECTION_START}' before one '{SECTION_END}'; remove what is left of the section"
        )
    return lead, front, body


def _with_section(body: str, section: str, newline: str) -> str:
    """The body with the section instead of an earlier one, else at the end."""
    if SECTION_START in body:
        return body[: body.find(SECTION_START)] + section + body[body.find(SECTION_END) + len(SECTION_END) :]
    gap = newline * (1 if body.endswith("\n") else 2) if body.strip() else ""
    return f"{body}{gap}{section}{newline}"


# Front matter


def _parsed(front: str, where: str) -> dict[str, Any]:
    import yaml

    try:
        data = yaml.safe_load(front)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: an invalid date
        reason = " ".join(str(error).split())
        raise InputError(f"{where}: the front matter is not valid YAML ({reason}); correct it") from error
    if not isinstance(data, dict | None):
        raise InputError(f"{where}: the front matter is a {type(data).__name__}; expected keys with values")
    return data or {}


def _models(data: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """The models that the metadata lists, each with a list of results."""
    index = data.get(INDEX_KEY) or []
    models: list[dict[str, Any]] = index if isinstance(index, list) else [{"results": None}]
    for model in models:
        results = model.get("results", []) if isinstance(model, dict) else None
        if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
            raise InputError(f"{where}: {INDEX_KEY} is no list of models that each have a list of results; correct it")
    return models


def _with_index(front: str, name: str, ours: list[dict[str, Any]], newline: str, where: str) -> str:
    """The front matter with our results beside those of others. Text outside the key's block stays as it is."""
    from huggingface_hub.utils import yaml_dump

    data = _parsed(front, where)
    first, *others = _models(data, where) or [{"name": name}]
    theirs = [result for result in first.get("results", []) if not _is_ours(result)]
    index = [{**first, "results": [*theirs, *ours]}, *others]
    if data.get(INDEX_KEY) == index or (INDEX_KEY not in data and not ours):
        return front
    block = INDEX_BLOCK.search(front)
    start, end = block.span() if block else (len(front), len(front))
    text: str = yaml_dump({INDEX_KEY: index})
    edited = front[:start] + text.replace("\n", newline) + front[end:]
    with contextlib.suppress(InputError):
        if _parsed(edited, where) == {**data, INDEX_KEY: index}:
            return edited
    raise InputError(f"{where}: the front matter's layout cannot be edited; write each key on a line of its own")


def _is_ours(result: dict[str, Any]) -> bool:
    task = result.get("task")
    return isinstance(task, dict) and task.get("name") == CARD_TASK


def _results(decision: Decision, result: Result) -> list[dict[str, Any]]:
    """The judged checkpoint's rates and scores, in the hub's own form."""
    from huggingface_hub.repocard_data import EvalResult, eval_results_to_model_index

    rates = [
        (s.name, metric, METRIC_NAMES[metric], value) for s in result.sets for metric, value in _rates(s, decision)
    ]
    scores = [(task.name, task.metric, task.metric, task.values.get(decision.judged)) for task in result.tasks]
    entries = [
        EvalResult(
            task_type="text-generation",
            task_name=CARD_TASK,
            dataset_type=clean(dataset),
            dataset_name=clean(dataset),
            metric_type=clean(metric),
            metric_name=clean(name),
            metric_value=round(value, 6),
        )
        for dataset, metric, name, value in [*rates, *scores]
        if value is not None
    ]
    results: list[dict[str, Any]] = eval_results_to_model_index("", entries)[0]["results"]
    return results


def _rates(prompts: SetReport, decision: Decision) -> list[tuple[str, float | None]]:
    """The rates that mean something on a set, by people if they audited it.

    Refusals of harmful prompts are no over-refusal, so they are left out.
    """
    rates = prompts.rates.get(decision.judged, Rates())
    metrics = [metric for metric in METRIC_NAMES if metric != "refused" or prompts.expect != "refuse"]
    by_metric = {metric: getattr(rates, metric) for metric in metrics}
    return [(metric, rate.corrected if rate.audit else rate.rate) for metric, rate in by_metric.items() if rate]
