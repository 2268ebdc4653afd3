"""The compiled part of :mod:`ktls_fast`.

The following conventions hold for the whole module.

*Buffer* means any C-contiguous bytes-like object, as :meth:`socket.socket.send` accepts it:
``bytes``, ``bytearray``, ``memoryview``, ``mmap``, ``array.array``, a ``ctypes`` structure or
array, or a NumPy array, with items of any type except references to objects. An *array* of
``int64`` or ``uint8`` is a one-dimensional buffer with such items. Arrays in results are NumPy
arrays. They are created on first access, which raises ``ImportError`` if NumPy is not installed.

Buffers are read and written in place while the GIL is released. If another thread writes to a
buffer during the call, the contents of the records are undefined.

All lengths and offsets are in bytes. All sequence numbers count records.

``BlockingIOError`` means that the operation would block. ``TimeoutError`` means that the timeout of
the socket has expired. ``BrokenPipeError`` and ``ConnectionResetError`` mean that the connection is
gone. ``MemoryError`` means that the requested memory is not available. Every other refusal is a
:class:`ktls_fast.KtlsError` with the errno of a kernel TLS socket. A refused call changes nothing.

The module can only be imported in the main interpreter; a subinterpreter gets ``ImportError``.
"""

from collections.abc import Callable, Iterable, Sequence
from socket import socket
from types import TracebackType
from typing import IO, Any, Literal, NamedTuple, Self, TypeAlias, final, overload

import numpy as np
from _typeshed import FileDescriptorLike, SupportsRead
from numpy.typing import NDArray
from typing_extensions import Buffer

_Password: TypeAlias = str | bytes | bytearray | Callable[[], str | bytes | bytearray]
_Buffer: TypeAlias = Buffer | NDArray[Any]  # only from Python 3.12 on is a NumPy array a Buffer
_Int64Array: TypeAlias = Buffer | NDArray[np.int64]  # types cannot express the items of a buffer
_Uint8Array: TypeAlias = Buffer | NDArray[np.uint8]

__all__ = [
    "ClientConfig",
    "Connection",
    "ControlRecord",
    "CryptoInfo",
    "ExportedConnection",
    "KeyUpdateFound",
    "KeyUpdateScanner",
    "KtlsSocket",
    "Namespace",
    "OffloadQueue",
    "OpenedBatch",
    "Opener",
    "QueueStats",
    "RekeyPolicy",
    "Relay",
    "RelayHandle",
    "SealedBatch",
    "Sealer",
    "ServerConfig",
    "ServerIdentity",
    "StormPolicy",
    "TLSObject",
    "TlsInfo",
    "TrafficSecret",
    "_Bell",
    "_KtlsKeyState",
    "__version__",
    "_answer_backend_keyword",
    "_answer_into_ktls",
    "_finish_closing",
    "_simulate",
    "aead_in_use",
    "cpu_features",
    "derive_tls12_keys",
    "key_update_message",
    "scan_key_updates",
    "tls_stat",
]

@final
class CryptoInfo:
    """A traffic key as ``TLS_TX`` and ``TLS_RX`` take it: the kernel's ``tls12_crypto_info_*``.

    ``bytes(info)`` returns the struct in the layout of the kernel (``docs/kernel-rules.md``, S1.2).
    The repr shows version, cipher and rec_seq. Instances cannot be pickled. They are compared in
    constant time, and their memory is wiped when they are deallocated.
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
        """Create the description of one traffic key.

        :param version: 0x0303 or 0x0304.
        :param cipher_type: one of :class:`ktls_fast.CipherType`, 51 to 58.
        :param key: the key; its length depends on the cipher.
        :param iv: the 8 bytes after the salt (12 for ChaCha20-Poly1305, which has no salt).
        :param salt: the 4 bytes before the iv; None for ChaCha20-Poly1305.
        :param rec_seq: the number of the first record under this key.
        :raises KtlsError: EINVAL for an unknown version or cipher, for a wrong length, and for ARIA
            with TLS 1.3.
        """

    @staticmethod
    def from_bytes(data: _Buffer) -> CryptoInfo:
        """Create an instance from the kernel's struct.

        :param data: the struct; its length must be exactly that of the cipher's struct.
        :raises KtlsError: EINVAL for any other length, and in the cases of the constructor.
        """

    @property
    def version(self) -> int:
        """The protocol version: 0x0303 for TLS 1.2, 0x0304 for TLS 1.3."""
    @property
    def cipher_type(self) -> int:
        """The cipher, one of :class:`ktls_fast.CipherType`."""
    @property
    def rec_seq(self) -> int:
        """The number of the first record under this key."""

    def __bytes__(self) -> bytes:
        """Return the struct in the layout of the kernel, key included."""

@final
class TrafficSecret:
    """The ``application_traffic_secret_N`` of one direction (RFC 8446 §7.1)."""

    def __new__(cls, suite: int, secret: _Buffer, *, generation: int = 0) -> Self:
        """Create a secret.

        :param suite: a :class:`ktls_fast.Suite`, such as 0x1301.
        :param secret: the secret; as long as the hash of the suite, 32 or 48 bytes.
        :param generation: the N of the secret: the number of key updates before it.
        :raises KtlsError: EINVAL for an unknown suite or a wrong length.
        """

    @property
    def suite(self) -> int:
        """The cipher suite, one of :class:`ktls_fast.Suite`."""
    @property
    def generation(self) -> int:
        """The number of key updates before this secret."""

    def crypto_info(self, rec_seq: int = 0) -> CryptoInfo:
        """Return the traffic key and iv of this secret (RFC 8446 §7.3).

        :param rec_seq: the number of the first record under the key.
        """

    def next(self) -> TrafficSecret:
        """Return the secret of the next generation (RFC 8446 §7.2).

        It is HKDF-Expand-Label(secret, "traffic upd", "", hash length).
        """

@final
class SealedBatch:
    """The records that one call of :meth:`Sealer.seal_batch` made."""

    @property
    def wire(self) -> memoryview:
        """All records, one after the other: a view of ``out``, or of a new buffer."""

    @property
    def offsets(self) -> NDArray[np.int64]:
        """The start of each record in :attr:`wire`; shape (n,)."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The length of each record, header and tag included; shape (n,)."""

    def __len__(self) -> int:
        """Return the number of records."""

@final
class Sealer:
    """Seals records in order under one traffic key, in the kernel's format.

    ``docs/kernel-rules.md``, S2.1, describes the format.

    After a fork, the first of the two processes that seals keeps the sealer, and the other one gets
    EBUSY, because both would use the same nonces. After a fork without the hooks of
    :func:`os.fork`, for example by a C library, the sealer stays with the parent.

    A sealer remembers 8 bytes of a one-way function of each key that it has used. It knows nothing
    of the keys of other sealers.
    """

    def __new__(cls, info: CryptoInfo | _Buffer, *, record_limit: int | None = None) -> Self:
        """Create a sealer for a key.

        :param info: a :class:`CryptoInfo`, or the kernel's struct as bytes.
        :param record_limit: the number of records that may be sealed under one key. The maximum,
            and the default, is the hard limit of the suite (RFC 8446 §5.5). Records before the
            ``rec_seq`` of the key count, because a previous user of the key has sealed them. The
            KeyUpdate counts as well: send it while :attr:`needs_rekey` is true and the limit is not
            reached.
        :raises KtlsError: EINVAL for an invalid struct, ENOENT for a cipher that is not available.
        :raises ValueError: ``record_limit`` is below 0 or above 2**64 - 1.
        """

    @property
    def rec_seq(self) -> int:
        """The number of the next record."""

    @property
    def generation(self) -> int:
        """The number of successful calls of :meth:`rekey`."""

    @property
    def needs_rekey(self) -> bool:
        """Whether the soft limit of the key is reached, so that a KeyUpdate is due.

        The soft limit leaves time for a KeyUpdate before the hard limit. For AES-GCM it is 2**24 of
        23,726,566 records, for AES-CCM 2**22 of 2**23, for ChaCha20-Poly1305 2**62. With a
        ``record_limit`` of N, it is reached no later than when N/8 records are left, or one record
        for small N. Check before each record or batch: a batch that exceeds the hard limit is
        refused.
        """

    @property
    def overhead(self) -> int:
        """The bytes that a record adds to its plaintext: 22 in TLS 1.3, 29 or 21 in TLS 1.2."""

    def seal(self, data: _Buffer, record_type: int = 23) -> bytes:
        """Seal at most 16384 bytes as one record and return the record.

        :param record_type: the content type, one of :class:`ktls_fast.ContentType`.
        :raises RecordTooLargeError: EMSGSIZE if ``data`` has more than 16384 bytes.
        :raises KeyLimitError: EKEYEXPIRED if the key may not seal any more records.
        :raises KtlsError: EINVAL for ``record_type`` 0 in TLS 1.3. Zeros are padding there, and the
            last byte of ``data`` would become the type.
        """

    def seal_into(self, data: _Buffer, out: _Buffer, record_type: int = 23) -> int:
        """Seal one record into the start of the writable buffer ``out`` and return its length.

        No other thread may write to ``out`` during the call. The tag is computed from the
        ciphertext in ``out``, so it would be valid for the bytes that the other thread wrote.
        ``data`` is read once.

        :raises RecordTooLargeError: EMSGSIZE if ``data`` has more than 16384 bytes.
        :raises KeyLimitError: EKEYEXPIRED if the key may not seal any more records.
        :raises KtlsError: ENOBUFS if ``out`` is too small, EINVAL if the two buffers overlap, and
            EINVAL for ``record_type`` 0 in TLS 1.3.
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
        """Seal many records in one call: either all of them or, if the call fails, none.

        Without ``offsets``, ``data`` is cut into pieces of ``record_size`` bytes; an empty buffer
        makes no record. With ``offsets`` and ``lengths`` (shape (n,)), the plaintext of record
        ``i`` is ``data[offsets[i]:offsets[i] + lengths[i]]``. ``types`` (shape (n,)) contains the
        content type of each record; by default all have the type ``record_type``.

        :param out: a writable buffer for the records, of at least the sum of the plaintexts plus
            ``n * overhead`` bytes. It must not overlap ``data``. No other thread may write to it
            during the call; see :meth:`seal_into`. By default a new buffer is allocated.
        :param threads: the number of threads that work on the batch, 1 to 1024, including the
            caller's. The others are started for this call, which is worth its cost from a few MiB
            on.
        :raises RecordTooLargeError: EMSGSIZE if a plaintext has more than 16384 bytes.
        :raises KeyLimitError: EKEYEXPIRED if the key may not seal this many records.
        :raises KtlsError: ENOBUFS if ``out`` is too small; EINVAL if buffers overlap, for
            plaintexts outside ``data``, for ``record_type`` 0 in TLS 1.3, and for an invalid
            ``threads``.
        """

    def rekey(self, info: CryptoInfo | _Buffer) -> None:
        """Install the next key. The next record number is the ``rec_seq`` of ``info`` (K-17).

        :raises KtlsError: EINVAL if version or cipher differ from the current key's, and for a key
            that this sealer has used before, whatever its iv and ``rec_seq``; EBUSY in TLS 1.2.
        """

@final
class OpenedBatch:
    """The records that one call of :meth:`Opener.open_batch` opened."""

    @property
    def data(self) -> memoryview:
        """The plaintexts, one after the other: a view of ``out``, or of a new buffer.

        Memory of 32 MiB and more is kept for later batches once no view refers to it, and is not
        wiped. At most two such buffers of at most 256 MiB are kept. The same holds for
        :attr:`SealedBatch.wire`.
        """

    @property
    def types(self) -> NDArray[np.uint8]:
        """The content type of each record; shape (n,)."""

    @property
    def offsets(self) -> NDArray[np.int64]:
        """The start of each plaintext in :attr:`data`; shape (n,)."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The length of each plaintext; shape (n,)."""

    @property
    def consumed(self) -> int:
        """The number of bytes of ``wire`` that were opened. Pass the rest to the next call."""

    @property
    def stopped(self) -> str | None:
        """The reason why the batch ended before the last whole record, or None if it did not.

        ``"key_update"``: the last record ends a KeyUpdate; install the next key.
        ``"full"``: the next plaintext does not fit into ``out``.
        ``"error"``: the record at :attr:`consumed` is invalid; see :attr:`error`.
        """

    @property
    def error(self) -> Exception | None:
        """The error of the record at :attr:`consumed`, or None."""

    def __len__(self) -> int:
        """Return the number of records that were opened."""

@final
class Opener:
    """Opens records in order under one traffic key, with the limits of the kernel.

    ``docs/kernel-rules.md``, S3.1 and S3.2, lists the limits. The rules about forks are those of
    :class:`Sealer`.
    """

    def __new__(cls, info: CryptoInfo | _Buffer) -> Self:
        """Create an opener for a key.

        :param info: a :class:`CryptoInfo`, or the kernel's struct as bytes.
        :raises KtlsError: EINVAL for an invalid struct, ENOENT for a cipher that is not available.
        """

    @property
    def rec_seq(self) -> int:
        """The number of the next record."""
    @property
    def generation(self) -> int:
        """The number of successful calls of :meth:`rekey`."""
    @property
    def paused(self) -> bool:
        """Whether a KeyUpdate was opened and :meth:`rekey` was not called since."""

    def open(self, record: _Buffer) -> tuple[int, bytes]:
        """Open exactly one record and return its content type and plaintext.

        :raises BadRecordError: EBADMSG if the record does not authenticate, is truncated, or is too
            short.
        :raises RecordTooLargeError: EMSGSIZE if its length field is above the limit.
        :raises KeyExpiredError: EKEYEXPIRED if a KeyUpdate was opened and the next key is not
            installed.
        """

    def open_batch(
        self, wire: _Buffer, out: _Buffer | None = None, *, threads: int = 1
    ) -> OpenedBatch:
        """Open as many whole records as ``wire`` contains.

        Invalid input from the peer only raises an exception if the first record is invalid;
        otherwise
        :attr:`OpenedBatch.stopped` tells. No plaintext of a record with a wrong tag is left in
            ``out``.

        :param out: a writable buffer for the plaintexts, which must not overlap ``wire``;
            ``len(wire)`` bytes are always sufficient. During the call it may contain plaintext
            whose tag is not verified yet, and plaintext of forged records: do not read it before
            the call has returned. By default a new buffer is allocated.
        :param threads: see :meth:`Sealer.seal_batch`.
        :raises BadRecordError: EBADMSG if the first record does not authenticate or is malformed.
        :raises RecordTooLargeError: EMSGSIZE if the length field of the first record is above the
            limit.
        :raises KeyExpiredError: EKEYEXPIRED if a KeyUpdate was opened and the next key is not
            installed.
        :raises KtlsError: EINVAL if the buffers overlap, and for an invalid ``threads``.
        """

    def rekey(self, info: CryptoInfo | _Buffer) -> None:
        """Install the next key and resume opening (K-16 to K-20).

        A key that this opener has used before is refused, because its records could be replayed.

        :raises KtlsError: see :meth:`Sealer.rekey`.
        """

class KeyUpdateFound(NamedTuple):
    """A KeyUpdate in handshake records, or an invalid message in place of one."""

    record: int
    """The index of the record in which the message ends."""
    update_requested: bool
    """Whether the peer requests a KeyUpdate in return."""
    fault: str | None
    """The reason why the message is invalid (RFC 9846 §4.7.3, §5.1), or None if it is valid.

    ``"data_after"``: more handshake bytes follow in the record, so the key would not change at a
    record boundary. ``"interleaved"``: a record of another content type is inside the message.
    ``"bad_length"`` or ``"bad_value"``: the message is malformed."""

def _finish_closing() -> None:
    """Wait for the rest of the work of :meth:`Connection.close`, as at the exit of the interpreter.

    A process that ends with ``os._exit`` can call it before.
    """

def key_update_message(request: bool = False) -> bytes:
    """Return the five bytes of a KeyUpdate message, to be sent as a record of type 22.

    The sender seals the message under its current key, and everything after it under the next key
    (RFC 8446 §4.6.3).

    :param request: request a KeyUpdate from the peer in return.
    """

def scan_key_updates(
    types: _Uint8Array,
    offsets: _Int64Array,
    lengths: _Int64Array,
    data: _Buffer,
) -> list[KeyUpdateFound]:
    """Return every KeyUpdate in opened records, also if messages share records or are fragmented.

    The arrays, each of shape (n,), are those of an :class:`OpenedBatch`, or of several batches
    concatenated.

    :raises KtlsError: EINVAL if the arrays have different lengths or refer to bytes outside
        ``data``.
    """

def derive_tls12_keys(
    suite: int,
    master_secret: _Buffer,
    client_random: _Buffer,
    server_random: _Buffer,
    *,
    client_iv: _Buffer | None = None,
    server_iv: _Buffer | None = None,
    client_rec_seq: int = 1,
    server_rec_seq: int = 1,
) -> tuple[CryptoInfo, CryptoInfo]:
    """Return the keys of a TLS 1.2 connection: the client's and the server's (RFC 5246 §6.3).

    :param suite: the number of a suite with an ephemeral key exchange and an AEAD of the kernel,
        such as 0xC02F (``TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256``).
    :param master_secret: the 48 bytes after ``CLIENT_RANDOM`` in a key log.
    :param client_random: the 32 random bytes of the ClientHello.
    :param server_random: the 32 random bytes of the ServerHello.
    :param client_iv: the explicit nonce of the client's next record, 8 bytes; None means zeros. The
        sender of records must not repeat a nonce: continue after the one of its Finished.
        ChaCha20-Poly1305 has none, and the argument is not used.
    :param server_iv: the explicit nonce of the server's next record.
    :param client_rec_seq: the number of the client's next record: 1 after its Finished.
    :param server_rec_seq: the number of the server's next record.
    :raises KtlsError: EINVAL for another suite or a wrong length.
    """

@final
class KeyUpdateScanner:
    """Finds KeyUpdates as :func:`scan_key_updates` does, in records passed one at a time."""

    def __new__(cls) -> Self:
        """Create a scanner that has seen no record."""
    def feed(self, record_type: int, data: _Buffer) -> list[KeyUpdateFound]:
        """Scan the next record and return the KeyUpdates that end in it.

        The attribute ``record`` of the results counts from the first record of the scanner.
        """

    @property
    def at_boundary(self) -> bool:
        """Whether no handshake message is incomplete, so that a key may change here."""

@final
class Namespace:
    """Separate counters for the sockets that are created with it, as in a network namespace."""

    def __new__(cls) -> Self:
        """Create a namespace whose counters are all 0."""
    @overload
    def tls_stat(self, *, format: Literal["dict"] = "dict") -> dict[str, int]:
        """Return the counters of this namespace; see :func:`tls_stat`."""
    @overload
    def tls_stat(self, *, format: Literal["proc"]) -> str: ...

@overload
def tls_stat(
    *, format: Literal["dict"] = "dict", namespace: Namespace | None = None
) -> dict[str, int]:
    """Return the TLS counters by the names of ``/proc/net/tls_stat``.

    ``docs/counters.md`` describes the counters. Counters that the kernel does not have follow the
    kernel's while they are not 0.

    :param format: ``"dict"``, or ``"proc"`` for the text of ``/proc/net/tls_stat``.
    :param namespace: the namespace to read; by default the counters of all sockets and connections
        of this process that have no namespace.
    :raises ValueError: an unknown ``format``.
    """

@overload
def tls_stat(*, format: Literal["proc"], namespace: Namespace | None = None) -> str: ...
def _answer_backend_keyword(function: Callable[..., object], /) -> None:
    """Let ``function`` answer ``KtlsSocket(sock, backend=...)``; only the first call counts."""

def _answer_into_ktls(function: Callable[..., object], /) -> None:
    """Let ``function`` answer :meth:`Connection.into_ktls`; only the first call counts."""

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
    """Run a scenario; return violation, summary, events, trace, pcap and key log.

    See :mod:`ktls_fast.simulate`.

    :raises KtlsError: EINVAL with the name of the attribute that is out of range.
    """

__pyx_capi__: dict[str, object]
"""The functions of ``ktls_fast.pxd`` as capsules, for ``cimport ktls_fast``."""

__version__: str
"""The version of the package, as in ``Cargo.toml``."""

def aead_in_use() -> dict[str, str]:
    """Return the implementation of each cipher, such as ``{"AES_GCM_128": "vaes-avx2"}``.

    The environment variable ``KTLS_FAST_AEAD`` (``auto``, ``vaes`` or ``aws-lc``) selects the
    implementation of AES-GCM. While its value cannot be used, the ciphers concerned are missing
    here, and creating a key for them fails.
    """

def cpu_features() -> list[str]:
    """Return the features of this CPU that matter for the speed of records."""

class TlsInfo(NamedTuple):
    """The attributes that ``sock_diag`` reports about a TLS socket.

    See ``docs/kernel-rules.md``, S6.2. None means that the kernel would leave the attribute out.
    """

    version: int | None
    """One of :class:`ktls_fast.Version`; None until a direction has a key."""
    cipher_type: int | None
    """One of :class:`ktls_fast.CipherType`; None until a direction has a key."""
    tx_conf: int
    """How records are sealed: one of :class:`ktls_fast.TlsConf`."""
    rx_conf: int
    """How records are opened: one of :class:`ktls_fast.TlsConf`."""
    zc_ro_tx: bool
    """Whether ``TLS_TX_ZEROCOPY_RO`` is on and a device sends; always False here."""
    rx_no_pad: bool
    """Whether ``TLS_RX_EXPECT_NO_PAD`` is on."""
    tx_max_payload_len: int
    """The value of ``TLS_TX_MAX_PAYLOAD_LEN``, in bytes."""

@final
class QueueStats(NamedTuple):
    """The counters of an :class:`OffloadQueue`."""

    submitted: int
    """The number of records that sockets have put into their rings."""
    completed: int
    """The number of these that were written to TCP, or were lost with their connection."""
    software: int
    """The number of submitted records that the sender sealed itself, during a key update."""
    ring_full: int
    """The number of sends that found the ring full."""
    depth: int
    """The number of records in the rings now."""
    slots: int
    """The number of key slots in use."""

@final
class OffloadQueue:
    """Threads that seal, write and open records for the sockets whose ``device`` it is.

    A send puts one entry per record into the ring of its connection. ``bytes`` objects are not
    copied; they are released by the next call on the queue or one of its sockets after the record
    was sealed. Any other buffer is copied. If the ring is full, a send waits, or fails with EAGAIN.
    An error of TCP is reported by the next call. Records are opened ahead of the reader, at most
    256 KiB per connection; their errors and KeyUpdates take effect when the reader reaches them.

    Each direction of a connection takes a key slot. If none is free, the direction stays in
    software. During a key update records are sealed in software until the peer has acknowledged
    everything that was sent before. Records in the rings are lost if the process exits: close the
    queue first.
    """

    def __new__(
        cls,
        workers: int = 1,
        *,
        depth: int = 256,
        slots: int = 64,
        policy: Literal["cover-letter", "v17"] = "cover-letter",
    ) -> Self:
        """Create a queue. Its threads start with their first connection.

        A connection for which the system cannot start a thread stays in software.

        :param workers: the number of threads; 0 means that all connections stay in software.
        :param depth: the number of records that the ring of each connection can hold.
        :param slots: the number of keys that the queue can hold.
        :param policy: the order of steps in a key update; see ``docs/offload.md``.
        :raises ValueError: a number is out of range, or the policy is unknown.
        """

    def stats(self) -> QueueStats:
        """Return the counters of the queue.

        :raises KtlsError: EBUSY in a child of a fork.
        """

    def close(self) -> None:
        """Write the accepted records, for at most a minute, and end the threads.

        The sockets of the queue continue in software.

        :raises KtlsError: EBUSY in a child of a fork.
        """

    @property
    def closed(self) -> bool:
        """Whether the queue is closed."""

    def __enter__(self) -> Self:
        """Return ``self``."""
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
        /,
    ) -> None:
        """Call :meth:`close`."""

@final
class KtlsSocket:
    """A connected TCP socket that behaves like one with the kernel's ``tls`` ULP.

    ``docs/kernel-rules.md`` lists the rules, and ``docs/kernel-differences.md`` the differences.
    Methods have the names, parameters and results of :class:`socket.socket`. An instance that is
    dropped without :meth:`close` emits a ``ResourceWarning``.

    Records are sealed and opened in this object and not in the kernel. Bytes that are written to
    :meth:`fileno` directly go to the wire unchanged: ``os.write(sock.fileno(), data)`` **sends
        plaintext**, and ``os.read`` removes ciphertext. The same is true of ``os.splice`` and
        ``os.sendfile``, of ``socket.socket(fileno=...)``, of a child process that inherits the
        descriptor, and of an event loop's transport for the descriptor. Use the descriptor only to
        wait, and the methods to read and write.

    After a fork, the first of the two processes that uses the socket keeps it. The other one gets
    EBUSY, with the pid of the first in the text. Closing the socket or asking for its ``fileno`` or
    its names is not a use.
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
        """Take over ``sock``, which is detached, with its timeout.

        Use :func:`ktls_fast.ktls_socket` to choose between this class and the kernel of the host.

        :param namespace: the counters of the socket; by default those of the process.
        :param device: the queue whose workers seal and open records; by default the calling thread
            does.
        :param record_limit: the number of records that one key may seal, including those before its
            ``rec_seq``. A send takes as many records as are left and returns their bytes. If none
            is left, it fails with :class:`KeyLimitError` and takes nothing. One KeyUpdate may then
            still be sent (TLS 1.3, type 22, a whole message in a call of its own) as record N + 1,
            because the peer has to be notified under the old key; the limit of the AEAD leaves room
            for it. The next key starts again. By default there is no limit, as in the kernel, which
            seals beyond what the AEAD protects (RFC 8446 §5.5); ``TlsTxPastKeyLimit`` in
            :func:`tls_stat` counts these records.
        :param backend: deprecated, to be removed in 0.3. With it, the call emits a
            ``DeprecationWarning`` and chooses as :func:`ktls_fast.ktls_socket` does. The socket of
            the kernel is a ``KernelSocket``, which ``isinstance`` takes for a ``KtlsSocket`` too.
        :raises ValueError: the socket is closed, or ``record_limit`` is below 0 or above 2**64 - 1.
        :raises KtlsError: EBUSY if ``device`` was created before a fork, in another process.
        """

    @property
    def backend(self) -> Literal["engine"]:
        """The string ``"engine"``. A ``KernelSocket`` has ``"kernel"`` here."""

    def setsockopt(
        self,
        level: int,
        optname: int,
        value: _Buffer | CryptoInfo | int | None,
        optlen: int | None = None,
        /,
    ) -> None:
        """Attach the ULP, install a key, or set an option of TCP.

        ``(IPPROTO_TCP, TCP_ULP, b"tls")`` attaches the ULP. ``(SOL_TLS, TLS_TX, info)`` and
        ``(SOL_TLS, TLS_RX, info)`` install the first key of a direction, and later the next ones
        (K-16 to K-24).

        Like the kernel, it accepts a key that was used before. With the same iv and record numbers,
        nonces repeat, which exposes plaintext and breaks authentication. Install only the next key
        of the key schedule, once, and never lower the record number.

        :raises KtlsError: ENOTCONN, EEXIST, ENOENT, EINVAL, EBUSY or ENOPROTOOPT as described in
            ``docs/kernel-rules.md``, S1.3 and S1.4.
        """

    def getsockopt(self, level: int, optname: int, buflen: int = 0, /) -> int | bytes:
        """Return the value of an option of the socket, of the ULP, or of TCP.

        ``(SOL_TLS, TLS_TX, buflen)`` returns the key in use as the kernel's struct.

        :param buflen: the maximum length of the result; with 0 the value is returned as an ``int``.
        :raises KtlsError: EINVAL, EBUSY or ENOPROTOOPT as described in ``docs/kernel-rules.md``,
            S1.5.
        """
    def send(self, data: _Buffer, flags: int = 0, /) -> int:
        """Send application data and return the number of bytes that were accepted.

        :param flags: ``MSG_MORE``, ``MSG_DONTWAIT``, ``MSG_NOSIGNAL`` or ``MSG_EOR``.
        :raises KtlsError: EOPNOTSUPP for any other flag.
        :raises KeyLimitError: EKEYEXPIRED if the ``record_limit`` is reached.
        """
    def sendall(self, data: _Buffer, flags: int = 0, /) -> None:
        """Send all of ``data``; the timeout applies to the whole call.

        If it fails, it is unknown how many bytes were sent. Flags and errors are those of
        :meth:`send`.
        """
    def sendmsg(
        self,
        buffers: Iterable[_Buffer],
        ancdata: Iterable[tuple[int, int, _Buffer]] | None = None,
        flags: int = 0,
        address: tuple[Any, ...] | None = None,
        /,
    ) -> int:
        """Send data with control messages and return the number of bytes that were accepted.

        ``[(SOL_TLS, TLS_SET_RECORD_TYPE, bytes([t]))]`` makes records of type ``t``. Like the
        kernel, it accepts type 0, which the peer of a TLS 1.3 connection reads as padding, so that
        the last byte of the data becomes the type.

        :param buffers: the buffers to send, one after the other.
        :param address: ignored, because a connected socket sends to its peer.
        :raises KtlsError: EINVAL for invalid control messages, EOPNOTSUPP for unknown flags.
        """

    def sendto(
        self,
        data: _Buffer,
        flags_or_address: int | tuple[Any, ...],
        address: tuple[Any, ...] | None = None,
        /,
    ) -> int:
        """Send to the peer; call it with ``(data, address)`` or ``(data, flags, address)``.

        :param address: ignored, because a connected socket sends to its peer.
        """

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receive up to ``bufsize`` bytes of records of one type; ``b""`` is the end of the stream.

        A record that is not application data raises EIO, because the type would be lost: use
        :meth:`recvmsg`.

        :raises KeyExpiredError: EKEYEXPIRED if a KeyUpdate was received and the next key is not
            installed.
        :raises BadRecordError: EBADMSG if the next record does not authenticate.
        """
    def recv_into(self, buffer: _Buffer, nbytes: int = 0, flags: int = 0) -> int:
        """Receive into ``buffer`` and return the number of bytes; see :meth:`recv`.

        No other thread may read ``buffer`` during the call, because it may contain plaintext of a
        record that then fails to authenticate.

        :param nbytes: the maximum number of bytes; 0 means the size of the buffer.
        """

    def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[bytes, list[tuple[int, int, bytes]], int, None]:
        """Receive data, control messages, flags, and None in place of an address.

        The record type is the control message ``(SOL_TLS, TLS_GET_RECORD_TYPE, bytes([t]))``, which
        needs an ``ancbufsize`` of at least 17 bytes.

        :raises KtlsError: EIO for a record that is not application data if ``ancbufsize`` is too
            small.
        :raises KeyExpiredError: EKEYEXPIRED if a KeyUpdate was received and the next key is not
            installed.
        """

    def recvmsg_into(
        self, buffers: Iterable[_Buffer], ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[int, list[tuple[int, int, bytes]], int, None]:
        """Receive into several buffers; otherwise like :meth:`recvmsg`.

        :returns: the number of bytes, the control messages, the flags, and None.
        :raises KtlsError: EINVAL if two of the buffers overlap.
        """
    def fileno(self) -> int:
        """Return the descriptor of the TCP socket, to wait for; -1 after :meth:`close`."""
    def settimeout(self, value: float | None, /) -> None:
        """Set the timeout of blocking calls in seconds; None waits forever, 0 never waits."""
    def gettimeout(self) -> float | None:
        """Return the timeout in seconds, or None."""
    def setblocking(self, flag: bool, /) -> None:
        """Call ``settimeout(None)`` if ``flag`` is true and ``settimeout(0)`` if it is false."""
    def getblocking(self) -> bool:
        """Return whether calls may wait: ``gettimeout() != 0``."""
    def dup(self) -> KtlsSocket:
        """Return another descriptor of the same socket, with the same keys and state.

        The socket is closed when its last descriptor is closed. The first descriptor stays open
        until then.
        """

    def bind(self, address: tuple[Any, ...], /) -> None:
        """Bind the TCP socket to a local address."""
    def connect(self, address: tuple[Any, ...], /) -> None:
        """Connect the TCP socket; only possible before the ULP is attached.

        :raises KtlsError: EISCONN if the ULP is attached, also after a shutdown.
        """

    def listen(self, backlog: int = 128, /) -> None:
        """Listen on the TCP socket; only possible before the ULP is attached.

        :raises KtlsError: EINVAL if the ULP is attached.
        """

    def getsockname(self) -> Any:  # noqa: ANN401
        """Return the local address of the TCP connection."""
    def getpeername(self) -> Any:  # noqa: ANN401
        """Return the address of the peer."""
    def sendfile(
        self,
        file: FileDescriptorLike | SupportsRead[bytes],
        offset: int = 0,
        count: int | None = None,
    ) -> int:
        """Send a file and return the number of bytes; see :meth:`socket.socket.sendfile`.

        All records but the last are full (``docs/kernel-rules.md``, S2.4). After the call, also if
        it fails or times out, the position of the file is after the bytes that were sent. A file
        without offsets, such as a pipe or an object that only has ``read``, is sent as it is read.
        The timeout starts again whenever TCP accepts bytes.

        :param file: a file opened in binary mode, or an object with a ``read`` method.
        :param offset: the position to start at.
        :param count: the number of bytes to send; None sends up to the end of the file.
        :raises ValueError: the file is in text mode, ``count`` is 0, or the socket is non-blocking.
        """

    def splice_from(self, fd_in: FileDescriptorLike, n: int, flags: int = 0, /) -> int:
        """Send up to ``n`` bytes from a pipe, as :func:`os.splice` to a kernel TLS socket does.

        The call waits while the pipe is empty, unless ``flags`` has ``SPLICE_F_NONBLOCK`` or the
        pipe has ``O_NONBLOCK``. ``SPLICE_F_MORE`` keeps the record open. Bytes that were not sent
        stay in the pipe. Nobody else may read from the pipe during the call.

        :param fd_in: the pipe: a descriptor, or an object with ``fileno``.
        :returns: the number of bytes; 0 at the end of the pipe.
        :raises OSError: EINVAL if ``fd_in`` is not a pipe, or for an unknown flag.
        """

    def splice_to(self, fd_out: FileDescriptorLike, n: int, flags: int = 0, /) -> int:
        """Move up to ``n`` bytes of the next data record into a pipe.

        The call waits for a record, unless ``flags`` has ``SPLICE_F_NONBLOCK`` or the pipe has
        ``O_NONBLOCK``. Bytes that do not fit stay in the socket (``docs/kernel-rules.md``, S3.7).

        :param fd_out: the pipe: a descriptor, or an object with ``fileno``.
        :returns: the number of bytes; 0 at the end of the stream, and for an empty record.
        :raises KtlsError: EINVAL at a record that is not application data; read it with
            ``recvmsg``.
        :raises KeyExpiredError: EKEYEXPIRED if a KeyUpdate is pending and no opened data is left.
        """

    def poll(self, events: int, timeout: float | None = None) -> int:
        """Wait for one of ``events``, as :class:`select.poll` reports them for a kernel TLS socket.

        Use it instead of polling ``fileno()``: the state of the TCP socket does not tell what a
        receive will find (``docs/kernel-rules.md``, S3.6). While a KeyUpdate is pending ``POLLIN``
        is not reported (K-13).

        :param events: ``POLLIN``, ``POLLOUT``, ``POLLPRI`` and ``POLLRDHUP``; ``POLLERR`` and
            ``POLLHUP`` are always reported.
        :param timeout: seconds; None waits forever, 0 does not wait.
        :returns: the mask of events; 0 if none occurred in time.
        """

    def _readiness(self, events: int, /) -> tuple[int, int]:
        """Return the events of now, and those to wait for at ``fileno()`` besides a bell."""

    def _watch(self, bell: _Bell, /) -> None:
        """Ring ``bell`` after each change that ``fileno()`` does not show."""

    def _unwatch(self, bell: _Bell, /) -> None:
        """Undo :meth:`_watch`."""
    def shutdown(self, how: int, /) -> None:
        """Shut down one or both directions. An open record is lost."""
    def info(self) -> TlsInfo | None:
        """Return what ``sock_diag`` reports about the socket; None without the ULP."""

    def close(self) -> None:
        """Close the socket.

        Sealed records that TCP has not taken yet are still sent in the background. An open record
        is lost.
        """
    def __enter__(self) -> Self:
        """Return ``self``."""
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
        /,
    ) -> None:
        """Call :meth:`close`."""

@final
class _Bell:
    """Wakes a selector: readable from the first ring until it is silenced."""

    def __new__(cls) -> Self:
        """Create a bell that is silent."""
    def fileno(self) -> int:
        """Return the descriptor to wait for."""
    def ring(self) -> None:
        """Make the descriptor readable."""
    def silence(self) -> None:
        """Make the descriptor unreadable."""

@final
class RekeyPolicy:
    """When a TLS 1.3 connection renews its sending key by a KeyUpdate; immutable, can be compared.

    A connection renews it at most 2**48 - 1 times (RFC 9846 §4.7.3). After that, requests of the
    peer are not answered, and the connection ends at the limit of its last key. Each condition has
    a counter in :func:`tls_stat`.
    """

    def __new__(
        cls,
        *,
        bytes: int | None = None,
        records: int | None = None,
        interval: float = 0.15,
        seconds: float | None = None,
        peer: bool = False,
    ) -> Self:
        """Create a policy.

        :param bytes: send a KeyUpdate after this many plaintext bytes under one key, but not before
            ``interval`` has passed since the previous one.
        :param records: send a KeyUpdate after this many records under one key, regardless of the
            interval; the default is the soft limit of the suite (RFC 8446 §5.5).
        :param interval: the minimum time in seconds between a KeyUpdate and one that is only due
            because of ``bytes`` or ``seconds``. Peers may end a connection that changes its keys
            too often: GnuTLS accepts eight KeyUpdates per second.
        :param seconds: send a KeyUpdate before the next data if this time has passed since the
            first data under the key. A connection without data sends none.
        :param peer: let these KeyUpdates request one from the peer in return.
        :raises ValueError: a number of seconds is negative or not a number.
        :raises ConfigError: EINVAL if ``bytes``, ``records`` or ``seconds`` is 0.
        """

    @property
    def bytes(self) -> int | None:
        """The plaintext bytes under one key, or None for no limit."""

    @property
    def records(self) -> int | None:
        """The records under one key, or None for the soft limit of the suite."""

    @property
    def interval(self) -> float:
        """The minimum time in seconds between two KeyUpdates."""

    @property
    def seconds(self) -> float | None:
        """The time in seconds from the first data under one key, or None for no limit."""

    @property
    def peer(self) -> bool:
        """Whether the KeyUpdates request one from the peer."""

@final
class StormPolicy:
    """How many KeyUpdates of the peer are accepted; immutable, can be compared.

    A connection ends with the alert unexpected_message at one KeyUpdate too many. KeyUpdates with
    data between them, and answers to our own requests, are not limited.
    """

    def __new__(cls, *, limit: int = 32, window: float = 1.0) -> Self:
        """Create a policy.

        :param limit: the number of consecutive KeyUpdates without application data between them.
        :param window: as many again are accepted each time this number of seconds passes without
            data. With 0 there is no limit.
        :raises OverflowError: ``limit`` is not from 0 to 2**32 - 1.
        :raises ValueError: ``window`` is negative or not a number.
        """

    @property
    def limit(self) -> int:
        """The number of KeyUpdates."""

    @property
    def window(self) -> float:
        """The time in seconds after which as many again are accepted."""

@final
class ServerConfig:
    """The configuration of a server's handshakes; it can be shared by connections."""

    def __new__(
        cls,
        cert: _Buffer,
        key: _Buffer,
        *,
        password: _Password | None = None,
        identities: Iterable[ServerIdentity] = (),
        resolver: Callable[[str | None], ServerConfig | ServerIdentity | None] | None = None,
        alpn: Iterable[str] = (),
        client_roots: _Buffer | None = None,
        require_client_cert: bool = False,
        min_version: str = "TLSv1.2",
        suites: Iterable[str] | None = None,
        groups: Iterable[str] | None = None,
        prefer_post_quantum: bool = False,
        tickets: int = 2,
        keylog: str | None = None,
        rekey: RekeyPolicy | None = None,
        storm: StormPolicy | None = None,
        rekey_bytes: int | None = None,
        rekey_records: int | None = None,
        rekey_peer: bool = False,
        rekey_interval: float = 0.15,
        key_update_limit: tuple[int, float] = (32, 1.0),
    ) -> Self:
        """Create a server configuration.

        :param cert: the certificate chain as PEM, the server's certificate first.
        :param key: the private key as PEM (PKCS#8, PKCS#1 or SEC1): RSA of 2048 to 8192 bits, EC on
            P-256, P-384 or P-521, or Ed25519.
        :param password: the password of an encrypted ``key`` (PKCS#8 with PBES2, as ``openssl
            pkcs8`` and ``openssl genpkey`` write it). A function is called only if the key is
            encrypted.
        :param identities: further certificates. A client gets the first certificate, ``cert``
            included, that is valid for the server name that it asks for and whose key it accepts.
            If there is none, it gets the first one whose key it accepts.
        :param resolver: a function that is called during each handshake with the server name that
            the client asks for, or None if it asks for none. It returns the configuration or the
            certificate for this connection, or None for this configuration. A resolver of the
            result is not called. If the function raises an exception, the peer gets the alert
            internal_error, and the handshake raises a :class:`HandshakeError` from the exception.
            Exceptions such as ``KeyboardInterrupt`` are passed on unchanged.
        :param alpn: protocols in order of preference, each of 1 to 255 bytes. A client's list may
            have up to 28,671 bytes, including one for the length of each protocol.
        :param client_roots: root certificates as PEM to verify client certificates; None requests
            no client certificate. Their names are sent to the client, unless they do not fit into
            one message (64 KiB).
        :param require_client_cert: refuse clients without a certificate; needs ``client_roots``.
        :param min_version: ``"TLSv1.2"`` or ``"TLSv1.3"``.
        :param suites: names as in RFC 8446 and RFC 5246, such as ``["TLS_AES_128_GCM_SHA256"]``;
            None allows all.
        :param groups: key exchange groups in order of preference, named as in the IANA registry,
            such as ``["X25519MLKEM768", "x25519"]``. None allows x25519, secp256r1, secp384r1 and
            X25519MLKEM768. A server follows the order of the client. TLS 1.2 uses the first three.
        :param prefer_post_quantum: put X25519MLKEM768 first. A client sends key shares of it and
            of x25519. A server uses it with each client that supports it, even if the client
            prefers another group and a round trip more is needed.
        :param tickets: the number of TLS 1.3 session tickets per handshake, 0 to 255.
        :param keylog: a file to which secrets are appended in the format of ``SSLKEYLOGFILE``.
        :param rekey: when to renew our keys; the default is ``RekeyPolicy()``.
        :param storm: how many KeyUpdates of the peer to accept; the default is ``StormPolicy()``.
        :param rekey_bytes: ``bytes`` of a :class:`RekeyPolicy`; like the next three parameters, it
            cannot be combined with ``rekey``.
        :param rekey_records: ``records`` of a :class:`RekeyPolicy`.
        :param rekey_peer: ``peer`` of a :class:`RekeyPolicy`.
        :param rekey_interval: ``interval`` of a :class:`RekeyPolicy`.
        :param key_update_limit: ``limit`` and ``window`` of a :class:`StormPolicy`; it cannot be
            combined with ``storm``.
        :raises ValueError: a number of seconds is negative or not a number.
        :raises ConfigError: EINVAL with the argument that cannot be parsed, or that contradicts
            another one or the protocol. It is also a ``ValueError``.
        """

    def reload(
        self,
        cert: _Buffer,
        key: _Buffer,
        *,
        password: _Password | None = None,
        identities: Iterable[ServerIdentity] | None = None,
    ) -> None:
        """Replace the certificate for the handshakes that start from now on.

        Connections and handshakes that have begun keep the certificate that they have. Session
        tickets remain valid. If the call fails, nothing is replaced.

        :param cert: see :class:`ServerConfig`, also for ``key`` and ``password``.
        :param identities: the further certificates; None keeps the present ones.
        :raises ConfigError: EINVAL if ``cert`` or ``key`` cannot be used, or they do not belong
            together.
        """

@final
class ServerIdentity:
    """A certificate chain with its private key, for a :class:`ServerConfig`; immutable."""

    def __new__(cls, cert: _Buffer, key: _Buffer, *, password: _Password | None = None) -> Self:
        """Create an identity.

        :param cert: see :class:`ServerConfig`, also for the other parameters.
        :raises ConfigError: EINVAL if ``cert`` or ``key`` cannot be used, or they do not belong
            together.
        """

@final
class ClientConfig:
    """The configuration of a client's handshakes, with the session tickets for resumption."""

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
        groups: Iterable[str] | None = None,
        prefer_post_quantum: bool = False,
        resumption: bool = True,
        keylog: str | None = None,
        rekey: RekeyPolicy | None = None,
        storm: StormPolicy | None = None,
        rekey_bytes: int | None = None,
        rekey_records: int | None = None,
        rekey_peer: bool = False,
        rekey_interval: float = 0.15,
        key_update_limit: tuple[int, float] = (32, 1.0),
    ) -> Self:
        """Create a client configuration.

        :param roots: the trusted root certificates: PEM, ``"system"`` for those of the system, or
            ``"webpki"`` for Mozilla's, which are compiled in. None means ``"system"``.
        :param cert: a client certificate chain as PEM; needs ``key``.
        :param key: the private key of ``cert``; see :class:`ServerConfig`.
        :param resumption: store session tickets and use them.

        The other parameters and the errors are those of :class:`ServerConfig`.
        """

@final
class Connection:
    """A TLS connection according to RFC 8446 and RFC 9846.

    Create it with :func:`ktls_fast.connect`, :func:`ktls_fast.accept` or one of the three static
    methods. One thread may read while another one writes. KeyUpdates are handled internally:
    requests of the peer are answered, and keys are renewed before the limit of the AEAD.

    After a fork, the first of the two processes that uses the connection keeps it, and the other
    one gets EBUSY. In a child that never used the connection, ``close`` only closes the child's
    descriptor and sends nothing. In the parent ``close`` is a use, so a parent that leaves the
    connection to its child must drop it without ``close``. Any other connection that is dropped
    open emits a ``ResourceWarning``, as a :class:`socket.socket` does.

    Use :meth:`fileno` only to wait, and the methods to read and write, as with a
    :class:`KtlsSocket`.

    Calls fail with :class:`AlertReceivedError` if the peer has sent an alert, with
    :class:`PeerError` if the peer broke a rule (the alert of the RFC was sent to it), and with
    :class:`TruncatedError` if the peer sent FIN without close_notify.
    """

    @staticmethod
    def server(sock: socket, config: ServerConfig) -> Connection:
        """Take over ``sock`` and perform the server's handshake within the timeout of ``sock``.

        If ``sock`` is non-blocking, it returns at once; see :meth:`do_handshake`.

        :raises HandshakeError: EPROTO with the reason; an alert was sent to the peer.
        :raises TimeoutError: the handshake took longer than the timeout of the socket.
        :raises TypeError: ``sock`` is not a ``socket.socket``, or is a socket of ``ssl``: TLS
            inside TLS is not supported, and our records would bypass the outer connection.
        """

    @staticmethod
    def client(sock: socket, config: ClientConfig, server_name: str) -> Connection:
        """Take over ``sock`` and perform the client's handshake; see :meth:`server`.

        :param server_name: the name that the certificate must prove: an IP address or a host name.
            International names are encoded with IDNA, as ``ssl`` does.
        """

    @staticmethod
    def from_secrets(
        sock: socket,
        *,
        server_side: bool,
        tx: TrafficSecret | CryptoInfo,
        rx: TrafficSecret | CryptoInfo,
        tx_rec_seq: int = 0,
        rx_rec_seq: int = 0,
        received: _Buffer | None = None,
        rekey: RekeyPolicy | None = None,
        storm: StormPolicy | None = None,
        rekey_bytes: int | None = None,
        rekey_records: int | None = None,
        rekey_peer: bool = False,
        rekey_interval: float = 0.15,
        key_update_limit: tuple[int, float] = (32, 1.0),
    ) -> Connection:
        """Take over a connection after another implementation has performed the handshake.

        :param server_side: whether this end is the server.
        :param tx: the key of our direction: a secret for TLS 1.3, or a :class:`CryptoInfo` for TLS
            1.2, such as :func:`derive_tls12_keys` returns. No record may have used the key with
            ``tx_rec_seq`` or a later number.
        :param rx: the key of the peer's direction, of the same kind.
        :param tx_rec_seq: the number of records that were already sent under the secret ``tx``. A
            server has usually sent its session tickets. Must be 0 with a ``CryptoInfo``, which has
            its own ``rec_seq``.
        :param rx_rec_seq: the number of records that were already received under the secret ``rx``.
        :param received: bytes that were already read from ``sock`` after these records.
        :param rekey: see :class:`ServerConfig`, also for the remaining parameters.
        :raises KtlsError: EINVAL if the keys are of different kinds or suites, if a ``CryptoInfo``
            is for TLS 1.3, or if both directions have the same key or one of them is up to three
            key updates older than the other. ``sock`` is then not taken.
        """

    def do_handshake(self) -> None:
        """Continue the handshake of a non-blocking connection, and return if it is complete.

        All calls that read or write data do this first. When the connection is closed before the
        handshake is complete, the peer gets what was to be sent, such as an alert, and then FIN.

        :raises WantReadError: bytes of the peer are missing: call again when ``fileno()`` is
            readable.
        :raises WantWriteError: TCP has no room: call again when ``fileno()`` is writable.
        :raises HandshakeError: EPROTO with the reason; the alert was sent to the peer.
        """

    @property
    def handshake_complete(self) -> bool:
        """Whether the handshake is complete."""

    @property
    def version(self) -> str | None:
        """The protocol version: ``"TLSv1.3"`` or ``"TLSv1.2"``; None during the handshake."""

    @property
    def cipher(self) -> str | None:
        """The name of the cipher suite, such as ``"TLS_AES_128_GCM_SHA256"``.

        It is None during the handshake. After :meth:`from_secrets` with a :class:`CryptoInfo` it is
        the kernel's name of the cipher, such as ``"AES_GCM_128"``.
        """

    @property
    def group(self) -> str | None:
        """The name of the key exchange group in the IANA registry, such as ``"X25519MLKEM768"``.

        None if a TLS 1.2 session was resumed, or another implementation did the handshake.
        """

    @property
    def alpn(self) -> str | None:
        """The protocol that was negotiated by ALPN, or None."""
    @property
    def server_name(self) -> str | None:
        """The server name (SNI) that the client requested, or None."""

    @property
    def peer_certificates(self) -> list[bytes]:
        """The certificate chain of the peer as DER, its own first; empty if it sent none.

        :raises ValueError: the handshake is not complete.
        """

    @property
    def resumed(self) -> bool:
        """Whether the handshake used a session ticket."""

    def export_keying_material(
        self, label: str | _Buffer, length: int, context: _Buffer | None = None
    ) -> bytes:
        """Derive keying material that both ends of this connection, and nobody else, can derive.

        It is that of RFC 8446 §7.5 for TLS 1.3 and of RFC 5705 for TLS 1.2. Key updates do not
        change it.

        :param label: the purpose, up to 249 bytes; a ``str`` is encoded as UTF-8.
        :param length: the number of bytes: up to 255 hashes of the suite (8160 or 12240 bytes) in
            TLS 1.3, and up to 65535 bytes in TLS 1.2.
        :param context: bytes that the result depends on, up to 65535. In TLS 1.3, None is the same
            as no bytes.
        :raises KtlsError: EINVAL if the secret is not known: in TLS 1.2 without an extended master
            secret (RFC 7627 §5.4), and if another implementation did the handshake.
        :raises ValueError: an argument is too long, ``length`` is not positive, or TLS 1.2 uses
            ``label`` itself.
        """

    @property
    def tx_generation(self) -> int:
        """The number of key updates of our direction."""

    @property
    def rx_generation(self) -> int:
        """The number of key updates of the peer's direction."""

    @property
    def records_sent(self) -> int:
        """The number of records sealed after the handshake."""
    @property
    def records_received(self) -> int:
        """The number of records opened after the handshake."""
    @property
    def bytes_sent(self) -> int:
        """The number of bytes of application data sealed."""

    @property
    def bytes_received(self) -> int:
        """The number of bytes of application data opened."""

    @property
    def unsent(self) -> int:
        """The number of sealed bytes that the socket has not accepted yet.

        They are sent as soon as the socket accepts them, even without another call: one thread of
        the process writes the bytes that non-blocking calls of all connections have left.
        """

    def read(self, n: int = 16384, /) -> bytes:
        """Return up to ``n`` bytes of application data; ``b""`` after the peer's close_notify.

        :raises WantReadError: the connection is non-blocking, and bytes of the peer are missing.
        """

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Return up to ``bufsize`` bytes like :meth:`read`; ``flags`` must be 0."""

    def recv_into(self, buffer: _Buffer, nbytes: int = 0, flags: int = 0) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 after close_notify.

        Records are opened in the buffer. A thread that reads it during the call may see plaintext
        that is not verified yet, and that is removed if it turns out to be forged.

        :param nbytes: the maximum number of bytes; 0 means the size of the buffer.
        :param flags: must be 0.
        """

    def write(self, data: _Buffer, /) -> int:
        """Send ``data`` and return the number of bytes accepted: all, unless non-blocking.

        :raises WantWriteError: the connection is non-blocking, and TCP has no room.
        """

    def send(self, data: _Buffer, flags: int = 0, /) -> int:
        """Send like :meth:`write`; ``flags`` must be 0."""

    def sendall(self, data: _Buffer, flags: int = 0, /) -> None:
        """Send all of ``data``; the timeout applies to the whole call, and ``flags`` must be 0."""

    def key_update(self, request_peer: bool = False) -> None:
        """Send a KeyUpdate and install our next key (RFC 8446 §4.6.3).

        :param request_peer: request a KeyUpdate from the peer in return. While a request is
            outstanding it is not repeated (RFC 9846 §4.7.3): the KeyUpdate is then sent without a
            request.
        :raises KtlsError: EOPNOTSUPP in TLS 1.2.
        :raises BrokenPipeError: EPIPE after close_notify.
        """

    def pending(self) -> int:
        """Return the number of bytes that can be processed without reading from the socket.

        It includes whole sealed records. Do not wait in ``select`` while it is above 0, or use a
        :class:`ktls_fast.selectors.KtlsSelector`, which takes it into account.
        """

    def close_notify(self) -> None:
        """Tell the peer that no more data will be sent; reading continues."""

    def makefile(
        self,
        mode: str = "r",
        buffering: int | None = None,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """Return a file over the connection, like :meth:`socket.socket.makefile`.

        :meth:`close` does not close the connection before all its files are closed.
        """

    def _decref_socketios(self) -> None:
        """Note that a file of :meth:`makefile` was closed."""

    def export(self) -> ExportedConnection:
        """End this object and return its socket, keys and unread bytes, for another user of them.

        Bytes that were accepted are sent first, and requests of the peer for a KeyUpdate answered;
        the call waits for that up to the timeout. The connection itself goes on: no close_notify
        and no FIN is sent. Every further call on this object fails with EBADF, so that no key is
        used twice with the same record number.

        A connection from a handshake of this package has traffic secrets in TLS 1.3, and so has one
        from :meth:`from_secrets`. In TLS 1.2 the keys never change, and there are none.

        :raises WantWriteError: the connection is non-blocking and TCP accepts no more bytes.
        :raises TimeoutError: TCP has not accepted all bytes in time.
        :raises KtlsError: EBUSY if a part of a handshake message was received.
        :raises PeerError: the peer broke a rule in a record that was read and not delivered. Data
            before it can still be read.

        If the call fails, the connection is unchanged.
        """

    def into_ktls(self, backend: Literal["auto", "engine", "kernel"] = "auto") -> tuple[Any, Any]:
        """End this object; return a kernel TLS socket that continues the connection, and its keys.

        ``KtlsConnection(*conn.into_ktls())`` is the simplest use: it sends and receives, and
        follows all KeyUpdates. Otherwise use the socket yourself, and pass its control records to
        the :class:`ktls_fast.KtlsKeys`.

        Nothing is lost. The engine's socket delivers all bytes that were read before. The kernel
        takes no bytes, so with it, all records that were read are opened before, and the rest of a
        record of which a part was read is waited for; :meth:`KtlsKeys.take_received` returns the
        data. As in :meth:`export`, everything that was accepted is sent before.

        :param backend: the implementation of TLS; see :func:`ktls_fast.ktls_socket`. ``"auto"``
            chooses the engine also if the kernel refuses the connection, for example because the
            peer has sent FIN.
        :returns: a :class:`KtlsSocket` or a ``KernelSocket``, and its ``KtlsKeys``.
        :raises WantWriteError: the connection is non-blocking and TCP accepts no more bytes.
        :raises WantReadError: the connection is non-blocking and a part of a record was received;
            for the kernel only.
        :raises TimeoutError: the call had to wait longer than the timeout.
        :raises KtlsError: the errors of :func:`ktls_fast.ktls_socket`, and the kernel's errors
            when it takes the keys.
        :raises PeerError: the peer broke a rule in a record that was read and not delivered.
        :raises TruncatedError: the peer sent FIN inside a record; for the kernel only.

        If the call fails, the connection is unchanged, with one exception: a kernel that has taken
        one key and then refuses the other, which can happen if memory runs out. The connection is
        then closed, because it cannot go on without a danger that a key is used twice.
        """

    def _hand_over_to_engine(self) -> tuple[KtlsSocket, _KtlsKeyState, bytes, bytes]:
        """Do the work of :meth:`into_ktls` for the engine.

        :returns: the socket, its keys, and the data and the other bytes that the socket does not
            deliver: those of a connection that the peer has closed.
        """

    def _hand_over_to_kernel(
        self, install: Callable[[CryptoInfo, CryptoInfo], Sequence[Callable[[], object]]], /
    ) -> tuple[socket, _KtlsKeyState, bytes, bytes]:
        """Do the work of :meth:`into_ktls` for the kernel.

        :param install: gets the keys of our direction and of the peer's, and returns the calls that
            install them at :meth:`fileno`. It must not use the connection otherwise. If it or the
            first of the calls raises, the connection is unchanged; if a later one does, it is
            closed.
        :returns: the socket, its keys, and the data and the other bytes that were read.
        """

    def _readiness(self, events: int, /) -> tuple[int, int]:
        """Return the events of now, and those to wait for at ``fileno()`` besides a bell."""

    def _watch(self, bell: _Bell, /) -> None:
        """Ring ``bell`` after each change that ``fileno()`` does not show."""

    def _unwatch(self, bell: _Bell, /) -> None:
        """Undo :meth:`_watch`."""
    def fileno(self) -> int:
        """Return the descriptor of the TCP socket, to wait for; -1 after :meth:`close`."""
    def settimeout(self, value: float | None, /) -> None:
        """Set the timeout of blocking calls in seconds; None waits forever, 0 never waits."""
    def gettimeout(self) -> float | None:
        """Return the timeout in seconds, or None."""
    def setblocking(self, flag: bool, /) -> None:
        """Call ``settimeout(None)`` if ``flag`` is true and ``settimeout(0)`` if it is false."""
    def getblocking(self) -> bool:
        """Return whether calls may wait: ``gettimeout() != 0``."""
    def getsockname(self) -> object:
        """Return the local address of the TCP connection."""
    def getpeername(self) -> object:
        """Return the address of the peer."""
    def close(self) -> None:
        """Close the connection: send everything that was accepted, then close_notify, then FIN.

        The call returns at once, regardless of the timeout. A thread of the process, which never
        takes the GIL, sends the bytes that TCP has no room for, and reads and discards the bytes
        that the peer still sends: closing the socket with unread bytes would reset the connection
        and destroy bytes on their way to the peer. The thread continues while the peer makes
        progress. It gives up after 60 seconds in which TCP has accepted nothing and the peer has
        acknowledged nothing; bytes that TCP did not accept are then lost, and the peer gets a
        reset. A peer that has acknowledged everything and sends nothing more is abandoned after 10
        seconds. At most 1024 sockets, and at most a quarter of the descriptors that the process may
        have, are closed in this way at a time; beyond that, the one that is nearest to its limit is
        given up.

        At exit the interpreter waits in ``atexit`` for up to 5 seconds without progress, for one
        second for a silent peer, and for at most a minute; an exception from a signal handler ends
        the wait. A worker of ``multiprocessing`` waits in the same way when it ends. ``os._exit``,
        which ``socketserver.ForkingMixIn`` also calls, and a fatal signal lose the unsent bytes.
        The child of a fork does not take part in closing its parent's connections. If no thread or
        descriptor is available, ``close`` does this work itself for at most a second.

        A connection that is dropped without ``close`` sends everything that was accepted and FIN,
        but no close_notify. If ``SO_LINGER`` is set to 0 on the socket, ``close`` resets the
        connection at once.

        Calls of other threads that wait at the connection fail with EBADF; data that they had not
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
        """Copy bytes between this connection and a plain socket until both directions end.

        It runs without the GIL. A half-close is passed on, a slow side slows the other one down,
        and memory is bounded.

        :param idle_timeout: end after this many seconds without a byte in either direction.
        :param stop_fd: when this descriptor becomes readable, send close_notify and FIN, finish the
            bytes in flight within a second, and return.
        :param truncation: see :meth:`Relay.add`.
        :returns: the number of plaintext bytes from the peer, and to the peer.
        :raises KtlsError: the errors of :meth:`read` and :meth:`write`. Neither side then sees a
            regular end: after the bytes that were received before, the peer gets an alert, and the
            plain side a reset when ``sock`` is closed.
        :raises TimeoutError: nothing was copied for ``idle_timeout`` seconds; both sides see the
            same as after another error.
        :raises OSError: an error of the plain side, which the text names.
        :raises TypeError: ``sock`` is not exactly a ``socket.socket``, so its bytes may not be
            plain.
        """

    def __enter__(self) -> Self:
        """Return ``self``."""
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
        /,
    ) -> None:
        """Call :meth:`close`; after an exception, close without close_notify.

        In that case the peer gets everything that was accepted and then the alert internal_error,
        so that it does not take a part for the whole.
        """

@final
class ExportedConnection(NamedTuple):
    """What :meth:`Connection.export` returns: everything that continues the connection.

    Each ``rec_seq`` is the number of the next record. With secrets, the connection can be continued
    by :meth:`Connection.from_secrets` with ``tx_secret``, ``rx_secret``, the two numbers, and
    ``received=ciphertext``, after ``plaintext`` was used.
    """

    sock: socket
    """The TCP socket, with the timeout of the connection."""
    server_side: bool
    """Whether this end is the server."""
    tx: CryptoInfo
    """The key of our direction, as ``TLS_TX`` takes it."""
    rx: CryptoInfo
    """The key of the peer's direction, as ``TLS_RX`` takes it."""
    tx_secret: TrafficSecret | None
    """The secret of ``tx``; None in TLS 1.2."""
    rx_secret: TrafficSecret | None
    """The secret of ``rx``; None in TLS 1.2."""
    plaintext: bytes
    """Application data that was received and not read. It precedes ``ciphertext``."""
    ciphertext: bytes
    """Bytes that were read from ``sock`` and not opened: records, of which the last may be cut."""
    closed_by_peer: bool
    """Whether the peer has sent close_notify. ``ciphertext`` is what followed it, and not TLS."""

@final
class _KtlsKeyState:
    """The secrets of a :class:`ktls_fast.KtlsKeys`, and what the RFC demands of them; no socket.

    Keys count as installed only after the caller has reported it. All calls are short and never
    wait. After a fork, the process that uses it first keeps it; the other one gets EBUSY.
    """

    @property
    def is_tls13(self) -> bool:
        """Whether the version is TLS 1.3; otherwise it is TLS 1.2."""
    @property
    def cipher(self) -> str:
        """The kernel's name of the cipher, such as ``"AES_GCM_128"``."""
    @property
    def info_len(self) -> int:
        """The length of the cipher's struct, in bytes."""
    @property
    def tx_generation(self) -> int:
        """The number of key updates of our direction."""
    @property
    def rx_generation(self) -> int:
        """The number of key updates of the peer's direction."""
    @property
    def send_number(self) -> int:
        """The number of the next record that we send, or a greater number."""
    def set_send_number(self, number: int, /) -> None:
        """Set the number of the next record that we send, as the socket reports it."""
    def send_limits(self) -> tuple[bool, int]:
        """Return whether a KeyUpdate is due now, and the number of bytes until the next check.

        :raises KeyLimitError: EKEYEXPIRED if the key of a TLS 1.2 connection is used up.
        :raises BrokenPipeError: EPIPE if sending has ended.
        """

    def note_sent(self, nbytes: int, /) -> None:
        """Count application data that one call of the socket has taken."""
    @property
    def owes_update(self) -> bool:
        """Whether the peer has requested a KeyUpdate that was not sent yet."""
    def prepare_key_update(self, request_peer: bool | None, /) -> tuple[bytes, CryptoInfo]:
        """Return a KeyUpdate message, and the key to install behind it.

        :param request_peer: whether to request a KeyUpdate in return; None: see ``rekey_peer``.
        :raises KtlsError: EBUSY in TLS 1.2.
        :raises BrokenPipeError: EPIPE if sending has ended.
        """

    @property
    def is_key_update_sealed(self) -> bool:
        """Whether the prepared message is sent, and the key behind it is not installed."""
    def note_key_update_sealed(self) -> None:
        """Note that the socket has taken the prepared message."""
    def note_send_key_installed(self) -> None:
        """Note that the key behind the KeyUpdate is installed."""
    def note_close_notify(self) -> None:
        """Note that close_notify was sent."""
    def end_sending(self) -> None:
        """End the sending direction after an error."""
    @property
    def has_ended_sending(self) -> bool:
        """Whether nothing more may be sent."""
    def note_received(self, nbytes: int, /) -> None:
        """Count application data that was received.

        :raises PeerError: EPROTO if a handshake message of the peer is not complete.
        """

    def take_record(self, record_type: int, data: _Buffer, /) -> None:
        """Act on a whole record that is not application data.

        :raises PeerError: EPROTO if the peer broke a rule; :attr:`alert` is to be sent.
        :raises AlertReceivedError: ECONNABORTED if it is a fatal alert.
        """

    @property
    def next_receive_key(self) -> CryptoInfo | None:
        """The next key of the peer, to be installed before anything more is received, or None."""
    @property
    def is_paused_early(self) -> bool:
        """Whether the socket has paused at a record that does not end a KeyUpdate."""
    def note_receive_key_installed(self) -> None:
        """Note that the key of the peer is installed."""
    def take_renegotiation(self) -> bool:
        """Return True once if the peer of a TLS 1.2 connection wants to renegotiate."""
    @property
    def closed_by_peer(self) -> bool:
        """Whether the peer has sent close_notify."""
    @property
    def alert(self) -> int | None:
        """The alert that an error of :meth:`take_record` or :meth:`note_received` owes the peer."""

@final
class TLSObject:
    """A TLS connection without a socket: the caller moves the bytes.

    Pass bytes of the peer to :meth:`receive`, and send what :meth:`data_to_send` returns. After
    each call there may be something to send: the handshake, the answer to a KeyUpdate, or an alert.

    One thread may read while another one writes. What is to be sent, and what was received and not
    read yet, is kept in memory without a limit: see :attr:`unsent`. KeyUpdates are handled
    internally as by :class:`Connection`, and calls raise the same exceptions.

    Of two processes after a fork, the first one that uses the object keeps it; the other one gets
    EBUSY, because both would use the same nonces. There is nothing to close.
    """

    @staticmethod
    def server(config: ServerConfig) -> TLSObject:
        """Return the server's side of a new connection."""

    @staticmethod
    def client(config: ClientConfig, server_name: str) -> TLSObject:
        """Return the client's side of a new connection; :meth:`data_to_send` has its first message.

        :param server_name: the name that the certificate must prove; see :meth:`Connection.client`.
        """

    @staticmethod
    def from_secrets(
        *,
        server_side: bool,
        tx: TrafficSecret | CryptoInfo,
        rx: TrafficSecret | CryptoInfo,
        tx_rec_seq: int = 0,
        rx_rec_seq: int = 0,
        received: _Buffer | None = None,
        rekey: RekeyPolicy | None = None,
        storm: StormPolicy | None = None,
        rekey_bytes: int | None = None,
        rekey_records: int | None = None,
        rekey_peer: bool = False,
        rekey_interval: float = 0.15,
        key_update_limit: tuple[int, float] = (32, 1.0),
    ) -> TLSObject:
        """Continue a connection after another implementation has performed the handshake.

        The parameters are those of :meth:`Connection.from_secrets`.
        """

    def receive(self, data: _Buffer, /) -> None:
        """Take bytes of the peer; they are copied.

        It continues a handshake, but decrypts no data. Other calls raise the errors.

        :raises ValueError: :meth:`receive_eof` was called before.
        """

    def receive_eof(self) -> None:
        """Note that the transport has ended: no more bytes of the peer will come.

        Without a close_notify of the peer, :meth:`read` raises :class:`TruncatedError` after all
        data that was received.
        """

    def data_to_send(self, n: int = -1, /) -> bytes:
        """Take up to ``n`` bytes to send to the peer; all of them if ``n`` is negative."""

    @property
    def unsent(self) -> int:
        """The number of bytes that :meth:`data_to_send` would return."""

    @property
    def wants(self) -> int:
        """The number of bytes of the peer that complete its next record, or the record's header.

        It is 0 if there is something to read. A caller that reads no more than this many bytes from
        its transport never holds a whole record that it did not need.
        """

    def do_handshake(self) -> None:
        """Return if the handshake is complete.

        All calls that read or write data check this first.

        :raises WantReadError: more bytes of the peer are needed.
        :raises HandshakeError: EPROTO with the reason; :meth:`data_to_send` has the alert.
        """

    @property
    def handshake_complete(self) -> bool:
        """Whether the handshake is complete."""

    def read(self, n: int = 65536, /) -> bytes:
        """Return up to ``n`` bytes of application data; ``b""`` after the peer's close_notify.

        Memory is allocated for the data that is there, not for ``n`` bytes.

        :raises WantReadError: more bytes of the peer are needed.
        """

    def recv_into(self, buffer: _Buffer, nbytes: int = 0) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 after the peer's close_notify.

        Records are opened in the buffer; see :meth:`Connection.recv_into`.

        :param nbytes: the maximum number of bytes; 0 means the size of the buffer.
        :raises WantReadError: more bytes of the peer are needed.
        """

    def write(self, data: _Buffer, /) -> int:
        """Seal all of ``data`` and return its length.

        After an error a part of it may have been sealed.

        :raises WantReadError: the handshake is not complete.
        :raises BrokenPipeError: EPIPE after :meth:`close_notify`.
        """

    def writelines(self, parts: Iterable[_Buffer], /) -> int:
        """Seal all parts like :meth:`write`, and return the sum of their lengths.

        Parts that are shorter than a record share records.
        """

    def key_update(self, request_peer: bool = False) -> None:
        """Seal a KeyUpdate and install our next key; see :meth:`Connection.key_update`."""

    def close_notify(self) -> None:
        """Seal a close_notify: no more data will be sent; reading continues.

        A second call does nothing.
        """

    def pending(self) -> int:
        """Return the number of bytes that can be processed without :meth:`receive`.

        It includes whole sealed records. The end of the connection or an error counts as well until
        a call has reported it.
        """

    def leftover(self) -> bytes:
        """Take the bytes that followed the peer's close_notify; they are not TLS.

        There are none before :meth:`read` has reached the close_notify.
        """

    @property
    def closed_by_peer(self) -> bool:
        """Whether the peer has sent close_notify and all data in front of it was read."""

    @property
    def version(self) -> str | None:
        """The protocol version: ``"TLSv1.3"`` or ``"TLSv1.2"``; None during the handshake."""

    @property
    def cipher(self) -> str | None:
        """The name of the cipher suite; None during the handshake.

        After :meth:`from_secrets` with a :class:`CryptoInfo` it is the kernel's name of the cipher,
        such as ``"AES_GCM_128"``.
        """

    @property
    def group(self) -> str | None:
        """See :attr:`Connection.group`; None during the handshake."""

    def export_keying_material(
        self, label: str | _Buffer, length: int, context: _Buffer | None = None
    ) -> bytes:
        """Derive keying material; see :meth:`Connection.export_keying_material`.

        :raises ValueError: the handshake is not complete, and for the reasons given there.
        """

    @property
    def alpn(self) -> str | None:
        """The protocol that was negotiated by ALPN, or None."""
    @property
    def server_name(self) -> str | None:
        """The server name (SNI) that the client requested, or None."""

    @property
    def peer_certificates(self) -> list[bytes]:
        """The certificate chain of the peer as DER, its own first; empty if it sent none.

        :raises ValueError: the handshake is not complete.
        """

    @property
    def resumed(self) -> bool:
        """Whether the handshake used a session ticket."""

    @property
    def tx_generation(self) -> int:
        """The number of key updates of our direction."""

    @property
    def rx_generation(self) -> int:
        """The number of key updates of the peer's direction."""

    @property
    def records_sent(self) -> int:
        """The number of records sealed after the handshake."""
    @property
    def records_received(self) -> int:
        """The number of records opened after the handshake."""
    @property
    def bytes_sent(self) -> int:
        """The number of bytes of application data sealed."""

    @property
    def bytes_received(self) -> int:
        """The number of bytes of application data opened."""

class ControlRecord(NamedTuple):
    """A record that is not application data and is waiting to be read."""

    side: int
    """The side that received it: 0 is ``a`` of :meth:`Relay.add`, 1 is ``b``."""
    record_type: int
    """One of :class:`ktls_fast.ContentType`, or any other number that the peer has sent."""

@final
class Relay:
    """Copies bytes between pairs of sockets in its own threads, without the GIL.

    Each pair is handled like one in :meth:`Connection.relay`: key updates are handled internally, a
    half-close is passed on, a slow side slows the other one down, and memory is bounded. After an
    error each side still gets, in order, everything that was received for it before, and is then
    notified that the stream is incomplete. One thread waits for many pairs. A pair has no buffer
    while none of its bytes wait.

    A :class:`KtlsSocket` is handled as by its own ``recv`` and ``send``, so TLS messages in other
    records are left to its owner:

    * Only data records are passed on. Any other record (KeyUpdate, alert, ticket) ends the pair
      without an error and waits to be read; see :attr:`RelayHandle.control`.
    * The FIN of TCP is the end, whether or not close_notify came before. When the other side ends,
      the peer gets FIN after all data, and no close_notify.
    * After an error its peer gets a reset when the socket is closed, like a plain side, and no
      alert. Data that its peer refuses to take is read and dropped, like on a plain side, because
      the peer's answer may be on its way.

    The child of a fork does not have these threads and gets EBUSY. A relay that is dropped without
    :meth:`close`, or that is open when the interpreter ends, ends its pairs at once.
    """

    def __new__(cls, threads: int = 1) -> Self:
        """Create a relay and start its threads.

        :raises ValueError: ``threads`` is 0.
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
        """Copy between ``a`` and ``b`` until both directions have ended, in the least busy thread.

        The caller keeps both sockets and closes them at the end. The peer of a plain side gets its
        FIN, or its reset after an error, when the last descriptor is closed. Nobody else may read
        or write a connection or KtlsSocket in the meantime: such calls raise ``BlockingIOError``,
        or wait. Closing one of the sockets ends the pair with EBADF.

        :param idle_timeout: end after this many seconds without a byte in either direction.
        :param truncation: how to treat a TLS peer that ends without close_notify, as many programs
            do, so that the data may be incomplete. All data that it sent is passed on, and the
            other direction continues. With ``"reset"``, the other side gets a reset (or, with TLS,
            an alert) once it has ended too or nothing was copied for 5 seconds, and
            :attr:`RelayHandle.error` is a :class:`TruncatedError`. With ``"fin"``, the other side
            gets a regular end at once.
        :param on_close: a function that is called once with the handle, by the thread of the pair,
            after both sides were released. Other pairs of the thread wait for it. Exceptions go to
            :func:`sys.unraisablehook`.
        :raises BlockingIOError: another thread or relay is reading or writing one of the sockets.
        :raises KtlsError: EINVAL for two plain sockets, or a KtlsSocket without both keys;
            EOPNOTSUPP for a KtlsSocket with a ``device`` that has workers, and for a KernelSocket;
            EBADMSG for a KtlsSocket that has received an invalid record header; EBUSY in the child
            of a fork.
        :raises KeyExpiredError: a KeyUpdate was read from a KtlsSocket, and its next key is not
            installed.
        :raises OSError: EBADF if the relay or a socket is closed.
        :raises TypeError: a side is neither a Connection, a KtlsSocket nor exactly a
            :class:`socket.socket`.
        """

    def close(self, drain: float = 1.0) -> None:
        """Stop all pairs like :meth:`RelayHandle.stop`, and wait for the threads to end.

        A callback may call it as well; the call then does not wait.

        :param drain: seconds for the bytes in flight. A pair that still holds bytes afterwards is
            cut off, with the error ECONNABORTED.
        :raises KtlsError: EBUSY in the child of a fork.
        """

    def stats(self) -> dict[str, int]:
        """Return the counters of the relay.

        The keys are ``threads``; the pairs ``open``, ``ended`` and, of the latter, ``failed``; and
        the ``bytes`` copied.
        """

    def __len__(self) -> int:
        """Return the number of pairs that have not ended."""

    def __bool__(self) -> bool:
        """Return True, also if there are no pairs."""

    def __enter__(self) -> Self:
        """Return ``self``."""
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
        /,
    ) -> None:
        """Call :meth:`close`."""

@final
class RelayHandle:
    """One pair of a :class:`Relay`. Its two directions are from ``a`` to ``b``, and back."""

    @property
    def bytes(self) -> tuple[int, int]:
        """The number of plaintext bytes copied so far in each direction."""

    @property
    def records(self) -> tuple[int, int]:
        """The number of records so far in each direction.

        Empty records and that of :attr:`control` count.

        For each direction these are the records that its source has received, or, if the source is
        plain, those that the other side has sent.
        """

    @property
    def done(self) -> bool:
        """Whether the pair has ended."""

    @property
    def error(self) -> OSError | None:
        """The reason why the pair ended before both sides had; None if there is none.

        It is the exception that :meth:`Connection.relay` would have raised. If a TLS peer
        disappears after its close_notify, that is a regular end: the value is None, and
        :attr:`bytes` tells how much it took before.
        """

    @property
    def truncated(self) -> int | None:
        """The side, 0 or 1, whose TLS peer ended without close_notify, or None."""

    @property
    def control(self) -> ControlRecord | None:
        """The record at a :class:`KtlsSocket` that ended the pair; None otherwise.

        All data before the record was passed on, neither side was notified, and ``recvmsg`` will
        return the record. After a KeyUpdate, install the next key; :meth:`Relay.add` then continues
        with both sides, and no byte is lost.
        """

    def stop(self) -> None:
        """End the pair within a second, with close_notify or, for a KtlsSocket, with FIN.

        Bytes in flight are copied first. A stream that still flows after that is cut off. Its
        receiver is notified as after an error, and the error of the pair is ECONNABORTED.

        :raises KtlsError: EBUSY in the child of a fork.
        """
