"""Reports of a result: Markdown, a self-contained HTML page, and the files of a run's folder.

All are rendered from one `Result`. They hold no prompt and no answer, and they escape every name that came from
outside. The same result gives the same bytes.
"""

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from recover.checkpoints.files import DISK_FULL, write_text
from recover.errors import InputError
from recover.report.audit_tables import audit_grids
from recover.report.numbers import NONE, count, percent, sanitise
from recover.report.tables import Grid, TableRow, columns, facts, grids, headline, table
from recover.results.schema import Result, dumps, load, schema

__all__ = ["TableRow", "facts", "headline", "html", "load", "markdown", "percent", "schema", "table", "write"]
TEMPLATES = Path(__file__).parent / "templates"


# How to reproduce


def sources(result: Result) -> list[Grid]:
    """The checkpoints and prompt sets that a result rests on, with their hashes."""
    models = [(name, result.checkpoints[name]) for name in columns(result)]
    checkpoints = tuple(
        (sanitise(name), sanitise(m.path), sanitise(m.dtype or NONE), sanitise(m.sha256 or NONE)) for name, m in models
    )
    sets = tuple(
        (sanitise(s.name), s.expect or NONE, count(s.n), count(s.leakage), sanitise(s.sha256 or NONE))
        for s in result.sets
    )
    grids = (
        Grid("Checkpoints", ("name", "path", "dtype", "sha256"), checkpoints, left=4),
        Grid("Prompt sets", ("name", "expected", "prompts", "leakage", "sha256"), sets, left=5),
    )
    return [grid for grid in grids if grid.rows]


def command(result: Result) -> str | None:
    """The command line, if the settings hold one as `command` (text or a list of arguments)."""
    match result.settings.get("command"):
        case str(text):
            return sanitise(text)
        case list(words) if words:
            return sanitise(shlex.join(map(str, words)))
    return None


def settings(result: Result) -> list[tuple[str, str]]:
    """The settings, the method's options and the environment as titled JSON."""
    options = result.restoration.options if result.restoration else {}
    parts = (("Settings", result.settings), ("Method options", options), ("Environment", result.environment))
    return [(title, json.dumps(part, indent=1, ensure_ascii=False)) for title, part in parts if part]


# Markdown


def markdown(result: Result) -> str:
    """The report as Markdown, for a file, a pull request or the summary of a CI step."""
    names, rows = columns(result), table(result)
    parts = ["# recover-align report", f"**{md(headline(result))}**"]
    if rows:
        cells = [[row.label, row.n, *(row.cells[name].text for name in names)] for row in rows]
        parts += [md_table(["", "n", *names], cells), "Brackets hold 95 % intervals, in percent."]
    parts.append(_md_list(f"{name}: {md(value)}" for name, value in facts(result)))
    if result.warnings:
        parts += ["## Warnings", _md_list(md(sanitise(text)) for text in result.warnings)]
    parts += _md_grids([*grids(result), *audit_grids(result)])
    parts += ["## How to reproduce", *_md_code("sh", command(result)), *_md_grids(sources(result), level=3)]
    for title, text in settings(result):
        parts += [f"### {title}", *_md_code("json", text.replace("<", "\\u003c"))]
    parts.append(md(f"{sanitise(result.tool.name)} {sanitise(result.tool.version)}, {sanitise(result.created)}"))
    return "\n\n".join(parts) + "\n"


def md(text: str) -> str:
    """Text escaped for Markdown. Numbers and intervals stay as they are, so that the source is readable too."""
    if re.fullmatch(rf"[-+0-9., %/\[\]{NONE}]*", text):
        return text
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~#!])", r"\\\1", text)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)


def md_table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A Markdown table with escaped cells. The first `left` columns hold words, the others numbers."""
    ruler = ["---" if i < left else "---:" for i in range(len(header))]
    lines = [[md(sanitise(name)) for name in header], ruler, *([md(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _md_grids(tables: Iterable[Grid], level: int = 2) -> list[str]:
    parts = ((f"{'#' * level} {grid.title}", md_table(grid.header, grid.rows, grid.left)) for grid in tables)
    return [text for part in parts for text in part]


def _md_list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _md_code(language: str, text: str | None) -> list[str]:
    """A fenced block whose fence is longer than any in the text."""
    if text is None:
        return []
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 0)
    return [f"{fence}{language}\n{text}\n{fence}"]


# HTML


def html(result: Result, *, viewer: bool = False) -> str:
    """The report as one HTML page that loads nothing: it holds its style and plots, and it has no script.

    With `viewer`, the page links to a viewer.html beside it.
    """
    from markupsafe import Markup

    from recover.report import plots

    names, rows = columns(result), table(result)
    svgs = {"rates": plots.rates(result, rows), "path": plots.path(result), "places": plots.places(result)}
    return page(
        "report.html.j2",
        result=result,
        viewer=viewer,
        names=names,
        colours=plots.colours(names),
        rows=rows,
        facts=facts(result),
        plots={name: Markup(svg or "") for name, svg in svgs.items()},  # noqa: S704, figures escape their texts
        levels_from=plots.levels(result)[-1],
        grids=[*grids(result), *audit_grids(result)],
        sources=sources(result),
        command=command(result),
        settings=settings(result),
    )


def page(template: str, result: Result, **parts: object) -> str:
    """A page of `result` from one of the package's templates."""
    text = headline(result).replace(" %", "\u00a0%")
    return render(template, result=result, headline=text, **parts)


def render(template: str, **parts: object) -> str:
    """A page from one of the package's templates. They escape every value except `Markup`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["sanitise"] = sanitise
    return environment.get_template(template).render(**parts)


def content_hash(text: str) -> str:
    """The hash by which a Content-Security-Policy allows an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# Files


def write(result: Result, folder: Path) -> Path:
    """Write report.md, report.html and result.json into `folder`; returns the path of result.json.

    All are rendered before the first is written. result.json is written last: where it is, the others are too.
    """
    report = html(result, viewer=(folder / "viewer.html").is_file())
    save(folder, {"report.md": markdown(result), "report.html": report, "result.json": dumps(result)})
    return folder / "result.json"


def save(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files into `folder` in the order given, each one whole or not at all."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write_text(folder / name, text)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise  # not the user's mistake; a caller turns it into its own error
        raise InputError(f"cannot write the report to {folder}: {error.strerror or error}; choose another") from error
