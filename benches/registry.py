"""The benches that there are: a further one is a module and a line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benches.proxy import cases as proxy
from benches.records import cases as records
from benches.sockets import cases as sockets

if TYPE_CHECKING:
    from benches.bench import Bench

BENCHES: Final[dict[str, Bench]] = {
    bench.name: bench for bench in (records.BENCH, sockets.BENCH, proxy.BENCH)
}
