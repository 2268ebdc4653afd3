"""The list of all benches. Another bench is a module and an entry here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benches.loops import cases as loops
from benches.proxy import cases as proxy
from benches.queue import cases as queue
from benches.records import cases as records
from benches.rekey import cases as rekey
from benches.scan import cases as scan
from benches.sockets import cases as sockets
from benches.threads import cases as threads

if TYPE_CHECKING:
    from benches.bench import Bench

_MODULES: Final = (
    records,
    sockets,
    loops,
    proxy,
    rekey,
    queue,
    threads,
    scan,
)
BENCHES: Final[dict[str, Bench]] = {module.BENCH.name: module.BENCH for module in _MODULES}
