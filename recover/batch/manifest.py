"""What a user asks of a batch: a TOML file or a directory of checkpoints, read and checked as a whole."""

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

from recover.batch.overview import JOB_NAME
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

WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
MODEL_FILES = (  # a directory with one of these is itself a model
    "adapter_config.json",
    *(f"{name}{index}" for name in ("model.safetensors", "pytorch_model.bin") for index in ("", ".index.json")),
)
BATCH_OPTIONS = ("aligned", "out", "overwrite")  # options of `restore` that a batch sets itself
COMPANION_FILES = re.compile(  # what is read beside a bare weights file: the configuration and the tokenizer
    r"(config|generation_config|special_tokens_map|added_tokens|tokenizer.*|vocab.*|chat_template.*)\.\w+|merges\.txt|"
    r".*\.model"
)
RESERVED_NAMES = re.compile(r"batch\..*|.*\.log")  # of the files of a batch


@dataclass(frozen=True)
class Member:
    """One job of a batch, as an engine passes it to a worker. It holds paths and options, and nothing large.

    `directory` is the job's own. Relative paths of the job are relative to `folder`; its output is absolute. `inputs`
    is JSON of everything that the result depends on. `broken` says why the checkpoint cannot be restored, as far as its
    headers show; else it is None.
    """

    name: str
    job: Job
    directory: Path
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
        return self.directory.with_name(f"{self.name}.log")


@dataclass(frozen=True)
class BatchPlan:
    """An aligned model, and the jobs of its batch."""

    aligned: str
    members: Sequence[Member]


class _Manifest(BaseModel):
    """The tables of a manifest. Their options are checked later, job by job."""

    model_config = ConfigDict(extra="forbid")

    aligned: str
    defaults: dict[str, Any] = {}
    job: list[dict[str, Any]] = Field(min_length=1)


def read(source: Path, out: Path, aligned: str | None = None) -> BatchPlan:
    """Read a manifest, or make one from a directory's checkpoints, and check all of it before a model is loaded.

    `aligned` is for a directory. Raises InputError with every fault at once. A checkpoint that cannot be opened is no
    fault: its job fails, and the others run.
    """
    if source.is_dir():
        if aligned is None:
            raise InputError(f"{source} is a directory, which names no aligned model; give one with --aligned")
        table, folder = _Manifest(aligned=aligned, job=_listed_jobs(source.resolve(), aligned)), Path.cwd()
    elif aligned is not None:
        raise InputError(f"--aligned is for a directory; {source} names the aligned model itself")
    else:
        table, folder = _read_manifest(source), source.resolve().parent
    directory = out.absolute()
    with contextlib.chdir(folder):
        checked = list(_check_jobs(table, directory))
    faults = [one for one in checked if isinstance(one, _Fault)]
    if faults:
        raise InputError(f"{source} has {len(faults)} fault{'s' * (len(faults) > 1)}: {'; '.join(_described(faults))}")
    return BatchPlan(table.aligned, [one for one in checked if isinstance(one, Member)])


def _read_manifest(source: Path) -> _Manifest:
    try:
        return _Manifest.model_validate(read_toml(source.read_text("utf-8"), "it"))
    except ValidationError as error:
        problem = first_problem(error)
    except (OSError, ValueError, InputError) as error:
        problem = str(error)
    raise InputError(
        f"{source} is no manifest of a batch: {problem}; expected TOML with aligned = PATH, [defaults] and one [[job]] "
        "for each fine-tune"
    )


def _listed_jobs(folder: Path, aligned: str) -> list[dict[str, Any]]:
    """A job for each checkpoint or adapter in a directory, except the aligned model."""
    if any(path.name in MODEL_FILES for path in folder.iterdir()):
        raise InputError(f"{folder} is itself a checkpoint; give the directory that holds the fine-tunes")
    checkpoints = [path for path in sorted(folder.iterdir()) if _is_checkpoint(path)]
    tuned = [path for path in checkpoints if path != Path(aligned).resolve()]
    if not tuned:
        raise InputError(
            f"{folder} holds no checkpoint; expected directories with weights, or {', '.join(WEIGHT_SUFFIXES)} files"
        )
    return [{"name": path.name, "tuned": str(path)} for path in tuned]


def _is_checkpoint(path: Path) -> bool:
    """Whether a path looks like a checkpoint. Faults inside it are found when it is opened."""
    if path.is_dir():
        return any((path / name).is_file() for name in ("config.json", "adapter_config.json"))
    return path.suffix in WEIGHT_SUFFIXES and not path.name.startswith(".")


# Checking


@dataclass(frozen=True)
class _Fault:
    job: str
    text: str


def _described(faults: Sequence[_Fault]) -> Iterator[str]:
    """Each fault once, with the jobs that have it."""
    by_text: dict[str, list[str]] = {}
    for fault in faults:
        by_text.setdefault(fault.text, []).append(fault.job)
    for text, jobs in by_text.items():
        yield f"job {few(jobs)}: {text}"


def _check_jobs(manifest: _Manifest, out: Path) -> Iterator[Member | _Fault]:
    """Every job, or what is wrong with it."""
    names = Counter(str(table.get("name")) for table in manifest.job)
    for number, table in enumerate(manifest.job, 1):
        name = table.get("name")
        if not isinstance(name, str) or not re.fullmatch(JOB_NAME, name) or RESERVED_NAMES.fullmatch(name):
            yield _Fault(f"number {number}", f"the name {name!r} cannot be a directory's; use letters, digits, - and _")
        elif names[name] > 1:
            yield _Fault(name, "two jobs have this name; each needs its own")
        else:
            yield from _check_job(name, {**manifest.defaults, **table}, manifest.aligned, out)


def _check_job(name: str, table: Mapping[str, Any], aligned: str, out: Path) -> Iterator[Member | _Fault]:
    """A job, or every fault of it that shows before a model is loaded."""
    options = {key: value for key, value in table.items() if key != "name"}
    unknown = sorted(
        key for key in options if "_" in key or _field(key) not in Job.model_fields or key in BATCH_OPTIONS
    )
    for key in unknown:
        yield _Fault(name, f"there is no option {key}; expected the long options of restore, such as report-set")
    fields = {_field(key): _field_value(key, value) for key, value in options.items() if key not in unknown}
    try:
        job = Job(aligned=aligned, **fields)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            yield _Fault(name, f"{str(problem['loc'][0]).replace('_', '-')}: {problem['msg']}")
        return
    unreadable = [_Fault(name, text) for text in _unreadable(job, out)]
    yield from unreadable
    if not unknown and not unreadable:
        directory = out / name
        job = job.model_copy(update={"out": directory / f"restored{_suffix(job.tuned)}"})
        yield Member(name, job, directory, Path.cwd(), _inputs(job), _broken(job))


def _field(option: str) -> str:
    return option.replace("-", "_")


def _field_value(option: str, value: Any) -> Any:
    """An option's value as the command line would give it to the request."""
    if option == "benign" and value == "none":
        return None
    if option == "report-set" and isinstance(value, str):
        return [value]
    if option == "option" and isinstance(value, dict):
        return {name: json.dumps(v) if isinstance(v, bool) else str(v) for name, v in value.items()}
    return value


def _check_config(config: Path | None) -> None:
    if config is not None and not config.is_dir():
        raise InputError(f"config: {config} is no directory; name the one with the configuration and the tokenizer")


def _suffix(tuned: str) -> str:
    """The suffix of the output: that of the tuned weights file, or none for a directory."""
    return Path(tuned).suffix if Path(tuned).is_file() else ""


def _unreadable(job: Job, out: Path) -> Iterator[str]:
    """What is wrong with the files and names of a job, apart from the contents of its fine-tune."""
    checks: list[Callable[[], object]] = [
        lambda: methods.parse_options(methods.get_method(job.method), job.option),
        lambda: methods.check_inputs(job.method, unaligned=job.unaligned is not None),
        lambda: _check_config(job.config),
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
    """Why the fine-tune cannot be restored, as far as its headers show."""
    try:
        pair = Pair.open(job.aligned, job.tuned, unaligned=job.unaligned, config=job.config, space=job.space)
        check_layout(pair.tuned)
        methods.check_space(job.method, pair.space)
    except RecoverError as error:
        return str(error)
    return None


# What a result depends on


def _inputs(job: Job) -> str:
    """The options, checkpoints and prompts that a result is made from, as JSON. Another text is another result."""
    loaded = load_request(job)
    parts = (loaded.task.capture, loaded.task.validation, loaded.task.report) if loaded.task else ()
    search_sets = [load_prompts(name) for name in (job.harmful, "validate_harmful", job.general)]
    config = Path(job.config) if job.config else None
    contents = {
        "version": version("recover-align"),
        "options": job.model_dump(mode="json", exclude={"out", "overwrite"}),
        "aligned": _files(local_path(job.aligned), config),
        "tuned": _files(local_path(job.tuned), config),
        "unaligned": _files(local_path(job.unaligned), config) if job.unaligned else None,
        "prompts": [prompts.sha256 for prompts in (*loaded.sets, *parts, *search_sets)],
        "judges": [judge.fingerprint for judge in loaded.judges],
        "calibration": _sha256(job.calibration),
        "chat_template": _sha256(job.chat_template),
    }
    return json.dumps(contents, indent=1, sort_keys=True) + "\n"


def _files(path: Path, config: Path | None) -> list[tuple[str, int, int]]:
    """(name, size, time of the last change in ns) of a checkpoint's files.

    For a bare weights file these include its configuration and tokenizer, from `config` or from beside it. Directories
    are left out, so that a manifest can be moved together with the files that it names.
    """
    files = [p for p in path.iterdir() if p.is_file()] if path.is_dir() else [path]
    if not path.is_dir():
        files += [p for p in (config or path.parent).iterdir() if COMPANION_FILES.fullmatch(p.name)]
    return [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(files)]


def _sha256(file: str | Path | None) -> str | None:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file and Path(file).is_file() else None
