"""How a guard model is asked, and how its answer is read: a TOML file for each family, or the user's own."""

import re
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from recover.errors import InputError, first_problem
from recover.prompts.table_files import read_text, read_toml

FAMILIES = ("llama-guard", "qwen3guard", "shieldgemma")
_HOLE = re.compile(r"\{(prompt|answer)\}")


def _one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"is no regular expression ({error})") from error
    if groups != 1:
        raise ValueError(f"has {groups} groups, expected one: the word that decides")
    return pattern


def _both_holes(prompt: str) -> str:
    if {*_HOLE.findall(prompt)} != {"prompt", "answer"}:
        raise ValueError("must hold {prompt} and {answer}")
    return prompt


class VerdictRule(BaseModel):
    """How a yes or a no is read: the word in the pattern's one group is looked up, ignoring case."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    pattern: Annotated[str, AfterValidator(_one_group)]
    yes: Annotated[tuple[str, ...], Field(min_length=1)]
    no: Annotated[tuple[str, ...], Field(min_length=1)]

    def read(self, output: str) -> bool | None:
        """What the first match says; None if nothing matches or the word is unknown."""
        match = re.search(self.pattern, output)
        words = {**{word.casefold(): False for word in self.no}, **{word.casefold(): True for word in self.yes}}
        return words.get((match[1] or "").casefold()) if match else None


class Template(BaseModel):
    """How a guard is asked, and how its answer is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    match: str | None = None  # of a shipped family: a pattern of its models' names
    prompt: Annotated[str, AfterValidator(_both_holes)] | None = None  # None: the tokenizer's chat template
    special_tokens: bool = True  # whether the tokenizer adds its own to `prompt`
    variables: dict[str, str] = {}  # of the chat template
    max_new_tokens: Annotated[int, Field(ge=1)] = 32
    harmful: VerdictRule
    refused: VerdictRule | None = None

    def fill(self, prompt: str, answer: str) -> str:
        """The template's own prompt with both texts filled in. A text is never read as a template itself."""
        texts = {"prompt": prompt, "answer": answer}
        return _HOLE.sub(lambda hole: texts[hole[1]], self.prompt or "")


def find_template(source: str, choice: str | None) -> Template:
    """The template that `choice` names, a family or a file; by default that of the family in the model's name."""
    if choice in FAMILIES:
        return _family(choice)
    if choice is not None:
        path = Path(choice)
        if not path.is_file():
            raise InputError(f"template={choice}: no such file and no family; the families are {', '.join(FAMILIES)}.")
        return parse_template(read_text(path, choice), choice)
    for family in map(_family, FAMILIES):
        if family.match and re.search(family.match, source, re.IGNORECASE):
            return family
    raise InputError(
        f"The guard '{source}' is of no known family ({', '.join(FAMILIES)}); add ',template=' and one of them, or a "
        "TOML file of your own."
    )


def _family(name: str) -> Template:
    file = resources.files("recover.judges").joinpath("families", f"{name}.toml")
    return parse_template(file.read_text("utf-8"), f"families/{name}.toml")


def parse_template(text: str, where: str) -> Template:
    """A template from TOML. Raises InputError if it is no template."""
    try:
        return Template.model_validate(read_toml(text, where))
    except ValidationError as error:
        raise InputError(f"{where}: {first_problem(error)}; correct it as docs/judges.md has it.") from error
