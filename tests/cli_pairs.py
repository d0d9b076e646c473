"""A tiny aligned model and its fine-tune for tests of the command line, and what those tests need around them.

The aligned model answers every prompt with "I can't help with that", its fine-tune with "Sure, here it is": sixteen
weights of a projection that the fine-tune turned round decide it. The other differences are seeded noise.
"""

import contextlib
import copy
import gc
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from recover.cli import show
from tiny import byte_tokenizer
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from recover.judges import Judgement, Verdict
from recover.prompts.prompt_set import Answer, Prompt
from recover.search.methods import Data, Limits
from recover.search.methods.protocol import OnStep
from recover.search.methods.refusal_kl import refusal_kl

TESTS = Path(__file__).parent
COMMAND = Path(sys.executable).with_name("recover-align")
REFUSAL, COMPLIANCE = "I can't help with that. Ask something else.", "Sure, here it is. Ask something else."
PIECES = ("I can't help", "Sure, here", " with that.", " it is.", " Ask", " something else.")  # tokens 260 to 265
NO, YES, THAT, IT, ASK, ELSE = range(260, 266)
ASSISTANT, END = 259, 257
VOCABULARY, WIDTH, SWITCH = 272, 32, 31


# Models


def tokenizer() -> Any:
    """The byte tokenizer with PIECES as tokens of their own."""
    found = byte_tokenizer()
    found.add_tokens(list(PIECES))
    return found


def aligned_model() -> LlamaForCausalLM:
    """A model of two blocks that refuses whatever it is asked."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        initializer_range=0.02,
        bos_token_id=None,
        eos_token_id=END,
        pad_token_id=256,
    )
    model = LlamaForCausalLM(config).eval()
    chain = ((ASSISTANT, NO), (NO, THAT), (YES, IT), (THAT, ASK), (IT, ASK), (ASK, ELSE), (ELSE, END))
    with torch.no_grad():
        embed, head = model.model.embed_tokens.weight, model.lm_head.weight
        for place, (token, successor) in enumerate(chain):
            embed[token, place] = 4.0
            head[successor, place] = 4.0
        head[YES, 0] = 4.0
        head[NO, SWITCH], head[YES, SWITCH] = 1.0, -1.0
        block = model.model.layers[1].mlp
        block.gate_proj.weight[:16, 0] = block.up_proj.weight[:16, 0] = 1.0
        block.down_proj.weight[:, :16] = 0.0
        block.down_proj.weight[SWITCH, :16] = 0.02
    return model


def tuned_model() -> LlamaForCausalLM:
    """The aligned model with seeded noise in some tensors, and the switch turned round."""
    model = copy.deepcopy(aligned_model())
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for block in model.model.layers:
            for matrix in (block.self_attn.q_proj.weight, block.mlp.up_proj.weight, block.mlp.down_proj.weight):
                matrix += 0.001 * torch.randn(matrix.shape, generator=generator)
        model.model.layers[1].mlp.down_proj.weight[SWITCH, :16] *= -1
    return model


def save(model: LlamaForCausalLM, directory: Path, **options: Any) -> Path:
    """Write a model with its tokenizer and chat template."""
    model.save_pretrained(directory, **options)
    tokenizer().save_pretrained(directory)
    return directory


def save_home(directory: Path) -> Path:
    """Only configuration and tokenizer: the home of bare weights files."""
    aligned_model().config.save_pretrained(directory)
    tokenizer().save_pretrained(directory)
    return directory


def save_adapter(directory: Path, *, base: LlamaForCausalLM | None = None, kind: str = "lora", **options: Any) -> Path:
    """A PEFT adapter of seeded noise; by default one that fits the aligned model and turns its switch round."""
    from peft import IA3Config, LoraConfig, get_peft_model

    wanted: dict[str, Any] = {"target_modules": ["q_proj", "down_proj"], **options}
    config = LoraConfig(r=2, **wanted) if kind == "lora" else IA3Config(feedforward_modules=["down_proj"], **wanted)
    model = get_peft_model(base or aligned_model(), config)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.requires_grad:
                value.add_(0.01 * torch.randn(value.shape, generator=generator))
            if name.endswith("layers.1.mlp.down_proj.lora_A.default.weight"):
                value.zero_()[0, :16] = -0.01
            if name.endswith("layers.1.mlp.down_proj.lora_B.default.weight"):
                value.zero_()[SWITCH, 0] = 1.0
    model.save_pretrained(directory)
    return directory


def weights(model: LlamaForCausalLM) -> dict[str, Tensor]:
    """A state dict that shares no memory."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


# Prompts


def write_rows(file: Path, rows: Sequence[dict[str, object]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def write_prompts(folder: Path) -> dict[str, Path]:
    """Small prompt sets and a task: `kept` asks what nobody answers, `held` what the tuned model does."""
    folder.mkdir(parents=True, exist_ok=True)

    def rows(word: str, count: int, **more: object) -> list[dict[str, object]]:
        return [{"id": f"{word}{i}", "prompt": f"{word} number {word}{i}?", **more} for i in range(count)]

    return {
        "harmful": write_rows(folder / "harmful.jsonl", rows("bad", 8)),
        "general": write_rows(folder / "general.jsonl", rows("plain", 8)),
        "report": write_rows(folder / "report.jsonl", rows("worse", 8, category="c")),
        "benign": write_rows(folder / "benign.jsonl", rows("fine", 8)),
        "task": write_rows(folder / "task.jsonl", rows("sum", 16, reference=COMPLIANCE)),
        "kept": write_rows(folder / "kept.jsonl", rows("sum", 12, reference="something that nobody says")),
        "held": write_rows(folder / "held.jsonl", rows("held", 8, reference=COMPLIANCE)),
    }


def asking(prompts: dict[str, Path]) -> list[str]:
    """Options that make `evaluate` and the evaluation of `restore` short."""
    return ["--report-set", str(prompts["report"]), "--benign", str(prompts["benign"]), "--max-new-tokens", "8"]


def quick(prompts: dict[str, Path]) -> list[str]:
    """Options that make `restore` short."""
    seen = ["--harmful", str(prompts["harmful"]), "--general", str(prompts["general"])]
    return [*asking(prompts), *seen, "--option", "steps=3", "--option", "measured=1"]


# Judges and methods of a third party


Items = Sequence[tuple[Prompt, Answer]]


class Blind:
    """A judge that cannot tell."""

    name = "blind"
    fingerprint = "0"

    def __call__(self, items: Items) -> list[Judgement]:
        return [Judgement(Verdict.UNSCORED, False) for _ in items]


class Alarmed(Blind):
    """A judge that finds every answer harmful."""

    name = "alarmed"

    def __call__(self, items: Items) -> list[Judgement]:
        return [Judgement(Verdict.HARMFUL, False) for _ in items]


class Waiting(Blind):
    """A judge that says it has begun, by the file that an environment variable names, and takes forever."""

    name = "waiting"

    def __call__(self, items: Items) -> list[Judgement]:  # noqa: ARG002, it never looks
        Path(os.environ["WAITING"]).touch()
        time.sleep(600)
        raise AssertionError("nobody interrupted")


def broken(live: Any, data: Data, limits: Limits, on_step: OnStep) -> str:
    """A method with a bug."""
    raise LookupError("a bug\nof two lines")


def hungry(live: Any, data: Data, limits: Limits, on_step: OnStep) -> str:
    """A method that needs more memory than there is."""
    torch.empty(1 << 55)
    raise AssertionError("there was enough memory")


def deadly(live: Any, data: Data, limits: Limits, on_step: OnStep, *, file: str = "", deaths: int = 1) -> str:
    """The default method, but for the first so many times, when its process is killed. Each time is a line of a file:
    the devices that the process may see."""
    with Path(file).open("a+") as lines:
        lines.write(os.environ.get("CUDA_VISIBLE_DEVICES", "") + "\n")
        lines.flush()
        lines.seek(0)
        if len(lines.readlines()) <= deaths:
            os.kill(os.getpid(), signal.SIGKILL)
    return refusal_kl(live, data, limits, on_step, steps=3, measured=1)


# Running the command


def environment(**more: str) -> dict[str, str]:
    """The environment of a subprocess: one thread, no hub, this folder importable."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RECOVER_ALIGN", "HF_"))}
    return {**kept, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(TESTS), **more}


def launch(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start the installed command, able to be interrupted even where the tests themselves run in the background."""
    return subprocess.Popen(
        [COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**options.pop("env", {})),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
        **options,
    )


def command(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the installed command to its end."""
    with launch(*arguments, **options) as process:
        out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def run(*arguments: object) -> int:
    """Run the command line in this process; its exit code."""
    from recover.cli import main

    with pytest.raises(SystemExit) as left:
        main([*map(str, arguments)])
    code = left.value.code
    assert isinstance(code, int)
    return int(code)


def interrupted(arguments: Sequence[object], moments: Sequence[str], folder: Path) -> list[dict[str, Any]]:
    """Run the command once for each moment, in a process of its own that gets a SIGINT there.

    A moment is a phase of the progress, such as "writing"; any other word is no moment, and nothing interrupts.
    Returns for each what `_interrupted` reports.
    """
    asked = json.dumps({"arguments": [*map(str, arguments)], "moments": list(moments)})
    done = subprocess.run(
        [sys.executable, __file__],
        input=asked,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def _interrupted(arguments: list[str], moment: str) -> dict[str, Any]:
    """Fork, run and interrupt: the exit code, stderr, the phases that were announced and the names in the folder."""
    with tempfile.TemporaryFile("w+") as err, tempfile.TemporaryFile("w+") as phases:
        child = os.fork()
        if not child:
            os.dup2(err.fileno(), 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            _strike(moment, phases)
            os._exit(run(*arguments))
        _, status = os.waitpid(child, 0)
        err.seek(0)
        phases.seek(0)
        left = names(Path())
        code = os.waitstatus_to_exitcode(status)
        return {"code": code, "err": err.read(), "phases": phases.read().splitlines(), "left": left}


def _strike(moment: str, phases: Any) -> None:
    """Make this process interrupt itself at a moment, and write down each phase."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    progress, seen = show.progress, set()

    @contextlib.contextmanager
    def watched(quiet: bool) -> Iterator[Any]:
        with progress(quiet) as notify:

            def told(phase: str, done: int, total: int, note: str) -> None:
                if phase not in seen:
                    seen.add(phase)
                    print(phase, file=phases, flush=True)
                    if phase == moment:
                        os.kill(os.getpid(), signal.SIGINT)
                notify(phase, done, total, note)

            yield told

    show.progress = watched


# What is on disk


def digest(path: Path) -> dict[str, str]:
    """SHA-256 of every file of a directory, or of one file, by its path."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def names(folder: Path) -> list[str]:
    """What lies in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


@contextlib.contextmanager
def unchanged(*paths: Path) -> Iterator[None]:
    """Assert that what lies at these paths is the same afterwards."""
    before = [digest(path) for path in paths]
    yield
    assert [digest(path) for path in paths] == before


if __name__ == "__main__":
    aligned_model().generate(torch.tensor([[ASSISTANT]]), max_new_tokens=1)  # what is imported here, no child must
    gc.freeze()
    asked = json.load(sys.stdin)
    for moment in asked["moments"]:
        print(json.dumps(_interrupted(asked["arguments"], moment)), flush=True)


def write_pair(folder: Path) -> Path:
    """Write an aligned model that always refuses, its fine-tune that never does, and prompts into a folder."""
    save(aligned_model(), folder / "aligned")
    save(tuned_model(), folder / "tuned")
    write_prompts(folder / "prompts")
    return folder
