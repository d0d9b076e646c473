"""A Llama made wider that says the same: a pair whose weights take the time, as in use, without training one.

    python -m bench.wide examples/aligned.pt 4 OUT

Every unit is there `times` times: states, heads and gated units are repeated, and what reads a repeated state divides
by their number. So answers, the directions of gradients and the share of weights that a search needs stay, while the
matrices grow by the square. For a power of two all weights stay exact in bfloat16 (after Chen, Goodfellow and Shlens,
Net2Net, arXiv 1511.05641, with equal shares).
"""

import json
import sys
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from recover.checkpoints.pair import open_checkpoint
from recover.model.load import load_tokenizer

REPEATED = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")


def with_fp32_cpu_attention(name: str, value: Tensor, times: int) -> Tensor:
    """A tensor of a Llama with tied embeddings: a matrix of outputs x inputs, the embeddings, or a norm's vector."""
    if name == "embed_tokens.weight":
        return value.repeat(1, times)
    if value.dim() == 2:
        return value.repeat(times, times) / times
    return value.repeat(times) / (times if name == "norm.weight" else 1)  # the last: what reads it is the embeddings


def widen(place: str | Path, times: int, out: Path) -> Path:
    """Write a checkpoint `times` as wide to a new directory; ValueError for what is no Llama with tied embeddings."""
    checkpoint = open_checkpoint(place)
    config = dict(checkpoint.config)
    if config["model_type"] != "llama" or not config["tie_word_embeddings"]:
        raise ValueError(f"{place} is a {config['model_type']}; expected a Llama with tied embeddings")
    out.mkdir(parents=True)
    tensors = {
        f"model.{name}": with_fp32_cpu_attention(name, checkpoint.tensor(name), times) for name in checkpoint.entries
    }
    save_file(tensors, out / "model.safetensors", {"format": "pt"})
    config |= {key: times * config[key] for key in REPEATED}
    (out / "config.json").write_text(json.dumps(config), encoding="utf-8")
    load_tokenizer(checkpoint).save_pretrained(out)
    return out


if __name__ == "__main__":
    widen(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
