"""PEFT adapters merged into their base, as weights of the whole model.

An adapter of plain LoRA layers is merged one matrix at a time, when the matrix is first read. Every other adapter is
merged at once, by peft, in a copy of the base in fp32. Values are rounded once, to the base's dtype. A merged matrix is
computed once and kept in an unnamed temporary file, so no second model stays in memory.
"""

import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recover.checkpoints.adapter_space import (
    ADAPTER,
    BASE_PRESERVING_INITS,
    in_home_of,
    load_tensors,
    open_adapter_files,
    owners_by_parameter,
    peft_type,
    quiet_peft,
    read_config,
    without_marks,
)
from recover.checkpoints.architecture import skeleton
from recover.checkpoints.checkpoint import Checkpoint, Override, canonical, held_on_disk, same_bits
from recover.errors import InputError, reason_of

LORA_FACTORS = ("lora_A", "lora_B")


def over(base: Checkpoint, folder: Path) -> Checkpoint:
    """The tuned checkpoint that an adapter makes of `base`: the base's entries with merged values.

    Raises InputError if peft cannot merge the adapter, if it was trained on another base, or if the base's files cannot
    hold the result.
    """
    config = read_config(folder)
    if reason := _not_mergeable(config):
        raise InputError(f"{folder} {reason}")
    files = open_adapter_files(folder)
    merged = _lora_overrides(base, folder, files) if _is_plain_lora(config) else None
    if merged is None:
        merged = _merged_at_once(base, folder)
    if not merged:
        raise InputError(f"{folder} changes no weight of {base.path}, so there is nothing to restore")
    return in_home_of(replace(base.with_overrides(merged), path=folder, extras=(folder,)), base, folder)


def _not_mergeable(config: Any) -> str | None:
    """Why peft cannot merge an adapter into weights, as the end of a sentence; None if its configuration allows it."""
    if config.is_prompt_learning or peft_type(config) == "ADAPTION_PROMPT":
        return (
            f"is of the type {peft_type(config)}: it adds to the prompt and changes no weight, so there is nothing to "
            "restore"
        )
    init = getattr(config, "init_lora_weights", True)
    if isinstance(init, str) and init not in BASE_PRESERVING_INITS:
        return (
            f"has the initialisation {init}, a changed base, which recover-align does not merge; merge it with peft "
            "and name the result"
        )
    return None


# Plain LoRA: one matrix at a time


def _is_plain_lora(config: Any) -> bool:
    """Whether the configuration asks for LoRA factors alone, beside weights of linear layers."""
    extras = ("lora_bias", "trainable_token_indices", "target_parameters", "modules_to_save", "layer_replication")
    return peft_type(config) == "LORA" and config.bias == "none" and not any(getattr(config, e, None) for e in extras)


def _lora_overrides(base: Checkpoint, folder: Path, files: Checkpoint) -> Mapping[str, Override] | None:
    """For each adapted weight, the function that merges it; None if a layer is more than a plain linear one."""
    from peft.tuners.lora import LoraLayer

    model, owners = owners_by_parameter(base, folder, files)
    if not all(any(factor in p.split(".") for factor in (*LORA_FACTORS, "lora_magnitude_vector")) for p in owners):
        return None
    tensors = {entry.key: files.tensor(name).float() for name, entry in files.entries.items()}
    load_tensors(model, tensors, folder, base.path)
    layers = {
        without_marks(f"{path}.weight"): module
        for path, module in model.named_modules()
        if isinstance(module, LoraLayer)
    }
    if not layers.keys() <= base.entries.keys():
        return None  # a tied head, or a weight that transformers builds from others
    return {name: once(partial(_merge, module)) for name, module in layers.items()}


@torch.no_grad()
def _merge(layer: Any, original: Tensor) -> Tensor:
    """The merged weight of one LoRA layer, computed by peft in fp32 and rounded to the original's dtype."""
    if not any(getattr(layer, "lora_variant", {}).values()):
        delta: Tensor = layer.get_delta_weight(ADAPTER)
        return (original.float() + delta).to(original.dtype)
    base_layer = layer.get_base_layer()
    meta, copied = base_layer.weight, original.to(torch.float32, copy=True)  # peft adds to it in place
    base_layer.weight = nn.Parameter(copied, requires_grad=False)
    layer.merge(safe_merge=False)
    merged: Tensor = base_layer.weight.detach()
    layer.merged_adapters.clear()
    base_layer.weight = meta
    return merged.to(original.dtype)


def once(function: Override) -> Override:
    """An override that is computed at its first call, and kept in an unnamed temporary file."""
    lock, kept = threading.Lock(), list[Tensor]()

    def override(original: Tensor) -> Tensor:
        with lock:
            if not kept:
                kept.append(held_on_disk(function(original)))
            return kept[0]

    return override


# Every other adapter: at once


def _merged_at_once(base: Checkpoint, folder: Path) -> Mapping[str, Override]:
    """The tensors that peft's merge of the whole model changes. Holds the base in fp32 meanwhile."""
    from peft import PeftModel

    config = read_config(folder)
    try:
        with quiet_peft(), torch.no_grad():
            model: Any = PeftModel.from_pretrained(_loaded(base), str(folder), config=config)
            merged = model.merge_and_unload()
    except InputError:
        raise
    except Exception as error:  # peft raises errors of many types for what it cannot merge
        raise InputError(
            f"peft cannot merge {folder}, an adapter of type {peft_type(config)} ({reason_of(error)})"
        ) from error
    return _changed(base, merged, folder)


def _changed(base: Checkpoint, merged: nn.Module, folder: Path) -> dict[str, Override]:
    """Overrides for the tensors of a merged model that differ from the base's."""
    overrides: dict[str, Override] = {}
    state = {canonical(key): value for key, value in merged.state_dict().items()}
    heads = {key: state[key] for key in state.keys() - base.entries.keys()}
    embedding = merged.get_input_embeddings().weight  # type: ignore[operator]
    if any(not torch.equal(head, embedding) for head in heads.values()):
        raise InputError(
            f"{folder}, merged, gives the tied embedding and head of {base.path} two values, and its files hold one; "
            "leave --space weights out"
        )
    for name, entry in base.entries.items():
        if name in state:
            value, original = state[name].to(entry.dtype), base.tensor(name)
            if value.shape != original.shape:
                raise InputError(
                    f"{folder} makes {name} of shape {list(value.shape)}; in {base.path} it is {list(original.shape)}: "
                    "leave --space weights out"
                )
            if not same_bits(value, original):
                overrides[name] = partial(_constant, held_on_disk(value))
    return overrides


def _constant(value: Tensor, _original: Tensor) -> Tensor:
    return value


def _loaded(base: Checkpoint) -> Any:
    """The base model in fp32, without its computed buffers, which no merge reads."""
    model = skeleton(base).float().to_empty(device="cpu")
    keys = {canonical(key): key for key in model.state_dict()}
    state = {keys[name]: base.tensor(name) for name in base.entries if name in keys}
    missing = model.load_state_dict(state, strict=False).missing_keys
    model.tie_weights()
    derived = {*getattr(model, "all_tied_weights_keys", {}), *dict(model.named_buffers())}
    if unfilled := [key for key in missing if key not in derived]:
        raise InputError(
            f"transformers builds {unfilled[0]} of {base.path} from other tensors; leave --space weights out"
        )
    return model.eval()
