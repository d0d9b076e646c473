"""One model in every kind of container that people keep weights in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tiny import save_model
from torch import Tensor

Write = Callable[[Path, Any], Path]  # (existing directory, model) -> what a user names


def state_of(model: Any) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def bare(file: Path, model: Any, content: object = None, **options: Any) -> Path:
    """A torch file with the configuration beside it."""
    model.config.save_pretrained(file.parent)
    torch.save(state_of(model) if content is None else content, file, **options)
    return file


def one_safetensors(folder: Path, model: Any) -> Path:
    model.config.save_pretrained(folder)
    save_file(state_of(model), folder / "weights.safetensors")
    return folder / "weights.safetensors"


def bin_directory(folder: Path, model: Any) -> Path:
    """A directory as transformers wrote them before safetensors, in two shards."""
    model.config.save_pretrained(folder)
    state = state_of(model)
    halves = {f"pytorch_model-0000{i + 1}-of-00002.bin": sorted(state)[i::2] for i in (0, 1)}
    for name, keys in halves.items():
        torch.save({key: state[key] for key in keys}, folder / name)
    index = ", ".join(f'"{key}": "{name}"' for name, keys in halves.items() for key in keys)
    (folder / "pytorch_model.bin.index.json").write_text(f'{{"metadata": {{}}, "weight_map": {{{index}}}}}')
    return folder


def prefixed(prefix: str, model: Any) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in state_of(model).items()}


def strided(model: Any) -> dict[str, Tensor]:
    """The state dict with matrices as transposed views, and vectors as slices of one shared storage."""
    state = state_of(model)
    vectors = [key for key in state if state[key].dim() == 1]
    shared = torch.cat([state[key] for key in vectors])
    ends = dict(zip(vectors, shared.split([state[key].numel() for key in vectors]), strict=True))
    return {key: ends.get(key, value.T.contiguous().T if value.dim() == 2 else value) for key, value in state.items()}


CONTAINERS: dict[str, Write] = {
    "directory": save_model,
    "shards": lambda folder, model: save_model(folder, model, max_shard_size="40KB"),
    "bin shards": bin_directory,
    "safetensors": one_safetensors,
    "pt": lambda folder, model: bare(folder / "w.pt", model),
    "pth": lambda folder, model: bare(folder / "w.pth", model),
    "no suffix": lambda folder, model: bare(folder / "weights", model),
    "state_dict": lambda folder, model: bare(folder / "w.pt", model, {"state_dict": state_of(model), "epoch": 3}),
    "model": lambda folder, model: bare(folder / "w.pt", model, {"model": state_of(model), "rng": torch.arange(5)}),
    "nested": lambda folder, model: bare(folder / "w.pt", model, {"state_dict": {"model": state_of(model)}}),
    "module.": lambda folder, model: bare(folder / "w.pt", model, prefixed("module.", model)),
    "model.": lambda folder, model: bare(folder / "w.pt", model, prefixed("model.", model)),
    "module.model.": lambda folder, model: bare(folder / "w.pt", model, prefixed("module.model.", model)),
    "legacy": lambda folder, model: bare(folder / "w.pt", model, _use_new_zipfile_serialization=False),
    "strided": lambda folder, model: bare(folder / "w.pt", model, strided(model)),
}
