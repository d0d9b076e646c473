"""Decoders small enough to be trained from nothing in minutes: the example pair's, and the five of the grid."""

from collections.abc import Callable
from typing import Any

from transformers import (
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    Qwen3Config,
)

WIDTH, BLOCKS, HEADS, GROUPS, INNER, POSITIONS, WINDOW = 128, 4, 4, 2, 384, 512, 32

COMMON = {"hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": BLOCKS}
COMMON |= {"num_attention_heads": HEADS, "num_key_value_heads": GROUPS, "head_dim": WIDTH // HEADS}
COMMON |= {"max_position_embeddings": POSITIONS, "tie_word_embeddings": True}


def example(**ids: Any) -> PretrainedConfig:
    """The architecture of the example pair: 2.7 million parameters."""
    return LlamaConfig(
        hidden_size=192,
        intermediate_size=480,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=3,
        head_dim=32,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        **ids,
    )


def gpt2(**ids: Any) -> PretrainedConfig:
    """Learned positions, biases, LayerNorm, one transposed matrix for queries, keys and values."""
    return GPT2Config(
        n_embd=WIDTH,
        n_layer=BLOCKS,
        n_head=HEADS,
        n_positions=POSITIONS,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        **ids,
    )


def gemma3(**ids: Any) -> PretrainedConfig:
    """A sliding window in all blocks but the last, norms around both parts of a block, scaled embeddings."""
    kinds = ["sliding_attention"] * (BLOCKS - 1) + ["full_attention"]
    return Gemma3TextConfig(
        **COMMON, sliding_window=WINDOW, layer_types=kinds, query_pre_attn_scalar=WIDTH // HEADS, **ids
    )


FAMILIES: dict[str, Callable[..., PretrainedConfig]] = {
    "llama": lambda **ids: LlamaConfig(**COMMON, **ids),
    "qwen3": lambda **ids: Qwen3Config(**COMMON, **ids),
    "gemma3": gemma3,
    "mistral": lambda **ids: MistralConfig(**COMMON, sliding_window=WINDOW, **ids),
    "gpt2": gpt2,
}
