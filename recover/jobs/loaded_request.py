"""A request whose files are read and checked before a model is loaded, and the result of such a request."""

import hashlib
import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from recover.checkpoints.checkpoint import Checkpoint
from recover.errors import InputError
from recover.evaluation import lm_eval
from recover.evaluation.ask import Models, QuestionPlan, prepare
from recover.evaluation.evaluate import Evaluation, conduct, get_judges, with_scores
from recover.evaluation.settings import EvaluationSettings
from recover.generation.batched import Batches
from recover.generation.chat import Mismatch
from recover.generation.remote_models import ServedModel
from recover.generation.runtime import Runtime
from recover.generation.sampling import Sampling
from recover.jobs.request import Request
from recover.judges import Judge
from recover.judges.calibration import Calibration, load_calibration
from recover.model import distributed
from recover.model.device import pick_device
from recover.progress import Notify
from recover.prompts.prompt_set import PromptSet, load_prompts, prefilled
from recover.prompts.tasks import Task, load_task
from recover.results.schema import CheckpointInfo, Result, Tool


def load_request(request: Request) -> "LoadedRequest":
    """Read and check everything that a request names, before a model is loaded."""
    sampling = read_sampling(request)
    judges, calibration = load_judges(request)
    return LoadedRequest(
        request=request,
        sets=load_sets(request),
        task=load_file_task(request),
        judges=judges,
        settings=EvaluationSettings(
            judge=judges,
            calibration=calibration,
            chat_template=request.chat_template,
            max_new_tokens=request.max_new_tokens,
            max_task_drop=request.max_task_drop,
            samples=request.samples,
            sampling=sampling,
            runtime=Runtime(
                device=request.device,
                dtype=request.dtype,
                offload=request.offload,
                batches=new_batches(request, sampling),
                seed=request.seed,
            ),
        ),
        harness_tasks=load_harness_tasks(request),
    )


def load_sets(request: Request) -> list[PromptSet]:
    """The report sets: the harmful ones, then the benign one. `limit` shortens them."""
    sets = [prefilled(load_prompts(s, expect="refuse"), request.prefill) for s in request.report_set]
    sets += [load_prompts(request.benign, expect="comply")] if request.benign else []
    names = [prompts.name for prompts in sets]
    if len({*names}) < len(names):
        raise InputError(f"two report sets have the same name ({', '.join(names)}); rename one of the files")
    return [prompts.head(request.limit) for prompts in sets] if request.limit else sets


def load_judges(request: Request) -> tuple[list[Judge], Calibration | None]:
    """The judges, and the calibration of the first. Raises InputError if the calibration is another judge's."""
    calibration = load_calibration(request.calibration) if request.calibration else None
    return get_judges(request.judge, calibration), calibration


def load_file_task(request: Request) -> Task | None:
    """The task of the file, divided into parts. `limit` shortens its report part."""
    files = [spec for spec in request.task if not spec.startswith(lm_eval.PREFIX)]
    if len(files) > 1:
        raise InputError(f"found the task files {', '.join(files)}; give one, which sets the floor of the search")
    if not files:
        if request.task_report:
            raise InputError("--task-report needs --task FILE: the task file that the method may see")
        return None
    task = load_task(files[0], report=request.task_report, metric=request.task_metric, seed=request.seed)
    return task.shortened(request.limit) if request.limit else task


def load_harness_tasks(request: Request) -> list[lm_eval.Loaded]:
    """The tasks of lm-evaluation-harness, with their documents. `limit` shortens them."""
    tasks = [lm_eval.parse(spec) for spec in request.task if spec.startswith(lm_eval.PREFIX)]
    if len({task.name for task in tasks}) < len(tasks):
        raise InputError("a task of lm-eval is named twice; name each once")
    shortened = [task.shortened(request.limit) if request.limit else task for task in tasks]
    return [lm_eval.load_harness_task(task, request.seed) for task in shortened]


def read_sampling(request: Request) -> Sampling | None:
    """How answers are drawn; None if they are greedy."""
    temperature = float(request.samples > 1) if request.temperature is None else request.temperature
    if temperature:
        return Sampling(temperature, 1.0 if request.top_p is None else request.top_p, request.seed)
    if request.samples > 1:
        raise InputError(f"--samples {request.samples} at --temperature 0 are {request.samples} times the same answer")
    if request.top_p is not None:
        raise InputError("--top-p is for drawn answers, and these are greedy; give a --temperature, or --samples")
    return None


def new_batches(request: Request, sampling: Sampling | None) -> Batches:
    """How prompts form batches: `auto` is continuous batching on an accelerator."""
    if request.batching == "continuous" and sampling:
        raise InputError("continuous batches give greedy answers only; draw samples with --batching static")
    automatic = request.batching == "auto" and not sampling and pick_device(request.device).type != "cpu"
    return Batches(continuous=request.batching == "continuous" or automatic)


@dataclass(frozen=True)
class LoadedRequest:
    """A request with its prompt sets, tasks and judges, and the settings of the whole run."""

    request: Request
    sets: Sequence[PromptSet]
    task: Task | None
    judges: Sequence[Judge]
    settings: EvaluationSettings
    harness_tasks: Sequence[lm_eval.Loaded] = ()

    @property
    def batches(self) -> Batches:
        """The batches of the whole run."""
        batches = self.settings.runtime.batches
        assert batches is not None  # noqa: S101, load_request() makes them
        return batches

    def prepare(self, models: Models, apart: Collection[Mismatch] = ()) -> QuestionPlan:
        """The plan of the request's questions to models, checked before one is loaded."""
        if self.harness_tasks and len(_checkpoints(models)) < len(models):
            raise InputError(
                f"--task {lm_eval.PREFIX}... compares likelihoods, which needs a model's weights; leave it out with "
                "--backend, or name checkpoints"
            )
        plan = prepare(models, self.sets, self.task, self.judges, self.settings, apart)
        return replace(plan, tasks={task.name: task.digest for task in self.harness_tasks})

    def conduct(
        self, plan: QuestionPlan, folder: Path | None, notify: Notify, leakage: Mapping[str, int] | None = None
    ) -> Evaluation:
        """Evaluate as the request says. Writes answers, verdicts and scores into `folder`."""
        evaluation = conduct(plan, self.settings, folder=folder, leakage=leakage, notify=notify)
        store = lm_eval.Kept(folder, plan.manifest) if folder else None
        scores = lm_eval.measure(
            self.harness_tasks, _checkpoints(plan.models), plan.dtype, plan.device, plan.offload, notify, store
        )
        return with_scores(evaluation, scores, self.request.max_task_drop, self.request.seed)

    def result(
        self, models: Models, evaluation: Evaluation, exit_code: int, command: str | None, seconds: float
    ) -> Result:
        """The result of an evaluation."""
        served = _served_warnings(models)
        batching = {} if served else {"batching": "continuous" if self.batches.continuous else "static"}
        settings = {**_settings(self.request, self.settings.sampling), **batching, "command": command}
        notes = [*served, *([self.batches.note] if self.batches.note else [])]
        return Result(
            tool=Tool(version=version("recover-align")),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            status="partial" if self.request.limit else "complete",
            exit_code=exit_code,
            checkpoints={name: _checkpoint_info(c) for name, c in models.items()},
            settings={**settings, "total_seconds": round(seconds, 1)},
            judges=evaluation.judges,
            agreement=evaluation.agreement,
            sets=evaluation.sets,
            tasks=evaluation.tasks,
            summary=evaluation.summary,
            warnings=[*notes, *_warnings(self.request, evaluation)],
            environment=_environment(["lm_eval"] if self.harness_tasks else []),
        )


def _checkpoint_info(checkpoint: Checkpoint | ServedModel) -> CheckpointInfo:
    """A checkpoint's entry in a result. The dtype and the hash of a served model are unknown."""
    if isinstance(checkpoint, ServedModel):
        return CheckpointInfo(path=checkpoint.path)
    dtype = str(checkpoint.dtype).removeprefix("torch.")
    return CheckpointInfo(path=str(checkpoint.path), sha256=checkpoint.fingerprint, dtype=dtype)


def _checkpoints(models: Models) -> dict[str, Checkpoint]:
    """The models whose weights are checkpoints, not a server's."""
    return {name: model for name, model in models.items() if isinstance(model, Checkpoint)}


def _served_warnings(models: Models) -> list[str]:
    """Warnings of what a result cannot know about models that a server runs."""
    if not (urls := {model.client.url for model in models.values() if isinstance(model, ServedModel)}):
        return []
    return [
        f"the answers came from {', '.join(sorted(urls))}: neither this result nor a gate can know which weights the "
        "server ran under the models' names, nor in which dtype and with which chat template"
    ]


def _settings(request: Request, sampling: Sampling | None) -> dict[str, Any]:
    """The request as JSON, with the hash of a chat template that came from a file."""
    settings: dict[str, Any] = request.model_dump(mode="json", exclude={"batching"}, exclude_none=True)
    if sampling:
        settings |= vars(sampling)
    if request.chat_template and Path(request.chat_template).is_file():
        settings["chat_template_sha256"] = hashlib.sha256(Path(request.chat_template).read_bytes()).hexdigest()
    return settings


def _warnings(request: Request, evaluation: Evaluation) -> list[str]:
    """Warnings that a reader needs before trusting the numbers."""
    warnings = []
    if request.limit:
        warnings.append(f"quick look: at most {request.limit} prompts a set; the intervals are wide")
    if evaluation.judge.name == "rules" and (evaluation.judge.calibration or {}).get("channel") != "harmful":
        warnings.append(
            "the rules judge reads refusals, it is uncalibrated for harm: look at the answers it calls harmful"
        )
    unscored = [r.unscored for s in evaluation.sets for r in s.rates.values() if r.unscored]
    if total := sum(u.k for u in unscored):
        warnings.append(
            f"{total} of {sum(u.n or 0 for u in unscored)} answers could not be judged; the rates are of the others"
        )
    for s in evaluation.sets:
        if s.leakage:
            warnings.append(
                f"{s.leakage} prompts of {s.name} were also in a capture or validation set, and were removed from it"
            )
    return warnings


def _environment(extras: Sequence[str]) -> dict[str, Any]:
    """The platform and the libraries of this run."""
    libraries = {name: version(name) for name in ("torch", "transformers", "peft", "safetensors", *extras)}
    threads = torch.get_num_threads()
    platform_info = {"python": platform.python_version(), "platform": platform.platform(), "threads": threads}
    return {**platform_info, "processes": distributed.world(), **libraries}
