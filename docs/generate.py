"""Writes docs/cli.md from the commands' own help, the methods' own defaults and the exit codes.

`python docs/generate.py` writes the file; with `--check` it writes nothing, and exits 1 if the file is stale.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from recover.cli.main import EPILOG, cli

from recover.errors import Exit
from recover.search.methods import METHODS, defaults

FILE = Path(__file__).with_name("cli.md")
WIDTH = 100
PROGRAM = "recover-align"
HEAD = """\
<!-- Written by docs/generate.py. Do not edit: run `make docs`. -->

# Command line

`recover-align ALIGNED TUNED` is short for `recover-align restore ALIGNED TUNED`. Results go to stdout, progress and
notes to stderr. Options and `result.json` hold fractions between 0 and 1; only what is printed for people is in
percent. `RECOVER_ALIGN_DEBUG=1` in the environment adds a traceback to an unexpected error.
"""


def commands(command: click.Command = cli, path: tuple[str, ...] = (PROGRAM,)) -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, a group before what is in it."""
    yield " ".join(path), command
    if isinstance(command, click.Group):
        for name, inner in sorted(command.commands.items()):
            yield from commands(inner, (*path, name))


def help_of(name: str, command: click.Command) -> str:
    """What `<name> --help` prints; the examples and exit codes, which two of them share, only once."""
    context = click.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
    context.help_option_names = ["-h", "--help"]
    shown = command.get_help(context)
    return shown if command is cli or command.epilog != EPILOG else shown.split("\n\n  Examples:")[0]


def exit_codes() -> str:
    """The exit codes as a table; what each means is the comment beside it."""
    meanings = dict(re.findall(r"^ +([A-Z]+) = \d+  # (.+)$", inspect.getsource(Exit), re.MULTILINE))
    rows = [f"| {code.value} | {code.name} | {meanings[code.name]} |" for code in Exit]
    return "\n".join(["| code | name | meaning |", "|---|---|---|", *rows])


def methods() -> Iterator[str]:
    """What each method says of itself, and its options."""
    for name, method in METHODS.items():
        rows = [f"| `{option}` | {str(value) or '-'} |" for option, value in defaults(method).items()]
        yield "\n".join([f"### {name}", "", inspect.cleandoc(method.__doc__ or ""), "", "| option | default |"])
        yield "\n".join(["|---|---|", *rows, ""])


def text() -> str:
    """The whole file."""
    parts = [HEAD]
    parts += [f"## {name}\n\n```text\n{help_of(name, command)}\n```\n" for name, command in commands()]
    parts += ["## Methods and their options\n", "Options are passed as `--option NAME=VALUE`.\n"]
    return "\n".join([*parts, *methods(), "## Exit codes\n", exit_codes()]) + "\n"


def stale() -> bool:
    """Whether the file says something else; where a line breaks is click's own business."""
    return not FILE.is_file() or FILE.read_text("utf-8").split() != text().split()


def main(arguments: list[str]) -> str | None:
    """Write or check; what is wrong, if anything is."""
    if "--check" in arguments:
        return f"{FILE} is stale: run `make docs`" if stale() else None
    FILE.write_text(text(), encoding="utf-8")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
