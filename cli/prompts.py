"""The `prompts` commands: which prompt sets there are, what is in one, what is odd in it, what two of them share."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict

import click

from recover.errors import Exit


@click.group()
def prompts() -> None:
    """Look at prompt sets.

    SET is a built-in or a ready set by its name, NAME=FILE (a ready set in your own copy), a TOML sidecar, or a file.
    """


@prompts.command("list")
def list_prompts() -> None:
    """The built-in prompt sets, and the ready sidecars of public ones."""
    from recover.prompts.prompt_set import BUILTIN, load_prompts
    from recover.prompts.sidecar import ready

    from . import show

    for name in BUILTIN:
        found = load_prompts(name)
        show.out(f"{name:24} {len(found):4} prompts  expect {found.prompts[0].expect:8} Apache-2.0  (built in)\n")
    show.out("\n")
    for name, sidecar in ready().items():
        place = sidecar.hub or sidecar.path
        show.out(f"{name:24} {place}  expect {sidecar.expect}  {sidecar.licence}  {sidecar.source}\n")


@prompts.command("show")
@click.argument("source", metavar="SET")
@click.option("-n", "--number", type=click.IntRange(1), default=10, show_default=True, help="How many prompts.")
def show_prompts(source: str, number: int) -> None:
    """The first prompts of SET, as they are read."""
    from recover.prompts.prompt_set import load_prompts
    from recover.report.numbers import sanitise

    from . import show

    for prompt in load_prompts(source).head(number):
        show.out(f"{sanitise(prompt.id)}\t{sanitise(prompt.category or '-')}\t{sanitise(prompt.text)}\n")


@prompts.command()
@click.argument("sources", metavar="SET...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the same as JSON.")
def lint(sources: Iterable[str], as_json: bool) -> None:
    """What is wrong or odd in each SET, row by row.

    Errors keep a set from being used, and exit with 2: rows that are none, ids that repeat. Warnings are for you to
    look at: copies, near copies, a first line that is read as a prompt, missing ids, odd characters, great length.
    """
    from recover.prompts import lint as checks

    from . import show

    found = [checks.lint(source) for source in sources]
    if as_json:
        show.out(json.dumps([asdict(one) for one in found], indent=2) + "\n")
    else:
        show.out("".join(f"{line}\n" for one in found for line in show.lint(one)))
    sys.exit(Exit.OK if all(one.usable for one in found) else Exit.USAGE)


@prompts.command()
@click.argument("source", metavar="SET")
@click.argument("others", metavar="OTHER...", nargs=-1, required=True)
@click.option(
    "--threshold", type=click.FloatRange(0, 1, min_open=True), default=0.8, show_default=True, help="How near is near."
)
@click.option("--json", "as_json", is_flag=True, help="Print the same as JSON.")
def leakage(source: str, others: Iterable[str], threshold: float, as_json: bool) -> None:
    """Prompts of SET that an OTHER set holds too, or nearly so.

    Two prompts are near if the words that they share are at least THRESHOLD of the words of both. Exits with 1 if there
    is such a pair, with 0 if there is none.
    """
    from recover.prompts import lint as checks
    from recover.prompts.prompt_set import load_prompts
    from recover.report.numbers import sanitise

    from . import show

    evaluated = load_prompts(source)
    found = checks.leakage(evaluated, [load_prompts(other) for other in others], threshold)
    if as_json:
        show.out(json.dumps([asdict(leak) for leak in found], indent=2) + "\n")
    else:
        for leak in found:
            how = "same" if leak.same else f"{leak.similarity:.2f}"
            show.out(f"{sanitise(leak.id)}\t{sanitise(leak.other)}\t{sanitise(leak.other_id)}\t{how}\n")
        shared = len({leak.id for leak in found})
        show.out(f"{shared} of {len(evaluated)} prompts of {sanitise(evaluated.name)} are in another set\n")
    sys.exit(Exit.FAILED if found else Exit.OK)
