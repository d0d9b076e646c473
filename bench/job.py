"""What finished jobs did, counted from what they left: tokens, and passes over the weights.

    python -m bench.job OUT... >> bench/results/jobs.jsonl

A pass is a forward of a model over one batch; each token of an answer is one too. The plan for many jobs and larger
models (bench.scale) is made from these counts, which depend on prompts and steps and hardly on the model. Prompts count
CHARACTERS a token, as with the vocabularies of such models, and answers what they had.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil
from pathlib import Path
from statistics import mean
from typing import Any

from recover.evaluation import answer_files
from recover.generation.batched import BATCH_ROWS
from recover.prompts.prompt_set import load_prompts
from recover.results.schema import Result, find, load
from recover.search.history import MAX_VALIDATION_ROWS, VALIDATION_TOKENS
from recover.search.loop import MAX_CAPTURE_PROMPTS, MAX_CAPTURE_ROWS
from recover.search.methods.answers import REFUSAL_TOKENS
from recover.search.objective import BATCH_TOKENS

CHARACTERS, TEMPLATE = 4, 20  # of text a token; tokens that a chat template adds
ALIGNED, OTHERS, SEARCH = "aligned", "others", "search"


def counted(out: Path) -> dict[str, Any]:
    """A job's counts by part: the aligned model's report answers, which a batch shares, the others', and the rest."""
    place = find(out)
    result = load(place)
    account = result.restoration
    assert account is not None
    told = {name: [*answers(place.parent, name)] for name in ("aligned", "tuned", "restored")}
    return {
        "weights": account.weights,
        "steps": len(account.steps) - 1,
        "seconds": result.settings["total_seconds"],
        "peak_rss_bytes": account.peak_rss_bytes,
        SEARCH: search(result, told["tuned"][-1] if result.tasks else []),
        ALIGNED: asked(told["aligned"]),
        OTHERS: asked(told["tuned"]) + asked(told["restored"]),
    }


def answers(folder: Path, model: str) -> Iterator[list[tuple[int, int]]]:
    """Of each set that a model was asked, the task last: (prompt tokens, answer tokens), batch by batch."""
    files = sorted(
        answer_files.answers_path(folder, model, "x").parent.glob("*.jsonl"), key=lambda f: f.stem.endswith("-report")
    )
    for file in files:
        rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        yield [(tokens(row["prompt"]), row["tokens"]) for row in rows]


def tokens(text: str) -> int:
    """About as many tokens as a prompt has."""
    return len(text) // CHARACTERS + TEMPLATE


def asked(sets: Sequence[Sequence[tuple[int, int]]]) -> Counter[str]:
    """The cost of a model's answers: a pass for each batch's prompts, then one a token of its longest answer."""
    found: Counter[str] = Counter()
    for rows in sets:
        for start in range(0, len(rows), BATCH_ROWS):
            batch = rows[start : start + BATCH_ROWS]
            found["forward_passes"] += 1
            found["forward_tokens"] += sum(prompt for prompt, _ in batch)
            found["answer_passes"] += max(answer for _, answer in batch)
            found["answer_tokens"] += sum(answer for _, answer in batch)
    return found


def search(result: Result, task: Sequence[tuple[int, int]]) -> Counter[str]:
    """The cost of the search: what both models are asked to begin with, a gradient a step, trials, and checks."""
    account = result.restoration
    assert account is not None
    options, steps = account.options, account.steps
    prompts = {name: [tokens(p.text) for p in load_prompts(name)] for name in ("capture_harmful", "general")}
    harmful, general = (prompts[name][:MAX_CAPTURE_PROMPTS] for name in ("capture_harmful", "general"))
    lines = round(mean(prompt for prompt, _ in task)) if task else 0
    terms = [
        sum(harmful) + options["harmful_tokens"] * len(harmful),
        sum(general) + options["general_tokens"] * len(general),
        (lines + min(options["task_tokens"], max((answer for _, answer in task), default=0)))
        * MAX_CAPTURE_ROWS
        * bool(task),
    ]
    passes, whole = sum(ceil(term / BATCH_TOKENS) for term in terms), sum(terms)
    tried = 2 + sum(trials(result))  # the teachers, and the objective before the first step
    found = Counter({"gradient_tokens": len(steps[1:]) * whole, "gradient_passes": len(steps[1:]) * passes})
    found += Counter({"forward_tokens": tried * whole, "forward_passes": tried * passes})
    for length, sets in ((REFUSAL_TOKENS, (harmful, general)), (8, (harmful, general))):
        found += asked([[(prompt, length) for prompt in rows] for rows in sets])
    checks = 1 + sum(step.harmful is not None for step in steps)  # the aligned model too
    validation = [(tokens(p.text), VALIDATION_TOKENS) for p in load_prompts("validate_harmful")]
    check = asked([validation, [*task, *task][:MAX_VALIDATION_ROWS]])
    return found + Counter({name: checks * count for name, count in check.items()})


def trials(result: Result) -> Iterator[int]:
    """How often each step's search computed the objective: k, k/2, ... until halving helps no longer."""
    account = result.restoration
    assert account is not None
    options, first = account.options, ceil(account.options["start"] * account.weights)
    for before, step in pairwise(account.steps):
        k, tried = ceil(before.k * options["growth"]) if before.k else first, 0
        while k >= options["smallest"]:
            k, tried = k // 2, tried + 1
            if step.k > 2 * k + 1:
                break
        yield tried


def main(places: Sequence[str]) -> None:
    for place in places:
        print(json.dumps(counted(Path(place))))


if __name__ == "__main__":
    main(sys.argv[1:])
