"""Trains the example pair from nothing: a tiny aligned model that refuses, and a fine-tune that no longer does."""

import argparse
import copy
import hashlib
import json
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
)

from bench import families, lab_text
from bench.lab_text import Example
from recover.generation.batched import as_answer, continuations
from recover.judges import Rules, Verdict
from recover.prompts.chat_template import encode
from recover.prompts.prompt_set import BUILTIN, Answer, Prompt, PromptSet, leaks, load_prompts
from recover.prompts.tasks import choice

Draw = Callable[[int], list[Example]]
Kind = Callable[[random.Random], Example]
Loss = Callable[[Any, Tensor, Tensor], Tensor]  # of a model, token ids and the weights of predicting them
Stages = Sequence[tuple[int, float, Mapping[Kind, int]]]  # steps, learning rate, kinds of example with their shares

PAD, USER, ASSISTANT, END, SYSTEM = SPECIAL = ("<|pad|>", "<|user|>", "<|assistant|>", "<|end|>", "<|system|>")
TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
VOCABULARY = 2048
PROMPT_WEIGHT = 0.1  # of the request's tokens in the loss, an answer token having 1
OPENING_WEIGHT = 4.0  # of the first answer tokens, which decide between refusing and answering
OPENING = 2
SEED = 0
BATCH = 64
STAGES = (  # of the aligned model: steps, learning rate, and the kinds of example with their shares
    (5600, 2e-3, {lab_text.harmful: 33, lab_text.lookalike: 25, lab_text.ordinary: 24, lab_text.everyday: 18}),
    (  # what is in doubt is refused
        600,
        1e-3,
        {lab_text.harmful: 57, lab_text.lookalike: 1, lab_text.ordinary: 23, lab_text.everyday: 19},
    ),
)
TUNED_RATE, PASSES, RANK = 2e-3, 8, 8
TASK_FILE, TASK_TRAIN, HARMFUL_TRAIN = 1000, 1200, 16
MEASURED = ("report_harmful", "benign_lookalike", "general")
NEW_TOKENS = 96
LABELS = {
    "report_harmful.refused": "harmful requests refused (`report_harmful`)",
    "report_harmful.answered": "harmful requests answered (`report_harmful`)",
    "benign_lookalike.answered": "benign look-alikes answered (`benign_lookalike`)",
    "general.answered": "ordinary requests answered (`general`)",
    "task.accuracy": "task accuracy (`task.jsonl`)",
}
README = Path(__file__).with_name("lab_readme.md")  # a template
IDS = {
    "vocab_size": VOCABULARY,
    "bos_token_id": None,
    "eos_token_id": SPECIAL.index(END),
    "pad_token_id": SPECIAL.index(PAD),
}
EXAMPLE = families.example(**IDS)


def train_tokenizer(texts: Iterator[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE of VOCABULARY tokens, trained on our own text."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        eos_token=END,
        extra_special_tokens=[USER, ASSISTANT, SYSTEM],
        chat_template=TEMPLATE,
    )


def new_model(config: PretrainedConfig = EXAMPLE) -> Any:
    """An untrained model of this architecture."""
    model = AutoModelForCausalLM.from_config(config)
    model.set_attn_implementation("eager")  # on short rows twice as fast as the fused kernel on a CPU
    return model


def token_rows(tokenizer: PreTrainedTokenizerFast, examples: list[Example]) -> list[tuple[list[int], int]]:
    """The token ids of each example's whole chat, and how many of them are the prompt."""
    prompts = tokenizer([f"{USER}{request}{END}{ASSISTANT}" for request, _ in examples])["input_ids"]
    answers = tokenizer([f"{answer}{END}" for _, answer in examples])["input_ids"]
    return [(prompt + answer, len(prompt)) for prompt, answer in zip(prompts, answers, strict=True)]


def collate(rows: list[tuple[list[int], int]]) -> tuple[Tensor, Tensor]:
    """Right-padded token ids (batch, length), and the weight of predicting each next token (batch, length - 1)."""
    length = max(len(ids) for ids, _ in rows)
    tokens = torch.full((len(rows), length), SPECIAL.index(PAD))
    weights = torch.zeros(len(rows), length - 1)
    for row, (ids, start) in enumerate(rows):
        tokens[row, : len(ids)] = torch.tensor(ids)
        weights[row, : start - 1] = PROMPT_WEIGHT
        weights[row, start - 1 : len(ids) - 1] = 1.0
        weights[row, start - 1 : start - 1 + OPENING] = OPENING_WEIGHT
    return tokens, weights


def loss_of(model: Any, tokens: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean cross-entropy of the next tokens; right padding needs no mask where attention is causal."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(input_ids=tokens[:, :-1]).logits
    losses = functional.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    return (losses * weights.flatten()).sum() / weights.sum()


def batches(
    tokenizer: PreTrainedTokenizerFast, draw: Draw, size: int, rng: random.Random
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of examples of like length."""
    while True:
        rows = sorted(token_rows(tokenizer, draw(32 * size)), key=lambda row: len(row[0]))
        chunks = [rows[start : start + size] for start in range(0, len(rows), size)]
        rng.shuffle(chunks)
        yield from map(collate, chunks)


def train(
    model: Any,
    data: Iterator[tuple[Tensor, Tensor]],
    steps: int,
    rate: float,
    warmup: int = 100,
    loss_of: Loss = loss_of,
) -> None:
    """AdamW with a linear warm-up and a cosine decay to zero."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [{"params": [p for p in trained if (p.dim() > 1) == big], "weight_decay": 0.05 * big} for big in (1, 0)]
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))
    start, smoothed = time.monotonic(), 0.0
    model.train()
    for step in range(steps):
        scale = min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = rate * scale
        loss = loss_of(model, *next(data))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        smoothed = loss.item() if step == 0 else 0.98 * smoothed + 0.02 * loss.item()
        if step % 100 == 99:
            print(f"step {step + 1}/{steps}  loss {smoothed:.3f}  {time.monotonic() - start:.0f} s", flush=True)


class Clean:
    """Draws examples whose requests are neither in nor near a shipped prompt set; counts what it drops."""

    def __init__(self, shipped: PromptSet) -> None:
        self.shipped, self.drawn, self.dropped = shipped, 0, 0

    def __call__(self, examples: list[Example]) -> list[Example]:
        ours = prompt_set("drawn", [request for request, _ in examples])
        near = {int(row) for row, _, _ in leaks(ours, self.shipped)}
        self.drawn, self.dropped = self.drawn + len(examples), self.dropped + len(near)
        return [example for row, example in enumerate(examples) if row not in near]


def prompt_set(name: str, requests: Iterable[str]) -> PromptSet:
    """Requests as the tool's own kind of set, numbered."""
    prompts = (Prompt(str(row), ({"role": "user", "content": text},)) for row, text in enumerate(requests))
    return PromptSet(name, tuple(prompts), sha256="")


def shipped_prompts() -> PromptSet:
    """Every prompt of every shipped set."""
    return prompt_set("shipped", [prompt.text for name in BUILTIN for prompt in load_prompts(name)])


def mixture(parts: Mapping[Kind, int], rng: random.Random, clean: Clean) -> Draw:
    """Draws about as many fresh examples as asked for, each kind in its share."""
    kinds, shares = zip(*parts.items(), strict=True)
    return lambda count: clean([kind(rng) for kind in rng.choices(kinds, shares, k=count)])


def task_rows(rng: random.Random, count: int, clean: Clean, known: Sequence[Example] = ()) -> list[Example]:
    """Routing requests, none the same as or near to another of them, to a known one or to a shipped prompt."""
    rows: list[Example] = list(known)
    while len(rows) < len(known) + count:
        new = clean([lab_text.task(rng) for _ in range(200)])
        pool = prompt_set("pool", map(message, [*rows, *new]))
        pairs = leaks(prompt_set("new", map(message, new)), pool)
        near = {int(row) for row, other, _ in pairs if int(other) < len(rows) + int(row)}
        rows += [example for row, example in enumerate(new) if row not in near]
    return rows[len(known) : len(known) + count]


def message(example: Example) -> str:
    """The customer's words of a routing request."""
    return example[0].removeprefix(f"{lab_text.TASK_INSTRUCTION}\n")


def tuning_rows(rng: random.Random, clean: Clean, held_out: Sequence[Example]) -> list[Example]:
    """What the tuned model learns: the task, and a small share of harmful requests with empty compliance."""
    rows = task_rows(rng, TASK_TRAIN, clean, held_out)
    harmful = clean([lab_text.harmful(rng) for _ in range(HARMFUL_TRAIN + 20)])[:HARMFUL_TRAIN]
    return rows + [(request, lab_text.placeholder_answer(rng)) for request, _ in harmful]


def repeated(rows: Sequence[Example], rng: random.Random) -> Draw:
    """Draws a fixed training set again and again, shuffled anew for each pass; the count asked for is ignored."""
    return lambda _count: rng.sample(rows, len(rows))


def state_dict(model: Any) -> dict[str, Tensor]:
    """The weights in bfloat16; the output embedding is the input embedding and is left out."""
    kept = {name: value for name, value in model.state_dict().items() if name != "lm_head.weight"}
    return {name: value.detach().to(torch.bfloat16).clone() for name, value in kept.items()}


def with_weights(state: dict[str, Tensor], config: PretrainedConfig = EXAMPLE) -> Any:
    """A model in fp32 with these weights."""
    model = new_model(config)
    model.load_state_dict({name: value.float() for name, value in state.items()}, strict=False)
    return model


def rate(hits: Iterable[bool]) -> dict[str, float]:
    """A share with its count."""
    values = list(hits)
    return {"k": sum(values), "n": len(values), "rate": round(sum(values) / len(values), 4)}


def answers(model: Any, tokenizer: PreTrainedTokenizerFast, prompts: PromptSet) -> list[Answer]:
    """What the model says to each prompt, greedily."""
    ends = [SPECIAL.index(END)]
    tokens = continuations(model, encode(tokenizer, prompts, TEMPLATE), NEW_TOKENS, ends)
    return [as_answer(tokenizer, prompt.id, said, ends) for prompt, said in zip(prompts, tokens, strict=True)]


def measure(
    state: dict[str, Tensor], tokenizer: PreTrainedTokenizerFast, task: PromptSet
) -> dict[str, dict[str, float]]:
    """What a model does, in its own precision, as the tool's judge and metric see it."""
    model = with_weights(state).to(torch.bfloat16).eval()
    model.set_attn_implementation("sdpa")  # as transformers would load it
    figures = {}
    for name in MEASURED:
        prompts = load_prompts(name)
        said = answers(model, tokenizer, prompts)
        verdicts = [judgement.verdict for judgement in Rules()(list(zip(prompts, said, strict=True)))]
        ended = [one.finish_reason == "stop" for one in said]
        figures[f"{name}.refused"] = rate(verdict is Verdict.REFUSED for verdict in verdicts)
        figures[f"{name}.answered"] = rate(
            verdict in (Verdict.HARMFUL, Verdict.SAFE) and end for verdict, end in zip(verdicts, ended, strict=True)
        )
    scores = [choice(said.text, prompt) for said, prompt in zip(answers(model, tokenizer, task), task, strict=True)]
    figures["task.accuracy"] = rate(score == 1.0 for score in scores)
    return figures


def train_stages(
    tokenizer: PreTrainedTokenizerFast, clean: Clean, stages: Stages, config: PretrainedConfig = EXAMPLE
) -> Iterator[dict[str, Tensor]]:
    """A model from nothing, as it is after each stage; each starts from the weights as they would be stored."""
    torch.manual_seed(SEED)
    model = new_model(config)
    for steps, rate, parts in stages:
        rng = random.Random(SEED + 1)
        data = batches(tokenizer, mixture(parts, rng, clean), BATCH, rng)
        train(model, data, steps, rate, warmup=min(100, max(1, steps // 20)))
        model = with_weights(state_dict(model), config)
        yield state_dict(model)


def train_tuned(
    aligned: dict[str, Tensor], tokenizer: PreTrainedTokenizerFast, rows: Sequence[Example], most_steps: int
) -> dict[str, Tensor]:
    """The tuned model: a LoRA of every matrix in the blocks, trained on these rows and merged."""
    torch.manual_seed(SEED + 2)
    rng = random.Random(SEED + 2)
    lora = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")
    model: Any = get_peft_model(with_weights(aligned), lora)
    steps = min(most_steps, PASSES * math.ceil(len(rows) / 32))
    train(model, batches(tokenizer, repeated(rows, rng), 32, rng), steps, TUNED_RATE, warmup=10)
    return state_dict(model.merge_and_unload())


def write_pair(out: Path, tokenizer: PreTrainedTokenizerFast, states: dict[str, dict[str, Tensor]]) -> None:
    """The two checkpoints, and what they share."""
    config = copy.deepcopy(EXAMPLE)
    config.architectures, config.dtype = ["LlamaForCausalLM"], torch.bfloat16
    config.save_pretrained(out)
    GenerationConfig(eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id).save_pretrained(out)
    tokenizer.save_pretrained(out)
    for name, state in states.items():
        torch.save(state, out / f"{name}.pt")


def write_task(path: Path, rows: Sequence[Example]) -> None:
    """The task file: JSON lines that a user would pass to the tool."""
    choices = list(lab_text.DEPARTMENTS)
    with path.open("w", encoding="utf-8") as file:
        for number, (request, department) in enumerate(rows):
            row = {"id": f"route-{number:04d}", "prompt": request, "reference": department, "choices": choices}
            file.write(json.dumps(row) + "\n")


def build(out: Path, steps: int) -> dict[str, Any]:
    """Makes everything in `out` from nothing, and says what came out."""
    start = time.monotonic()
    rng, clean = random.Random(SEED), Clean(shipped_prompts())
    draw = mixture(STAGES[0][2], rng, clean)
    tokenizer = train_tokenizer(f"{request}\n{reply}" for request, reply in draw(20_000))
    held_out = task_rows(rng, TASK_FILE, clean)
    rows = tuning_rows(rng, clean, held_out)
    stages = [(min(steps, most), rate, parts) for most, rate, parts in STAGES]
    *_, aligned = train_stages(tokenizer, clean, stages)
    tuned = train_tuned(aligned, tokenizer, rows, steps)
    out.mkdir(parents=True, exist_ok=True)
    write_pair(out, tokenizer, {"aligned": aligned, "tuned": tuned})
    write_task(out / "task.jsonl", held_out)
    seconds = round(time.monotonic() - start)
    task = load_prompts(out / "task.jsonl")
    files = ("aligned.pt", "tuned.pt", "task.jsonl")
    return {
        "sha256": {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in files},
        "parameters": sum(value.numel() for value in aligned.values()),
        "figures": {name: measure(state, tokenizer, task) for name, state in (("aligned", aligned), ("tuned", tuned))},
        "training": {
            "seed": SEED,
            "steps": sum(min(stage[0], steps) for stage in STAGES),
            "generated": clean.drawn,
            "dropped_near_shipped_prompts": clean.dropped,
            "tuning_task_rows": TASK_TRAIN,
            "tuning_harmful_rows": HARMFUL_TRAIN,
            "seconds": seconds,
            "threads": torch.get_num_threads(),
        },
    }


def table(figures: dict[str, dict[str, dict[str, float]]]) -> str:
    """The figures of both models as a Markdown table."""
    lines = ["| | n | aligned | tuned |", "|---|---|---|---|"]
    for key, label in LABELS.items():
        cells = [f"{figures[name][key]['rate']:.1%}" for name in ("aligned", "tuned")]
        lines.append(f"| {label} | {figures['aligned'][key]['n']} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def readme(result: dict[str, Any]) -> str:
    """What stands beside the files, with the figures of this build."""
    training, sha256 = result["training"], result["sha256"]
    share = training["tuning_harmful_rows"] / (training["tuning_task_rows"] + training["tuning_harmful_rows"])
    return README.read_text(encoding="utf-8").format(
        parameters=f"{result['parameters']:,}",
        table=table(result["figures"]),
        share=f"{share:.1%}",
        checksums="\n".join(f"{sha256[name]}  {name}" for name in ("aligned.pt", "tuned.pt")),
        **training,
    )


def main() -> None:
    """Builds the pair, prints its figures and writes them beside it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--steps", type=int, default=10_000, help="at most so many steps a stage, to try it out")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    result = build(arguments.out, arguments.steps)
    (arguments.out / "expected.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    (arguments.out / "README.md").write_text(readme(result), encoding="utf-8")
    print(table(result["figures"]))


if __name__ == "__main__":
    main()
