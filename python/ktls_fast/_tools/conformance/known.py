"""The scenarios whose results may differ, as listed in ``docs/kernel-differences.md``."""

from typing import Final

__all__ = ["KNOWN"]

ADDRESS: Final = "Python cannot pass an invalid address"
CIPHER: Final = "the engine always has SM4 and ARIA, but a kernel may be built without them"

KNOWN: Final = {
    "cipher.12_aria128": CIPHER,
    "cipher.12_aria256": CIPHER,
    "cipher.12_sm4ccm": CIPHER,
    "cipher.12_sm4gcm": CIPHER,
    "cipher.13_sm4ccm": CIPHER,
    "cipher.13_sm4gcm": CIPHER,
    "ku.efault": ADDRESS,
    "ku.epoll_et": "the readiness of the descriptor is that of TCP",
    "ku.python_timeout": "a receive with a timeout is not preceded by a poll",
    "recv.efault": ADDRESS,
    "recv.efault_control": ADDRESS,
    "recv.efault_second": ADDRESS,
    "recv.efault_small": ADDRESS,
    "recv.fork_share": "a forked process has a copy of the state",
    "recv.nopad_retry_iov": "the type and padding are never left behind the plaintext",
    "recv.splice_small_pipe": "a record is split at the pages of the pipe",
    "send.efault": ADDRESS,
    "set.fail_nocipher_then_ok": CIPHER,
    "ulp.connect_again": "Python has no call for connect(AF_UNSPEC)",
}
