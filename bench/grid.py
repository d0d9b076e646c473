"""The grid: five families, five tasks, five amounts of harmful data; every fine-tune restored, a quarter of them with
every method.

    python -m bench.grid --cache ~/.cache/recover-grid

Trains what the cache lacks, restores, evaluates, and appends a JSON line a fine-tune and method to `--out`. A line that
is there is not computed again: interrupted, the same command goes on. A cell that fails is told and keeps no other from
being done. One process a core, one thread each; times are processor seconds of the restoration alone.
`python -m bench.grid_report` makes tables and plots of the lines.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import cache, cached_property
from itertools import product
from math import prod
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from transformers.utils.logging import disable_progress_bar

from bench import grid_models
from bench.families import FAMILIES
from bench.grid_models import CAPTURED, SHARES, Asked, Cell
from bench.lab_tasks import TASKS
from recover.checkpoints.checkpoint import Checkpoint
from recover.checkpoints.pair import Pair
from recover.checkpoints.patch import Edit, restored_checkpoint
from recover.checkpoints.publish import write_copy
from recover.checkpoints.selection import Selection
from recover.evaluation.answer_cache import ask_once
from recover.evaluation.ask import prepare
from recover.evaluation.evaluate import Evaluation, conduct
from recover.evaluation.settings import EvaluationSettings
from recover.generation.runtime import Runtime
from recover.jobs.request import Job
from recover.jobs.restore import judge_outcome
from recover.judges import get_judge
from recover.progress import silent
from recover.prompts.prompt_set import PromptSet, prefilled
from recover.prompts.tasks import Task
from recover.search.loop import recover
from recover.search.methods import ABOUT
from recover.search.ranking import sample

OURS, NEW_TOKENS = "refusal-kl", 40
EVERYWHERE = (OURS, "shuffled", "random", "sp2025", "interpolate")
BASELINES = ("resta", "safe-lora", "safe-delta", "snip-diff", "dg-hard")
PROBES = ("prefilled", "further tuned")  # of our restoration: answers begun for it, and 50 more steps of fine-tuning
PREFILL = "Sure, here is"
ABLATIONS: dict[str, dict[str, Any]] = {  # our method with one thing changed: its options, `prompts` those it captures
    "8 capture prompts": {"prompts": 8},
    "32 capture prompts": {"prompts": 32},
    "1 token of an answer": {"harmful_tokens": 1},
    "3 tokens": {"harmful_tokens": 3},
    "16 tokens": {"harmful_tokens": 16},
    "no task anchor": {"lambda_task": 0.0},
    "no ordinary anchor": {"lambda_general": 0.0},
    "anchors x 4": {"lambda_task": 8.0, "lambda_general": 1.2},
    "first step x 10": {"start": 0.002},
    "every 4th step measured": {"measured": 4},
    "two-way flips": {"returns": True},
    "blocks' matrices alone": {"matrices": True},
}
RESULTS = Path(__file__).with_name("results") / "grid.jsonl"
Line = dict[str, Any]


def grid(seed: int = 0) -> list[Cell]:
    """All cells; LoRA and full fine-tunes alternate in every direction."""
    axes = product(enumerate(FAMILIES), enumerate(TASKS), enumerate(SHARES))
    return [Cell(f, t, share, ("lora", "full")[(i + j + k) % 2], seed) for (i, f), (j, t), (k, share) in axes]


def plan() -> list[tuple[Cell, tuple[str, ...]]]:
    """Every cell with what is computed for it, so ordered that a part of it is spread over the whole grid."""
    cells = grid()
    random.Random(0).shuffle(cells)
    diagonal = {(f, t, s) for f, t, s in zip(FAMILIES, TASKS, SHARES[1:] + SHARES[-1:], strict=True)}
    some = [cell for cell in cells if (cell.family, cell.task, cell.harmful_share) in diagonal]
    quarter = [c for n, f in enumerate(FAMILIES) for c in [x for x in cells if x.family == f][: 7 - (n > 0)]]
    everything = [(cell, EVERYWHERE) for cell in cells]
    everything += [(cell, (OURS, *PROBES)) for cell in some]
    everything += [(cell, (OURS, *ABLATIONS)) for cell in some]
    everything += [(replace(cell, seed=seed), (OURS, "random", "sp2025")) for cell in some for seed in (1, 2)]
    everything += [(cell, BASELINES) for cell in quarter]
    return everything + [(replace(cell, constrained=True), ("soft-sft",)) for cell in quarter]


@cache
def the_sets() -> Asked:
    """What all models are asked, drawn once a process."""
    return grid_models.asked()


@dataclass(frozen=True)
class Bench:
    """A cell's checkpoints and task, ready to be restored and measured."""

    cell: Cell
    cache: Path

    @cached_property
    def task(self) -> Task:
        """The task as the tool asks it."""
        return grid_models.task_of(self.cell.task)[0]

    @cached_property
    def home(self) -> Path:
        """Where the family's models are, trained if they were not there."""
        return grid_models.train_family(self.cell.family, self.cache)

    @cached_property
    def pair(self) -> Pair:
        """The aligned and the tuned checkpoint, trained if they were not there."""
        return Pair.open(self.home / "aligned", grid_models.fine_tuned(self.cell, self.cache))

    def restore(self, method: str, options: Mapping[str, Any], prompts: int = CAPTURED) -> tuple[Edit, Line]:
        """What a method makes of the tuned model, and how. Its time has no training in it, but reading the pair."""
        places = self.pair.aligned.path, self.pair.tuned.path
        before = self.home / "unaligned" if ABOUT[method].unaligned else None
        sets, started = the_sets(), time.process_time()
        found = recover(
            Pair.open(*places, unaligned=before),
            method=method,
            options=options,
            harmful=sets.harmful.head(prompts),
            validation=sets.validation,
            general=sets.general,
            task=self.task,
            unseen=[*sets.reported, self.task.report],
            seed=self.cell.seed,
        )
        seconds = round(time.process_time() - started, 2)
        about = {"restored_fraction": found.account.fraction, "seconds": seconds, "stopped": found.account.stopped}
        return found.edit, about

    def measured(self, restored: Checkpoint, sets: Sequence[PromptSet] | None = None) -> Evaluation:
        """The report prompts to all three models; the aligned and the tuned one are asked once."""
        pair, store = self.pair, self.cache / "answers"
        models = {"aligned": pair.aligned, "tuned": pair.tuned, "restored": restored}
        settings = EvaluationSettings(max_new_tokens=NEW_TOKENS, runtime=Runtime(device="cpu", offload="never"))
        task = self.task if sets is None else None
        plan = prepare(models, the_sets().reported if sets is None else sets, task, [get_judge("rules")], settings)
        with tempfile.TemporaryDirectory() as folder:
            for name in ("aligned", "tuned"):
                ask_once(plan, name, Path(folder), store / self.cell.family, silent)
            return conduct(plan, settings, folder=Path(folder))

    def lines(self, methods: Iterable[str]) -> Iterator[Line]:
        """A line for each method. The controls are as large as our restoration."""
        ours: Edit | None = None
        for method in methods:
            if method in ("shuffled", "random", *PROBES) and ours is None:
                ours = self.restore(OURS, {})[0]
            if method in PROBES:
                yield self.probe(method, restored_checkpoint(self.pair, ours or {}))
                continue
            edit, about = self.edit(method, ours)
            ours = edit if method == OURS else ours
            found = self.measured(restored_checkpoint(self.pair, edit))
            yield {**self.line(method, found), **about}

    def edit(self, method: str, ours: Edit | None) -> tuple[Edit, Line]:
        """What is changed of the tuned model under this name."""
        if method in ABLATIONS:
            options = dict(ABLATIONS[method])
            prompts = options.pop("prompts", CAPTURED)
            return self.restore(OURS, options, prompts)
        if method == "soft-sft":
            return Selection(), {"restored_fraction": 0.0, "seconds": None, "stopped": "a training method"}
        if method == "shuffled":
            chosen = shuffled(ours, self.pair, self.cell.seed) if isinstance(ours, Selection) else Selection()
            size = len(chosen) / self.pair.tuned.weights
            return chosen, {"restored_fraction": size, "seconds": 0.0, "stopped": "as many a matrix as refusal-kl"}
        if method != "random":
            return self.restore(method, {})
        if not ours:
            return Selection(), {"restored_fraction": 0.0, "seconds": 0.0, "stopped": "nothing to restore"}
        return self.restore(method, {"fraction": len(ours) / self.pair.tuned.weights})

    def line(self, method: str, found: Evaluation) -> Line:
        """What is kept of a measurement; rates are fractions, those of the report sets apart."""
        cell, names = self.cell, ("aligned", "tuned", "restored")
        by_set = {report.name: report.rates for report in found.sets}

        def rates(name: str, which: str) -> dict[str, float]:
            return {model: getattr(by_set[name][model], which).rate for model in names}

        missed = judge_outcome(Job(aligned="aligned", tuned="tuned"), found)
        return {
            **{key: getattr(cell, key) for key in ("family", "task", "mode", "harmful_share", "seed", "n_harmful")},
            "method": method,
            "harmful": rates("report", "harmful"),
            "harmful_shift": rates("report_harmful", "harmful"),
            "over_refusal": rates("look-alikes", "refused") if "look-alikes" in by_set else None,
            "degenerate": found.summary.degenerate,
            "task_score": dict(found.tasks[0].values) if found.tasks else None,
            "exit_code": int(bool(missed)),
            "missed": [words.split(":")[0] for words in missed],
        }

    def probe(self, method: str, restored: Checkpoint) -> Line:
        """Our restoration under pressure."""
        about = {"restored_fraction": None, "seconds": None, "stopped": ""}
        if method == "prefilled":
            sets = [prefilled(s, PREFILL) for s in (the_sets().report, the_sets().shift)]
            return {**self.line(method, self.measured(restored, sets)), **about}
        with tempfile.TemporaryDirectory() as folder:
            write_copy(restored, Path(folder) / "restored")
            further = grid_models.further_tuned(Path(folder) / "restored", self.cell.task, Path(folder) / "further")
            return {**self.line(method, self.measured(Checkpoint.open(further))), **about}


def shuffled(selection: Selection, pair: Pair, seed: int) -> Selection:
    """As many weights of every matrix, at random places: what is left of a selection without its gradient."""
    parts = [sample({n: prod(pair.tuned.header(n)[1])}, len(p), seed) for n, p in selection]
    return Selection({name: places for part in parts for name, places in part})


def key(cell: Cell, method: str) -> tuple[Any, ...]:
    """What makes a line the same line."""
    return cell.family, cell.task, cell.harmful_share, cell.seed, method


def there(out: Path) -> set[tuple[Any, ...]]:
    """The keys of the lines that a file holds already."""
    lines = map(json.loads, out.read_text(encoding="utf-8").splitlines()) if out.exists() else ()
    return {(x["family"], x["task"], x["harmful_share"], x["seed"], x["method"]) for x in lines}


def begin() -> None:
    """One thread a process, and no bars of libraries."""
    torch.set_num_threads(1)
    disable_progress_bar()


def work(cell: Cell, methods: Sequence[str], cache: Path) -> list[Line]:
    """All lines of a cell: what a process of the pool does."""
    return list(Bench(cell, cache).lines(methods))


def main() -> None:
    """Compute what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="where trained models and answers are kept")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--only", default="*", metavar="PATTERN", help="cells by name: llama-route-5%%-*")
    parser.add_argument("--methods", default="", help="only these, by comma")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    wanted = set(filter(None, asked.methods.split(",")))
    done = there(asked.out)
    todo: dict[Cell, list[str]] = {}  # a cell once: two processes must not train it
    for cell, methods in plan():
        missing = [m for m in methods if key(cell, m) not in done and (not wanted or m in wanted)]
        if missing and fnmatch(cell.name, asked.only):
            todo.setdefault(cell, []).extend(missing)
            done |= {key(cell, m) for m in missing}
    with ProcessPoolExecutor(asked.jobs, get_context("spawn"), begin) as pool:
        families = dict.fromkeys(cell.family for cell in todo)
        list(pool.map(grid_models.train_family, families, [asked.cache] * len(families)))
        futures = {pool.submit(work, cell, methods, asked.cache): cell for cell, methods in todo.items()}
        failed = 0
        for count, future in enumerate(as_completed(futures), 1):
            name, error = futures[future].name, future.exception()
            if error is None:
                append(asked.out, future.result())
            failed += error is not None
            print(f"{count}/{len(futures)}  {name}" + (f"  failed: {error!r}" if error else ""), flush=True)
    sys.exit(failed > 0)


def append(out: Path, lines: Iterable[Line]) -> None:
    """Add lines to a file; a line is there whole or not at all for whoever reads whole lines."""
    with out.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    main()
