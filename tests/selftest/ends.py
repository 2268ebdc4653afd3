"""Variants, keys and messages of the kernel's selftest (``tools/testing/selftests/net/tls.c``)."""

import socket
from dataclasses import dataclass, field

from tests.ktls_ends import (
    KEY_UPDATE,
    SOL_TLS,
    TLS_RX,
    TLS_TX,
    KtlsEnds,
    MakePair,
    attached,
    install,
    send_typed,
)
from tests.reference import (
    AES_CCM_128,
    AES_GCM_128,
    AES_GCM_256,
    ARIA_GCM_128,
    ARIA_GCM_256,
    CHACHA20_POLY1305,
    HANDSHAKE,
    SM4_CCM,
    SM4_GCM,
    TLS12,
    TLS13,
    Cipher,
    TrafficKey,
)

EXPECT_NO_PAD = 4
WAITALL = socket.MSG_WAITALL
OTHER_TYPE = 100
SIX_BYTES = KEY_UPDATE + b"\0"  # the selftest's KeyUpdate is followed by a zero byte
REKEY_COUNTERS = (
    "TlsTxRekeyOk",
    "TlsTxRekeyError",
    "TlsRxRekeyOk",
    "TlsRxRekeyError",
    "TlsRxRekeyReceived",
    "TlsDecryptError",
)


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the thirteen variants of the selftest."""

    name: str
    version: int
    cipher: Cipher
    no_pad: bool = False

    def key(self, number: int) -> TrafficKey:
        """Return the key of a generation."""
        return filled(self.cipher, number, self.version)


VARIANTS = [
    Variant("12_aes_gcm", TLS12, AES_GCM_128),
    Variant("13_aes_gcm", TLS13, AES_GCM_128),
    Variant("12_chacha", TLS12, CHACHA20_POLY1305),
    Variant("13_chacha", TLS13, CHACHA20_POLY1305),
    Variant("13_sm4_gcm", TLS13, SM4_GCM),
    Variant("13_sm4_ccm", TLS13, SM4_CCM),
    Variant("12_aes_ccm", TLS12, AES_CCM_128),
    Variant("13_aes_ccm", TLS13, AES_CCM_128),
    Variant("12_aes_gcm_256", TLS12, AES_GCM_256),
    Variant("13_aes_gcm_256", TLS13, AES_GCM_256),
    Variant("13_nopad", TLS13, AES_GCM_128, no_pad=True),
    Variant("12_aria_gcm", TLS12, ARIA_GCM_128),
    Variant("12_aria_gcm_256", TLS12, ARIA_GCM_256),
]


@dataclass
class TlsEnds(KtlsEnds):
    """The ends of the fixture "tls", with keys of the variant and a KeyUpdate of six bytes."""

    variant: Variant = field(kw_only=True)

    def send_key_update(self) -> None:
        assert send_typed(self.sender, SIX_BYTES, HANDSHAKE) == len(SIX_BYTES)

    def rekey_sender(self, number: int) -> None:
        install(self.sender, TLS_TX, self.variant.key(number))

    def rekey_receiver(self, number: int) -> None:
        install(self.receiver, TLS_RX, self.variant.key(number))


def filled(cipher: Cipher, number: int, version: int = TLS13) -> TrafficKey:
    """Return the selftest's key of a generation: all bytes, also of rec_seq, are its number."""
    fill = bytes([number])
    key, iv, salt = fill * cipher.key_size, fill * cipher.iv_size, fill * cipher.salt_size
    return TrafficKey(version, cipher, key, iv, salt, int.from_bytes(fill * 8, "big"))


def tls_ends(pair: MakePair, variant: Variant) -> TlsEnds:
    """Return ends with the key of generation 0 for sending and for receiving."""
    bare = attached(pair)
    ends = TlsEnds(bare.sender, bare.receiver, bare.namespace, variant=variant)
    ends.rekey_sender(0)
    ends.rekey_receiver(0)
    if variant.no_pad:
        ends.receiver.setsockopt(SOL_TLS, EXPECT_NO_PAD, 1)
    return ends


def rekey_counters(ends: KtlsEnds) -> list[int]:
    """Return the increases of ``REKEY_COUNTERS``."""
    return [ends.counted(name) for name in REKEY_COUNTERS]
