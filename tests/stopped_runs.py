"""Runs of `evaluate` that are killed at any moment and run again: a script, so that what it forks is a quiet process.

Everything is imported once, before the forks. stdin says what to run; stdout tells of each kill.
"""

import gc
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cli_pairs import run

from recover.generation import batched

SOON = 0.002  # seconds between two looks at a process


def started(arguments: list[str], folder: Path) -> int:
    """Fork a process that runs the command in a folder."""
    folder.mkdir(exist_ok=True)
    child = os.fork()
    if child:
        return child
    os.chdir(folder)
    for stream in (1, 2):
        os.dup2(os.open(f"said{stream}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    os._exit(run(*arguments))


def ended(child: int, moment: Callable[[], bool] = lambda: False) -> int:
    """The exit code of a process, or minus the signal that it got when the moment had come."""
    while not moment():
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(SOON)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def lines(folder: Path) -> int:
    """How many answers and verdicts there are."""
    return sum(file.read_bytes().count(b"\n") for file in folder.rglob("*.jsonl"))


def after(folder: Path, count: int, seconds: float) -> Callable[[], bool]:
    """The moment so many seconds after a folder has so many lines: however busy the machine is, anywhere in a run."""
    since: list[float] = []

    def come() -> bool:
        if not since and lines(folder) >= count:
            since.append(time.monotonic())
        return bool(since) and time.monotonic() - since[0] >= seconds

    return come


def main(arguments: list[str], times: int, rows: int, seed: int) -> None:
    """Run once to the end, then kill and run again, each time in a new folder."""
    batched.BATCH_ROWS = rows
    run(*arguments)  # in this very process, so that the forks need to import nothing
    gc.freeze()
    ended(started(arguments, Path("whole")))
    most, draw = lines(Path("whole")), random.Random(seed)
    for number in range(times):
        folder = Path(f"killed{number}")
        code = ended(started(arguments, folder), after(folder, draw.randint(0, most), draw.uniform(0, 0.01)))
        there = lines(folder)
        complete = (folder / "out" / "result.json").is_file()
        again = 0 if complete else ended(started(arguments, folder))
        print(json.dumps({"code": code, "lines": there, "again": again}), flush=True)


if __name__ == "__main__":
    main(**json.load(sys.stdin))
