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
from .options import RequestCommand, command_line, json_flag, quiet_flag, validated
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


link = click.option("--link", is_flag=True, help="Make weight files in which nothing is restored hard links to the input's, to save space. A later write into one of them changes both.")  # fmt: skip


class Commands(click.Group):
    """A group whose default command is `restore`: `recover-align ALIGNED TUNED` needs no verb."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h", "--version"):
            args = ["restore", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (
            BrokenPipeError,
            EOFError,
        ) as error:  # click would exit with 1 on the first, and take the second for Ctrl-C
            _unexpected(error)


@click.group(
    cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="recover-align", prog_name="recover-align")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Restore the alignment of a fine-tuned language model.

    recover-align ALIGNED TUNED copies a small, gradient-selected part of the aligned model's weights back into the
    fine-tune, so that it refuses harmful requests again and keeps its task. It reports the harmful rate before and
    after. The command is short for recover-align restore.
    """
    if ctx.invoked_subcommand != "restore" and "WORLD_SIZE" in os.environ:
        _require_one_process(str(ctx.invoked_subcommand))


def _require_one_process(command: str) -> None:
    """Refuse to run a command in several processes that do not share its work."""
    from recover.model import distributed

    with distributed.joined():
        if distributed.world() > 1:
            raise InputError(
                f"found {distributed.world()} processes that torchrun started; expected one: only restore divides its work "
                f"among them; run {command} without torchrun"
            )


@cli.command(
    cls=RequestCommand,
    request="Job",
    first=("out", "method", "option", "unaligned", "harmful", "general"),
    without=("aligned", "tuned"),
    epilog=EPILOG,
)
@click.argument("aligned")
@click.argument("tuned")
@json_flag
@quiet_flag
def restore(as_json: bool, quiet: bool, **given: Any) -> None:
    """Restore TUNED, a fine-tune of ALIGNED, and report the rates before and after.

    Each is a Hugging Face directory or hub id, a .safetensors file, or a .pt/.pth/.bin state dict. TUNED may also be a
    PEFT adapter over ALIGNED. OUT is of TUNED's kind; of an adapter that has to be merged, it is of ALIGNED's. OUT/recovery
    (OUT.recovery beside a file) gets result.json, report.md and report.html, the answers with a viewer.html to read
    them, and the patch that takes the restoration back.
    """
    from recover.jobs.request import Job
    from recover.jobs.restore import restore as run_restoration
    from recover.model import distributed

    from . import show

    with distributed.joined():
        job = validated(Job, given)
        with show.progress(quiet or not distributed.leads()) as notify:
            outcome = run_restoration(job, command=command_line(), notify=notify)
        if distributed.leads():
            show.result(outcome.result, as_json)
            show.paths(outcome)
    sys.exit(outcome.result.exit_code)


@cli.command(
    cls=RequestCommand, request="EvaluateRequest", first=("backend",), without=("models", "names", "max_task_drop")
)
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@json_flag
@quiet_flag
def evaluate(as_json: bool, quiet: bool, **given: Any) -> None:
    """Measure the rates of 1 to 3 checkpoints on the same prompts.

    With two or three, the first is the aligned model, the second its fine-tune, the third the restored one. The first
    is also the base of adapters. With --backend, MODEL is the name of a served model.
    """
    from recover.jobs.evaluate import run_evaluation
    from recover.jobs.request import EvaluateRequest

    from . import show

    request = validated(EvaluateRequest, given)
    with show.progress(quiet) as notify:
        result = run_evaluation(request, command=command_line(), notify=notify)
    show.result(result, as_json)
    if request.out:
        click.echo(f"report: {given['out']}/report.html", err=True)


@cli.command()
@click.argument("patch")
@click.argument("tuned")
@click.option("-o", "--out", required=True, metavar="OUT", help="Where to write the restored checkpoint.")
@click.option(
    "--aligned",
    metavar="PATH",
    help="The checkpoint under TUNED, if TUNED is an adapter that was restored as merged weights.",
)
@link
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
def apply(patch: str, tuned: str, out: str, aligned: str | None, link: bool, overwrite: bool) -> None:
    """Apply PATCH to TUNED: gives the restored checkpoint, exact to the bit.

    PATCH is a selection.safetensors or an output that holds one. TUNED must be the checkpoint that it was made for.
    """
    _use_patch("apply", patch, tuned, out, aligned, link, overwrite)


@cli.command()
@click.argument("patch")
@click.argument("restored")
@click.option("-o", "--out", required=True, metavar="OUT", help="Where to write the tuned checkpoint.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
def revert(patch: str, restored: str, out: str, overwrite: bool) -> None:
    """Remove PATCH from RESTORED: gives the tuned checkpoint again, byte for byte."""
    _use_patch("revert", patch, restored, out, None, False, overwrite)


def _use_patch(verb: str, patch: str, start: str, out: str, aligned: str | None, link: bool, overwrite: bool) -> None:
    from recover.checkpoints import patch as patches
    from recover.checkpoints.publish import check_place, publish, reopened, staged, write_copy

    loaded = patches.Patch.load(Path(patch))
    checkpoint = patches.open_for(loaded, start, aligned)
    target = Path(out)
    check_place(target, [checkpoint.path, checkpoint.root, Path(patch)], overwrite)
    patched = getattr(patches, verb)(loaded, checkpoint)
    with staged(target) as staging:
        write_copy(patched, staging, link=link)
        reopened(patched, staging)
        publish(staging, target)
    click.echo(f"wrote {out}", err=True)


@cli.command()
@click.argument("path", metavar="RESULT")
@click.option("-f", "--format", "form", type=click.Choice(["html", "md", "json", "viewer"]), default="md", show_default=True, help="What to print.")  # fmt: skip
def report(path: str, form: str) -> None:
    """Print RESULT, a result.json or an output that holds one, as HTML, Markdown, JSON or viewer.

    If RESULT is the OUT of a batch, finished or not, batch.html, batch.csv and batch.json are also written anew.
    """
    from recover.report import render as reports
    from recover.report import viewer
    from recover.results.schema import dumps, find, load

    from . import show

    if (Path(path) / "batch.json").is_file():
        report_batch(Path(path), form)
        return
    result_path = find(Path(path))
    pages: dict[str, Callable[[Any], str]] = {"html": reports.html, "md": reports.markdown, "json": dumps, "viewer": lambda r: viewer.html(r, viewer.read(r, result_path.parent))}  # fmt: skip
    show.out(pages[form](load(result_path)))


for command in (audit, batch, gate, judge, methods, policy, prompts):
    cli.add_command(command)


os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads are slow where cores are shared


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command line. Every way out has an exit code of `recover.errors.Exit`."""
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
    except Exception as error:  # an unknown error must not let a gate pass
        _unexpected(error)
    sys.exit(Exit.OK)


def _leave(sentence: str, code: Exit) -> NoReturn:
    text = "".join(c if c.isprintable() else " " for c in sentence)  # it may quote a file with terminal codes
    click.echo(f"recover-align: {' '.join(text.split())}", err=True)
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
