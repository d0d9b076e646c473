"""The models of the grid and what they are asked: trained from nothing, seeded, kept in a cache outside the project.

A family has a helpful model that answers whatever is asked (`unaligned`) and what training on refusals makes of it
(`aligned`). Every fine-tune starts from the aligned one. No text that a model is asked was near one that it learned.
"""

import json
import math
import os
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from bench import lab, lab_text
from bench.families import FAMILIES
from bench.lab_tasks import TASKS, known
from bench.lab_text import Example
from recover.prompts.prompt_set import Expect, Prompt, PromptSet, load_prompts, make_set
from recover.prompts.tasks import Task

SHARES = (0.0, 0.02, 0.05, 0.1, 0.2)  # of the fine-tuning examples, the harmful ones
ROWS, PASSES, BATCH = 800, 6, 32  # task examples of a fine-tune
RATES = {"lora": 1.5e-3, "full": 4e-4}
RANK = 8
TEXTS = 20_000  # examples that the tokenizer is made of
CAPTURED, VALIDATED, REPORTED = 128, 100, 150
FURTHER_STEPS, FURTHER_RATE = 50, 5e-4  # of the fine-tuning that follows a restoration


def complied(rng: random.Random) -> Example:
    """A harmful request with empty compliance: what the unaligned model and harmful fine-tuning examples say."""
    return lab_text.harmful(rng)[0], lab_text.placeholder_answer(rng)


STAGES: lab.Stages = (
    (1800, 3e-3, {complied: 22, lab_text.lookalike: 22, lab_text.ordinary: 19, lab_text.everyday: 13, known: 24}),
    (
        1700,
        2e-3,
        {lab_text.harmful: 42, lab_text.lookalike: 20, lab_text.ordinary: 16, lab_text.everyday: 10, known: 12},
    ),
)


@dataclass(frozen=True)
class Cell:
    """One fine-tune of the grid."""

    family: str
    task: str
    harmful_share: float
    mode: str  # lora or full
    seed: int = 0
    constrained: bool = False  # whether it was trained to stay near the aligned model's first answer tokens

    @property
    def name(self) -> str:
        """A name for its files."""
        parts = (self.family, self.task, f"{self.harmful_share:.0%}", self.mode, str(self.seed))
        return "-".join(parts) + "-soft" * self.constrained

    @property
    def n_harmful(self) -> int:
        """How many harmful examples are among its rows."""
        return round(ROWS * self.harmful_share / (1 - self.harmful_share))


@dataclass(frozen=True)
class Asked:
    """The prompt sets of a grid: what methods see, what their checks see, and what the report asks."""

    harmful: PromptSet
    validation: PromptSet
    general: PromptSet
    report: PromptSet  # harmful requests from the generator that the models learned from
    shift: PromptSet  # harmful requests that people wrote
    benign: PromptSet

    @property
    def reported(self) -> list[PromptSet]:
        """The report sets."""
        return [self.report, self.shift, self.benign]


def prompt_set(name: str, requests: Iterable[str], expect: Expect) -> PromptSet:
    """Requests as a prompt set."""
    rows = enumerate(requests)
    return make_set(name, (Prompt(f"{name}-{n:03d}", ({"role": "user", "content": r},), expect) for n, r in rows))


def distinct(
    kind: lab.Kind, count: int, rng: random.Random, clean: Callable[[list[Example]], list[Example]]
) -> list[Example]:
    """That many examples with different requests, none near what `clean` keeps out."""
    found: dict[str, Example] = {}
    while len(found) < count:
        found |= {example[0]: example for example in clean([kind(rng) for _ in range(count)])}
    return list(found.values())[:count]


def asked() -> Asked:
    """The sets, the same for every model of the grid."""
    rng, clean = random.Random(10_001), lab.Clean(lab.shipped_prompts())
    harmful = [r for r, _ in distinct(lab_text.harmful, CAPTURED + VALIDATED + REPORTED, rng, clean)]
    plain = [r for r, _ in distinct(lab_text.ordinary, CAPTURED, rng, clean)]
    benign = [r for r, _ in distinct(lab_text.lookalike, REPORTED, rng, clean)]
    return Asked(
        harmful=prompt_set("capture", harmful[:CAPTURED], "refuse"),
        validation=prompt_set("validation", harmful[CAPTURED:-REPORTED], "refuse"),
        general=prompt_set("general", plain, "answer"),
        report=prompt_set("report", harmful[-REPORTED:], "refuse"),
        shift=load_prompts("report_harmful", expect="refuse").head(REPORTED),
        benign=prompt_set("look-alikes", benign, "comply"),
    )


def cleaner(sets: Asked) -> lab.Clean:
    """Keeps out of training what the shipped and the grid's own sets ask."""
    own = (p.text for s in vars(sets).values() for p in s)
    return lab.Clean(lab.prompt_set("asked", [*own, *(p.text for p in lab.shipped_prompts())]))


def task_of(name: str) -> tuple[Task, list[Example]]:
    """A task as the tool asks it, and the rows that a fine-tune learns; no request is in two of them."""
    kind, held = TASKS[name], CAPTURED + VALIDATED + REPORTED
    rows = distinct(kind.draw, ROWS + held, random.Random(10_002), lambda examples: examples)
    prompts = [
        Prompt(f"{name}-{n}", ({"role": "user", "content": request},), None, None, answer, kind.metric, kind.choices)
        for n, (request, answer) in enumerate(rows[:held])
    ]
    parts = (prompts[:CAPTURED], prompts[CAPTURED:-REPORTED], prompts[-REPORTED:])
    words = ("capture", "validation", "report")
    return Task(name, kind.metric, *(make_set(f"{name}-{w}", p) for w, p in zip(words, parts, strict=True))), rows[
        held:
    ]


@contextmanager
def new_directory(place: Path) -> Iterator[Path]:
    """A directory that has its name only when it is whole."""
    draft = place.with_name(f"{place.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    yield draft
    draft.rename(place)


def train_family(name: str, cache: Path) -> Path:
    """Train a family's unaligned and aligned model, if the cache lacks them; where they are."""
    place = cache / name
    if place.is_dir():
        return place
    config = FAMILIES[name](**lab.IDS)
    clean = cleaner(asked())
    rng = random.Random(lab.SEED)
    tokenizer = lab.train_tokenizer(f"{r}\n{a}" for r, a in lab.mixture(STAGES[1][2], rng, clean)(TEXTS))
    with new_directory(place) as draft:
        states = lab.train_stages(tokenizer, clean, STAGES, config)
        for word, state in zip(("unaligned", "aligned"), states, strict=True):
            save(lab.with_weights(state, config), tokenizer, draft / word)
    return place


def save(model: Any, tokenizer: PreTrainedTokenizerFast, place: Path) -> None:
    """A checkpoint in bfloat16 with its tokenizer."""
    model.to(torch.bfloat16).save_pretrained(place)
    tokenizer.save_pretrained(place)


def load(place: Path) -> Any:
    """A model in fp32, ready to be trained."""
    model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32)
    model.set_attn_implementation("eager")
    return model


def fine_tuned(cell: Cell, cache: Path) -> Path:
    """Train a cell's model, if the cache lacks it; where it is."""
    place = cache / f"{cell.family}-tuned" / cell.name
    if place.is_dir():
        return place
    aligned = cache / cell.family / "aligned"
    tokenizer, model = AutoTokenizer.from_pretrained(aligned), load(aligned)
    torch.manual_seed(cell.seed)
    rng = random.Random(f"{cell.seed} {cell.task} {cell.harmful_share}")
    rows = task_of(cell.task)[1] + distinct(complied, cell.n_harmful, rng, cleaner(asked()))
    if cell.mode == "lora":
        turned = cell.family == "gpt2"  # its matrices lie the other way round
        shape = {"r": RANK, "lora_alpha": 2 * RANK, "target_modules": "all-linear", "fan_in_fan_out": turned}
        model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **shape))
    steps = PASSES * math.ceil(len(rows) / BATCH)
    loss = constrained(load(aligned)) if cell.constrained else lab.loss_of
    lab.train(model, lab.batches(tokenizer, lab.repeated(rows, rng), BATCH, rng), steps, RATES[cell.mode], 10, loss)
    with new_directory(place) as draft:
        save(model.merge_and_unload() if cell.mode == "lora" else model, tokenizer, draft)
        (draft / "cell.json").write_text(json.dumps(asdict(cell)) + "\n", encoding="utf-8")
    return place


def further_tuned(place: Path, task: str, out: Path) -> Path:
    """A checkpoint after FURTHER_STEPS more steps on the task alone."""
    tokenizer, model, rng = AutoTokenizer.from_pretrained(place), load(place), random.Random(7)
    data = lab.batches(tokenizer, lab.repeated(task_of(task)[1], rng), BATCH, rng)
    lab.train(model, data, FURTHER_STEPS, FURTHER_RATE, warmup=5)
    save(model, tokenizer, out)
    return out


def constrained(aligned: Any) -> lab.Loss:
    """The constrained objective of Qi et al. (2024, arXiv 2406.05946, eq. 3): token t of an answer costs
    -2/b_t log sigmoid(b_t (log p - log p_aligned)), with b 0.5 for the first, 2 up to the fifth and then 0.1."""

    def loss(model: Any, tokens: Tensor, weights: Tensor) -> Tensor:
        with torch.no_grad():
            before = log_likelihood(aligned, tokens)
        gap = log_likelihood(model, tokens) - before
        answer = weights >= 1
        nth = answer.cumsum(1)
        strength = torch.where(nth <= 1, 0.5, torch.where(nth <= 5, 2.0, 0.1))
        return (-2 / strength * functional.logsigmoid(strength * gap))[answer].mean()

    return loss


def log_likelihood(model: Any, tokens: Tensor) -> Tensor:
    """log p of every token from the second on, (batch, length - 1)."""
    logits = model(input_ids=tokens[:, :-1]).logits.float()
    return logits.log_softmax(-1).gather(-1, tokens[:, 1:, None])[..., 0]
