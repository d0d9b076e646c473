"""Tasks of lm-evaluation-harness, measured on whole checkpoints for the report.

The harness is an extra and is imported late. It asks and scores by its own rules: its prompts, its requests (mostly
the likelihood of given answers), no chat template. So these tasks cannot be part of the search, which generates answers
to task prompts. Their scores are compared between checkpoints like those of any other task.
"""

import contextlib
import functools
import hashlib
import importlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recover.checkpoints.checkpoint import Checkpoint
from recover.errors import InputError, Undecided, few, reason_of
from recover.evaluation import answer_files
from recover.evaluation.run_directory import RunManifest
from recover.model import load
from recover.model.device import pick_offload
from recover.progress import Notify, counter, silent

if TYPE_CHECKING:
    import torch

PREFIX = "lm-eval:"
REQUESTS_PER_BATCH = 8  # for all checkpoints alike


@dataclass(frozen=True)
class LmTask:
    """A task by its name in the harness, or in the task files of `include_path`; `limit` takes its first documents."""

    name: str
    include_path: Path | None = None
    num_fewshot: int | None = None
    limit: int | None = None

    def shortened(self, limit: int) -> "LmTask":
        """The task with at most `limit` documents."""
        return replace(self, limit=limit)


@dataclass(frozen=True)
class Loaded:
    """A task as the harness loaded it, with its documents, and the metric to report."""

    task: LmTask
    seed: int  # of the draw of solved examples
    metric: str
    task_dict: Mapping[str, Any]  # what the harness's task manager returned
    harness_task: Any  # the one task in it

    @property
    def name(self) -> str:
        """The task as a result names it."""
        return f"{PREFIX}{self.task.name}"

    @property
    def digest(self) -> str:
        """A hash of what the task asks and how it scores: its configuration, documents, examples and the harness."""
        with _quiet():
            shots = self.harness_task.fewshot_docs() if self.harness_task.get_config("num_fewshot") else None
        contents = {
            "harness": version("lm_eval"),
            "config": self.harness_task.dump_config(),
            "documents": list(islice(self.harness_task.eval_docs, self.task.limit)),
            "examples": list(shots or ()),
            "metric": self.metric,
            "seed": self.seed,
        }
        text = json.dumps(contents, sort_keys=True, default=str)
        return hashlib.sha256(
            re.sub(r" at 0x[0-9a-f]+", "", text).encode()
        ).hexdigest()  # memory addresses differ between processes


@dataclass(frozen=True)
class Scores:
    """Each checkpoint's score on each document of a task, in [0, 1], higher is better, in the documents' order."""

    name: str
    metric: str
    values: Mapping[str, list[float]]


@dataclass(frozen=True)
class Kept:
    """The scores in a folder, each under the key that a manifest gives it."""

    folder: Path
    manifest: RunManifest

    def scores(self, model: str, task: Loaded) -> list[float] | None:
        """A model's scores; None if the folder lacks them."""
        path = answer_files.scores_path(self.folder, model, task.name)
        return answer_files.read_scores(path, self.manifest.score_key(model, task.name))

    def add(self, model: str, task: Loaded, scores: list[float]) -> None:
        """Write a model's scores."""
        path = answer_files.scores_path(self.folder, model, task.name)
        path.unlink(missing_ok=True)
        key = self.manifest.score_key(model, task.name)
        answer_files.append(path, [answer_files.ScoreLine(id=task.name, key=key, scores=scores)])


def parse(spec: str) -> LmTask:
    """Read `lm-eval:NAME[,include_path=DIR][,num_fewshot=K]`."""
    name, *parts = re.split(r",(?=\w+=)", spec.removeprefix(PREFIX))
    options = dict(part.split("=", 1) for part in parts)
    folder, shots = options.pop("include_path", None), options.pop("num_fewshot", None)
    if not name or options:
        raise InputError(f"--task {spec} cannot be read; write {PREFIX}NAME[,include_path=DIR][,num_fewshot=K]")
    if folder is not None and not Path(folder).is_dir():
        raise InputError(f"--task {spec}: {folder} is no directory; include_path takes one with task files")
    if shots is not None and not re.fullmatch(r"\d{1,3}", shots):
        raise InputError(f"--task {spec}: num_fewshot is {shots!r}; expected a whole number from 0 on")
    return LmTask(name, Path(folder) if folder else None, int(shots) if shots else None)


def load_harness_task(task: LmTask, seed: int = 0) -> Loaded:
    """Let the harness load a task with its documents, before any model is loaded. Task files may run code.

    Raises InputError for an unknown name, a name of several tasks, a task without a metric that can be compared, and a
    task that runs code which the model writes.
    """
    _harness("lm_eval")
    try:
        with _quiet():
            loaded = _manager(task.include_path).load([task.name])
    except Exception as error:  # data sets, task files and the hub's client have errors of many kinds
        reason = reason_of(error, 200)
        raise InputError(
            f"lm-evaluation-harness cannot load the task {task.name} ({reason}); check its name, and that its data can "
            "be read"
        ) from error
    if len(loaded["tasks"]) != 1:
        raise InputError(f"{task.name} stands for several tasks; name one of them: {few(list(loaded['tasks']), 8)}")
    harness_task = next(iter(loaded["tasks"].values()))
    if getattr(harness_task, "UNSAFE_CODE", False):  # only such a task has it
        raise InputError(
            f"the task {task.name} runs code that the model writes, which is never done here; choose another"
        )
    _set_examples(harness_task, task)
    return Loaded(task, seed, _metric(harness_task, task.name), loaded, harness_task)


@functools.cache
def _manager(include_path: Path | None) -> Any:
    """The harness's index of its own tasks and of those in a folder. Reading it takes seconds."""
    return _harness("lm_eval.tasks").TaskManager(include_path=str(include_path) if include_path else None)


def _set_examples(harness_task: Any, task: LmTask) -> None:
    """Set how many solved examples stand before each question."""
    fixed = harness_task.get_config("num_fewshot")
    if task.num_fewshot and fixed == 0:
        raise InputError(f"the task {task.name} takes no examples before its questions; leave num_fewshot out")
    harness_task.set_config(key="num_fewshot", value=(fixed or 0) if task.num_fewshot is None else task.num_fewshot)


def _metric(harness_task: Any, name: str) -> str:
    """The first metric that is a mean over documents and better when higher."""
    higher_is_better = harness_task.higher_is_better()
    means = [metric for metric, by in harness_task.aggregation().items() if getattr(by, "__name__", "") == "mean"]
    usable = [metric for metric in means if higher_is_better.get(metric)]
    if not usable:
        raise InputError(
            f"the task {name} has no metric that is a mean over its documents, the higher the better: found "
            f"{few(list(harness_task.aggregation()))}; choose another task"
        )
    return str(usable[0])


def measure(
    tasks: Sequence[Loaded],
    models: Mapping[str, Checkpoint],
    dtype: "torch.dtype",
    device: "torch.device",
    offload: str = "auto",
    notify: Notify = silent,
    saved: Kept | None = None,
) -> list[Scores]:
    """The scores of all checkpoints on all tasks.

    One model is in memory at a time. A model whose scores are all in `saved` is not loaded.
    """
    values: list[dict[str, list[float]]] = [{} for _ in tasks]
    for name, checkpoint in models.items() if tasks else ():
        saved_scores = [saved.scores(name, task) if saved else None for task in tasks]
        model = tokenizer = None
        if None in saved_scores:
            streamed = pick_offload(offload, checkpoint, dtype, device)
            model = load.load_model(checkpoint, dtype, device, offload=streamed)
            tokenizer = load.load_tokenizer(checkpoint)
        with counter(notify, f"asking the {name} model", len(tasks), "lm-eval") as advance:
            for task, old, by_model in zip(tasks, saved_scores, values, strict=True):
                by_model[name] = _scores(task, model, tokenizer) if old is None else old
                if saved and old is None:
                    saved.add(name, task, by_model[name])
                advance(1)
        del model
    return [Scores(task.name, task.metric, by_model) for task, by_model in zip(tasks, values, strict=True)]


def _scores(loaded: Loaded, model: Any, tokenizer: Any) -> list[float]:
    """A model's score on each document, by the first of the task's filters, in the documents' order."""
    model_class = _harness("lm_eval.models.huggingface").HFLM
    evaluate = _harness("lm_eval.evaluator").evaluate
    loaded.harness_task.set_fewshot_seed(seed=loaded.seed)  # again for each model, so that all get the same examples
    with _quiet():
        wrapped = model_class(pretrained=model, tokenizer=tokenizer, backend="causal", batch_size=REQUESTS_PER_BATCH)
        result = evaluate(
            lm=wrapped, task_dict=loaded.task_dict, limit=loaded.task.limit, bootstrap_iters=0, log_samples=True
        )
    samples = next(iter(result["samples"].values()))
    filtered = [sample for sample in samples if sample["filter"] == samples[0]["filter"]]
    values = [float(sample[loaded.metric]) for sample in sorted(filtered, key=lambda sample: int(sample["doc_id"]))]
    if not all(0 <= value <= 1 for value in values):
        raise Undecided(
            f"the task {loaded.task.name} scores {loaded.metric} from {min(values):g} to {max(values):g}; only scores "
            "from 0 to 1 can be compared; choose another task"
        )
    return values


def _harness(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"--task {PREFIX}... needs lm-evaluation-harness, which cannot be imported ({error}); run: pip install "
            "'recover-align[lm-eval]'"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the harness's output off the terminal: stdout is for results, and stderr shows our own progress."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
