"""From a checkpoint to a transformers model and tokenizer. The only place that asks transformers to build a model."""

import contextlib
import json
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recover.checkpoint import Checkpoint, canonical
from recover.errors import InputError, Undecided
from recover.streaming import Streamed

CAUSAL = "AutoModelForCausalLM"
COMPUTE = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def skeleton(checkpoint: Checkpoint, auto: str = CAUSAL) -> Any:
    """The checkpoint's architecture on the meta device: names and shapes without weights."""
    import transformers

    with torch.device("meta"), _one_sentence(checkpoint):
        return getattr(transformers, auto).from_config(_config(checkpoint), trust_remote_code=False)


def load_model(
    checkpoint: Checkpoint, dtype: torch.dtype, device: torch.device, auto: str = CAUSAL, offload: bool = False
) -> Any:
    """The model itself in eval mode, frozen, with the checkpoint's values (patches and adapters applied).

    `auto` names the class of transformers that knows which model it is. With `offload` its blocks stay in the files
    and are streamed: see `model.streamed`. Raises Undecided if transformers cannot load it or finds weights missing.
    """
    shell = skeleton(checkpoint, auto)
    model_keys = {canonical(key): key for key in shell.state_dict()}
    later = _in_blocks(shell) if offload else frozenset()
    nothing = torch.zeros((), dtype=dtype)  # transformers would convert, and an adapter merge, what is streamed anyway
    state = {
        model_keys.get(n, e.key): nothing.expand(e.shape) if n in later else checkpoint.tensor(n)
        for n, e in sorted(checkpoint.entries.items())
    }
    with _one_sentence(checkpoint):
        model, report = type(shell).from_pretrained(
            None, config=shell.config, state_dict=state, dtype=dtype, output_loading_info=True
        )
    missing = sorted(report["missing_keys"])
    if missing or report["mismatched_keys"]:
        found = ", ".join([*missing, *map(str, report["mismatched_keys"])][:3])
        raise Undecided(f"{checkpoint.path} does not fill its own architecture: {found} missing or of another shape")
    model.streamed = stream(model, checkpoint, dtype, device) if offload else None
    streamed = model.streamed.names if offload else ()
    for name, parameter in parameters(model).items():
        if name not in streamed:  # transformers may hand out views of the file's map, which must stay as it is
            parameter.data = parameter.data.to(device, copy=True, memory_format=torch.contiguous_format)
    _feed_head_whole(model)
    return model.to(device).eval().requires_grad_(False)


def _feed_head_whole(model: Any) -> None:
    """Make the head read contiguous states. Generation hands it the last position of each prompt as a slice, and on a
    CPU torch then copies the head's whole weight once a prompt."""
    head = model.get_output_embeddings()
    if head is not None:
        head.register_forward_pre_hook(lambda _, given: (given[0].contiguous(), *given[1:]))


def _in_blocks(model: Any) -> frozenset[str]:
    """The canonical names of the parameters in a model's blocks."""
    path, modules = blocks(model)
    return frozenset(
        canonical(f"{path}.{i}.{n}") for i, block in enumerate(modules) for n, _ in block.named_parameters()
    )


def stream(model: Any, checkpoint: Checkpoint, dtype: torch.dtype, device: torch.device) -> Streamed:
    """Make a model's blocks come from a checkpoint when they run; Undecided if they are not there as they lie."""
    path, modules = blocks(model)
    streamed = Streamed(path, modules, checkpoint.tensor, dtype, device)
    built = sorted(name for name in streamed.names if name not in checkpoint.entries)
    if built:
        raise Undecided(
            f"{checkpoint.path} cannot be streamed: transformers builds {built[0]} from other tensors; "
            "use --offload never, on a machine with enough memory"
        )
    return streamed


def pick_offload(name: str, checkpoint: Checkpoint, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether to stream a model: `always`, `never`, or, with `auto`, if it would take more than two thirds of the
    memory that is free where it would be. Raises InputError for another word."""
    if name not in ("auto", "always", "never"):
        raise InputError(f"offload {name} is not known; expected auto, always or never")
    if name != "auto":
        return name == "always"
    return checkpoint.weights * dtype.itemsize > 2 / 3 * _free_memory(device)


def _free_memory(device: torch.device) -> float:
    """Bytes; without bound where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    lines = Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").is_file() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")), inf)


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """The tokenizer beside the checkpoint's configuration; InputError if there is none."""
    from transformers import AutoTokenizer

    try:
        with _quiet():
            return AutoTokenizer.from_pretrained(str(checkpoint.home), trust_remote_code=False)
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
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


def pick_device(name: str) -> torch.device:
    """`auto` is the accelerator if there is one; otherwise what was named. InputError if it is not there."""
    if name == "auto":
        return torch.accelerator.current_accelerator() or torch.device("cpu") if _accelerated() else torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name} is not there ({str(error).splitlines()[0]}); use auto or cpu") from error
    return device


def _accelerated() -> bool:
    return torch.accelerator.is_available()


def pick_dtype(name: str, checkpoint: Checkpoint, device: torch.device) -> torch.dtype:
    """`auto` computes in the checkpoint's dtype, except fp16 on a CPU, which is computed exactly in fp32 (fp16
    arithmetic is 10 to 370 times slower there); otherwise the dtype that was named."""
    if name != "auto":
        if name not in COMPUTE:
            raise InputError(f"dtype {name} is not known; expected auto, {', '.join(COMPUTE)}")
        return COMPUTE[name]
    if checkpoint.dtype in (torch.float16, torch.float64) and device.type == "cpu":
        return torch.float32
    return checkpoint.dtype


def blocks(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """The decoder blocks of a model and their path: the module list as long as the configuration says."""
    config: Any = model.config
    depth = config.get_text_config().num_hidden_layers
    for path, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return path, module
    raise InputError(f"{type(model).__name__} has no list of {depth} decoder blocks; expected a decoder-only model")


def block_of(name: str, path: str) -> int | None:
    """The block that a tensor lies in by its canonical name, None outside the blocks."""
    prefix = canonical(path + ".x").removesuffix("x")
    return int(name.removeprefix(prefix).split(".")[0]) if name.startswith(prefix) else None


def parameters(model: nn.Module) -> dict[str, Tensor]:
    """The model's parameters by canonical name."""
    return {canonical(name): parameter for name, parameter in model.named_parameters()}


def _config(checkpoint: Checkpoint) -> Any:
    from transformers import AutoConfig

    settings = {k: v for k, v in checkpoint.config.items() if k not in ("model_type", "auto_map")}
    with _one_sentence(checkpoint):
        return AutoConfig.for_model(checkpoint.config["model_type"], **settings)


@contextlib.contextmanager
def _one_sentence(checkpoint: Checkpoint) -> Iterator[None]:
    """Turn what transformers raises on an odd configuration or weight into one sentence."""
    try:
        with _quiet():
            yield
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        reason = " ".join(str(error).split())[:240]
        raise Undecided(f"transformers cannot load {checkpoint.path} ({type(error).__name__}: {reason})") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence transformers' loading bars and reports for a while; what matters in them is raised as errors."""
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
