"""Answers of models that a server has: what `speech` is for weights, over the OpenAI-compatible chat protocol.

The server renders the chat, with its own template. What weights it has under a name, nobody here can know.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from pydantic import ValidationError

from recover.errors import InputError, Undecided
from recover.generation.batched import CLOSE, OPEN, ROWS, split_thinking
from recover.generation.openai_client import GREEDY, Client, Completion, Rejected, checked_url
from recover.generation.sampling import Sampling
from recover.progress import Advance, nowhere
from recover.prompts.prompt_set import Answer, Prompt, digest
from recover.prompts.tasks import MOST_NEW_TOKENS, Task

PATIENCE = 600.0  # seconds for one answer: a server on a CPU takes its time
_SPEC = re.compile(r"openai:(?P<url>[^,]+)(?:,model=(?P<model>.+))?")


@dataclass(frozen=True)
class Served:
    """A model that a server has under a name; it stands where a checkpoint does, without weights to look at."""

    client: Client
    model: str

    @property
    def path(self) -> str:
        """What names the model in a result."""
        return f"openai:{self.client.url},model={self.model}"

    @property
    def fingerprint(self) -> str:
        """What its answers are kept under, as long as a run goes on: the weights are not known."""
        return self.path


@dataclass(frozen=True)
class ServedChatFormat:
    """One way of asking for all served models."""

    @property
    def facts(self) -> dict[str, str]:
        """What is known of how the server reads prompts: nothing."""
        return {}

    def composition(self, prompts: Sequence[Prompt]) -> tuple[list[list[int]], str]:
        """Which prompts are kept together once they are answered, by their places, and a hash of what is sent."""
        places = [[*range(start, min(start + ROWS, len(prompts)))] for start in range(0, len(prompts), ROWS)]
        return places, digest([[dict(turn) for turn in prompt.messages] for prompt in prompts])

    def longest(self, _task: Task) -> int:
        """The most tokens that a task's answer may have: without a tokenizer the references cannot be counted."""
        return MOST_NEW_TOKENS

    def answers(
        self,
        model: Served,
        prompts: Sequence[Prompt],
        tokens: int,
        advance: Advance = nowhere,
        sampling: Sampling | None = None,
    ) -> list[Answer]:
        """Answers of at most `tokens` new tokens, in the prompts' order: greedy, or drawn by the server, each by a seed
        of its own. Raises Undecided, InputError.
        """
        if filled := [prompt.id for prompt in prompts if prompt.prefill]:
            raise InputError(
                f"{filled[0]} has a prefill, which the chat protocol cannot carry; evaluate the weights themselves, or "
                "leave prefills out"
            )
        told = []
        for answer in model.client.each(lambda prompt: _answer(model, prompt, tokens, sampling), prompts):
            told.append(answer)
            advance(1)
        return _without_thoughts(told)


def models(backend: str, names: Sequence[str]) -> list[Served]:
    """The models of a backend `openai:URL[,model=NAME]` that a command's arguments name."""
    spec = _SPEC.fullmatch(backend)
    if not spec:
        raise InputError("--backend is of another form than openai:URL[,model=NAME]; correct it")  # it may hold a key
    client = Client(checked_url(spec["url"], "the backend"), "the backend", timeout=PATIENCE)
    if spec["model"] and len(names) > 1:
        raise InputError(
            f"--backend names the model {spec['model']}, and the arguments {len(names)} more; leave out model=NAME: "
            "each argument is then the name of a served model"
        )
    return [Served(client, spec["model"] or name) for name in names]


def _answer(model: Served, prompt: Prompt, tokens: int, sampling: Sampling | None) -> Answer:
    """One answer as the server tells it. Whether it counts the token that ends it is the server's way."""
    drawn = {**vars(sampling), "seed": sampling.seed_of(prompt.id)} if sampling else GREEDY
    turns = [dict(turn) for turn in prompt.messages]
    try:
        reply = Completion.model_validate_json(model.client.chat(model.model, turns, tokens, drawn))
        choice, usage = reply.choices[0], reply.usage
    except Rejected as error:
        raise Undecided(f"{model.path} gave no answer to {prompt.id}: {error}; leave the prompt out") from error
    except (ValidationError, IndexError) as error:
        raise Undecided(f"{model.path} sent no chat completion for {prompt.id}; check what runs there") from error
    if choice.finish_reason not in ("stop", "length") or usage is None:
        ended = f"its answer to {prompt.id} with finish_reason {choice.finish_reason!r}"
        raise Undecided(
            f"{model.path} ended {ended} and {'a' if usage else 'no'} token count; expected 'stop' or 'length' and a "
            "count, without which an answer cannot be judged; switch off the server's own filters and tools"
        )
    reason = cast("Literal['stop', 'length']", choice.finish_reason)
    thinking = choice.message.reasoning_content or choice.message.reasoning or ""
    return Answer(prompt.id, choice.message.content or "", reason, usage.completion_tokens, thinking.strip())


def _without_thoughts(answers: Sequence[Answer]) -> list[Answer]:
    """The answers with their thinking kept apart.

    Where one answer closes a thought that it never opened, the server's template opened it, for all: then an answer
    that closes none is an unterminated thought.
    """
    opened = any(CLOSE in a.text and OPEN not in a.text.partition(CLOSE)[0] for a in answers)
    return [a if a.thinking else _split(a, OPEN if opened else "") for a in answers]


def _split(answer: Answer, begun: str) -> Answer:
    thinking, text = split_thinking(begun + answer.text)
    return replace(answer, text=text, thinking=thinking)
