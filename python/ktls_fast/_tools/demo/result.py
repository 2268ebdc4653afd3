"""The result of a demo."""

from dataclasses import dataclass
from typing import Any

from .job import TransferJob, TransferOutcome
from .proxy_process import ProxyOutput

__all__ = ["ConnectionResult", "DemoResult", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionResult:
    """The result of a connection, with records and key updates as counted by the proxy."""

    client: str
    bytes_each_way: int
    seconds: float
    records_sent: int
    records_received: int
    key_updates_sent: int
    key_updates_received: int
    verdict: str
    """``ok``, or the error."""

    @property
    def gigabytes_per_second(self) -> float:
        """The rate in one direction; both directions ran at the same time."""
        return _rate(self.bytes_each_way, self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """The results of all connections, and the counters of the proxy."""

    connections: list[ConnectionResult]
    seconds: float
    tls_stat: dict[str, int]

    @property
    def bytes_each_way(self) -> int:
        """The number of bytes in each direction, summed over all connections."""
        return sum(one.bytes_each_way for one in self.connections)

    @property
    def gigabytes_per_second(self) -> float:
        """The rate in one direction, of all connections together."""
        return _rate(self.bytes_each_way, self.seconds)

    @property
    def faults(self) -> list[str]:
        """The errors of all connections; empty if the demo succeeded."""
        return [f"{one.client}: {one.verdict}" for one in self.connections if one.verdict != "ok"]


def judge(
    jobs: list[TransferJob],
    outcomes: dict[int, TransferOutcome],
    upstream: dict[int, str],
    proxy: ProxyOutput,
) -> DemoResult:
    """Compare the results of the clients, the upstream and the proxy.

    :param outcomes: the result of each client, by its number.
    :param upstream: the SHA-256 of what the upstream received, by the number of the client.
    """
    done = [outcome for outcome in outcomes.values() if outcome.error is None]
    begin = min((outcome.begin for outcome in done), default=0.0)
    end = max((outcome.end for outcome in done), default=0.0)
    return DemoResult(
        connections=[
            _judge_one(
                job,
                outcomes[job.number],
                upstream.get(job.number),
                proxy.connections.get(job.server_name, {}),
            )
            for job in jobs
        ],
        seconds=end - begin,
        tls_stat=proxy.tls_stat,
    )


def _judge_one(
    job: TransferJob, outcome: TransferOutcome, upstream: str | None, line: dict[str, Any]
) -> ConnectionResult:
    return ConnectionResult(
        client=f"{job.number} {job.kind}",
        bytes_each_way=job.size,
        seconds=outcome.end - outcome.begin,
        records_sent=line.get("records_sent", 0),
        records_received=line.get("records_received", 0),
        key_updates_sent=line.get("key_updates_sent", 0),
        key_updates_received=line.get("key_updates_received", 0),
        verdict=_verdict(outcome, upstream, line),
    )


def _verdict(outcome: TransferOutcome, upstream: str | None, line: dict[str, Any]) -> str:
    if outcome.error is not None:
        return outcome.error
    if upstream != outcome.sent:
        return "the data received by the upstream is not the data sent"
    if outcome.received != outcome.sent:
        return "the data received is not the data sent"
    if line.get("result") != "ok":
        return f"the proxy reported: {line.get('result', 'nothing')}"
    if not line["key_updates_sent"]:
        return "the proxy sent no KeyUpdate"
    return "ok" if line["key_updates_received"] else "the client sent no KeyUpdate"


def _rate(count: int, seconds: float) -> float:
    return count / seconds / 1e9 if seconds else 0.0
