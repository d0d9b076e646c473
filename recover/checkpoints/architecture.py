"""What transformers makes of a checkpoint's configuration: the model without weights, its blocks and its names."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from recover.checkpoints.checkpoint import Checkpoint, canonical
from recover.errors import InputError, Undecided

CAUSAL = "AutoModelForCausalLM"


def skeleton(checkpoint: Checkpoint, auto: str = CAUSAL) -> Any:
    """The model that transformers makes of the checkpoint's configuration, on the meta device: names and shapes only.

    `auto` names the class of transformers that picks the architecture.
    """
    import transformers

    with torch.device("meta"), one_sentence(checkpoint):
        return getattr(transformers, auto).from_config(_config(checkpoint), trust_remote_code=False)


def decoder_blocks(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """The path and the list of a model's decoder blocks: the module list of the length that the configuration gives.

    Raises InputError if there is no such list.
    """
    config: Any = model.config
    depth = config.get_text_config().num_hidden_layers
    for path, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return path, module
    raise InputError(f"{type(model).__name__} has no list of {depth} decoder blocks; expected a decoder-only model")


def block_of(name: str, path: str) -> int | None:
    """The index of the block that a tensor belongs to, by its canonical name; None outside the blocks.

    `path` is the path of the block list in the model.
    """
    prefix = canonical(path + ".x").removesuffix("x")
    return int(name.removeprefix(prefix).split(".")[0]) if name.startswith(prefix) else None


def weights_by_name(model: nn.Module) -> dict[str, Tensor]:
    """The model's parameters by canonical name."""
    return {canonical(name): parameter for name, parameter in model.named_parameters()}


def _config(checkpoint: Checkpoint) -> Any:
    from transformers import AutoConfig

    settings = {k: v for k, v in checkpoint.config.items() if k not in ("model_type", "auto_map")}
    with one_sentence(checkpoint):
        return AutoConfig.for_model(checkpoint.config["model_type"], **settings)


@contextlib.contextmanager
def one_sentence(checkpoint: Checkpoint) -> Iterator[None]:
    """Turn an error of transformers about a configuration or a weight into an Undecided of one sentence."""
    try:
        with quiet():
            yield
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        reason = " ".join(str(error).split())[:240]
        raise Undecided(f"transformers cannot load {checkpoint.path} ({type(error).__name__}: {reason})") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """While entered, transformers shows no loading bars and reports. What matters in them is raised as an error."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
