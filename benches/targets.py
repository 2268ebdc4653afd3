"""The targets of the benches, which are ratios within a run, and whether they are reached."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final

from benches import machine
from benches.bench import OURS, SECONDS
from benches.loops import cases as loops
from benches.loops import ways
from benches.records.cases import LIMIT
from benches.threads import cases as threads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benches.report import BenchReport


@dataclass(frozen=True, slots=True)
class RatioTarget:
    """A minimum ratio of a series of ktls_fast to another series of the same group."""

    what: str
    bench: str
    group: str
    ours: str
    other: str
    at_least: float
    measure: str = SECONDS

    def ratio(self, reports: Mapping[str, BenchReport]) -> float | None:
        """Return the measured ratio, or None if one of the two series was not measured."""
        report = reports.get(self.bench)
        mine = report and report.find(self.group, self.ours)
        theirs = report and report.find(self.group, self.other)
        return mine.times_as_good_as(theirs, self.measure) if mine and theirs else None


def _records() -> list[RatioTarget]:
    """Return the targets of the bench ``records``.

    Each size has a batch size and the minimum ratios to the limit and to ``cryptography``.
    """
    wanted = {16384: (8, 0.92, 1.5), 1400: (64, 0.85, 4.0), 64: (64, 1.2, 12.0)}
    return [
        RatioTarget(
            f"{op} {cipher}, {size} B, batch {batch}, against {other}",
            *("records", f"{op}/{cipher}/{size}", f"{OURS} x{batch}", other, least),
        )
        for size, (batch, of_limit, of_peer) in wanted.items()
        for op in ("seal", "open")
        for cipher in ("AES_GCM_128", "AES_GCM_256")
        for other, least in ((LIMIT, of_limit), ("cryptography", of_peer))
    ]


def _loops() -> list[RatioTarget]:
    """Return the targets of the bench ``loops``: the CPU time of the server on the same loop.

    Each line has one of our ways with its size, the peer, and the maximum ratio to the peer.
    """
    fastnet = {loop: ways.on(ways.FASTNET, loop) for loop in ways.LOOPS}
    openssl = {loop: f"{loop} ssl" for loop in ways.LOOPS}
    wanted = (
        (ways.NATIVE, "1 MiB", fastnet, 0.7),
        (ways.NATIVE, "5 B", fastnet, 1.0),
        (ways.BY_BIO, "1 MiB", openssl, 0.8),
    )
    return [
        RatioTarget(
            f"{panel}{malloc}, {size}, {ways.on(way, loop)}, CPU against {peer} (at most {most})",
            *("loops", f"{panel}{malloc}/{size}", ways.on(way, loop), peer, 1 / most, "cpu"),
        )
        for way, size, peers, most in wanted
        for panel, malloc in product(loops.PANELS, loops.MALLOC)
        for loop, peer in peers.items()
    ]


TARGETS: Final = (
    *_records(),
    *_loops(),
    RatioTarget(
        "bulk over one loopback connection, speed against ssl",
        *("sockets", "bulk/loopback", f"{OURS} Connection", "ssl", 2.5),
    ),
    RatioTarget(
        "bulk over one loopback connection, CPU of both ends against plain TCP (at most 1.35)",
        *("sockets", "bulk/loopback", f"{OURS} Connection", "plain TCP", 1 / 1.35, "cpu"),
    ),
    *(
        RatioTarget(
            f"proxy, 1 MiB responses, {count}, CPU against {other} (at most 0.8)",
            *("proxy", f"1 MiB responses/{count}", OURS, other, 1 / 0.8, "cpu"),
        )
        for count in ("1 connection", "64 connections")
        for other in ("nginx", "haproxy")
    ),
    *(
        RatioTarget(
            f"{op}, rekey every 1000 records of 16 KiB, against none",
            *(
                "rekey",
                f"{op}/16384 B/key update every/1000",
                f"{OURS}, rekeying",
                f"{OURS}, never",
                0.97,
            ),
        )
        for op in ("seal", "open")
    ),
    *(
        RatioTarget(
            f"{op}, two threads with a key and buffers in L2 each, against one",
            *("threads", f"{threads.OWN}/{op}", threads.TWO, threads.ONE, 1.8),
        )
        for op in ("seal", "open")
    ),
)


def table(reports: Mapping[str, BenchReport]) -> str:
    """Return a table with a line for each target whose bench was run."""
    wanted = [target for target in TARGETS if target.bench in reports]
    if not wanted:
        return ""
    lines = ["\ntargets: ratios of ktls_fast to others in this run, higher is better"]
    if not machine.has_avx512():
        lines.append("they were set for machines with AVX-512, which this machine does not have")
    width = max(len(target.what) for target in wanted)
    lines += [_line(target, reports, width) for target in wanted]
    return "\n".join(lines)


def _line(target: RatioTarget, reports: Mapping[str, BenchReport], width: int) -> str:
    ratio = target.ratio(reports)
    wanted = f">= {target.at_least:.2f}"
    if ratio is None:
        return f"{target.what.ljust(width)}\t{wanted}\t{'-':>6}\tnot measured"
    verdict = "reached" if ratio >= target.at_least else "not reached"
    return f"{target.what.ljust(width)}\t{wanted}\t{ratio:6.2f}\t{verdict}"
