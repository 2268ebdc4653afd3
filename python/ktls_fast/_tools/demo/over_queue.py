"""The demo without a proxy: KtlsSockets on an offload queue, with frequent key updates."""

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from ktls_fast import (
    SOL_TLS,
    TCP_ULP,
    TLS_RX,
    TLS_SET_RECORD_TYPE,
    TLS_TX,
    ContentType,
    CryptoInfo,
    KtlsSocket,
    Namespace,
    OffloadQueue,
    Suite,
    TrafficSecret,
    key_update_message,
)

from .job import Progress
from .payload import EchoReceiver, RandomPayload
from .plan import split_size
from .result import ConnectionResult, DemoResult
from .show import progress_bar, report

__all__ = ["run"]

REKEY_EVERY = 1 << 20
KEY_UPDATE = key_update_message()
PIECE = 1 << 18
TIMEOUT = 60.0
INFO_SIZE = 40

REMARK = """
Both ends are KtlsSockets on the same queue. There is no handshake; their keys are random. Each end
sends a KeyUpdate and renews its key after every MiB. Sent and received refer to the first end."""


class RekeyingSocket:
    """A KtlsSocket on the queue that renews its key after every MiB."""

    def __init__(
        self, sock: socket.socket, queue: OffloadQueue, namespace: Namespace, *secrets: bytes
    ) -> None:
        """Take over ``sock``.

        :param secrets: the traffic secrets for sending and for receiving.
        """
        sock.settimeout(TIMEOUT)
        self.sock = KtlsSocket(sock, device=queue, namespace=namespace)
        self.sock.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        self._tx, self._rx = (
            TrafficSecret(Suite.TLS_AES_128_GCM_SHA256, secret) for secret in secrets
        )
        self.sock.setsockopt(SOL_TLS, TLS_TX, self._tx.crypto_info())
        self.sock.setsockopt(SOL_TLS, TLS_RX, self._rx.crypto_info())
        self._left = REKEY_EVERY
        self._records = [0, 0]
        self.key_updates = [0, 0]

    def send(self, data: bytes) -> None:
        """Send ``data``, and renew the key after every MiB."""
        while data:
            piece, data = data[: self._left], data[self._left :]
            self.sock.sendall(piece)
            self._left -= len(piece)
            if not self._left:
                self._update_key()

    def receive(self) -> bytes:
        """Receive data, and follow the KeyUpdates that precede it."""
        while True:
            data, control, _, _ = self.sock.recvmsg(PIECE, 32)
            if not control or control[0][2][0] == ContentType.APPLICATION_DATA:
                return data
            self._follow_key_update(data)

    def records(self) -> list[int]:
        """Return the numbers of records sent and received, including KeyUpdates."""
        return [
            self._records[0] + self._record_number(TLS_TX),
            self._records[1] + self._record_number(TLS_RX),
        ]

    def _update_key(self) -> None:
        handshake = bytes([ContentType.HANDSHAKE])
        self.sock.sendmsg([KEY_UPDATE], [(SOL_TLS, TLS_SET_RECORD_TYPE, handshake)])
        self._records[0] += self._record_number(TLS_TX)
        self._tx = self._tx.next()
        self.sock.setsockopt(SOL_TLS, TLS_TX, self._tx.crypto_info())
        self._left = REKEY_EVERY
        self.key_updates[0] += 1

    def _follow_key_update(self, message: bytes) -> None:
        if message != KEY_UPDATE:
            msg = f"expected a KeyUpdate, but received {message[:8].hex()}"
            raise ConnectionError(msg)
        self._records[1] += self._record_number(TLS_RX)
        self._rx = self._rx.next()
        self.sock.setsockopt(SOL_TLS, TLS_RX, self._rx.crypto_info())
        self.key_updates[1] += 1

    def _record_number(self, direction: int) -> int:
        answer = self.sock.getsockopt(SOL_TLS, direction, INFO_SIZE)
        assert isinstance(answer, bytes)
        return CryptoInfo.from_bytes(answer).rec_seq


def run(size: int, connections: int, *, as_json: bool = False) -> int:
    """Run the demo and return the exit status."""
    return report(measure(size, connections), as_json=as_json, remark=REMARK)


def measure(size: int, connections: int) -> DemoResult:
    """Send ``size`` bytes in each direction and check them."""
    parts, namespace, lock = split_size(size, connections), Namespace(), threading.Lock()
    with ExitStack() as stack:
        queue = stack.enter_context(OffloadQueue())
        bar = stack.enter_context(progress_bar(size))
        pool = stack.enter_context(ThreadPoolExecutor(3 * len(parts)))

        def progress(count: int) -> None:
            with lock:
                bar(count)

        begun = time.monotonic()
        jobs = [
            pool.submit(_transfer, pool, number, part, (queue, namespace), progress)
            for number, part in enumerate(parts)
        ]
        results = [job.result() for job in jobs]
        seconds = time.monotonic() - begun
    counted = namespace.tls_stat()
    return DemoResult(connections=results, seconds=seconds, tls_stat=counted)


def _transfer(
    pool: ThreadPoolExecutor,
    number: int,
    size: int,
    over: tuple[OffloadQueue, Namespace],
    progress: Progress,
) -> ConnectionResult:
    secrets = [os.urandom(32), os.urandom(32)]
    near, far = _connected_pair()
    first, second = (
        RekeyingSocket(near, *over, *secrets),
        RekeyingSocket(far, *over, *reversed(secrets)),
    )
    payload, echo = RandomPayload(number, size), EchoReceiver(size, progress, head=False)
    begun = time.monotonic()
    with first.sock, second.sock:
        verdict = _transfer_and_check(pool, first, second, payload, echo)
        records = first.records()
    return ConnectionResult(
        client="KtlsSocket",
        bytes_each_way=size,
        seconds=time.monotonic() - begun,
        records_sent=records[0],
        records_received=records[1],
        key_updates_sent=first.key_updates[0],
        key_updates_received=first.key_updates[1],
        verdict=verdict,
    )


def _transfer_and_check(
    pool: ThreadPoolExecutor,
    first: RekeyingSocket,
    second: RekeyingSocket,
    payload: RandomPayload,
    echo: EchoReceiver,
) -> str:
    """Send the payload and receive its echo; return ``ok`` or the error."""
    sending = pool.submit(_send, first, payload)
    echoing = pool.submit(_echo, second)
    try:
        while not echo.done:
            echo.feed(memoryview(first.receive()))
        sending.result(TIMEOUT)
    except (OSError, ValueError) as error:
        return str(error)
    finally:
        first.sock.shutdown(socket.SHUT_RDWR)
        echoing.result(TIMEOUT)
    return "ok" if echo.digest == payload.digest else "the data received is not the data sent"


def _send(end: RekeyingSocket, payload: RandomPayload) -> None:
    for piece in payload:
        end.send(bytes(piece))


def _echo(end: RekeyingSocket) -> None:
    while data := end.receive():
        end.send(data)


def _connected_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname(), TIMEOUT)
        far, _ = listener.accept()
    for end in (near, far):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far
