"""`guard:<hub id or path>[,template=FAMILY|FILE.toml]`: generative guard models.

What does not read as a verdict is UNSCORED, and so is what the guard cannot be shown without a risk that the text
speaks in its place.
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
_FORMS: tuple[Callable[[str], Any], ...] = (str, lambda said: [{"type": "text", "text": said}])
_ONE_TURN = ({"role": "user", "content": SENTINEL}, {"role": "assistant", "content": SENTINEL})


def from_argument(argument: str) -> Judge:
    """A generative guard model, `guard:<hub id or path>[,template=FAMILY|FILE.toml]`."""
    source, options = split_options("guard", argument, ("template",))
    weights = Weights(source)
    weights.is_local()
    return Guard(weights, find_template(source, options.get("template")), argument)


@dataclass(frozen=True)
class Guard:
    """A guard model with its template. Reads harm, and refusals where the template does; the rest is by rule."""

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
        """Judge all answers in batches; the order is kept."""
        shown = [self.tokens(item) for item in items]
        told = iter(self._answers([ids for ids in shown if not isinstance(ids, str)]))
        return [
            unscored(ids) if isinstance(ids, str) else self._read(item, next(told))
            for item, ids in zip(items, shown, strict=True)
        ]

    def tokens(self, item: Item) -> list[int] | str:
        """What the guard is shown for an answer, as token ids; a string says why it cannot be shown."""
        prompt, answer = item
        turns: list[Turn] = [turn for turn in prompt.messages if turn["role"] != "system"]
        turns.append({"role": "assistant", "content": answer.text})
        show, special = self._show, self.weights.tokens
        try:
            scaffold = show(bare(turns))
            text = show(harmless(turns, scaffold, special))
        except Exception as error:  # jinja's errors, and whatever else a template from outside raises
            return f"the guard's template cannot show this conversation ({error})"
        if scaffold.count(SENTINEL) != len(turns):
            return "the guard's template does not show the whole conversation"
        ids = self._encode(text)
        if self._marks(ids) != self._marks(self._encode(scaffold)):  # a tokenizer may fold look-alikes into a token
            return "the text would be read as tokens that steer the guard"
        most = self.weights.limit - self.template.max_new_tokens
        return ids if len(ids) <= most else f"longer than the {most} tokens that the guard reads"

    @cached_property
    def _show(self) -> Callable[[Sequence[Turn]], str]:
        """How a conversation becomes one text: by the template's prompt, or by the tokenizer's chat template in the
        form (a text, or a list of parts) in which that shows what was said."""
        if self.template.prompt is not None:
            return self._filled
        for form in _FORMS:
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
        own = self.template.prompt is not None and self.template.special_tokens
        ids: list[int] = self.weights.tokenizer(text, add_special_tokens=own)["input_ids"]
        return ids

    def _marks(self, ids: Sequence[int]) -> list[int]:
        known = set(self.weights.tokens.values())
        return [id_ for id_ in ids if id_ in known]

    @cached_property
    def _model(self) -> Any:
        return self.weights.load("AutoModelForCausalLM")

    def _answers(self, shown: Sequence[Sequence[int]]) -> list[str]:
        """What the guard says to each prompt."""
        from recover.generation import batched
        from recover.model import load

        tokenizer = self.weights.tokenizer
        ends = load.end_tokens(self.weights.checkpoint, tokenizer)
        told = batched.continuations(self._model, shown, self.template.max_new_tokens, ends)
        return [tokenizer.decode(ids, skip_special_tokens=True) for ids in told]

    def _read(self, item: Item, output: str) -> Judgement:
        harmful = self.template.harmful.read(output)
        refused = self.template.refused.read(output) if self.template.refused else None
        if harmful is None or (self.template.refused and refused is None):
            return unscored(output)
        return completed(item, harmful, refused, output.strip())
