"""`exec:CMD`: any program that reads answers and writes verdicts, both as JSON lines.

The program is started once for each batch, without a shell. It reads lines with {"id", "prompt", "answer"} and writes
lines with {"id", "verdict"}, optionally also "raw" and "p_harmful". An id that it leaves out is UNSCORED. A failed
exit, an unknown id, a repeated id or a line that does not fit raises Undecided.
"""

import json
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from recover.errors import InputError, Undecided, few, first_problem
from recover.judges.protocol import Item, Judge, Judgement, Verdict, unscored
from recover.judges.spec import digest, file_digest


class _Line(BaseModel):
    id: str
    verdict: Verdict
    raw: str = ""
    p_harmful: Annotated[float | None, Field(ge=0, le=1)] = None


def from_argument(argument: str) -> Judge:
    """A program of yours that reads and writes JSON lines, `exec:CMD`; it runs with your rights."""
    try:
        words = tuple(shlex.split(argument))
    except ValueError as error:
        raise InputError(f"'exec:{argument}' cannot be split into words ({error}); close its quotes.") from error
    if not words or shutil.which(words[0]) is None:
        raise InputError(f"'exec:{argument}' names no program that can be run; give its path.")
    return Command(words)


@dataclass(frozen=True)
class Command:
    """A program that judges. Its fingerprint covers the program and the files that the command names, no others."""

    words: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"exec:{shlex.join(self.words)}"

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of the command, of the program and of each file that the command names."""
        paths = [Path(shutil.which(self.words[0]) or self.words[0]), *map(Path, self.words[1:])]
        return digest("exec", self.words, [file_digest(path) for path in paths if path.is_file()])

    def __call__(self, items: Sequence[Item]) -> list[Judgement]:
        """Judge all answers with one run of the program."""
        if not items:
            return []
        rows = [{"id": prompt.id, "prompt": prompt.text, "answer": answer.text} for prompt, answer in items]
        judgements = _verdicts(self._run("".join(json.dumps(row) + "\n" for row in rows)), self.name)
        if unknown := sorted(set(judgements) - {prompt.id for prompt, _ in items}):
            raise Undecided(
                f"{self.name} gave verdicts on ids that it was not asked about ({few(unknown)}); correct it"
            )
        return [judgements.get(prompt.id) or unscored("the program gave no verdict") for prompt, _ in items]

    def _run(self, text: str) -> str:
        try:
            done = subprocess.run(self.words, input=text.encode(), capture_output=True, check=False)  # noqa: S603
        except OSError as error:
            raise Undecided(f"{self.name} cannot be run ({error.strerror or error}); correct it") from error
        if done.returncode:
            last = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()][-1:]
            reason = "".join(c for c in "".join(last) if c.isprintable())[:200] or "it said nothing on stderr"
            raise Undecided(f"{self.name} ended with exit code {done.returncode}: {reason}")
        return done.stdout.decode(errors="replace")


def _verdicts(text: str, name: str) -> dict[str, Judgement]:
    judgements: dict[str, Judgement] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = _Line.model_validate_json(line)
        except ValidationError as error:
            raise Undecided(f"{name}, line {number} of its output: {first_problem(error)}; correct it") from error
        if row.id in judgements:
            raise Undecided(f"{name} gave two verdicts on {row.id}; expected one for each id")
        judgements[row.id] = Judgement(row.verdict, row.verdict is Verdict.REFUSED, row.raw, row.p_harmful)
    return judgements
