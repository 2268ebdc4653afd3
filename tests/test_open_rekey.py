"""``Opener`` at a KeyUpdate: it stops there, and continues under the next key."""

import errno
from itertools import pairwise

import pytest

from ktls_fast import KeyExpiredError, KtlsError, Opener, key_update_message
from tests.reference import CIPHERS, HANDSHAKE, TLS12, TLS13, Cipher, TrafficKey, traffic_key

KEY_UPDATE = key_update_message()
REQUEST = key_update_message(request=True)
TICKET = b"\4\0\0\5" + KEY_UPDATE
"""A NewSessionTicket whose body looks like a KeyUpdate."""


def next_key(key: TrafficKey) -> TrafficKey:
    return traffic_key(TLS13, key.cipher, seed=1)


def handshake(key: TrafficKey, *fragments: bytes, nth: int = 0) -> bytes:
    """Return records of type 22 in order."""
    return b"".join(key.seal(each, HANDSHAKE, nth=nth + i) for i, each in enumerate(fragments))


def check_stop_and_resume(key: TrafficKey, wire: bytes, count: int) -> None:
    """``wire`` ends a KeyUpdate with its record ``count``; what follows is under the next key."""
    following = next_key(key).seal(b"under the next key")
    opener = Opener(key.struct())
    batch = opener.open_batch(wire + following)
    assert (batch.stopped, batch.consumed, len(batch)) == ("key_update", len(wire), count)
    assert (batch.error, opener.paused) == (None, True)
    opener.rekey(next_key(key).struct())
    rest = opener.open_batch(following)
    assert (bytes(rest.data), rest.stopped, opener.paused) == (b"under the next key", None, False)


@pytest.mark.parametrize("message", [KEY_UPDATE, REQUEST])
def test_it_stops_after_a_key_update(key13: TrafficKey, message: bytes) -> None:
    """RFC 8446 §4.6.3, K-1, K-9."""
    check_stop_and_resume(key13, key13.seal(b"data") + handshake(key13, message, nth=1), 2)


def test_it_stops_after_a_key_update_that_follows_a_ticket(key13: TrafficKey) -> None:
    """The kernel does not notice this KeyUpdate (K-5)."""
    check_stop_and_resume(key13, handshake(key13, TICKET + KEY_UPDATE), 1)


def test_it_stops_where_a_fragmented_key_update_ends(key13: TrafficKey) -> None:
    """The kernel stops too early here (K-6)."""
    message = TICKET + KEY_UPDATE
    for cut in range(1, len(message)):
        check_stop_and_resume(key13, handshake(key13, message[:cut], message[cut:]), 2)


def test_it_stops_where_a_key_update_in_single_bytes_ends(key13: TrafficKey) -> None:
    fragments = [KEY_UPDATE[i : i + 1] for i in range(len(KEY_UPDATE))]
    check_stop_and_resume(key13, handshake(key13, *fragments), len(KEY_UPDATE))


def test_it_goes_on_past_a_fragment_that_only_looks_like_one(key13: TrafficKey) -> None:
    """The kernel stops here without a KeyUpdate (K-7)."""
    wire = handshake(key13, TICKET[:4], TICKET[4:]) + key13.seal(b"data", nth=2)
    batch = Opener(key13.struct()).open_batch(wire)
    assert (len(batch), batch.stopped) == (3, None)


def test_it_goes_on_past_an_empty_handshake_record(key13: TrafficKey) -> None:
    """K-4."""
    wire = handshake(key13, b"") + key13.seal(b"data", nth=1)
    assert Opener(key13.struct()).open_batch(wire).stopped is None


@pytest.mark.parametrize("record_type", [20, 21, 23, 24])
def test_it_goes_on_past_the_same_bytes_of_another_type(
    key13: TrafficKey, record_type: int
) -> None:
    wire = key13.seal(KEY_UPDATE, record_type) + key13.seal(b"data", nth=1)
    assert Opener(key13.struct()).open_batch(wire).stopped is None


@pytest.mark.parametrize(
    "message", [b"\x18\0\0\1\2", b"\x18\0\0\0", b"\x18\0\0\2\0\0", KEY_UPDATE + TICKET]
)
def test_it_stops_after_a_faulty_key_update_too(key13: TrafficKey, message: bytes) -> None:
    """K-2, K-8: what follows is under another key or forbidden; the scanner reports the error."""
    opener = Opener(key13.struct())
    batch = opener.open_batch(handshake(key13, message))
    assert (batch.stopped, bytes(batch.data), opener.paused) == ("key_update", message, True)


def test_a_paused_opener_opens_nothing(key13: TrafficKey) -> None:
    """K-11: at once, again and again."""
    opener = Opener(key13.struct())
    opener.open_batch(handshake(key13, KEY_UPDATE))
    out = bytearray(b"\xa5" * 100)
    for wire in (b"", key13.seal(b"data", nth=1), next_key(key13).seal(b"data"), b"\xff" * 9):
        with pytest.raises(KeyExpiredError) as caught:
            opener.open_batch(wire, out)
        assert caught.value.errno == errno.EKEYEXPIRED
    assert (opener.paused, bytes(out)) == (True, b"\xa5" * 100)


def test_an_old_record_after_the_key_update_is_bad(key13: TrafficKey) -> None:
    """RFC 8446 §4.6.3: the sender must use the next key for everything after it."""
    opener = Opener(key13.struct())
    opener.open_batch(handshake(key13, KEY_UPDATE))
    opener.rekey(next_key(key13).struct())
    with pytest.raises(KtlsError) as caught:
        opener.open_batch(key13.seal(b"data", nth=1))
    assert caught.value.errno == errno.EBADMSG


def test_rekey_needs_no_key_update(key13: TrafficKey) -> None:
    """K-16, K-17: key and number are exactly what was given."""
    opener = Opener(key13.struct())
    following = next_key(key13).at(77)
    opener.rekey(following.struct())
    assert (opener.rec_seq, opener.generation) == (77, 1)
    assert opener.open(following.seal(b"data")) == (23, b"data")


def test_a_wrong_key_can_be_replaced(key13: TrafficKey) -> None:
    """K-21: the record is not lost."""
    opener = Opener(key13.struct())
    record = next_key(key13).seal(b"data")
    with pytest.raises(KtlsError):
        opener.open_batch(record)
    opener.rekey(next_key(key13).struct())
    assert opener.open(record) == (23, b"data")


def bad_rekeys(key: TrafficKey) -> list[bytes]:
    """Structs that may not follow ``key`` (docs/kernel-rules.md, S1.4-4 and S1.4-8)."""
    others = [cipher for cipher in CIPHERS if cipher is not key.cipher and TLS13 in cipher.versions]
    structs = [traffic_key(TLS13, cipher).struct() for cipher in others]
    right = next_key(key).struct()
    return [*structs, traffic_key(TLS12, key.cipher).struct(), right[:-1], right + b"\0", b""]


def test_a_refused_rekey_leaves_a_paused_opener_paused(key13: TrafficKey) -> None:
    """K-20: a retry is allowed."""
    opener = Opener(key13.struct())
    opener.open_batch(handshake(key13, KEY_UPDATE))
    for struct in bad_rekeys(key13):
        with pytest.raises(KtlsError) as caught:
            opener.rekey(struct)
        assert caught.value.errno == errno.EINVAL
        assert (opener.paused, opener.generation, opener.rec_seq) == (True, 0, 1)
    opener.rekey(next_key(key13).struct())
    assert opener.open(next_key(key13).seal(b"data")) == (23, b"data")


def test_a_refused_rekey_leaves_the_old_key(key13: TrafficKey) -> None:
    """K-20."""
    opener = Opener(key13.struct())
    for nth, struct in enumerate(bad_rekeys(key13)):
        with pytest.raises(KtlsError):
            opener.rekey(struct)
        assert opener.open(key13.seal(b"data", nth=nth)) == (23, b"data")


def test_tls12_has_no_rekey(cipher: Cipher) -> None:
    """docs/kernel-rules.md, S1.4-3."""
    key = traffic_key(TLS12, cipher)
    opener = Opener(key.struct())
    with pytest.raises(KtlsError) as caught:
        opener.rekey(traffic_key(TLS12, cipher, seed=1).struct())
    assert (caught.value.errno, opener.generation) == (errno.EBUSY, 0)
    assert opener.open(key.seal(b"data")) == (23, b"data")


def test_a_wire_with_a_hundred_generations_is_opened(key13: TrafficKey) -> None:
    keys = [traffic_key(TLS13, key13.cipher, seed=seed) for seed in range(101)]
    wire = b"".join(key.seal(b"data") + handshake(key, KEY_UPDATE, nth=1) for key in keys)
    opener = Opener(keys[0].struct())
    for key, following in pairwise(keys):
        batch = opener.open_batch(wire)
        assert (len(batch), batch.stopped) == (2, "key_update"), key
        wire = wire[batch.consumed :]
        opener.rekey(following.struct())
    assert opener.generation == 100
