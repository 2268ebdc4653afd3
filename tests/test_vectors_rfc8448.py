"""RFC 8448 §3 (Simple 1-RTT Handshake), and four generations of key updates from its secrets."""

import json
from pathlib import Path
from typing import Any

import pytest

from ktls_fast import CryptoInfo, Opener, Sealer, TrafficSecret, key_update_message
from tests.reference import AES_GCM_128, TLS13, TrafficKey, hkdf_expand_label

VECTORS = json.loads((Path(__file__).parent / "vectors" / "rfc8448.json").read_text())
SIDES = VECTORS["key_update_extension"]["sides"]
GENERATIONS = {
    f"{side['sender']}-{generation['generation']}": generation
    for side in SIDES
    for generation in side["generations"]
}
RECORDS = {
    f"{record['sender']}-{record['epoch']}-{record['seq']}": record for record in VECTORS["records"]
} | {
    f"{name}-{record['seq']}": {**record, "key": generation["key"], "iv": generation["iv"]}
    for name, generation in GENERATIONS.items()
    for record in generation["records"]
}
AEAD_LIMIT = 23_726_566
"""Records that one key of AES-GCM may seal."""
SEALABLE = {
    name: record
    for name, record in RECORDS.items()
    if record["padding"] == 0 and record["seq"] < AEAD_LIMIT
}
every_record = pytest.mark.parametrize("case", RECORDS.values(), ids=list(RECORDS))


def traffic_key(case: dict[str, Any]) -> TrafficKey:
    """Return the key that the record was sealed with, at the record's number."""
    iv = bytes.fromhex(case["iv"])
    key = bytes.fromhex(case["key"])
    return TrafficKey(TLS13, AES_GCM_128, key, iv[4:], iv[:4], case.get("seq", 0))


def wanted(case: dict[str, Any]) -> tuple[int, bytes]:
    return case["content_type"], bytes.fromhex(case["plaintext"])


@every_record
def test_the_model_seals_and_opens_the_record(case: dict[str, Any]) -> None:
    key, record = traffic_key(case), bytes.fromhex(case["record"])
    record_type, plaintext = wanted(case)
    assert key.seal(plaintext, record_type, padding=case["padding"]) == record
    assert key.open(record) == (record_type, plaintext)


@every_record
def test_opener_opens_the_record(case: dict[str, Any]) -> None:
    opener = Opener(traffic_key(case).struct())
    assert opener.open(bytes.fromhex(case["record"])) == wanted(case)


@every_record
def test_open_batch_opens_the_record(case: dict[str, Any]) -> None:
    batch = Opener(traffic_key(case).struct()).open_batch(bytes.fromhex(case["record"]))
    record_type, plaintext = wanted(case)
    assert (list(batch.types), bytes(batch.data)) == ([record_type], plaintext)


@pytest.mark.parametrize("case", SEALABLE.values(), ids=list(SEALABLE))
def test_sealer_seals_the_record(case: dict[str, Any]) -> None:
    """All except padded records, which we never send, and those beyond the AEAD limit."""
    record_type, plaintext = wanted(case)
    sealed = Sealer(traffic_key(case).struct()).seal(plaintext, record_type)
    assert sealed == bytes.fromhex(case["record"])


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("epoch", ["handshake", "application"])
def test_traffic_secret_derives_key_and_iv(side: str, epoch: str) -> None:
    """RFC 8446 §7.3, numbers of RFC 8448 §3."""
    name = f"{side}_{epoch}_traffic_secret"
    secrets = VECTORS["secrets"]
    secret = bytes.fromhex(secrets[f"{name}_0" if epoch == "application" else name])
    case = {"key": secrets[f"{side}_{epoch}_key"], "iv": secrets[f"{side}_{epoch}_iv"]}
    info = TrafficSecret(0x1301, secret).crypto_info()
    assert bytes(info) == traffic_key(case).struct()


@pytest.mark.parametrize("side", SIDES, ids=lambda side: side["sender"])
def test_next_derives_four_generations(side: dict[str, Any]) -> None:
    """RFC 8446 §7.2."""
    secret = TrafficSecret(0x1301, bytes.fromhex(side["generations"][0]["secret"]))
    for generation in side["generations"]:
        assert secret.generation == generation["generation"]
        assert bytes(secret.crypto_info()) == traffic_key(generation).struct()
        secret = secret.next()


@pytest.mark.parametrize("generation", GENERATIONS.values(), ids=list(GENERATIONS))
def test_the_model_derives_the_generation(generation: dict[str, Any]) -> None:
    secret = bytes.fromhex(generation["secret"])
    derived = [
        hkdf_expand_label("sha256", secret, label, size).hex()
        for label, size in (("key", 16), ("iv", 12))
    ]
    assert derived == [generation["key"], generation["iv"]]


@pytest.mark.parametrize("side", SIDES, ids=lambda side: side["sender"])
def test_one_opener_follows_four_generations(side: dict[str, Any]) -> None:
    """RFC 8446 §4.6.3: each key's KeyUpdate (record 3) pauses, the next secret's key resumes."""
    secret = TrafficSecret(0x1301, bytes.fromhex(side["generations"][0]["secret"]))
    opener = Opener(secret.crypto_info(rec_seq=3))
    for generation in side["generations"]:
        update = next(record for record in generation["records"] if record["seq"] == 3)
        assert opener.open(bytes.fromhex(update["record"])) == (22, key_update_message())
        assert opener.paused
        secret = secret.next()
        opener.rekey(secret.crypto_info(rec_seq=3))
    assert opener.generation == 4


def test_crypto_info_reads_the_struct_of_a_vector() -> None:
    struct = traffic_key(VECTORS["records"][0]).struct()
    assert bytes(CryptoInfo.from_bytes(struct)) == struct
