"""Arguments for bytes: every C-contiguous buffer, and nothing else."""

import array
import ctypes
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ktls_fast import CryptoInfo, KeyUpdateScanner, Opener, Sealer, TrafficSecret, scan_key_updates
from tests.reference import AES_GCM_128, TLS13, pattern, traffic_key

KEY = traffic_key(TLS13, AES_GCM_128)
DATA = pattern(5000)
REFUSAL = (TypeError, ValueError, BufferError)

Maker = Callable[[bytes], Any]


def in_mmap(data: bytes) -> mmap.mmap:
    memory = mmap.mmap(-1, len(data))
    memory[:] = data
    return memory


def in_slice(data: bytes) -> memoryview:
    return memoryview(b"before" + data + b"after")[6 : 6 + len(data)]


def in_numpy(data: bytes) -> Any:  # noqa: ANN401
    return np.frombuffer(data, np.uint8).copy()


READABLE: dict[str, Maker] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "sliced-memoryview": in_slice,
    "mmap": in_mmap,
    "numpy": in_numpy,
    "numpy-slice": lambda data: in_numpy(b"12" + data)[2:],
    "read-only-numpy": lambda data: np.frombuffer(data, np.uint8),
    "array": lambda data: array.array("B", data),
}
WRITABLE: dict[str, Maker] = {
    "bytearray": bytearray,
    "memoryview": lambda data: memoryview(bytearray(data)),
    "sliced-memoryview": lambda data: memoryview(bytearray(b"12" + data))[2:],
    "mmap": in_mmap,
    "numpy": in_numpy,
    "numpy-slice": lambda data: in_numpy(b"12" + data)[2:],
    "array": lambda data: array.array("B", data),
}
NOT_CONTIGUOUS: dict[str, Maker] = {
    "strided-memoryview": lambda data: memoryview(bytearray(data))[::2],
    "reversed-memoryview": lambda data: memoryview(bytearray(data))[::-1],
    "strided-numpy": lambda data: in_numpy(data)[::2],
    "numpy-column": lambda data: in_numpy(data).reshape(-1, 2)[:, 0],
    "fortran-numpy": lambda data: np.asfortranarray(in_numpy(data).reshape(-1, 2)),
}
NOT_A_BUFFER = ["text", 5, None, [1, 2, 3], object(), 1.5]

every_readable = pytest.mark.parametrize("make", READABLE.values(), ids=READABLE.keys())
every_writable = pytest.mark.parametrize("make", WRITABLE.values(), ids=WRITABLE.keys())
every_broken = pytest.mark.parametrize("make", NOT_CONTIGUOUS.values(), ids=NOT_CONTIGUOUS.keys())
every_other = pytest.mark.parametrize("value", NOT_A_BUFFER, ids=lambda value: type(value).__name__)

# Everything that reads a buffer, as a function of the buffer and nothing else.
READERS: dict[str, Callable[[Any], object]] = {
    "seal": lambda data: Sealer(KEY.struct()).seal(data),
    "seal_into": lambda data: Sealer(KEY.struct()).seal_into(data, bytearray(20_000)),
    "seal_batch": lambda data: bytes(Sealer(KEY.struct()).seal_batch(data).wire),
    "scan": lambda data: KeyUpdateScanner().feed(22, data),
    "scan_key_updates": lambda data: scan_key_updates(
        np.array([22], np.uint8), np.array([0], np.int64), np.array([1], np.int64), data
    ),
}
every_reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())


@every_readable
@every_reader
def test_every_readable_buffer_is_accepted_like_bytes(
    read: Callable[[Any], object], make: Maker
) -> None:
    assert read(make(DATA)) == read(DATA)


@every_readable
def test_records_are_read_from_every_readable_buffer(make: Maker) -> None:
    record = KEY.seal(DATA)
    assert Opener(KEY.struct()).open(make(record)) == (23, DATA)
    assert Opener(KEY.struct()).open_batch(make(record)).data == DATA


@every_readable
def test_keys_are_read_from_every_readable_buffer(make: Maker) -> None:
    struct = make(KEY.struct())
    assert Sealer(struct).seal(b"data") == KEY.seal(b"data")
    assert Opener(struct).open(KEY.seal(b"data")) == (23, b"data")
    assert bytes(CryptoInfo.from_bytes(struct)) == KEY.struct()
    info = CryptoInfo(TLS13, 51, key=make(KEY.key), iv=make(KEY.iv), salt=make(KEY.salt))
    assert bytes(info) == KEY.struct()
    TrafficSecret(0x1301, make(bytes(32)))


@every_writable
def test_seal_into_accepts_every_writable_buffer(make: Maker) -> None:
    record = KEY.seal(DATA)
    out = make(b"\xa5" * (len(record) + 3))
    assert Sealer(KEY.struct()).seal_into(DATA, out) == len(record)
    assert bytes(memoryview(out)) == record + b"\xa5" * 3


@every_writable
def test_seal_batch_accepts_every_writable_buffer(make: Maker) -> None:
    record = KEY.seal(DATA)
    out = make(b"\xa5" * (len(record) + 3))
    batch = Sealer(KEY.struct()).seal_batch(DATA, out=out)
    assert bytes(batch.wire) == record
    assert bytes(memoryview(out)) == record + b"\xa5" * 3


@every_writable
def test_open_batch_accepts_every_writable_buffer(make: Maker) -> None:
    out = make(bytes(len(DATA) + 100))
    batch = Opener(KEY.struct()).open_batch(KEY.seal(DATA), out)
    assert bytes(batch.data) == bytes(memoryview(out))[: len(DATA)] == DATA


@every_broken
@every_reader
def test_a_buffer_that_is_not_contiguous_is_refused(
    read: Callable[[Any], object], make: Maker
) -> None:
    with pytest.raises(REFUSAL):
        read(make(DATA))


@every_other
@every_reader
def test_objects_without_a_buffer_are_refused(read: Callable[[Any], object], value: object) -> None:
    with pytest.raises(TypeError):
        read(value)


@every_other
def test_objects_without_a_buffer_are_refused_as_records_and_keys(value: object) -> None:
    bad: Any = value
    for attempt in (
        lambda: Opener(KEY.struct()).open(bad),
        lambda: Opener(KEY.struct()).open_batch(bad),
        lambda: Sealer(bad),
        lambda: Opener(bad),
        lambda: CryptoInfo.from_bytes(bad),
        lambda: CryptoInfo(TLS13, 51, key=bad, iv=bytes(8), salt=bytes(4)),
        lambda: TrafficSecret(0x1301, bad),
    ):
        with pytest.raises(TypeError):
            attempt()


BAD_OUTPUTS: dict[str, Maker] = {
    "bytes": bytes,
    "read-only-memoryview": lambda data: memoryview(data),
    "read-only-numpy": lambda data: np.frombuffer(data, np.uint8),
    "text": lambda data: "x" * len(data),
    "list": list,
    **NOT_CONTIGUOUS,
}
every_bad_output = pytest.mark.parametrize("make", BAD_OUTPUTS.values(), ids=BAD_OUTPUTS.keys())


@every_bad_output
def test_a_read_only_output_is_refused_before_a_number_is_used(make: Maker) -> None:
    sealer = Sealer(KEY.struct())
    with pytest.raises(REFUSAL):
        sealer.seal_into(b"data", make(bytes(100)))
    with pytest.raises(REFUSAL):
        sealer.seal_batch(b"data", out=make(bytes(100)))
    assert sealer.seal(b"data") == KEY.seal(b"data")


@every_bad_output
def test_a_read_only_output_is_refused_before_a_record_is_opened(make: Maker) -> None:
    opener = Opener(KEY.struct())
    with pytest.raises(REFUSAL):
        opener.open_batch(KEY.seal(b"data"), make(bytes(100)))
    assert opener.open(KEY.seal(b"data")) == (23, b"data")


ODD_DTYPES = [">u4", "<f8", [("a", "u1"), ("b", ">u2")], "S1", "?"]


@pytest.mark.parametrize("dtype", ODD_DTYPES, ids=str)
def test_an_output_of_another_type_is_filled_or_refused_before_a_number_is_used(dtype: Any) -> None:  # noqa: ANN401
    sealer, opener = Sealer(KEY.struct()), Opener(KEY.struct())
    out = np.zeros(100, dtype)
    try:
        wire = bytes(sealer.seal_batch(b"data", out=out).wire)
        data = bytes(opener.open_batch(wire, np.zeros(100, dtype)).data)
    except REFUSAL:
        assert not np.frombuffer(out.tobytes(), np.uint8).any()
        assert (sealer.rec_seq, opener.rec_seq) == (0, 0)
    else:
        assert (wire, data) == (KEY.seal(b"data"), b"data")


GOOD_COLUMNS = {
    "offsets": np.zeros(2, np.int64),
    "lengths": np.ones(2, np.int64),
    "types": np.full(2, 23, np.uint8),
}
BAD_COLUMNS: dict[str, Any] = {
    "list": [0, 0],
    "int32": np.zeros(2, np.int32),
    "uint64": np.zeros(2, np.uint64),
    "float64": np.zeros(2),
    "big-endian": np.zeros(2, ">i8"),
    "bool": np.zeros(2, np.bool_),
    "two-dimensional": np.zeros((2, 1), np.int64),
    "scalar": np.int64(0),
    "strided": np.zeros(4, np.int64)[::2],
}


@pytest.mark.parametrize("bad", BAD_COLUMNS.values(), ids=BAD_COLUMNS.keys())
@pytest.mark.parametrize("column", ["offsets", "lengths", "types"])
def test_a_column_of_another_type_or_shape_is_refused(column: str, bad: Any) -> None:  # noqa: ANN401
    sealer = Sealer(KEY.struct())
    columns: dict[str, Any] = {**GOOD_COLUMNS, column: bad}
    with pytest.raises(REFUSAL):
        sealer.seal_batch(b"data", **columns)
    assert sealer.rec_seq == 0
    with pytest.raises(REFUSAL):
        scan_key_updates(columns["types"], columns["offsets"], columns["lengths"], b"data")


def test_results_are_views_that_keep_their_memory_alive() -> None:
    wire = Sealer(KEY.struct()).seal_batch(DATA).wire
    data = Opener(KEY.struct()).open_batch(wire).data
    assert (bytes(wire), bytes(data)) == (KEY.seal(DATA), DATA)


def test_a_result_without_out_is_read_only() -> None:
    """Its views are read-only, as ``bytes`` are."""
    batch = Sealer(KEY.struct()).seal_batch(DATA)
    assert batch.wire.readonly


def test_out_cannot_be_resized_while_a_result_views_it() -> None:
    out = bytearray(100)
    batch = Sealer(KEY.struct()).seal_batch(b"data", out=out)
    with pytest.raises(BufferError):
        out.clear()
    assert batch.wire == KEY.seal(b"data")


def test_buffers_of_objects_are_refused() -> None:
    """Bytes written over references would crash the interpreter."""
    out = np.full(100, None, dtype=object)
    with pytest.raises(BufferError, match="objects"):
        Sealer(KEY.struct()).seal_into(b"data", out)
    assert out[0] is None


def test_ctypes_array_is_a_buffer() -> None:
    array = (ctypes.c_ubyte * 4)(*b"data")
    assert Sealer(KEY.struct()).seal(array) == KEY.seal(b"data")
