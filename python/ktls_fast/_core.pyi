"""The compiled part of :mod:`ktls_fast`.

Conventions. *Buffer* is any C-contiguous bytes-like object (``bytes``, ``bytearray``,
``memoryview``, ``mmap``, ``array.array``, a ``ctypes`` structure or array, a NumPy array), whatever
its items are, as :meth:`socket.socket.send` takes it; only memory with references to objects is
refused. An *array* of ``int64`` or ``uint8`` is a one-dimensional buffer with such items; those in
results are NumPy's and are made when they are asked for (``ImportError`` without NumPy). Buffers
are read and written in place while the GIL is released: another thread that writes to one during
the call gets undefined record contents. All lengths and offsets are in bytes, all sequence numbers
count records. ``BlockingIOError`` means "not yet", ``TimeoutError`` that the socket's timeout has
passed, ``BrokenPipeError`` and ``ConnectionResetError`` that the connection is gone, and
``MemoryError`` that there is no memory for what was asked for; every other refusal is a
:class:`ktls_fast.KtlsError` with the errno of a kernel TLS socket. What is refused leaves state
unchanged. The module can be imported in the main interpreter only; a subinterpreter gets
``ImportError``.
"""

from collections.abc import Callable, Iterable
from socket import socket
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, TypeAlias, final, overload

import numpy as np
from _typeshed import FileDescriptorLike, SupportsRead
from numpy.typing import NDArray
from typing_extensions import Buffer

_Password: TypeAlias = str | bytes | bytearray | Callable[[], str | bytes | bytearray]
_Buffer: TypeAlias = Buffer | NDArray[Any]  # NumPy tells Python 3.12 only that it is one
_Int64Array: TypeAlias = Buffer | NDArray[np.int64]  # what a buffer's items are, types cannot tell
_Uint8Array: TypeAlias = Buffer | NDArray[np.uint8]

__all__ = [
    "ClientConfig",
    "Connection",
    "ControlRecord",
    "CryptoInfo",
    "KeyUpdateFound",
    "KeyUpdateScanner",
    "KtlsSocket",
    "Namespace",
    "OffloadQueue",
    "OpenedBatch",
    "Opener",
    "QueueStats",
    "Relay",
    "RelayHandle",
    "SealedBatch",
    "Sealer",
    "ServerConfig",
    "TlsInfo",
    "TrafficSecret",
    "_Bell",
    "__version__",
    "_answer_backend_keyword",
    "_finish_closing",
    "_simulate",
    "aead_in_use",
    "cpu_features",
    "key_update_message",
    "scan_key_updates",
    "tls_stat",
]

@final
class CryptoInfo:
    """The kernel's ``tls12_crypto_info_*``: what ``TLS_TX`` and ``TLS_RX`` take.

    ``bytes(info)`` is the struct as the kernel lays it out (``docs/kernel-rules.md``, S1.2). The
    repr names version, cipher and rec_seq; instances refuse to be pickled, compare in constant time
    and wipe their memory when they go.
    """

    def __new__(
        cls,
        version: int,
        cipher_type: int,
        *,
        key: _Buffer,
        iv: _Buffer,
        salt: _Buffer | None = None,
        rec_seq: int = 0,
    ) -> Self:
        """Describe one traffic key.

        :param version: 0x0303 or 0x0304.
        :param cipher_type: one of :class:`ktls_fast.CipherType`, 51 to 58.
        :param iv: the 8 bytes after the salt (12 for ChaCha20-Poly1305, which has no salt).
        :raises KtlsError: EINVAL for an unknown version or cipher, a wrong length, or ARIA with
            1.3.
        """

    @staticmethod
    def from_bytes(data: _Buffer) -> CryptoInfo:
        """Read the kernel's struct; its length must be exactly the cipher's.

        :raises KtlsError: EINVAL as the constructor, and for any other length.
        """

    @property
    def version(self) -> int: ...
    @property
    def cipher_type(self) -> int: ...
    @property
    def rec_seq(self) -> int:
        """The number of the first record under this key."""

    def __bytes__(self) -> bytes: ...

@final
class TrafficSecret:
    """``application_traffic_secret_N`` of one direction (RFC 8446 §7.1)."""

    def __new__(cls, suite: int, secret: _Buffer, *, generation: int = 0) -> Self:
        """Hold a secret.

        :param suite: a :class:`ktls_fast.Suite`, e.g. 0x1301.
        :param secret: as long as the suite's hash: 32 or 48 bytes.
        :raises KtlsError: EINVAL for an unknown suite or a wrong length.
        """

    @property
    def suite(self) -> int: ...
    @property
    def generation(self) -> int:
        """N: how many key updates lie behind this secret."""

    def crypto_info(self, rec_seq: int = 0) -> CryptoInfo:
        """The traffic key and iv of this secret (RFC 8446 §7.3) as a TLS 1.3 ``CryptoInfo``."""

    def next(self) -> TrafficSecret:
        """The next generation: HKDF-Expand-Label(secret, "traffic upd", "", hash length) (§7.2)."""

@final
class SealedBatch:
    """Records made by one :meth:`Sealer.seal_batch`."""

    @property
    def wire(self) -> memoryview:
        """All records, back to back: a view of ``out`` or of a fresh buffer."""

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where each record starts in :attr:`wire`; shape (n,)."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The length of each record, header and tag included; shape (n,)."""

    def __len__(self) -> int:
        """The number of records."""

@final
class Sealer:
    """Seals records in order under one traffic key, framed as the kernel frames them.

    ``docs/kernel-rules.md``, S2.1, describes the frame.

    After a fork the first of the two processes that seals keeps the sealer, and the other one gets
    EBUSY: both would use the same nonces. After a fork without the hooks of :func:`os.fork`, as by
    a C library, it stays with the parent.

    A sealer remembers which keys it has had, 8 bytes for each, but not the keys: two sealers with
    one key know nothing of each other.
    """

    def __new__(cls, info: CryptoInfo | _Buffer, *, record_limit: int | None = None) -> Self:
        """Take a key.

        :param info: a ``CryptoInfo`` or the kernel's struct as bytes.
        :param record_limit: records that may be sealed under one key; at most, and by default, the
            suite's hard limit (RFC 8446 §5.5). Those before the ``rec_seq`` of the key count:
            whoever had the key before has sealed them. The KeyUpdate is one of them, so send it
            while :attr:`needs_rekey` is true and the limit is not reached.
        :raises KtlsError: EINVAL for a bad struct, ENOENT for a cipher that is not there.
        :raises ValueError: a ``record_limit`` below 0 or above 2**64 - 1.
        """

    @property
    def rec_seq(self) -> int:
        """The number of the next record."""

    @property
    def generation(self) -> int:
        """How often :meth:`rekey` has succeeded."""

    @property
    def needs_rekey(self) -> bool:
        """True from the soft limit on, before the hard one, so that there is time for a KeyUpdate.

        For AES-GCM after 2**24 records of 23,726,566, for AES-CCM after 2**22 of 2**23, for
        ChaCha20-Poly1305 after 2**62; with a ``record_limit`` of N, when at most N/8 records are
        left, and at least one, if that is sooner. Ask before each record or batch: a batch that
        passes the limit is refused.
        """

    @property
    def overhead(self) -> int:
        """Bytes that a record has on top of its plaintext: 22 in TLS 1.3, 29 or 21 in TLS 1.2."""

    def seal(self, data: _Buffer, record_type: int = 23) -> bytes:
        """Seal at most 16384 bytes as one record.

        :raises RecordTooLargeError: EMSGSIZE, more than 16384 bytes.
        :raises KeyLimitError: EKEYEXPIRED, the key may seal no more records.
        :raises KtlsError: EINVAL for ``record_type`` 0 in TLS 1.3, where zeros are padding and the
            last byte of ``data`` would become the type.
        """

    def seal_into(self, data: _Buffer, out: _Buffer, record_type: int = 23) -> int:
        """Seal one record into the start of the writable buffer ``out``; returns its length.

        No other thread may write to ``out`` during the call: the tag is made of the ciphertext that
        lies there, so that it would be valid for what the other thread wrote. What ``data`` has
        when it is read, once, is sealed.

        :raises KtlsError: ENOBUFS when ``out`` is too small, EINVAL when the two buffers overlap.
        """

    def seal_batch(
        self,
        data: _Buffer,
        *,
        record_size: int = 16384,
        record_type: int = 23,
        offsets: _Int64Array | None = None,
        lengths: _Int64Array | None = None,
        types: _Uint8Array | None = None,
        out: _Buffer | None = None,
        threads: int = 1,
    ) -> SealedBatch:
        """Seal many records in one call: all of them, or none and nothing is spent.

        Without ``offsets`` the buffer is cut every ``record_size`` bytes (no bytes: no record).
        With
        ``offsets`` and ``lengths`` (shape (n,)) record ``i`` is
        ``data[offsets[i]:offsets[i]+lengths[i]]``;
        ``types`` (shape (n,), default all ``record_type``) gives each its content type.

        :param out: writable, at least the sum of the plaintexts + ``n * overhead`` bytes; must not
            overlap ``data``, nor be written to by another thread, as in :meth:`seal_into`.
        :param threads: 1 to 1024 that work on this batch, the caller's among them. The others are
            started for it, so that it pays from a few MiB on.
        :raises RecordTooLargeError: EMSGSIZE, a piece is over 16384 bytes.
        :raises KeyLimitError: EKEYEXPIRED, fewer records than asked for are left under this key.
        :raises KtlsError: ENOBUFS, EINVAL as :meth:`seal_into`; EINVAL for pieces outside ``data``
            and for ``threads``.
        """

    def rekey(self, info: CryptoInfo | _Buffer) -> None:
        """Switch to the next key; ``rec_seq`` is taken from ``info`` (K-17).

        :raises KtlsError: EINVAL when version or cipher differ, and for a key that is in use or was
            used here before, whatever its iv and ``rec_seq``; EBUSY in TLS 1.2.
        """

@final
class OpenedBatch:
    """What one :meth:`Opener.open_batch` found."""

    @property
    def data(self) -> memoryview:
        """The plaintexts, packed: a view of ``out`` or of a fresh buffer.

        Memory of 32 MiB and more is kept, unwiped, for later batches once nobody looks at it: two
        buffers of at most 256 MiB. That of :attr:`SealedBatch.wire` too.
        """

    @property
    def types(self) -> NDArray[np.uint8]:
        """The content type of each record; shape (n,)."""

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where each plaintext starts in :attr:`data`; shape (n,)."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The length of each plaintext; shape (n,)."""

    @property
    def consumed(self) -> int:
        """Bytes of ``wire`` that were opened; the rest is to be passed again."""

    @property
    def stopped(self) -> str | None:
        """Why it stopped before the end of the whole records, or None.

        ``"key_update"``: the last record ends a KeyUpdate, install the next key;
        ``"full"``: the next plaintext does not fit ``out``;
        ``"error"``: the record at ``consumed`` is bad, see :attr:`error`.
        """

    @property
    def error(self) -> Exception | None:
        """The error of the record at :attr:`consumed`, which would be number ``len(self)``."""

    def __len__(self) -> int:
        """The number of records opened."""

@final
class Opener:
    """Opens records in order under one traffic key, with the kernel's limits.

    ``docs/kernel-rules.md``, S3.1 and S3.2, list the limits.
    """

    def __new__(cls, info: CryptoInfo | _Buffer) -> Self:
        """Take a key, as :class:`Sealer`."""

    @property
    def rec_seq(self) -> int: ...
    @property
    def generation(self) -> int: ...
    @property
    def paused(self) -> bool:
        """True between a KeyUpdate and :meth:`rekey`."""

    def open(self, record: _Buffer) -> tuple[int, bytes]:
        """Open exactly one record; returns its content type and plaintext.

        :raises BadRecordError: EBADMSG, the record does not authenticate, or is cut or too short.
        :raises RecordTooLargeError: EMSGSIZE, its length field is over the limit.
        :raises KeyExpiredError: EKEYEXPIRED, a KeyUpdate was opened and the next key is not there.
        """

    def open_batch(
        self, wire: _Buffer, out: _Buffer | None = None, *, threads: int = 1
    ) -> OpenedBatch:
        """Open as many whole records as ``wire`` holds.

        Never raises for what the peer sent, unless already the first record fails for that reason:
        see :attr:`OpenedBatch.stopped`. No plaintext of a record whose tag is wrong
        is left in ``out``.

        :param out: writable; ``len(wire)`` bytes are always enough; must not overlap ``wire``.
            While the call runs, another thread that looks may see plaintext in it before its tag
            was verified, and of records that turn out to be forged: read it after the call.
        :param threads: as in :meth:`Sealer.seal_batch`.
        :raises KeyExpiredError: EKEYEXPIRED, paused.
        :raises KtlsError: EINVAL when the buffers overlap, and for ``threads``.
        """

    def rekey(self, info: CryptoInfo | _Buffer) -> None:
        """Install the next key and resume, as :meth:`Sealer.rekey` (K-16 … K-20).

        A key that was used before is refused here, too: its records could be played again.
        """

class KeyUpdateFound(NamedTuple):
    """A KeyUpdate, or what stands where one may not."""

    record: int
    """Index of the record in which the message ends."""
    update_requested: bool
    """The peer wants a KeyUpdate in return."""
    fault: str | None
    """None, ``"data_after"`` (more handshake bytes follow in the record: the key would change off a
    record boundary), ``"interleaved"`` (another content type inside the message), ``"bad_length"``
    or ``"bad_value"`` (RFC 9846 §4.7.3, §5.1)."""

def _finish_closing() -> None:
    """Wait for what :meth:`Connection.close` has left to do, as at the exit of the interpreter.

    For a process that ends by ``os._exit``.
    """

def key_update_message(request: bool = False) -> bytes:
    """The five bytes of a KeyUpdate (RFC 8446 §4.6.3), to send as a record of type 22.

    The sender seals it under the old key, and everything after it under the next one.

    :param request: ask the peer for a KeyUpdate in return.
    """

def scan_key_updates(
    types: _Uint8Array,
    offsets: _Int64Array,
    lengths: _Int64Array,
    data: _Buffer,
) -> list[KeyUpdateFound]:
    """Find every KeyUpdate in opened records, whole, coalesced or fragmented.

    The arrays, each of shape (n,), are those of an :class:`OpenedBatch`, or of several joined.

    :raises KtlsError: EINVAL when the arrays differ in length or point outside ``data``.
    """

@final
class KeyUpdateScanner:
    """:func:`scan_key_updates` for records that come one after the other."""

    def __new__(cls) -> Self: ...
    def feed(self, record_type: int, data: _Buffer) -> list[KeyUpdateFound]:
        """Scan the next record; ``record`` counts from the scanner's first record."""

    @property
    def at_boundary(self) -> bool:
        """True when no handshake message is half read: a key may change here."""

@final
class Namespace:
    """Counters of their own, as a network namespace has them, for the sockets made with it."""

    def __new__(cls) -> Self: ...
    @overload
    def tls_stat(self, *, format: Literal["dict"] = "dict") -> dict[str, int]: ...
    @overload
    def tls_stat(self, *, format: Literal["proc"]) -> str: ...

@overload
def tls_stat(
    *, format: Literal["dict"] = "dict", namespace: Namespace | None = None
) -> dict[str, int]:
    """The counters under the names of ``/proc/net/tls_stat``; ``"proc"`` gives its text.

    ``docs/kernel-rules.md``, S6.1, has their rules.

    They are those of ``namespace``, or of all sockets and connections of this process without one.
    Six more, of key updates under offload, follow the kernel's while they are not zero.
    """

@overload
def tls_stat(*, format: Literal["proc"], namespace: Namespace | None = None) -> str: ...
def _answer_backend_keyword(function: Callable[..., object], /) -> None:
    """Let ``function`` answer ``KtlsSocket(sock, backend=...)``; the first one stays."""

def _simulate(
    scenario: object,
) -> tuple[
    str | None,
    dict[str, Any],
    list[tuple[int, int, str, int | None, int | None, int | None, str | None, bool]],
    list[str],
    bytes,
    str,
]:
    """Run a scenario: violation, summary, events, trace, pcap, key log (:mod:`ktls_fast.simulate`).

    :raises KtlsError: EINVAL naming the attribute that is out of range.
    """

__pyx_capi__: dict[str, object]
"""The functions of ``ktls_fast.pxd``, as capsules, for ``cimport ktls_fast``."""

__version__: str
"""The version of the package, as in ``Cargo.toml``."""

def aead_in_use() -> dict[str, str]:
    """Which implementation seals each cipher, e.g. ``{"AES_GCM_128": "vaes-avx2"}``.

    The environment variable ``KTLS_FAST_AEAD`` (``auto``, ``vaes`` or ``aws-lc``) chooses who does
    AES-GCM; while it cannot be honoured, the ciphers are left out and making a key is refused.
    """

def cpu_features() -> list[str]:
    """The CPU features that matter for record speed and that this machine has."""

class TlsInfo(NamedTuple):
    """What ``sock_diag`` tells of a TLS socket (``docs/kernel-rules.md``, S6.2).

    None: the attribute is left out.
    """

    version: int | None
    """One of :class:`ktls_fast.Version`; None until a direction has a key."""
    cipher_type: int | None
    """One of :class:`ktls_fast.CipherType`; None until a direction has a key."""
    tx_conf: int
    """What carries the sending direction: one of :class:`ktls_fast.TlsConf`."""
    rx_conf: int
    """What carries the receiving direction."""
    zc_ro_tx: bool
    """``TLS_TX_ZEROCOPY_RO`` is on and a device sends: never, as none does here."""
    rx_no_pad: bool
    """``TLS_RX_EXPECT_NO_PAD``"""
    tx_max_payload_len: int
    """``TLS_TX_MAX_PAYLOAD_LEN``"""

@final
class QueueStats(NamedTuple):
    """What an :class:`OffloadQueue` has done."""

    submitted: int
    """Records that sockets put into their rings."""
    completed: int
    """Of these, those that are with TCP, or lost with their connection."""
    software: int
    """Of the submitted ones, those that the sender sealed itself, amid a key update."""
    ring_full: int
    """How often a send met a full ring."""
    depth: int
    """Records in the rings now."""
    slots: int
    """Key slots in use."""

@final
class OffloadQueue:
    """Threads that seal, write and open for the sockets that have it as their ``device``.

    A send puts one descriptor per record into the ring of its connection. ``bytes`` are not copied,
    and let go with the next call on the queue or one of its sockets after the record was sealed;
    any other buffer is copied. A full ring makes a send wait, or fail with EAGAIN. An error of TCP
    is reported by the next call, as after any write behind a call's back. Records are opened ahead
    of the reader, at most 256 KiB per connection; errors and KeyUpdates still wait for it.

    Each direction of a connection takes a key slot; without one it stays in software. A key update
    goes through software until the peer has acknowledged all that went before. Process exit loses
    what is in the rings: close the queue before.
    """

    def __new__(
        cls,
        workers: int = 1,
        *,
        depth: int = 256,
        slots: int = 64,
        policy: Literal["cover-letter", "v17"] = "cover-letter",
    ) -> Self:
        """Make a queue; its threads start with their first connection.

        One for which the system has no thread stays in software.

        :param workers: threads; 0 is the software path.
        :param depth: records in the ring of each connection.
        :param slots: keys.
        :param policy: how a key update goes on; see docs/offload.md.
        :raises ValueError: a number out of range, or an unknown policy.
        """

    def stats(self) -> QueueStats:
        """Give what it has done.

        :raises KtlsError: EBUSY in a child of a fork.
        """

    def close(self) -> None:
        """Let what was accepted leave, for at most a minute, and end the threads.

        Its sockets go on in software.

        :raises KtlsError: EBUSY in a child of a fork.
        """

    @property
    def closed(self) -> bool:
        """True once it was closed."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
        /,
    ) -> None: ...

@final
class KtlsSocket:
    """A connected TCP socket that behaves as one with the kernel's tls ULP.

    ``docs/kernel-rules.md`` lists its rules.

    Same calls, names, order and results as :class:`socket.socket`, and as there a
    ``ResourceWarning`` when it is dropped open.

    Records are made and opened in this object and not in the kernel: what goes to :meth:`fileno`
    past it is on the wire as it is. ``os.write(sock.fileno(), data)`` **sends plaintext**, and
    ``os.read`` takes ciphertext away from under the socket. The same do ``os.splice`` and
    ``os.sendfile``, ``socket.socket(fileno=...)``, a child process that has the descriptor, and an
    event loop whose transport is made of the number. Wait for the number, and leave reading and
    writing to the methods.

    After a fork the first of the two processes that uses the socket keeps it; the other one gets
    EBUSY with the first one's pid. To close it, or to ask for its ``fileno`` or names, is no use.
    """

    def __new__(
        cls,
        sock: socket,
        *,
        namespace: Namespace | None = None,
        device: OffloadQueue | None = None,
        record_limit: int | None = None,
        backend: Literal["auto", "engine", "kernel"] | None = None,
    ) -> Self:
        """Take over ``sock`` (it is detached) with its timeout.

        The host's kernel is chosen by :func:`ktls_fast.ktls_socket`.

        :param namespace: where it counts; default: the counters of the process.
        :param device: whose workers seal and open; default: the calls themselves.
        :param record_limit: records that one key may seal; those before its ``rec_seq`` count. A
            send takes as many records as are left and returns their bytes; one that finds none left
            fails with :class:`KeyLimitError`, and nothing of it is taken.
            Then one KeyUpdate (TLS 1.3, type 22, a whole message in a call of its own) may still
            leave, as record N + 1: the peer has to be told under the old key, and a limit that is
            the AEAD's has room for it. The next key goes on. Default: no limit, as in the kernel,
            which seals past what the AEAD can protect (RFC 8446 §5.5); ``TlsTxPastKeyLimit`` in
            :func:`tls_stat` counts these records.
        :param backend: deprecated, and gone in 0.3. With it the call warns, and returns what
            :func:`ktls_fast.ktls_socket` returns, which is no ``KtlsSocket`` for ``"kernel"``.
        :raises ValueError: the socket is closed, or ``record_limit`` is below 0 or above 2**64 - 1.
        :raises KtlsError: EBUSY when ``device`` came along with a fork.
        """

    @property
    def backend(self) -> Literal["engine"]:
        """Who carries the socket; a ``KernelSocket`` says ``"kernel"``."""

    def setsockopt(
        self,
        level: int,
        optname: int,
        value: _Buffer | CryptoInfo | int | None,
        optlen: int | None = None,
        /,
    ) -> None:
        """Attach the ULP, install keys, or set an option of TCP.

        ``(IPPROTO_TCP, TCP_ULP, b"tls")``, ``(SOL_TLS, TLS_TX | TLS_RX, info)``; ``TLS_TX`` and
        ``TLS_RX`` again install the next key (K-16 … K-24).

        As the kernel does, it takes a key that was used before: with the same iv and record numbers
        nonces then come twice, which gives plaintext and authentication away. Only ever set
        the next key of the chain, once, and count no record number back.

        :raises KtlsError: ENOTCONN, EEXIST, ENOENT, EINVAL, EBUSY, ENOPROTOOPT as
            ``docs/kernel-rules.md``, S1.3 and S1.4 say.
        """

    def getsockopt(self, level: int, optname: int, buflen: int = 0, /) -> int | bytes: ...
    def send(self, data: _Buffer, flags: int = 0, /) -> int: ...
    def sendall(self, data: _Buffer, flags: int = 0, /) -> None: ...
    def sendmsg(
        self,
        buffers: Iterable[_Buffer],
        ancdata: Iterable[tuple[int, int, _Buffer]] | None = None,
        flags: int = 0,
        address: tuple[Any, ...] | None = None,
        /,
    ) -> int:
        """Send; ``[(SOL_TLS, TLS_SET_RECORD_TYPE, bytes([t]))]`` makes records of type ``t``.

        As the kernel, it takes type 0, which the peer of a TLS 1.3 connection reads as padding: the
        last byte of data becomes the type.

        :param address: not looked at, as a connected socket sends to its peer.
        """

    def sendto(
        self,
        data: _Buffer,
        flags_or_address: int | tuple[Any, ...],
        address: tuple[Any, ...] | None = None,
        /,
    ) -> int:
        """Send to the peer: ``(data, address)`` or ``(data, flags, address)``.

        :param address: not looked at.
        """

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes: ...
    def recv_into(self, buffer: _Buffer, nbytes: int = 0, flags: int = 0) -> int:
        """As :meth:`recv`, into ``buffer``, which no other thread may read during the call.

        What it saw there might be of a record that turns out to be forged.
        """

    def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[bytes, list[tuple[int, int, bytes]], int, None]:
        """Receive with the record type as ``(SOL_TLS, TLS_GET_RECORD_TYPE, bytes([t]))``."""

    def recvmsg_into(
        self, buffers: Iterable[_Buffer], ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[int, list[tuple[int, int, bytes]], int, None]: ...
    def fileno(self) -> int: ...
    def settimeout(self, value: float | None, /) -> None: ...
    def gettimeout(self) -> float | None: ...
    def setblocking(self, flag: bool, /) -> None: ...
    def getblocking(self) -> bool: ...
    def dup(self) -> KtlsSocket:
        """Another descriptor of the same socket, with the same keys and state.

        The last that is closed closes the socket; the first one's descriptor stays open until then.
        """

    def bind(self, address: tuple[Any, ...], /) -> None: ...
    def connect(self, address: tuple[Any, ...], /) -> None:
        """Connect; only before the ULP is attached.

        :raises KtlsError: EISCONN with the ULP, also after a shutdown.
        """

    def listen(self, backlog: int = 128, /) -> None:
        """Listen; only before the ULP is attached.

        :raises KtlsError: EINVAL with the ULP.
        """

    def getsockname(self) -> Any: ...  # noqa: ANN401
    def getpeername(self) -> Any: ...  # noqa: ANN401
    def sendfile(
        self,
        file: FileDescriptorLike | SupportsRead[bytes],
        offset: int = 0,
        count: int | None = None,
    ) -> int:
        """Send a file up to its end or ``count`` bytes, as :meth:`socket.socket.sendfile`.

        All records but the last are full (``docs/kernel-rules.md``, S2.4). Afterwards, also when
        the call fails or times out, the file's position is behind what was sent. ``file`` is opened
        in binary mode; what has no offsets, as a pipe or an object that only has ``read``, is sent
        as it is read. The timeout counts from the last time that TCP took something.

        :raises ValueError: text mode, a count of 0, or a non-blocking socket.
        """

    def splice_from(self, fd_in: FileDescriptorLike, n: int, flags: int = 0, /) -> int:
        """Send up to ``n`` bytes of what a pipe holds, as :func:`os.splice` to a kernel socket.

        Waits while the pipe is empty, and only ``SPLICE_F_NONBLOCK`` or ``O_NONBLOCK`` of the pipe
        change that. ``SPLICE_F_MORE`` keeps the record open. What is not sent stays in the pipe;
        no other may read it during the call.

        :param fd_in: the pipe, a descriptor or an object with ``fileno``.
        :returns: 0 at the end of the pipe.
        :raises OSError: EINVAL when it is no pipe or a flag is unknown.
        """

    def splice_to(self, fd_out: FileDescriptorLike, n: int, flags: int = 0, /) -> int:
        """Move up to ``n`` bytes of the next data record into a pipe.

        Waits for a record, and only ``SPLICE_F_NONBLOCK`` or ``O_NONBLOCK`` of the pipe change
        that. What does not fit stays (``docs/kernel-rules.md``, S3.7).

        :param fd_out: the pipe, a descriptor or an object with ``fileno``.
        :returns: 0 at the end of the stream, and for an empty record.
        :raises KtlsError: EINVAL at a control record, which ``recvmsg`` gets.
        :raises KeyExpiredError: a KeyUpdate is pending, and nothing opened is left.
        """

    def poll(self, events: int, timeout: float | None = None) -> int:
        """Wait until one of ``events`` shows, as :class:`select.poll` tells it of a kernel socket.

        Ask here and not at ``fileno()``: what TCP says of the descriptor is not what a receive
        will find (``docs/kernel-rules.md``, S3.6). While a KeyUpdate is pending there is no
        ``POLLIN`` (K-13).

        :param events: ``POLLIN``, ``POLLOUT``, ``POLLPRI``, ``POLLRDHUP``; ``POLLERR`` and
            ``POLLHUP`` are always told.
        :param timeout: seconds; None waits for ever, 0 not at all.
        :returns: the mask, 0 when nothing showed in time.
        """

    def _readiness(self, events: int, /) -> tuple[int, int]:
        """The mask of now, and the mask to wait for at ``fileno()`` besides a bell."""

    def _watch(self, bell: _Bell, /) -> None:
        """Ring ``bell`` after each change that ``fileno()`` does not show."""

    def _unwatch(self, bell: _Bell, /) -> None: ...
    def shutdown(self, how: int, /) -> None: ...
    def info(self) -> TlsInfo | None:
        """What ``sock_diag`` tells of the socket; None without the ULP."""

    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
        /,
    ) -> None: ...

@final
class _Bell:
    """Wakes a selector: readable from the first ring until it is silenced."""

    def __new__(cls) -> Self: ...
    def fileno(self) -> int: ...
    def ring(self) -> None: ...
    def silence(self) -> None: ...

@final
class ServerConfig:
    """What a server needs for its handshakes; immutable, share it between connections."""

    def __new__(
        cls,
        cert: _Buffer,
        key: _Buffer,
        *,
        password: _Password | None = None,
        alpn: Iterable[str] = (),
        client_roots: _Buffer | None = None,
        require_client_cert: bool = False,
        min_version: str = "TLSv1.2",
        suites: Iterable[str] | None = None,
        tickets: int = 2,
        keylog: str | None = None,
        rekey_bytes: int | None = None,
        rekey_records: int | None = None,
        rekey_peer: bool = False,
        rekey_interval: float = 0.15,
        key_update_limit: tuple[int, float] = (32, 1.0),
    ) -> Self:
        """Build a server configuration.

        :param cert: the certificate chain as PEM, leaf first.
        :param key: its private key as PEM (PKCS#8, PKCS#1 or SEC1): RSA of 2048 to 8192 bits, EC on
            P-256, P-384 or P-521, or Ed25519.
        :param password: opens an encrypted ``key`` (PKCS#8 with PBES2, as ``openssl pkcs8`` and
            ``openssl genpkey`` write it). A function is called only for a key that is encrypted.
        :param alpn: protocols in order of preference, each of 1 to 255 bytes. A client's list has
            at most 28,671 bytes, one for the length of each included.
        :param client_roots: PEM roots for client certificates; None asks for none. The client is
            told their names, unless they are too long for one message (64 KiB).
        :param require_client_cert: with ``client_roots``: refuse clients that send none.
        :param min_version: ``"TLSv1.2"`` or ``"TLSv1.3"``.
        :param suites: names as in RFC 8446 / RFC 5246, e.g. ``["TLS_AES_128_GCM_SHA256"]``; None:
            all.
        :param tickets: TLS 1.3 session tickets per handshake, at most 255; 0 for none.
        :param keylog: a file to which secrets are appended in the format of ``SSLKEYLOGFILE``.
        :param rekey_bytes: send a KeyUpdate after this many plaintext bytes under one key, but not
            before ``rekey_interval`` has passed since the last one.
        :param rekey_records: send a KeyUpdate after this many records under one key, whatever the
            interval; default: the suite's soft limit (RFC 8446 §5.5).
        :param rekey_peer: let these KeyUpdates ask the peer to renew its key, too.
        :param rekey_interval: least time in seconds between a KeyUpdate of ours and one that only
            ``rekey_bytes`` asks for. Peers may end a connection that renews its keys too often:
            GnuTLS tolerates eight KeyUpdates a second.
        :param key_update_limit: a number of KeyUpdates and a number of seconds: this many are
            tolerated from the peer in a row, without application data between them, and as many
            again for each time these seconds pass without data. KeyUpdates with data between them
            are not limited, nor are answers to our own requests. With 0 seconds there is no limit.
        :raises ValueError: a negative number of seconds, or one that is not a number.
        :raises ConfigError: EINVAL naming what does not parse, or does not fit together or the
            protocol; it is also a ValueError.
        """

@final
class ClientConfig:
    """What a client needs for its handshakes; it also holds the session tickets for resumption."""

    def __new__(
        cls,
        roots: _Buffer | str | None = None,
        *,
        cert: _Buffer | None = None,
        key: _Buffer | None = None,
        password: _Password | None = None,
        alpn: Iterable[str] = (),
        min_version: str = "TLSv1.2",
        suites: Iterable[str] | None = None,
        resumption: bool = True,
        keylog: str | None = None,
        rekey_bytes: int | None = None,
        rekey_records: int | None = None,
        rekey_peer: bool = False,
        rekey_interval: float = 0.15,
        key_update_limit: tuple[int, float] = (32, 1.0),
    ) -> Self:
        """Build a client configuration.

        :param roots: PEM, ``"system"`` (the system's store, the default) or
            ``"webpki"`` (Mozilla's, compiled
            in).
        :param cert: a client certificate chain as PEM, with ``key``.

        The others as :class:`ServerConfig`.
        """

@final
class Connection:
    """A TLS connection as RFC 8446 / RFC 9846 want it, its records carried by our engine.

    Made by :func:`ktls_fast.connect`, :func:`ktls_fast.accept` or the three static methods. One
    thread may read while another writes. KeyUpdates are handled inside: a peer's request is
    answered, own keys are renewed before the AEAD limit.

    After a fork the first of the two processes that uses the connection keeps it, and the other one
    gets EBUSY. A child's ``close`` of a connection that it never used takes and says nothing; a
    parent's is a use: one that leaves the connection to its child drops it without ``close``. Any
    other that is dropped open gives a ``ResourceWarning``, as a :class:`socket.socket` does.

    The same holds for its :meth:`fileno` as for that of a :class:`KtlsSocket`: wait for the number,
    and leave reading and writing to the methods.

    Errors on a connection: :class:`AlertReceivedError` (the peer's alert), :class:`PeerError` (it
    broke a
    rule, and has been sent the alert that the RFC names), :class:`TruncatedError` (FIN without
    close_notify).
    """

    @staticmethod
    def server(sock: socket, config: ServerConfig) -> Connection:
        """Take over ``sock`` and do the server's handshake within its timeout.

        :raises HandshakeError: EPROTO, with what went wrong; the peer got an alert.
        :raises KtlsError: EINVAL for a non-blocking socket.
        :raises TimeoutError: the handshake took longer than the socket's timeout.
        :raises TypeError: ``sock`` is no ``socket.socket``, or speaks TLS itself as that of ``ssl``
            does: there is no TLS in TLS, and our records would go beside it.
        """

    @staticmethod
    def client(sock: socket, config: ClientConfig, server_name: str) -> Connection:
        """Take over ``sock`` and do the client's handshake, as :meth:`server`.

        :param server_name: what the certificate must prove: an IP address or a host name, in any
            letters (encoded by IDNA, as ``ssl`` does).
        """

    @staticmethod
    def from_secrets(
        sock: socket,
        *,
        server_side: bool,
        tx: TrafficSecret,
        rx: TrafficSecret,
        received: _Buffer | None = None,
        rekey_bytes: int | None = None,
        rekey_records: int | None = None,
        rekey_peer: bool = False,
        rekey_interval: float = 0.15,
        key_update_limit: tuple[int, float] = (32, 1.0),
    ) -> Connection:
        """Take over a TLS 1.3 connection whose handshake somebody else has done.

        :param tx: the secret of our direction; ``rx`` of the peer's. Both at record number 0, and
            the first of their keys: a connection knows nothing of others that had the same.
        :param received: bytes that were already read from ``sock`` after the handshake.
        :raises KtlsError: EINVAL for secrets of two suites, and for one secret in both directions,
            also when one is up to three key updates behind the other. ``sock`` is not taken then.
        """

    @property
    def version(self) -> str:
        """``"TLSv1.3"`` or ``"TLSv1.2"``."""

    @property
    def cipher(self) -> str:
        """The suite's name, e.g. ``"TLS_AES_128_GCM_SHA256"``."""

    @property
    def alpn(self) -> str | None: ...
    @property
    def server_name(self) -> str | None:
        """Server: the name the client asked for (SNI). Client: the name it asked for."""

    @property
    def peer_certificates(self) -> list[bytes]:
        """The peer's chain as DER, leaf first; empty when it sent none."""

    @property
    def resumed(self) -> bool:
        """True when the handshake used a session ticket."""

    @property
    def tx_generation(self) -> int:
        """Key updates done in our direction."""

    @property
    def rx_generation(self) -> int:
        """Key updates done in the peer's direction."""

    @property
    def records_sent(self) -> int: ...
    @property
    def records_received(self) -> int: ...
    @property
    def bytes_sent(self) -> int:
        """Bytes of application data sealed."""

    @property
    def bytes_received(self) -> int:
        """Bytes of application data opened."""

    @property
    def unsent(self) -> int:
        """Bytes sealed and not yet taken by the socket.

        They go out as soon as it takes them, whether or not another call comes: a thread of the
        process that serves all connections sends what a call that did not wait has left.
        """

    def read(self, n: int = 16384, /) -> bytes:
        """Up to ``n`` bytes of application data; ``b""`` after the peer's close_notify."""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """As :meth:`read`; ``flags`` must be 0."""

    def recv_into(self, buffer: _Buffer, nbytes: int = 0, flags: int = 0) -> int:
        """As :meth:`read`, into a writable buffer; returns the number of bytes, 0 at the end.

        Records are opened in the buffer: another thread that reads it during the call may see
        plaintext that has not been verified, and that is gone when it turns out to be forged.
        """

    def write(self, data: _Buffer, /) -> int:
        """Send some of ``data``; returns how much was taken: all, on a blocking connection."""

    def send(self, data: _Buffer, flags: int = 0, /) -> int:
        """As :meth:`write`; ``flags`` must be 0."""

    def sendall(self, data: _Buffer, flags: int = 0, /) -> None:
        """Send all of ``data``; the timeout holds for the whole call."""

    def key_update(self, request_peer: bool = False) -> None:
        """Send a KeyUpdate and switch our key (RFC 8446 §4.6.3).

        A request while one is outstanding is not repeated (RFC 9846 §4.7.3): the update is sent
        without.

        :raises KtlsError: EOPNOTSUPP in TLS 1.2.
        :raises BrokenPipeError: EPIPE after close_notify.
        """

    def pending(self) -> int:
        """Bytes that can be acted on before more is read from the socket.

        Whole sealed records are included: do not wait in ``select`` while it is > 0, or wait in a
        :class:`ktls_fast.selectors.KtlsSelector`, which knows of them.
        """

    def close_notify(self) -> None:
        """Say that no more will be sent; reading goes on until the peer's close_notify."""

    def _readiness(self, events: int, /) -> tuple[int, int]:
        """The mask of now, and the mask to wait for at ``fileno()`` besides a bell."""

    def _watch(self, bell: _Bell, /) -> None:
        """Ring ``bell`` after each change that ``fileno()`` does not show."""

    def _unwatch(self, bell: _Bell, /) -> None: ...
    def fileno(self) -> int: ...
    def settimeout(self, value: float | None, /) -> None: ...
    def gettimeout(self) -> float | None: ...
    def setblocking(self, flag: bool, /) -> None: ...
    def getblocking(self) -> bool: ...
    def getsockname(self) -> object: ...
    def getpeername(self) -> object: ...
    def close(self) -> None:
        """End the connection: the peer gets all that was accepted, then close_notify, then FIN.

        Returns at once, whatever the timeout is. A thread of the process, which never takes the
        GIL, sends what TCP has no room for, and reads and discards what the peer still sends:
        closing the socket with its bytes unread would reset the connection and destroy what is on
        its way. It goes on for as long as the peer makes progress, and gives up after 60 seconds
        in which TCP has accepted nothing and the peer has acknowledged nothing. Bytes that TCP did
        not take are lost then, and the peer gets a reset. A peer that has acknowledged everything
        and says nothing more is left alone after 10 seconds. At most 1024 sockets, and a quarter
        of the descriptors that the process may have, are closed in this way at a time; of more,
        the one that is nearest to its limit is given up.

        When the interpreter exits it waits in ``atexit``, up to 5 seconds without progress and one
        second for a silent peer, and at most a minute; an exception of a signal handler ends the
        wait. A worker of ``multiprocessing`` waits in the same way at its end. ``os._exit``, which
        ``socketserver.ForkingMixIn`` calls as well, and a fatal signal lose what is unsent. A child
        of a fork takes no part in what its parent has closed. Where no thread or descriptor is
        left, ``close`` does all this itself for at most a second.

        A connection that is dropped without ``close`` delivers what was accepted and FIN, but no
        close_notify. With ``SO_LINGER`` set to 0 on the socket, ``close`` makes a reset at once.

        Calls of other threads that wait at the connection fail with EBADF. What they had not
        handed over is not sent.
        """

    def relay(
        self,
        sock: socket,
        *,
        idle_timeout: float | None = None,
        stop_fd: int = -1,
        truncation: Literal["reset", "fin"] = "reset",
    ) -> tuple[int, int]:
        """Pump between this connection and the plain ``sock`` until both directions have ended.

        Runs without the GIL. Half-close is passed on, a slow side slows the other down, memory is
        bounded.

        :param idle_timeout: seconds without a byte in either direction after which it ends.
        :param stop_fd: when this descriptor becomes readable: send close_notify and FIN, finish
            what is in
            flight within a second, return.
        :param truncation: as in :meth:`Relay.add`.
        :returns: plaintext bytes (from the peer, to the peer).
        :raises KtlsError: as :meth:`read` and :meth:`write`; TimeoutError when idle. Then neither
            side can take what it got for all there was: behind everything that was received before,
            the peer gets an alert, and the plain side a reset when ``sock`` is closed.
        :raises OSError: of the plain side, which the text names.
        :raises TypeError: ``sock`` is not a plain ``socket.socket``: its bytes may not be plain.
        """

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
        /,
    ) -> None:
        """Close as :meth:`close`; after an exception without close_notify.

        The peer then gets what was accepted and the alert internal_error, so that it does not take
        a part for the whole.
        """

class ControlRecord(NamedTuple):
    """A record that is not application data and waits to be read."""

    side: int
    """Who received it: 0 is ``a`` of :meth:`Relay.add`, 1 is ``b``."""
    record_type: int
    """One of :class:`ktls_fast.ContentType`, or any other number that the peer has sent."""

@final
class Relay:
    """Pumps between pairs of sockets in threads of its own, without the GIL.

    Each pair is pumped as :meth:`Connection.relay` does it: key updates are handled inside,
    half-close is passed on, a slow side slows the other down, and memory is bounded. After an
    error each side still gets what was received for it before, in order, and then learns that this
    was not all there was. One thread waits for many pairs; while none of its bytes wait, a pair has
    no buffer.

    A :class:`KtlsSocket` is pumped as its own ``recv`` and ``send`` would do it, so what TLS says
    in other records is its owner's business:

    * Data records only are passed on. Any other record (KeyUpdate, alert, ticket) ends the pair
      without an error and waits to be read: see :attr:`RelayHandle.control`.
    * TCP's FIN is the end, whether or not close_notify came before. At the end of the other side
      the peer gets FIN behind all that was sent, and no close_notify.
    * After an error its peer gets a reset when the socket is closed, as that of a plain side, and
      no alert. What its peer refuses to take is read on and dropped, as on a plain side: the
      peer's answer may be on its way.

    A child of a fork has no such threads: it gets EBUSY. A relay that is dropped without
    :meth:`close`, or that the end of the interpreter finds open, ends its pairs at once.
    """

    def __new__(cls, threads: int = 1) -> Self:
        """Start so many threads.

        :raises ValueError: none.
        :raises OSError: the system has no more threads or descriptors.
        """

    def add(
        self,
        a: Connection | KtlsSocket | socket,
        b: Connection | KtlsSocket | socket,
        *,
        idle_timeout: float | None = None,
        truncation: Literal["reset", "fin"] = "reset",
        on_close: Callable[[RelayHandle], object] | None = None,
    ) -> RelayHandle:
        """Pump between ``a`` and ``b`` until both directions have ended, in the least busy thread.

        Both stay the caller's, who closes them at the end: a plain side that shall be told of an
        error gets its reset, and one that was told nothing its FIN, when the last descriptor is
        closed. Nobody else may read or write a connection or KtlsSocket meanwhile: they get
        ``BlockingIOError``, or wait. Closing one ends the pair with EBADF.

        :param idle_timeout: seconds without a byte in either direction after which it ends.
        :param truncation: what becomes of a TLS peer that ends without close_notify, as many
            programs do: nobody knows whether it has sent all that it had to. Everything that it
            sent is passed on, and the other direction goes on. With ``"reset"`` the other side then
            gets a reset (or, with TLS, an alert) once it has ended too or nothing has moved for 5
            seconds, and :attr:`RelayHandle.error` is a :class:`TruncatedError`. With ``"fin"`` it
            gets an end as any other, at once.
        :param on_close: called once with the handle, by the thread that pumped, after it has let go
            of both sides. Other pairs of the thread wait for it. What it raises goes to
            :func:`sys.unraisablehook`.
        :raises BlockingIOError: another thread or relay reads or writes a side.
        :raises KtlsError: EINVAL for two plain sockets, or a KtlsSocket that lacks a key;
            EOPNOTSUPP for one with a ``device`` that has workers, or that the kernel carries;
            EBADMSG for one that has met a bad record header; EBUSY in another process of a fork.
        :raises KeyExpiredError: a KeyUpdate was read from a KtlsSocket, whose next key is missing.
        :raises OSError: EBADF when the relay or a socket is closed.
        :raises TypeError: a side is neither a Connection, a KtlsSocket nor exactly a
            :class:`socket.socket`.
        """

    def close(self, drain: float = 1.0) -> None:
        """Stop all pairs, as :meth:`RelayHandle.stop`, and wait for the threads to end.

        A callback may call it; then nothing is waited for.

        :param drain: seconds for what is in flight. A pair that still holds bytes then is cut: its
            error is ECONNABORTED.
        :raises KtlsError: EBUSY in another process of a fork.
        """

    def stats(self) -> dict[str, int]:
        """``threads``; pairs ``open``, ``ended`` and, among these, ``failed``; ``bytes`` moved."""

    def __len__(self) -> int:
        """Pairs under way."""

    def __bool__(self) -> bool:
        """True, also when no pair is under way."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
        /,
    ) -> None: ...

@final
class RelayHandle:
    """One pair of a :class:`Relay`. Directions: from ``a`` to ``b``, and back."""

    @property
    def bytes(self) -> tuple[int, int]:
        """Plaintext bytes passed on so far."""

    @property
    def records(self) -> tuple[int, int]:
        """Records so far, those without data and that of :attr:`control` included.

        As the side that a direction begins at received them; if it is plain, as the other one sent
        them.
        """

    @property
    def done(self) -> bool:
        """The pair has ended."""

    @property
    def error(self) -> OSError | None:
        """Why it ended before both sides had: what :meth:`Connection.relay` would have raised.

        A TLS peer that is gone after its close_notify has left in order: then this is None, and
        :attr:`bytes` tells how much it took before.
        """

    @property
    def truncated(self) -> int | None:
        """0 or 1: the side whose TLS peer ended without close_notify; None before the end."""

    @property
    def control(self) -> ControlRecord | None:
        """The record at a :class:`KtlsSocket` for which the pair has ended; None otherwise.

        All that was read before it is passed on, neither side was told anything, and the record is
        there to be read by ``recvmsg``. After a KeyUpdate install the next key; then
        :meth:`Relay.add` goes on with both sides, and no byte is lost.
        """

    def stop(self) -> None:
        """Send close_notify, or FIN to a KtlsSocket, behind what is in flight; end within a second.

        A stream that is still flowing then is cut, which its receiver is told as after an error:
        the error is ECONNABORTED.

        :raises KtlsError: EBUSY in another process of a fork.
        """
