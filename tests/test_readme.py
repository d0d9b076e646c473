"""What the README shows works: its Python runs, and its commands are the tool's own."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from recover.cli.main import cli

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCUMENTS = [README, *ROOT.glob("C*.md"), *sorted((ROOT / "docs").rglob("*.md")), *(ROOT / "examples").glob("*.md")]


def blocks(file: Path, *languages: str) -> list[str]:
    """A document's fenced code blocks of these languages."""
    found = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", file.read_text("utf-8"))
    return [code for language, code in found if language in languages]


def commands() -> Iterator[tuple[str, list[str]]]:
    """(document, words) of every `recover-align` command in the documents' code blocks, redirections left out."""
    for file in DOCUMENTS:
        for code in blocks(file, "sh", "bash", "console", "yaml"):
            for line in code.replace("\\\n", " ").splitlines():
                text = re.sub(r"^\s*(\$|- run:|run:)?\s*", "", line)
                if text.startswith("recover-align "):
                    words = re.split(r" (?:>>?|\||&&) ", text)[0]
                    yield file.name, shlex.split(words, comments=True)[1:]


COMMANDS = list(commands())


def parse(words: list[str]) -> click.Context:
    """Parse a command with its own parameters, without running it; click.UsageError if they do not fit."""
    context = cli.make_context("recover-align", list(words), resilient_parsing=words[0].startswith("-"))
    command: click.Command = cli
    rest = words if words[0] in cli.commands else ["restore", *words]
    while isinstance(command, click.Group) and not rest[0].startswith("-"):
        command = command.commands[rest[0]]
        context, rest = (
            command.make_context(rest[0], rest[1:], parent=context, resilient_parsing=not rest[1:]),
            rest[1:],
        )
    return context


def test_the_readme_shows_commands() -> None:
    shown = {words[0] for name, words in COMMANDS if name == "README.md"}
    assert {"evaluate", "apply", "revert", "report", "prompts"} < shown


@pytest.mark.parametrize(("document", "words"), COMMANDS, ids=lambda x: x if isinstance(x, str) else " ".join(x))
def test_commands_in_documents_are_the_tools_own(document: str, words: list[str]) -> None:
    parse(words)


@pytest.mark.parametrize(
    "wrong", ["gates a b", "evaluate a --nonsense", "apply p t", "a b --budget 2", "report a -f pdf"]
)
def test_a_wrong_command_would_be_noticed(wrong: str) -> None:
    with pytest.raises(click.UsageError):  # a word that names no command is read as ALIGNED
        parse(wrong.split())


def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    (code,) = blocks(README, "python")
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102, our own example
    printed = capsys.readouterr().out
    count = re.match(r"(\d+) weights restored, harmful rate {'tuned': [01]\.\d+, 'restored': [01]\.\d+}", printed)
    assert count, printed
    assert int(count[1]) > 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["examples"]  # it writes nothing
