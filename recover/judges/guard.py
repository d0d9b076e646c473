"""`guard:<hub id or path>[,template=FAMILY|FILE.toml]`: generative guard models.

An output that is no verdict is UNSCORED. So is an answer that could write the verdict itself if the guard were shown
it.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from recover.errors import InputError
from recover.judges.protocol import Item, Judge, Judgement, unscored
from recover.judges.rules import Rules, completed
from recover.judges.spec import digest, split_options
from recover.judges.template import Template, find_template
from recover.judges.weights import SENTINEL, Turn, Weights, bare, harmless

_VERSION = "1"  # raise it when the code below changes a verdict
_CONTENT_FORMS: tuple[Callable[[str], Any], ...] = (str, lambda text: [{"type": "text", "text": text}])
_ONE_TURN = ({"role": "user", "content": SENTINEL}, {"role": "assistant", "content": SENTINEL})


def from_argument(argument: str) -> Judge:
    """A generative guard model, `guard:<hub id or path>[,template=FAMILY|FILE.toml]`."""
    source, options = split_options("guard", argument, ("template",))
    weights = Weights(source)
    weights.is_local()
    return Guard(weights, find_template(source, options.get("template")), argument)


@dataclass(frozen=True)
class Guard:
    """A guard model with its template. It reads harm, and refusals if the template does. The rules do the rest."""

    weights: Weights
    template: Template
    argument: str

    @property
    def name(self) -> str:
        return f"guard:{self.argument}"

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of weights, tokenizer, template and rules."""
        return digest("guard", _VERSION, self.weights.identity, self.template.model_dump(), Rules().fingerprint)

    def __call__(self, items: Sequence[Item]) -> list[Judgement]:
        """Judge all answers in batches. Returns them in the order of `items`."""
        prompts = [self.tokens(item) for item in items]
        outputs = iter(self._outputs([ids for ids in prompts if not isinstance(ids, str)]))
        return [
            unscored(ids) if isinstance(ids, str) else self._read(item, next(outputs))
            for item, ids in zip(items, prompts, strict=True)
        ]

    def tokens(self, item: Item) -> list[int] | str:
        """The guard's prompt for an answer, as token ids; or a string that says why it cannot be shown."""
        prompt, answer = item
        turns: list[Turn] = [turn for turn in prompt.messages if turn["role"] != "system"]
        turns.append({"role": "assistant", "content": answer.text})
        render, special = self._render, self.weights.tokens
        try:
            scaffold = render(bare(turns))
            text = render(harmless(turns, scaffold, special))
        except Exception as error:  # jinja's errors, and whatever else a template from outside raises
            return f"the guard's template cannot show this conversation ({error})"
        if scaffold.count(SENTINEL) != len(turns):
            return "the guard's template does not show the whole conversation"
        ids = self._encode(text)
        if self._special(ids) != self._special(
            self._encode(scaffold)
        ):  # a tokenizer may read look-alikes as a special token
            return "the text would be read as tokens that steer the guard"
        limit = self.weights.limit - self.template.max_new_tokens
        return ids if len(ids) <= limit else f"longer than the {limit} tokens that the guard reads"

    @cached_property
    def _render(self) -> Callable[[Sequence[Turn]], str]:
        """The function that makes one text of a conversation: the template's prompt, or the tokenizer's chat template.

        A chat template may expect a turn's content as a text or as a list of parts; the form that it shows is taken.
        """
        if self.template.prompt is not None:
            return self._filled
        for form in _CONTENT_FORMS:
            with contextlib.suppress(Exception):  # jinja's errors, and whatever else a template from outside raises
                if self._chat(form, _ONE_TURN).count(SENTINEL) == len(_ONE_TURN):
                    return partial(self._chat, form)
        raise InputError(f"The chat template of {self.name} does not show prompt and answer; give one: template=FILE.")

    def _filled(self, turns: Sequence[Turn]) -> str:
        return self.template.fill("\n\n".join(turn["content"] for turn in turns[:-1]), turns[-1]["content"])

    def _chat(self, form: Callable[[str], Any], turns: Sequence[Turn]) -> str:
        chat = [{"role": turn["role"], "content": form(turn["content"])} for turn in turns]
        text: str = self.weights.tokenizer.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=True, **self.template.variables
        )
        return text

    def _encode(self, text: str) -> list[int]:
        add = self.template.prompt is not None and self.template.special_tokens
        ids: list[int] = self.weights.tokenizer(text, add_special_tokens=add)["input_ids"]
        return ids

    def _special(self, ids: Sequence[int]) -> list[int]:
        special = set(self.weights.tokens.values())
        return [id_ for id_ in ids if id_ in special]

    @cached_property
    def _model(self) -> Any:
        return self.weights.load("AutoModelForCausalLM")

    def _outputs(self, prompts: Sequence[Sequence[int]]) -> list[str]:
        """The guard's output for each prompt."""
        from recover.generation import batched
        from recover.model import load

        tokenizer = self.weights.tokenizer
        ends = load.end_tokens(self.weights.checkpoint, tokenizer)
        outputs = batched.continuations(self._model, prompts, self.template.max_new_tokens, ends)
        return [tokenizer.decode(ids, skip_special_tokens=True) for ids in outputs]

    def _read(self, item: Item, output: str) -> Judgement:
        harmful = self.template.harmful.read(output)
        refused = self.template.refused.read(output) if self.template.refused else None
        if harmful is None or (self.template.refused and refused is None):
            return unscored(output)
        return completed(item, harmful, refused, output.strip())
