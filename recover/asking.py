"""Asking checkpoints and judges, and keeping what they say: nothing that a folder holds already is asked again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from recover import loading, parallel, transcript
from recover.checkpoint import Checkpoint
from recover.errors import InputError
from recover.generate import Batches
from recover.judges import Judge, Judgement
from recover.progress import Advance, Notify, counter
from recover.prompts import Answer, Prompt, PromptSet, repeated
from recover.rundir import Asked, Manifest
from recover.sampling import Sampling
from recover.served import Chat, Served
from recover.speech import Mismatch, Speech
from recover.tasks import Task
from recover.transcript import Ruled, Said

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
    def of(prompts: PromptSet, tokens: int, voice: Speech | Chat, sampling: Sampling | None = None) -> "Ask":
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
class Interview:
    """What is asked of which checkpoints, and who judges it. Everything is checked, and no model loaded yet."""

    models: Models
    sets: Sequence[PromptSet]
    task: Task | None
    judges: Sequence[Judge]
    voices: Mapping[str, Speech | Chat]  # by model
    asks: Mapping[str, Sequence[Ask]]  # by model: the same sets, which each reads in its own way
    dtype: torch.dtype
    device: torch.device
    offload: str
    tasks: Mapping[str, str] = field(default_factory=dict)  # tasks of the harness, with a hash of what each asks

    @cached_property
    def manifest(self) -> Manifest:
        """What answers and verdicts depend on; the weights are hashed for it."""
        voice, *_ = self.voices.values()
        asks, *_ = self.asks.values()
        return Manifest(
            reading=circumstances(voice, self.dtype, self.device),
            checkpoints={name: checkpoint.fingerprint for name, checkpoint in self.models.items()},
            sets={ask.prompts.name: ask.facts for ask in asks},
            judges=tuple(transcript.called(judge) for judge in self.judges),
            tasks=dict(self.tasks),
            apart={name: self._own(name) for name in self.apart},
        )

    @cached_property
    def apart(self) -> dict[str, list[str]]:
        """What differs in how a model reads from how the first one does, by model."""
        first, *_ = self.voices.values()
        facts = {name: voice.facts for name, voice in self.voices.items() if voice is not first}
        differing = {name: [f for f in own if own[f] != first.facts[f]] for name, own in facts.items()}
        return {name: found for name, found in differing.items() if found}

    def _own(self, name: str) -> dict[str, str]:
        """How a model is asked that has something apart."""
        return {**self.voices[name].facts, **{ask.prompts.name: ask.digest for ask in self.asks[name]}}

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
        streamed = loading.pick_offload(self.offload, checkpoint, self.dtype, self.device)
        return loading.load_model(checkpoint, self.dtype, self.device, offload=streamed)

    def _there(self, name: str, ask: Ask, folder: Path | None) -> list[Answer]:
        """The answers of a model that are there, whole batches of them."""
        if folder is None:
            return []
        key, ids = self.manifest.key(name, ask.prompts.name), [[prompt.id for prompt in batch] for batch in ask.batches]
        return [line.read() for line in transcript.resumed(transcript.place(folder, name, ask.prompts.name), key, ids)]

    def _rest(
        self, name: str, model: Any, ask: Ask, there: Sequence[Answer], folder: Path | None, advance: Advance
    ) -> list[Answer]:
        """A model's answers to a whole set: those that are there, and the others, kept a batch at a time, or as many as
        there are processes to ask them."""
        told = {answer.id: answer for answer in there}
        if told:
            advance(len(told))
        left = [batch for batch in ask.batches if batch[0].id not in told]
        for start in range(0, len(left), parallel.world()):
            prompts = [prompt for batch in left[start : start + parallel.world()] for prompt in batch]
            new = self.voices[name].answers(model, prompts, ask.max_new_tokens, advance, ask.sampling)
            if folder:
                key = self.manifest.key(name, ask.prompts.name)
                lines = [Said.of(prompt, answer, key) for prompt, answer in zip(prompts, new, strict=True)]
                transcript.append(transcript.place(folder, name, ask.prompts.name), lines)
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
        file, key = transcript.verdicts_place(folder, judge, name, prompts.name), self.manifest.key(name, prompts.name)
        if lines := transcript.ruled(file, key, answers):
            return [line.read() for line in lines]
        found = judge(list(zip(prompts, answers, strict=True)))
        file.unlink(missing_ok=True)
        transcript.append(file, [Ruled.of(a, j, key) for a, j in zip(answers, found, strict=True)])
        return found


def circumstances(voice: Speech | Chat, dtype: torch.dtype, device: torch.device) -> dict[str, str]:
    """What answers depend on beside the weights and the prompts."""
    programs = {name: version(name) for name in ("recover-align", "torch", "transformers")}
    here = {"dtype": str(dtype).removeprefix("torch."), "device": device.type}
    return {**voice.facts, **(here if isinstance(voice, Speech) else {}), **programs}


def prepare(
    models: Models,
    sets: Sequence[PromptSet],
    task: Task | None,
    judges: Sequence[Judge],
    *,
    chat_template: str | None,
    new_tokens: int,
    dtype: str,
    device: str,
    offload: str,
    batches: Batches | None = None,
    samples: int = 1,
    sampling: Sampling | None = None,
    apart: Collection[Mismatch] = (),
) -> Interview:
    """Check what is to be asked, and make it ready: each prompt of the sets so often, the task's once and greedily.

    Raises Undecided if the models read text differently, but for what they may have `apart`; InputError for an empty
    request, and for a set whose rows do not expect the same.
    """
    if not models or not (sets or task):
        raise InputError("nothing to evaluate: name at least one model and one prompt set or task")
    named = [prompts.name for prompts in (*sets, *([task.report] if task else []))]
    if len({*named}) < len(named):
        raise InputError(f"two sets to report on have the same name ({', '.join(named)}); rename one of the files")
    for prompts in sets:
        if len(kinds := {str(prompt.expect or "nothing") for prompt in prompts}) > 1:
            raise InputError(
                f"rows of {prompts.name} expect {' and '.join(sorted(kinds))}, and a rate over all of them would mean "
                "neither; make a file of each"
            )
    if samples > 1 and not sampling:
        raise InputError(f"found {samples} samples of each prompt and greedy answers, all the same; give a temperature")
    place, kind = loading.pick_device(device), torch.float32
    voices: Mapping[str, Speech | Chat] = dict.fromkeys(models, Chat())
    checkpoints = {name: model for name, model in models.items() if isinstance(model, Checkpoint)}
    if checkpoints:
        voices = Speech.of_each(checkpoints, chat_template, batches, apart)
        kind = loading.pick_dtype(dtype, [*checkpoints.values()][-1], place)
    sets = [repeated(prompts, samples) for prompts in sets]
    asked = [(prompts, new_tokens, sampling) for prompts in sets]
    different = {id(voice): voice for voice in voices.values()}
    asked += [(task.report, max(voice.longest(task) for voice in different.values()), None)] if task else []
    by_voice = {key: [Ask.of(s, most, voice, drawn) for s, most, drawn in asked] for key, voice in different.items()}
    asks = {name: by_voice[id(voice)] for name, voice in voices.items()}
    return Interview(models, sets, task, judges, voices, asks, kind, place, offload)
