"""The table of a report: a line for each case, separated by tabs and padded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benches.bench import SECONDS, CaseRole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benches.bench import BenchCase
    from benches.report import BenchReport, ReportRow

NONE = "-"


def table(report: BenchReport) -> str:
    """Return the table; missing cases have the reason in place of numbers."""
    lines = [_header(report), *(_line(report, case) for case in report.cases)]
    widths = [max(len(cell) for cell in column) for column in _columns(lines)]
    title = f"{report.bench.name}: {report.bench.about}"
    return "\n".join([title, *(_padded(line, widths) for line in lines), *report.bench.notes])


def _header(report: BenchReport) -> list[str]:
    titles = [column.title for column in report.bench.columns]
    for name in report.bench.compared:
        what = "" if name == SECONDS else f"{name}_"
        titles += [f"{what}vs_best_peer", f"{what}vs_limit"]
    return ["case", *titles]


def _line(report: BenchReport, case: BenchCase) -> list[str]:
    if case.missing:
        return [case.name, f"missing: {case.missing}"]
    row = report.rows[case.name]
    numbers = [format(column.value(row), column.form) for column in report.bench.columns]
    return [case.name, *numbers, *_ratios(report, row)]


def _ratios(report: BenchReport, row: ReportRow) -> Iterator[str]:
    for name in report.bench.compared:
        for role in (CaseRole.PEER, CaseRole.LIMIT):
            ratio = report.against(row, role, name)
            yield NONE if ratio is None else f"{ratio:.2f}x"


def _columns(lines: list[list[str]]) -> list[list[str]]:
    """Return the cells of each column, without the reasons of missing cases."""
    full = len(lines[0])
    names = [line[0] for line in lines]
    return [names, *([line[at] for line in lines if len(line) == full] for at in range(1, full))]


def _padded(line: list[str], widths: list[int]) -> str:
    case, *cells = line
    padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=False)]
    return "\t".join([case.ljust(widths[0]), *padded])
