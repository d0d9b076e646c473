"""The engine against what it replaces, as ratios in one run: `python -m bench.speed`, or `make bench` for all of them.

Random models and tokens, written to a temporary directory; time does not depend on what weights say. On an accelerator
time is the device's own, and what a step adds to its memory is told beside it; try `--size 1B` there. The rows on
memory are of the process. MFU is the share of a large matrix product's speed at which a step does what one forward and
backward must.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import kl_div
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils.logging import disable_progress_bar

from bench import machine
from recover.checkpoints.pair import Pair
from recover.model.device import pick_device
from recover.model.editable import EditableModel, gain
from recover.search.methods import defaults
from recover.search.methods.refusal_kl import CANDIDATES_PER_FLIP, refusal_kl
from recover.search.objective import KL, Passage, Target, padded, teach
from recover.search.ranking import rank, top_k

DEVICE = pick_device("auto")
VOCABULARY = 4096
PREFIX, OWN, ANSWER = 24, 16, 8  # tokens: what a chat template puts before every prompt, the prompt, its answer
SHAPES = {"5M": (256, 6), "12M": (384, 6), "50M": (640, 10), "160M": (1024, 13), "500M": (1536, 18)}  # width, blocks
SHAPES |= {"1B": (2048, 21), "3B": (3072, 26)}
GROWN = [*SHAPES] if DEVICE.type == "cuda" else [*SHAPES][:5]  # a processor takes minutes for a larger one's step


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured against its target."""

    name: str
    target: str
    measured: float
    passed: bool
    detail: str = ""


def at_least(name: str, target: float, measured: float, detail: str = "") -> Row:
    """A ratio that should be large."""
    return Row(name, f">= {target:g}", measured, measured >= target, detail)


def at_most(name: str, target: float, measured: float, detail: str = "") -> Row:
    """A ratio, or a number of seconds, that should be small."""
    return Row(name, f"<= {target:g}", measured, measured <= target, detail)


# What is measured ---------------------------------------------------------------------------------------------------


def config(width: int, blocks: int, dtype: torch.dtype) -> LlamaConfig:
    """A Llama of a width and depth."""
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=8 * width // 3 // 64 * 64,
        num_hidden_layers=blocks,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 64,
        tie_word_embeddings=True,
        dtype=dtype,
    )


def write_pair(folder: Path, width: int, blocks: int, dtype: torch.dtype) -> tuple[Path, Path]:
    """A random Llama, and the same with noise on every matrix in its blocks: a shard a block."""
    places = (folder / "aligned", folder / "tuned")
    index: dict[str, str] = {}
    for number in range(blocks + 1):
        torch.manual_seed(number)
        part = config(width, 1, dtype)
        state = LlamaForCausalLM(part).to(dtype).state_dict()
        inside = {n.replace("layers.0.", f"layers.{number}."): v for n, v in state.items() if ".layers." in n}
        outside = {n: v for n, v in state.items() if ".layers." not in n and n != "lm_head.weight"}
        tensors = inside if number < blocks else outside
        noisy = {n: v + 0.002 * torch.randn_like(v) if n in inside and v.dim() == 2 else v for n, v in tensors.items()}
        index |= dict.fromkeys(tensors, f"model-{number:03d}.safetensors")
        for place, values in zip(places, (tensors, noisy), strict=True):
            place.mkdir(parents=True, exist_ok=True)
            save_file(values, place / f"model-{number:03d}.safetensors", {"format": "pt"})
    for place in places:
        config(width, blocks, dtype).save_pretrained(place)
        (place / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return places


def passages(count: int) -> list[Passage]:
    """Random prompts with random answers, all of one length, after a common prefix."""
    tokens = torch.randint(VOCABULARY, (count, OWN + ANSWER - 1), generator=torch.Generator().manual_seed(1)).tolist()
    return [Passage((*range(PREFIX), *row), PREFIX + OWN - 1, ANSWER) for row in tokens]


def prepared(
    places: tuple[Path, Path], dtype: torch.dtype, prompts: int, offload: bool = False
) -> tuple[EditableModel, KL, int]:
    """The tuned model, the KL to the aligned one, and how many weights a first step ranks."""
    pair = Pair.open(*places)
    live = EditableModel(pair, dtype, DEVICE, offload)
    with live.as_aligned() as model:
        objective = KL({"harmful": teach(model, passages(prompts), VOCABULARY)})
    return live, objective, CANDIDATES_PER_FLIP * math.ceil(defaults(refusal_kl)["start"] * pair.tuned.weights)


def step(live: EditableModel, objective: KL, k: int) -> None:
    """Each of the two gradients of a step of refusal-kl: gradient pass, gains, exact ranking, flip, flip back."""
    flips = rank(live.gains(objective.losses({"harmful": 1.0})), k).first(k)
    live.flip(flips)
    live.flip(flips)


def ideal(live: EditableModel, objective: KL) -> None:
    """One forward and one backward of the same micro-batches into the same matrices, and nothing else."""
    matrices = [live.parameters[name] for name in live.matrices]
    for matrix in matrices:
        matrix.requires_grad_(True)
    for loss in objective.losses({"harmful": 1.0}):
        with torch.enable_grad():
            torch.autograd.backward(loss(live.model))
    for matrix in matrices:
        matrix.requires_grad_(False)
        matrix.grad = None


def gain_and_rank(live: EditableModel, gradients: Mapping[str, Tensor], k: int) -> None:
    """What a step does beside the gradient pass."""
    rank(((n, gain(g, live.parameters[n], live.other(n))) for n, g in gradients.items()), k)


@dataclass
class Published:
    """The published procedure's arithmetic, rewritten plainly: fp32, the aligned and the tuned model beside the live
    one, logits of every position, gradients of all parameters, one `topk` over all of |gradient|, masks of full size.
    """

    live: Any
    aligned: dict[str, Tensor]
    tuned: dict[str, Tensor]
    objective: KL

    @staticmethod
    def of(places: tuple[Path, Path], prompts: int) -> "Published":
        """Load three models in fp32."""
        models = [
            LlamaForCausalLM.from_pretrained(p, dtype=torch.float32).eval().to(DEVICE) for p in (*places, places[1])
        ]
        with torch.no_grad():
            objective = KL({"harmful": teach(models[0], passages(prompts), VOCABULARY)})
        aligned, tuned = (dict(m.named_parameters()) for m in models[:2])
        return Published(models[2], aligned, tuned, objective)

    def loss(self, targets: Sequence[Target]) -> Tensor:
        """The divergence of a mini-batch, from logits of all positions."""
        passages = [t.passage for t in targets]
        table = torch.log_softmax(self.live(padded(passages, self.live.device)).logits.float(), -1)
        rows = [table[i, p.start : p.start + p.length] for i, p in enumerate(passages)]
        return kl_div(torch.cat(rows), torch.cat([t.teacher for t in targets]), reduction="sum", log_target=True)

    def step(self) -> None:
        """Select and restore once, and put everything back."""
        model = self.live
        model.requires_grad_(True)
        model.zero_grad()
        targets = self.objective.terms["harmful"]
        for start in range(0, len(targets), 16):
            self.loss(targets[start : start + 16]).backward()
        with torch.no_grad():
            names = {n: p for n, p in model.named_parameters() if "layers" in n and p.dim() == 2}
            kept = {}
            for name, parameter in names.items():
                assert parameter.grad is not None
                agree = torch.sign(self.tuned[name] - self.aligned[name]) == torch.sign(parameter.grad)
                kept[name] = parameter.grad.abs() * agree
            k = math.ceil(0.001 * sum(p.numel() for p in model.parameters()))
            edge = torch.topk(torch.cat([g.flatten() for g in kept.values()]), k).values[-1]
            before = {n: p.detach().clone() for n, p in names.items()}
            for name, parameter in names.items():
                parameter.copy_(torch.where(kept[name] > edge, self.aligned[name], parameter))
            for name, parameter in names.items():
                parameter.copy_(before[name])
        model.requires_grad_(False)


# The rows -----------------------------------------------------------------------------------------------------------


def selection_rows(_: Path) -> Iterator[Row]:
    """The streaming top-k against concatenating everything and torch.topk."""
    tensors = {f"t{i:02d}": torch.randn(2**20, generator=torch.Generator().manual_seed(i)) for i in range(16)}
    k = 2**24 // 1000
    mine, theirs = machine.seconds(partial(top_k, tensors.items(), k), partial(cat_topk, tensors, k))
    ours = top_k(tensors.items(), k)
    same = {(n, int(p)) for n, places in ours for p in places} == cat_topk(tensors, k)
    yield at_least("streaming top-k against cat + topk, 2^24 scores: time", 15, theirs / mine if same else 0.0)
    less = [machine.anonymous(partial(prepared_selection, way)) for way in ("rank", "cat")]
    yield at_least("  the same: extra memory", 50, less[1] / less[0], f"{less[0] / 2**20:.1f} MiB")


def cat_topk(tensors: Mapping[str, Tensor], k: int) -> set[tuple[str, int]]:
    """The obvious way."""
    names, sizes = list(tensors), [t.numel() for t in tensors.values()]
    places = torch.topk(torch.cat([t.flatten() for t in tensors.values()]), k).indices
    owner = torch.bucketize(places, torch.tensor(sizes).cumsum(0), right=True)
    start = torch.tensor([0, *sizes]).cumsum(0)[owner]
    return {(names[o], p) for o, p in zip(owner.tolist(), (places - start).tolist(), strict=True)}


def prepared_selection(way: str) -> machine.Work:
    """One of the two ways, ready to run in a process of its own."""
    tensors = {f"t{i:02d}": torch.randn(2**20, generator=torch.Generator().manual_seed(i)) for i in range(16)}
    k = 2**24 // 1000
    return partial(rank, tensors.items(), k) if way == "rank" else partial(torch_topk, tensors, k)


def torch_topk(tensors: Mapping[str, Tensor], k: int) -> Tensor:
    """Only the part of cat_topk that holds memory."""
    return torch.topk(torch.cat([t.flatten() for t in tensors.values()]), k).indices


def step_rows(folder: Path, size: str = "50M", prompts: int = 64) -> Iterator[Row]:
    """A step against one ideal forward and backward, and against the published arithmetic."""
    width, blocks = SHAPES[size]
    pairs = {d: write_pair(folder / str(d), width, blocks, d) for d in (torch.float32, torch.bfloat16)}
    baseline = Published.of(pairs[torch.float32], prompts)
    for dtype in (torch.float32, torch.bfloat16):
        live, objective, k = prepared(pairs[dtype], dtype, prompts)
        gradients = dict(live.gradients(objective.losses({"harmful": 1.0})))
        best, ours, chosen, theirs = machine.seconds(
            partial(ideal, live, objective),
            partial(step, live, objective, k),
            partial(gain_and_rank, live, gradients, k),
            baseline.step,
            clock=machine.clock_of(DEVICE),
        )
        share = machine.operations(partial(ideal, live, objective)) / ours / machine.peak(dtype, DEVICE)
        word = str(dtype).removeprefix("torch.")
        detail = f"{size} weights, {prompts} prompts, {ours:.2f} s, MFU {share:.0%}"
        if DEVICE.type == "cuda":
            detail += f", {machine.on_device(partial(step, live, objective, k)) / 2**20:.0f} MiB there"
        yield at_most(f"step against one forward + backward, {word}: time", 1.45, ours / best, detail)
        yield at_most(f"  its selection against one forward + backward, {word}", 0.03, chosen / best)
        yield at_least(
            f"  against the published arithmetic in fp32, {word}: time", 1.25 if word == "float32" else 4, theirs / ours
        )
    del baseline, live, gradients
    used = [machine.anonymous(partial(ready, way, pairs, prompts)) for way in ("float32", "bfloat16", "published")]
    for word, mine in zip(("float32", "bfloat16"), used, strict=False):
        yield at_least(
            f"step against the published arithmetic, {word}: extra memory", 5, used[2] / mine, f"{mine / 2**20:.0f} MiB"
        )


def ready(way: str, pairs: Mapping[torch.dtype, tuple[Path, Path]], prompts: int) -> machine.Work:
    """A step of ours or of the published procedure, ready to run in a process of its own; the latter's copies of two
    models are part of its procedure and counted, the one live model that both hold is not."""
    if way == "published":
        return lambda: Published.of(pairs[torch.float32], prompts).step()
    dtype = getattr(torch, way)
    return partial(step, *prepared(pairs[dtype], dtype, prompts))


def depth_rows(folder: Path) -> Iterator[Row]:
    """The peak of a step against depth, at one width."""
    used = []
    for blocks in (6, 12):
        pair = {torch.float32: write_pair(folder / f"deep{blocks}", 1024, blocks, torch.float32)}
        used.append(machine.anonymous(partial(ready, "float32", pair, 16)))
    yield at_most(
        "peak extra memory of a step, 12 blocks against 6", 1.15, used[1] / used[0], f"{used[0] / 2**20:.0f} MiB"
    )


def large_rows(folder: Path) -> Iterator[Row]:
    """A step of a model of 2 billion weights, 4 GB in bfloat16, streamed from its files."""
    places = write_pair(folder, 2560, 25, torch.bfloat16)
    weights = Pair.open(*places).tuned.weights
    used = machine.anonymous(partial(streamed, places))
    detail = f"{weights / 1e9:.2f} billion weights, from opening to flipping"
    yield at_most("step of a streamed model: GiB of anonymous memory in all", 3, used / 2**30, detail)


def streamed(places: tuple[Path, Path]) -> machine.Work:
    """Everything from opening the pair to the flip, to be run in a process of its own."""
    return lambda: step(*prepared(places, torch.bfloat16, 16, offload=True))


def growth(folder: Path) -> Iterator[str]:
    """How a step grows with the model and with the prompts: seconds, against one forward and backward, and memory."""
    clock = machine.clock_of(DEVICE)
    for size, prompts in [*((s, 64) for s in GROWN), *(("12M", n) for n in (16, 32, 128, 256, 512))]:
        places = write_pair(folder / f"{size}-{prompts}", *SHAPES[size], torch.bfloat16)
        live, objective, k = prepared(places, torch.bfloat16, prompts)
        best, ours = machine.seconds(
            partial(ideal, live, objective), partial(step, live, objective, k), runs=1, clock=clock
        )
        del live
        used = machine.anonymous(partial(ready, "bfloat16", {torch.bfloat16: places}, prompts))
        yield f"{size:5} {prompts:4} prompts  {ours:7.2f} s  {ours / best:5.2f} x ideal  {used / 2**20:6.0f} MiB"


def start_rows(_: Path) -> Iterator[Row]:
    """How long a user waits for the help."""
    waits = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "recover.cli", "--help"], check=True, stdout=subprocess.DEVNULL)
        waits.append(time.perf_counter() - start)
    yield at_most("recover-align --help: seconds", 0.3, min(waits))


ROWS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "selection": selection_rows,
    "step": step_rows,
    "depth": depth_rows,
    "large": large_rows,
    "start": start_rows,
}


def main(names: list[str], size: str) -> None:
    """Run rows and print the table; exits with 1 if a target was missed."""
    torch.set_num_threads(1)
    rows = {**ROWS, "step": partial(step_rows, size=size)}
    disable_progress_bar()
    print(f"{machine.description()}; least of {machine.RUNS} runs, processor time", flush=True)
    missed = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            if name == "growth":
                for line in growth(Path(folder)):
                    print(line, flush=True)
                continue
            for row in rows[name](Path(folder)):
                missed += not row.passed
                verdict = "pass" if row.passed else "MISS"
                print(f"{verdict}  {row.name:72} {row.measured:9.2f}  {row.target:8} {row.detail}", flush=True)
    sys.exit(missed > 0)


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("rows", nargs="*", default=list(ROWS), help=f"any of {', '.join(ROWS)}, growth")
    asked.add_argument("--size", choices=SHAPES, default="50M", help="of the step's model")
    main(asked.parse_args().rows, asked.parse_args().size)
