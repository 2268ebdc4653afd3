"""The output of the demo: its result, and a progress bar."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from ktls_fast._tools.proxy import format_counters

from .job import Progress as Advance
from .result import DemoResult

__all__ = ["progress_bar", "report"]

COLUMNS = (
    "\nclient",
    "MiB\neach way",
    "GB/s\neach way",
    "records\nsent",
    "records\nreceived",
    "KeyUpdates\nsent",
    "KeyUpdates\nreceived",
    "\nSHA-256",
)


REMARK = """
Sent and received refer to the proxy. Each of its KeyUpdates requests one of the client, and the
first client also sends some unrequested."""


@contextmanager
def progress_bar(total: int) -> Iterator[Advance]:
    """Show a progress bar on standard error during the block, if that is a terminal.

    Yield a function to call with the number of bytes transferred since its last call.
    """
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task("sending and receiving", total=total)
        yield lambda count: bar.advance(task, count)


def show(result: DemoResult, remark: str = REMARK) -> None:
    """Print the table, a remark about it, the counters and the errors."""
    Console(highlight=False).print(_table(result))
    print(remark)
    print(f"\ncounters:\n{format_counters(result.tls_stat)}", end="")
    for fault in result.faults:
        print(f"FAILED: {fault}")


def report(result: DemoResult, *, as_json: bool, remark: str = REMARK) -> int:
    """Print the result and return the exit status."""
    if as_json:
        print(to_json(result))
    else:
        show(result, remark)
    return 1 if result.faults else 0


def to_json(result: DemoResult) -> str:
    """Return the result as a JSON object."""
    return json.dumps(
        {
            **asdict(result),
            "bytes_each_way": result.bytes_each_way,
            "gigabytes_per_second": round(result.gigabytes_per_second, 3),
            "faults": result.faults,
        }
    )


def _table(result: DemoResult) -> Table:
    table = Table(*COLUMNS, box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    for one in result.connections:
        table.add_row(
            one.client,
            f"{one.bytes_each_way / 2**20:.0f}",
            f"{one.gigabytes_per_second:.3f}",
            *map(str, (one.records_sent, one.records_received)),
            *map(str, (one.key_updates_sent, one.key_updates_received)),
            "equal" if one.verdict == "ok" else "NO",
        )
    total = f"{result.bytes_each_way / 2**20:.0f}"
    table.add_row("all", total, f"{result.gigabytes_per_second:.3f}")
    return table
