"""The rows of a user's file: JSONL, JSON, CSV, TSV, TXT or parquet, whoever wrote it.

This module knows nothing of prompts: a row is a dict, whose keys are the file's column names in lower case with
underscores for spaces, and whose blank cells are None.
"""

import csv
import importlib
import io
import json
from collections.abc import Callable, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recover.errors import InputError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def read_rows(file: "Traversable", where: str, columns: Set[str], text: str = "prompt") -> list[dict[str, Any]]:
    """Every row of a file; at least one, or an InputError. `where` is what messages call the file.

    `columns` are the names that tell a header from a row; bare strings (a line of TXT, a string in a JSON list, the
    first cell where there is no header) become rows with the one column `text`.
    """
    suffix = Path(file.name).suffix.lower()
    if suffix not in READERS:
        raise InputError(f"{where} has the suffix {suffix!r}, which names no known format; use {', '.join(READERS)}.")
    values = READERS[suffix](_contents(file, where), where)
    if suffix in (".csv", ".tsv"):
        values = _table(values, where, columns)
    if not values:
        raise InputError(f"{where} is empty: expected at least one row; name a file that has some.")
    return [_row(value, where, number, text) for number, value in enumerate(values, 1)]


def read_text(file: "Traversable", where: str) -> str:
    """The text of a UTF-8 file."""
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
    """One list of cells a row, header included."""
    reader = csv.reader(io.StringIO(_text(data, where), newline=""), delimiter=delimiter, strict=True)
    try:
        return [row for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InputError(
            f"{where}, line {reader.line_num}: invalid CSV ({error}); quote cells that hold quotes or line breaks."
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


def _table(rows: list[list[str]], where: str, columns: Set[str]) -> list[Any]:
    """Dicts by the header; where the first row is none, the first cells."""
    headed = not rows or not _is_text(rows[0], columns)
    for number, row in enumerate(rows, 0 if headed else 1):
        if len(row) > len(rows[0]) or (len(row) < len(rows[0]) and not headed):
            raise InputError(
                f"{where}, row {number} has {len(row)} cells and the first line {len(rows[0])}; quote cells that hold "
                "the delimiter, or give plain lines as .txt."
            )
    return [dict(zip(rows[0], row, strict=False)) for row in rows[1:]] if headed else [row[0] for row in rows]


def _is_text(first: list[str], columns: Set[str]) -> bool:
    """Whether the first row holds no known column name and reads like a sentence: it is a row then, not a header."""
    known = any(column_key(cell) in columns for cell in first)
    return not known and (len(first[0].split()) > 3 or first[0].strip().endswith((".", "?")))


def column_key(column: object) -> str:
    """A column's name, in the form that rows have it."""
    return str(column).strip().casefold().replace(" ", "_")


def _row(value: Any, where: str, number: int, text: str) -> dict[str, Any]:
    if isinstance(value, str):
        return {text: value}
    if not isinstance(value, dict):
        raise InputError(f"{where}, row {number} is a JSON {type(value).__name__}; expected an object or a string.")
    return {column_key(column): None if _blank(cell) else cell for column, cell in value.items()}


def _blank(cell: object) -> bool:
    """Whether a cell says nothing: blank text, null, or the NaN that stands for null in numeric columns."""
    return cell is None or cell != cell or (isinstance(cell, str) and not cell.strip())
