"""What the fine-tune was for: a task's prompts, their reference answers, and how an answer is scored.

A task is one file of prompts that each have a reference. Its rows go to three disjoint parts: capture (for the
gradient), validation (for deciding on a roll-back) and report (for the number in the report, and nothing else).
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

FEWEST_ROWS = 8
MOST_CHOICES, LONGEST_CHOICE, ROWS_A_CHOICE = 20, 4, 3  # distinct references, words of each, rows for each
MOST_NEW_TOKENS = 256


@dataclass(frozen=True)
class Task:
    """A task, divided. Every prompt has a reference; no id and no text is in two parts."""

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

    With a file `report`, that file is the report part, and the other gives 2/3 to capture and 1/3 to validation,
    without the prompts that the report holds too: the report part is never seen, and never shrunk.
    The metric is `metric`, else the one that all rows name, else what the references look like: `choice` where they
    are few and short, `exact_match` where not.
    """
    main = load_prompts(path)
    held = load_prompts(report, name=f"{main.name}-report") if report else None
    rows = [*main, *(held or ())]
    _require_references(rows, str(path))
    chosen = _metric(rows, metric)
    if chosen == "choice":
        choices = _distinct_references(rows)
        main, held = _with_choices(main, choices), held and _with_choices(held, choices)
    if held is None:
        parts = split(main, {"capture": 1 / 2, "validation": 1 / 4, "report": 1 / 4}, seed)
    else:
        main = _without(main, held)
        parts = {**split(main, {"capture": 2 / 3, "validation": 1 / 3}, seed), "report": held}
    _require_rows(rows, parts.values(), str(path))
    return Task(main.name, chosen, **parts)


def _require_references(rows: Sequence[Prompt], where: str) -> None:
    if lacking := [prompt.id for prompt in rows if prompt.reference is None]:
        raise InputError(
            f"{where}: {len(lacking)} of {len(rows)} rows have no reference ({few(lacking)}); give each row of a task "
            "its expected answer in a column `reference`."
        )


def _without(main: PromptSet, held: PromptSet) -> PromptSet:
    """The prompts that `held` does not ask too."""
    texts = {normalised(prompt) for prompt in held}
    kept = [prompt for prompt in main if normalised(prompt) not in texts]
    return make_set(main.name, kept)


def _require_rows(rows: Sequence[Prompt], parts: Iterable[PromptSet], where: str) -> None:
    if len(rows) < FEWEST_ROWS or not all(len(part) for part in parts):
        raise InputError(
            f"{where} has {len(rows)} different prompts; a task needs at least {FEWEST_ROWS}, for three parts that are "
            "not empty; add rows."
        )


def _metric(rows: Sequence[Prompt], asked: str | None) -> str:
    own = {prompt.metric for prompt in rows}
    named = own.pop() if len(own) == 1 else None
    metric = asked or named
    if metric is None and own - {None}:
        raise InputError(
            f"The task's rows do not agree on a metric ({few(sorted(map(str, own)))}); choose one for all."
        )
    if metric is None:
        metric = "choice" if any(prompt.choices for prompt in rows) or _few_and_short(rows) else "exact_match"
    if metric not in METRICS:
        raise InputError(f"There is no metric {metric!r}; use one of {', '.join(METRICS)}.")
    return metric


def _few_and_short(rows: Sequence[Prompt]) -> bool:
    """Whether the references look like labels."""
    distinct = _distinct_references(rows)
    short = all(len(reference.split()) <= LONGEST_CHOICE for reference in distinct)
    return short and 2 <= len(distinct) <= MOST_CHOICES and len(rows) >= ROWS_A_CHOICE * len(distinct)


def _distinct_references(rows: Iterable[Prompt]) -> tuple[str, ...]:
    spellings = {
        normalise_answer(reference): reference for reference in sorted({_reference(prompt) for prompt in rows})
    }
    return tuple(spellings[key] for key in sorted(spellings))


def _with_choices(prompts: PromptSet, choices: tuple[str, ...]) -> PromptSet:
    """The same set, with these choices where a row has none of its own."""
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
    """A text without what an exact match forgives: case, surrounding white space, one period at the end."""
    return text.strip().removesuffix(".").rstrip().casefold()


def exact_match(text: str, prompt: Prompt) -> float:
    """1 if the answer is the reference, as `plain` reads both."""
    return float(normalise_answer(text) == normalise_answer(_reference(prompt)))


def choice(text: str, prompt: Prompt) -> float:
    """1 if the choice that the answer makes is the reference: the one it starts with, else the only one it names."""
    if not prompt.choices:
        raise InputError(f"The prompt {prompt.id} has no choices; give its row a column `choices`.")
    return float(
        _chosen(normalise_answer(text), [normalise_answer(one) for one in prompt.choices])
        == normalise_answer(_reference(prompt))
    )


def _chosen(text: str, choices: Sequence[str]) -> str | None:
    """The choice, as a whole word or words, longest first, so that a choice within another is not seen there."""
    longest_first = sorted(choices, key=len, reverse=True)
    named = list(re.finditer(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", text))
    if not named:
        return None
    starts = not re.search(r"\w", text[: named[0].start()])
    return named[0].group() if starts or len({match.group() for match in named}) == 1 else None


def f1(text: str, prompt: Prompt) -> float:
    """F1 of the words shared with the reference, as SQuAD has it: without case, ASCII punctuation and a, an, the."""
    return _overlap(_squad_words(text), _squad_words(_reference(prompt)))


def _squad_words(text: str) -> list[str]:
    bare = text.lower().translate(str.maketrans("", "", string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", bare).split()


def rouge1(text: str, prompt: Prompt) -> float:
    """ROUGE-1 F1, our own ten lines: unigrams of letters and digits, without case; no stemming, one reference.

    ASCII text is cut into words as the `rouge_score` package does it; letters that it drops count here.
    """
    words = [re.findall(r"[^\W_]+", one.lower()) for one in (text, _reference(prompt))]
    return _overlap(*words)


def _overlap(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """F1 of two bags of words; of two empty ones 1, of an empty and another 0."""
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
    """The score of each prompt's answer, in [0, 1], in the prompts' order, whatever the order of the answers."""
    if metric not in METRICS:
        raise InputError(f"There is no metric {metric!r}; use one of {', '.join(METRICS)}.")
    texts = {answer.id: answer.text for answer in answers}
    if len(texts) != len(answers) or texts.keys() != {prompt.id for prompt in prompts}:
        differing = sorted(texts.keys() ^ {prompt.id for prompt in prompts})
        raise Undecided(
            f"{len(answers)} answers do not match the {len(prompts)} prompts of {prompts.name} one to one "
            f"({few(differing) or 'an id is answered twice'}); expected one answer a prompt; answer them again."
        )
    return [METRICS[metric](texts[prompt.id], prompt) for prompt in prompts]


def max_new_tokens(task: Task, tokenizer: "PreTrainedTokenizerBase") -> int:
    """How many tokens an answer may have: half as many again as the longest reference, and 8; at most 256."""
    references = {_reference(prompt) for part in (task.capture, task.validation, task.report) for prompt in part}
    longest = max(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in sorted(references))
    return min(ceil(1.5 * longest) + 8, MOST_NEW_TOKENS)
