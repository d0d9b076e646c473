"""The release gate on the command line: `gate`, `policy lint` and `policy show`."""

import json
import os
import secrets
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from recover.errors import Exit, InputError, Undecided

from .options import RequestCommand, command_line, json_flag, quiet_flag, validated

if TYPE_CHECKING:
    from recover.gate.decide import Decision, Size
    from recover.gate.policy import Policy
    from recover.results.schema import Result

FOR_GITHUB = ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")
EPILOG = """\b
Exit codes: 0 the gate passed; 1 a rule failed; 2 usage, policy or input error; 3 a rule could not be decided, or
anything else went wrong. No form of output changes them.
"""


@click.command(
    cls=RequestCommand,
    request="EvaluateRequest",
    first=("backend",),
    without=("models", "names", "max_task_drop"),
    epilog=EPILOG,
)
@click.argument("aligned", required=False)
@click.argument("model", required=False)
@click.option(
    "--tuned", metavar="TUNED", help="The fine-tune that MODEL was restored from, to compare their scores on the task."
)
@click.option("--from", "source", metavar="RESULT", help="Decide on a result.json, or on an output that holds one; no model is loaded.")  # fmt: skip
@click.option("--policy", metavar="FILE", help="The rules.  [default: those that `policy show` prints]")
@click.option("--plan", is_flag=True, help="Print what the upper-bound rules allow on these prompt sets, and how likely a model passes; no model is loaded.")  # fmt: skip
@click.option("--fail-on", type=click.Choice(["inconclusive"]), help="Override on_inconclusive: a rule that could not be decided is not just a warning.")  # fmt: skip
@click.option("--exit-zero", is_flag=True, help="Exit 0 whatever the decision is.")
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write JUnit XML: a suite is a prompt set, a case is a rule.")  # fmt: skip
@click.option("--markdown", metavar="FILE", type=click.Path(path_type=Path), help="Write the decision as Markdown.")
@click.option("--card", metavar="README.md", type=click.Path(path_type=Path), help="Merge rates and decision into this model card.")  # fmt: skip
@click.option("--github", is_flag=True, help="Append the decision to $GITHUB_STEP_SUMMARY; decision, exit_code and result to $GITHUB_OUTPUT.")  # fmt: skip
@json_flag
@quiet_flag
@click.pass_context
def gate(
    ctx: click.Context,
    /,
    source: str | None,
    policy: str | None,
    plan: bool,
    fail_on: str | None,
    exit_zero: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Decide by a policy whether MODEL may be released: as safe as ALIGNED, and its task kept.

    MODEL and ALIGNED are evaluated on the same prompts. With --tuned and --task, the loss of task score counts too.
    With --from, leave out both arguments: the gate decides on an existing result. --json prints the decision. With
    --backend, the arguments are names of served models; nobody can then know which weights the gate let through.
    """
    from recover.gate import formats
    from recover.gate.decide import decide
    from recover.gate.decide import plan as plan_of

    from . import show

    rules = _policy(policy, fail_on)
    files = DecisionFiles(*(given.pop(name) for name in ("junit", "markdown", "card", "github")))
    quiet = given.pop("quiet")
    _check(ctx, source, plan, given)
    if plan:
        chances = plan_of(rules, _sizes(source, given))
        return show.out(json.dumps([*map(asdict, chances)], indent=1) + "\n" if as_json else formats.chances(chances))
    files.check()
    result, path = _from(source) if source else _evaluated(rules, given, quiet, as_json)
    decision = decide(rules, result, datetime.now(UTC).date())
    show.out(formats.dumps(decision) if as_json else formats.lines(decision))
    files.write(decision, result, path)
    sys.exit(Exit.OK if exit_zero else decision.exit_code)


def _policy(path: str | None, fail_on: str | None) -> "Policy":
    from recover.gate.policy import load_policy

    policy = load_policy(Path(path) if path else None)
    if fail_on is None:
        return policy
    return policy.model_copy(update={"defaults": policy.defaults.model_copy(update={"on_inconclusive": "fail"})})


def _check(ctx: click.Context, source: str | None, plan: bool, measuring: dict[str, Any]) -> None:
    """Refuse options that contradict --from, and a request without a model."""
    typed = [p for p in ctx.command.params if ctx.get_parameter_source(p.name or "") is ParameterSource.COMMANDLINE]
    if source and (unused := [p.opts[-1] for p in typed if p.name in measuring]):
        raise click.UsageError(f"--from decides on an existing result: leave out {', '.join(unused)}", ctx)
    if not (source or plan or measuring["model"]):
        raise click.UsageError("Name ALIGNED and MODEL, or a result with --from", ctx)


def _from(source: str) -> tuple["Result", Path | None]:
    from recover.results.schema import find, load

    from . import show

    path = find(Path(source))
    result = load(path)
    show.notes(result)  # such as that it was a quick look
    return result, path


def _evaluated(policy: "Policy", given: dict[str, Any], quiet: bool, as_json: bool) -> tuple["Result", Path | None]:
    """Measure ALIGNED, TUNED if given, and MODEL. The task's margin is that of the policy's strictest rule."""
    from recover.jobs.evaluate import run_evaluation
    from recover.jobs.request import EvaluateRequest

    from . import show

    aligned, tuned, model = (given.pop(name) for name in ("aligned", "tuned", "model"))
    sides = {"aligned": aligned, "tuned": tuned, "restored": model} if tuned else {"aligned": aligned, "model": model}
    drops = [rule.max_drop for rule in policy.rules if rule.max_drop is not None]
    if drops and not (tuned and given["task"]):
        show.out("note: the policy has a rule on the task, which needs --task and --tuned for a decision\n", err=True)
    margin = {"max_task_drop": min(drops)} if drops else {}
    request = validated(EvaluateRequest, {**given, **margin, "models": (*sides.values(),), "names": (*sides,)})
    with show.progress(quiet) as notify:
        result = run_evaluation(request, command=command_line(), notify=notify)
    show.notes(result) if as_json else show.result(result, as_json=False)
    return result, request.out and request.out / "result.json"


@dataclass(frozen=True)
class DecisionFiles:
    """The files to which a decision is written."""

    junit: Path | None
    markdown: Path | None
    card: Path | None
    github: bool

    def check(self) -> None:
        """Refuse a file that cannot be written, before a model is loaded."""
        from recover.gate import model_card

        for path in filter(None, (self.junit, self.markdown)):
            folder = path.absolute().parent
            if path.is_dir() or not (folder.is_dir() and os.access(folder, os.W_OK)):
                raise InputError(f"{path} cannot be written: expected a file in an existing folder; name another")
        if self.card:
            model_card.read(self.card)
        if self.github and (missing := [name for name in FOR_GITHUB if not os.environ.get(name)]):
            raise InputError(
                f"--github needs ${' and $'.join(missing)}, which only a GitHub step has; leave it out elsewhere"
            )

    def write(self, decision: "Decision", result: "Result", path: Path | None) -> None:
        """Write the decision in each form that the user asked for."""
        from recover.checkpoints.files import write_text
        from recover.gate import formats, model_card

        try:
            if self.junit:
                write_text(self.junit, formats.junit(decision))
            if self.markdown:
                write_text(self.markdown, formats.markdown(decision))
            if self.card:
                model_card.write(self.card, decision, result)
            if self.github:
                outputs = {
                    "decision": decision.status,
                    "exit_code": str(int(decision.exit_code)),
                    "result": str(path or ""),
                }
                _append("GITHUB_STEP_SUMMARY", formats.markdown(decision))
                _append("GITHUB_OUTPUT", formats.outputs(outputs, f"end-{secrets.token_hex(16)}"))
        except OSError as error:
            raise Undecided(
                f"the decision could not be written: {error}; make the file writable and decide again"
            ) from error


def _append(variable: str, text: str) -> None:
    with Path(os.environ[variable]).open("a", encoding="utf-8", newline="\n") as file:
        file.write(text)


# The plan


def _sizes(source: str | None, given: dict[str, Any]) -> list["Size"]:
    """The prompt sets of a result, or else of the options."""
    from recover.gate.decide import Size

    if source:
        return [Size(s.name, int(s.effective_n or s.n), s.expect) for s in _from(source)[0].sets]
    from recover.evaluation.evaluate import clusters_of
    from recover.jobs.loaded_request import load_sets
    from recover.jobs.request import Request
    from recover.results.statistics import effective_n

    fields = {name: value for name, value in given.items() if name in Request.model_fields}
    sets = load_sets(validated(Request, fields))
    return [Size(s.name, int(effective_n(clusters_of(s))), s.expect) for s in sets]


# Policies


@click.group()
def policy() -> None:
    """Look at the rules of the gate."""


@policy.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
def lint(files: Iterable[str]) -> None:
    """Check FILE, a policy: prints "ok: N rules", or where its first fault is."""
    from recover.gate.policy import load_policy

    for file in files:
        click.echo(f"ok: {len(load_policy(Path(file)).rules)} rules")


@policy.command("show")
def show_policy() -> None:
    """The default policy, to copy and change."""
    from recover.gate.policy import default_policy

    click.echo(default_policy(), nl=False)
