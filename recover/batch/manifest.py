"""A batch as people ask for it, a TOML file or a directory of checkpoints: read and checked whole, into jobs."""

import contextlib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recover.batch.overview import NAME
from recover.checkpoints.checkpoint import local_path
from recover.checkpoints.pair import Pair, open_checkpoint
from recover.checkpoints.publish import check_layout, check_place
from recover.errors import InputError, RecoverError, few, first_problem
from recover.jobs.loaded_request import load_file_task, load_harness_tasks, load_judges, load_request, load_sets
from recover.jobs.request import Job
from recover.model.device import pick_device
from recover.prompts.prompt_set import load_prompts
from recover.prompts.table_files import read_toml
from recover.search import methods

WEIGHTS = (".safetensors", ".pt", ".pth", ".bin")
ITSELF = (  # files of a directory that is one model
    "adapter_config.json",
    *(f"{name}{index}" for name in ("model.safetensors", "pytorch_model.bin") for index in ("", ".index.json")),
)
OURS = ("aligned", "out", "overwrite")  # options of `restore` that a batch sets itself
READ_BESIDE = re.compile(  # a bare weights file: the configuration and the tokenizer
    r"(config|generation_config|special_tokens_map|added_tokens|tokenizer.*|vocab.*|chat_template.*)\.\w+|merges\.txt|"
    r".*\.model"
)
TAKEN = re.compile(r"batch\..*|.*\.log")  # what the files of a batch are called


@dataclass(frozen=True)
class Member:
    """One job of a batch: what an engine hands to a worker. It holds paths and options, and nothing that is large.

    `place` is its own directory. Relative paths of the job are relative to `folder`; its output is absolute. `inputs`
    tells everything that the result depends on, as JSON; `broken` why the checkpoint cannot be restored, as far as its
    headers tell.
    """

    name: str
    job: Job
    place: Path
    folder: Path
    inputs: str
    broken: str | None = None

    @property
    def key(self) -> str:
        """The hash of its inputs."""
        return hashlib.sha256(self.inputs.encode()).hexdigest()

    @property
    def log(self) -> Path:
        """The job's log, beside its directory."""
        return self.place.with_name(f"{self.name}.log")


@dataclass(frozen=True)
class Plan:
    """What is to be done: an aligned model and its jobs."""

    aligned: str
    members: Sequence[Member]


class _File(BaseModel):
    """The tables of a manifest; their options are checked job by job."""

    model_config = ConfigDict(extra="forbid")

    aligned: str
    defaults: dict[str, Any] = {}
    job: list[dict[str, Any]] = Field(min_length=1)


def read(source: Path, out: Path, aligned: str | None = None) -> Plan:
    """Read a manifest, or make one of a directory's checkpoints, and check all of it, before anything is loaded.

    `aligned` is for a directory. Raises InputError with every fault at once. A checkpoint that cannot be opened is no
    fault: its job fails, and the others go on.
    """
    if source.is_dir():
        if aligned is None:
            raise InputError(f"{source} is a directory, which names no aligned model; give one with --aligned")
        file, folder = _File(aligned=aligned, job=_listed(source.resolve(), aligned)), Path.cwd()
    elif aligned is not None:
        raise InputError(f"--aligned is for a directory; {source} names the aligned model itself")
    else:
        file, folder = _parsed(source), source.resolve().parent
    place = out.absolute()
    with contextlib.chdir(folder):
        found = list(_checked(file, place))
    faults = [one for one in found if isinstance(one, _Fault)]
    if faults:
        raise InputError(f"{source} has {len(faults)} fault{'s' * (len(faults) > 1)}: {'; '.join(_told(faults))}")
    return Plan(file.aligned, [one for one in found if isinstance(one, Member)])


def _parsed(source: Path) -> _File:
    try:
        return _File.model_validate(read_toml(source.read_text("utf-8"), "it"))
    except ValidationError as error:
        problem = first_problem(error)
    except (OSError, ValueError, InputError) as error:
        problem = str(error)
    raise InputError(
        f"{source} is no manifest of a batch: {problem}; expected TOML with aligned = PATH, [defaults] and one [[job]] "
        "for each fine-tune"
    )


def _listed(folder: Path, aligned: str) -> list[dict[str, Any]]:
    """A job for each checkpoint or adapter that lies in a directory, but for the aligned model."""
    if any(place.name in ITSELF for place in folder.iterdir()):
        raise InputError(f"{folder} is itself a checkpoint; give the directory that holds the fine-tunes")
    there = [place for place in sorted(folder.iterdir()) if _is_checkpoint(place)]
    tuned = [place for place in there if place != Path(aligned).resolve()]
    if not tuned:
        raise InputError(
            f"{folder} holds no checkpoint; expected directories with weights, or {', '.join(WEIGHTS)} files"
        )
    return [{"name": place.name, "tuned": str(place)} for place in tuned]


def _is_checkpoint(place: Path) -> bool:
    """Whether a path looks like one; what is wrong with it is said when it is opened."""
    if place.is_dir():
        return any((place / name).is_file() for name in ("config.json", "adapter_config.json"))
    return place.suffix in WEIGHTS and not place.name.startswith(".")


# Checking


@dataclass(frozen=True)
class _Fault:
    job: str
    text: str


def _told(faults: Sequence[_Fault]) -> Iterator[str]:
    """Each fault once, with the jobs that have it."""
    by_text: dict[str, list[str]] = {}
    for fault in faults:
        by_text.setdefault(fault.text, []).append(fault.job)
    for text, jobs in by_text.items():
        yield f"job {few(jobs)}: {text}"


def _checked(file: _File, out: Path) -> Iterator[Member | _Fault]:
    """Every job, or what is wrong with it."""
    names = Counter(str(table.get("name")) for table in file.job)
    for place, table in enumerate(file.job, 1):
        name = table.get("name")
        if not isinstance(name, str) or not re.fullmatch(NAME, name) or TAKEN.fullmatch(name):
            yield _Fault(f"number {place}", f"the name {name!r} cannot be a directory's; use letters, digits, - and _")
        elif names[name] > 1:
            yield _Fault(name, "two jobs have this name; each needs its own")
        else:
            yield from _job(name, {**file.defaults, **table}, file.aligned, out)


def _job(name: str, table: Mapping[str, Any], aligned: str, out: Path) -> Iterator[Member | _Fault]:
    """A job, or every fault of it that can be told."""
    options = {key: value for key, value in table.items() if key != "name"}
    unknown = sorted(key for key in options if "_" in key or _field(key) not in Job.model_fields or key in OURS)
    for key in unknown:
        yield _Fault(name, f"there is no option {key}; expected the long options of restore, such as report-set")
    known = {_field(key): _value(key, value) for key, value in options.items() if key not in unknown}
    try:
        job = Job(aligned=aligned, **known)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            yield _Fault(name, f"{str(problem['loc'][0]).replace('_', '-')}: {problem['msg']}")
        return
    unreadable = [_Fault(name, text) for text in _unreadable(job, out)]
    yield from unreadable
    if not unknown and not unreadable:
        place = out / name
        job = job.model_copy(update={"out": place / f"restored{_suffix(job.tuned)}"})
        yield Member(name, job, place, Path.cwd(), _inputs(job), _broken(job))


def _field(option: str) -> str:
    return option.replace("-", "_")


def _value(option: str, value: Any) -> Any:
    """An option's value as the command line would give it to the request."""
    if option == "benign" and value == "none":
        return None
    if option == "report-set" and isinstance(value, str):
        return [value]
    if option == "option" and isinstance(value, dict):
        return {name: json.dumps(of) if isinstance(of, bool) else str(of) for name, of in value.items()}
    return value


def _directory(config: Path | None) -> None:
    if config is not None and not config.is_dir():
        raise InputError(f"config: {config} is no directory; name the one with the configuration and the tokenizer")


def _suffix(tuned: str) -> str:
    """The output of a weights file is one of its kind."""
    return Path(tuned).suffix if Path(tuned).is_file() else ""


def _unreadable(job: Job, out: Path) -> Iterator[str]:
    """What is wrong with the files and names of a job, but for what its fine-tune holds."""
    checks: list[Callable[[], object]] = [
        lambda: methods.parse_options(methods.get_method(job.method), job.option),
        lambda: methods.check_inputs(job.method, unaligned=job.unaligned is not None),
        lambda: _directory(job.config),
        lambda: open_checkpoint(job.aligned, config=job.config),
        lambda: job.unaligned and open_checkpoint(job.unaligned, config=job.config),
        lambda: check_place(out, [local_path(job.aligned), local_path(job.tuned)], overwrite=True),
        lambda: pick_device(job.device),
        lambda: load_sets(job),
        lambda: load_file_task(job),
        lambda: load_harness_tasks(job),
        lambda: load_judges(job),
        lambda: load_prompts(job.harmful),
        lambda: load_prompts(job.general),
    ]
    for check in checks:
        try:
            check()
        except RecoverError as error:
            yield str(error)


def _broken(job: Job) -> str | None:
    """Why the fine-tune cannot be restored, as its headers tell."""
    try:
        check_layout(Pair.open(job.aligned, job.tuned, unaligned=job.unaligned, config=job.config).tuned)
    except RecoverError as error:
        return str(error)
    return None


# What a result depends on


def _inputs(job: Job) -> str:
    """The options, checkpoints and prompts that a result is made from, as JSON: another text is another result."""
    loaded = load_request(job)
    parts = (loaded.task.capture, loaded.task.validation, loaded.task.report) if loaded.task else ()
    seen = [load_prompts(name) for name in (job.harmful, "validate_harmful", job.general)]
    home = Path(job.config) if job.config else None
    told = {
        "version": version("recover-align"),
        "options": job.model_dump(mode="json", exclude={"out", "overwrite"}),
        "aligned": _files(local_path(job.aligned), home),
        "tuned": _files(local_path(job.tuned), home),
        "unaligned": _files(local_path(job.unaligned), home) if job.unaligned else None,
        "prompts": [prompts.sha256 for prompts in (*loaded.sets, *parts, *seen)],
        "judges": [judge.fingerprint for judge in loaded.judges],
        "calibration": _sha256(job.calibration),
        "chat_template": _sha256(job.chat_template),
    }
    return json.dumps(told, indent=1, sort_keys=True) + "\n"


def _files(place: Path, home: Path | None) -> list[tuple[str, int, int]]:
    """(name, size, time of the last change) of a checkpoint's files; a bare weights file's home counts too.

    Their directory is told by the options, so that a manifest may move with all that it names.
    """
    files = [p for p in place.iterdir() if p.is_file()] if place.is_dir() else [place]
    if not place.is_dir():
        files += [p for p in (home or place.parent).iterdir() if READ_BESIDE.fullmatch(p.name)]
    return [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(files)]


def _sha256(file: str | Path | None) -> str | None:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file and Path(file).is_file() else None
