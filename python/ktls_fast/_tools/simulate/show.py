"""The report of a simulation as text."""

from rich.console import Console
from rich.table import Table

from .report import Report

__all__ = ["show"]

ROWS = (
    ("key updates sent", "tx_key_updates"),
    ("records framed for the device", "tx_device_records"),
    ("records sealed in software", "tx_software_records"),
    ("bytes sealed by the fallback", "tx_fallback_bytes"),
    ("microseconds without the device", "tx_time_without_device"),
    ("key updates received", "rx_key_updates"),
    ("records opened by the device", "rx_device_records"),
    ("records opened in software", "rx_software_records"),
    ("bytes encrypted again in software", "rx_regained_bytes"),
    ("microseconds without a key in the device", "rx_time_without_device"),
)
LINK = ("segments", "retransmissions", "lost", "bytes")


def show(report: Report) -> None:
    """Print the totals of both hosts and of the link, the counters, and the result."""
    table = Table("", "host 0", "host 1", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    for title, name in ROWS:
        table.add_row(title, *(str(host[name]) for host in report.summary["hosts"]))
    console = Console(highlight=False)
    console.print(table)
    link = ", ".join(f"{report.summary[name]} {name}" for name in LINK)
    print(f"\nlink: {link}, in {report.summary['time'] / 1000:.3f} ms of virtual time")
    counters = report.summary["counters"].items()
    print("counters:", ", ".join(f"{name} {value}" for name, value in counters))
    cut_off = report.summary["cut_off_after"]
    if report.violation:
        print(f"BROKEN: {report.violation}")
    elif cut_off:
        print(f"ABORTED after {cut_off} steps without an error; reduce the amount of data")
    else:
        print("every byte on the wire was correct, and all data arrived or was aborted")
