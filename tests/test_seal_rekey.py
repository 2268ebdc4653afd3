"""The limits of the keys of a Sealer, and their renewal."""

import errno

import pytest

from ktls_fast import (
    KeyLimitError,
    Sealer,
    key_update_message,
)
from tests.reference import (
    AES_CCM_128,
    AES_GCM_128,
    AES_GCM_256,
    CHACHA20_POLY1305,
    CIPHERS,
    TLS12,
    TLS13,
    Cipher,
    TrafficKey,
    traffic_key,
)
from tests.refusal import seal_refused

LAST = 2**64 - 1


KEY_UPDATE = key_update_message()


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_the_last_number_is_never_used(version: int) -> None:
    """docs/kernel-rules.md, S2.3-1: the sender's number does not wrap; 2^64-1 is not sent."""
    late = traffic_key(version, CHACHA20_POLY1305).at(LAST - 1)
    sealer = Sealer(late.struct())
    assert sealer.seal(b"data") == late.seal(b"data")
    for _ in range(2):
        with pytest.raises(OSError, match="sequence number") as caught:
            sealer.seal(b"data")
        assert caught.value.errno == errno.EBADMSG
        assert sealer.rec_seq == LAST


def test_records_before_rec_seq_count_against_the_limit(key: TrafficKey) -> None:
    """RFC 8446 §5.5 limits the records under one key, no matter which process sealed them."""
    late = key.at(1000)
    sealer = Sealer(late.struct(), record_limit=1003)
    records = [sealer.seal(b"data") for _ in range(3)]
    assert records == [late.seal(b"data", nth=nth) for nth in range(3)]
    with pytest.raises(KeyLimitError, match="1003 records") as caught:
        sealer.seal(b"data")
    assert (caught.value.errno, sealer.rec_seq) == (errno.EKEYEXPIRED, 1003)
    assert len(sealer.seal_batch(b"")) == 0


@pytest.mark.parametrize(
    ("cipher", "limit"), [(AES_GCM_128, 23_726_566), (AES_CCM_128, 2**23)], ids=["GCM", "CCM"]
)
@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_key_that_starts_near_its_limit_does_not_pass_it(
    version: int, cipher: Cipher, limit: int
) -> None:
    late = traffic_key(version, cipher).at(limit - 2)
    sealer = Sealer(late.struct())
    assert sealer.needs_rekey
    with pytest.raises(KeyLimitError):
        sealer.seal_batch(bytes(3), record_size=1)
    assert sealer.seal(b"data") + sealer.seal(b"data") == late.seal(b"data") + late.seal(
        b"data", nth=1
    )
    with pytest.raises(KeyLimitError, match=f"{limit} records"):
        sealer.seal(b"")


@pytest.mark.parametrize("rec_seq", [2**32, 2**60, LAST - 1])
def test_a_key_that_starts_beyond_its_limit_seals_nothing(rec_seq: int) -> None:
    sealer = Sealer(traffic_key(TLS13, AES_GCM_256).at(rec_seq).struct())
    assert sealer.needs_rekey
    for _ in range(2):
        with pytest.raises(KeyLimitError):
            sealer.seal(b"")
    assert sealer.rec_seq == rec_seq
    following = traffic_key(TLS13, AES_GCM_256, seed=1)
    sealer.rekey(following.struct())
    assert sealer.seal(b"data") == following.seal(b"data")


@pytest.mark.parametrize(("limit", "early"), [(1, 1), (2, 1), (8, 1), (9, 2), (64, 8)])
def test_needs_rekey_is_set_while_the_key_update_can_still_be_sealed(
    key13: TrafficKey, limit: int, early: int
) -> None:
    """RFC 8446 §4.6.3: the KeyUpdate itself is sealed under the old key."""
    sealer = Sealer(key13.struct(), record_limit=limit)
    sealed = 0
    while not sealer.needs_rekey:
        sealer.seal(b"data")
        sealed += 1
    assert sealed == limit - early
    assert sealer.seal(KEY_UPDATE, 22) == key13.seal(KEY_UPDATE, 22, nth=sealed)


def test_chacha20_is_limited_only_by_the_last_number() -> None:
    sealer = Sealer(traffic_key(TLS13, CHACHA20_POLY1305).at(2**60).struct())
    sealer.seal(b"")
    assert not sealer.needs_rekey


def test_rekey_installs_key_and_number_and_resets_the_limit(key13: TrafficKey) -> None:
    """K-17, K-23."""
    sealer = Sealer(key13.struct(), record_limit=8)
    sealer.seal_batch(bytes(8), record_size=1)
    assert sealer.needs_rekey
    following = traffic_key(TLS13, key13.cipher, seed=1).at(5)
    sealer.rekey(following.struct())
    assert (sealer.rec_seq, sealer.generation, sealer.needs_rekey) == (5, 1, False)
    assert sealer.seal(b"data") == following.seal(b"data")


def test_rekey_to_another_cipher_is_refused(key13: TrafficKey) -> None:
    """docs/kernel-rules.md, S1.4-4, K-20."""
    for cipher in CIPHERS:
        if cipher is not key13.cipher and TLS13 in cipher.versions:
            sealer = Sealer(key13.struct())
            with seal_refused(sealer, key13, errno.EINVAL):
                sealer.rekey(traffic_key(TLS13, cipher).struct())
            assert sealer.generation == 0


def test_rekey_to_another_version_is_refused(key13: TrafficKey) -> None:
    """docs/kernel-rules.md, S1.4-4, K-20."""
    sealer = Sealer(key13.struct())
    with seal_refused(sealer, key13, errno.EINVAL):
        sealer.rekey(traffic_key(TLS12, key13.cipher).struct())


def test_rekey_with_a_struct_of_another_length_is_refused(key13: TrafficKey) -> None:
    """docs/kernel-rules.md, S1.4-8, K-20."""
    for struct in (key13.struct()[:-1], key13.struct() + b"\0", b""):
        sealer = Sealer(key13.struct())
        with seal_refused(sealer, key13, errno.EINVAL):
            sealer.rekey(struct)


def test_tls12_has_no_rekey(cipher: Cipher) -> None:
    """docs/kernel-rules.md, S1.4-3: EBUSY before version and cipher are compared."""
    key = traffic_key(TLS12, cipher)
    for version in cipher.versions:
        sealer = Sealer(key.struct())
        with seal_refused(sealer, key, errno.EBUSY):
            sealer.rekey(traffic_key(version, cipher, seed=1).struct())
