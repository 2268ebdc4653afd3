"""Buffers whose items are not bytes, as ``socket.send`` and ``socket.recv_into`` take them."""

import array
import contextlib
import ctypes
import mmap
import socket
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from ktls_fast import Connection, KtlsSocket, Opener, Sealer, scan_key_updates
from ktls_fast import TrafficSecret as Secret
from tests.reference import AES_GCM_128, TLS13, pattern, traffic_key

KEY = traffic_key(TLS13, AES_GCM_128)
SIZE = 96
DATA = pattern(SIZE)


class Point(ctypes.Structure):
    """What a C interface passes; capital letters in a field name are not type codes."""

    _fields_ = (
        ("Offset", ctypes.c_int32),
        ("ObjectID", ctypes.c_double),
        ("O", ctypes.c_byte * 80),
    )


class Either(ctypes.Union):
    """Check the same bytes in two ways."""

    _fields_ = (("whole", ctypes.c_byte * SIZE), ("first", ctypes.c_uint64))


class BigEndian(ctypes.BigEndianStructure):
    """Items in the other byte order."""

    _fields_ = (("words", ctypes.c_uint32 * (SIZE // 4)),)


def filled(empty: Any) -> Any:  # noqa: ANN401
    """Return a writable buffer of SIZE bytes, filled with DATA."""
    ctypes.memmove((ctypes.c_byte * SIZE).from_buffer(empty), DATA, SIZE)
    return empty


def in_mmap() -> mmap.mmap:
    memory = mmap.mmap(-1, SIZE)
    memory[:] = DATA
    return memory


FIELDS = [("Offset", "<i4"), ("O", "u1", (12,))]

BUFFERS: dict[str, Callable[[], Any]] = {
    "structure": lambda: Point.from_buffer_copy(DATA),
    "union": lambda: Either.from_buffer_copy(DATA),
    "big-endian-structure": lambda: BigEndian.from_buffer_copy(DATA),
    "ctypes-ints": lambda: (ctypes.c_int * (SIZE // 4)).from_buffer_copy(DATA),
    "ctypes-matrix": lambda: ((ctypes.c_double * 4) * 3).from_buffer_copy(DATA),
    "ctypes-structures": lambda: (Point * 1).from_buffer_copy(DATA),
    "array-of-doubles": lambda: array.array("d", DATA),
    "array-of-shorts": lambda: array.array("H", DATA),
    "cast-memoryview": lambda: memoryview(bytearray(DATA)).cast("I"),
    "shaped-memoryview": lambda: memoryview(bytearray(DATA)).cast("B", (2, 3, SIZE // 6)),
    "zero-dimensional-memoryview": lambda: memoryview(Point.from_buffer_copy(DATA)),
    "mmap": in_mmap,
    "numpy-floats": lambda: np.frombuffer(DATA, np.float32).copy(),
    "numpy-complex": lambda: np.frombuffer(DATA, np.complex128).copy(),
    "numpy-half": lambda: np.frombuffer(DATA, np.float16).copy(),
    "numpy-dates": lambda: np.frombuffer(DATA, "M8[s]").copy(),
    "numpy-matrix": lambda: np.frombuffer(DATA, np.int16).reshape(4, -1).copy(),
    "numpy-big-endian": lambda: np.frombuffer(DATA, ">u8").copy(),
    "numpy-fields": lambda: np.frombuffer(DATA, FIELDS).copy(),
    "numpy-texts": lambda: np.frombuffer(DATA, "S8").copy(),
    "numpy-void": lambda: np.frombuffer(DATA, "V16").copy(),
    "numpy-zero-dimensional": lambda: np.frombuffer(DATA, f"V{SIZE}").copy().reshape(()),
}
every_buffer = pytest.mark.parametrize("make", BUFFERS.values(), ids=BUFFERS.keys())


def contents(buffer: Any) -> bytes:  # noqa: ANN401
    """Return the contents as the standard library reads them."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.send(buffer)
        return theirs.recv(2 * SIZE)


@contextlib.contextmanager
def connections() -> Iterator[tuple[Connection, Connection]]:
    """Two ends over a socket pair."""
    sockets, secrets = socket.socketpair(), [Secret(0x1301, bytes([n]) * 32) for n in (1, 2)]
    a = Connection.from_secrets(sockets[0], server_side=True, tx=secrets[0], rx=secrets[1])
    b = Connection.from_secrets(sockets[1], server_side=False, tx=secrets[1], rx=secrets[0])
    with a, b:
        yield a, b


@every_buffer
def test_buffers_that_socket_send_accepts_are_sealed(make: Callable[[], Any]) -> None:
    assert contents(make()) == DATA
    assert Sealer(KEY.struct()).seal(make()) == KEY.seal(DATA)
    assert Sealer(KEY.struct()).seal_batch(make(), record_size=SIZE).wire == KEY.seal(DATA)


@every_buffer
def test_buffers_that_socket_send_accepts_are_sent(make: Callable[[], Any]) -> None:
    ours, theirs = socket.socketpair()
    with KtlsSocket(ours) as sock, theirs:
        assert sock.send(make()) == SIZE
        sock.sendall(make())
        assert sock.sendmsg([make(), make()]) == 2 * SIZE
        assert theirs.recv(5 * SIZE, socket.MSG_WAITALL | socket.MSG_DONTWAIT) == 4 * DATA
    with connections() as (a, b):
        assert a.send(make()) == SIZE
        a.sendall(make())
        assert b.read(SIZE) + b.read(SIZE) == 2 * DATA


@every_buffer
def test_buffers_that_recv_into_accepts_are_filled_in_place(make: Callable[[], Any]) -> None:
    ours, theirs = socket.socketpair()
    with KtlsSocket(ours) as sock, theirs:
        theirs.send(DATA[::-1])
        out = make()
        assert sock.recv_into(out) == SIZE
        assert contents(out) == DATA[::-1]
    with connections() as (a, b):
        a.sendall(DATA[::-1])
        out = make()
        assert b.recv_into(out) == SIZE
        assert contents(out) == DATA[::-1]


@every_buffer
def test_a_batch_opened_into_any_buffer_is_a_view_of_bytes(make: Callable[[], Any]) -> None:
    out = make()
    batch = Opener(KEY.struct()).open_batch(KEY.seal(b"plaintext"), out)
    assert (batch.data.format, batch.data.shape) == ("B", (9,))
    assert batch.data == contents(out)[:9] == b"plaintext"


@every_buffer
def test_a_batch_sealed_into_any_buffer_is_a_view_of_bytes(make: Callable[[], Any]) -> None:
    out, record = make(), KEY.seal(b"data")
    batch = Sealer(KEY.struct()).seal_batch(b"data", out=out)
    assert batch.wire == contents(out)[: len(record)] == record
    batch.wire[0] = 5
    assert contents(out)[0] == 5


class WithObject(ctypes.Structure):
    """A reference to an object between numbers."""

    _fields_ = (("number", ctypes.c_int), ("object", ctypes.py_object))


HOLD_OBJECTS: dict[str, Callable[[], Any]] = {
    "numpy": lambda: np.full(100, None, dtype=object),
    "numpy-field": lambda: np.zeros(100, [("n", "i4"), ("ref", "O")]),
    "numpy-field-beside-a-date": lambda: np.zeros(100, [("when", "M8[s]"), ("ref", "O")]),
    "structure": WithObject,
    "ctypes-objects": lambda: (ctypes.py_object * 100)(),
    "structures": lambda: (WithObject * 10)(),
}


@pytest.mark.parametrize("make", HOLD_OBJECTS.values(), ids=HOLD_OBJECTS.keys())
def test_memory_with_references_to_objects_is_refused(make: Callable[[], Any]) -> None:
    """Bytes written over them would crash the interpreter."""
    sealer, opener = Sealer(KEY.struct()), Opener(KEY.struct())
    for attempt in (
        lambda: sealer.seal_batch(b"data", out=make()),
        lambda: opener.open_batch(KEY.seal(b"data"), make()),
        lambda: sealer.seal(make()),
    ):
        with pytest.raises(BufferError, match="references to objects"):
            attempt()
    assert (sealer.rec_seq, opener.rec_seq) == (0, 0)


INT64S: dict[str, Callable[[], Any]] = {
    "numpy": lambda: np.array([1, 3], np.int64),
    "array": lambda: array.array("q", [1, 3]),
    "array-of-longs": lambda: array.array("l", [1, 3]),
    "memoryview": lambda: memoryview(array.array("q", [1, 3])),
    "cast-memoryview": lambda: memoryview(array.array("q", [1, 3]).tobytes()).cast("q"),
    "ctypes": lambda: (ctypes.c_int64 * 2)(1, 3),
    "unaligned": lambda: np.frombuffer(b"x" + np.array([1, 3]).tobytes(), "=i8", offset=1),
}
UINT8S: dict[str, Callable[[], Any]] = {
    "numpy": lambda: np.array([22, 21], np.uint8),
    "bytes": lambda: bytes([22, 21]),
    "bytearray": lambda: bytearray([22, 21]),
    "array": lambda: array.array("B", [22, 21]),
    "ctypes": lambda: (ctypes.c_uint8 * 2)(22, 21),
    "memoryview": lambda: memoryview(bytes([22, 21])),
}


@pytest.mark.parametrize("int64s", INT64S.values(), ids=INT64S.keys())
@pytest.mark.parametrize("uint8s", UINT8S.values(), ids=UINT8S.keys())
def test_a_column_may_be_an_array_of_any_kind(
    int64s: Callable[[], Any], uint8s: Callable[[], Any]
) -> None:
    batch = Sealer(KEY.struct()).seal_batch(
        b"abcdefg", offsets=int64s(), lengths=int64s(), types=uint8s()
    )
    assert batch.wire == KEY.seal(b"b", 22) + KEY.seal(b"def", 21, nth=1)
    found = scan_key_updates(uint8s(), int64s(), int64s(), b" \x18 \0\0\1")
    assert found == [(1, False, "interleaved")]


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ([1, 3], "not <class 'list'>"),
        (None, "not <class 'NoneType'>"),
        (np.zeros(2), '1 dimensions and items of format "d"'),
        (np.zeros((2, 1), np.int64), "2 dimensions and items of format"),
        (np.zeros(2, ">i8"), 'items of format ">'),
        (np.zeros(2, np.int32), 'items of format "i"'),
        (np.zeros(4, np.int64)[::2], "not C-contiguous"),
        (ctypes.c_int64(1), "0 dimensions and items of format"),
        (b"12345678", 'items of format "B"'),
        (memoryview(b"12345678").cast("B", (2, 4)), '2 dimensions and items of format "B"'),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_error_of_a_refused_column_names_what_is_needed(bad: Any, text: str) -> None:  # noqa: ANN401
    places = array.array("q", [0])
    with pytest.raises(TypeError, match="array of int64 is needed, not") as caught:
        scan_key_updates(b"\x16", bad, places, b"")
    assert text in str(caught.value)
    assert "'offsets'" in str(caught.value.__notes__)
    if bad is not None:
        with pytest.raises(TypeError, match="array of int64 is needed, not"):
            Sealer(KEY.struct()).seal_batch(b"", offsets=bad, lengths=places)
    with pytest.raises(TypeError, match="array of uint8 is needed, not"):
        scan_key_updates(places, places, places, b"")
