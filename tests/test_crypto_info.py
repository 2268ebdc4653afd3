"""``CryptoInfo`` and the kernel's struct: layout, refusals, and that no secret is shown."""

import copy
import errno
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktls_fast import CryptoInfo, KtlsError
from tests.reference import CIPHERS, TLS12, TLS13, Cipher, TrafficKey, traffic_key

# docs/kernel-rules.md, S1.2-2: cipher_type -> where iv, key, salt and rec_seq start, and the size
# of the struct.
LAYOUT = {
    51: (4, 12, 28, 32, 40),
    52: (4, 12, 44, 48, 56),
    53: (4, 12, 28, 32, 40),
    54: (4, 16, 48, 48, 56),
    55: (4, 12, 28, 32, 40),
    56: (4, 12, 28, 32, 40),
    57: (4, 12, 28, 32, 40),
    58: (4, 12, 44, 48, 56),
}
KEYS = [
    pytest.param(
        traffic_key(version, cipher).at(0x1122334455667788), id=f"{cipher.name}-{version:x}"
    )
    for cipher in CIPHERS
    for version in cipher.versions
]
ARIA = [cipher for cipher in CIPHERS if TLS13 not in cipher.versions]
every_key = pytest.mark.parametrize("key", KEYS)
every_cipher = pytest.mark.parametrize("cipher", CIPHERS, ids=lambda cipher: cipher.name)


def parts(key: TrafficKey) -> dict[str, Any]:
    return {"key": key.key, "iv": key.iv, "salt": key.salt}


def crypto_info(key: TrafficKey) -> CryptoInfo:
    return CryptoInfo(key.version, key.cipher.cipher_type, **parts(key), rec_seq=key.rec_seq)


@every_key
def test_the_bytes_are_the_kernels_struct(key: TrafficKey) -> None:
    """docs/kernel-rules.md, S1.2-1: version, cipher, iv, key, salt, rec_seq, no padding."""
    assert bytes(crypto_info(key)) == key.struct()


@every_key
def test_each_field_has_the_kernels_offset(key: TrafficKey) -> None:
    """S1.2-1."""
    data = bytes(crypto_info(key))
    iv, key_at, salt, rec_seq, size = LAYOUT[key.cipher.cipher_type]
    assert len(data) == size
    assert data[iv:key_at] == key.iv
    assert data[key_at:salt] == key.key
    assert data[salt:rec_seq] == key.salt
    assert data[rec_seq:] == bytes.fromhex("1122334455667788")


@every_key
def test_the_struct_is_parsed_back(key: TrafficKey) -> None:
    info = CryptoInfo.from_bytes(key.struct())
    assert info == crypto_info(key)
    assert (info.version, info.cipher_type) == (key.version, key.cipher.cipher_type)
    assert info.rec_seq == key.rec_seq


@given(st.binary(min_size=52, max_size=52), st.sampled_from([TLS12, TLS13]))
def test_any_bytes_of_the_right_length_round_trip(rest: bytes, version: int) -> None:
    """docs/kernel-rules.md, S1.4-11: key, iv, salt and rec_seq may have any value."""
    head = traffic_key(version, CIPHERS[1]).struct()[:4]
    assert bytes(CryptoInfo.from_bytes(head + rest)) == head + rest


@pytest.mark.parametrize("rec_seq", [0, 1, 2**32, 2**63, 2**64 - 1])
def test_rec_seq_accepts_all_64_bits(rec_seq: int) -> None:
    """S1.2-4."""
    key = traffic_key(TLS13, CIPHERS[0]).at(rec_seq)
    assert CryptoInfo.from_bytes(bytes(crypto_info(key))).rec_seq == rec_seq


@pytest.mark.parametrize("rec_seq", [-1, 2**64])
def test_rec_seq_of_more_than_64_bits_is_refused(rec_seq: int) -> None:
    with pytest.raises(OverflowError):
        crypto_info(traffic_key(TLS13, CIPHERS[0]).at(rec_seq))


@pytest.mark.parametrize("cipher", ARIA, ids=lambda cipher: cipher.name)
def test_aria_is_refused_in_tls13(cipher: Cipher) -> None:
    """S1.2-3."""
    key = traffic_key(TLS13, cipher)
    with pytest.raises(KtlsError, match=cipher.name) as constructed:
        crypto_info(key)
    with pytest.raises(KtlsError, match=cipher.name) as read:
        CryptoInfo.from_bytes(key.struct())
    assert constructed.value.errno == read.value.errno == errno.EINVAL


@every_cipher
@pytest.mark.parametrize("field", ["key", "iv", "salt"])
def test_a_field_of_another_length_is_refused(cipher: Cipher, field: str) -> None:
    right = getattr(traffic_key(TLS12, cipher), field)
    for size in {*range(len(right) + 4), 64} - {len(right)}:
        fields = parts(traffic_key(TLS12, cipher))
        fields[field] = bytes(size)
        with pytest.raises(KtlsError, match=rf"{field} has {size} bytes") as caught:
            CryptoInfo(TLS12, cipher.cipher_type, **fields)
        assert caught.value.errno == errno.EINVAL


@every_cipher
def test_a_struct_of_any_other_length_is_refused(cipher: Cipher) -> None:
    """docs/kernel-rules.md, S1.4-8: the length must be exact."""
    padded = traffic_key(TLS12, cipher).struct() + bytes(20)
    for size in set(range(len(padded))) - {cipher.struct_size}:
        with pytest.raises(KtlsError, match=f"{size} bytes") as caught:
            CryptoInfo.from_bytes(padded[:size])
        assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("version", [0, 0x0300, 0x0301, 0x0302, 0x0305, 0x0403, 0xFFFF])
def test_an_unknown_version_is_refused(version: int) -> None:
    """S1.4-5."""
    with pytest.raises(KtlsError, match=f"{version:#06x}") as caught:
        crypto_info(traffic_key(version, CIPHERS[0]))
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("cipher_type", [0, 50, 59, 0xFFFF])
def test_an_unknown_cipher_is_refused(cipher_type: int) -> None:
    """S1.4-7."""
    with pytest.raises(KtlsError, match=str(cipher_type)) as caught:
        CryptoInfo(TLS13, cipher_type, key=bytes(16), iv=bytes(8), salt=bytes(4))
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{0!r}".format])
def test_no_secret_is_shown(show: Callable[[object], str]) -> None:
    shown = show(crypto_info(traffic_key(TLS13, CIPHERS[0])))
    assert shown == "CryptoInfo(version=0x0304, cipher=AES_GCM_128, rec_seq=0)"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_refuses_to_be_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="CryptoInfo"):
        pickle.dumps(crypto_info(traffic_key(TLS13, CIPHERS[0])), protocol)


def test_it_refuses_to_be_copied_by_reduction() -> None:
    with pytest.raises(TypeError, match="CryptoInfo"):
        copy.deepcopy(crypto_info(traffic_key(TLS13, CIPHERS[0])))


@every_key
def test_equal_parts_make_equal_infos(key: TrafficKey) -> None:
    assert crypto_info(key) == crypto_info(key)
    assert (crypto_info(key) != crypto_info(key)) is False


def test_any_differing_byte_makes_infos_differ() -> None:
    struct = traffic_key(TLS13, CIPHERS[0]).struct()
    info = CryptoInfo.from_bytes(struct)
    for at in range(4, len(struct)):
        other = bytearray(struct)
        other[at] ^= 1
        assert CryptoInfo.from_bytes(other) != info, f"byte {at}"


def test_version_and_cipher_make_infos_differ() -> None:
    fields: dict[str, Any] = {"key": bytes(16), "iv": bytes(8), "salt": bytes(4)}
    infos = [
        CryptoInfo(version, cipher_type, **fields)
        for version, cipher_type in ((TLS12, 51), (TLS13, 51), (TLS13, 53), (TLS13, 55))
    ]
    for i, info in enumerate(infos):
        assert [j for j, other in enumerate(infos) if other == info] == [i]


def test_an_info_is_not_equal_to_its_bytes() -> None:
    info: object = crypto_info(traffic_key(TLS13, CIPHERS[0]))
    assert info != traffic_key(TLS13, CIPHERS[0]).struct()


@pytest.mark.parametrize("name", ["version", "cipher_type", "rec_seq"])
def test_it_cannot_be_changed(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(crypto_info(traffic_key(TLS13, CIPHERS[0])), name, 1)
