"""The table as a picture: throughput in grouped bars, one panel per operation and cipher."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

from benches.cases import CEILING, OURS

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from benches.report import Row

# Ours in shades of one colour, so that it stands out; the ceiling is a line, since it is no peer.
COLOURS = {
    f"{OURS}, batch 1": "#9ecae1",
    f"{OURS}, batch 8": "#4292c6",
    f"{OURS}, batch 64": "#08519c",
    "cryptography (AEAD only)": "#fdae6b",
    "python-record": "#a1d99b",
    "ssl": "#bcbddc",
}
LABELS = {"cryptography": "cryptography (AEAD only)"}


def draw(rows: list[Row], path: Path) -> None:
    """Write the picture of a run; the suffix of ``path`` says in which format."""
    panels: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        panels[row.group.rpartition("/")[0]].append(row)
    with mpl.rc_context({"svg.hashsalt": "ktls_fast", "svg.fonttype": "none", "font.size": 9}):
        figure = _figure(panels)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _figure(panels: dict[str, list[Row]]) -> Figure:
    columns = max(len(panels) // 2, 1)
    figure = Figure(figsize=(4.2 * columns, 6.4), layout="constrained")
    axes = figure.subplots(2, columns, sharey=True, squeeze=False)
    for panel, (name, rows) in zip(axes.flat, panels.items(), strict=True):
        _panel(panel, name, rows)
    for panel in axes[:, 0]:
        panel.set_ylabel("plaintext, MB/s")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def _panel(axes: Axes, name: str, rows: list[Row]) -> None:
    sizes = sorted({row.size for row in rows})
    width = 0.8 / len(COLOURS)
    for nth, (label, colour) in enumerate(COLOURS.items()):
        rates = _rates(rows, label)
        places = [at - 0.4 + width * (nth + 0.5) for at in range(len(sizes))]
        axes.bar(places, [rates[size] for size in sizes], width, color=colour, label=label)
    ceiling = _rates(rows, CEILING)
    for at, size in enumerate(sizes):
        label = CEILING if at == 0 else "_"
        axes.hlines(ceiling[size], at - 0.42, at + 0.42, colors="#555555", label=label)
    axes.set(title=name.replace("/", "  "), yscale="log", ylim=(10, None))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xticks(range(len(sizes)), [f"{size} B" for size in sizes])
    axes.grid(axis="y", which="major", color="#dddddd")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _rates(rows: list[Row], label: str) -> dict[int, float]:
    """Throughput by size; the best batch of whoever is not us."""
    rates: dict[int, float] = defaultdict(float)
    for row in rows:
        if _label(row) == label:
            rates[row.size] = max(rates[row.size], row.mb_per_s)
    return rates


def _label(row: Row) -> str:
    return f"{OURS}, batch {row.batch}" if row.impl == OURS else LABELS.get(row.impl, row.impl)
