"""``Opener.open``: one record at a time, made by the model."""

import errno
import pickle
import struct
from dataclasses import replace
from typing import Any

import pytest

from ktls_fast import (
    CryptoInfo,
    KeyExpiredError,
    KtlsError,
    Opener,
    RecordTooLargeError,
    key_update_message,
)
from tests.reference import (
    AES_GCM_128,
    HANDSHAKE,
    MAX_PLAINTEXT,
    TLS12,
    TLS13,
    Cipher,
    TrafficKey,
    pattern,
    traffic_key,
)
from tests.refusal import open_refused

SIZES = [0, 1, 15, 16, 17, 63, 64, 65, 255, 256, 1350, 2047, 2048, 4095, 8192, 16383, 16384]
LAST = 2**64 - 1
KEY_UPDATE = key_update_message()


@pytest.mark.parametrize("size", SIZES)
def test_a_record_of_the_model_opens(key: TrafficKey, size: int) -> None:
    assert Opener(key.struct()).open(key.seal(pattern(size))) == (23, pattern(size))


def test_every_record_type_comes_back(key: TrafficKey) -> None:
    """docs/kernel-rules.md, S3.1-4: the type is not judged."""
    for record_type in range(1, 256):
        opener = Opener(key.struct())
        assert opener.open(key.seal(b"data", record_type)) == (record_type, b"data")


def test_record_numbers_start_at_rec_seq(key: TrafficKey) -> None:
    late = key.at(2**32 - 2)
    opener = Opener(late.struct())
    for nth in range(5):
        assert opener.rec_seq == 2**32 - 2 + nth
        assert opener.open(late.seal(b"data", nth=nth)) == (23, b"data")


def test_the_last_number_opens_and_none_comes_after_it(key: TrafficKey) -> None:
    """docs/kernel-rules.md, S2.3-2: the receiver still delivers number 2^64-1."""
    last = key.at(LAST)
    opener = Opener(last.struct())
    assert opener.open(last.seal(b"last")) == (23, b"last")
    with pytest.raises(KtlsError, match="sequence number") as caught:
        opener.open(last.seal(b"wrapped", nth=1))
    assert caught.value.errno == errno.EBADMSG


def test_crypto_info_and_its_bytes_make_the_same_opener(key: TrafficKey) -> None:
    opener = Opener(CryptoInfo.from_bytes(key.struct()))
    assert opener.open(key.seal(b"data")) == (23, b"data")


def test_the_explicit_nonce_is_read_from_the_wire() -> None:
    """docs/kernel-rules.md, S3.2-4: the nonce is not checked, so a sender may choose any."""
    key = traffic_key(TLS12, AES_GCM_128)
    other = TrafficKey(TLS12, AES_GCM_128, key.key, b"anything", key.salt)
    assert Opener(key.struct()).open(other.seal(b"data")) == (23, b"data")


@pytest.mark.parametrize("padding", [1, 15, 16, 255, 1000, MAX_PLAINTEXT - 4])
def test_padding_is_removed(key13: TrafficKey, padding: int) -> None:
    """RFC 8446 §5.4."""
    opener = Opener(key13.struct())
    assert opener.open(key13.seal(b"data", padding=padding)) == (23, b"data")


def test_trailing_zeros_of_the_plaintext_are_kept(key13: TrafficKey) -> None:
    opener = Opener(key13.struct())
    assert opener.open(key13.seal(b"a\0\0", padding=7)) == (23, b"a\0\0")


def test_an_empty_record_with_padding_is_empty(key13: TrafficKey) -> None:
    assert Opener(key13.struct()).open(key13.seal(b"", padding=100)) == (23, b"")


@pytest.mark.parametrize("zeros", [0, 1, 2, 100, MAX_PLAINTEXT + 1])
def test_an_inner_text_without_type_is_refused(key13: TrafficKey, zeros: int) -> None:
    """docs/kernel-rules.md, S3.2-1, RFC 8446 §5.4: all zero or nothing."""
    opener = Opener(key13.struct())
    with open_refused(opener, key13, errno.EBADMSG):
        opener.open(key13.seal_inner(bytes(zeros)))


def test_type_0_of_a_sender_makes_the_last_byte_the_type(key13: TrafficKey) -> None:
    """The kernel does the same on both sides."""
    assert Opener(key13.struct()).open(key13.seal(b"a\x17", 0)) == (23, b"a")


def test_the_longest_record_of_the_kernel_opens(key: TrafficKey) -> None:
    """docs/kernel-rules.md, S3.1-1: 16408 with explicit nonce, 16400 without, 16401 in TLS 1.3."""
    record = key.seal(pattern(MAX_PLAINTEXT))
    assert len(record) - 5 == key.length_limit
    assert Opener(key.struct()).open(record) == (23, pattern(MAX_PLAINTEXT))


def test_one_byte_more_than_the_kernel_accepts_is_refused(key: TrafficKey) -> None:
    """docs/kernel-rules.md, S3.1-2, although its tag is right."""
    record = key.seal_inner(bytes(MAX_PLAINTEXT) + b"\x17" * (1 + key.tail))
    opener = Opener(key.struct())
    with open_refused(opener, key, errno.EMSGSIZE):
        opener.open(record)
    with pytest.raises(RecordTooLargeError, match=f"{key.length_limit + 1} bytes"):
        opener.open(record)


@pytest.mark.parametrize("version_bytes", [b"\3\3", b"\0\0", b"UU"])
def test_the_length_is_checked_before_the_version(key: TrafficKey, version_bytes: bytes) -> None:
    """docs/kernel-rules.md, S3.1-3: random bytes usually result in EMSGSIZE."""
    header = b"\x17" + version_bytes + struct.pack(">H", key.length_limit + 1)
    opener = Opener(key.struct())
    with open_refused(opener, key, errno.EMSGSIZE):
        opener.open(header + bytes(key.length_limit + 1))


def test_a_record_without_room_for_a_tag_is_refused_before_its_version(key: TrafficKey) -> None:
    """docs/kernel-rules.md, S3.1-2 before S3.1-3."""
    least = 16 + key.explicit_size
    for size in range(least):
        header = b"\x17\0\0" + struct.pack(">H", size)
        opener = Opener(key.struct())
        with open_refused(opener, key, errno.EBADMSG):
            opener.open(header + bytes(size))


@pytest.mark.parametrize("version_bytes", [b"\3\1", b"\3\2", b"\3\4", b"\2\3", b"\0\0"])
def test_a_header_with_another_version_is_refused(key: TrafficKey, version_bytes: bytes) -> None:
    """docs/kernel-rules.md, S3.1-3."""
    record = key.seal(b"data")
    opener = Opener(key.struct())
    with open_refused(opener, key, errno.EINVAL):
        opener.open(record[:1] + version_bytes + record[3:])


def test_a_plain_change_cipher_spec_is_refused(key: TrafficKey) -> None:
    """The kernel returns EBADMSG."""
    opener = Opener(key.struct())
    with open_refused(opener, key, errno.EBADMSG):
        opener.open(b"\x14\3\3\0\1\1")


def test_every_flipped_bit_is_refused(key: TrafficKey) -> None:
    """Only the outer type of TLS 1.3 is not authenticated (docs/kernel-rules.md, S2.1-5)."""
    record = key.seal(b"plaintext")
    first = 1 if key.version == TLS13 else 0
    for at in range(first, len(record)):
        for bit in range(8):
            damaged = bytearray(record)
            damaged[at] ^= 1 << bit
            opener = Opener(key.struct())
            with open_refused(opener, key, damage_errno(key, at, damaged)):
                opener.open(damaged)


def damage_errno(key: TrafficKey, at: int, damaged: bytearray) -> int:
    if at in (1, 2):
        return errno.EINVAL
    if int.from_bytes(damaged[3:5], "big") > key.length_limit:
        return errno.EMSGSIZE
    return errno.EBADMSG


@pytest.mark.parametrize("outer", [0, 20, 21, 22, 24, 255])
def test_the_outer_type_of_tls13_is_not_checked(key13: TrafficKey, outer: int) -> None:
    """S2.1-5, S3.1-4: the additional data are built with 23."""
    record = bytes([outer]) + key13.seal(b"data")[1:]
    assert Opener(key13.struct()).open(record) == (23, b"data")


def test_every_cut_record_is_refused(key: TrafficKey) -> None:
    record = key.seal(b"data")
    for cut in range(len(record)):
        opener = Opener(key.struct())
        with open_refused(opener, key, errno.EBADMSG):
            opener.open(record[:cut])


def test_a_record_with_a_tail_is_refused(key: TrafficKey) -> None:
    record = key.seal(b"data")
    for tail in (b"\0", record, record[:5]):
        opener = Opener(key.struct())
        with open_refused(opener, key, errno.EBADMSG):
            opener.open(record + tail)


def test_a_replayed_record_is_refused(key: TrafficKey) -> None:
    opener = Opener(key.struct())
    opener.open(key.seal(b"data"))
    with open_refused(opener, key, errno.EBADMSG, nth=1):
        opener.open(key.seal(b"data"))


@pytest.mark.parametrize("nth", [1, 2, 255, 256, 2**32])
def test_a_record_ahead_of_its_turn_is_refused(key: TrafficKey, nth: int) -> None:
    opener = Opener(key.struct())
    with open_refused(opener, key, errno.EBADMSG):
        opener.open(key.seal(b"data", nth=nth))


def test_a_record_under_another_key_is_refused(key: TrafficKey) -> None:
    for part in secret_parts(key):
        first, *rest = getattr(key, part)
        changed: dict[str, Any] = {part: bytes([first ^ 1, *rest])}
        other = replace(key, **changed)
        opener = Opener(key.struct())
        with open_refused(opener, key, errno.EBADMSG):
            opener.open(other.seal(b"data"))


def secret_parts(key: TrafficKey) -> list[str]:
    """TLS 1.2 GCM takes the iv off the wire, and ChaCha20-Poly1305 has no salt."""
    if not key.salt:
        return ["key", "iv"]
    return ["key", "salt"] if key.explicit_size else ["key", "iv", "salt"]


def test_a_key_update_pauses_until_rekey(key13: TrafficKey) -> None:
    """K-9, K-11, K-19."""
    opener = Opener(key13.struct())
    assert opener.open(key13.seal(KEY_UPDATE, HANDSHAKE)) == (HANDSHAKE, KEY_UPDATE)
    assert opener.paused
    following = traffic_key(TLS13, key13.cipher, seed=1)
    for _ in range(2):
        with pytest.raises(KeyExpiredError) as caught:
            opener.open(following.seal(b"data"))
        assert caught.value.errno == errno.EKEYEXPIRED
    opener.rekey(following.struct())
    assert (opener.paused, opener.generation, opener.rec_seq) == (False, 1, 0)
    assert opener.open(following.seal(b"data")) == (23, b"data")


def test_a_paused_opener_does_not_look_at_the_record(key13: TrafficKey) -> None:
    """K-11."""
    opener = Opener(key13.struct())
    opener.open(key13.seal(KEY_UPDATE, HANDSHAKE))
    for record in (b"", b"\x17", b"\xff" * 5, bytes(100)):
        with pytest.raises(KeyExpiredError):
            opener.open(record)


def test_tls12_never_pauses(cipher: Cipher) -> None:
    """A KeyUpdate is a message of TLS 1.3 (RFC 8446 §4.6.3); here type 24 means nothing."""
    key = traffic_key(TLS12, cipher)
    opener = Opener(key.struct())
    assert opener.open(key.seal(KEY_UPDATE, HANDSHAKE)) == (HANDSHAKE, KEY_UPDATE)
    assert not opener.paused
    assert opener.open(key.seal(b"data", nth=1)) == (23, b"data")


def test_an_opener_shows_no_secret_and_is_not_pickled() -> None:
    key = TrafficKey(TLS13, AES_GCM_128, b"K" * 16, b"I" * 8, b"S" * 4)
    opener = Opener(key.struct())
    for secret in (b"K" * 4, b"I" * 4, b"S" * 4):
        assert secret.decode() not in repr(opener)
        assert secret.hex() not in repr(opener)
    with pytest.raises(TypeError, match="Opener"):
        pickle.dumps(opener)
