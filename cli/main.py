"""The commands of `recover-align`. Nothing heavy is imported before a command runs, so `--help` is instant."""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from recover.errors import Exit, InputError, RecoverError, out_of_memory

from .audit import audit
from .batch import batch
from .batch import report as report_batch
from .gate import gate, policy
from .judge import judge
from .methods import methods
from .options import backend, command_line, questions, run_directory, validated
from .prompts import prompts

EPILOG = """\b
Examples:
  recover-align examples/aligned.pt examples/tuned.pt
  recover-align org/model-instruct ./my-finetune -o ./my-safe-finetune --task task.jsonl
  recover-align evaluate ./my-finetune --report-set strongreject.csv
  recover-align gate --from ./my-safe-finetune
  recover-align revert ./my-safe-finetune ./my-safe-finetune -o ./my-finetune-again

\b
Exit codes: 0 done; 1 the restored model missed its target or its floor, or a gate failed; 2 usage or input error;
3 could not decide (a failed load, out of memory, a full disk); 130 interrupted, nothing half-written.
"""


link = click.option("--link", is_flag=True, help="Make weight files in which nothing is restored hard links to the input's, to save space: whoever then writes into the one writes into the other.")  # fmt: skip


class Commands(click.Group):
    """A group whose default command is `restore`: `recover-align ALIGNED TUNED` needs no verb."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h", "--version"):
            args = ["restore", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (BrokenPipeError, EOFError) as error:  # click takes the one for exit code 1, the other for Ctrl-C
            _unexpected(error)


@click.group(
    cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="recover-align", prog_name="recover-align")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Restore the alignment of a fine-tuned language model.

    recover-align ALIGNED TUNED copies a small, gradient-selected part of the aligned model's weights back into the
    fine-tune, so that it refuses harmful requests again and keeps its task; it reports the harmful rate before and
    after. It is short for recover-align restore.
    """
    if ctx.invoked_subcommand != "restore" and "WORLD_SIZE" in os.environ:
        _alone(str(ctx.invoked_subcommand))


def _alone(command: str) -> None:
    """Refuse to do one thing in several processes that know nothing of each other."""
    from recover import parallel

    with parallel.joined():
        if parallel.world() > 1:
            raise InputError(
                f"found {parallel.world()} processes that torchrun started; expected one: only restore divides its work "
                f"among them; run {command} without torchrun"
            )


@cli.command(epilog=EPILOG)
@click.argument("aligned")
@click.argument("tuned")
@click.option("-o", "--out", metavar="OUT", help="Where the restored checkpoint goes.  [default: ./<TUNED>-restored]")
@click.option("--method", default="refusal-kl", show_default=True, help="One of those that the command methods lists, or package.module:function.")  # fmt: skip
@click.option("--option", metavar="NAME=VALUE", multiple=True, help="An option of the method. Repeatable.")
@click.option("--unaligned", metavar="PATH", help="The model that ALIGNED was before its alignment, for methods that need it (see methods).")  # fmt: skip
@click.option("--harmful", metavar="SET", default="capture_harmful", show_default=True, help="Harmful prompts that the method sees.")  # fmt: skip
@click.option("--general", metavar="SET", default="general", show_default=True, help="Ordinary prompts that the method sees.")  # fmt: skip
@questions
@click.option("--max-task-drop", type=click.FloatRange(0, 1), default=0.05, show_default=True, help="Largest relative drop of the task's score; sets its floor.")  # fmt: skip
@click.option("--target-harmful-rate", metavar="aligned|FLOAT", default="aligned", show_default=True, help="Harmful rate to reach: the aligned model's own, or a fraction.")  # fmt: skip
@click.option("--budget", type=click.FloatRange(0, 1, min_open=True), default=0.04, show_default=True, help="Largest fraction of the weights to restore.")  # fmt: skip
@click.option("--format", type=click.Choice(["checkpoint", "patch", "both"]), default="both", show_default=True, help="What to write.")  # fmt: skip
@link
@click.option(
    "--overwrite", is_flag=True, help="Replace OUT if it exists, by reports alone if the model misses its floor."
)
@click.option("--write-anyway", is_flag=True, help="Write the checkpoint even if the task is under its floor.")
def restore(as_json: bool, quiet: bool, **asked: Any) -> None:
    """Restore TUNED, a fine-tune of ALIGNED, and report before and after.

    Both are a Hugging Face directory or hub id, a .safetensors file, or a .pt/.pth/.bin state dict; TUNED may be a LoRA
    adapter over ALIGNED. OUT is of TUNED's kind, or of ALIGNED's, merged, if TUNED is an adapter. OUT/recovery
    (OUT.recovery beside a file) gets result.json, report.md and report.html, the answers with a viewer.html to read
    them, and the patch that takes the restoration back.
    """
    from recover import job, parallel

    from . import show

    with parallel.joined():
        request = validated(job.Job, asked)
        with show.progress(quiet or not parallel.leads()) as notify:
            outcome = job.restore(request, command=command_line(), notify=notify)
        if parallel.leads():
            show.result(outcome.result, as_json)
            show.places(outcome)
    sys.exit(outcome.result.exit_code)


@cli.command()
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@backend
@questions
@run_directory
def evaluate(
    models: tuple[str, ...], out: str | None, overwrite: bool, as_json: bool, quiet: bool, **asked: Any
) -> None:
    """Rates of 1 to 3 checkpoints on the same prompts.

    With two or three, the first is the aligned model, the second its fine-tune, the third the restored one; adapters lie
    over the first. With --backend, MODEL is the name of a served model.
    """
    from recover import rating

    from . import show

    request = validated(rating.Rating, {**asked, "models": models, "out": out, "overwrite": overwrite})
    with show.progress(quiet) as notify:
        result = rating.rate(request, command=command_line(), notify=notify)
    show.result(result, as_json)
    if out:
        click.echo(f"report: {out}/report.html", err=True)


@cli.command()
@click.argument("patch")
@click.argument("tuned")
@click.option("-o", "--out", required=True, metavar="OUT", help="Where the restored checkpoint goes.")
@click.option("--aligned", metavar="PATH", help="The checkpoint under TUNED, if TUNED is an adapter.")
@link
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
def apply(patch: str, tuned: str, out: str, aligned: str | None, link: bool, overwrite: bool) -> None:
    """Put PATCH on TUNED: the restored checkpoint, exact to the bit.

    PATCH is a selection.safetensors or an output that holds one. TUNED must be the very checkpoint it was made for.
    """
    _move("apply", patch, tuned, out, aligned, link, overwrite)


@cli.command()
@click.argument("patch")
@click.argument("restored")
@click.option("-o", "--out", required=True, metavar="OUT", help="Where the tuned checkpoint goes.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
def revert(patch: str, restored: str, out: str, overwrite: bool) -> None:
    """Take PATCH off RESTORED: the tuned checkpoint again, byte for byte."""
    _move("revert", patch, restored, out, None, False, overwrite)


def _move(verb: str, patch: str, start: str, out: str, aligned: str | None, link: bool, overwrite: bool) -> None:
    from recover import Checkpoint, artifact
    from recover.pair import open_checkpoint

    checkpoint = open_checkpoint(start, base=open_checkpoint(aligned)) if aligned else Checkpoint.open(start)
    place = Path(out)
    artifact.check_place(place, [checkpoint.path, checkpoint.root, Path(patch)], overwrite)
    moved = getattr(artifact, verb)(artifact.Patch.load(Path(patch)), checkpoint)
    with artifact.staged(place) as staging:
        artifact.write_copy(moved, staging, link=link)
        artifact.reopened(moved, staging)
        artifact.publish(staging, place)
    click.echo(f"wrote {out}", err=True)


@cli.command()
@click.argument("path", metavar="RESULT")
@click.option("-f", "--format", "form", type=click.Choice(["html", "md", "json", "viewer"]), default="md", show_default=True, help="What to print.")  # fmt: skip
def report(path: str, form: str) -> None:
    """Render RESULT, a result.json, as HTML, Markdown, JSON or viewer on stdout.

    Of the OUT of a batch, finished or not, batch.html, batch.csv and batch.json are written anew too.
    """
    from recover import report as reports
    from recover import viewer
    from recover.result import dumps, find

    from . import show

    if (Path(path) / "batch.json").is_file():
        report_batch(Path(path), form)
        return
    place = find(Path(path))
    pages: dict[str, Callable[[Any], str]] = {"html": reports.html, "md": reports.markdown, "json": dumps, "viewer": lambda r: viewer.html(r, viewer.read(r, place.parent))}  # fmt: skip
    show.out(pages[form](reports.load(place)))


for command in (audit, batch, gate, judge, methods, policy, prompts):
    cli.add_command(command)


os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads are slow where cores are shared


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command line; every way out has one of the exit codes of `recover.errors.Exit`."""
    try:
        cli.main(argv, prog_name="recover-align", standalone_mode=False)
    except RecoverError as error:
        _leave(str(error), error.exit_code)
    except click.exceptions.Abort:
        _leave("interrupted; nothing was left half-written", Exit.INTERRUPTED)
    except KeyboardInterrupt:
        _leave("interrupted; nothing was left half-written", Exit.INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(Exit.USAGE)
    except click.UsageError as error:
        _leave(f"{error.format_message().rstrip('.')}; see {error.ctx and error.ctx.command_path} --help", Exit.USAGE)
    except Exception as error:  # a gate must fail closed, whatever went wrong
        _unexpected(error)
    sys.exit(Exit.OK)


def _leave(sentence: str, code: Exit) -> NoReturn:
    told = "".join(c if c.isprintable() else " " for c in sentence)  # it may quote a file: no codes reach a terminal
    click.echo(f"recover-align: {' '.join(told.split())}", err=True)
    sys.exit(code)


def _unexpected(error: Exception) -> NoReturn:
    if os.environ.get("RECOVER_ALIGN_DEBUG"):
        traceback.print_exception(error)
    if out_of_memory(error):
        _leave("out of memory; use a smaller model, fewer prompts (--limit) or another --device", Exit.UNDECIDED)
    reason = str(error) or "no message"
    _leave(
        f"unexpected {type(error).__name__}: {reason[:300]}; set RECOVER_ALIGN_DEBUG=1 for the traceback and report it",
        Exit.UNDECIDED,
    )
