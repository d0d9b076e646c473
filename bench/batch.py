"""What a batch promises, shown on 40 fine-tunes of the example pair, half adapters and half full ones.

`python -m bench.batch throughput` on a machine that does nothing else; `kills`, `broken` and `ray` anywhere. With
`--place DIR` the fine-tunes and what was done stay there: the next call goes on from them.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.machine import description
from bench.speed import Row, at_least, at_most
from recover.batch.overview import JobEntry, read
from recover.checkpoints.checkpoint import Checkpoint
from recover.errors import Exit
from recover.prompts.prompt_set import load_prompts
from recover.results.schema import find, load

EXAMPLES = Path(__file__).parents[1] / "examples"
RANK = 8
PROMPTS = 24  # of the harmful and of the general set, which make most of a job's time
BROKEN = ("cut", "wide", "nan")  # half a file; a tensor of another shape; a weight that is no number
ALONE = 4  # fine-tunes that are also restored by themselves: jobs differ by some MiB
LOOK = 0.1  # seconds between two looks at a process
DEFAULTS = """
[defaults]
harmful = "harmful.jsonl"
general = "general.jsonl"
limit = 20
max-new-tokens = 16
option = { steps = 1, measured = 1 }
"""


# Fine-tunes


def make(place: Path, count: int, seed: int) -> Path:
    """Write an aligned model, `count` fine-tunes of it, prompts and a manifest, unless they are there; the manifest."""
    manifest = place / "batch.toml"
    if manifest.is_file():
        return manifest
    place.mkdir(parents=True, exist_ok=True)
    aligned, tuned = (torch.load(EXAMPLES / f"{name}.pt", weights_only=True) for name in ("aligned", "tuned"))
    delta = {name: tuned[name].float() - value.float() for name, value in aligned.items()}
    save(aligned, place / "aligned")
    for number in range(count):
        noise = torch.Generator().manual_seed(seed + number)
        write = adapter if number % 2 else full
        write(place / tune_name(number), aligned, delta, noise)
    for name in ("harmful", "general"):
        prompts = load_prompts("capture_harmful" if name == "harmful" else name).head(PROMPTS)
        rows = [json.dumps({"prompt": prompt.messages[-1]["content"]}) for prompt in prompts]
        (place / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    write_manifest(manifest, {tune_name(number): tune_name(number) for number in range(count)})
    return manifest


def tune_name(number: int) -> str:
    return f"{'adapter' if number % 2 else 'full'}-{number:02}"


def write_manifest(file: Path, tuned: Mapping[str, str]) -> Path:
    """A manifest of fine-tunes by the names of their jobs."""
    jobs = "".join(f'\n[[job]]\nname = "{name}"\ntuned = "{path}"\n' for name, path in tuned.items())
    file.write_text(f'aligned = "aligned"\n{DEFAULTS}{jobs}', encoding="utf-8")
    return file


def command_line(place: Path) -> Iterator[str]:
    """The options of every job as words of the restore command."""
    for name, value in tomllib.loads(DEFAULTS)["defaults"].items():
        if isinstance(value, dict):
            yield from (word for key, of in value.items() for word in (f"--{name}", f"{key}={of}"))
        else:
            yield from (f"--{name}", str(place / value if isinstance(value, str) else value))


def model_of(state: Mapping[str, Tensor]) -> Any:
    """The example's model with these weights."""
    from transformers import AutoConfig, AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(EXAMPLES), dtype=torch.bfloat16)
    model.load_state_dict(state, strict=False)  # a tied head stands once in the file
    return model


def save(state: Mapping[str, Tensor], place: Path) -> None:
    """Write a model with its tokenizer and template."""
    from transformers import AutoTokenizer

    model_of(state).save_pretrained(place)
    AutoTokenizer.from_pretrained(EXAMPLES).save_pretrained(place)


def full(place: Path, aligned: Mapping[str, Tensor], delta: Mapping[str, Tensor], noise: torch.Generator) -> None:
    """The example fine-tune with another tenth of noise in every matrix that it changed."""
    changed = {name: varied(value, noise) for name, value in delta.items()}
    save({name: (value.float() + changed[name]).to(value.dtype) for name, value in aligned.items()}, place)


def varied(delta: Tensor, noise: torch.Generator) -> Tensor:
    """A difference with noise of a tenth of its size; none where there is no difference."""
    return delta + 0.1 * delta.std() * torch.randn(delta.shape, generator=noise) if delta.any() else delta


def adapter(place: Path, aligned: Mapping[str, Tensor], delta: Mapping[str, Tensor], noise: torch.Generator) -> None:
    """The nearest difference of rank RANK to such a fine-tune, as a LoRA adapter."""
    from peft import LoraConfig, get_peft_model

    changed = [name for name, value in delta.items() if value.dim() == 2 and value.any()]
    targets = sorted({name.split(".")[-2] for name in changed} - {"embed_tokens", "lm_head"})
    model = get_peft_model(model_of(aligned), LoraConfig(r=RANK, lora_alpha=RANK, target_modules=targets))
    with torch.no_grad():
        for name, module in model.named_modules():
            own = name.removeprefix("base_model.model.") + ".weight"
            if hasattr(module, "lora_A") and own in delta:
                left, size, right = torch.linalg.svd(varied(delta[own], noise), full_matrices=False)
                module.lora_A["default"].weight.copy_(right[:RANK])
                module.lora_B["default"].weight.copy_(left[:, :RANK] * size[:RANK])
    model.save_pretrained(place)


def break_three(place: Path) -> dict[str, str]:
    """Three full fine-tunes of `place` in broken copies, by the names of the jobs that they take."""
    tuned = dict(zip((tune_name(number) for number in (0, 2, 4)), BROKEN, strict=True))
    for name, kind in tuned.items():
        shutil.copytree(place / name, place / kind, dirs_exist_ok=True)
        file = place / kind / "model.safetensors"
        state = load_file(file)
        if kind == "cut":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
            continue
        norm = state["model.norm.weight"]
        state["model.norm.weight"] = torch.zeros(7, 5) if kind == "wide" else torch.full_like(norm, torch.nan)
        save_file(state, file, {"format": "pt"})
    return tuned


# Batches

Look = Callable[[int], object]


def nothing(process: int) -> None:
    """Leave a process alone."""


@dataclass(frozen=True)
class Done:
    """A batch that came to its end, or was stopped."""

    code: int
    seconds: float
    anonymous: int = 0  # most bytes that its processes held together
    proportional: int = 0  # the same with what they share, counted once


def batch(manifest: Path, out: Path, *options: object, look: Look = nothing, threads: int | None = 1) -> Done:
    """Run a batch to its end."""
    return watched("batch", manifest, "-o", out, "--quiet", *options, out=out, look=look, threads=threads)


def watched(*words: object, out: Path, look: Look = nothing, threads: int | None = 1) -> Done:
    """Run a command in a session of its own to its end, and give its process to `look` again and again until then."""
    command = [sys.executable, "-m", "recover.cli", *words]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", **({"OMP_NUM_THREADS": str(threads)} if threads else {})}
    began, most = time.monotonic(), (0, 0)
    with Path(f"{out}.said").open("a") as said:
        process = subprocess.Popen(
            [*map(str, command)], stdout=said, stderr=said, env=environment, start_new_session=True
        )
        try:
            while process.poll() is None:
                now = memory(process.pid)
                most = max(most[0], now[0]), max(most[1], now[1])
                look(process.pid)
                time.sleep(LOOK)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return Done(process.wait(), time.monotonic() - began, *most)


def memory(session: int) -> tuple[int, int]:
    """(Pss_Anon, Pss) in bytes of all processes of a session: what they share is counted once."""
    found = [0, 0]
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended
            if os.getsid(int(folder.name)) == session:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                for place, word in enumerate(("Pss_Anon:", "Pss:")):
                    found[place] += next((int(x.split()[1]) * 1024 for x in lines if x.startswith(word)), 0)
    return found[0], found[1]


def numbers(result: Path) -> dict[str, Any]:
    """What a result says that is the same in every run: no time, place or memory."""
    told = load(result).model_dump(include={"exit_code", "sets", "tasks", "summary", "judges", "warnings"})
    made = load(result).restoration
    assert made is not None
    return {**told, "restored": made.restored, "steps": made.steps, "best": made.best_step}


def told(entry: JobEntry, out: Path) -> dict[str, Any]:
    """What a batch found of a job: its end, its numbers, and the weights that it wrote."""
    found: dict[str, Any] = {"exit_code": entry.exit_code, "failed": entry.status == "failed"}
    if entry.result:
        place = out / entry.result
        found |= {**numbers(place), "weights": Checkpoint.open(out / entry.name / "restored").fingerprint}
    return found


def differing(out: Path, other: Path) -> list[str]:
    """The jobs that have a result in both batches, and not the same one; or a result in one only."""
    ours, theirs = ({entry.name: told(entry, place) for entry in read(place).jobs} for place in (out, other))
    return [name for name in ours if ours[name] != theirs[name]]


def reference(place: Path, manifest: Path) -> Path:
    """A batch that nobody disturbs."""
    out = place / "reference"
    batch(manifest, out, "--jobs", 2)
    return out


def work(out: Path) -> float:
    """Seconds that all jobs took together."""
    return sum(entry.seconds or 0.0 for entry in read(out).jobs)


# What is shown


def throughput(place: Path, manifest: Path, draw: random.Random, count: int) -> Iterator[Row]:  # noqa: ARG001
    """Two jobs at a time against one, which has all threads of the machine."""
    outs = [fresh(place / f"jobs-{jobs}") for jobs in (1, 2)]
    one, two = (batch(manifest, out, "--jobs", jobs, threads=None) for jobs, out in enumerate(outs, 1))
    detail = f"{one.seconds:.0f} s, {two.seconds:.0f} s"
    yield at_least("two jobs at a time against one: throughput", 1.6, one.seconds / two.seconds, detail)
    single = [alone(place, number) for number in range(ALONE)]
    for what in ("anonymous", "proportional"):
        each = [getattr(done, what) for done in single]
        ours, theirs = getattr(two, what), max(each)
        detail = (
            f"{min(each) >> 20} to {theirs >> 20} MiB, {ours >> 20} MiB; one at a time {getattr(one, what) >> 20} MiB"
        )
        yield at_most(f"peak {what} memory of all processes against one job by itself", 2, ours / theirs, detail)
    yield exactly("questions to the aligned model: two report sets, four in the search", 6, kept(outs[1]))


def alone(place: Path, number: int) -> Done:
    """One of the fine-tunes, restored by itself with the options that it has in the batch."""
    out = fresh(place / "alone")
    words = [place / "aligned", place / tune_name(number), "-o", out, "--quiet", *command_line(place)]
    return watched(*words, out=out, threads=None)


def kills(place: Path, manifest: Path, draw: random.Random, count: int) -> Iterator[Row]:
    """SIGKILL at random moments, of the batch with its workers or of the batch alone; then the same command."""
    whole, out = reference(place, manifest), fresh(place / "killed")
    life = work(whole) / (count + 2)  # seconds: half of it on average, two jobs at a time, ends before they are done
    complete: dict[str, int] = {}
    struck = lost = 0
    for _ in range(count):
        killer = partial(strike, draw.choice((os.kill, os.killpg)), begun(out), draw.uniform(0, life))
        struck += batch(manifest, out, "--jobs", 2, look=killer).code == -signal.SIGKILL
        lost += len(complete.items() - results(out).items())
        complete = results(out)
    done = batch(manifest, out, "--jobs", 2)
    lost += len(complete.items() - results(out).items())
    yield exactly("SIGKILLs at random moments", count, struck, f"{len(complete)} results after the last")
    yield exactly("results lost or made twice", 0, lost)
    yield exactly("exit code of the last run", read(whole).exit_code, done.code)
    yield exactly("jobs whose results differ from an undisturbed batch's", 0, len(differing(out, whole)))


def strike(kill: Callable[[int, int], None], since: Callable[[], float], moment: float, process: int) -> None:
    """Kill a batch so many seconds after its first job of this run began."""
    if since() >= moment:
        kill(process, signal.SIGKILL)


def begun(out: Path) -> Callable[[], float]:
    """A clock that tells the seconds since a job wrote into its log; it stands at -1 before that."""
    before = lengths(out)
    start: list[float] = []

    def since() -> float:
        if not start and lengths(out) != before:
            start.append(time.monotonic())
        return time.monotonic() - start[0] if start else -1.0

    return since


def lengths(out: Path) -> dict[str, int]:
    return {log.name: log.stat().st_size for log in out.glob("*.log")}


def results(out: Path) -> dict[str, int]:
    """The result files that are there: another number is another file."""
    files = {folder.name: find(folder / "restored") for folder in out.glob("*/") if (folder / "restored").exists()}
    return {name: file.stat().st_ino for name, file in files.items() if file.name == "result.json"}


def broken(place: Path, manifest: Path, draw: random.Random, count: int) -> Iterator[Row]:  # noqa: ARG001
    """Three of the fine-tunes cannot be restored."""
    whole, bad = reference(place, manifest), break_three(place)
    names = [entry.name for entry in read(whole).jobs]
    out = fresh(place / "broken")
    done = batch(write_manifest(place / "broken.toml", {n: bad.get(n, n) for n in names}), out, "--jobs", 2)
    found = read(out)
    yield exactly("results", len(names) - len(bad), found.count("done"))
    yield exactly("failures", len(bad), found.count("failed"))
    yield exactly("exit code", Exit.UNDECIDED, done.code)
    yield exactly("other jobs whose results differ", 0, len(set(differing(out, whole)) - set(bad)))
    for entry in found.jobs:
        if entry.status == "failed":
            print(f"      {entry.name}: {entry.reason}")


def ray(place: Path, manifest: Path, draw: random.Random, count: int) -> Iterator[Row]:  # noqa: ARG001
    """Two workers of a local Ray cluster, one of which is killed in the middle of a job."""
    whole, out = reference(place, manifest), fresh(place / "ray")
    after, killed = draw.randrange(len(read(whole).jobs) // 2), list[str]()
    done = batch(manifest, out, "--engine", "ray", "--jobs", 2, look=partial(kill_worker, out, after, killed))
    again = [name for name in killed if (out / f"{name}.log").read_text().count("--- ") == 2]
    yield exactly("workers killed in the middle of a job", 1, len(killed), f"that of {', '.join(killed)}")
    yield exactly("their jobs begun anew", 1, len(again))
    yield exactly("exit code", read(whole).exit_code, done.code, f"{done.seconds:.0f} s")
    yield exactly("jobs whose results differ from the local engine's", 0, len(differing(out, whole)))


def kill_worker(out: Path, after: int, killed: list[str], process: int) -> None:  # noqa: ARG001
    """Once so many results are there, kill one worker that measures a model, and write down its job."""
    for log in out.glob("*.log") if not killed and len(results(out)) >= after else ():
        holder = (out / log.stem / ".lock").read_text()  # empty when its job is over
        if holder and "measuring" in log.read_text() and not killed:
            os.kill(int(holder), signal.SIGKILL)
            killed.append(log.stem)


def kept(out: Path) -> int:
    """How often the aligned model was asked a set of prompts, and its answers kept, by the logs of all jobs."""
    return sum(log.read_text().count("keeping the aligned model's answers") for log in out.glob("*.log"))


def exactly(name: str, target: float, measured: float, detail: str = "") -> Row:
    """A number that must be met."""
    return replace(at_least(name, target, measured, detail), target=f"{target:g}", passed=measured == target)


def fresh(out: Path) -> Path:
    """A directory without what an earlier call left."""
    shutil.rmtree(out, ignore_errors=True)
    return out


SHOWN: dict[str, Callable[[Path, Path, random.Random, int], Iterator[Row]]] = {
    "throughput": throughput,
    "kills": kills,
    "broken": broken,
    "ray": ray,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Show one of these, and print a line a number; exit 1 if one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=SHOWN)
    parser.add_argument("--place", type=Path, help="where everything is kept; by default nowhere")
    parser.add_argument("--count", type=int, default=40, help="fine-tunes")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        place = (asked.place or Path(folder)).absolute()
        manifest = make(place, asked.count, asked.seed)
        load = os.getloadavg()[0]
        print(f"{asked.count} fine-tunes of the example pair; {description()}; load before {load:.1f}", flush=True)
        for row in SHOWN[asked.what](place, manifest, random.Random(asked.seed), asked.kills):
            missed += not row.passed
            verdict = "pass" if row.passed else "MISS"
            print(f"{verdict}  {row.name:66} {row.measured:8.2f}  {row.target:6} {row.detail}", flush=True)
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()
