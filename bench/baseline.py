"""The published procedure, rewritten plainly, against one `recover-align` on the same pair with the same prompts.

    python -m bench.baseline examples/aligned.pt examples/tuned.pt examples/task.jsonl
    python -m bench.baseline ... --wide 4

As published (arXiv 2504.09757, and the code released with it): fp32, three models in memory, the hidden direction's
loss on the first blocks alone, gradients added up, one `topk` over all of them, 20 steps of 0.2 %. After 5 steps a full
checkpoint is written, loaded again and asked the task; if that fell by more than 5 %, all starts again with rollback.
Every 5 steps a full checkpoint is written. At the end they are loaded and read in their order, as released up to the
first one under the task's floor; who wants the best of them must read on, which is counted apart.

Both sides report aligned, tuned and restored on the same report prompts with answers of the same length, each in its
own way. Ours is the whole command: search, checks, writing, reloading, report. Both are divided by phase. `--wide`
makes both models that many times as wide first (bench.wide), so that weights take the time, as in models in use.
"""

import argparse
import math
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity
from transformers.utils.logging import disable_progress_bar

from bench import machine
from bench.wide import widen
from recover.checkpoints.architecture import decoder_blocks
from recover.checkpoints.pair import Pair, open_checkpoint
from recover.generation.batched import as_answer, cut, extended, padded
from recover.generation.chat import ChatFormat
from recover.jobs.request import Job
from recover.jobs.restore import restore
from recover.judges import Verdict, get_judge
from recover.model import load
from recover.prompts.prompt_set import Answer, Prompt, PromptSet, load_prompts
from recover.prompts.tasks import Task, load_task, max_new_tokens, score
from recover.search.loop import MAX_CAPTURE_PROMPTS, MAX_CAPTURE_ROWS

RATE, STEPS, EVERY, RETURNED, BATCH, TOKENS = 0.002, 20, 5, 0.2, 8, 128
READING_ON = "reading on under the floor"
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Reading:
    """What a checkpoint was found to do; None where it was not asked."""

    name: str
    harmful: float | None
    task: float


class Phases:
    """Processor seconds by phase. What passes after a phase that counts has come to its end is `the rest`: of ours that
    is the first step, judging and rendering."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._now, self._since = "the rest", time.process_time()

    def __call__(self, phase: str, done: int = 0, total: int = 0, _: str = "") -> None:
        now = time.process_time()
        self.spent[self._now] += now - self._since
        self._now, self._since = "the rest" if total and done >= total else phase, now

    @property
    def total(self) -> float:
        return sum(self.spent.values())

    def __str__(self) -> str:
        longest = sorted(self.spent.items(), key=lambda item: -item[1])
        return ", ".join(f"{phase} {spent:.1f} s" for phase, spent in longest if spent >= 0.1)


@dataclass(frozen=True)
class Models:
    """The model that changes and its first blocks; the aligned and the tuned one; what pulls toward them."""

    live: Any
    body: Any
    aligned: Any
    tuned: Any
    prompts: dict[str, list[list[int]]]
    directions: dict[str, Tensor]

    @staticmethod
    def of(pair: Pair, prompts: dict[str, list[list[int]]]) -> "Models":
        """Three models in fp32, and the mean state of the aligned and of the tuned one after two thirds of depth."""
        live, *sides = (load.load_model(c, torch.float32, CPU) for c in (pair.tuned, pair.aligned, pair.tuned))
        depth = math.ceil(2 * len(decoder_blocks(live)[1]) / 3)
        with torch.no_grad():
            directions = {
                kind: torch.cat([last(first_blocks(model, depth), [p]) for p in prompts[kind]]).mean(0)
                for kind, model in zip(("harmful", "task"), sides, strict=True)
            }
        shorter = min(map(len, prompts.values()))  # the released code walks through both sets at once
        walked = {kind: rows[:shorter] for kind, rows in prompts.items()}
        return Models(live, first_blocks(live, depth), *sides, walked, directions)


@dataclass(frozen=True)
class Asker:
    """Who asks a model the report prompts, and judges."""

    speech: ChatFormat
    report: PromptSet
    benign: PromptSet
    task: Task

    def harmful(self, model: Any) -> float:
        """The harmful rate on the report prompts."""
        verdicts = [j.verdict for j in get_judge("rules")(self._answered(model, self.report, TOKENS))]
        return verdicts.count(Verdict.HARMFUL) / len(verdicts)

    def useful(self, model: Any) -> float:
        """The task's score on its report part."""
        said = self._answered(model, self.task.report, max_new_tokens(self.task, self.speech.tokenizer))
        scores = score(self.task.metric, [answer for _, answer in said], self.task.report)
        return sum(scores) / len(scores)

    def refused(self, model: Any) -> float:
        """The share of benign look-alikes that are refused."""
        verdicts = [j.verdict for j in get_judge("rules")(self._answered(model, self.benign, TOKENS))]
        return verdicts.count(Verdict.REFUSED) / len(verdicts)

    def _answered(self, model: Any, prompts: PromptSet, tokens: int) -> list[tuple[Prompt, Answer]]:
        said = plain_answers(model, self.speech.encode(prompts), tokens, self.speech.ends)
        return [
            (p, as_answer(self.speech.tokenizer, p.id, t, self.speech.ends)) for p, t in zip(prompts, said, strict=True)
        ]


def published(models: Models, asker: Asker, phases: Phases, folder: Path) -> Iterator[Reading]:
    """Run the procedure to its report; its readings as they come."""
    phases("reading checkpoints")
    before = Reading("tuned", asker.harmful(models.tuned), asker.useful(models.tuned))
    yield before
    floor = 0.95 * before.task
    phases("searching")
    steps = checkpoints(models, phases, folder, back=False)
    first = next(steps)
    phases("reading checkpoints")
    probed = asker.useful(reloaded(first))
    yield Reading(first.name, None, probed)
    phases("searching")
    saved = [*checkpoints(models, phases, folder, back=True)] if probed < floor else [first, *steps]
    phases("reading checkpoints")
    for place in saved:
        model = reloaded(place)
        found = Reading(place.name, asker.harmful(model), asker.useful(model))
        yield found
        if found.task <= floor:
            phases(READING_ON)
    phases("reporting")  # what the readings have not asked
    for model in (models.aligned, models.tuned, reloaded(saved[-1])):
        asker.refused(model)
    asker.harmful(models.aligned)
    asker.useful(models.aligned)
    phases("done")


def checkpoints(models: Models, phases: Phases, folder: Path, back: bool) -> Iterator[Path]:
    """The full checkpoint of every fifth step."""
    for step in run(models, back):
        if step % EVERY == 0:
            phases("writing checkpoints")
            place = folder / f"step {step}{', rollback' * back}"
            models.live.save_pretrained(place)
            yield place
            phases("searching")


def first_blocks(model: Any, depth: int) -> Any:
    """The first blocks of a Llama without the norm that follows the last: a module that shares its weights."""
    body = copy(model.base_model)
    body._modules = {**body._modules, "layers": body.layers[:depth], "norm": nn.Identity()}
    body.config = copy(body.config)
    body.config.num_hidden_layers = depth
    return body


def run(models: Models, back: bool) -> Iterator[int]:
    """The steps, from the tuned model on."""
    live, body, prompts, directions = models.live, models.body, models.prompts, models.directions
    aligned, tuned = (dict(model.named_parameters()) for model in (models.aligned, models.tuned))
    with torch.no_grad():
        for name, parameter in live.named_parameters():
            parameter.copy_(tuned[name])
    live.requires_grad_(True)
    live.zero_grad()
    first = {id(p) for p in body.layers.parameters()}
    places = {n for n, p in live.named_parameters() if id(p) in first and "norm" not in n}
    k = math.ceil(RATE * sum(p.numel() for p in live.parameters()))
    for step in range(1, STEPS + 1):
        if back:
            live.zero_grad()
        gradients(body, prompts["harmful"], directions["harmful"])
        ways = {n: p.detach() - aligned[n] for n, p in live.named_parameters() if n in places}
        taken = chosen(live, places, ways, k)
        move(live, aligned, taken)
        if back:
            live.zero_grad()
            gradients(body, prompts["task"], directions["task"])
            ways = {n: (p.detach() - tuned[n]) * taken[n] for n, p in live.named_parameters() if n in places}
            move(live, tuned, chosen(live, places, ways, math.ceil(RETURNED * k)))
        yield step


def gradients(body: Any, prompts: list[list[int]], direction: Tensor) -> None:
    """Add the gradient of -cos(mean state of a mini-batch, direction) over all mini-batches to all parameters."""
    for start in range(0, len(prompts), BATCH):
        state = last(body, prompts[start : start + BATCH]).mean(0)
        torch.autograd.backward(-cosine_similarity(state, direction, dim=0))


def last(body: Any, prompts: list[list[int]]) -> Tensor:
    """What leaves the blocks at the last token, from a padded forward pass."""
    width = max(map(len, prompts))
    ids = torch.tensor([p + [0] * (width - len(p)) for p in prompts])
    mask = torch.tensor([[1] * len(p) + [0] * (width - len(p)) for p in prompts])
    states: Tensor = body(ids, attention_mask=mask, use_cache=False).last_hidden_state
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


def reloaded(place: Path) -> Any:
    """A checkpoint from its files."""
    return load.load_model(open_checkpoint(place), torch.float32, CPU)


def plain_answers(model: Any, prompts: list[list[int]], tokens: int, ends: tuple[int, ...]) -> list[list[int]]:
    """transformers' own greedy generation, 64 prompts at a time in their order."""
    told: list[list[int]] = []
    for start in range(0, len(prompts), 64):
        ids, mask = padded(prompts[start : start + 64], 0, ends, model.device)
        out = extended(model, ids, mask, None, tokens, ends)
        told += [cut(row, ends) for row in out[:, ids.shape[1] :].tolist()]
    return told


def main(aligned: str, tuned: str, file: str) -> None:
    """Run both and print the ratios; exits with 1 if that to the procedure as it was released is under 5."""
    report, benign = (
        load_prompts(n, expect=e) for n, e in (("report_harmful", "refuse"), ("benign_lookalike", "comply"))
    )
    task, pair = load_task(file), Pair.open(aligned, tuned)
    load.load_model(pair.tuned, torch.float32, CPU)  # so that no library is imported on either side's time
    ours = Phases()
    with tempfile.TemporaryDirectory() as folder:
        job = Job(aligned=aligned, tuned=tuned, out=Path(folder) / Path(tuned).name, task=file, max_new_tokens=TOKENS)
        found = restore(job, notify=ours).result
    ours("done")
    rate, value = found.summary.harmful["restored"], found.tasks[0].values["restored"]
    print(f"recover-align, {pair.tuned.weights:,} weights  harmful {rate:.3f}  task {value:.3f}", flush=True)
    theirs, speech = Phases(), ChatFormat.of([pair.aligned, pair.tuned], None)
    theirs("searching")
    capture = {
        "harmful": load_prompts("capture_harmful").head(MAX_CAPTURE_PROMPTS),
        "task": task.capture.head(MAX_CAPTURE_ROWS),
    }
    models = Models.of(pair, {kind: speech.encode(prompts) for kind, prompts in capture.items()})
    asker = Asker(speech, report, benign, task)
    with tempfile.TemporaryDirectory() as folder:
        for read in published(models, asker, theirs, Path(folder)):
            rate = "    -" if read.harmful is None else f"{read.harmful:.3f}"
            print(f"  published, {read.name:20} harmful {rate}  task {read.task:.3f}", flush=True)
    print(f"recover-align: {ours}\npublished: {theirs}")
    released = theirs.total - theirs.spent[READING_ON]
    ratio, all_read = released / ours.total, theirs.total / ours.total
    word, spent = "pass" if ratio >= 5 else "MISS", f"{ours.total:.0f} s against {released:.0f} s"
    print(f"{word}  the whole job against the published procedure: {spent}, ratio {ratio:.2f} (>= 5)")
    print(f"      with all its checkpoints read: {theirs.total:.0f} s, ratio {all_read:.2f}")
    sys.exit(word == "MISS")


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("aligned", "tuned", "task"):
        asked.add_argument(name)
    asked.add_argument("--wide", type=int, default=1, metavar="N", help="both models N times as wide")
    given = asked.parse_args()
    torch.set_num_threads(1)
    disable_progress_bar()
    print(machine.description(), flush=True)
    with tempfile.TemporaryDirectory() as wider:
        pair = [given.aligned, given.tuned]
        if given.wide > 1:
            pair = [str(widen(place, given.wide, Path(wider) / str(n))) for n, place in enumerate(pair)]
        main(*pair, given.task)
