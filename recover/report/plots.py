"""The plots of a report, as SVG elements for an HTML page.

Each plot is drawn with matplotlib's object interface and under its own settings. So no global setting changes, and the
same result gives the same bytes. Colour-blind readers can tell the colours apart (Okabe and Ito, 2008).
"""

import io
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from recover.report.numbers import count, percent, sanitise
from recover.report.tables import TableRow, columns
from recover.results.schema import BlockCount, Levels, MatrixCount, Restoration, Result, StepReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"aligned": "#0072b2", "tuned": "#d55e00", "restored": "#009e73"}
OTHER_COLOURS = ("#cc79a7", "#e69f00", "#56b4e9", "#7a7a7a")
INK, QUIET, FAINT = "#1f2328", "#6a737d", "#d8dee4"
WIDTH = 5.0  # inches; narrow, so that the text stays readable when a small screen shrinks the plot
STYLE: dict[str, Any] = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.parse_math": False,
    "text.color": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "recover-align",
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.2,
}


def colours(names: Iterable[str]) -> dict[str, str]:
    """The colours of checkpoints: fixed ones for aligned, tuned and restored, the others in order."""
    others = [name for name in names if name not in COLOURS]
    return COLOURS | {name: OTHER_COLOURS[i % len(OTHER_COLOURS)] for i, name in enumerate(others)}


# The path of the run


def path(result: Result) -> str | None:
    """Harmful rate and task score against the weights restored; None if no step was measured."""
    restoration = result.restoration
    panels = [key for key in ("harmful", "task") if any(_level(step, key) is not None for step in _steps(restoration))]
    if restoration is None or not panels:
        return None
    steps, weights = _steps(restoration), restoration.weights

    def paint(figure: "Figure") -> None:
        for i, key in enumerate(panels):
            axes = figure.add_subplot(len(panels), 1, i + 1)
            _path_panel(axes, key, result, restoration)
            _weights_axis(axes, [step.restored for step in steps], weights, labelled=i == len(panels) - 1)

    return _draw("path", "Harmful rate and task score against the weights restored", 2.55 * len(panels) + 0.35, paint)


def _steps(restoration: Restoration | None) -> list[StepReport]:
    """The steps that were measured."""
    steps = restoration.steps if restoration else []
    return [step for step in steps if step.harmful is not None or step.task is not None]


def _level(step: StepReport, key: str) -> float | None:
    return step.harmful if key == "harmful" else step.task


def levels(result: Result) -> tuple[Levels, Levels, float | None, str]:
    """The harmful rates, task scores and floor to compare a path with, and the name of the prompts behind them."""
    validation = result.restoration.validation if result.restoration else None
    if validation is not None:
        return validation.harmful, validation.task, validation.floor, "validation"
    task = result.tasks[0] if len(result.tasks) == 1 else None
    return result.summary.harmful, task.values if task else {}, task.floor if task else None, "report"


def _path_panel(axes: "Axes", key: str, result: Result, restoration: Restoration) -> None:
    """One measure along the path: the steps as a line, the levels as dashed lines."""
    harmful, task, floor, _ = levels(result)
    measured = harmful if key == "harmful" else task
    lines = [(name, measured.get(name), COLOURS[name]) for name in ("tuned", "aligned")]
    lines += [("floor", floor, INK)] if key == "task" else []
    for (name, value, colour), dashes in zip(lines, ((4, 2), (1, 1.2), (6, 2, 1, 2)), strict=False):
        if value is not None:
            axes.axhline(value, color=colour, lw=1.5, dashes=dashes, label=f"{name} {percent(value)}")
    points = [(step, value) for step in _steps(restoration) if (value := _level(step, key)) is not None]
    line = [(step.restored, value) for step, value in points]
    best = [(step.restored, value) for step, value in points if step.step == restoration.best_step]
    if line:
        axes.plot(*zip(*line, strict=True), "o-", color=COLOURS["restored"], lw=1.8, ms=4.5, label="step")
    if best:
        axes.plot(
            *zip(*best, strict=True), "o", mfc="none", mec=INK, mew=1.4, ms=10, label=f"best {restoration.best_step}"
        )
    _percent_axis(axes.yaxis)
    _set_limits(axes, [value for _, value in points] + [value for _, value, _ in lines if value is not None], key)
    axes.set_title("Harmful rate" if key == "harmful" else "Task score", loc="left", fontweight="bold", pad=32)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=3, borderaxespad=0.1, labelspacing=0.25)


def _set_limits(axes: "Axes", values: Sequence[float], key: str) -> None:
    """Leave a margin above and below the values; the axis of a harmful rate always begins at 0."""
    low, high = min(values), max(values)
    margin = max(0.02, 0.12 * (high - low))
    axes.set_ylim(-0.25 * margin if key == "harmful" else max(0, low - margin), min(1.02, high + margin))


def _weights_axis(axes: "Axes", restored: Sequence[int], weights: int, labelled: bool) -> None:
    """Weights restored along x. The axis is logarithmic, but shows 0, where the steps grow by orders of magnitude."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    positive = sorted(number for number in restored if number > 0)
    if positive and positive[-1] >= 30 * positive[0]:
        axes.set_xscale("symlog", linthresh=positive[0], linscale=0.35)
        axes.xaxis.set_major_locator(FixedLocator(_decades(positive[0], positive[-1], 0 in restored)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(-0.15 * positive[0] if 0 in restored else 0.8 * positive[0], 1.5 * positive[-1])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda x, _: f"{_short(x)}\n{percent(x / weights if weights else None)}")
    )
    if labelled:
        axes.set_xlabel("weights restored, and their share of all")
    else:
        axes.tick_params(labelbottom=False)


def _decades(low: int, high: int, zero: bool) -> list[int]:
    """At most four round positions between `low` and `high`, and 0 if `zero`."""
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10**power for power in range(len(str(high))) for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= 4:
            break
    every = -(-len(ticks) // 4) or 1
    return [0] * zero + ticks[::every]


def _short(number: float) -> str:
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= unit:
            return f"{number / unit:.3g}{letter}"
    return f"{number:.3g}"


# Where the restored weights lie


def places(result: Result) -> str | None:
    """The share of weights restored by block and by kind of matrix; None if the result does not say."""
    restoration = result.restoration
    blocks = restoration.by_block if restoration else []
    matrices = restoration.by_matrix if restoration else []
    if not blocks and not matrices:
        return None
    heights = [1.9] * bool(blocks) + [0.75 + 0.27 * len(matrices)] * bool(matrices)

    def paint(figure: "Figure") -> None:
        panels = iter(figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0])
        if blocks:
            _blocks(next(panels), blocks)
        if matrices:
            _matrices(next(panels), matrices)

    return _draw("places", "Share of weights restored by block and by kind of matrix", sum(heights) + 0.3, paint)


def _share(part: BlockCount | MatrixCount) -> float:
    return part.restored / part.weights if part.weights else 0.0


def _blocks(axes: "Axes", blocks: Sequence[BlockCount]) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator

    inside = sorted((part for part in blocks if part.block is not None), key=lambda part: part.block or 0)
    outside = [part for part in blocks if part.block is None]
    axes.bar(range(len(inside)), [_share(part) for part in inside], color=COLOURS["restored"], width=0.8)
    axes.bar([len(inside) + 0.6 + i for i in range(len(outside))], [_share(p) for p in outside], color=QUIET, width=0.8)
    every = -(-len(inside) // 12) or 1
    ticks: list[tuple[float, str]] = [(i, str(part.block)) for i, part in enumerate(inside) if i % every == 0]
    ticks = [tick for tick in ticks if not outside or tick[0] < len(inside) - every / 2 or every == 1]
    ticks += [(len(inside) + 0.6, "other")] * bool(outside)
    axes.xaxis.set_major_locator(FixedLocator([position for position, _ in ticks]))
    axes.xaxis.set_major_formatter(FixedFormatter([label for _, label in ticks]))
    axes.grid(visible=False, axis="x")
    axes.margins(x=0.02)
    axes.tick_params(axis="x", length=0)
    _percent_axis(axes.yaxis)
    axes.set_title("Share restored, by block", loc="left", fontweight="bold")


def _matrices(axes: "Axes", matrices: Sequence[MatrixCount]) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator

    shares = [_share(part) for part in matrices]
    axes.barh(range(len(matrices)), shares, color=COLOURS["restored"], height=0.72)
    for i, part in enumerate(matrices):
        text = f"{percent(shares[i])} ({count(part.restored)})"
        axes.annotate(text, (shares[i], i), (4, 0), textcoords="offset points", va="center", fontsize=8.5)
    axes.yaxis.set_major_locator(FixedLocator(range(len(matrices))))
    axes.yaxis.set_major_formatter(FixedFormatter([_label(part.matrix, 24) for part in matrices]))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.invert_yaxis()
    axes.set_xlim(0, 1.5 * max(shares) or 1)
    _percent_axis(axes.xaxis)
    axes.set_title("Share restored, by kind of matrix", loc="left", fontweight="bold")


# Before and after


def rates(result: Result, rows: Sequence[TableRow]) -> str | None:
    """Every row of the main table as bars with their 95 % intervals; None if there is no row."""
    names = columns(result)
    groups = [(title, [row for row in rows if row.better == better]) for better, title in _TITLES.items()]
    groups = [(title, group) for title, group in groups if group]
    heights = [0.55 + len(group) * (0.36 + 0.2 * len(names)) for _, group in groups]
    if not groups or not names:
        return None

    def paint(figure: "Figure") -> None:
        panels = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (title, group) in zip(panels, groups, strict=True):
            _bars(axes, group, names)
            axes.set_title(title, loc="left", fontweight="bold", pad=6)
        _legend(figure, names)

    return _draw("rates", "Rates and task scores with their 95 % intervals", sum(heights) + 0.45, paint)


_TITLES = {"lower": "Lower is better", "higher": "Higher is better"}


def _bars(axes: "Axes", rows: Sequence[TableRow], names: Sequence[str]) -> None:
    """Horizontal bars: a group of them for each row, under its label."""
    from matplotlib.ticker import NullLocator

    colour_of, largest, group = colours(names), 0.0, len(names) + 1.8
    for i, row in enumerate(rows):
        axes.annotate(_label(row.label, 58), (0, i * group - 0.95), (3, 0), textcoords="offset points", va="center")
        for j, name in enumerate(names):
            cell, y = row.cells[name], i * group + j
            if cell.value is None:
                axes.annotate(
                    "unknown", (0, y), (4, 0), textcoords="offset points", va="center", fontsize=8, color=QUIET
                )
                continue
            low, high = cell.ci95 or (cell.value, cell.value)
            axes.barh(y, cell.value, height=0.82, color=colour_of[name])
            if cell.ci95:
                axes.plot([low, high], [y, y], color=INK, lw=1.1, marker="|", ms=5, mew=1.1)
            end, largest = max(high, cell.value), max(largest, high, cell.value)
            axes.annotate(percent(cell.value), (end, y), (5, 0), textcoords="offset points", va="center", fontsize=8.5)
    axes.set_ylim((len(rows) - 1) * group + len(names) - 0.2, -1.7)
    axes.set_xlim(0, min(max(1.2 * largest, 0.02), 1.2))
    axes.yaxis.set_major_locator(NullLocator())
    axes.grid(visible=False, axis="y")
    _percent_axis(axes.xaxis)


def _legend(figure: "Figure", names: Sequence[str]) -> None:
    """The checkpoints' colours, with a space before each name: matplotlib hides names that begin with an underscore."""
    from matplotlib.patches import Patch

    colour_of = colours(names)
    patches = [Patch(color=colour_of[name], label=f" {_label(name, 28)}") for name in names]
    figure.legend(handles=patches, loc="outside upper left", ncols=3, handlelength=0.9, handletextpad=0.4)


# Drawing


def _percent_axis(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g} %" if 0 <= value <= 1.0001 else ""))


def _label(text: str, max_length: int) -> str:
    text = sanitise(text)
    return text if len(text) <= max_length else text[: max_length - 1] + "\u2026"


def _draw(name: str, description: str, height: float, paint: Callable[["Figure"], None]) -> str:
    """Paint a figure in the style above and return its SVG element."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    text = io.StringIO()
    # matplotlib warns of glyphs that its font lacks; the browser draws the text with its own fonts
    with warnings.catch_warnings(action="ignore"), matplotlib.rc_context(_defaults() | STYLE):
        figure = Figure(figsize=(WIDTH, height), layout=ConstrainedLayoutEngine(h_pad=0.09, hspace=0.05))
        paint(figure)
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(name, description, text.getvalue())


def _defaults() -> dict[str, Any]:
    """matplotlib's own defaults, so that a user's settings file does not change a report."""
    import matplotlib

    return {key: value for key, value in matplotlib.rcParamsDefault.items() if key not in ("backend", "interactive")}


def _inline(name: str, description: str, document: str) -> str:
    """The SVG element of a document, ready for a page: its ids begin with `name`, screen readers read `description`.

    Comments, metadata and styles are left out. Brackets mark tags: matplotlib escapes all other brackets.
    """
    svg = document[document.index("<svg") :].strip()
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<[^>]+>", lambda tag: _prefix_ids(name, tag[0]), svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{description}" ', 1)


def _prefix_ids(name: str, tag: str) -> str:
    return re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{name}-", tag)
