"""The task of the fine-tune: its prompts, their reference answers, and how an answer is scored.

A task is a file of prompts that each have a reference. Its rows are divided into three disjoint parts: capture (for the
gradients), validation (for measuring steps) and report (for the number in the report, and nothing else).
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from recover.errors import InputError, Undecided, few
from recover.prompts.prompt_set import Answer, Prompt, PromptSet, load_prompts, make_set, normalised, split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MIN_ROWS = 8
MAX_CHOICES, MAX_CHOICE_WORDS, ROWS_PER_CHOICE = 20, 4, 3  # references within these bounds look like labels
MAX_NEW_TOKENS = 256  # of an answer


@dataclass(frozen=True)
class Task:
    """A task in its three parts. Every prompt has a reference; no id and no text is in two parts."""

    name: str
    metric: str
    capture: PromptSet
    validation: PromptSet
    report: PromptSet

    def shortened(self, most: int) -> "Task":
        """The task with at most `most` report prompts."""
        return replace(self, report=self.report.head(most))


def load_task(path: str | Path, *, report: Path | None = None, metric: str | None = None, seed: int = 0) -> Task:
    """Read a task and divide it: 50 % capture, 25 % validation, 25 % report, by a seeded hash of the ids.

    With a file `report`, that file is the report part. The rows of `path` that it does not hold too are then divided
    into 2/3 capture and 1/3 validation. The metric is `metric`, else the one that all rows name, else `choice` where
    the references are few and short, else `exact_match`. Raises InputError if there are too few rows, a row has no
    reference, or the metric is unknown.
    """
    main = load_prompts(path)
    held_out = load_prompts(report, name=f"{main.name}-report") if report else None
    rows = [*main, *(held_out or ())]
    _require_references(rows, str(path))
    chosen = _metric(rows, metric)
    if chosen == "choice":
        choices = _distinct_references(rows)
        main, held_out = _with_choices(main, choices), held_out and _with_choices(held_out, choices)
    if held_out is None:
        parts = split(main, {"capture": 1 / 2, "validation": 1 / 4, "report": 1 / 4}, seed)
    else:
        main = _without(main, held_out)
        parts = {**split(main, {"capture": 2 / 3, "validation": 1 / 3}, seed), "report": held_out}
    _require_rows(rows, parts.values(), str(path))
    return Task(main.name, chosen, **parts)


def _require_references(rows: Sequence[Prompt], where: str) -> None:
    if lacking := [prompt.id for prompt in rows if prompt.reference is None]:
        raise InputError(
            f"{where}: {len(lacking)} of {len(rows)} rows have no reference ({few(lacking)}); give each row of a task "
            "its expected answer in a column `reference`."
        )


def _without(main: PromptSet, held_out: PromptSet) -> PromptSet:
    """The prompts of `main` that `held_out` does not hold too."""
    texts = {normalised(prompt) for prompt in held_out}
    return make_set(main.name, (prompt for prompt in main if normalised(prompt) not in texts))


def _require_rows(rows: Sequence[Prompt], parts: Iterable[PromptSet], where: str) -> None:
    if len(rows) < MIN_ROWS or not all(len(part) for part in parts):
        raise InputError(
            f"{where} has {len(rows)} different prompts; a task needs at least {MIN_ROWS}, for three parts that are "
            "not empty; add rows."
        )


def _metric(rows: Sequence[Prompt], choice: str | None) -> str:
    by_rows = {prompt.metric for prompt in rows}
    metric = choice or (by_rows.pop() if len(by_rows) == 1 else None)
    if metric is None and by_rows - {None}:
        raise InputError(
            f"The task's rows do not agree on a metric ({few(sorted(map(str, by_rows)))}); choose one for all."
        )
    if metric is None:
        metric = "choice" if any(prompt.choices for prompt in rows) or _few_and_short(rows) else "exact_match"
    if metric not in METRICS:
        raise InputError(f"There is no metric {metric!r}; use one of {', '.join(METRICS)}.")
    return metric


def _few_and_short(rows: Sequence[Prompt]) -> bool:
    """Whether the references look like labels."""
    distinct = _distinct_references(rows)
    short = all(len(reference.split()) <= MAX_CHOICE_WORDS for reference in distinct)
    return short and 2 <= len(distinct) <= MAX_CHOICES and len(rows) >= ROWS_PER_CHOICE * len(distinct)


def _distinct_references(rows: Iterable[Prompt]) -> tuple[str, ...]:
    spellings = {
        normalise_answer(reference): reference for reference in sorted({_reference(prompt) for prompt in rows})
    }
    return tuple(spellings[key] for key in sorted(spellings))


def _with_choices(prompts: PromptSet, choices: tuple[str, ...]) -> PromptSet:
    """The same set, with these choices for rows that have none of their own."""
    filled = [prompt if prompt.choices else replace(prompt, choices=choices) for prompt in prompts]
    for prompt in filled:
        if normalise_answer(_reference(prompt)) not in map(normalise_answer, prompt.choices):
            raise InputError(
                f"The reference of {prompt.id} is {prompt.reference!r}, which is none of its choices "
                f"({few(prompt.choices)}); correct the row."
            )
    return make_set(prompts.name, filled)


# Metrics --------------------------------------------------------------------------------------------------------


def normalise_answer(text: str) -> str:
    """A text in lower case, without surrounding white space and the period at its end."""
    return text.strip().removesuffix(".").rstrip().casefold()


def exact_match(text: str, prompt: Prompt) -> float:
    """1 if answer and reference are the same once normalised, else 0."""
    return float(normalise_answer(text) == normalise_answer(_reference(prompt)))


def choice(text: str, prompt: Prompt) -> float:
    """1 if the answer's choice is the reference, else 0. Its choice is the one it starts with, else the only one in it.

    Raises InputError if the prompt has no choices.
    """
    if not prompt.choices:
        raise InputError(f"The prompt {prompt.id} has no choices; give its row a column `choices`.")
    chosen = _chosen(normalise_answer(text), [normalise_answer(choice) for choice in prompt.choices])
    return float(chosen == normalise_answer(_reference(prompt)))


def _chosen(text: str, choices: Sequence[str]) -> str | None:
    """The choice that a text starts with, or the only one in it, as whole words; None if there is none."""
    longest_first = sorted(choices, key=len, reverse=True)  # so that a choice inside a longer one is not seen there
    matches = list(re.finditer(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", text))
    if not matches:
        return None
    starts = not re.search(r"\w", text[: matches[0].start()])
    return matches[0].group() if starts or len({match.group() for match in matches}) == 1 else None


def f1(text: str, prompt: Prompt) -> float:
    """F1 of the words shared with the reference, as in SQuAD: without case, ASCII punctuation and a, an, the."""
    return _overlap(_squad_words(text), _squad_words(_reference(prompt)))


def _squad_words(text: str) -> list[str]:
    unpunctuated = text.lower().translate(str.maketrans("", "", string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", unpunctuated).split()


def rouge1(text: str, prompt: Prompt) -> float:
    """ROUGE-1 F1: unigrams of letters and digits, without case; no stemming, one reference.

    ASCII text is cut into words as in the package `rouge_score`. That package drops other letters; here they count.
    """
    answer_words, reference_words = (re.findall(r"[^\W_]+", t.lower()) for t in (text, _reference(prompt)))
    return _overlap(answer_words, reference_words)


def _overlap(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """F1 of two bags of words; 1 if both are empty, 0 if one of them is."""
    if not ours or not theirs:
        return float(ours == theirs)
    shared = (Counter(ours) & Counter(theirs)).total()
    return 2 * shared / (len(ours) + len(theirs))


def _reference(prompt: Prompt) -> str:
    if prompt.reference is None:
        raise InputError(f"The prompt {prompt.id} has no reference to score against; give its row one.")
    return prompt.reference


METRICS: dict[str, Callable[[str, Prompt], float]] = {
    "exact_match": exact_match,
    "choice": choice,
    "f1": f1,
    "rouge1": rouge1,
}


def score(metric: str, answers: Sequence[Answer], prompts: PromptSet) -> list[float]:
    """The score of each prompt's answer, in [0, 1], in the order of the prompts.

    Raises InputError for an unknown metric, and Undecided unless each prompt has exactly one answer.
    """
    if metric not in METRICS:
        raise InputError(f"There is no metric {metric!r}; use one of {', '.join(METRICS)}.")
    texts = {answer.id: answer.text for answer in answers}
    if len(texts) != len(answers) or texts.keys() != {prompt.id for prompt in prompts}:
        differing = sorted(texts.keys() ^ {prompt.id for prompt in prompts})
        raise Undecided(
            f"{len(answers)} answers do not match the {len(prompts)} prompts of {prompts.name} one to one "
            f"({few(differing) or 'an id is answered twice'}); expected one answer for each prompt; answer them again."
        )
    return [METRICS[metric](texts[prompt.id], prompt) for prompt in prompts]


def max_new_tokens(task: Task, tokenizer: "PreTrainedTokenizerBase") -> int:
    """The most tokens of an answer: 1.5 times the longest reference of the task, plus 8, but at most 256."""
    references = {_reference(prompt) for part in (task.capture, task.validation, task.report) for prompt in part}
    longest = max(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in sorted(references))
    return min(ceil(1.5 * longest) + 8, MAX_NEW_TOKENS)
