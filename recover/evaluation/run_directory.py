"""A run directory: questions, answers and verdicts, written as they come, so that a stopped run can continue.

`manifest.json` says what is asked and is written before the first answer. `result.json` is written last: where it is,
the run is complete. One process at a time writes.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recover.checkpoints import files
from recover.checkpoints.file_lock import locked
from recover.checkpoints.files import write_text
from recover.errors import InputError, few
from recover.evaluation import answer_files

MANIFEST, RESULT, RUN_LOCK = "manifest.json", "result.json", ".lock"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class AskedSetInfo(_Part):
    """What is asked of every checkpoint: a prompt set."""

    sha256: str
    prompts: int
    max_new_tokens: int
    batches: str  # hash of the prompts' tokens, batch by batch: answers depend on who shares a batch
    sampling: dict[str, float] = {}  # temperature, top_p and seed; nothing where answers are greedy


class RunManifest(_Part):
    """Everything that a run's answers and verdicts depend on."""

    schema_: Literal["recover-align/run/1"] = Field(
        default="recover-align/run/1", validation_alias="schema", serialization_alias="schema"
    )
    reading: dict[str, str]  # tokenizer, template, dtype, ...: the same for all answers
    checkpoints: dict[str, str]  # name -> fingerprint
    sets: dict[str, AskedSetInfo]
    judges: tuple[str, ...]
    apart: dict[str, dict[str, str]] = {}  # model -> how it is asked, where that differs from the first model
    tasks: dict[str, str] = {}  # tasks of the harness -> hash of what they ask and how they score

    def key(self, model: str, prompts: str) -> str:
        """The hash of everything that a model's answers to a set depend on."""
        return _hash([*self._facts(model), self.sets[prompts].model_dump()])

    def score_key(self, model: str, task: str) -> str:
        """The hash of everything that a model's scores on a task of the harness depend on."""
        return _hash([*self._facts(model), self.tasks[task]])

    def _facts(self, model: str) -> list[object]:
        """What every answer and score of a model depends on."""
        return [self.reading, self.checkpoints[model], self.apart.get(model)]

    def keys(self) -> set[str]:
        """The keys of all answers and scores that a new run would repeat.

        A server's are left out: it may run other weights by then.
        """
        models = [name for name, fingerprint in self.checkpoints.items() if not fingerprint.startswith("openai:")]
        answers = {self.key(model, prompts) for model in models for prompts in self.sets}
        return answers | {self.score_key(model, task) for model in models for task in self.tasks}


def _hash(parts: list[object]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def begun(out: Path) -> bool:
    """Whether `out` holds a run that is not complete. An empty directory is a run that has just begun."""
    names = {entry.name for entry in out.iterdir()} if out.is_dir() else {RESULT}
    return RESULT not in names and (MANIFEST in names or all(name.startswith(".") for name in names))


@contextlib.contextmanager
def opened(out: Path, manifest: RunManifest, overwrite: bool = False) -> Iterator[None]:
    """Lock a run directory: begin a run there, or continue the one that has the same manifest.

    `overwrite` removes everything except answers, verdicts and scores that this run would repeat. Raises InputError if
    the directory holds something else, Undecided if another process holds it or the disk is full.
    """
    if overwrite and not out.is_dir():
        out.unlink(missing_ok=True)
    with files.room_for(out):
        out.mkdir(exist_ok=True)
        with locked(out / RUN_LOCK, wait=False):
            if overwrite:
                _clear(out, manifest.keys())
            elif not begun(out):
                raise InputError(f"{out} exists; pass --overwrite to replace it, or choose another --out")
            _begin(out, manifest)
            yield


def _clear(out: Path, keys: set[str]) -> None:
    """Empty a directory, the result first, but keep answers, verdicts and scores with these keys."""
    (out / RESULT).unlink(missing_ok=True)
    for path in sorted(out.rglob("*"), reverse=True):  # the contents of a directory come before it
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path != out / RUN_LOCK and not _holds(path, out, keys):
            path.unlink()


def _holds(path: Path, out: Path, keys: set[str]) -> bool:
    """Whether a file holds answers, verdicts or scores with one of these keys."""
    keyed = path.relative_to(out).parts[0] in ("answers", "verdicts", "scores")
    return keyed and path.is_file() and not path.is_symlink() and answer_files.key_of(path) in keys


def _begin(out: Path, manifest: RunManifest) -> None:
    """Write the manifest, or compare it with the one in the directory."""
    for leftover in out.glob(".*.tmp-*"):  # of a process that was killed
        leftover.unlink()
    file = out / MANIFEST
    if not file.exists():
        write_text(file, manifest.model_dump_json(by_alias=True, indent=1) + "\n")
    elif differing := _differences(_read(file), manifest):
        raise InputError(
            f"{out} holds a run that asks something else: {few(differing)}; ask the same to go on there, pass "
            "--overwrite to replace it, or choose another --out"
        )


def _read(file: Path) -> RunManifest:
    try:
        return RunManifest.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise InputError(f"{file} is no manifest of this version; pass --overwrite or choose another --out") from error


def _differences(saved: RunManifest, new: RunManifest) -> list[str]:
    """What differs, with both values."""
    there, here = (_flat(manifest.model_dump()) for manifest in (saved, new))
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    return [f"{name} is {there.get(name, 'none')[:24]} there and {here.get(name, 'none')[:24]} here" for name in names]


def _flat(parts: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Nested values by dotted names."""
    flat: dict[str, str] = {}
    for name, value in parts.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = ", ".join(value) if isinstance(value, tuple) else str(value)
    return flat
