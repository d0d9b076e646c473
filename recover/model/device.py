"""Where a model is computed: its device, its compute dtype, and whether its blocks are streamed from the files."""

from math import inf
from pathlib import Path

import torch

from recover.checkpoints.checkpoint import Checkpoint
from recover.errors import InputError

COMPUTE = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick_offload(name: str, checkpoint: Checkpoint, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether to stream a model: `always`, `never`, or, with `auto`, if it would take more than two thirds of the
    memory that is free where it would be. Raises InputError for another word."""
    if name not in ("auto", "always", "never"):
        raise InputError(f"offload {name} is not known; expected auto, always or never")
    if name != "auto":
        return name == "always"
    return checkpoint.full.weights * dtype.itemsize > 2 / 3 * _free_memory(device)


def _free_memory(device: torch.device) -> float:
    """Bytes; without bound where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    lines = Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").is_file() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")), inf)


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
    if checkpoint.full.dtype in (torch.float16, torch.float64) and device.type == "cpu":
        return torch.float32
    return checkpoint.full.dtype
