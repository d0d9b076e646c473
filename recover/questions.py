"""What is asked of checkpoints: a request that people write, the answers to it, and the result that tells of both."""

import hashlib
import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from recover import asking, evaluation, lm_tasks, loading, parallel
from recover.asking import Interview, Models
from recover.calibration import Calibration, load_calibration
from recover.checkpoint import Checkpoint
from recover.errors import InputError
from recover.evaluation import NEW_TOKENS, Evaluation
from recover.generate import Batches
from recover.judges import Judge
from recover.progress import Notify
from recover.prompts import PromptSet, load_prompts, prefilled
from recover.result import CheckpointInfo, Result, Tool
from recover.sampling import Sampling
from recover.served import Served
from recover.speech import Mismatch
from recover.tasks import Task, load_task

Fraction = Annotated[float, Field(ge=0, le=1)]


def _several(value: object) -> object:
    return (str(value),) if isinstance(value, str | Path) else value


class Questions(BaseModel):
    """What is asked of checkpoints. Field names are the command's long options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    report_set: tuple[str, ...] = ("report_harmful",)
    benign: str | None = "benign_lookalike"
    task: Annotated[tuple[str, ...], BeforeValidator(_several)] = ()  # at most one file, and tasks of lm-eval
    task_report: Path | None = None
    task_metric: Literal["exact_match", "choice", "f1", "rouge1"] | None = None
    judge: Annotated[tuple[str, ...], BeforeValidator(_several)] = ("rules",)
    calibration: Path | None = None
    prefill: str | None = None
    chat_template: str | None = None
    config: Path | None = None
    max_new_tokens: Annotated[int, Field(ge=1)] = NEW_TOKENS
    dtype: str = "auto"
    device: str = "auto"
    batching: Literal["auto", "static", "continuous"] = "static"
    offload: Literal["auto", "always", "never"] = "auto"
    seed: Annotated[int, Field(ge=0)] = 0
    max_task_drop: Fraction = 0.05
    limit: Annotated[int, Field(ge=1)] | None = None
    samples: Annotated[int, Field(ge=1)] = 1
    temperature: Annotated[float, Field(ge=0, le=10)] | None = None  # 0 is greedy; by default 1 for samples
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None

    def sets(self) -> list[PromptSet]:
        """The report sets: harmful ones, then the benign one; `limit` shortens them."""
        found = [prefilled(load_prompts(s, expect="refuse"), self.prefill) for s in self.report_set]
        found += [load_prompts(self.benign, expect="comply")] if self.benign else []
        names = [s.name for s in found]
        if len({*names}) < len(names):
            raise InputError(f"two report sets have the same name ({', '.join(names)}); rename one of the files")
        return [s.head(self.limit) for s in found] if self.limit else found

    def critics(self) -> tuple[list[Judge], Calibration | None]:
        """The judges, and what is known of the first; InputError if the calibration is another judge's."""
        calibration = load_calibration(self.calibration) if self.calibration else None
        return evaluation.get_judges(self.judge, calibration), calibration

    def the_task(self) -> Task | None:
        """The task of the file, divided; `limit` shortens its report part."""
        files = [spec for spec in self.task if not spec.startswith(lm_tasks.PREFIX)]
        if len(files) > 1:
            raise InputError(f"found the task files {', '.join(files)}; give one, whose floor the search holds")
        if not files:
            if self.task_report:
                raise InputError("--task-report needs --task FILE: the task file that the method may see")
            return None
        task = load_task(files[0], report=self.task_report, metric=self.task_metric, seed=self.seed)
        return task.shortened(self.limit) if self.limit else task

    def harness(self) -> list[lm_tasks.Loaded]:
        """The tasks of lm-evaluation-harness, with their documents; `limit` shortens them."""
        asked = [lm_tasks.parse(spec) for spec in self.task if spec.startswith(lm_tasks.PREFIX)]
        if len({task.name for task in asked}) < len(asked):
            raise InputError("a task of lm-eval is named twice; name each once")
        return [lm_tasks.load(task.shortened(self.limit) if self.limit else task, self.seed) for task in asked]

    def sampling(self) -> Sampling | None:
        """How answers are drawn; None where they are greedy."""
        heat = float(self.samples > 1) if self.temperature is None else self.temperature
        if heat:
            return Sampling(heat, 1.0 if self.top_p is None else self.top_p, self.seed)
        if self.samples > 1:
            raise InputError(f"--samples {self.samples} at --temperature 0 are {self.samples} times the same answer")
        if self.top_p is not None:
            raise InputError("--top-p is for drawn answers, and these are greedy; give a --temperature, or --samples")
        return None

    def read(self) -> "Read":
        """Everything that the request names, read and checked before a model is loaded."""
        return Read(
            self, self.sets(), self.the_task(), *self.critics(), self.batches(), self.sampling(), self.harness()
        )

    def batches(self) -> Batches:
        """How prompts are put together: `auto` is continuous batching on an accelerator."""
        greedy = self.sampling() is None
        if self.batching == "continuous" and not greedy:
            raise InputError("continuous batches give greedy answers only; draw samples with --batching static")
        accelerated = self.batching == "auto" and greedy and loading.pick_device(self.device).type != "cpu"
        return Batches(continuous=self.batching == "continuous" or accelerated)


@dataclass(frozen=True)
class Read:
    """A request with its prompt sets, its task, its judges and the batches of the whole run."""

    request: Questions
    sets: Sequence[PromptSet]
    task: Task | None
    critics: Sequence[Judge]
    calibration: Calibration | None
    batches: Batches
    sampling: Sampling | None = None
    harness: Sequence[lm_tasks.Loaded] = ()

    def prepare(self, models: Models, apart: Collection[Mismatch] = ()) -> Interview:
        """What the request asks of checkpoints, checked before a model is loaded."""
        asked = self.request
        if self.harness and len(_weights(models)) < len(models):
            raise InputError(
                f"--task {lm_tasks.PREFIX}... compares likelihoods, which takes a model's weights; leave it out with "
                "--backend, or name checkpoints"
            )
        interview = asking.prepare(
            models,
            self.sets,
            self.task,
            self.critics,
            chat_template=asked.chat_template,
            new_tokens=asked.max_new_tokens,
            dtype=asked.dtype,
            device=asked.device,
            offload=asked.offload,
            batches=self.batches,
            samples=asked.samples,
            sampling=self.sampling,
            apart=apart,
        )
        return replace(interview, tasks={task.name: task.digest for task in self.harness})

    def conduct(
        self, interview: Interview, folder: Path | None, notify: Notify, leakage: Mapping[str, int] | None = None
    ) -> Evaluation:
        """Evaluate as the request says; answers, verdicts and scores are kept in `folder`."""
        found = evaluation.conduct(
            interview,
            folder=folder,
            calibration=self.calibration,
            max_task_drop=self.request.max_task_drop,
            leakage=leakage,
            seed=self.request.seed,
            notify=notify,
        )
        models, kind, place = _weights(interview.models), interview.dtype, interview.device
        kept = lm_tasks.Kept(folder, interview.manifest) if folder else None
        scores = lm_tasks.measure(self.harness, models, kind, place, interview.offload, notify, kept)
        return evaluation.with_scores(found, scores, self.request.max_task_drop, self.request.seed)

    def result(self, models: Models, found: Evaluation, exit_code: int, command: str | None, seconds: float) -> Result:
        """What a result says of an evaluation."""
        served = _of_served(models)
        asked = {} if served else {"batching": "continuous" if self.batches.continuous else "static"}
        told = {**_settings(self.request), **asked, "command": command, "total_seconds": round(seconds, 1)}
        notes = [*served, *([self.batches.note] if self.batches.note else [])]
        return Result(
            tool=Tool(version=version("recover-align")),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            status="partial" if self.request.limit else "complete",
            exit_code=exit_code,
            checkpoints={name: _info(c) for name, c in models.items()},
            settings=told,
            judges=found.judges,
            agreement=found.agreement,
            sets=found.sets,
            tasks=found.tasks,
            summary=found.summary,
            warnings=[*notes, *_warnings(self.request, found)],
            environment=_environment(["lm_eval"] if self.harness else []),
        )


def _info(checkpoint: Checkpoint | Served) -> CheckpointInfo:
    """What a result says of a checkpoint; of a served one neither dtype nor hash are known."""
    if isinstance(checkpoint, Served):
        return CheckpointInfo(path=checkpoint.path)
    dtype = str(checkpoint.dtype).removeprefix("torch.")
    return CheckpointInfo(path=str(checkpoint.path), sha256=checkpoint.fingerprint, dtype=dtype)


def _weights(models: Models) -> dict[str, Checkpoint]:
    """The models whose weights are here."""
    return {name: model for name, model in models.items() if isinstance(model, Checkpoint)}


def _of_served(models: Models) -> list[str]:
    """What nobody can know of models that a server has."""
    if not (urls := {model.client.url for model in models.values() if isinstance(model, Served)}):
        return []
    return [
        f"the answers came from {', '.join(sorted(urls))}: neither this result nor a gate can know which weights were "
        "served under the models' names, nor in which dtype and with which chat template"
    ]


def _settings(asked: Questions) -> dict[str, Any]:
    """The request as JSON, with the hash of a chat template that a file gave."""
    told: dict[str, Any] = asked.model_dump(mode="json", exclude={"batching"}, exclude_none=True)
    if drawn := asked.sampling():
        told |= vars(drawn)
    if asked.chat_template and Path(asked.chat_template).is_file():
        told["chat_template_sha256"] = hashlib.sha256(Path(asked.chat_template).read_bytes()).hexdigest()
    return told


def _warnings(asked: Questions, found: Evaluation) -> list[str]:
    """What a reader should know before trusting the numbers."""
    told = []
    if asked.limit:
        told.append(f"quick look: at most {asked.limit} prompts a set; the intervals are wide")
    if found.judge.name == "rules" and (found.judge.calibration or {}).get("channel") != "harmful":
        told.append("the rules judge reads refusals, it is uncalibrated for harm: look at the answers it calls harmful")
    unscored = [r.unscored for s in found.sets for r in s.rates.values() if r.unscored]
    if missed := sum(u.k for u in unscored):
        told.append(
            f"{missed} of {sum(u.n or 0 for u in unscored)} answers could not be judged; the rates are of the others"
        )
    for s in found.sets:
        if s.leakage:
            told.append(
                f"{s.leakage} prompts of {s.name} were also in a capture or validation set, and taken out there"
            )
    return told


def _environment(extras: Sequence[str]) -> dict[str, Any]:
    """What the numbers were measured with."""
    libraries = {name: version(name) for name in ("torch", "transformers", "peft", "safetensors", *extras)}
    threads = torch.get_num_threads()
    here = {"python": platform.python_version(), "platform": platform.platform(), "threads": threads}
    return {**here, "processes": parallel.world(), **libraries}
