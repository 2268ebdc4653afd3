"""A plot of a run: the position in the stream over time."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from .report import Event, Report
from .scenario import Scenario

__all__ = ["draw"]

STYLE: Any = {"svg.hashsalt": "ktls_fast", "svg.fonttype": "none", "font.size": 9}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
PENDING, READY, NO_DEVICE = "#fbe3d6", "#fdf6c9", "#e8e8e8"
PHASES = {"pending": PENDING, "ready": READY, "failed": NO_DEVICE, "software": NO_DEVICE}
MS, KIB = 1000, 1024


def draw(scenario: Scenario, report: Report, path: Path) -> None:
    """Write the timeline of each sender to ``path``, whose suffix determines the format."""
    senders = [0, 1] if scenario.both_ways else [0]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 5.2 * len(senders) + 0.6), layout="constrained")
        for sender, axes in zip(senders, _axes(figure, len(senders)), strict=True):
            _draw_stream(axes, report, sender)
        figure.suptitle(_title(scenario, report))
        _explain(figure)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _axes(figure: Figure, rows: int) -> list[Axes]:
    grid = figure.subplots(rows, 1, squeeze=False, sharex=True)
    return [row[0] for row in grid]


def _draw_stream(axes: Axes, report: Report, sender: int) -> None:
    events = [event for event in report.events if event.host == sender]
    seen = (event.time for event in events if event.kind in {"segment", "acked"})
    end = max(seen, default=1) * 1.01 / MS
    for start, stop, colour in _bands(events, end):
        axes.axvspan(start, stop, color=colour, linewidth=0, zorder=0)
    _draw_segments(axes, [event for event in events if event.kind == "segment"])
    _draw_acknowledged(axes, [event for event in events if event.kind == "acked"])
    lost = [event for event in events if event.kind == "lost"]
    if lost:
        axes.scatter(*_centres(lost), marker="x", s=26, color="red", linewidth=1.1, zorder=5)
    for event in events:
        if event.kind == "tx_key":
            axes.axvline(event.time / MS, color="0.35", linewidth=0.8, linestyle=":", zorder=1)
    _name_keys(axes, [event for event in events if event.kind == "tx_key"])
    axes.set_ylabel(f"stream of host {sender}, KiB")
    axes.set_xlabel("time, ms")
    axes.set_xlim(0, end)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)


def _bands(events: Sequence[Event], end: float) -> Iterator[tuple[float, float, str]]:
    """Yield the periods in which records were sealed in software, with the colour of the phase."""
    changes = [(event.time / MS, event.word) for event in events if event.kind == "tx_phase"]
    for (start, phase), (stop, _) in pairwise([*changes, (end, None)]):
        if phase in PHASES and stop > start:
            yield start, stop, PHASES[phase]


def _draw_segments(axes: Axes, segments: Sequence[Event]) -> None:
    """Draw a bar for each segment, from its first to its last byte, in the colour of its key."""
    if not segments:
        return
    times = [event.time / MS for event in segments]
    starts = [(event.offset or 0) / KIB for event in segments]
    ends = [((event.offset or 0) + (event.len or 0)) / KIB for event in segments]
    axes.vlines(times, starts, ends, colors=[_colour(event) for event in segments], linewidth=3.2)
    for who, colour in (("software", "white"), ("fallback", "black")):
        bars = [
            place
            for *place, event in zip(times, starts, ends, segments, strict=True)
            if event.word == who
        ]
        if bars:
            when, low, high = zip(*bars, strict=True)
            axes.vlines(when, low, high, colors=colour, linewidth=1.4, zorder=3)
    again = [event for event in segments if event.retransmission]
    if again:
        axes.scatter(*_tops(again), marker="v", s=16, color="black", zorder=4)


def _draw_acknowledged(axes: Axes, acked: Sequence[Event]) -> None:
    times = [event.time / MS for event in acked]
    places = [(event.offset or 0) / KIB for event in acked]
    axes.step(times, places, where="post", color="0.45", linewidth=1, zorder=2)


def _name_keys(axes: Axes, keys: Sequence[Event]) -> None:
    """Write the generations of the keys at the top, up to about 15 of them."""
    every = max(1, len(keys) // 15)
    for event in keys[::every]:
        axes.annotate(
            f"key {event.generation}",
            (event.time / MS, 1),
            xycoords=("data", "axes fraction"),
            xytext=(2, -2),
            textcoords="offset points",
            rotation=90,
            va="top",
            color="0.25",
            fontsize=7,
        )


def _colour(event: Event) -> str:
    return COLOURS[(event.generation or 0) % len(COLOURS)]


def _centres(events: Sequence[Event]) -> tuple[list[float], list[float]]:
    places = [((event.offset or 0) + (event.len or 0) / 2) / KIB for event in events]
    return [event.time / MS for event in events], places


def _tops(events: Sequence[Event]) -> tuple[list[float], list[float]]:
    places = [((event.offset or 0) + (event.len or 0)) / KIB for event in events]
    return [event.time / MS for event in events], places


def _title(scenario: Scenario, report: Report) -> str:
    name = f"policy {scenario.policy}, loss {scenario.loss:.1%}, seed {scenario.seed}"
    return f"{name}: BROKEN {report.violation}" if report.violation else name


def _explain(figure: Figure) -> None:
    def bar(core: str, width: float = 1.4) -> tuple[Line2D, Line2D]:
        lines = [
            Line2D([], [], color=colour, marker="|", ms=11, markeredgewidth=wide, linestyle="")
            for colour, wide in ((COLOURS[0], 3.2), (core, width))
        ]
        return lines[0], lines[1]

    entries: dict[str, Any] = {
        "sealed by the device (one colour per key)": bar(COLOURS[0]),
        "sealed in software": bar("white"),
        "sealed by the fallback, for the device": bar("black"),
        "retransmitted": Line2D([], [], color="black", marker="v", ms=4, linestyle=""),
        "lost": Line2D([], [], color="red", marker="x", ms=5, linestyle=""),
        "acknowledged": Line2D([], [], color="0.45"),
        "next key set by TLS_TX": Line2D([], [], color="0.35", linestyle=":"),
        "pending: bytes under the old key are not acknowledged": Patch(color=PENDING),
        "ready: the next send installs the key": Patch(color=READY),
        "software: the device has no key": Patch(color=NO_DEVICE),
    }
    figure.legend(
        list(entries.values()),
        list(entries),
        handler_map={tuple: HandlerTuple(ndivide=1)},
        loc="outside lower center",
        ncols=3,
        frameon=False,
    )
