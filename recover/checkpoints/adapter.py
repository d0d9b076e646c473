"""PEFT adapters over a full checkpoint: `tuned = aligned + delta`, one tensor at a time, never the whole model.

peft itself reads the adapter and computes the deltas, on a model whose own weights stay on the meta device.
"""

import contextlib
import copy
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recover.checkpoints.architecture import skeleton
from recover.checkpoints.checkpoint import Checkpoint, canonical
from recover.errors import InputError

KEPT_BASE = ("gaussian", "eva", "orthogonal")  # initialisations of peft that leave the base weights as they are


def over(base: Checkpoint, adapter: Path) -> Checkpoint:
    """The tuned checkpoint that a LoRA adapter makes of `base`: base's entries, merged values computed when read.

    Merged in fp32 and rounded once to the base's dtype. InputError if the adapter is of another kind or another base.
    """
    from peft.tuners.lora import LoraLayer
    from peft.utils import ModulesToSaveWrapper

    model = _skeleton(base, adapter)
    overrides: dict[str, Callable[[Tensor], Tensor]] = {}
    for path, module in model.named_modules():
        name = canonical(path) + ".weight"
        if isinstance(module, LoraLayer):
            overrides[name] = partial(_merge, module)
        elif isinstance(module, ModulesToSaveWrapper):
            for key, value in module.modules_to_save["default"].named_parameters():
                overrides[f"{canonical(path)}.{key}"] = partial(_replace, value.detach())
    absent = [n for n in overrides if n not in base.entries]
    if absent or not overrides:
        raise _unfit(adapter, base, f"it adapts {', '.join(absent[:3]) or 'nothing'}")
    tuned = replace(base.with_overrides(overrides), path=adapter, extras=(adapter,))
    has_tokenizer = (adapter / "tokenizer_config.json").is_file()
    return replace(tuned, home=adapter if has_tokenizer else base.home, settings=base.settings or base.home)


def _unfit(adapter: Path, base: Checkpoint, reason: str) -> InputError:
    text = " ".join(reason.split())[:240]
    return InputError(f"the adapter {adapter} does not fit {base.path}: {text}; name the model it was trained on")


def _skeleton(base: Checkpoint, adapter: Path) -> nn.Module:
    """The base's architecture on the meta device with the adapter's real weights in it."""
    from peft import PeftConfig, get_peft_model
    from peft.utils import load_peft_weights, set_peft_model_state_dict

    try:
        with _quiet():
            config = PeftConfig.from_pretrained(str(adapter))
            kind = str(config.peft_type).removeprefix("PeftType.")
            if kind != "LORA":
                raise InputError(f"{adapter} is no LoRA adapter but of the kind {kind}; recover-align reads LoRA only")
            if more := _more_than_factors(config):
                raise InputError(
                    f"{adapter} has {more}, which are not merged here; merge it with peft and name the result"
                )
            config.inference_mode = True
            config.init_lora_weights = False
            model: nn.Module = get_peft_model(skeleton(base), config)
            _materialise(model)
            report = set_peft_model_state_dict(model, load_peft_weights(str(adapter), device="cpu"))
    except InputError:
        raise
    except Exception as error:  # peft raises many kinds for a file that does not fit
        raise _unfit(adapter, base, str(error) or type(error).__name__) from error
    lost = [n for n, p in model.named_parameters() if not p.is_meta and not bool(torch.isfinite(p).all())]
    if lost or report.unexpected_keys:
        found = f"{len(lost)} weights lacking or not finite, {len(report.unexpected_keys)} unknown"
        raise _unfit(adapter, base, found)
    return model


def _more_than_factors(config: Any) -> str | None:
    """What an adapter changes beside adding products of its factors to weights, in words: it would be lost."""
    start = config.init_lora_weights
    found = {
        f"the initialisation {start}, a changed base": isinstance(start, str) and start not in KEPT_BASE,
        "trained biases": config.bias != "none" or getattr(config, "lora_bias", False),
        "trained tokens": bool(getattr(config, "trainable_token_indices", None)),
    }
    return next((words for words, there in found.items() if there), None)


def _materialise(model: nn.Module) -> None:
    """Give the adapter's own weights memory, filled with NaN so that one which is not loaded shows."""
    for path, module in model.named_modules():
        if "lora_" in path or ".modules_to_save" in path:
            for name, value in module.named_parameters(recurse=False):
                empty = torch.full_like(value, torch.nan, device="cpu")
                setattr(module, name, nn.Parameter(empty, requires_grad=False))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """peft warns of missing base weights, which are left out on purpose here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("peft").setLevel(logging.ERROR)
        yield


def _replace(value: Tensor, original: Tensor) -> Tensor:
    if value.shape != original.shape:
        raise InputError(f"the adapter holds a tensor of shape {list(value.shape)}, ALIGNED {list(original.shape)}")
    return value.to(original.dtype)


@torch.no_grad()
def _merge(layer: Any, original: Tensor) -> Tensor:
    """The merged weight of one LoRA layer, computed by peft in fp32 and rounded to the original's dtype."""
    single = copy.deepcopy(layer).float() if not _plain(layer) else layer
    if single is layer:
        (name,) = layer.lora_A.keys()
        return (original.float() + _float_delta(layer, name)).to(original.dtype)
    base = single.get_base_layer()
    copied = original.to(torch.float32, copy=True)  # peft adds to it in place, and `original` is a view of the file
    base.weight = nn.Parameter(copied, requires_grad=False)
    single.merge(safe_merge=False)
    merged: Tensor = base.weight.detach()
    return merged.to(original.dtype)


def _plain(layer: Any) -> bool:
    """Whether the delta does not depend on the base weight (everything but DoRA and its like)."""
    return bool(layer.lora_A) and not any(layer.lora_variant.values()) if hasattr(layer, "lora_variant") else False


def _float_delta(layer: Any, name: str) -> Tensor:
    """`get_delta_weight` in fp32: peft rounds the product to the adapter's dtype first otherwise."""
    factors = (layer.lora_A[name].weight, layer.lora_B[name].weight)
    if any(f.dtype != torch.float32 for f in factors):
        layer = copy.deepcopy(layer).float()
    delta: Tensor = layer.get_delta_weight(name)
    return delta.detach()
