"""The rows of a user's file (JSONL, JSON, CSV, TSV, TXT or parquet), or of a data set on a model hub.

A row is a dict. Its keys are the file's column names in lower case, with underscores for spaces; its blank cells are
None. This module knows nothing of prompts.
"""

import csv
import importlib
import io
import json
import tomllib
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recover.errors import InputError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


Row = dict[str, Any]
Header = Literal["auto", "yes", "no"]
Format = Literal["csv", "tsv", "json", "jsonl", "txt", "parquet"]
TEXT = "prompt"  # the column of text that has no column name: a line, a string, the first cell of a file without header


@dataclass(frozen=True)
class Rows:
    """The rows of a file, and whether the first line of a CSV or TSV file names its columns."""

    rows: list[Row]
    headed: bool = True


def read_rows(file: "Traversable", where: str, columns: Set[str]) -> list[Row]:
    """Every row of a file. Raises InputError if there is none. `where` is the file's name in messages.

    `columns` are the names that tell a header from a row.
    """
    return read_table(file, where, columns).rows


def read_table(
    file: "Traversable", where: str, columns: Set[str], form: Format | None = None, header: Header = "auto"
) -> Rows:
    """Every row of a file of the format `form`, by default that of its suffix, with or without a header.

    Without a header, the first cell of a row is in the column `prompt`, and each cell in a column named by its number,
    from 1. Raises InputError as `read_rows` does.
    """
    suffix = f".{form}" if form else Path(file.name).suffix.lower()
    if suffix not in READERS:
        raise InputError(f"{where} has the suffix {suffix!r}, which names no known format; use {', '.join(READERS)}.")
    values = READERS[suffix](_contents(file, where), where)
    headed = True
    if suffix in (".csv", ".tsv") and values:
        headed = header == "yes" or (header == "auto" and not _is_text(values[0], columns))
        values = _table(values, where, headed)
    return Rows(_rows(values, where), headed)


def read_hub(id_or_path: str, where: str, options: Mapping[str, Any]) -> list[Row]:
    """Every row of a data set on the hub, or of a directory in its form, through the library `datasets`.

    `options` go to `load_dataset`. Without a split, all splits follow each other. No code of the data set runs: the
    library cannot run any from version 4 on. Raises InputError if the library is missing, too old, or fails.
    """
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise InputError(
            f"{where} is read with the library datasets, which is not installed; run: pip install "
            "'recover-align[hub]', or download a file of it and name that."
        ) from error
    if int(datasets.__version__.split(".")[0]) < 4:
        raise InputError(
            f"{where} is read with the library datasets from version 4 on, which runs no code of a data set; "
            f"found {datasets.__version__}; run: pip install 'recover-align[hub]'."
        )
    try:
        loaded = datasets.load_dataset(id_or_path, **options)
    except Exception as error:  # the library's readers and the hub's client raise errors of many kinds
        cause = error.__cause__ or error
        reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0].rstrip(".")
        raise InputError(
            f"{where}: the library datasets cannot load it ({reason}); check its id, config, split and revision, and "
            "that you may read it, or download a file of it and name that."
        ) from error
    splits = loaded.values() if isinstance(loaded, datasets.DatasetDict) else [loaded]
    return _rows([row for split in splits for row in split], where)


def _rows(values: Iterable[Any], where: str) -> list[Row]:
    rows = [_row(value, where, number) for number, value in enumerate(values, 1)]
    if not rows:
        raise InputError(f"{where} is empty: expected at least one row; name a file that has some.")
    return rows


def read_toml(text: str, where: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises InputError if it is not TOML. `where` is the file's name in messages."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{where} is not valid TOML ({error}); correct it.") from error


def read_text(file: "Traversable", where: str) -> str:
    """The text of a UTF-8 file. Raises InputError if it cannot be read. `where` is the file's name in messages."""
    return _text(_contents(file, where), where)


def _contents(file: "Traversable", where: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"{where}: cannot be read ({error.strerror}); check the file and its permissions.") from error


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where} is not UTF-8 (byte {error.start} is {data[error.start]:#04x}); convert it to UTF-8."
        ) from error


def _parse(text: str, where: str, line: int = 1) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where}, line {line + error.lineno - 1}: invalid JSON ({error.msg}, column {error.colno}); correct it."
        ) from error
    except (RecursionError, ValueError) as error:  # nested too deeply, or a number of thousands of digits
        raise InputError(f"{where}, line {line} holds JSON that cannot be read ({error}); correct it.") from error


def _read_jsonl(data: bytes, where: str) -> list[Any]:
    lines = enumerate(_text(data, where).split("\n"), 1)  # not splitlines(): JSON strings may hold U+2028
    return [_parse(line, where, number) for number, line in lines if line.strip()]


def _read_json(data: bytes, where: str) -> list[Any]:
    text = _text(data, where)
    rows = _parse(text, where) if text.strip() else []
    if not isinstance(rows, list):
        raise InputError(f"{where} holds one JSON {type(rows).__name__}; expected a list of strings or of objects.")
    return rows


def _read_txt(data: bytes, where: str) -> list[Any]:
    return [line.strip() for line in _text(data, where).split("\n") if line.strip()]


def _read_csv(data: bytes, where: str, delimiter: str = ",") -> list[Any]:
    """A list of cells for each row, the header included."""
    reader = csv.reader(io.StringIO(_text(data, where), newline=""), delimiter=delimiter, strict=True)
    try:
        return [row for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InputError(
            f"{where}, line {reader.line_num}: invalid CSV ({error}); quote cells that hold quotes or line breaks, and "
            f"remove those over {csv.field_size_limit():,} characters."
        ) from error


def _read_tsv(data: bytes, where: str) -> list[Any]:
    return _read_csv(data, where, delimiter="\t")


def _read_parquet(data: bytes, where: str) -> list[Any]:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError(
            f"{where} is a parquet file, which needs pyarrow; run: pip install 'recover-align[parquet]'."
        ) from error
    try:
        return list(parquet.read_table(io.BytesIO(data)).to_pylist())
    except (ValueError, OSError) as error:  # pyarrow's own errors derive from these
        raise InputError(f"{where} is not a readable parquet file ({error}); write it again.") from error


READERS: dict[str, Callable[[bytes, str], list[Any]]] = {
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".txt": _read_txt,
    ".parquet": _read_parquet,
}


def _table(rows: list[list[str]], where: str, headed: bool) -> list[Any]:
    """Rows as dicts: by the header, or by the cells' numbers from 1, with the first cell as TEXT too."""
    for number, row in enumerate(rows, 0 if headed else 1):
        if len(row) > len(rows[0]) or (len(row) < len(rows[0]) and not headed):
            raise InputError(
                f"{where}, row {number} has {len(row)} cells and the first line {len(rows[0])}; quote cells that hold "
                "the delimiter, or give plain lines as .txt."
            )
    if headed:
        return [dict(zip(rows[0], row, strict=False)) for row in rows[1:]]
    return [{TEXT: row[0], **{str(column): cell for column, cell in enumerate(row, 1)}} for row in rows]


def _is_text(first: list[str], columns: Set[str]) -> bool:
    """Whether the first row is a prompt and no header: it holds no known column name and reads like a sentence."""
    known = any(column_key(cell) in columns for cell in first)
    return not known and (len(first[0].split()) > 3 or first[0].strip().endswith((".", "?", "!")))


def column_key(column: object) -> str:
    """A column's name as the key of a row."""
    return str(column).strip().casefold().replace(" ", "_")


def _row(value: Any, where: str, number: int) -> Row:
    if isinstance(value, str):
        return {TEXT: value}
    if not isinstance(value, dict):
        raise InputError(f"{where}, row {number} is a JSON {type(value).__name__}; expected an object or a string.")
    return {column_key(column): None if _blank(cell) else cell for column, cell in value.items()}


def _blank(cell: object) -> bool:
    """Whether a cell is empty: blank text, null, or NaN, which stands for null in numeric columns."""
    return cell is None or cell != cell or (isinstance(cell, str) and not cell.strip())
