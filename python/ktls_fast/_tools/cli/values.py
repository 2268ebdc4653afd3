"""Parsers for the values of command line options.

Each takes the text of a value and raises ``argparse.ArgumentTypeError`` if it is invalid.
"""

import argparse
import os
import re
from pathlib import Path

from ktls_fast._messages import quoted
from ktls_fast._tools.proxy import HostPort

__all__ = [
    "address",
    "at_least_one",
    "file_path",
    "fraction",
    "natural",
    "not_empty",
    "protocols",
    "seconds",
    "size",
    "update_limit",
]

UNITS = {"": 1, "B": 1}
UNITS |= {f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", 1)}
UNITS |= {f"{letter}B": 1000**power for power, letter in enumerate("kMGT", 1)}
UNITS["KB"] = 1000

MAX_PORT = 65535
MAX_BYTES = 2**63 - 1
MAX_NATURAL = 2**64 - 1
MAX_DIGITS = 20
MAX_COUNT = 1_000_000_000
MAX_PROTOCOL = 255


def address(text: str) -> HostPort:
    """Parse ``HOST:PORT`` or ``[HOST]:PORT``; an empty host stands for all local addresses."""
    match = re.fullmatch(r"(?:\[([^\[\]]+)\]|([^\[\]:]*)):(\d{1,5})", text, re.ASCII)
    if match is None or int(match[3]) > MAX_PORT:
        msg = f"{quoted(text)} is not HOST:PORT, e.g. 127.0.0.1:8443 or [::1]:8443"
        raise argparse.ArgumentTypeError(msg)
    return HostPort(match[1] or match[2], int(match[3]))


def size(text: str) -> int:
    """Parse a positive number of bytes, e.g. ``65536``, ``512KiB``, ``1MiB``, ``1GB``."""
    match = re.fullmatch(r"0*(\d+) ?([a-zA-Z]*)", text, re.ASCII)
    if match is None or match[2] not in UNITS or match[1] == "0":
        msg = f"{quoted(text)} is not a number of bytes, e.g. 65536, 512KiB, 1MiB or 1GB"
        raise argparse.ArgumentTypeError(msg)
    if len(match[1]) > MAX_DIGITS or int(match[1]) * UNITS[match[2]] > MAX_BYTES:
        msg = f"{quoted(text)} is more than {MAX_BYTES} bytes"
        raise argparse.ArgumentTypeError(msg)
    return int(match[1]) * UNITS[match[2]]


def seconds(text: str) -> float:
    """Parse a number of seconds, 0 or more."""
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII):
        msg = f"{quoted(text)} is not a number of seconds, e.g. 10 or 0.5"
        raise argparse.ArgumentTypeError(msg)
    return float(text)


def positive_seconds(text: str) -> float:
    """Parse a number of seconds that is more than 0."""
    value = seconds(text)
    if not value:
        msg = f"{quoted(text)} is not more than 0 seconds"
        raise argparse.ArgumentTypeError(msg)
    return value


def at_least_one(text: str) -> int:
    """Parse a number from 1 to 1,000,000,000."""
    if not re.fullmatch(r"0*[1-9]\d*", text, re.ASCII):
        msg = f"{quoted(text)} is not a positive number"
        raise argparse.ArgumentTypeError(msg)
    return _up_to(MAX_COUNT, text)


def natural(text: str) -> int:
    """Parse a number from 0 to 2**64 - 1."""
    if not re.fullmatch(r"\d+", text, re.ASCII):
        msg = f"{quoted(text)} is not a number of 0 or more"
        raise argparse.ArgumentTypeError(msg)
    return _up_to(MAX_NATURAL, text)


def _up_to(limit: int, text: str) -> int:
    """Convert decimal digits to a number of at most ``limit``."""
    # The digits are counted first, because Python refuses to convert very many.
    if len(text.lstrip("0")) > len(str(limit)) or int(text) > limit:
        msg = f"{quoted(text)} is more than {limit}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def fraction(text: str) -> float:
    """Parse a fraction from 0 to 1, e.g. ``2%`` or ``0.02``."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,9})?)(%?)", text, re.ASCII)
    value = float(match[1]) / (100 if match[2] else 1) if match else 2
    if value > 1:
        msg = f"{quoted(text)} is not from 0% to 100%, e.g. 2% or 0.02"
        raise argparse.ArgumentTypeError(msg)
    return value


def update_limit(text: str) -> tuple[int, float]:
    """Parse a number of KeyUpdates and a number of seconds, e.g. ``32/1.5``.

    Without seconds, as in ``32``, they are 1.
    """
    count, slash, per = text.partition("/")
    return at_least_one(count), seconds(per) if slash else 1.0


def protocols(text: str) -> tuple[str, ...]:
    """Parse ALPN names, separated by commas."""
    names = tuple(text.split(","))
    for name in names:
        if not 0 < len(os.fsencode(name)) <= MAX_PROTOCOL or not _is_unicode(name):
            msg = (
                f"{quoted(name)} is not a protocol name of 1 to {MAX_PROTOCOL} bytes of UTF-8;"
                " separate names by commas, e.g. h2,http/1.1"
            )
            raise argparse.ArgumentTypeError(msg)
    return names


def not_empty(text: str) -> str:
    """Return ``text`` if it is not empty.

    An empty value is usually an unset variable of a shell script.
    """
    if not text:
        msg = "'' is empty; leave the option out to use its default"
        raise argparse.ArgumentTypeError(msg)
    return text


def file_path(text: str) -> Path:
    """Parse the path of a file."""
    return Path(not_empty(text))


def _is_unicode(text: str) -> bool:
    """Return False for an argument whose bytes are not valid UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
