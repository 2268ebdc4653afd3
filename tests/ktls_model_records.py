"""The records, keys and receive calls of the model of a kernel TLS socket."""

import errno
import socket
from dataclasses import dataclass, replace

from ktls_fast._tools.conformance.random_program import key_struct
from tests.ktls_ends import SOL_TLS
from tests.reference import APPLICATION_DATA, TLS12

EOR, CTRUNC = socket.MSG_EOR, socket.MSG_CTRUNC
CONTROL_HEADER = 16
Control = tuple[int, int, bytes]


def refused(code: int) -> OSError:
    """Return the error of a call that is refused."""
    return OSError(code, errno.errorcode[code])


@dataclass(frozen=True)
class ModelKey:
    """The generation of a key, and the number of its next record."""

    generation: int
    seq: int

    def struct(self, version: int) -> bytes:
        """Return the key as getsockopt does (S1.5-3).

        In TLS 1.2, which is never rekeyed here, the iv is incremented as well.
        """
        value = key_struct(self.generation, version, self.seq)
        if version == TLS12:
            nonce = int.from_bytes(value[4:12], "big") + self.seq
            value = value[:4] + (nonce % (1 << 64)).to_bytes(8, "big") + value[12:]
        return value

    def next(self) -> "ModelKey":
        """Return the key with the next record number (S2.1-4)."""
        return replace(self, seq=self.seq + 1)


@dataclass(frozen=True)
class SealedRecord:
    """A record on the wire."""

    key: ModelKey
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
class OpenedRecord:
    """An opened record on rx_list."""

    record_type: int
    data: bytes


@dataclass
class ReceiveCall:
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
