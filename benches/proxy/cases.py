"""Cases: the proxies, and their load."""

from __future__ import annotations

import random
import tempfile
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benches import identity, programs
from benches.bench import OURS, SECONDS, Bench, BenchCase, CaseRole, TableColumn, TimeBudget
from benches.proxy import load, servers
from benches.proxy.servers import ServerSetting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benches.proxy.load import WrkResult
    from benches.proxy.servers import ServerProcess

SIZES: Final = {"16 KiB": 1 << 14, "1 MiB": 1 << 20}
CONNECTIONS: Final = (1, 64)
LOAD, QUICK_LOAD = 2.0, 1.0  # seconds
PROXIES: Final[dict[str, Callable[[ServerSetting], ServerProcess]]] = {
    OURS: servers.ours,
    "nginx": servers.nginx,
    "haproxy": servers.haproxy,
    "stunnel": servers.stunnel,
    "uvloop ssl": partial(servers.asyncio_ssl, loop="uvloop"),
    "asyncio ssl": servers.asyncio_ssl,
}
NEEDS: Final = ("nginx", "wrk")  # the upstream and the load
CPU: Final = "cpu"


class LoadedProxy:
    """A proxy with its upstream, under load in each round."""

    def __init__(
        self,
        start: Callable[[ServerSetting], ServerProcess],
        size: int,
        connections: int,
        length: float,
    ) -> None:
        self._size, self._connections, self._length = size, connections, length
        self._seconds = self._cpu = 0.0
        with ExitStack() as ends:
            self._folder = Path(ends.enter_context(_folder()))
            self._name = _write_file(self._folder, size)
            identity.write(self._folder)
            behind = self._start(servers.upstream, 0, ends)
            self._proxy = self._start(start, behind.port, ends)
            load.fetch_checked(self._folder, self._proxy.port, self._name)
            self._ends = ends.pop_all()

    def reset(self) -> None:
        pass

    def run(self) -> None:
        before = self._proxy.cpu_seconds()
        done = self._load()
        self._cpu = (self._proxy.cpu_seconds() - before) / done.requests
        self._seconds += done.seconds / done.requests

    def check(self) -> None:
        """Fetch the file again, which must be unchanged after the load."""
        load.fetch_checked(self._folder, self._proxy.port, self._name)

    def now(self) -> float:
        """Return the sum of the seconds per request of all rounds, by the clock of wrk."""
        return self._seconds

    def measures(self) -> dict[str, float]:
        return {CPU: self._cpu}

    def close(self) -> None:
        self._ends.close()

    def _load(self) -> WrkResult:
        proxy = (self._folder, self._proxy.port, self._name)
        done = load.put(*proxy, self._connections, self._length)
        assert done.requests, f"no request of {self._size} bytes was answered in time"
        return done

    def _start(
        self, start: Callable[[ServerSetting], ServerProcess], upstream: int, ends: ExitStack
    ) -> ServerProcess:
        server = start(ServerSetting(self._folder, servers.free_port(), upstream))
        ends.callback(server.close)
        return server


def groups(quick: bool) -> Iterator[list[BenchCase]]:
    """Yield the cases by size and number of connections."""
    connections = CONNECTIONS[1:] if quick else CONNECTIONS
    for size, count in product(SIZES, connections):
        yield [_case(name, size, count, QUICK_LOAD if quick else LOAD) for name in PROXIES]


def _case(name: str, size: str, connections: int, length: float) -> BenchCase:
    return BenchCase(
        panel=f"{size} responses",
        x="1 connection" if connections == 1 else f"{connections} connections",
        series=name,
        role=CaseRole.OURS if name == OURS else CaseRole.PEER,
        units={"bytes": SIZES[size]},
        start=lambda: LoadedProxy(PROXIES[name], SIZES[size], connections, length),
        missing=_why_missing(name),
    )


def _why_missing(name: str) -> str:
    if name == "uvloop ssl" and find_spec("uvloop") is None:
        return "not installed (pip install uvloop)"
    own = (name,) if name in programs.PROGRAMS else ()
    return programs.why_missing(*dict.fromkeys((*own, *NEEDS)))


def _folder() -> tempfile.TemporaryDirectory[str]:
    """Return a temporary directory, in memory if possible."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)


def _write_file(folder: Path, size: int) -> str:
    """Write the file to serve, readable for the upstream's worker, which is another user.

    Return its name.
    """
    files = folder / "files"
    files.mkdir()
    (files / "file").write_bytes(random.Random(size).randbytes(size))
    folder.chmod(0o755)
    return "file"


BENCH = Bench(
    name="proxy",
    about=f"TLS proxies with one worker in front of nginx, HTTP keep-alive, {identity.SUITE}",
    groups=groups,
    columns=(
        TableColumn("cpu_s_per_GB", lambda row: 1e9 * row.per("bytes", CPU), ".3f"),
        TableColumn("GB_per_s", lambda row: 1e-9 / row.per("bytes"), ".3f"),
    ),
    pace=TimeBudget(turns=3),
    quick=TimeBudget(turns=1),
    compared=(CPU, SECONDS),
    log_scale=False,
    notes=("CPU time is that of the proxy with its handshakes; wrk and upstream share the cores.",),
)
