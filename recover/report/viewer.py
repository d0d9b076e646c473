"""The viewer: one HTML page with a run's answers side by side. People read, search and filter them without a network.

Texts of prompts and models are data. They go into the page as JSON in which no tag can begin. The page's script shows
them as text nodes. A Content-Security-Policy allows the page's own script and style and nothing else.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from recover.errors import InputError
from recover.evaluation import answer_files
from recover.judges import Verdict
from recover.report import plots, render
from recover.report.numbers import percent, sanitise
from recover.report.tables import Category, categories, columns, counts, grids, table
from recover.results.schema import Channel, JudgeInfo, Result, SetReport

VerdictChange = Literal["fixed", "broke", ""]


@dataclass(frozen=True)
class ViewerItem:
    """One prompt of a set, with the answer of every checkpoint that was asked."""

    prompts: SetReport
    answers: Mapping[str, answer_files.JudgedAnswer]

    @property
    def row(self) -> answer_files.JudgedAnswer:
        """One of the answers, for the fields that all of them share."""
        return next(iter(self.answers.values()))


# Reading


def read(result: Result, folder: Path) -> list[ViewerItem]:
    """All answers of a result, from the files in `folder`. Raises InputError if they are missing or another run's."""
    if result.sets and not result.judges:
        raise InputError(f"result.json names no judge, so no verdicts can be found beside it; {_ADVICE}")
    return [item for s in result.sets for item in _items(s, columns(result), result.judges[0], folder)]


def _items(prompts: SetReport, names: Iterable[str], judge: JudgeInfo, folder: Path) -> list[ViewerItem]:
    """The prompts of one set. The checkpoints' files must hold the same prompts in the same order."""
    files = {name: answer_files.answers_path(folder, name, prompts.name) for name in names if name in prompts.rates}
    rows = {name: answer_files.read(folder, judge, name, prompts.name) for name in files}
    for name, answers in rows.items():
        if len(answers) != prompts.answers:
            raise InputError(
                f"{files[name]} holds {len(answers)} answers, result.json counts {prompts.answers}; {_ADVICE}"
            )
    items = [ViewerItem(prompts, dict(zip(rows, row, strict=True))) for row in zip(*rows.values(), strict=True)]
    for number, item in enumerate(items, 1):
        if len({(row.id, row.prompt) for row in item.answers.values()}) > 1:
            raise InputError(f"prompt {number} of {', '.join(map(str, files.values()))} differs; {_ADVICE}")
    return items


_ADVICE = "give the output of one run, unchanged"


# The data of the page


def change(before: Verdict, after: Verdict, fails: Channel) -> VerdictChange:
    """Whether an answer became good or bad. A degenerate answer is bad too. An unscored one gives no change."""
    if Verdict.UNSCORED in (before, after):
        return ""
    bad = (Verdict(fails), Verdict.DEGENERATE)
    match before in bad, after in bad:
        case True, False:
            return "fixed"
        case False, True:
            return "broke"
    return ""


def changed(item: ViewerItem, pair: tuple[str, str] | None) -> VerdictChange:
    """The change between two checkpoints; empty if one of them was not asked."""
    verdicts = [item.answers[name].verdict for name in pair or () if name in item.answers]
    return change(verdicts[0], verdicts[1], item.prompts.channel) if len(verdicts) == 2 else ""


def compared(names: list[str]) -> tuple[str, str] | None:
    """The two checkpoints that changes compare: tuned and restored, or else the only two of the result."""
    if {"tuned", "restored"} <= {*names}:
        return "tuned", "restored"
    return (names[0], names[1]) if len(names) == 2 else None


def payload(result: Result, items: Sequence[ViewerItem]) -> dict[str, Any]:
    """The data of the page's script. `texts` holds each text once; all other lists hold the text's number there.

    A row is [set, category, id, prompt, change, answers]. An answer is [text, verdict, cut off, reason], or null if the
    checkpoint was not asked.
    """
    names, pair = columns(result), compared(columns(result))
    sets = [sanitise(prompts.name) for prompts in result.sets]
    category_names = sorted({sanitise(category) for item in items if (category := item.row.category)})
    colour_of = plots.colours(names)
    texts: dict[str, int] = {}

    def number(text: str) -> int:
        return texts.setdefault(visible(text), len(texts))

    def row(item: ViewerItem) -> list[Any]:
        category = category_names.index(sanitise(item.row.category)) if item.row.category else None
        answers = [_answer(item.answers[name], number) if name in item.answers else None for name in names]
        return [
            sets.index(sanitise(item.prompts.name)), category, number(item.row.id), number(item.row.prompt),
            changed(item, pair), answers,
        ]  # fmt: skip

    rows = [row(item) for item in items]  # this fills `texts`
    return {
        "models": [{"name": sanitise(name), "colour": colour_of[name]} for name in names],
        "compared": pair and [names.index(name) for name in pair],
        "sets": [{"name": name, "fails": s.channel} for name, s in zip(sets, result.sets, strict=True)],
        "categories": category_names,
        "verdicts": [verdict.value for verdict in Verdict],
        "texts": list(texts),
        "rows": rows,
    }


def _answer(row: answer_files.JudgedAnswer, number: Callable[[str], int]) -> list[int]:
    cut_off = int(row.finish_reason == "length")
    return [number(row.answer), list(Verdict).index(row.verdict), cut_off, number(row.reason)]


_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters except tab and line feed
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"  # marks of the reading direction, spaces without a width
    "\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e007f]"  # lone surrogates, interlinear annotations, hidden tags
)


def visible(text: str) -> str:
    """A text with a mark, such as U+202E in angle quotation marks, for each character that hides or moves text."""
    return _INVISIBLE.sub(lambda match: f"\u2039U+{ord(match[0]):04X}\u203a", text.replace("\r\n", "\n"))


def embedded(data: Any) -> str:
    """JSON for the inside of a script element: no tag, comment or entity can begin in it."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).translate(_ESCAPES)


_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


# The page


def html(result: Result, items: Sequence[ViewerItem], *, linked: bool = False) -> str:
    """The viewer as one page that loads nothing. With `linked`, it links to a report.html beside it."""
    from markupsafe import Markup

    script, style = ((render.TEMPLATES / name).read_text(encoding="utf-8") for name in ("viewer.js", "viewer.css"))
    names = columns(result)
    return render.page(
        "viewer.html.j2",
        result=result,
        linked=linked,
        names=names,
        compared=compared(names),
        colours=plots.colours(names),
        rows=table(result),
        grids=[grid for grid in grids(result) if grid.title in ("Rules", "Tasks")],
        categories=sorted(categories(result), key=lambda part: _badness(part, names[-1])),
        counts=counts,
        percent=percent,
        script=Markup(script),  # noqa: S704, the package's own files
        style=Markup(style),  # noqa: S704
        script_hash=render.content_hash(script),
        style_hash=render.content_hash(style),
        data=Markup(embedded(payload(result, items))),  # noqa: S704, embedded() escapes it
    )


def _badness(part: Category, name: str) -> tuple[float, str, str]:
    """A sort key: the worst categories of a checkpoint first, unknown ones last."""
    rate = part.rates.get(name)
    return (math.inf if rate is None or rate.rate is None else -rate.rate, part.prompts, part.name)


def write(result: Result, folder: Path) -> Path:
    """Write viewer.html beside the answers in `folder` and return its path. Call it before the reports are written."""
    render.save(folder, {"viewer.html": html(result, read(result, folder), linked=True)})
    return folder / "viewer.html"
