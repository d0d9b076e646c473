"""The `judge` commands: which judges there are, and how far one can be trusted."""

from pathlib import Path
from typing import Any

import click


@click.group()
def judge() -> None:
    """Look at judges, and compare one with people's labels."""


@judge.command("list")
def list_judges() -> None:
    """The kinds of judges, and how each is named."""
    from recover.judges import JUDGES

    from . import show

    for kind, make in JUDGES.items():
        show.out(f"{kind:11} {(make.__doc__ or '').splitlines()[0]}\n")
    show.out("Others are named package.module:attribute.\n")


@judge.command()
@click.option(
    "--labels", metavar="FILE", multiple=True, required=True, help="Answers with people's labels. Repeatable."
)
@click.option("--judge", "spec", metavar="JUDGE", default="rules", show_default=True, help="The judge to calibrate.")
@click.option("--prompt-column", metavar="NAME", help="The column with the prompts.  [default: by the usual names]")
@click.option("--completion-column", metavar="NAME", help="The column with the answers.  [default: likewise]")
@click.option("--label-column", metavar="NAME", help="The column with the labels.  [default: likewise]")
@click.option(
    "--positive", metavar="VALUE", multiple=True, help="A label that means yes. Repeatable.  [default: by its words]"
)
@click.option("--channel", type=click.Choice(["harmful", "refused"]), help="What yes means.  [default: likewise]")
@click.option("-o", "--out", metavar="FILE", help="Write what was found here, for --calibration.")
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print the same as JSON.")
def calibrate(
    labels: tuple[str, ...], spec: str, out: str | None, overwrite: bool, as_json: bool, **named: Any
) -> None:
    """Compare a judge with people's labels.

    FILE is CSV, JSONL or another form that prompt sets have. Partial refusals are refusals. Sensitivity is the share
    of what people call refused (or harmful) that the judge calls so too, specificity the share of the rest that it does
    not. The brackets hold 95 % intervals.
    """
    from recover.checkpoints.publish import check_place, publish, staged
    from recover.judges import calibration, get_judge

    from . import show

    place = Path(out) if out else None
    if place:
        check_place(place, [Path(file) for file in labels], overwrite)
    columns = calibration.Columns(*(named[f"{name}_column"] for name in ("prompt", "completion", "label")))
    read = [calibration.read_labels(Path(file), columns) for file in labels]
    found = calibration.calibrate(get_judge(spec), read, named["positive"], named["channel"])
    if place:
        with staged(place) as staging:
            staging.write_text(calibration.dumps(found), encoding="utf-8")
            publish(staging, place)
    show.out(calibration.dumps(found) if as_json else "".join(f"{line}\n" for line in show.calibration(found)))
