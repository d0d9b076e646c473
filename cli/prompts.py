"""The `prompts` commands: list prompt sets, show one, check one, and compare sets."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict

import click

from recover.errors import Exit


@click.group()
def prompts() -> None:
    """Look at prompt sets.

    SET is the name of a built-in or a ready set, NAME=FILE (your own copy of a ready set), a TOML sidecar, or a file.
    """


@prompts.command("list")
def list_prompts() -> None:
    """The built-in prompt sets, and the ready sidecars of public sets."""
    from recover.prompts.prompt_set import BUILTIN, load_prompts
    from recover.prompts.sidecar import ready_sidecars

    from . import show

    for name in BUILTIN:
        loaded = load_prompts(name)
        show.out(f"{name:24} {len(loaded):4} prompts  expect {loaded.prompts[0].expect:8} Apache-2.0  (built in)\n")
    show.out("\n")
    for name, sidecar in ready_sidecars().items():
        rows_from = sidecar.hub or sidecar.path
        show.out(f"{name:24} {rows_from}  expect {sidecar.expect}  {sidecar.licence}  {sidecar.source}\n")


@prompts.command("show")
@click.argument("source", metavar="SET")
@click.option("-n", "--number", type=click.IntRange(1), default=10, show_default=True, help="How many prompts.")
def show_prompts(source: str, number: int) -> None:
    """The first prompts of SET, as the program reads them."""
    from recover.prompts.prompt_set import load_prompts
    from recover.report.numbers import sanitise

    from . import show

    for prompt in load_prompts(source).head(number):
        show.out(f"{sanitise(prompt.id)}\t{sanitise(prompt.category or '-')}\t{sanitise(prompt.text)}\n")


@prompts.command()
@click.argument("sources", metavar="SET...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def lint(sources: Iterable[str], as_json: bool) -> None:
    """Check each SET, row by row.

    A set with errors cannot be used: a row without a prompt, an id that repeats. The exit code is then 2. Warnings are
    for you to check: copies, near copies, a header that is read as a prompt, missing ids, odd characters, long prompts.
    """
    from recover.prompts import lint as checks

    from . import show

    reports = [checks.lint(source) for source in sources]
    if as_json:
        show.out(json.dumps([asdict(report) for report in reports], indent=2) + "\n")
    else:
        show.out("".join(f"{line}\n" for report in reports for line in show.lint(report)))
    sys.exit(Exit.OK if all(report.usable for report in reports) else Exit.USAGE)


@prompts.command()
@click.argument("source", metavar="SET")
@click.argument("others", metavar="OTHER...", nargs=-1, required=True)
@click.option(
    "--threshold", type=click.FloatRange(0, 1, min_open=True), default=0.8, show_default=True, help="Least similarity."
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def leakage(source: str, others: Iterable[str], threshold: float, as_json: bool) -> None:
    """Prompts of SET that are also in an OTHER set, exactly or nearly.

    Two prompts are near if the words that they share are at least THRESHOLD of all words in the two. Exits with 1 if
    there is such a pair, else with 0.
    """
    from recover.prompts import lint as checks
    from recover.prompts.prompt_set import load_prompts
    from recover.report.numbers import sanitise

    from . import show

    evaluated = load_prompts(source)
    leaks = checks.leakage(evaluated, [load_prompts(other) for other in others], threshold)
    if as_json:
        show.out(json.dumps([asdict(leak) for leak in leaks], indent=2) + "\n")
    else:
        for leak in leaks:
            likeness = "same" if leak.same else f"{leak.similarity:.2f}"
            show.out(f"{sanitise(leak.id)}\t{sanitise(leak.other)}\t{sanitise(leak.other_id)}\t{likeness}\n")
        shared = len({leak.id for leak in leaks})
        show.out(f"{shared} of {len(evaluated)} prompts of {sanitise(evaluated.name)} are in another set\n")
    sys.exit(Exit.FAILED if leaks else Exit.OK)
