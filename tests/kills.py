"""Writes that are killed: a warmed process forks, the child writes an output and is killed by SIGKILL at some point."""

import gc
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from recover.checkpoints import files
from recover.checkpoints.checkpoint import Checkpoint
from recover.checkpoints.patch import PATCH_FILE
from recover.checkpoints.publish import check_place, publish, reopened, staged, write_copy
from recover.errors import RecoverError

SHARDS, SHAPE = 4, (512, 512)  # a MiB each
Row = dict[str, Any]


def save_shards(folder: Path) -> Path:
    """A directory of SHARDS files with one tensor each."""
    folder.mkdir()
    noise = torch.Generator().manual_seed(0)
    names = {f"t{i}": f"model-{i}.safetensors" for i in range(SHARDS)}
    for key, name in names.items():
        save_file({key: torch.randn(SHAPE, generator=noise)}, folder / name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    return folder


def save_one(folder: Path) -> Path:
    """One weights file of the same size."""
    folder.mkdir()
    noise = torch.Generator().manual_seed(0)
    save_file({f"t{i}": torch.randn(SHAPE, generator=noise) for i in range(SHARDS)}, folder / "w.safetensors")
    return folder / "w.safetensors"


def plus(checkpoint: Checkpoint, number: int) -> Checkpoint:
    """The checkpoint with a number added to every second tensor, so that some files are copied and some patched."""
    return checkpoint.with_overrides({name: lambda t: t + number for name in checkpoint.names()[::2]})


def write(view: Checkpoint, out: Path, word: str) -> None:
    """Write as a job does: patch, weights, and a result that says which run it is of."""
    check_place(out, [view.root], overwrite=True)
    with staged(out) as place:
        folder = place / "recovery" if view.is_directory else Path(f"{place}.recovery")
        folder.mkdir(parents=True)
        (folder / PATCH_FILE).write_text(word)
        write_copy(view, place)
        reopened(view, place)
        (folder / "result.json").write_text(word)
        publish(place, out)


def look(out: Path, known: dict[str, str]) -> list[str]:
    """What lies at `out`: the word of the weights and that of the result, `broken` for any other weights."""
    mark = files.in_output(out, "result.json")
    word = mark.read_text() if mark else "absent"
    if not out.exists():
        return ["absent", word]
    try:
        return [known.get(Checkpoint.open(out).fingerprint, "broken"), word]
    except RecoverError:
        return ["broken", word]


def killed(action: Callable[[], None], delay: float | None = None, call: int | None = None) -> bool:
    """Fork, run and kill: after a delay, or before the so many'th call that moves, flushes or removes something.
    Whether it was killed, and not done before."""
    child = os.fork()
    if not child:
        if call is not None:
            _strike(call)
        action()
        os._exit(0)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), code
    return code != 0


def _strike(call: int) -> None:
    """Make this process kill itself before a call."""
    left = iter(range(call))

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return wrapped

    Path.rename = counted(Path.rename)  # type: ignore[method-assign]
    os.fsync, os.rmdir, os.unlink = counted(os.fsync), counted(os.rmdir), counted(os.unlink)


def rounds(source: Path, out: Path, over_old: bool, count: int) -> Iterator[Row]:
    """Kill writes at every call, and then `count` ones at random moments, each followed by a kill of the next run."""
    start = Checkpoint.open(source)
    views = {"old": plus(start, 1), "new": plus(start, 2)}
    known = {view.fingerprint: word for word, view in views.items()}

    def renew() -> None:
        for path in (out, Path(f"{out}.recovery")):
            files.remove(path)
        if over_old:
            write(views["old"], out, "old")

    def again() -> None:
        write(views["new"], out, "new")

    def row(point: object) -> Row:
        left = look(out, known)
        check_place(out, [source], overwrite=True)
        names = sorted(path.name for path in out.parent.iterdir())
        return {"point": point, "left": left, "settled": look(out, known), "names": names}

    again()
    renew()
    began = time.monotonic()
    again()
    takes = time.monotonic() - began
    call, struck = 0, True
    while struck:
        renew()
        struck = killed(again, call=call)
        yield row(f"call {call}")
        call += 1
    draw = random.Random(0)
    for _ in range(count):
        renew()
        moments = [draw.uniform(0, takes) for _ in range(2)]
        for moment in moments:
            killed(again, delay=moment)
        yield row(moments)


def run(source: Path, out: Path, over_old: bool, count: int) -> list[Row]:
    """The rounds, in a process of its own."""
    asked = json.dumps([str(source), str(out), over_old, count])
    done = subprocess.run([sys.executable, __file__, asked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


if __name__ == "__main__":
    torch.set_num_threads(1)
    source, out, over_old, count = json.loads(sys.argv[1])
    gc.freeze()
    for one in rounds(Path(source), Path(out), over_old, count):
        print(json.dumps(one), flush=True)
