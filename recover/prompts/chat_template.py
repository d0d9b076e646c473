"""Chat templates: choosing one for all models of a run, and turning prompts into tokens with it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recover.errors import InputError, Undecided, few
from recover.prompts.prompt_set import Prompt
from recover.prompts.table_files import read_text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def resolve_template(tokenizers: "Sequence[PreTrainedTokenizerBase]", choice: str | None) -> str | None:
    """The one chat template for all checkpoints; None if prompts are plain text.

    `choice` is None (the template that the tokenizers ship), "none", or the path of a jinja file. Raises Undecided if
    the tokenizers ship different templates, and InputError if they ship none or the file cannot be used.
    """
    if choice == "none":
        return None
    if choice is not None:
        return _template_file(choice)
    shipped = {template for tokenizer in tokenizers if (template := _shipped(tokenizer))}
    if not shipped:
        raise InputError(
            "The tokenizers ship no chat template; pass `--chat-template FILE`, or `--chat-template none` for models "
            "that take plain text."
        )
    if len(shipped) > 1:
        raise Undecided(
            f"The tokenizers ship {len(shipped)} different chat templates, and all models need the same one; choose it "
            "with `--chat-template FILE`."
        )
    return shipped.pop()


def _template_file(choice: str) -> str:
    path = Path(choice)
    if not path.is_file():
        raise InputError(f"--chat-template {choice}: no such file; pass the path of a jinja file, or `none`.")
    template = read_text(path, choice)
    if not template.strip():
        raise InputError(f"--chat-template {choice}: the file is empty; expected a jinja template, or pass `none`.")
    return template


def _shipped(tokenizer: "PreTrainedTokenizerBase") -> str | None:
    """A tokenizer's template; the default one if it has several."""
    template = tokenizer.chat_template
    if isinstance(template, dict):
        if "default" not in template:
            raise Undecided(
                f"A tokenizer ships the chat templates {few(sorted(template))} and no default; choose one with "
                "`--chat-template FILE`."
            )
        template = template["default"]
    return template or None


def encode(
    tokenizer: "PreTrainedTokenizerBase", prompts: Iterable[Prompt], template: str | None
) -> list[list[int]]:  # (prompts, length of each)
    """Token ids of each conversation, up to where the answer starts or to the end of its prefill.

    Without a template they are those of the turns' text, with a blank line between turns and the tokenizer's special
    tokens. Raises InputError if the template fails on a prompt or leaves a turn out.
    """
    encoded = []
    for prompt in prompts:
        if template is None:
            ids = tokenizer("\n\n".join(turn["content"] for turn in prompt.messages))["input_ids"]
        else:
            ids = _rendered(tokenizer, prompt, template)
        if not ids:
            raise InputError(f"The prompt {prompt.id} has no tokens once rendered; check the chat template.")
        encoded.append([*ids, *_plain_ids(tokenizer, prompt.prefill)])
    return encoded


def _rendered(tokenizer: "PreTrainedTokenizerBase", prompt: Prompt, template: str) -> list[int]:
    """Token ids of a conversation in the template. Raises InputError if that fails or leaves an instruction out."""
    from jinja2 import TemplateError

    chat = [dict(turn) for turn in prompt.messages]
    try:
        text = tokenizer.apply_chat_template(chat, chat_template=template, add_generation_prompt=True, tokenize=False)
    except (TemplateError, TypeError) as error:
        raise InputError(
            f"The chat template cannot render the prompt {prompt.id} ({error}); correct it, or pass another with "
            "`--chat-template FILE`."
        ) from error
    for turn in prompt.messages:  # a template may shorten the assistant's turns, for instance drop the thinking
        if turn["role"] != "assistant" and turn["content"].strip() not in text:
            raise InputError(
                f"The chat template leaves out what the {turn['role']} says in the prompt {prompt.id}; pass another "
                "with `--chat-template FILE`, or remove that turn from the row."
            )
    return _plain_ids(tokenizer, text)


def _plain_ids(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """Token ids of a text, without the special tokens that the tokenizer would add."""
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
    return ids
