"""Where the rows of a prompt set come from: a shipped set, a file, or a sidecar that says how to read one of another's.

A sidecar is a TOML file beside data that stay as their authors published them. Ready ones, for well-known sets, ship
with the package; they hold no data. This module knows nothing of prompts.
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
Asked = Literal["id", "prompt", "messages", "system", "prefill", "context"]
Known = Literal["expect", "category", "reference", "metric", "choices", "cluster", "source"]
OF_A_HUB = ("config", "split", "revision", "files")  # keys that only a data set in the hub's form has a use for
OF_A_FILE = ("format", "sha256")


def _several(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _within(pattern: str) -> str:
    if "://" in pattern or ".." in pattern or pattern.startswith("/"):
        raise ValueError("leads out of the data set")
    return pattern


Names = Annotated[tuple[str, ...], BeforeValidator(_several), Field(min_length=1)]
Values = Annotated[tuple[bool | int | float | str, ...], BeforeValidator(_several), Field(min_length=1)]


class Sidecar(BaseModel):
    """How a public set is read unchanged. Either `path`, a file or a directory, or `hub`, an id, says where it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Annotated[str, Field(pattern=r"^\w[\w.+-]*$")] | None = None  # else the sidecar's own
    path: str | None = None  # relative to the sidecar
    hub: Annotated[str, Field(pattern=r"^\w[\w.-]*/\w[\w.-]*$")] | None = None
    config: str | None = None
    split: str | None = None  # else all of them
    revision: str | None = None
    files: Annotated[str, AfterValidator(_within)] | None = None  # a pattern, else those that the data set names
    format: Format | None = None  # else what the file's suffix says
    header: Header = "auto"
    columns: Mapping[Asked | Known, Names] = {}  # of several names, the first that the data have
    where: Mapping[str, Values] = {}  # only rows whose cell is one of these
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
        """The same set in a copy of one's own: what is said of the original's place and form says nothing of it."""
        original = {"hub", "header", *OF_A_HUB, *OF_A_FILE}
        return Sidecar(**{**self.model_dump(exclude=original), "path": file})


@dataclass(frozen=True)
class Source:
    """The rows of a set with their numbers in the file, from 1, and what its name says of them."""

    name: str
    where: str  # what messages call it
    rows: tuple[tuple[int, Row], ...]
    expect: Expect | None = None
    headed: bool = True


def read_source(source: str | Path, columns: Set[str]) -> Source:
    """Read what a SET names: a built-in or ready set by its name, `NAME=FILE`, a TOML sidecar, or a file of prompts.

    `NAME=FILE` is a ready set in a copy of one's own. Names win over files: `./NAME` is a file.
    """
    where = str(source)
    if where in BUILTIN:
        return _from_file(_shipped(f"{where}.jsonl"), where, columns)
    if where in ready():
        return _follow(ready()[where], where, where, Path(), columns)
    name, sign, file = where.partition("=")
    if sign and name in ready() and not Path(where).exists():
        return _follow(ready()[name].at(file), where, name, Path(), columns)
    path = _existing(where)
    if path.suffix.lower() == ".toml":
        return _follow(parse(read_text(path, where), where), where, path.stem, path.parent, columns)
    return _from_file(path, where, columns)


def ready() -> dict[str, Sidecar]:
    """The sidecars that ship, by name."""
    files = sorted(_shipped("sidecars").iterdir(), key=lambda file: file.name)
    return {Path(file.name).stem: parse(file.read_text("utf-8"), file.name) for file in files}


def parse(text: str, where: str) -> Sidecar:
    """A sidecar from TOML; InputError if it is none."""
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
            f"sidecars for {', '.join(ready())}."
        )
    if not path.is_file():
        raise InputError(f"{where} is not a file; name one file of prompts.")
    return path


def _from_file(file: "Traversable", where: str, columns: Set[str]) -> Source:
    found = read_table(file, where, columns)
    return Source(Path(file.name).stem, where, tuple(enumerate(found.rows, 1)), headed=found.headed)


def _follow(sidecar: Sidecar, where: str, name: str, base: Path, columns: Set[str]) -> Source:
    """Do as a sidecar says: read, filter, rename."""
    mapped = {column_key(one) for names in sidecar.columns.values() for one in names}
    found = _read(sidecar, where, base, columns | mapped | {column_key(one) for one in sidecar.where})
    renamed = _choose(sidecar, found.rows, where)
    kept = [(number, _renamed(row, renamed)) for number, row in _filtered(sidecar, found.rows, where)]
    if not kept:
        raise InputError(f"{where}: none of the {len(found.rows)} rows is as `where` says; correct the sidecar.")
    return Source(sidecar.name or name, where, tuple(kept), sidecar.expect, found.headed)


def _renamed(row: Row, columns: Mapping[str, str]) -> Row:
    """A row with the fields that the sidecar maps; a prompt that it maps is not the one in `messages`."""
    kept = {column: cell for column, cell in row.items() if column != "messages" or "prompt" not in columns}
    return kept | {field: row.get(column) for field, column in columns.items()}


def _read(sidecar: Sidecar, where: str, base: Path, columns: Set[str]) -> Rows:
    place = base / Path(sidecar.path).expanduser() if sidecar.path else None
    if place is None or place.is_dir():
        _refuse(sidecar, OF_A_FILE, where, "a data set in the hub's form")
        return Rows(read_hub(sidecar.hub or str(place), where, _options(sidecar)), sidecar.header != "no")
    _refuse(sidecar, OF_A_HUB, where, "a file")
    if not place.is_file():
        raise InputError(f"{where}: there is no file {place}; correct the path.")
    if sidecar.sha256 and (found := hashlib.sha256(place.read_bytes()).hexdigest()) != sidecar.sha256:
        raise InputError(
            f"{where}: {place} has the sha256 {found[:12]}..., expected {sidecar.sha256[:12]}...; get the right "
            "version, or correct the sidecar."
        )
    return read_table(place, where, columns, sidecar.format, sidecar.header)


def _refuse(sidecar: Sidecar, keys: Sequence[str], where: str, what: str) -> None:
    """InputError if a sidecar has keys that would do nothing: a hash that nobody checks, for instance."""
    if useless := [key for key in keys if getattr(sidecar, key) is not None]:
        raise InputError(f"{where} points to {what}, for which {few(useless)} says nothing; leave it out.")


def _options(sidecar: Sidecar) -> dict[str, Any]:
    """What `load_dataset` is asked for. Without a header only the first column is read, as TEXT."""
    names = {"config": "name", "files": "data_files"}
    asked = {names.get(key, key): getattr(sidecar, key) for key in OF_A_HUB if getattr(sidecar, key) is not None}
    bare = {"header": None, "names": [TEXT], "usecols": [0]} if sidecar.header == "no" else {}
    return asked | bare


def _choose(sidecar: Sidecar, rows: list[Row], where: str) -> dict[str, str]:
    """The column of each field that the sidecar maps."""
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
    """The rows that `where` admits, with their numbers. Cells are compared as text, without case."""
    wanted = {column_key(column): {_plain(value) for value in values} for column, values in sidecar.where.items()}
    present = {column for row in rows for column in row}
    if missing := [column for column in wanted if column not in present]:
        raise InputError(f"{where} has no column {few(missing)}, which `where` names; correct the sidecar.")
    for number, row in enumerate(rows, 1):
        if all(_plain(row.get(column)) in values for column, values in wanted.items()):
            yield number, row


def _plain(value: object) -> str | None:
    return None if value is None else str(value).strip().casefold()
