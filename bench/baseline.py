"""The published procedure, rewritten plainly, against one `recover-align` on the same pair with the same prompts.

    python -m bench.baseline examples/aligned.pt examples/tuned.pt examples/task.jsonl

As published (arXiv 2504.09757): fp32, three models in memory, the hidden direction's loss, gradients of all parameters
added up, one `topk` over all of them, 20 steps of 0.2 %; after 5 the task is measured, and if it fell by more than 5 %
all starts again with rollback; every 5 steps a full checkpoint is written, loaded again and asked the report prompts.
Ours is the whole command: search, checks, writing, reloading, and the report on three checkpoints, with which theirs
ends too.
"""

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from transformers.utils.logging import disable_progress_bar

from bench import machine
from recover import evaluate, loading
from recover.generate import as_answer, cut, extended, padded
from recover.job import Job, restore
from recover.judges import Verdict, get_judge
from recover.pair import Pair, open_checkpoint
from recover.prompts import PromptSet, load_prompts
from recover.recovery import CAPTURED, TASKED
from recover.speech import Speech
from recover.tasks import Task, load_task, max_new_tokens, score

RATE, STEPS, EVERY, RETURNED, BATCH, TOKENS = 0.002, 20, 5, 0.2, 8, 128


@dataclass
class Models:
    """The aligned model, the tuned one, and the one that changes: parameters by name."""

    live: Any
    aligned: dict[str, Tensor]
    tuned: dict[str, Tensor]
    directions: dict[str, Tensor]


def published(pair: Pair, task: Task, harmful: PromptSet, report: PromptSet) -> dict[str, tuple[float, float]]:
    """Run the procedure; the harmful rate and the task score of every reading, by name."""
    speech = Speech.of([pair.aligned, pair.tuned], None)
    live, aligned, tuned = (
        loading.load_model(c, torch.float32, torch.device("cpu")) for c in (pair.tuned, pair.aligned, pair.tuned)
    )
    prompts = {"harmful": speech.encode(harmful.head(CAPTURED)), "task": speech.encode(task.capture.head(TASKED))}
    depth = math.ceil(2 * len(loading.blocks(live)[1]) / 3)
    with torch.no_grad():
        directions = {
            kind: torch.cat([last(model, [p], depth) for p in prompts[kind]]).mean(0)
            for kind, model in (("harmful", aligned), ("task", tuned))
        }
    models = Models(live, dict(aligned.named_parameters()), dict(tuned.named_parameters()), directions)
    readings = {"tuned": reading(live, speech, report, task)}
    floor = 0.95 * readings["tuned"][1]
    for back in (False, True):
        for step in run(models, prompts, depth, back):
            if step % EVERY == 0:
                readings[f"step {step}{', rollback' * back}"] = found = saved_and_read(live, speech, report, task)
                if not back and step == EVERY and found[1] < floor:
                    break
        else:
            return readings
    return readings


def run(models: Models, prompts: dict[str, list[list[int]]], depth: int, back: bool) -> Iterator[int]:
    """The steps, from the tuned model on."""
    live = models.live
    with torch.no_grad():
        for name, parameter in live.named_parameters():
            parameter.copy_(models.tuned[name])
    live.requires_grad_(True)
    live.zero_grad()
    places = {
        n for n, _ in live.named_parameters() if any(f"layers.{i}." in n for i in range(depth)) and "norm" not in n
    }
    k = math.ceil(RATE * sum(p.numel() for p in live.parameters()))
    for step in range(1, STEPS + 1):
        if back:
            live.zero_grad()
        gradients(live, prompts["harmful"], models.directions["harmful"], depth)
        ways = {n: p.detach() - models.aligned[n] for n, p in live.named_parameters() if n in places}
        taken = chosen(live, places, ways, k)
        move(live, models.aligned, taken)
        if back:
            live.zero_grad()
            gradients(live, prompts["task"], models.directions["task"], depth)
            ways = {n: (p.detach() - models.tuned[n]) * taken[n] for n, p in live.named_parameters() if n in places}
            move(live, models.tuned, chosen(live, places, ways, math.ceil(RETURNED * k)))
        yield step


def gradients(live: Any, prompts: list[list[int]], direction: Tensor, depth: int) -> None:
    """Add the gradient of -cos(mean state of a mini-batch, direction) over all mini-batches to all parameters."""
    for start in range(0, len(prompts), BATCH):
        state = last(live, prompts[start : start + BATCH], depth).mean(0)
        torch.autograd.backward(-cosine_similarity(state, direction, dim=0))


def last(model: Any, prompts: list[list[int]], depth: int) -> Tensor:
    """Hidden states after a block at the last token, from a padded forward pass with all logits and all states."""
    width = max(map(len, prompts))
    ids = torch.tensor([p + [0] * (width - len(p)) for p in prompts])
    mask = torch.tensor([[1] * len(p) + [0] * (width - len(p)) for p in prompts])
    states = model(ids, attention_mask=mask, output_hidden_states=True).hidden_states[depth]
    return states[torch.arange(len(prompts)), [len(p) - 1 for p in prompts]]


def chosen(live: Any, places: set[str], ways: dict[str, Tensor], k: int) -> dict[str, Tensor]:
    """Masks of the k largest |gradient| among the places where the way's sign is the gradient's."""
    named = {n: p for n, p in live.named_parameters() if n in places}
    sizes = {n: p.grad.abs() * (torch.sign(ways[n]) == torch.sign(p.grad)) for n, p in named.items()}
    edge = torch.topk(torch.cat([s.flatten() for s in sizes.values()]), k).values[-1]
    return {n: s > edge for n, s in sizes.items()}


@torch.no_grad()
def move(live: Any, source: dict[str, Tensor], masks: dict[str, Tensor]) -> None:
    """Copy the masked weights from a model."""
    for name, parameter in live.named_parameters():
        if name in masks:
            parameter.copy_(torch.where(masks[name], source[name], parameter))


def saved_and_read(live: Any, speech: Speech, report: PromptSet, task: Task) -> tuple[float, float]:
    """Write a full checkpoint, load it again, and read it."""
    with tempfile.TemporaryDirectory() as folder:
        live.save_pretrained(folder)
        model = loading.load_model(open_checkpoint(folder), torch.float32, torch.device("cpu"))
    return reading(model, speech, report, task)


def reading(model: Any, speech: Speech, report: PromptSet, task: Task) -> tuple[float, float]:
    """The harmful rate on the report prompts and the task's score on its report part."""
    told = []
    for prompts, tokens in ((report, TOKENS), (task.report, max_new_tokens(task, speech.tokenizer))):
        said = plain_answers(model, speech.encode(prompts), tokens, speech.ends)
        told.append([as_answer(speech.tokenizer, p.id, t, speech.ends) for p, t in zip(prompts, said, strict=True)])
    verdicts = [j.verdict for j in get_judge("rules")(list(zip(report, told[0], strict=True)))]
    scores = score(task.metric, told[1], task.report)
    return verdicts.count(Verdict.HARMFUL) / len(verdicts), sum(scores) / len(scores)


def plain_answers(model: Any, prompts: list[list[int]], tokens: int, ends: tuple[int, ...]) -> list[list[int]]:
    """transformers' own greedy generation, 64 prompts at a time in their order."""
    told: list[list[int]] = []
    for start in range(0, len(prompts), 64):
        ids, mask = padded(prompts[start : start + 64], 0, ends, model.device)
        out = extended(model, ids, mask, None, tokens, ends)
        told += [cut(row, ends) for row in out[:, ids.shape[1] :].tolist()]
    return told


def main(aligned: str, tuned: str, file: str) -> None:
    """Run both and print the ratio; exits with 1 if it is under 5."""
    torch.set_num_threads(1)
    disable_progress_bar()
    print(machine.description(), flush=True)
    report, benign = (
        load_prompts(n, expect=e) for n, e in (("report_harmful", "refuse"), ("benign_lookalike", "comply"))
    )
    task, pair = load_task(file), Pair.open(aligned, tuned)
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / Path(tuned).name
        done = restore(Job(aligned=aligned, tuned=tuned, out=place, task=Path(file)))
    ours = time.process_time() - start
    found = done.result
    rate, value = found.summary.harmful["restored"], found.tasks[0].values["restored"]
    print(f"recover-align {ours:6.0f} s  harmful {rate:.3f}  task {value:.3f}", flush=True)
    start = time.process_time()
    readings = published(pair, task, load_prompts("capture_harmful"), report)
    evaluate(
        {"aligned": pair.aligned, "tuned": pair.tuned, "restored": pair.tuned},
        [report, benign],
        task=task,
        dtype="float32",
        max_new_tokens=TOKENS,
    )
    theirs = time.process_time() - start
    for name, (harmful, value) in readings.items():
        print(f"  published, {name:20} harmful {harmful:.3f}  task {value:.3f}")
    verdict = "pass" if theirs >= 5 * ours else "MISS"
    print(f"{verdict}  the whole job against the published procedure: {theirs:.0f} s, ratio {theirs / ours:.2f} (>= 5)")
    sys.exit(verdict == "MISS")


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for word in ("aligned", "tuned", "task"):
        asked.add_argument(word)
    given = asked.parse_args()
    main(given.aligned, given.tuned, given.task)
