"""Measuring time and memory as a benchmark should: the least processor seconds of several runs, anonymous memory."""

import gc
import os
import platform
import threading
import time
from collections.abc import Callable
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

RUNS = 3
Work = Callable[[], object]


def seconds(*works: Work, runs: int = RUNS, clock: Callable[[], float] = time.process_time) -> list[float]:
    """The least seconds of each piece of work, of the processor unless another clock counts. They take turns, so that a
    slow minute is slow for all."""
    best = [float("inf")] * len(works)
    for _ in range(runs):
        for i, work in enumerate(works):
            gc.collect()
            start = clock()
            work()
            best[i] = min(best[i], clock() - start)
    return best


def clock_of(device: torch.device) -> Callable[[], float]:
    """The clock that counts a device's own work: the processor's, or events on an accelerator's queue."""
    return _event if device.type == "cuda" else time.process_time


def _event() -> float:
    """Seconds from a first event to one after all that the accelerator was asked to do so far."""
    first, now = _first_event(), torch.cuda.Event(enable_timing=True)
    now.record()
    now.synchronize()
    return first.elapsed_time(now) / 1000


@cache
def _first_event() -> torch.cuda.Event:
    first = torch.cuda.Event(enable_timing=True)
    first.record()
    return first


def operations(work: Work) -> int:
    """The floating-point operations of a piece of work."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def peak(dtype: torch.dtype, device: torch.device, width: int = 2048) -> float:
    """Floating-point operations a second of a large matrix product: what a device can do at best."""
    left, right = (torch.randn(width, width).to(device, dtype) for _ in range(2))
    return 2 * width**3 / seconds(lambda: left @ right, clock=clock_of(device))[0]


def anonymous(work: Callable[[], Work]) -> int:
    """The most anonymous memory, in bytes, that a piece of work adds to a process of its own. `work` prepares it there,
    uncounted, and returns what is measured."""
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"  # glibc gives back what is freed at once: what is held counts
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_sampled, args=(work, theirs, torch.get_num_threads()))
    process.start()
    theirs.close()
    try:
        return int(ours.recv())
    finally:
        process.join()


def on_device(work: Work) -> int:
    """The most memory, in bytes, that a piece of work adds to what is allocated on the CUDA device."""
    torch.cuda.reset_peak_memory_stats()
    base = torch.cuda.memory_allocated()
    work()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - base


def _sampled(prepare: Callable[[], Work], answer: Any, threads: int) -> None:
    torch.set_num_threads(threads)
    work = prepare()
    gc.collect()
    base, most, done = _anonymous_now(), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.002):
            most = max(most, _anonymous_now())

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    answer.send(max(most, _anonymous_now()) - base)


def _anonymous_now() -> int:
    with Path("/proc/self/status").open() as file:
        line = next(line for line in file if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


def description() -> str:
    """The machine, in a line."""
    with Path("/proc/cpuinfo").open() as file:
        name = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown processor")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{name}, {os.cpu_count()} cores, {memory:.0f} GiB, {torch.get_num_threads()} thread(s), "
        f"torch {torch.__version__}, Python {platform.python_version()}"
    )
