"""A simple model of a kernel TLS socket with both keys, after ``docs/kernel-rules.md``.

It has neither wire format nor cipher. A record is its type, its data, and the key and number that
sealed it, and it opens under the same key and number. Calls that fail raise ``OSError`` with the
errno.
"""

import errno
import socket
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.ktls_ends import MORE, PEEK, SOL_TLS
from tests.ktls_model_records import (
    Control,
    ModelKey,
    OpenedRecord,
    ReceiveCall,
    SealedRecord,
    refused,
)
from tests.reference import APPLICATION_DATA, HANDSHAKE, MAX_PLAINTEXT, TLS12, TLS13

EOR = socket.MSG_EOR
ACCEPTED_FLAGS = MORE | EOR | socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL


@dataclass
class SocketModel:
    """One end of a connection; ``arrived`` are the records that the peer has sent."""

    version: int
    tx: ModelKey
    rx: ModelKey
    limit: int = MAX_PLAINTEXT
    unsealed: bytes = b""
    held: list[SealedRecord] = field(default_factory=list)
    leaving: list[SealedRecord] = field(default_factory=list)
    arrived: deque[SealedRecord] = field(default_factory=deque)
    opened: deque[OpenedRecord] = field(default_factory=deque)
    pending: bool = False
    ended: bool = False
    shut: bool = False
    error: int = 0
    counted: Counter[str] = field(default_factory=Counter)

    def send(self, data: bytes, control: Iterable[Control], flags: int) -> list[SealedRecord]:
        """Send, and return the records that leave (S2.2).

        If it fails, ``leaving`` contains the records that leave nevertheless.
        """
        self.leaving = []
        if flags & ~ACCEPTED_FLAGS:
            raise refused(errno.EOPNOTSUPP)
        if flags & MORE and flags & EOR:
            raise refused(errno.EINVAL)
        record_type = self._record_type(list(control), flags)
        if data:
            self._check_error()
        while data:
            room = self.limit - len(self.unsealed)
            piece, data = data[:room], data[room:]
            self.unsealed += piece
            if len(piece) == room or not flags & MORE:
                self._seal(APPLICATION_DATA if record_type is None else record_type)
        return self.leaving

    def recv(self, size: int, room: int, flags: int) -> tuple[bytes, list[Control], int]:
        """Receive without waiting (S3.3, S3.4)."""
        call = ReceiveCall(size, room, bool(flags & PEEK))
        if self._from_opened(call):
            self._from_wire(call)
        return call.result()

    def rekey_tx(self, key: ModelKey) -> None:
        """Install the next key for sending (K-23 to K-25; S1.4-3)."""
        self._check_rekey("Tx")
        self.tx = key
        self.counted["TlsTxRekeyOk"] += 1

    def rekey_rx(self, key: ModelKey) -> None:
        """Install the next key for receiving (K-16 to K-19; S1.4-3)."""
        self._check_rekey("Rx")
        self.rx, self.pending = key, False
        self.counted["TlsRxRekeyOk"] += 1

    def refuse_rekey(self, direction: str, value: bytes) -> None:
        """Refuse a key of wrong length, version or cipher (S1.4-2, S1.4-3, S1.4-4, S1.4-8)."""
        if len(value) >= 4:
            self._check_rekey(direction)
            self.counted[f"Tls{direction}RekeyError"] += 1
        raise refused(errno.EINVAL)

    def set_limit(self, limit: int) -> None:
        """Set the maximum payload (S1.4-16, S1.4-17)."""
        if self.unsealed:
            raise refused(errno.EBUSY)
        if not 64 - (self.version == TLS13) <= limit <= MAX_PLAINTEXT:
            raise refused(errno.EINVAL)
        self.limit = limit

    def take_error(self) -> int:
        """Return the pending error, as ``SO_ERROR`` does, and clear it."""
        code, self.error = self.error, 0
        return code

    @property
    def readable(self) -> bool:
        """Whether a poll reports POLLIN (S3.6-1, K-13), or after shutdown that of TCP (S3.6-2)."""
        if self.shut:
            return bool(self.arrived)
        return bool(self.opened or self.arrived) and not self.pending

    def _record_type(self, control: list[Control], flags: int) -> int | None:
        """Return the record type of control messages (S2.2-4 to S2.2-6).

        The first valid type ends an open record, even if an invalid one follows.
        """
        found = None
        for level, kind, value in control:
            if level == SOL_TLS:
                if kind != 1 or not value or flags & MORE:
                    raise refused(errno.EINVAL)
                found = value[0]
                self._end_open()
        if control and found is None:
            raise refused(errno.EINVAL)
        return found

    def _end_open(self) -> None:
        """Seal the open record; with a pending error, hold it back until the next record."""
        if self.unsealed:
            self._seal(APPLICATION_DATA)
            if self.error:
                self.held, self.leaving = self.leaving, []
                self._check_error()

    def _check_error(self) -> None:
        """Raise the pending error (S2.2-11)."""
        if self.error:
            raise refused(self.error)

    def _seal(self, record_type: int) -> None:
        self.leaving += [*self.held, SealedRecord(self.tx, record_type, self.unsealed)]
        self.tx, self.unsealed, self.held = self.tx.next(), b"", []

    def _check_rekey(self, direction: str) -> None:
        if self.version == TLS12:
            self.counted[f"Tls{direction}RekeyError"] += 1
            raise refused(errno.EBUSY)

    def _from_opened(self, call: ReceiveCall) -> bool:
        """Receive from rx_list; return True if the call continues with records of the wire."""
        for record in list(self.opened):
            if not call.left:
                return False
            if not call.admit(record.record_type):
                return False
            piece = record.data[: call.left]
            call.got += piece
            if not call.peek:
                record.data = record.data[len(piece) :]
                if record.data:
                    return False
                self.opened.popleft()
            call.eor = True
        return bool(call.left) and call.record_type in {None, APPLICATION_DATA}

    def _from_wire(self, call: ReceiveCall) -> None:
        """Open the records of the wire in turn and receive them (S3.4-1)."""
        while call.left:
            if self.pending:
                return call.end(errno.EKEYEXPIRED)
            if not self.arrived:
                return self._end_of_arrived(call)
            record = self._open()
            if record is None:
                return call.end(errno.EBADMSG)
            if not self._deliver(record, call):
                return None
        return None

    def _end_of_arrived(self, call: ReceiveCall) -> None:
        if call.got or (self.ended and not self.error):
            return
        raise refused(self.take_error() or errno.EAGAIN)

    def _open(self) -> OpenedRecord | None:
        """Open the first record; one that does not open stays (S3.2-2)."""
        head = self.arrived[0]
        inner = head.open(self.version)
        if head.key != self.rx or inner is None:
            self.error = errno.EBADMSG
            self.counted["TlsDecryptError"] += head.key != self.rx
            return None
        self.arrived.popleft()
        self.rx = self.rx.next()
        if inner[0] == HANDSHAKE and inner[1][:1] == b"\x18":  # K-1 to K-3
            self.pending = True
            self.counted["TlsRxRekeyReceived"] += 1
        return OpenedRecord(*inner)

    def _deliver(self, record: OpenedRecord, call: ReceiveCall) -> bool:
        """Deliver a record; return True if the call continues after it."""
        self.opened.append(record)
        if not call.admit(record.record_type):
            return False
        piece = record.data[: call.left]
        call.got += piece
        if not call.peek:
            record.data = record.data[len(piece) :]
            if not record.data:
                self.opened.pop()
                call.eor = True
        return record.record_type == APPLICATION_DATA
