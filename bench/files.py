"""What writing, comparing and hashing checkpoints costs, as ratios in one process: `python -m bench.files`.

A generated bf16 checkpoint of about 300 MB and its fine-tune lie in a temporary directory, in the page cache. Each
figure is the least of `--repeat` runs. Processor time counts where the disk would decide on the wall clock; the wall
clock where threads work at once.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from bench import machine
from recover.checkpoints import checkpoint, files
from recover.checkpoints.checkpoint import Checkpoint, is_finite, same_bits
from recover.checkpoints.pair import Pair
from recover.checkpoints.patch import make_patch, restored_checkpoint
from recover.checkpoints.publish import publish, staged, write_copy
from recover.search.ranking import sample

SHARDS, MATRICES, SHAPE = 4, 9, (2048, 2048)  # 8 MiB a matrix
FRACTION = 0.002  # of the weights, restored
Row = tuple[str, float, str]


def save_pair(folder: Path) -> Pair:
    """A seeded checkpoint in SHARDS files, and a fine-tune in which two of three matrices differ everywhere."""
    noise = torch.Generator().manual_seed(0)
    for side in ("aligned", "tuned"):
        (folder / side).mkdir()
        (folder / side / "config.json").write_text('{"model_type": "llama"}')
    index = {}
    for shard in range(SHARDS):
        name = f"model-{shard}.safetensors"
        aligned = {f"t{shard}.{i}": torch.randn(SHAPE, generator=noise).bfloat16() for i in range(MATRICES)}
        tuned = {key: value * 1.01 if i % 3 else value.clone() for i, (key, value) in enumerate(aligned.items())}
        save_file(aligned, folder / "aligned" / name)
        save_file(tuned, folder / "tuned" / name)
        index |= dict.fromkeys(aligned, name)
    for side in ("aligned", "tuned"):
        (folder / side / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    return Pair.open(folder / "aligned", folder / "tuned")


def least(work: machine.Work, repeat: int, clock: Callable[[], float] = time.process_time) -> float:
    """The least seconds that some work took."""
    return machine.seconds(work, runs=repeat, clock=clock)[0]


def patches(pair: Pair, folder: Path, repeat: int) -> Iterator[Row]:
    """A patch against a whole checkpoint, both flushed; their fingerprints are known, as they are in a job."""
    selection = sample(pair.changed, int(FRACTION * pair.tuned.weights), seed=0)
    view, patch, out = restored_checkpoint(pair, selection), folder / "p.safetensors", folder / "out"
    make_patch(pair, selection, view)

    def whole() -> None:
        files.remove(out)
        with staged(out) as place:
            write_copy(view, place)
            publish(place, out)

    def library() -> None:
        for number, file in enumerate(pair.tuned.files):
            names = [name for name, entry in view.entries.items() if entry.file == file]
            save_file({name: view.tensor(name) for name in names}, folder / f"{number}.safetensors")
            files.flush(folder / f"{number}.safetensors")

    small = least(lambda: make_patch(pair, selection, view).save(patch), repeat)
    size = sum(file.stat().st_size for file in pair.tuned.files)
    for name, work in (("write_copy", whole), ("save_file", library)):
        yield f"patch vs {name}", least(work, repeat) / small, "x faster (target 10)"
    yield "patch vs checkpoint", patch.stat().st_size / size * 100, f"% of its bytes at {FRACTION:.1%} (target 1)"


def copies(pair: Pair, folder: Path, repeat: int) -> Iterator[Row]:
    """Copying a weights file against loading and saving it; neither is flushed."""
    file, target = pair.tuned.files[0], folder / "copy.safetensors"

    def copy() -> None:
        files.remove(target)
        files.copy(file, target)

    ours = least(copy, repeat)
    tensors = load_file(file)
    yield "copy vs save_file", least(lambda: save_file(tensors, target), repeat) / ours, "x faster"
    yield "copy vs load_file, save_file", least(lambda: save_file(load_file(file), target), repeat) / ours, "x faster"


def reads(pair: Pair, repeat: int) -> Iterator[Row]:
    """Comparing, checking and hashing tensors that are in memory; GB of one side a second."""
    one = torch.randn(1 << 26, generator=torch.Generator().manual_seed(0)).bfloat16()
    other, size = one.clone(), one.nbytes / 1e9
    pairs: tuple[tuple[str, Callable[[], object], str, Callable[[], object]], ...] = (
        ("same_bits", lambda: same_bits(one, other), "torch.equal", lambda: torch.equal(one, other)),
        ("is_finite", lambda: is_finite(one), "isfinite.all", lambda: torch.isfinite(one).all()),
    )
    for name, ours, library, theirs in pairs:
        mine, others = least(ours, repeat), least(theirs, repeat)
        yield name, size / mine, "GB/s"
        yield library, size / others, "GB/s"
        yield f"{name} vs {library}", others / mine, "x faster"
    total = pair.tuned.weights * pair.tuned.dtype.itemsize / 1e9
    yield (
        "Pair.changed, of both sides",
        2 * total / least(lambda: Pair(pair.aligned, pair.tuned).changed, repeat),
        "GB/s",
    )
    yield from hashing(pair.tuned, total, repeat)


def hashing(tuned: Checkpoint, size: float, repeat: int) -> Iterator[Row]:
    """A fingerprint by one thread and by several, on the wall clock."""
    several = checkpoint.HASH_THREADS
    for threads in (1, several):
        checkpoint.HASH_THREADS = threads
        seconds = least(lambda: Checkpoint.open(tuned.path).fingerprint, repeat, time.perf_counter)
        yield f"fingerprint, {threads} threads", size / seconds, "GB/s (wall)"


def main() -> None:
    """Run everything and print a line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        pair = save_pair(Path(place))
        size = sum(file.stat().st_size for file in pair.tuned.files)
        print(f"{size / 1e6:.0f} MB bf16 in {SHARDS} files, least of {repeat}, torch {torch.__version__}, one thread")
        for rows in (patches(pair, Path(place), repeat), copies(pair, Path(place), repeat), reads(pair, repeat)):
            for name, value, unit in rows:
                print(f"{name:32} {value:8.2f} {unit}")


if __name__ == "__main__":
    main()
