"""The `judge` commands: which judges there are, and how reliable one is."""

from pathlib import Path
from typing import Any

import click


@click.group()
def judge() -> None:
    """Look at judges, and compare one with people's labels."""


@judge.command("list")
def list_judges() -> None:
    """The kinds of judges and their names."""
    from recover.judges import JUDGES

    from . import show

    for name, make in JUDGES.items():
        show.out(f"{name:11} {(make.__doc__ or '').splitlines()[0]}\n")
    show.out("Others are named package.module:attribute.\n")


@judge.command()
@click.option(
    "--labels", metavar="FILE", multiple=True, required=True, help="Answers with people's labels. Repeatable."
)
@click.option("--judge", "spec", metavar="JUDGE", default="rules", show_default=True, help="The judge to calibrate.")
@click.option("--prompt-column", metavar="NAME", help="The column with the prompts.  [default: by the usual names]")
@click.option("--completion-column", metavar="NAME", help="The column with the answers.  [default: by the usual names]")
@click.option("--label-column", metavar="NAME", help="The column with the labels.  [default: by the usual names]")
@click.option(
    "--positive", metavar="VALUE", multiple=True, help="A label that means yes. Repeatable.  [default: by the words]"
)
@click.option("--channel", type=click.Choice(["harmful", "refused"]), help="What yes means.  [default: by the words]")
@click.option("-o", "--out", metavar="FILE", help="Write the calibration here, for --calibration.")
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def calibrate(
    labels: tuple[str, ...], spec: str, out: str | None, overwrite: bool, as_json: bool, **options: Any
) -> None:
    """Compare a judge with people's labels.

    FILE is CSV, JSONL or another format of prompt sets. Partial refusals count as refusals. Of the answers that people
    call refused (or harmful), sensitivity is the share that the judge calls so too. Of the others, specificity is the
    share that it does not. The brackets hold 95 % intervals.
    """
    from recover.checkpoints.publish import check_place, publish, staged
    from recover.judges import calibration, get_judge

    from . import show

    target = Path(out) if out else None
    if target:
        check_place(target, [Path(file) for file in labels], overwrite)
    columns = calibration.Columns(*(options[f"{name}_column"] for name in ("prompt", "completion", "label")))
    labelled = [calibration.read_labels(Path(file), columns) for file in labels]
    result = calibration.calibrate(get_judge(spec), labelled, options["positive"], options["channel"])
    if target:
        with staged(target) as staging:
            staging.write_text(calibration.dumps(result), encoding="utf-8")
            publish(staging, target)
    show.out(calibration.dumps(result) if as_json else "".join(f"{line}\n" for line in show.calibration(result)))
