"""What becomes of every type of adapter that peft knows, as docs/adapters.md: `python -m bench.adapters [--check]`.

Each type is put on a tiny Llama and a tiny GPT-2 (whose linear layers are Conv1D), gets random values instead of
training, and is saved by peft, as safetensors and as a torch file. It is then opened in its own space and merged. Both
are compared with peft itself: the logits of `PeftModel.from_pretrained`, and those of its merge, saved and loaded.
"""

import argparse
import contextlib
import io
import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from torch import Tensor
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from recover.checkpoints.pair import Pair
from recover.errors import RecoverError
from recover.model.load import load_model

PAGE = Path(__file__).parents[1] / "docs" / "adapters.md"
CPU = torch.device("cpu")
IDS = torch.randint(3, 90, (2, 12), generator=torch.Generator().manual_seed(0))
NOISE = 0.02  # standard deviation of what stands for training
CLOSE = 1e-4  # largest difference of logits that counts as the same
TARGETS = {"llama": ["q_proj", "v_proj", "up_proj"], "gpt2": ["c_attn", "c_fc"]}
PROMPT: dict[str, Any] = {"num_virtual_tokens": 4}
OPTIONS: dict[str, dict[str, Any]] = {  # what a type needs beside its targets, on models as small as these
    "ADALORA": {"total_step": 10},
    "ADAMSS": {"r": 4, "num_subspaces": 2},
    "ADAPTION_PROMPT": {"adapter_len": 4, "adapter_layers": 1},
    "BOFT": {"boft_block_size": 4},
    "C3A": {"block_size": 16},
    "CARTRIDGE": PROMPT,
    "CPT": {"cpt_token_ids": [5, 6, 7], "cpt_mask": [1, 1, 1], "cpt_tokens_type_mask": [1, 1, 1]},
    "FOURIERFT": {"n_frequency": 20},
    "FROD": {"progressbar": False},
    "GRALORA": {"r": 4, "gralora_k": 2},
    "HIRA": {"r": 4},
    "IA3": {"feedforward_modules": []},
    "LILY": {"r": 4},
    "MISS": {"r": 4},
    "MULTITASK_PROMPT_TUNING": {**PROMPT, "num_tasks": 2},
    "OFT": {"oft_block_size": 4},
    "PREFIX_TUNING": PROMPT,
    "PROMPT_TUNING": PROMPT,
    "PSOFT": {"r": 4},
    "P_TUNING": {**PROMPT, "encoder_hidden_size": 32},
    "ROAD": {"group_size": 16},
    "SHIRA": {"r": 4},
    "TRAINABLE_TOKENS": {"token_indices": [5, 9]},
    "VBLORA": {"vector_length": 16, "num_vectors": 8},
    "WAVEFT": {"n_frequency": 20},
}
UNTARGETED = ("ADAPTION_PROMPT", "CARTRIDGE", "CPT", "MULTITASK_PROMPT_TUNING", "PREFIX_TUNING", "PROMPT_TUNING")
UNTARGETED += ("P_TUNING", "TRAINABLE_TOKENS", "XLORA", "SHADOW")
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {  # of one type, what is worth a row of its own
    "LORA, DoRA": ("LORA", {"use_dora": True}),
    "LORA, rsLoRA": ("LORA", {"use_rslora": True}),
    "LORA, biases": ("LORA", {"bias": "all"}),
    "LORA, trained tokens": ("LORA", {"trainable_token_indices": [5, 9]}),
    "LORA, PiSSA": ("LORA", {"init_lora_weights": "pissa"}),
    "LORA, OLoRA": ("LORA", {"init_lora_weights": "olora"}),
}


def main() -> None:
    """Write docs/adapters.md, or with --check say whether it is current."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only compare the page with what this run gives")
    check = parser.parse_args().check
    text = page()
    if check:
        sys.exit(0 if PAGE.read_text("utf-8") == text else f"{PAGE} is stale: run python -m bench.adapters")
    PAGE.write_text(text, "utf-8")


def page() -> str:
    """docs/adapters.md."""
    with tempfile.TemporaryDirectory() as folder:
        bases = {family: save_base(family, Path(folder) / family) for family in TARGETS}
        rows = [
            (title, [outcome(peft_type, options, family, base) for family, base in bases.items()])
            for title, (peft_type, options) in kinds().items()
        ]
    lines = [f"| {title} | {llama} | {gpt2} |" for title, (llama, gpt2) in rows]
    return HEAD + "\n".join(lines) + "\n"


HEAD = """# Adapters

What `recover-align` does with each type of adapter that peft registers. `python -m bench.adapters`
writes this page. It tries every type on a tiny Llama and a tiny GPT-2, with random weights.

- **own space**: the adapter's own entries are restored, and the output is an adapter. Its logits
  are those of `PeftModel.from_pretrained`.
- **merged**: peft merges the adapter, the merged weights are restored, and the output is a full
  checkpoint. Its logits are those of peft's merge, saved and loaded.
- Anything else is what the command says, with exit code 2, or why peft cannot make such an
  adapter here.

Adapters on Llama are safetensors files, those on GPT-2 torch files.

| type | on Llama | on GPT-2 |
|---|---|---|
"""


def kinds() -> dict[str, tuple[str, dict[str, Any]]]:
    """Every type that peft registers and the variants, by the title of their row: type and options."""
    types = {peft_type.value: (peft_type.value, {}) for peft_type in PEFT_TYPE_TO_CONFIG_MAPPING}
    return dict(sorted({**types, **VARIANTS}.items()))


def save_base(family: str, folder: Path) -> Path:
    """A tiny model with random weights."""
    torch.manual_seed(0)
    ends = {"bos_token_id": 1, "eos_token_id": 2}
    if family == "llama":
        shape: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4}
        config = LlamaConfig(vocab_size=96, hidden_size=32, intermediate_size=64, initializer_range=0.2, **shape)
        model: Any = LlamaForCausalLM(config)
    else:
        model = GPT2LMHeadModel(
            GPT2Config(vocab_size=96, n_embd=32, n_layer=2, n_head=4, initializer_range=0.2, **ends)
        )
    with quiet():
        model.save_pretrained(folder)
    return folder


def outcome(peft_type: str, options: dict[str, Any], family: str, base: Path) -> str:
    """What becomes of one type on one model, for a cell of the table."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        adapter = Path(folder) / "adapter"
        try:
            save_adapter(peft_type, options, family, base, adapter)
        except Exception as error:  # peft raises errors of many types where it does not support a model
            return f"peft cannot make it ({brief(error)})"
        opened = space_of(base, adapter)
        return f"{opened}; {merged_of(base, adapter)}" if opened == "own space" else opened


def space_of(base: Path, adapter: Path) -> str:
    """How the adapter is opened by default, compared with peft."""
    try:
        pair = Pair.open(base, adapter)
    except RecoverError as error:
        return brief(error, base, adapter)
    if pair.space == "weights":
        return merged_of(base, adapter)
    expected = logits(PeftModel.from_pretrained(load_base(base), adapter))
    difference = (logits(load_model(pair.tuned, torch.float32, CPU)) - expected).abs().max()
    return "own space" if difference < CLOSE else f"own space, logits differ by {difference:.2g}"


def merged_of(base: Path, adapter: Path) -> str:
    """What merging gives, compared with peft's merge, saved and loaded."""
    try:
        pair = Pair.open(base, adapter, space="weights")
    except RecoverError as error:
        return brief(error, base, adapter)
    with tempfile.TemporaryDirectory() as folder:
        PeftModel.from_pretrained(load_base(base), adapter).merge_and_unload().save_pretrained(folder)
        expected = logits(load_base(Path(folder)))
    difference = (logits(load_model(pair.tuned, torch.float32, CPU)) - expected).abs().max()
    return "merged" if difference < CLOSE else f"merged, logits differ by {difference:.2g}"


def save_adapter(peft_type: str, options: dict[str, Any], family: str, base: Path, folder: Path) -> None:
    """An adapter of the type with random values, as peft saves it."""
    config_class = PEFT_TYPE_TO_CONFIG_MAPPING[next(t for t in PEFT_TYPE_TO_CONFIG_MAPPING if t.value == peft_type)]
    targets = {} if peft_type in UNTARGETED else {"target_modules": TARGETS[family]}
    if peft_type == "LN_TUNING":
        targets = {"target_modules": ["input_layernorm"] if family == "llama" else ["ln_1"]}
    if peft_type == "IA3" and family == "gpt2":
        targets["target_modules"] = ["c_attn"]
    torch.manual_seed(0)
    given = {"task_type": "CAUSAL_LM", **targets, **OPTIONS.get(peft_type, {}), **options}
    model = get_peft_model(load_base(base), config_class(**given))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += NOISE * torch.randn_like(parameter)
    model.save_pretrained(folder, safe_serialization=family == "llama")


def load_base(base: Path) -> Any:
    """The base model as transformers loads it."""
    return AutoModelForCausalLM.from_pretrained(base)


@torch.inference_mode()
def logits(model: Any) -> Tensor:
    """A model's logits on the same tokens always."""
    found: Tensor = model.eval()(input_ids=IDS).logits
    return found[:, -IDS.shape[1] :]


def brief(error: Exception, base: Path | None = None, adapter: Path | None = None) -> str:
    """An error's sentence without what differs between runs and machines."""
    text = " ".join(str(error).split()) or type(error).__name__
    for path, word in ((adapter, "ADAPTER"), (base, "ALIGNED")):
        text = text.replace(str(path), word) if path else text
    return text.replace("|", "/")[:200]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No warnings, logs or bars."""
    logging.disable(logging.CRITICAL)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


if __name__ == "__main__":
    main()
