"""From a checkpoint to a transformers model with its weights, and to its tokenizer."""

import json
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

from recover.checkpoints.architecture import CAUSAL, decoder_blocks, one_sentence, quiet, skeleton, weights_by_name
from recover.checkpoints.checkpoint import Checkpoint, canonical
from recover.errors import InputError, Undecided, reason_of
from recover.model.block_streaming import Streamed
from recover.model.live_adapter import add_adapter


def load_model(
    checkpoint: Checkpoint,
    dtype: torch.dtype,
    device: torch.device,
    auto: str = CAUSAL,
    offload: bool = False,
    autocast_adapter: bool = True,
) -> Any:
    """The model itself in eval mode, frozen, with the checkpoint's values, patches and merged adapters applied.

    A model that is in memory already takes the values in place. An adapter in its own space is put into its base,
    unmerged. Nothing writes into such a base, so its weights stay in the mapped file where dtype and device allow it:
    all processes of a machine share them. For `autocast_adapter` see add_adapter().

    `auto` names the class of transformers that knows which model it is. With `offload` its blocks stay in the files
    and are streamed: see `model.streamed`. Raises Undecided if transformers cannot load it or finds weights missing.
    """
    if checkpoint.resident:
        return checkpoint.resident(checkpoint)
    if checkpoint.adapter is None:
        return _load(checkpoint, dtype, device, auto, offload, is_copied=lambda _: True)
    stored = checkpoint.adapter.stored
    base = _load(checkpoint.adapter.base, dtype, device, auto, offload, is_copied=lambda name: name in stored)
    return add_adapter(base, checkpoint, autocast_adapter)


def _load(
    checkpoint: Checkpoint,
    dtype: torch.dtype,
    device: torch.device,
    auto: str,
    offload: bool,
    is_copied: Callable[[str], bool],
) -> Any:
    """A full model. Where `is_copied` says no of a weight, it may be a view of the file's map."""
    shell = skeleton(checkpoint, auto)
    model_keys = {canonical(key): key for key in shell.state_dict()}
    later = _in_blocks(shell) if offload else frozenset()
    nothing = torch.zeros((), dtype=dtype)  # transformers would convert, and an adapter merge, what is streamed anyway
    state = {
        model_keys.get(n, e.key): nothing.expand(e.shape) if n in later else checkpoint.tensor(n)
        for n, e in sorted(checkpoint.entries.items())
    }
    with one_sentence(checkpoint):
        model, report = type(shell).from_pretrained(
            None, config=shell.config, state_dict=state, dtype=dtype, output_loading_info=True
        )
    missing = sorted(report["missing_keys"])
    if missing or report["mismatched_keys"]:
        names = ", ".join([*missing, *map(str, report["mismatched_keys"])][:3])
        raise Undecided(f"{checkpoint.path} does not fill its own architecture: {names} missing or of another shape")
    model.streamed = stream(model, checkpoint, dtype, device) if offload else None
    streamed = model.streamed.names if offload else ()
    for name, parameter in weights_by_name(model).items():
        if name not in streamed:  # transformers may hand out views of the file's map, which must stay as it is
            copied = is_copied(name)
            parameter.data = parameter.data.to(device, copy=copied, memory_format=torch.contiguous_format)
    feed_head_whole(model)
    return model.to(device).eval().requires_grad_(False)


def feed_head_whole(model: Any) -> RemovableHandle | None:
    """Make the head read contiguous states; the hook that does so.

    Generation gives the head the last position of each prompt as a slice, and on a CPU torch then copies the head's
    whole weight for each prompt.
    """
    head = model.get_output_embeddings()
    if head is None:
        return None
    hook: RemovableHandle = head.register_forward_pre_hook(lambda _, given: (given[0].contiguous(), *given[1:]))
    return hook


def _in_blocks(model: Any) -> frozenset[str]:
    """The canonical names of the parameters in a model's blocks."""
    path, modules = decoder_blocks(model)
    return frozenset(
        canonical(f"{path}.{i}.{n}") for i, block in enumerate(modules) for n, _ in block.named_parameters()
    )


def stream(model: Any, checkpoint: Checkpoint, dtype: torch.dtype, device: torch.device) -> Streamed:
    """Make a model's blocks come from a checkpoint when they run; Undecided if they are not there as they lie."""
    path, modules = decoder_blocks(model)
    streamed = Streamed(path, modules, checkpoint.tensor, dtype, device)
    built = sorted(name for name in streamed.names if name not in checkpoint.entries)
    if built:
        raise Undecided(
            f"{checkpoint.path} cannot be streamed: transformers builds {built[0]} from other tensors; "
            "use --offload never, on a machine with enough memory"
        )
    return streamed


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """The tokenizer beside the checkpoint's configuration; InputError if there is none."""
    from transformers import AutoTokenizer

    try:
        with quiet():
            return AutoTokenizer.from_pretrained(str(checkpoint.home), trust_remote_code=False)
    except Exception as error:
        reason = reason_of(error, 160)
        raise InputError(f"{checkpoint.home} has no tokenizer that transformers can load ({reason})") from error


def end_tokens(checkpoint: Checkpoint, tokenizer: Any) -> list[int]:
    """The tokens that end an answer: the generation configuration's, else the configuration's, else the tokenizer's."""
    file = checkpoint.home / "generation_config.json"
    try:
        own = json.loads(file.read_text("utf-8")).get("eos_token_id") if file.is_file() else None
    except (ValueError, AttributeError) as error:
        raise InputError(f"{file} is not valid JSON ({error})") from error
    found: Any = next(
        (e for e in (own, checkpoint.config.get("eos_token_id"), tokenizer.eos_token_id) if e is not None), []
    )
    return list(found) if isinstance(found, list) else [found]
