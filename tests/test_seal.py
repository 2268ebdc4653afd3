"""``Sealer``: single records, compared with the reference."""

import errno
import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ktls_fast import (
    CryptoInfo,
    KtlsError,
    RecordTooLargeError,
    Sealer,
)
from tests.reference import (
    AES_GCM_128,
    CHACHA20_POLY1305,
    TLS12,
    TLS13,
    Cipher,
    TrafficKey,
    pattern,
    traffic_key,
)
from tests.refusal import seal_refused

if TYPE_CHECKING:
    from collections.abc import Callable


SIZES = [0, 1, 15, 16, 17, 63, 64, 65, 255, 256, 1350, 2047, 2048, 4095, 8192, 16383, 16384]


LAST = 2**64 - 1


@pytest.mark.parametrize("size", SIZES)
def test_a_record_equals_that_of_the_model(key: TrafficKey, size: int) -> None:
    assert Sealer(key.struct()).seal(pattern(size)) == key.seal(pattern(size))


def test_every_record_type_equals_that_of_the_model(key: TrafficKey) -> None:
    """docs/kernel-rules.md, S2.2-7: any type is accepted, but 0 where it is padding."""
    for record_type in range(key.tail, 256):
        sealed = Sealer(key.struct()).seal(b"data", record_type)
        assert sealed == key.seal(b"data", record_type), record_type


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_content_type_0_is_refused_where_it_is_padding(version: int) -> None:
    key = traffic_key(version, AES_GCM_128, seed=0)
    sealer = Sealer(key.struct())
    at, size = np.array([0, 2]), np.array([2, 2])
    calls: list[Callable[[], object]] = [
        lambda: sealer.seal(b"data", 0),
        lambda: sealer.seal_into(b"data", bytearray(100), 0),
        lambda: sealer.seal_batch(b"data", record_type=0),
        lambda: sealer.seal_batch(b"data", offsets=at, lengths=size, record_type=0),
        lambda: sealer.seal_batch(
            b"data", offsets=at, lengths=size, types=np.array([23, 0], np.uint8)
        ),
    ]
    for call in calls:
        if version == TLS13:
            with pytest.raises(KtlsError, match="content type 0 is padding") as refused:
                call()
            assert refused.value.errno == errno.EINVAL
            assert sealer.rec_seq == 0
        else:
            call()
    assert Sealer(key.struct()).seal(b"data", 255) == key.seal(b"data", 255)


@pytest.mark.parametrize("record_type", [-1, 256])
def test_a_record_type_of_more_than_a_byte_is_refused(record_type: int) -> None:
    with pytest.raises(OverflowError):
        Sealer(traffic_key(TLS13, AES_GCM_128).struct()).seal(b"", record_type)


def test_records_are_numbered_from_rec_seq(key: TrafficKey) -> None:
    """docs/kernel-rules.md, S2.1-4: +1 per record."""
    late = key.at(2**16 - 2)
    sealer = Sealer(late.struct())
    for nth in range(5):
        assert sealer.rec_seq == 2**16 - 2 + nth
        assert sealer.seal(b"data") == late.seal(b"data", nth=nth)


@pytest.mark.parametrize(
    ("version", "cipher", "overhead"),
    [
        (TLS12, AES_GCM_128, 29),
        (TLS12, CHACHA20_POLY1305, 21),
        (TLS13, AES_GCM_128, 22),
        (TLS13, CHACHA20_POLY1305, 22),
    ],
)
def test_the_overhead_is_that_of_the_kernel(version: int, cipher: Cipher, overhead: int) -> None:
    """docs/kernel-rules.md, S2.1."""
    sealer = Sealer(traffic_key(version, cipher).struct())
    assert sealer.overhead == overhead == len(sealer.seal(b""))


@pytest.mark.parametrize("rec_seq", [0, 7, 2**22])
@pytest.mark.parametrize("iv", [0, 1000, LAST - 1])
def test_the_explicit_nonce_starts_at_iv_for_any_rec_seq(rec_seq: int, iv: int) -> None:
    """docs/kernel-rules.md, S2.1-3: the nonce of TLS 1.2 GCM wraps before the number."""
    base = traffic_key(TLS12, AES_GCM_128)
    key = TrafficKey(TLS12, AES_GCM_128, base.key, iv.to_bytes(8, "big"), base.salt, rec_seq)
    sealer = Sealer(key.struct())
    for nth in range(4):
        record = sealer.seal(b"data")
        assert record == key.seal(b"data", nth=nth)
        assert int.from_bytes(record[5:13], "big") == (iv + nth) % 2**64


def test_crypto_info_and_its_bytes_make_the_same_sealer(key: TrafficKey) -> None:
    info = CryptoInfo.from_bytes(key.struct())
    assert Sealer(info).seal(b"data") == Sealer(key.struct()).seal(b"data")


@pytest.mark.parametrize("size", [16385, 20_000])
def test_more_than_one_record_holds_is_refused(key: TrafficKey, size: int) -> None:
    """RFC 8446 §5.1."""
    sealer = Sealer(key.struct())
    with seal_refused(sealer, key, errno.EMSGSIZE):
        sealer.seal(bytes(size))
    with pytest.raises(RecordTooLargeError, match=f"{size} bytes"):
        sealer.seal(bytes(size))


def test_seal_into_writes_nothing_after_the_record(key: TrafficKey) -> None:
    for size in (0, 1, 100, 16384):
        record = key.seal(pattern(size))
        out = bytearray(b"\xa5" * (len(record) + 9))
        assert Sealer(key.struct()).seal_into(pattern(size), out) == len(record)
        assert out == record + b"\xa5" * 9


def test_seal_into_accepts_a_record_type(key: TrafficKey) -> None:
    out = bytearray(100)
    length = Sealer(key.struct()).seal_into(b"\1\0", out, 21)
    assert out[:length] == key.seal(b"\1\0", 21)


def test_seal_into_needs_exactly_the_record(key: TrafficKey) -> None:
    need = len(key.seal(b"data"))
    sealer = Sealer(key.struct())
    for nth, size in enumerate(range(need)):
        out = bytearray(b"\xa5" * size)
        with seal_refused(sealer, key, errno.ENOBUFS, nth=nth, out=out):
            sealer.seal_into(b"data", out)
    assert Sealer(key.struct()).seal_into(b"data", bytearray(need)) == need


@pytest.mark.parametrize("shift", [-99, -1, 0, 1, 99])
def test_seal_into_refuses_buffers_that_overlap(key: TrafficKey, shift: int) -> None:
    memory = bytearray(pattern(1000))
    data, out = memoryview(memory)[300:400], memoryview(memory)[300 + shift : 400 + shift + 99]
    sealer = Sealer(key.struct())
    with seal_refused(sealer, key, errno.EINVAL, out=memory):
        sealer.seal_into(data, out)


def test_seal_into_accepts_adjacent_buffers(key: TrafficKey) -> None:
    memory = bytearray(pattern(300))
    record = key.seal(bytes(memory[:100]))
    length = Sealer(key.struct()).seal_into(memoryview(memory)[:100], memoryview(memory)[100:])
    assert memory[100 : 100 + length] == record


def test_a_sealer_shows_no_secret_and_is_not_pickled() -> None:
    key = TrafficKey(TLS13, AES_GCM_128, b"K" * 16, b"I" * 8, b"S" * 4)
    sealer = Sealer(key.struct())
    for secret in (b"K" * 4, b"I" * 4, b"S" * 4):
        assert secret.decode() not in repr(sealer)
        assert secret.hex() not in repr(sealer)
    with pytest.raises(TypeError, match="Sealer"):
        pickle.dumps(sealer)
