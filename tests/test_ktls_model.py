"""Two KtlsSockets driven by random calls, held against the plain model after each."""

import fcntl
import os
import select
import socket
import struct
import termios
import time
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ktls_fast import KtlsSocket, Namespace
from tests.conftest import connect_pair
from tests.ktls_ends import (
    DONTWAIT,
    KEY_UPDATE,
    MORE,
    PEEK,
    SOL_TLS,
    TCP_ULP,
    TLS_RX,
    TLS_TX,
    generation,
    install,
)
from tests.ktls_model import EOR, Control, Key, SocketModel
from tests.reference import AES_GCM_256, HANDSHAKE, TLS12, TLS13, pattern, traffic_key

LATE = 3  # records sent, before what may end a direction for good
STEPS = 50  # with 400 examples, as in CI, more than 15,000 calls
QUEUED_AT_MOST = 20_000  # so that TCP has room for all of it
DEADLINE = 30.0
RDHUP = 0x2000

END = st.integers(0, 1)
DATA = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([KEY_UPDATE, b"\x18", b"\0\0", b"a\x16", b"\x18\x16\0"]),
    st.sampled_from([63, 64, 1000, 16384, 16385, 20_000]).map(pattern),
)
TYPE = st.sampled_from([HANDSHAKE, HANDSHAKE, 21, 23, 20, 99, 255, 0])
SIZE = st.sampled_from([0, 1, 2, 5, 6, 100, 16384, 65536])
KEY = st.builds(Key, st.integers(0, 3), st.integers(0, 3))
BAD_CONTROL: list[list[Control]] = [
    [(SOL_TLS, 1, b"")],
    [(SOL_TLS, 2, b"\x16")],
    [(1, 1, b"\x16")],
    [(SOL_TLS, 1, b"\x16"), (SOL_TLS, 1, b"")],
]


def outcome(call: Callable[[], object]) -> tuple[str, object]:
    """What a call gives, or its errno."""
    try:
        return "gives", call()
    except OSError as error:
        return "fails", error.errno


class TwoSockets(RuleBasedStateMachine):
    """Both directions of a connection have keys; each end is held against its model."""

    @initialize(version=st.sampled_from([TLS13, TLS13, TLS13, TLS12]))
    def connect(self, version: int) -> None:
        self.sent = 0
        self.namespaces = [Namespace(), Namespace()]
        self.ends = [
            KtlsSocket(sock, namespace=space)
            for sock, space in zip(connect_pair(), self.namespaces, strict=True)
        ]
        self.models = [
            SocketModel(version, tx=Key(number, 0), rx=Key(1 - number, 0)) for number in (0, 1)
        ]
        for end, model in zip(self.ends, self.models, strict=True):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
            install(end, TLS_TX, generation(model.tx.generation, version))
            install(end, TLS_RX, generation(model.rx.generation, version))
            model.counted.update(("TlsCurrTxSw", "TlsCurrRxSw", "TlsTxSw", "TlsRxSw"))

    def teardown(self) -> None:
        for end in getattr(self, "ends", []):
            end.close()

    @rule(number=END, data=DATA, flags=st.sampled_from([0, 0, MORE, MORE, EOR, MORE | EOR, 1]))
    def send(self, number: int, data: bytes, flags: int) -> None:
        self._send(number, data, [], flags, lambda end: end.send(data, flags))

    @rule(number=END, pieces=st.lists(DATA, max_size=3), flags=st.sampled_from([0, MORE]))
    def send_pieces(self, number: int, pieces: list[bytes], flags: int) -> None:
        self._send(number, b"".join(pieces), [], flags, lambda end: end.sendmsg(pieces, [], flags))

    @rule(number=END, data=DATA, kind=TYPE, flags=st.sampled_from([0, 0, EOR, MORE]))
    def send_typed(self, number: int, data: bytes, kind: int, flags: int) -> None:
        control = [(SOL_TLS, 1, bytes([kind]))]
        self._send(number, data, control, flags, lambda end: end.sendmsg([data], control, flags))

    @rule(number=END)
    def send_key_update(self, number: int) -> None:
        self.send_typed(number, KEY_UPDATE, HANDSHAKE, 0)

    @rule(number=END, control=st.sampled_from(BAD_CONTROL))
    def send_badly(self, number: int, control: list[Control]) -> None:
        self._send(number, b"x", control, 0, lambda end: end.sendmsg([b"x"], control))

    @rule(number=END, key=KEY, told=st.booleans())
    def rekey_tx(self, number: int, key: Key, told: bool) -> None:
        if told:
            self.send_key_update(number)
        self._rekey(number, TLS_TX, key)

    @rule(number=END, key=KEY)
    def rekey_rx(self, number: int, key: Key) -> None:
        self._rekey(number, TLS_RX, key)

    @rule(number=END)
    def rekey_rx_to_the_head(self, number: int) -> None:
        model, peer = self.models[number], self.models[1 - number]
        self._rekey(number, TLS_RX, model.arrived[0].key if model.arrived else peer.tx)

    @rule(number=END, size=SIZE)
    def save_the_head_from_a_wrong_key(self, number: int, size: int) -> None:
        self._rekey(number, TLS_RX, Key(3, 9))
        self.recvmsg(number, size, 64, peek=False)
        self.rekey_rx_to_the_head(number)
        self.recvmsg(number, size, 64, peek=False)

    @rule(number=END, direction=st.sampled_from(["Tx", "Rx"]), wrong=st.integers(0, 4))
    def rekey_badly(self, number: int, direction: str, wrong: int) -> None:
        version = self.models[number].version
        good = generation(1, version).struct()
        other = generation(1, TLS12 + TLS13 - version).struct()
        cipher = traffic_key(version, AES_GCM_256).struct()
        value = [good[:3], good[:-1], good + b"\0", other, cipher][wrong]
        optname = {"Tx": TLS_TX, "Rx": TLS_RX}[direction]
        self._same(
            lambda: self.ends[number].setsockopt(SOL_TLS, optname, value),
            lambda: self.models[number].refuse_rekey(direction, value),
        )

    @rule(number=END, size=SIZE, peek=st.booleans(), wait_all=st.booleans())
    def recv(self, number: int, size: int, peek: bool, wait_all: bool) -> None:
        flags = DONTWAIT | PEEK * peek | socket.MSG_WAITALL * wait_all
        self._same(
            lambda: self.ends[number].recv(size, flags),
            lambda: self.models[number].recv(size, 0, flags)[0],
        )

    @rule(number=END, size=SIZE, room=st.sampled_from([0, 15, 16, 17, 64, 64]), peek=st.booleans())
    def recvmsg(self, number: int, size: int, room: int, peek: bool) -> None:
        flags = PEEK * peek
        self._same(
            lambda: self.ends[number].recvmsg(size, room, flags),
            lambda: (*self.models[number].recv(size, room, flags), None),
        )

    @rule(number=END, sizes=st.lists(SIZE, max_size=4))
    def recvmsg_into(self, number: int, sizes: list[int]) -> None:
        buffers = [bytearray(size) for size in sizes]

        def real() -> tuple[bytes, list[Control], int]:
            count, control, flags, _ = self.ends[number].recvmsg_into(buffers, 64)
            return b"".join(buffers)[:count], control, flags

        self._same(real, lambda: self.models[number].recv(sum(sizes), 64, 0))

    @rule(number=END, limit=st.sampled_from([62, 63, 64, 100, 16384, 16385]))
    def limit_payload(self, number: int, limit: int) -> None:
        self._same(
            lambda: self.ends[number].setsockopt(SOL_TLS, 5, struct.pack("H", limit)),
            lambda: self.models[number].set_limit(limit),
        )

    @rule(number=END)
    def take_error(self, number: int) -> None:
        self._same(
            lambda: self.ends[number].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR),
            self.models[number].take_error,
        )

    @precondition(lambda self: self.sent > LATE)
    @rule(number=END, data=st.sampled_from([b"\0", b"\0\0", b"\x17"]))
    def send_without_a_type(self, number: int, data: bytes) -> None:
        self.send_typed(number, data, 0, 0)

    @precondition(lambda self: self.sent > LATE)
    @rule(number=END)
    def shut_down(self, number: int) -> None:
        if not self._peer(number).ended:
            self.ends[number].shutdown(socket.SHUT_WR)
            self._peer(number).ended = self.models[number].shut = True
            poll = select.poll()
            poll.register(self.ends[1 - number].fileno(), RDHUP)
            assert poll.poll(DEADLINE * 1000)

    @invariant()
    def keys_are_those_of_the_model(self) -> None:
        for end, model in self._both():
            for optname, key in ((TLS_TX, model.tx), (TLS_RX, model.rx)):
                assert end.getsockopt(SOL_TLS, optname, 40) == key.struct(model.version)

    @invariant()
    def counters_are_those_of_the_model(self) -> None:
        for number, (_, model) in enumerate(self._both()):
            counted = self.namespaces[number].tls_stat()
            assert {name: value for name, value in counted.items() if value} == +model.counted

    @invariant()
    def readiness_is_that_of_the_model(self) -> None:
        for end, model in self._both():
            if not model.ended:
                seen = end.poll(select.POLLIN, 0)
                want = select.POLLIN * model.readable | select.POLLERR * bool(model.error)
                assert seen == want

    def _both(self) -> list[tuple[KtlsSocket, SocketModel]]:
        return list(zip(getattr(self, "ends", []), getattr(self, "models", []), strict=True))

    def _peer(self, number: int) -> SocketModel:
        return self.models[1 - number]

    def _same(self, real: Callable[[], object], model: Callable[[], object]) -> None:
        assert outcome(real) == outcome(model)

    def _rekey(self, number: int, optname: int, key: Key) -> None:
        model = self.models[number]
        value = generation(key.generation, model.version).at(key.seq).struct()
        modelled = model.rekey_tx if optname == TLS_TX else model.rekey_rx
        self._same(
            lambda: self.ends[number].setsockopt(SOL_TLS, optname, value), lambda: modelled(key)
        )

    def _send(
        self,
        number: int,
        data: bytes,
        control: list[Control],
        flags: int,
        real: Callable[[KtlsSocket], int],
    ) -> None:
        peer = self._peer(number)
        if peer.ended or sum(len(sealed.data) for sealed in peer.arrived) > QUEUED_AT_MOST:
            return

        def modelled() -> int:
            self.models[number].send(data, control, flags)
            return len(data)

        lying = self._lying(1 - number)
        self._same(lambda: real(self.ends[number]), modelled)
        sealed = self.models[number].leaving
        overhead = generation(0, peer.version).overhead
        wire = sum(len(one.data) + overhead for one in sealed)
        self._push(number)
        self._wait_for(1 - number, lying + wire)
        peer.arrived.extend(sealed)
        self.sent += len(sealed)

    def _push(self, number: int) -> None:
        """TCP holds the end of what was sent with MSG_MORE back, until it is told not to."""
        self.ends[number].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _lying(self, number: int) -> int:
        answer = fcntl.ioctl(self.ends[number].fileno(), termios.FIONREAD, bytes(4))
        return int.from_bytes(answer, "little")

    def _wait_for(self, number: int, wire: int) -> None:
        """Exactly so many bytes come to lie with TCP, as nobody reads meanwhile."""
        until = time.monotonic() + DEADLINE
        while self._lying(number) < wire and time.monotonic() < until:
            os.sched_yield()
        assert self._lying(number) == wire


@pytest.mark.timeout(600)  # a failure is made small first, which takes up to five minutes
def test_random_calls_end_as_in_the_model() -> None:
    run_state_machine_as_test(TwoSockets, settings=settings(stateful_step_count=STEPS))
