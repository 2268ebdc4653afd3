"""A simple model of a kernel TLS socket with both keys, after ``docs/kernel-rules.md``.

It has neither wire format nor cipher. A record is its type, its data, and the key and number that
sealed it, and it opens under the same key and number. Calls that fail raise ``OSError`` with the
errno.
"""

import errno
import socket
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ktls_fast._tools.conformance.random_program import key_struct
from tests.ktls_ends import MORE, PEEK, SOL_TLS
from tests.reference import APPLICATION_DATA, HANDSHAKE, MAX_PLAINTEXT, TLS12, TLS13

EOR, CTRUNC = socket.MSG_EOR, socket.MSG_CTRUNC
TAKEN_FLAGS = MORE | EOR | socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
CONTROL_HEADER = 16
Control = tuple[int, int, bytes]


def refused(code: int) -> OSError:
    """Return the error of a call that is refused."""
    return OSError(code, errno.errorcode[code])


@dataclass(frozen=True)
class Key:
    """The generation of a key, and the number of its next record."""

    generation: int
    seq: int

    def struct(self, version: int) -> bytes:
        """Return the key as getsockopt does (S1.5-3).

        In TLS 1.2, which is never rekeyed here, the iv is incremented as well.
        """
        told = key_struct(self.generation, version, self.seq)
        if version == TLS12:
            nonce = int.from_bytes(told[4:12], "big") + self.seq
            told = told[:4] + (nonce % (1 << 64)).to_bytes(8, "big") + told[12:]
        return told

    def next(self) -> "Key":
        """Return the key with the next record number (S2.1-4)."""
        return replace(self, seq=self.seq + 1)


@dataclass(frozen=True)
class Sealed:
    """A record on the wire."""

    key: Key
    record_type: int
    data: bytes

    def open(self, version: int) -> tuple[int, bytes] | None:
        """Return type and data, or None without a type (S3.2-1).

        In TLS 1.3, the type follows the data.
        """
        if version == TLS12:
            return self.record_type, self.data
        inner = (self.data + bytes([self.record_type])).rstrip(b"\0")
        return (inner[-1], inner[:-1]) if inner else None


@dataclass
class Opened:
    """An opened record on rx_list."""

    record_type: int
    data: bytes


@dataclass
class Call:
    """A receive call in progress."""

    size: int
    room: int
    peek: bool
    got: bytes = b""
    record_type: int | None = None
    eor: bool = False

    @property
    def left(self) -> int:
        """The number of bytes that still fit."""
        return self.size - len(self.got)

    def admit(self, record_type: int) -> bool:
        """Return True if the record's type is that of the first record (S3.3-4).

        Raise an error for the first record as S3.3-16 and S3.3-5 require.
        """
        if self.record_type is None:
            if record_type == 0:
                raise refused(errno.EBADMSG)
            self.record_type = record_type
            if record_type != APPLICATION_DATA and self.room <= CONTROL_HEADER:
                raise refused(errno.EIO)
        return record_type == self.record_type

    def end(self, code: int) -> None:
        """Raise the error, unless data was received before it (S3.3-7)."""
        if not self.got:
            raise refused(code)

    def result(self) -> tuple[bytes, list[Control], int]:
        """Return data, control messages and flags (S3.3-1, S3.3-2, S3.3-5)."""
        flags, control = EOR if self.eor else 0, []
        if self.record_type is not None:
            value = bytes([self.record_type]) if self.room > CONTROL_HEADER else b""
            if self.room >= CONTROL_HEADER:
                control.append((SOL_TLS, 2, value))
            flags |= 0 if value else CTRUNC
        return self.got, control, flags


@dataclass
class SocketModel:
    """One end of a connection; ``arrived`` are the records that the peer has sent."""

    version: int
    tx: Key
    rx: Key
    limit: int = MAX_PLAINTEXT
    unsealed: bytes = b""
    held: list[Sealed] = field(default_factory=list)
    leaving: list[Sealed] = field(default_factory=list)
    arrived: deque[Sealed] = field(default_factory=deque)
    opened: deque[Opened] = field(default_factory=deque)
    pending: bool = False
    ended: bool = False
    shut: bool = False
    error: int = 0
    counted: Counter[str] = field(default_factory=Counter)

    def send(self, data: bytes, control: Iterable[Control], flags: int) -> list[Sealed]:
        """Send, and return the records that leave (S2.2).

        If it fails, ``leaving`` contains the records that leave nevertheless.
        """
        self.leaving = []
        if flags & ~TAKEN_FLAGS:
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
        call = Call(size, room, bool(flags & PEEK))
        if self._from_opened(call):
            self._from_wire(call)
        return call.result()

    def rekey_tx(self, key: Key) -> None:
        """Install the next key for sending (K-23 to K-25; S1.4-3)."""
        self._check_rekey("Tx")
        self.tx = key
        self.counted["TlsTxRekeyOk"] += 1

    def rekey_rx(self, key: Key) -> None:
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
        self.leaving += [*self.held, Sealed(self.tx, record_type, self.unsealed)]
        self.tx, self.unsealed, self.held = self.tx.next(), b"", []

    def _check_rekey(self, direction: str) -> None:
        if self.version == TLS12:
            self.counted[f"Tls{direction}RekeyError"] += 1
            raise refused(errno.EBUSY)

    def _from_opened(self, call: Call) -> bool:
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

    def _from_wire(self, call: Call) -> None:
        """Open the records of the wire in turn and receive them (S3.4-1)."""
        while call.left:
            if self.pending:
                return call.end(errno.EKEYEXPIRED)
            if not self.arrived:
                return self._starved(call)
            record = self._open()
            if record is None:
                return call.end(errno.EBADMSG)
            if not self._deliver(record, call):
                return None
        return None

    def _starved(self, call: Call) -> None:
        if call.got or (self.ended and not self.error):
            return
        raise refused(self.take_error() or errno.EAGAIN)

    def _open(self) -> Opened | None:
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
        return Opened(*inner)

    def _deliver(self, record: Opened, call: Call) -> bool:
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
