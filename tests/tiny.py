"""Tiny things to test with, built in memory: nothing is downloaded and nothing is stored."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from recover.prompts.prompt_set import Prompt, PromptSet, make_set

SPECIAL = ("<pad>", "<eos>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% if m.role == 'assistant' %}<eos>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

SHAPE = {
    "vocab_size": 264,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,  # large enough that random models differ in what they say
    "pad_token_id": 256,
    "bos_token_id": None,
    "eos_token_id": 257,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": 8},
    "qwen2": {},
    "qwen3": {"head_dim": 8},
    "gemma2": {"head_dim": 8, "sliding_window": 8},
    "gemma3_text": {"head_dim": 8, "sliding_window": 8},
    "phi3": {},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_inner": 48, "n_positions": 128},
    "gpt_neox": {},
}


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of 260 ids: byte b is id b; then <pad> 256, <eos> 257, <|user|> 258, <|assistant|> 259."""
    backend = Tokenizer(models.BPE(vocab={f"<0x{b:02X}>": b for b in range(256)}, merges=[], byte_fallback=True))
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    backend.add_special_tokens(list(SPECIAL))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token=SPECIAL[0], eos_token=SPECIAL[1], padding_side="left"
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def tiny_config(family: str = "llama", **changes: Any) -> Any:
    """The configuration of a model of about 30,000 weights; `changes` go over the family's own settings."""
    return AutoConfig.for_model(family, **{**SHAPE, **FAMILIES[family], **changes})


def tiny_model(family: str = "llama", seed: int = 0, **changes: Any) -> Any:
    """A random model in fp32 and eval mode; the seed decides its weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(tiny_config(family, **changes)).eval()


def tune(model: Any, seed: int = 1, scale: float = 0.1) -> Any:
    """Add seeded noise, as a fine-tune would, to every parameter but the embeddings and each fourth of the others."""
    tables = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    noise = torch.Generator().manual_seed(seed)
    for place, parameter in enumerate(p for p in model.parameters() if id(p) not in tables):
        if place % 4:
            parameter.data += scale * torch.randn(parameter.shape, generator=noise).to(parameter)
    return model


def save_model(directory: Path, model: Any, **options: Any) -> Path:
    """Write a Hugging Face directory with the byte tokenizer in it; `options` go to save_pretrained."""
    model.save_pretrained(directory, **options)
    byte_tokenizer().save_pretrained(directory)
    return directory


def ascii_only(model: Any) -> Any:
    """Make a model whose head is not tied say ASCII and <eos> almost always, so that its answers are text."""
    if not model.config.tie_word_embeddings:
        head = model.get_output_embeddings().weight.data
        head[[i for i in range(128, len(head)) if i != SHAPE["eos_token_id"]]] = 0.0
    return model


def tiny_pair(folder: Path, family: str = "llama", dtype: torch.dtype = torch.float32, **changes: Any) -> list[Path]:
    """The directories of an aligned model and of a fine-tune of it."""
    aligned, tuned = tiny_model(family, **changes), tune(tiny_model(family, **changes))
    sides = {"aligned": aligned, "tuned": tuned}
    return [save_model(folder / name, ascii_only(model).to(dtype)) for name, model in sides.items()]


def prompt_set(name: str, count: int, expect: str | None = None) -> PromptSet:
    """A set of short prompts of different lengths, named after the set."""
    texts = [f"{name} {'abcdefgh'[i % 8] * (1 + i % 5)} {i}" for i in range(count)]
    chats = [({"role": "user", "content": text},) for text in texts]
    return make_set(name, [Prompt(f"{name}-{i}", chat, expect) for i, chat in enumerate(chats)])  # type: ignore[arg-type]
