"""The scenarios of ``docs/kernel-differences.md``: they may end otherwise than on a kernel."""

from typing import Final

__all__ = ["KNOWN"]

ADDRESS: Final = "buffers that are no memory cannot be named"
CIPHER: Final = "SM4 and ARIA are always there, and kernels may be built without them"

KNOWN: Final = {
    "cipher.12_aria128": CIPHER,
    "cipher.12_aria256": CIPHER,
    "cipher.12_sm4ccm": CIPHER,
    "cipher.12_sm4gcm": CIPHER,
    "cipher.13_sm4ccm": CIPHER,
    "cipher.13_sm4gcm": CIPHER,
    "ku.efault": ADDRESS,
    "ku.epoll_et": "the descriptor's readiness is TCP's",
    "ku.python_timeout": "no poll comes before a receive with a timeout",
    "recv.efault": ADDRESS,
    "recv.efault_control": ADDRESS,
    "recv.efault_second": ADDRESS,
    "recv.efault_small": ADDRESS,
    "recv.fork_share": "a process forked off has a copy of the state",
    "recv.nopad_retry_iov": "type and padding never stay behind the plaintext",
    "recv.splice_small_pipe": "a record is cut at the pipe's pages",
    "send.efault": ADDRESS,
    "set.fail_nocipher_then_ok": CIPHER,
    "ulp.connect_again": "connect(AF_UNSPEC) cannot be said in Python",
}
