"""Answers of models that a server runs, over the OpenAI-compatible chat protocol.

The server renders the chat with its own template. Which weights it runs under a name cannot be known.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from pydantic import ValidationError

from recover.errors import InputError, Undecided
from recover.generation.batched import BATCH_ROWS, THINK_CLOSE, THINK_OPEN, split_thinking
from recover.generation.openai_client import GREEDY, Client, Completion, Rejected, checked_url
from recover.generation.sampling import Sampling
from recover.progress import Advance, nowhere
from recover.prompts.prompt_set import Answer, Prompt, digest
from recover.prompts.tasks import MAX_NEW_TOKENS, Task

ANSWER_TIMEOUT = 600.0  # seconds for one answer, since a server on a CPU is slow
_SPEC = re.compile(r"openai:(?P<url>[^,]+)(?:,model=(?P<model>.+))?")


@dataclass(frozen=True)
class ServedModel:
    """A model that a server runs under a name. It stands in for a checkpoint, but its weights cannot be read."""

    client: Client
    model: str

    @property
    def path(self) -> str:
        """The model's name in a result."""
        return f"openai:{self.client.url},model={self.model}"

    @property
    def fingerprint(self) -> str:
        """The key of its answers in a run directory. It is no hash of the weights, which are not known."""
        return self.path

    model_fingerprint = fingerprint  # a checkpoint has this name for it too


@dataclass(frozen=True)
class ServedChatFormat:
    """The counterpart of ChatFormat for served models."""

    @property
    def facts(self) -> dict[str, str]:
        """What is known of how the server reads prompts: nothing, so it is empty."""
        return {}

    def composition(self, prompts: Sequence[Prompt]) -> tuple[list[list[int]], str]:
        """The indices of the prompts whose answers are written together, and a hash of all prompts as sent."""
        starts = range(0, len(prompts), BATCH_ROWS)
        index_batches = [[*range(start, min(start + BATCH_ROWS, len(prompts)))] for start in starts]
        return index_batches, digest([[dict(turn) for turn in prompt.messages] for prompt in prompts])

    def longest(self, _task: Task) -> int:
        """The most tokens of a task's answer: a constant, since without a tokenizer no reference can be measured."""
        return MAX_NEW_TOKENS

    def answers(
        self,
        model: ServedModel,
        prompts: Sequence[Prompt],
        tokens: int,
        advance: Advance = nowhere,
        sampling: Sampling | None = None,
    ) -> list[Answer]:
        """Answers of at most `tokens` new tokens, in prompt order: greedy, or drawn by the server, each with its seed.

        Raises InputError for a prompt with a prefill, and Undecided if the server does not answer as it should.
        """
        if filled := [prompt.id for prompt in prompts if prompt.prefill]:
            raise InputError(
                f"{filled[0]} has a prefill, which the chat protocol cannot carry; evaluate the weights themselves, or "
                "leave prefills out"
            )
        answers = []
        for answer in model.client.each(lambda prompt: _answer(model, prompt, tokens, sampling), prompts):
            answers.append(answer)
            advance(1)
        return _split_all(answers)


def served_models(backend: str, names: Sequence[str]) -> list[ServedModel]:
    """The models of a backend `openai:URL[,model=NAME]` that a command's arguments name.

    Raises InputError for a backend of another form, and for more than one argument beside model=NAME.
    """
    spec = _SPEC.fullmatch(backend)
    if not spec:  # the message does not repeat it, since it may hold a key
        raise InputError("--backend is of another form than openai:URL[,model=NAME]; correct it")
    client = Client(checked_url(spec["url"], "the backend"), "the backend", timeout=ANSWER_TIMEOUT)
    if spec["model"] and len(names) > 1:
        raise InputError(
            f"--backend names the model {spec['model']}, and the arguments {len(names)} more; leave out model=NAME: "
            "each argument is then the name of a served model"
        )
    return [ServedModel(client, spec["model"] or name) for name in names]


def _answer(model: ServedModel, prompt: Prompt, tokens: int, sampling: Sampling | None) -> Answer:
    """One answer as the server gives it. Some servers count the token that ends it, others do not."""
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


def _split_all(answers: Sequence[Answer]) -> list[Answer]:
    """The answers with their thinking split off.

    If one answer closes a thought that it did not open, the server's template opened it, and opened one for every
    answer. Then an answer that closes none is thinking that did not end.
    """
    opened = any(THINK_CLOSE in a.text and THINK_OPEN not in a.text.partition(THINK_CLOSE)[0] for a in answers)
    return [a if a.thinking else _split(a, THINK_OPEN if opened else "") for a in answers]


def _split(answer: Answer, head: str) -> Answer:
    thinking, text = split_thinking(head + answer.text)
    return replace(answer, text=text, thinking=thinking)
