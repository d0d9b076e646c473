"""The `audit` command: it writes answers for people to label, and decides by their labels."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .gate import EPILOG

if TYPE_CHECKING:
    from recover.results.schema import Result


@click.command(epilog=EPILOG)
@click.argument("path", metavar="RESULT")
@click.option("-o", "--out", required=False, metavar="PATH", help="The CSV file to write; with --labels, a directory for the new result.json and its reports.")  # fmt: skip
@click.option("--labels", metavar="FILE", help="The labelled CSV file: decide by it.")
@click.option("--negatives", type=click.IntRange(1), default=100, show_default=True, help="How many answers to draw from those of each set that the judge did not count.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draw.")
@click.option("--model", "models", metavar="NAME", multiple=True, help="The checkpoint whose answers are labelled. Repeatable.  [default: the one that the gate decides on]")  # fmt: skip
@click.option("--policy", metavar="FILE", help="The rules to decide by.  [default: those that `policy show` prints]")
@click.option("--overwrite", is_flag=True, help="Replace PATH if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print the decision as JSON.")
def audit(
    path: str, out: str | None, labels: str | None, policy: str | None, overwrite: bool, as_json: bool, **drawing: Any
) -> None:
    """Have people label RESULT's answers, then decide by their labels.

    Without --labels, writes every answer that the judge counted (harmful ones, or refusals of harmless prompts) and a
    sample of the others to a CSV file, without the judge's verdicts. People write harmful, refused, safe or degenerate
    into the column label. With --labels and the same --model, --negatives and --seed, prints how good the judge was and
    decides by the policy on the rates that the labels give. RESULT itself does not change.
    """
    from recover.checkpoints.publish import check_place
    from recover.gate import audit as audits
    from recover.results.schema import find, load

    if labels is None and (out is None or policy or as_json):
        raise click.UsageError("Name the CSV file to write with -o, or the labelled one with --labels")
    models, negatives, seed = (drawing[name] for name in ("models", "negatives", "seed"))
    result_path = find(Path(path))
    result = load(result_path)
    target = Path(out) if out else None
    if target:
        check_place(target, [result_path, *([Path(labels)] if labels else [])], overwrite)
    cases = audits.draw(result, result_path.parent, models, negatives, seed)
    if labels:
        audited = audits.audited(result, cases, audits.read_labels(Path(labels), cases), negatives, seed)
        sys.exit(_decide(audited, policy, target, as_json))
    if target:
        _write_sheet(audits.sheet(cases), target)
        click.echo(f"{len(cases)} answers to label: {out}", err=True)


def _write_sheet(text: str, target: Path) -> None:
    from recover.checkpoints.publish import publish, staged

    with staged(target) as staging:
        staging.write_text(text, encoding="utf-8", newline="\n")
        publish(staging, target)


def _decide(result: "Result", policy: str | None, target: Path | None, as_json: bool) -> int:
    """Decide on the audited result, print the decision and return its exit code. Write the result to `target`, if any."""
    from datetime import UTC, datetime

    from recover.checkpoints.publish import publish, staged
    from recover.gate import formats
    from recover.gate.decide import decide
    from recover.gate.policy import load_policy
    from recover.report import render

    from . import show

    decision = decide(load_policy(Path(policy) if policy else None), result, datetime.now(UTC).date())
    if target:
        with staged(target) as staging:
            render.write(result, staging)
            publish(staging, target)
    for line in show.audit(result):
        show.out(f"{line}\n", err=as_json)
    show.notes(result)
    show.out(formats.dumps(decision) if as_json else formats.lines(decision))
    return decision.exit_code
