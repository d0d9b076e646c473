"""The plan of all questions, and asking them. What a folder already holds is not asked again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from recover.checkpoints.checkpoint import Checkpoint
from recover.errors import InputError
from recover.evaluation import answer_files
from recover.evaluation.answer_files import AnswerLine, VerdictLine
from recover.evaluation.run_directory import AskedSetInfo, RunManifest
from recover.evaluation.settings import EvaluationSettings
from recover.generation.chat import ChatFormat, Mismatch
from recover.generation.remote_models import ServedChatFormat, ServedModel
from recover.generation.sampling import Sampling
from recover.judges import Judge, Judgement
from recover.model import distributed, load
from recover.model.device import pick_device, pick_dtype, pick_offload
from recover.progress import Advance, Notify, counter
from recover.prompts.prompt_set import Answer, Prompt, PromptSet, repeated
from recover.prompts.tasks import Task

Models = Mapping[str, Checkpoint] | Mapping[str, ServedModel]
ModelAnswers = dict[str, dict[str, list[Answer]]]  # model -> set -> answers in the set's order
JudgedSet = list[tuple[Answer, Judgement]]  # in the set's order


@dataclass(frozen=True)
class AskedSet:
    """A prompt set as all checkpoints are asked it: the longest answer, who shares a batch, and how it is drawn."""

    prompts: PromptSet
    max_new_tokens: int
    batches: Sequence[Sequence[Prompt]]
    digest: str  # of the prompts' tokens, batch by batch
    sampling: Sampling | None = None  # by default answers are greedy

    @staticmethod
    def of(
        prompts: PromptSet, tokens: int, chat: ChatFormat | ServedChatFormat, sampling: Sampling | None = None
    ) -> "AskedSet":
        """Cut a set into batches."""
        index_batches, digest = chat.composition(prompts.prompts)
        batches = [[prompts.prompts[index] for index in batch] for batch in index_batches]
        return AskedSet(prompts, tokens, batches, digest, sampling)

    @property
    def name(self) -> str:
        """The set's name."""
        return self.prompts.name

    @property
    def facts(self) -> AskedSetInfo:
        """What a manifest says of it."""
        sizes = {"prompts": len(self.prompts), "max_new_tokens": self.max_new_tokens}
        drawn = vars(self.sampling) if self.sampling else {}
        return AskedSetInfo(sha256=self.prompts.sha256, batches=self.digest, sampling=drawn, **sizes)


@dataclass(frozen=True)
class QuestionPlan:
    """What is asked of which checkpoints, and who judges the answers. All of it is checked; no model is loaded yet."""

    models: Models
    sets: Sequence[PromptSet]
    task: Task | None
    judges: Sequence[Judge]
    chat_formats: Mapping[str, ChatFormat | ServedChatFormat]  # by model
    asked_sets: Mapping[str, Sequence[AskedSet]]  # by model: the same sets, batched as each model reads them
    dtype: torch.dtype
    device: torch.device
    offload: str
    tasks: Mapping[str, str] = field(default_factory=dict)  # tasks of the harness, with a hash of what each asks

    @cached_property
    def manifest(self) -> RunManifest:
        """What answers and verdicts depend on. Hashes the weights."""
        chat, *_ = self.chat_formats.values()
        asked_sets, *_ = self.asked_sets.values()
        return RunManifest(
            reading=answer_circumstances(chat, self.dtype, self.device),
            checkpoints={name: model.model_fingerprint for name, model in self.models.items()},
            sets={asked.name: asked.facts for asked in asked_sets},
            judges=tuple(answer_files.judge_folder(judge) for judge in self.judges),
            tasks=dict(self.tasks),
            apart={name: self._reading_of(name) for name in self.apart},
        )

    @cached_property
    def apart(self) -> dict[str, list[str]]:
        """By model: the facts in which it reads text differently from the first model."""
        first, *_ = self.chat_formats.values()
        facts = {name: chat.facts for name, chat in self.chat_formats.items() if chat is not first}
        differing = {name: [f for f in values if values[f] != first.facts[f]] for name, values in facts.items()}
        return {name: names for name, names in differing.items() if names}

    def _reading_of(self, model: str) -> dict[str, str]:
        """How a model that reads text differently is asked."""
        return {**self.chat_formats[model].facts, **{asked.name: asked.digest for asked in self.asked_sets[model]}}

    def answers(self, folder: Path | None, notify: Notify) -> ModelAnswers:
        """Every model's answers. Those that `folder` lacks are asked for and added there.

        One model is in memory at a time. A model whose answers are all there is not loaded.
        """
        return {name: self._answers_of(name, folder, notify) for name in self.models}

    def _answers_of(self, name: str, folder: Path | None, notify: Notify) -> dict[str, list[Answer]]:
        asked_sets = self.asked_sets[name]
        saved = [self._saved_answers(name, asked, folder) for asked in asked_sets]
        complete = all(len(answers) == len(asked.prompts) for answers, asked in zip(saved, asked_sets, strict=True))
        model = None if complete else self._load(self.models[name])
        answers_by_set = {}
        for asked, answers in zip(asked_sets, saved, strict=True):
            with counter(notify, f"asking the {name} model", len(asked.prompts), asked.name) as advance:
                answers_by_set[asked.name] = self._complete(name, model, asked, answers, folder, advance)
        return answers_by_set

    def _load(self, checkpoint: Checkpoint | ServedModel) -> Any:
        if isinstance(checkpoint, ServedModel):
            return checkpoint
        streamed = pick_offload(self.offload, checkpoint, self.dtype, self.device)
        return load.load_model(checkpoint, self.dtype, self.device, offload=streamed)

    def _saved_answers(self, name: str, asked: AskedSet, folder: Path | None) -> list[Answer]:
        """A model's answers that the folder holds, whole batches of them."""
        if folder is None:
            return []
        path, key = answer_files.answers_path(folder, name, asked.name), self.manifest.key(name, asked.name)
        ids = [[prompt.id for prompt in batch] for batch in asked.batches]
        return [line.read() for line in answer_files.resume_answers(path, key, ids)]

    def _complete(
        self, name: str, model: Any, asked: AskedSet, saved: Sequence[Answer], folder: Path | None, advance: Advance
    ) -> list[Answer]:
        """A model's answers to a whole set: those that are saved, and the rest.

        New answers are written a batch at a time, or a batch for each process where several processes ask.
        """
        answers = {answer.id: answer for answer in saved}
        if answers:
            advance(len(answers))
        left = [batch for batch in asked.batches if batch[0].id not in answers]
        for start in range(0, len(left), distributed.world()):
            prompts = [prompt for batch in left[start : start + distributed.world()] for prompt in batch]
            new = self.chat_formats[name].answers(model, prompts, asked.max_new_tokens, advance, asked.sampling)
            if folder:
                key = self.manifest.key(name, asked.name)
                lines = [AnswerLine.of(prompt, answer, key) for prompt, answer in zip(prompts, new, strict=True)]
                answer_files.append(answer_files.answers_path(folder, name, asked.name), lines)
            answers |= {answer.id: answer for answer in new}
        return [answers[prompt.id] for prompt in asked.prompts]

    def judgements(
        self, judge: Judge, answers: ModelAnswers, folder: Path | None, notify: Notify
    ) -> dict[str, dict[str, JudgedSet]]:
        """Every model's answers to the sets, each with the judge's judgement. `folder` as for the answers."""
        judged: dict[str, dict[str, JudgedSet]] = {name: {} for name in answers}
        total = len(answers) * sum(map(len, self.sets))
        with counter(notify, f"judging with {judge.name}", total) as advance:
            for name, answers_by_set in answers.items():
                for prompts in self.sets:
                    of_set = answers_by_set[prompts.name]
                    judgements = self._judgements_of(judge, name, prompts, of_set, folder)
                    judged[name][prompts.name] = list(zip(of_set, judgements, strict=True))
                    advance(len(of_set))
        return judged

    def _judgements_of(
        self, judge: Judge, name: str, prompts: PromptSet, answers: Sequence[Answer], folder: Path | None
    ) -> Sequence[Judgement]:
        """A judge's judgements on one set: the saved ones if there is one for every answer, else new ones."""
        items = list(zip(prompts, answers, strict=True))
        if folder is None:
            return judge(items)
        path = answer_files.verdicts_path(folder, judge, name, prompts.name)
        key = self.manifest.key(name, prompts.name)
        if lines := answer_files.read_verdicts(path, key, answers):
            return [line.read() for line in lines]
        judgements = judge(items)
        path.unlink(missing_ok=True)
        answer_files.append(path, [VerdictLine.of(a, j, key) for a, j in zip(answers, judgements, strict=True)])
        return judgements


def answer_circumstances(
    chat: ChatFormat | ServedChatFormat, dtype: torch.dtype, device: torch.device
) -> dict[str, str]:
    """What answers depend on besides the weights and the prompts."""
    programs = {name: version(name) for name in ("recover-align", "torch", "transformers")}
    machine = {"dtype": str(dtype).removeprefix("torch."), "device": device.type}
    return {**chat.facts, **(machine if isinstance(chat, ChatFormat) else {}), **programs}


def prepare(
    models: Models,
    sets: Sequence[PromptSet],
    task: Task | None,
    judges: Sequence[Judge],
    settings: EvaluationSettings,
    apart: Collection[Mismatch] = (),
) -> QuestionPlan:
    """Check what is to be asked, and plan it.

    Each prompt of the sets is asked `samples` times, each prompt of the task once and greedily. `apart` names the
    differences that are allowed in how the models read text. Raises Undecided for any other difference, and InputError
    for an empty request or a set whose rows do not expect the same.
    """
    _check_sets(models, sets, task)
    if settings.samples > 1 and not settings.sampling:
        raise InputError(
            f"found {settings.samples} samples of each prompt and greedy answers, all the same; give a temperature"
        )
    runtime = settings.runtime
    device, dtype = pick_device(runtime.device), torch.float32
    chat_formats: Mapping[str, ChatFormat | ServedChatFormat] = dict.fromkeys(models, ServedChatFormat())
    checkpoints = {name: model for name, model in models.items() if isinstance(model, Checkpoint)}
    if checkpoints:
        chat_formats = ChatFormat.of_each(checkpoints, settings.chat_template, runtime.batches, apart)
        dtype = pick_dtype(runtime.dtype, [*checkpoints.values()][-1], device)
    sets = [repeated(prompts, settings.samples) for prompts in sets]
    questions = [(prompts, settings.max_new_tokens, settings.sampling) for prompts in sets]
    distinct = {id(chat): chat for chat in chat_formats.values()}
    questions += [(task.report, max(chat.longest(task) for chat in distinct.values()), None)] if task else []
    by_chat = {
        key: [AskedSet.of(prompts, tokens, chat, sampling) for prompts, tokens, sampling in questions]
        for key, chat in distinct.items()
    }
    asked_sets = {name: by_chat[id(chat)] for name, chat in chat_formats.items()}
    return QuestionPlan(models, sets, task, judges, chat_formats, asked_sets, dtype, device, runtime.offload)


def _check_sets(models: Models, sets: Sequence[PromptSet], task: Task | None) -> None:
    """Refuse an empty request, two sets of one name, and a set whose rows expect different things."""
    if not models or not (sets or task):
        raise InputError("nothing to evaluate: name at least one model and one prompt set or task")
    names = [prompts.name for prompts in (*sets, *([task.report] if task else []))]
    if len({*names}) < len(names):
        raise InputError(f"two sets to report on have the same name ({', '.join(names)}); rename one of the files")
    for prompts in sets:
        if len(expected := {str(prompt.expect or "nothing") for prompt in prompts}) > 1:
            raise InputError(
                f"rows of {prompts.name} expect {' and '.join(sorted(expected))}, and a rate over all of them would "
                "mean neither; make a file of each"
            )
