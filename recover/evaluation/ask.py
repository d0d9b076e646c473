"""Asking checkpoints and judges, and keeping what they say: nothing that a folder holds already is asked again."""

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
from recover.evaluation.run_directory import Asked, RunManifest
from recover.evaluation.settings import EvaluationSettings
from recover.generation.chat import ChatFormat, Mismatch
from recover.generation.remote_models import Served, ServedChatFormat
from recover.generation.sampling import Sampling
from recover.judges import Judge, Judgement
from recover.model import distributed, load
from recover.model.device import pick_device, pick_dtype, pick_offload
from recover.progress import Advance, Notify, counter
from recover.prompts.prompt_set import Answer, Prompt, PromptSet, repeated
from recover.prompts.tasks import Task

Models = Mapping[str, Checkpoint] | Mapping[str, Served]
Told = dict[str, dict[str, list[Answer]]]  # model -> set -> answers in the set's order
Judged = list[tuple[Answer, Judgement]]


@dataclass(frozen=True)
class Ask:
    """A prompt set as all checkpoints are asked it: the longest answer, who shares a batch, and how it is drawn."""

    prompts: PromptSet
    max_new_tokens: int
    batches: Sequence[Sequence[Prompt]]
    digest: str  # of the prompts' tokens, batch by batch
    sampling: Sampling | None = None  # by default answers are greedy

    @staticmethod
    def of(
        prompts: PromptSet, tokens: int, voice: ChatFormat | ServedChatFormat, sampling: Sampling | None = None
    ) -> "Ask":
        """Cut a set into batches."""
        places, digest = voice.composition(prompts.prompts)
        batches = [[prompts.prompts[place] for place in batch] for batch in places]
        return Ask(prompts, tokens, batches, digest, sampling)

    @property
    def facts(self) -> Asked:
        """What a manifest says of it."""
        sizes = {"prompts": len(self.prompts), "max_new_tokens": self.max_new_tokens}
        drawn = vars(self.sampling) if self.sampling else {}
        return Asked(sha256=self.prompts.sha256, batches=self.digest, sampling=drawn, **sizes)


@dataclass(frozen=True)
class QuestionPlan:
    """What is asked of which checkpoints, and who judges it. Everything is checked, and no model loaded yet."""

    models: Models
    sets: Sequence[PromptSet]
    task: Task | None
    judges: Sequence[Judge]
    chat_formats: Mapping[str, ChatFormat | ServedChatFormat]  # by model
    asks: Mapping[str, Sequence[Ask]]  # by model: the same sets, which each reads in its own way
    dtype: torch.dtype
    device: torch.device
    offload: str
    tasks: Mapping[str, str] = field(default_factory=dict)  # tasks of the harness, with a hash of what each asks

    @cached_property
    def manifest(self) -> RunManifest:
        """What answers and verdicts depend on; the weights are hashed for it."""
        voice, *_ = self.chat_formats.values()
        asks, *_ = self.asks.values()
        return RunManifest(
            reading=answer_circumstances(voice, self.dtype, self.device),
            checkpoints={name: checkpoint.fingerprint for name, checkpoint in self.models.items()},
            sets={ask.prompts.name: ask.facts for ask in asks},
            judges=tuple(answer_files.called(judge) for judge in self.judges),
            tasks=dict(self.tasks),
            apart={name: self._own(name) for name in self.apart},
        )

    @cached_property
    def apart(self) -> dict[str, list[str]]:
        """What differs in how a model reads from how the first one does, by model."""
        first, *_ = self.chat_formats.values()
        facts = {name: voice.facts for name, voice in self.chat_formats.items() if voice is not first}
        differing = {name: [f for f in own if own[f] != first.facts[f]] for name, own in facts.items()}
        return {name: found for name, found in differing.items() if found}

    def _own(self, name: str) -> dict[str, str]:
        """How a model is asked that has something apart."""
        return {**self.chat_formats[name].facts, **{ask.prompts.name: ask.digest for ask in self.asks[name]}}

    def answers(self, folder: Path | None, notify: Notify) -> Told:
        """Every model's answers; those that `folder` lacks are asked for and added there.

        One model is in memory at a time, and none whose answers are all there.
        """
        return {name: self._answers_of(name, folder, notify) for name in self.models}

    def _answers_of(self, name: str, folder: Path | None, notify: Notify) -> dict[str, list[Answer]]:
        asks = self.asks[name]
        there = [self._there(name, ask, folder) for ask in asks]
        whole = all(len(found) == len(ask.prompts) for found, ask in zip(there, asks, strict=True))
        model = None if whole else self._loaded(self.models[name])
        told = {}
        for ask, found in zip(asks, there, strict=True):
            with counter(notify, f"asking the {name} model", len(ask.prompts), ask.prompts.name) as advance:
                told[ask.prompts.name] = self._rest(name, model, ask, found, folder, advance)
        return told

    def _loaded(self, checkpoint: Checkpoint | Served) -> Any:
        if isinstance(checkpoint, Served):
            return checkpoint
        streamed = pick_offload(self.offload, checkpoint, self.dtype, self.device)
        return load.load_model(checkpoint, self.dtype, self.device, offload=streamed)

    def _there(self, name: str, ask: Ask, folder: Path | None) -> list[Answer]:
        """The answers of a model that are there, whole batches of them."""
        if folder is None:
            return []
        key, ids = self.manifest.key(name, ask.prompts.name), [[prompt.id for prompt in batch] for batch in ask.batches]
        return [
            line.read() for line in answer_files.resumed(answer_files.place(folder, name, ask.prompts.name), key, ids)
        ]

    def _rest(
        self, name: str, model: Any, ask: Ask, there: Sequence[Answer], folder: Path | None, advance: Advance
    ) -> list[Answer]:
        """A model's answers to a whole set: those that are there, and the others, kept a batch at a time, or as many as
        there are processes to ask them."""
        told = {answer.id: answer for answer in there}
        if told:
            advance(len(told))
        left = [batch for batch in ask.batches if batch[0].id not in told]
        for start in range(0, len(left), distributed.world()):
            prompts = [prompt for batch in left[start : start + distributed.world()] for prompt in batch]
            new = self.chat_formats[name].answers(model, prompts, ask.max_new_tokens, advance, ask.sampling)
            if folder:
                key = self.manifest.key(name, ask.prompts.name)
                lines = [AnswerLine.of(prompt, answer, key) for prompt, answer in zip(prompts, new, strict=True)]
                answer_files.append(answer_files.place(folder, name, ask.prompts.name), lines)
            told |= {answer.id: answer for answer in new}
        return [told[prompt.id] for prompt in ask.prompts]

    def judgements(self, judge: Judge, told: Told, folder: Path | None, notify: Notify) -> dict[str, dict[str, Judged]]:
        """Every model's answers to the sets with a judge's judgements; `folder` as for the answers."""
        found: dict[str, dict[str, Judged]] = {name: {} for name in told}
        total = len(told) * sum(map(len, self.sets))
        with counter(notify, f"judging with {judge.name}", total) as advance:
            for name, by_set in told.items():
                for prompts in self.sets:
                    answers = by_set[prompts.name]
                    judgements = self._judged(judge, name, prompts, answers, folder)
                    found[name][prompts.name] = list(zip(answers, judgements, strict=True))
                    advance(len(answers))
        return found

    def _judged(
        self, judge: Judge, name: str, prompts: PromptSet, answers: Sequence[Answer], folder: Path | None
    ) -> Sequence[Judgement]:
        """A judge's judgements on one set: those that are there for all of it, or new ones, kept together."""
        if folder is None:
            return judge(list(zip(prompts, answers, strict=True)))
        file, key = (
            answer_files.verdicts_place(folder, judge, name, prompts.name),
            self.manifest.key(name, prompts.name),
        )
        if lines := answer_files.ruled(file, key, answers):
            return [line.read() for line in lines]
        found = judge(list(zip(prompts, answers, strict=True)))
        file.unlink(missing_ok=True)
        answer_files.append(file, [VerdictLine.of(a, j, key) for a, j in zip(answers, found, strict=True)])
        return found


def answer_circumstances(
    voice: ChatFormat | ServedChatFormat, dtype: torch.dtype, device: torch.device
) -> dict[str, str]:
    """What answers depend on beside the weights and the prompts."""
    programs = {name: version(name) for name in ("recover-align", "torch", "transformers")}
    here = {"dtype": str(dtype).removeprefix("torch."), "device": device.type}
    return {**voice.facts, **(here if isinstance(voice, ChatFormat) else {}), **programs}


def prepare(
    models: Models,
    sets: Sequence[PromptSet],
    task: Task | None,
    judges: Sequence[Judge],
    settings: EvaluationSettings,
    apart: Collection[Mismatch] = (),
) -> QuestionPlan:
    """Check what is to be asked, and make it ready: each prompt of the sets `samples` times, the task's once, greedily.

    Raises Undecided if the models read text differently, but for what they may have `apart`. Raises InputError for an
    empty request, and for a set whose rows do not expect the same.
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
    asked = [(prompts, settings.max_new_tokens, settings.sampling) for prompts in sets]
    different = {id(chat): chat for chat in chat_formats.values()}
    asked += [(task.report, max(chat.longest(task) for chat in different.values()), None)] if task else []
    asks_of = {key: [Ask.of(s, tokens, chat, drawn) for s, tokens, drawn in asked] for key, chat in different.items()}
    asks = {name: asks_of[id(chat)] for name, chat in chat_formats.items()}
    return QuestionPlan(models, sets, task, judges, chat_formats, asks, dtype, device, runtime.offload)


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
