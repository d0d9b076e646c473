"""The plan past one machine: 1,000 adapters on 1, 8 and 64 devices, calculated from counted jobs and replayed.

    python -m bench.scale [JOBS.jsonl]

What a job does was counted here (bench.job); how long that takes on an accelerator is calculated, from the rates in
`Device` and `Host`, which are assumptions. The replay then hands out jobs as a batch does: from a queue, a failed one
to its end again, the aligned model's answers once; workers are killed, hosts are lost and some jobs are corrupt. All
that is printed follows from the counts, the assumptions and the seed.
"""

import heapq
import itertools
import json
import math
import random
import sys
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COUNTED = Path(__file__).with_name("results") / "jobs.jsonl"
JOBS, SEED = 1000, 0
BYTES = 2  # of a weight, in bf16
HOUR, GB = 3600.0, 1e9


@dataclass(frozen=True)
class Model:
    """A model to restore; an adapter over it is small."""

    name: str
    weights: float
    blocks: int
    adapter: float  # bytes

    @property
    def size(self) -> float:
        """Bytes of a checkpoint."""
        return BYTES * self.weights


@dataclass(frozen=True)
class Device:
    """An accelerator; rates a second. Assumed: those of an 80-GB H100 on PCIe 5, less what is usually lost."""

    memory: float = 80 * GB
    operations: float = 0.35 * 990e12  # short sequences, no fused kernels of our own
    bandwidth: float = 0.7 * 3.35e12  # bytes from its own memory
    bus: float = 12 * GB  # bytes from the host's page cache, which is not pinned
    launch: float = 0.8e-3  # seconds a block of a pass at least: transformers starts its kernels one by one


@dataclass(frozen=True)
class Host:
    """A machine of eight devices; bytes a second."""

    devices: int = 8
    disk: float = 3 * GB  # written to a local NVMe drive
    network: float = 12.5 * GB  # 100 Gbit/s, to storage that all hosts share
    storage: float = 40 * GB  # that storage, for all hosts together
    hashing: float = 1.89 * GB  # a thread: measured (bench.files)
    threads: int = 8  # a device


@dataclass(frozen=True)
class Faults:
    """What goes wrong, and how a batch answers."""

    killed: float = 1 / (24 * HOUR)  # a device and second
    lost: float = 1 / (100 * HOUR)  # a host and second
    corrupt: float = 0.005  # of the jobs: their checkpoint cannot be opened
    retry: int = 2
    restart: float = 60.0  # seconds until a new worker has imported everything
    repair: float = 2 * HOUR


HOST, NOTHING = Host(), Faults(killed=0, lost=0, corrupt=0)
SMALL, LARGE = Model("7 B", 6.7e9, 32, 160e6), Model("70 B", 69e9, 80, 830e6)
OPENED = 0.02  # of a job, until it finds that its checkpoint is corrupt

# How long a job takes ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """Seconds of a job on one device by what they are spent on, and bytes that leave it for the host's disk."""

    parts: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """All of it: nothing overlaps."""
        return sum(self.parts.values())


def cost(model: Model, device: Device, host: Host, counted: Mapping[str, Any], parts: Sequence[str]) -> Cost:
    """What some parts of a counted job take with another model."""
    found: Counter[str] = Counter()
    for part in parts:
        for kind in ("gradient", "forward", "answer"):
            tokens, passes = (float(counted[part].get(f"{kind}_{what}", 0)) for what in ("tokens", "passes"))
            again = kind == "gradient" and passes > 0  # forward and backward once more, where a streamed block stays
            carried = passes + again * (2 * passes if fits(model, device) else counted["steps"])
            word, seconds = slowest(model, device, (8 if again else 2) * tokens, passes * (3 if again else 1), carried)
            found[word] += seconds
    if "search" in parts:
        found.update(around(model, device, host, counted))
    return Cost(found)


def slowest(model: Model, device: Device, operations: float, passes: float, carried: float) -> tuple[str, float]:
    """What bounds some passes, and for how long: computing (operations a weight), launches, or the weights' way to
    where they are needed, which all of them go so many times."""
    way = ("device memory", device.bandwidth) if fits(model, device) else ("bus", device.bus)
    bounds = {
        "computing": operations * model.weights / device.operations,
        way[0]: carried * model.size / way[1],
        "launches": passes * model.blocks * device.launch,
    }
    word = max(bounds, key=lambda name: bounds[name])
    return word, bounds[word]


def fits(model: Model, device: Device) -> bool:
    """Whether the weights, four gradients of a block in fp32 and some room for activations fit into a device."""
    return model.size * (1 + 4 * 4 / BYTES / model.blocks) + 8 * GB < device.memory


def around(model: Model, device: Device, host: Host, counted: Mapping[str, Any]) -> dict[str, float]:
    """What a job does beside its passes. Each step needs the other side's values on the device, and the model becomes
    the aligned one and back twice; four are loaded; three checkpoints are hashed; one is written."""
    moved = (counted["steps"] + 8) * model.size
    hashed = 3 * model.size / (host.hashing * host.threads)
    return {"bus": moved / device.bus, "hashing": hashed, "disk": model.size / host.disk}


# The replay -------------------------------------------------------------------------------------------------------


@dataclass
class Replay:
    """What became of a batch. Times in seconds; `wasted` are those of devices in attempts that came to nothing."""

    seconds: float = 0.0
    done: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    attempts: int = 0
    wasted: float = 0.0


class Losses:
    """When each host is lost, and so all that runs there; it is back after its repair."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self.faults, self.seed = faults, seed
        self._times: dict[int, tuple[random.Random, list[float]]] = {}

    def around(self, host: int, now: float) -> tuple[float, float]:
        """(when the host is there, from now on; when it is lost after that)."""
        if not self.faults.lost:
            return now, math.inf
        rng, times = self._times.setdefault(host, (random.Random(f"{self.seed} {host}"), [0.0]))
        start, following = now, times[-1]
        for time in times[1:]:
            if start < time + self.faults.repair and time <= start:
                start = time + self.faults.repair
        while following <= start:
            following += self.faults.repair + rng.expovariate(self.faults.lost)
            times.append(following)
        return start, next(time for time in times[1:] if time > start)


def replay(
    seconds: Sequence[float], shared: float, devices: int, faults: Faults = NOTHING, seed: int = SEED, host: int = 8
) -> Replay:
    """Run jobs of so many seconds on devices, `host` of them in a machine, as a batch does. The first job does what is
    shared, for which those that begin meanwhile wait."""
    rng, losses, found = random.Random(seed), Losses(faults, seed), Replay()
    corrupt = {job for job in range(len(seconds)) if rng.random() < faults.corrupt}
    waiting, idle = deque((job, faults.retry) for job in range(len(seconds))), deque(range(devices))
    order, events = itertools.count(), list[tuple[float, int, deque[Any], Any]]()  # (when, order, who gets what back)
    now = 0.0
    while waiting or events:
        while waiting and idle:
            (job, tries), device = waiting.popleft(), idle.popleft()
            start, lost = losses.around(device // host, now)
            end = max(start, shared) + seconds[job] * (OPENED if job in corrupt else 1)
            killed = start + rng.expovariate(faults.killed) if faults.killed else math.inf
            cut = min(end, lost, killed)
            found.attempts += 1
            if cut == end and job not in corrupt:
                found.done.append(job)
                found.seconds = max(found.seconds, end)
            else:
                found.wasted += cut - start
                tries -= cut != lost  # a host takes its batch along, and the same command goes on
                if tries < 0:
                    found.failed.append(job)
                else:
                    heapq.heappush(events, (cut, next(order), waiting, (job, tries)))
            pause = {lost: faults.repair, killed: faults.restart}.get(cut, 0.0)
            heapq.heappush(events, (cut + pause, next(order), idle, device))
        now, _, place, what = heapq.heappop(events)
        place.append(what)
    return found


# The table --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A batch of JOBS adapters of a model on so many devices."""

    model: Model
    device: Device
    devices: int
    job: float  # seconds, the mean
    bound: str  # what most of them are spent on
    smooth: Replay  # with nothing going wrong
    rough: Replay
    network: float  # bytes from the shared storage, and to it where the checkpoints go there
    written: float
    shares: Mapping[str, float]  # of what could be carried in that time


def row(model: Model, device: Device, devices: int, counted: Sequence[Mapping[str, Any]], host: Host = HOST) -> Row:
    """Calculate a job of each counted one, draw JOBS of them, and replay."""
    costs = [cost(model, device, host, one, ("search", "others")) for one in counted]
    drawn = random.Random(SEED).choices(costs, k=JOBS)
    seconds = [each.seconds for each in drawn]
    shared = sum(cost(model, device, host, counted[0], ("aligned",)).parts.values())
    smooth, rough = (replay(seconds, shared, devices, faults) for faults in (NOTHING, Faults()))
    hosts = math.ceil(devices / host.devices)
    network = hosts * model.size + JOBS * model.adapter
    written = JOBS * model.size
    spent: Counter[str] = Counter()
    for each in drawn:
        spent.update(each.parts)
    time = smooth.seconds
    shares = {
        "local disks": written / (hosts * host.disk) / time,
        "network": (network + written) / (hosts * host.network) / time,
        "shared storage": (network + written) / host.storage / time,
    }
    word = spent.most_common(1)[0][0]
    return Row(model, device, devices, sum(seconds) / JOBS, word, smooth, rough, network, written, shares)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The rows in Markdown. What is read comes from the shared storage; the last columns are shares of what the disks,
    or network and storage if the checkpoints go there, could carry in that time."""
    heads = (
        "model", "GB of a device", "devices", "minutes a job", "mostly", "hours", "hours with faults",
        "device hours lost", "TB read", "TB written",
    )  # fmt: skip
    yield f"| {' | '.join((*heads, *rows[0].shares))} |"
    yield f"|---{'|---:' * 3}|---{'|---:' * (len(heads) - 5 + len(rows[0].shares))}|"
    for each in rows:
        cells = (
            each.model.name,
            f"{each.device.memory / GB:.0f}",
            f"{each.devices}",
            f"{each.job / 60:,.1f}",
            each.bound,
            f"{each.smooth.seconds / HOUR:,.1f}",
            f"{each.rough.seconds / HOUR:,.1f}",
            f"{each.rough.wasted / HOUR:,.1f}",
            f"{each.network / 1e12:.2f}",
            f"{each.written / 1e12:.0f}",
            *(f"{share:.0%}" for share in each.shares.values()),
        )
        yield f"| {' | '.join(cells)} |"


def plan(file: Path = COUNTED) -> list[Row]:
    """The rows of the plan: 80 GB hold the small model, and stream the large one; a larger device holds that."""
    counted = [json.loads(line) for line in file.read_text().splitlines()]
    cases = [(SMALL, Device()), (LARGE, Device()), (LARGE, Device(memory=192 * GB))]
    return [row(model, device, devices, counted) for model, device in cases for devices in (1, 8, 64)]


def main(arguments: Sequence[str]) -> None:
    print(*table(plan(*map(Path, arguments))), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
