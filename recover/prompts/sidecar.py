"""Where the rows of a prompt set come from: a shipped set, a file, or a sidecar.

A sidecar is a TOML file that says how to read a public data set as its authors published it. Ready sidecars for
well-known sets ship with the package, without the data. This module knows nothing of prompts.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from recover.errors import InputError, few, first_problem
from recover.prompts.table_files import (
    TEXT,
    Format,
    Header,
    Row,
    Rows,
    column_key,
    read_hub,
    read_table,
    read_text,
    read_toml,
)

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

BUILTIN = ("capture_harmful", "validate_harmful", "report_harmful", "benign_lookalike", "general")
Expect = Literal["refuse", "comply", "answer"]
PromptField = Literal["id", "prompt", "messages", "system", "prefill", "context"]
DetailField = Literal["expect", "category", "reference", "metric", "choices", "cluster", "source"]
HUB_KEYS = ("config", "split", "revision", "files")  # keys that do something only for a data set in the hub's form
FILE_KEYS = ("format", "sha256")  # keys that do something only for a file


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _within(pattern: str) -> str:
    if "://" in pattern or ".." in pattern or pattern.startswith("/"):
        raise ValueError("leads out of the data set")
    return pattern


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1)]
Values = Annotated[tuple[bool | int | float | str, ...], BeforeValidator(_as_list), Field(min_length=1)]


class Sidecar(BaseModel):
    """How a public set is read unchanged. Its place is either `path`, a file or a directory, or `hub`, an id."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Annotated[str, Field(pattern=r"^\w[\w.+-]*$")] | None = None  # None: the sidecar's own
    path: str | None = None  # relative to the sidecar
    hub: Annotated[str, Field(pattern=r"^\w[\w.-]*/\w[\w.-]*$")] | None = None
    config: str | None = None
    split: str | None = None  # None: all splits
    revision: str | None = None
    files: Annotated[str, AfterValidator(_within)] | None = None  # a pattern; None: those that the data set names
    format: Format | None = None  # None: by the file's suffix
    header: Header = "auto"
    columns: Mapping[PromptField | DetailField, Names] = {}  # of several names, the first that the data have
    where: Mapping[str, Values] = {}  # column -> the cells of the rows that are used
    expect: Expect | None = None
    licence: str | None = None
    source: str | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None  # of the file

    @model_validator(mode="after")
    def _one_place(self) -> "Sidecar":
        if (self.path is None) == (self.hub is None):
            raise ValueError("expected either `path` or `hub`")
        return self

    def at(self, file: str) -> "Sidecar":
        """The sidecar for the user's own copy of the set, without what describes the original's place and form."""
        of_the_original = {"hub", "header", *HUB_KEYS, *FILE_KEYS}
        return Sidecar(**{**self.model_dump(exclude=of_the_original), "path": file})


@dataclass(frozen=True)
class Source:
    """The rows of a set, with their numbers in the file, from 1."""

    name: str
    where: str  # the set's name in messages
    rows: tuple[tuple[int, Row], ...]
    expect: Expect | None = None  # what the sidecar says
    headed: bool = True  # whether the first line of a CSV or TSV file names its columns


def read_source(source: str | Path, columns: Set[str]) -> Source:
    """Read the rows of a SET: the name of a built-in or ready set, `NAME=FILE`, a TOML sidecar or a file of prompts.

    `NAME=FILE` is the user's own copy of a ready set. A name goes before a file of that name; `./NAME` is the file.
    `columns` are the names that tell a header from a row. Raises InputError if the rows cannot be read.
    """
    where = str(source)
    if where in BUILTIN:
        return _from_file(_shipped(f"{where}.jsonl"), where, columns)
    if where in ready_sidecars():
        return _follow(ready_sidecars()[where], where, where, Path(), columns)
    name, sign, file = where.partition("=")
    if sign and name in ready_sidecars() and not Path(where).exists():
        return _follow(ready_sidecars()[name].at(file), where, name, Path(), columns)
    path = _existing(where)
    if path.suffix.lower() == ".toml":
        return _follow(parse_sidecar(read_text(path, where), where), where, path.stem, path.parent, columns)
    return _from_file(path, where, columns)


def ready_sidecars() -> dict[str, Sidecar]:
    """The sidecars that ship, by name."""
    files = sorted(_shipped("sidecars").iterdir(), key=lambda file: file.name)
    return {Path(file.name).stem: parse_sidecar(file.read_text("utf-8"), file.name) for file in files}


def parse_sidecar(text: str, where: str) -> Sidecar:
    """A sidecar from TOML. Raises InputError if it is no sidecar."""
    try:
        return Sidecar.model_validate(read_toml(text, where))
    except ValidationError as error:
        raise InputError(f"{where}: {first_problem(error)}; correct it as docs/prompts.md has it.") from error


def _shipped(name: str) -> "Traversable":
    return resources.files("recover.eval_prompts").joinpath(name)


def _existing(where: str) -> Path:
    path = Path(where)
    if not path.exists():
        raise InputError(
            f"{where}: no such file and no built-in set; the built-in sets are {', '.join(BUILTIN)}; there are ready "
            f"sidecars for {', '.join(ready_sidecars())}."
        )
    if not path.is_file():
        raise InputError(f"{where} is not a file; name one file of prompts.")
    return path


def _from_file(file: "Traversable", where: str, columns: Set[str]) -> Source:
    table = read_table(file, where, columns)
    return Source(Path(file.name).stem, where, tuple(enumerate(table.rows, 1)), headed=table.headed)


def _follow(sidecar: Sidecar, where: str, name: str, base: Path, columns: Set[str]) -> Source:
    """Read the rows, filter them and rename their columns as the sidecar says. `base` is the directory of its path."""
    mapped = {column_key(column) for names in sidecar.columns.values() for column in names}
    filtered_by = {column_key(column) for column in sidecar.where}
    table = _read(sidecar, where, base, columns | mapped | filtered_by)
    column_of = _choose_columns(sidecar, table.rows, where)
    rows = tuple((number, _renamed(row, column_of)) for number, row in _filtered(sidecar, table.rows, where))
    if not rows:
        raise InputError(f"{where}: none of the {len(table.rows)} rows is as `where` says; correct the sidecar.")
    return Source(sidecar.name or name, where, rows, sidecar.expect, table.headed)


def _renamed(row: Row, column_of: Mapping[str, str]) -> Row:
    """A row with the fields that the sidecar maps. If it maps `prompt`, the row's own `messages` are dropped."""
    own = {column: cell for column, cell in row.items() if column != "messages" or "prompt" not in column_of}
    return own | {field: row.get(column) for field, column in column_of.items()}


def _read(sidecar: Sidecar, where: str, base: Path, columns: Set[str]) -> Rows:
    path = base / Path(sidecar.path).expanduser() if sidecar.path else None
    if path is None or path.is_dir():
        _refuse_keys(sidecar, FILE_KEYS, where, "a data set in the hub's form")
        return Rows(read_hub(sidecar.hub or str(path), where, _load_options(sidecar)), sidecar.header != "no")
    _refuse_keys(sidecar, HUB_KEYS, where, "a file")
    if not path.is_file():
        raise InputError(f"{where}: there is no file {path}; correct the path.")
    if sidecar.sha256 and (sha256 := hashlib.sha256(path.read_bytes()).hexdigest()) != sidecar.sha256:
        raise InputError(
            f"{where}: {path} has the sha256 {sha256[:12]}..., expected {sidecar.sha256[:12]}...; get the right "
            "version, or correct the sidecar."
        )
    return read_table(path, where, columns, sidecar.format, sidecar.header)


def _refuse_keys(sidecar: Sidecar, keys: Sequence[str], where: str, target: str) -> None:
    """Raise InputError if the sidecar has one of these keys, since it would do nothing for its target."""
    if useless := [key for key in keys if getattr(sidecar, key) is not None]:
        raise InputError(f"{where} points to {target}, for which {few(useless)} does nothing; leave it out.")


def _load_options(sidecar: Sidecar) -> dict[str, Any]:
    """The options of `load_dataset`. Without a header only the first column is read, as TEXT."""
    names = {"config": "name", "files": "data_files"}
    options = {names.get(key, key): getattr(sidecar, key) for key in HUB_KEYS if getattr(sidecar, key) is not None}
    headerless = {"header": None, "names": [TEXT], "usecols": [0]} if sidecar.header == "no" else {}
    return options | headerless


def _choose_columns(sidecar: Sidecar, rows: list[Row], where: str) -> dict[str, str]:
    """The column of each field that the sidecar maps. Raises InputError if the data have none of its columns."""
    present = dict.fromkeys(column for row in rows for column in row)
    chosen: dict[str, str] = {}
    for field, names in sidecar.columns.items():
        keys = [key for key in map(column_key, names) if key in present]
        if not keys:
            raise InputError(
                f"{where} has no column {' or '.join(names)} for {field}: found {few(list(present), 12)}; correct the "
                "columns of the sidecar."
            )
        chosen[field] = keys[0]
    return chosen


def _filtered(sidecar: Sidecar, rows: list[Row], where: str) -> Iterator[tuple[int, Row]]:
    """The rows that the sidecar's `where` admits, with their numbers. Cells are compared as text, without case."""
    wanted = {column_key(column): {_folded(value) for value in values} for column, values in sidecar.where.items()}
    present = {column for row in rows for column in row}
    if missing := [column for column in wanted if column not in present]:
        raise InputError(f"{where} has no column {few(missing)}, which `where` names; correct the sidecar.")
    for number, row in enumerate(rows, 1):
        if all(_folded(row.get(column)) in values for column, values in wanted.items()):
            yield number, row


def _folded(value: object) -> str | None:
    return None if value is None else str(value).strip().casefold()
