"""An adapter in its own space: its tensors as a checkpoint, and the values that the aligned model has there.

The aligned model is the base with an adapter that adds nothing. So the aligned value of an entry of `lora_B` is 0, and
that of a tensor which the adapter stores in place of one of the base's is the base's own. peft itself says which
parameter each tensor of the file belongs to: the module types decide, never the names.
"""

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recover.checkpoints.architecture import skeleton
from recover.checkpoints.checkpoint import Checkpoint, canonical, is_finite
from recover.errors import InputError, few, reason_of

ADAPTER = "recover_align"  # peft's name of the adapter in a model; a part of its parameters' names
BASE_PRESERVING_INITS = ("gaussian", "eva", "orthogonal")  # peft's initialisations that do not change base weights
KNOWN_VARIANTS = ("Dora", "ALora")  # of LoRA layers: what begins so adds nothing where lora_B is 0
ZERO_FACTORS = ("lora_B", "lora_embedding_A")  # the factors that start at 0
BASE_MARKS = ("base_layer", "original_module", "modules_to_save", ADAPTER)  # parts that peft adds to a base's names
AlignedValue = Callable[[Tensor], Tensor]  # an adapter's tensor -> what the aligned model has in its place


@contextlib.contextmanager
def quiet_peft() -> Iterator[None]:
    """Silence peft's warnings for a while; what matters in them is raised as errors here."""
    logger = logging.getLogger("peft")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)


class NoOwnSpace(InputError):
    """The adapter's own tensors do not hold what the aligned model had in their place."""


@dataclass(frozen=True)
class AdapterLayout:
    """How an adapter's tensors lie in a peft model over its base."""

    base: Checkpoint
    folder: Path  # of adapter_config.json
    parameters: Mapping[str, str]  # name of a file's tensor -> parameter of the peft model
    aligned_values: Mapping[str, AlignedValue]  # by name, for the tensors that can be restored
    products: Mapping[str, tuple[str, str]]  # lora_B of a linear layer -> its lora_A, and the base's weight

    @property
    def stored(self) -> set[str]:
        """The names of the base's own weights that the adapter stores anew."""
        return {without_marks(p) for p in self.parameters.values() if ADAPTER not in p.split(".")}


def open_adapter(base: Checkpoint, folder: Path) -> Checkpoint:
    """An adapter's own tensors as a checkpoint over its base.

    Raises NoOwnSpace where the aligned values are not in reach, and InputError for an adapter that does not fit.
    """
    if reason := _no_own_space(read_config(folder)):
        raise NoOwnSpace(f"{folder} {reason}")
    files = open_adapter_files(folder)
    model, owners = owners_by_parameter(base, folder, files)
    aligned = {name: value for name, value in _aligned_values(model, owners, base) if value is not None}
    return replace(
        in_home_of(files, base, folder),
        adapter=AdapterLayout(
            base,
            folder,
            parameters={name: parameter for parameter, name in owners.items()},
            aligned_values=aligned,
            products=dict(_products(model, owners, base)),
        ),
    )


def open_adapter_files(folder: Path) -> Checkpoint:
    """An adapter's own tensors, without its base. Raises InputError if there are none, or if one is empty."""
    files = Checkpoint.open_adapter_files(folder)
    empty = [name for name, entry in files.entries.items() if 0 in entry.shape]
    if empty:
        raise InputError(
            f"{folder} holds empty tensors ({few(empty)}), as training under ZeRO-3 saves them when it does not gather "
            "them; save the adapter again with its weights gathered"
        )
    return files


def in_home_of(checkpoint: Checkpoint, base: Checkpoint, folder: Path) -> Checkpoint:
    """A checkpoint with its base's configuration, and the adapter's own tokenizer if it has one."""
    has_tokenizer = (folder / "tokenizer_config.json").is_file()
    return replace(checkpoint, home=folder if has_tokenizer else base.home, settings=base.settings or base.home)


def _does_not_fit(folder: Path, base: Path, reason: str) -> InputError:
    """The error for an adapter that was not trained on this base."""
    return InputError(f"the adapter {folder} does not fit {base}: {reason}; name the model it was trained on")


def read_config(folder: Path) -> Any:
    """The adapter's configuration, as peft reads it, without an initialisation that would touch the base."""
    from peft import PeftConfig

    try:
        config = PeftConfig.from_pretrained(str(folder))
    except Exception as error:  # peft raises many kinds for a file that is none
        raise InputError(
            f"{folder / 'adapter_config.json'} is no adapter configuration ({reason_of(error)})"
        ) from error
    config.inference_mode = True
    return config


def peft_type(config: Any) -> str:
    """peft's name of an adapter's type, such as LORA."""
    return str(config.peft_type).removeprefix("PeftType.")


def _no_own_space(config: Any) -> str | None:
    """Why an adapter's own tensors cannot be restored, as the end of a sentence; None where they can."""
    if peft_type(config) != "LORA":
        return (
            f"is of the type {peft_type(config)}, in whose tensors the aligned model has no values; use --space weights"
        )
    init = config.init_lora_weights
    if isinstance(init, str) and init not in BASE_PRESERVING_INITS:
        return (
            f"was initialised by {init}, which changes the base, so that the aligned values are not in the file; "
            "convert it with peft (save_pretrained with path_initial_model_for_weight_conversion), or merge it and "
            "name the result"
        )
    if getattr(config, "layer_replication", None):
        return "repeats layers of its base (layer_replication); merge it with peft and name the result"
    return None


# Which parameter holds which tensor


def owners_by_parameter(base: Checkpoint, folder: Path, files: Checkpoint) -> tuple[Any, dict[str, str]]:
    """A peft model without weights over the base, and for each parameter the name of the file's tensor that it holds.

    peft itself loads tensors of numbers that tell. Raises InputError for an adapter that does not fit, where a tensor
    of the file is not read, or a parameter of the adapter is not filled.
    """
    from peft import get_peft_model

    config = read_config(folder)
    config.init_lora_weights = False
    try:
        with quiet_peft(), torch.device("meta"):
            model: Any = get_peft_model(skeleton(base), config, adapter_name=ADAPTER)
    except Exception as error:  # peft raises errors of many types for a base that does not fit
        raise _does_not_fit(folder, base.path, reason_of(error)) from error
    numbered = {entry.key: torch.full(entry.shape, float(i)) for i, entry in enumerate(files.entries.values(), 1)}
    names = dict(enumerate(files.entries, 1))
    _give_memory(model, numbered)
    load_tensors(model, numbered, folder, base.path)
    owners, unfilled = {}, []
    for parameter, value in model.named_parameters():
        if not value.is_meta:
            number = float(value.detach().reshape(-1)[0])
            if number in names:
                owners[parameter] = names[int(number)]
            elif ADAPTER in parameter.split("."):
                unfilled.append(parameter)
    unread = sorted({*files.entries} - {*owners.values()})
    if unread or unfilled:
        raise _does_not_fit(
            folder, base.path, f"peft does not read {few(unread)}" if unread else f"it lacks {few(unfilled)}"
        )
    return model, owners


def load_tensors(model: Any, tensors: Mapping[str, Tensor], folder: Path, base: Path) -> None:
    """Let peft load an adapter's tensors, by the keys of its file, into a peft model."""
    from peft.utils import set_peft_model_state_dict

    try:
        with quiet_peft():
            set_peft_model_state_dict(model, dict(tensors), adapter_name=ADAPTER)
    except Exception as error:  # peft raises errors of many types for tensors that do not fit
        raise _does_not_fit(folder, base, reason_of(error)) from error


def _give_memory(model: nn.Module, stored: Iterable[str]) -> None:
    """Give memory to what the file may fill: the adapter's own parameters, and those of the base that it stores."""
    keys = {canonical(key) for key in stored}
    for path, module in model.named_modules():
        for name, value in list(module.named_parameters(recurse=False)):
            full = f"{path}.{name}" if path else name
            if value.is_meta and (ADAPTER in full.split(".") or canonical(full) in keys):
                empty = torch.full_like(value, torch.nan, device="cpu", dtype=torch.float32)
                module.register_parameter(name, nn.Parameter(empty, requires_grad=False))


# What the aligned model holds in their place


def _aligned_values(
    model: nn.Module, owners: Mapping[str, str], base: Checkpoint
) -> Iterator[tuple[str, AlignedValue | None]]:
    """The aligned value of each of the adapter's tensors, None where it is no coordinate (such as lora_A)."""
    from peft.tuners.lora import LoraLayer
    from peft.utils.other import TrainableTokensWrapper

    layers, tied = dict(model.named_modules()), _tied_head(model)
    for parameter, name in owners.items():
        parts = parameter.split(".")
        above = [".".join(parts[:i]) for i in range(len(parts) - 1, 0, -1)]
        layer = next((layers[p] for p in above if isinstance(layers.get(p), LoraLayer | TrainableTokensWrapper)), None)
        if isinstance(layer, TrainableTokensWrapper):
            tokens = layer.token_adapter.token_indices[ADAPTER]
            yield name, partial(_base_rows, base, _base_name(parameter, base, tied, before="token_adapter"), tokens)
        elif ADAPTER not in parts or not isinstance(layer, LoraLayer):
            yield name, partial(_base_value, base, _base_name(parameter, base, tied))
        elif any(factor in parts for factor in ZERO_FACTORS):
            _require_known_variant(layer, name)
            yield name, torch.zeros_like
        elif "lora_magnitude_vector" in parts:
            yield (
                name,
                partial(_base_norm, base, _base_name(parameter, base, tied, before="lora_magnitude_vector"), layer),
            )
        else:
            yield name, None


def _products(model: Any, owners: Mapping[str, str], base: Checkpoint) -> Iterator[tuple[str, tuple[str, str]]]:
    tied = _tied_head(model)
    for parameter, name in owners.items():
        path, factor, rest = parameter.partition(".lora_B.")
        weight = without_marks(f"{path}.weight")
        weight = weight if weight in base.entries else tied.get(weight, weight)
        if factor and rest.endswith("weight") and weight in base.entries:
            yield name, (owners[parameter.replace(".lora_B.", ".lora_A.")], weight)


def _require_known_variant(layer: Any, name: str) -> None:
    """Refuse variants of LoRA that may add something where lora_B is 0."""
    variants = [type(variant).__name__ for variant in getattr(layer, "lora_variant", {}).values()]
    if strange := [v for v in variants if not v.startswith(KNOWN_VARIANTS)]:
        raise NoOwnSpace(f"{name} belongs to a LoRA layer of the kind {strange[0]}; use --space weights")


def _tied_head(model: Any) -> dict[str, str]:
    """The embedding's name by the head's, where the base has one weight for both."""
    base = model.get_base_model()
    if not base.config.get_text_config().tie_word_embeddings:
        return {}
    ends = [base.get_output_embeddings(), base.get_input_embeddings()]
    paths = [next(path for path, module in base.named_modules() if module is end) for end in ends]
    head, embedding = (without_marks(f"{path}.weight") for path in paths)
    return {head: embedding}


def without_marks(parameter: str) -> str:
    """A base's canonical name out of a peft model's: without the parts that peft adds."""
    return canonical(".".join(part for part in parameter.split(".") if part not in BASE_MARKS))


def _base_name(parameter: str, base: Checkpoint, tied: Mapping[str, str], before: str | None = None) -> str:
    """The base's tensor that a parameter of the peft model stands for, or what lies `before` one of its parts."""
    parts = parameter.split(".")
    path = [*parts[: parts.index(before)], "weight"] if before else parts
    name = without_marks(".".join(path))
    name = name if name in base.entries else tied.get(name, name)
    if name not in base.entries:
        raise NoOwnSpace(f"the adapter stores {name}, and {base.path} has no such tensor to compare it with")
    return name


def _base_value(base: Checkpoint, name: str, own: Tensor) -> Tensor:
    """The base's tensor, in the adapter's dtype; rows that the adapter added are its own."""
    value = base.tensor(name).to(own.dtype)
    if value.shape == own.shape:
        return value
    if value.shape[1:] != own.shape[1:] or len(value) > len(own):
        raise InputError(f"the adapter holds {name} of shape {list(own.shape)}, ALIGNED one of {list(value.shape)}")
    return torch.cat([value, own[len(value) :]])


def _base_rows(base: Checkpoint, name: str, rows: list[int], own: Tensor) -> Tensor:
    value: Tensor = base.tensor(name)[torch.tensor(rows)]
    return value.to(own.dtype).reshape(own.shape)


@torch.no_grad()
def _base_norm(base: Checkpoint, name: str, layer: Any, own: Tensor) -> Tensor:
    """DoRA's magnitude where the update is 0: the norm of each output's weights."""
    weight = base.tensor(name).float()
    if getattr(layer, "fan_in_fan_out", False):
        weight = weight.mT
    value: Tensor = torch.linalg.norm(weight, dim=1).reshape(own.shape).to(own.dtype)
    if not is_finite(value):
        raise InputError(f"ALIGNED holds NaN or infinite weights in {name}; expected a working model")
    return value
