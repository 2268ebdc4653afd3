"""A key that an object has had is refused: its record numbers would come a second time."""

import errno
from collections.abc import Callable

import pytest

from ktls_fast import Connection, CryptoInfo, KtlsError, Opener, Sealer, Suite, TrafficSecret
from tests.ktls_ends import MakePair, attach, generation, install, receive
from tests.reference import AES_GCM_256, TLS13, TrafficKey, traffic_key

TLS_TX, TLS_RX = 1, 2
OTHER = AES_GCM_256
Keyed = Sealer | Opener


def following(key: TrafficKey, number: int = 1) -> TrafficKey:
    return traffic_key(TLS13, key.cipher, seed=number)


def is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(KtlsError, match="this key is in use here or was before") as refused:
        call()
    assert refused.value.errno == errno.EINVAL


def test_no_keystream_is_used_twice(key13: TrafficKey) -> None:
    sealer, fresh = Sealer(key13.struct()), Sealer(key13.struct())
    assert sealer.seal(b"one") == fresh.seal(b"one")
    is_refused(lambda: sealer.rekey(key13.struct()))
    # Nothing has changed: the next record has the next number, under the same key.
    assert (sealer.rec_seq, sealer.generation) == (1, 0)
    assert sealer.seal(b"two") == fresh.seal(b"two")


@pytest.mark.parametrize("make", [Sealer, Opener])
def test_a_key_is_refused_after_any_number_of_others(
    make: Callable[[bytes], Keyed], key13: TrafficKey
) -> None:
    keyed = make(key13.struct())
    for number in range(1, 40):
        keyed.rekey(following(key13, number).struct())
    for number in (1, 2, 20, 39):
        is_refused(lambda number=number: keyed.rekey(following(key13, number).struct()))  # type: ignore[misc]
    is_refused(lambda: keyed.rekey(key13.struct()))
    assert keyed.generation == 39
    keyed.rekey(following(key13, 40).struct())


@pytest.mark.parametrize("make", [Sealer, Opener])
def test_another_number_or_iv_does_not_make_a_new_key(
    make: Callable[[bytes], Keyed], key13: TrafficKey
) -> None:
    keyed = make(key13.struct())
    iv = bytes(byte ^ 1 for byte in key13.iv)
    salt = bytes(byte ^ 1 for byte in key13.salt)
    for rec_seq, key_iv, key_salt in ((5, key13.iv, key13.salt), (0, iv, salt), (2**40, iv, salt)):
        same = TrafficKey(TLS13, key13.cipher, key13.key, key_iv, key_salt, rec_seq)
        is_refused(lambda same=same: keyed.rekey(same.struct()))  # type: ignore[misc]
        is_refused(lambda same=same: keyed.rekey(CryptoInfo.from_bytes(same.struct())))  # type: ignore[misc]
    assert keyed.rec_seq == 0


def test_one_bit_makes_it_a_new_key(key13: TrafficKey) -> None:
    sealer = Sealer(key13.struct())
    for bit in range(8 * len(key13.key)):
        number = int.from_bytes(key13.key, "big") ^ 1 << bit
        other = number.to_bytes(len(key13.key), "big")
        key = TrafficKey(TLS13, key13.cipher, other, key13.iv, key13.salt)
        sealer.rekey(key.struct())
        assert sealer.seal(b"data") == key.seal(b"data")


def test_a_refused_key_is_not_recorded_as_used(key13: TrafficKey) -> None:
    sealer = Sealer(key13.struct())
    other = generation(1) if key13.cipher.cipher_type != 51 else traffic_key(TLS13, OTHER, seed=1)
    with pytest.raises(KtlsError, match="a rekey keeps the cipher"):
        sealer.rekey(other.struct())
    sealer.rekey(following(key13).struct())
    assert sealer.generation == 1


def test_an_opener_does_not_open_the_same_records_again(key13: TrafficKey) -> None:
    opener = Opener(key13.struct())
    record = key13.seal(b"pay 100")
    assert opener.open(record) == (23, b"pay 100")
    opener.rekey(following(key13).struct())
    is_refused(lambda: opener.rekey(key13.struct()))
    with pytest.raises(KtlsError, match="authenticate"):
        opener.open(record)


def test_a_socket_accepts_a_used_key_as_the_kernel_does(tcp_pair: MakePair) -> None:
    """The documentation warns about this."""
    near, far = tcp_pair()
    sender, receiver = attach(near), attach(far)
    install(sender, TLS_TX, generation(0))
    install(receiver, TLS_RX, generation(0))
    for _ in range(2):
        install(sender, TLS_TX, generation(1))
        install(receiver, TLS_RX, generation(1))
        sender.send(b"data")
        assert receive(receiver)[0] == b"data"
    for end in (sender, receiver):
        end.close()


def secret(fill: int, generation: int = 0) -> TrafficSecret:
    return TrafficSecret(Suite.TLS_AES_128_GCM_SHA256, bytes([fill]) * 32, generation=generation)


def test_the_two_directions_of_a_connection_need_different_secrets(tcp_pair: MakePair) -> None:
    near, far = tcp_pair()
    one = secret(1)
    later = one.next().next()
    for tx, rx in (
        (one, one),
        (one, secret(1, generation=7)),
        (one, one.next()),
        (later, one),
    ):
        with pytest.raises(KtlsError, match="both directions have the same secret") as refused:
            Connection.from_secrets(near, server_side=False, tx=tx, rx=rx)
        assert refused.value.errno == errno.EINVAL
    # The socket is still the caller's.
    near.sendall(b"plain")
    assert far.recv(10) == b"plain"
    with Connection.from_secrets(near, server_side=False, tx=one, rx=secret(2)) as conn:
        assert conn.write(b"x") == 1
    far.close()
