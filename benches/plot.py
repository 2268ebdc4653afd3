"""The plot of a table: its first column as grouped bars, with a panel for each half of a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

from benches.bench import CaseRole

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from benches.bench import TableColumn
    from benches.report import BenchReport, ReportRow

# The cases of ktls_fast have shades of one colour, so that they stand out.
OURS_COLOURS = ("#9ecae1", "#6baed6", "#3182bd", "#08519c")
PEER_COLOURS = ("#fdae6b", "#a1d99b", "#bcbddc", "#fdd0a2", "#c7c7c7", "#e7969c", "#dbdb8d")
SCALE_COLOURS = ("#d9d9d9", "#f0f0f0")
LIMIT_COLOUR = "#555555"
COLOURS = {CaseRole.OURS: OURS_COLOURS, CaseRole.PEER: PEER_COLOURS, CaseRole.SCALE: SCALE_COLOURS}
MAX_COLUMNS, MAX_LEVEL_LABELS = 3, 8


def draw(report: BenchReport, path: Path) -> None:
    """Write the plot of a report to ``path``, whose suffix determines the format."""
    with mpl.rc_context({"svg.hashsalt": "ktls_fast", "svg.fonttype": "none", "font.size": 9}):
        figure = _figure(report)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _figure(report: BenchReport) -> Figure:
    panels: dict[str, list[ReportRow]] = {}
    for row in report.rows.values():
        panels.setdefault(row.case.panel, []).append(row)
    columns = min(len(panels), MAX_COLUMNS)
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(1.6 + 4.6 * columns, 1.2 + 3.0 * lines), layout="constrained")
    axes = list(figure.subplots(lines, columns, squeeze=False).flat)
    colours = _colours(report)
    for panel, (name, rows) in zip(axes, panels.items(), strict=False):
        _panel(panel, name, rows, report, colours)
    for unused in axes[len(panels) :]:
        unused.set_visible(False)
    _legend(figure, axes[: len(panels)])
    return figure


def _legend(figure: Figure, axes: list[Axes]) -> None:
    handles: dict[str, Artist] = {}
    for panel in axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=2 * min(len(axes), MAX_COLUMNS),
        frameon=False,
    )


def _colours(report: BenchReport) -> dict[str, str]:
    """Return a colour for each series that is drawn as bars."""
    roles = {row.case.series: row.case.role for row in report.rows.values()}
    colours: dict[str, str] = {}
    for role, shades in COLOURS.items():
        series = [name for name, its in roles.items() if its is role]
        # The last case of ktls_fast is the darkest.
        start = len(shades) - len(series) if role is CaseRole.OURS else 0
        for nth, name in enumerate(series, start):
            colours[name] = shades[nth % len(shades)]
    return colours


def _panel(
    axes: Axes, name: str, rows: list[ReportRow], report: BenchReport, colours: dict[str, str]
) -> None:
    places = {x: at for at, x in enumerate(dict.fromkeys(row.case.x for row in rows))}
    column = report.bench.columns[0]
    _bars(axes, [row for row in rows if row.case.series in colours], places, column, colours)
    _limits(axes, [row for row in rows if row.case.role is CaseRole.LIMIT], places, column)
    axes.set(title=name.replace("/", "  "), ylabel=column.title.replace("_", " "))
    if report.bench.log_scale:
        axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:,g}")
    slope = 60 if len(places) > MAX_LEVEL_LABELS else 0
    axes.set_xticks(range(len(places)), list(places), rotation=slope)
    axes.grid(axis="y", which="major", color="#dddddd")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _bars(
    axes: Axes,
    rows: list[ReportRow],
    places: dict[str, int],
    column: TableColumn,
    colours: dict[str, str],
) -> None:
    series = list(dict.fromkeys(row.case.series for row in rows))
    width = 0.84 / len(series)
    for nth, name in enumerate(series):
        heights = {row.case.x: column.value(row) for row in rows if row.case.series == name}
        at = [places[x] - 0.42 + width * (nth + 0.5) for x in heights]
        axes.bar(at, list(heights.values()), width, color=colours[name], label=name)


def _limits(axes: Axes, rows: list[ReportRow], places: dict[str, int], column: TableColumn) -> None:
    """Draw each limit as a line, as it is not an implementation to compare."""
    for nth, row in enumerate(rows):
        at, label = places[row.case.x], row.case.series if nth == 0 else "_"
        axes.hlines(column.value(row), at - 0.45, at + 0.45, colors=LIMIT_COLOUR, label=label)
