"""Values on the command line."""

import argparse
import re

import pytest

from ktls_fast._tools.cli import values
from ktls_fast._tools.proxy import HostPort


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("65536", 65536),
        ("512B", 512),
        ("1kB", 1000),
        ("1KB", 1000),
        ("1KiB", 1024),
        ("512KiB", 512 * 1024),
        ("1MiB", 2**20),
        ("3 MB", 3 * 10**6),
        ("1GB", 10**9),
        ("2GiB", 2**31),
        ("1TiB", 2**40),
    ],
)
def test_sizes_are_parsed(text: str, size: int) -> None:
    assert values.size(text) == size


@pytest.mark.parametrize(
    "text",
    ["00", "9223372036854775808", "8388608TiB", "99999999TiB", f"{10**900}", "1" * 20 + "B"],
)
def test_a_size_of_more_than_64_bits_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"is more than|is not a number"):
        values.size(text)


def test_the_largest_sizes_are_parsed() -> None:
    assert values.size("9223372036854775807") == 2**63 - 1
    assert values.size("8388607TiB") == 8388607 * 2**40
    assert values.size(f"{1:0>5000}") == 1


@pytest.mark.parametrize("text", [str(2**64), "1" * 30, "9" * 5000])
def test_a_number_of_more_than_64_bits_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is more than 18446744073709551615"):
        values.natural(text)


@pytest.mark.parametrize(
    "text", ["", "0", "0MiB", "-1", "1.5MiB", "MiB", "1Mb", "1QiB", "1MiB ", "\u0661"]
)
def test_an_invalid_size_is_refused_by_name(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=re.escape(repr(text))):
        values.size(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8443", HostPort("127.0.0.1", 8443)),
        ("localhost:0", HostPort("localhost", 0)),
        ("[::1]:443", HostPort("::1", 443)),
        (":65535", HostPort("", 65535)),
    ],
)
def test_addresses_are_formatted_as_they_are_parsed(text: str, address: HostPort) -> None:
    assert values.address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "limit"), [("32", (32, 1.0)), ("5/0.5", (5, 0.5)), ("1/0", (1, 0.0))]
)
def test_a_limit_of_key_updates_is_a_count_and_seconds(text: str, limit: tuple[int, float]) -> None:
    assert values.update_limit(text) == limit


@pytest.mark.parametrize(
    "text", ["", "localhost", "8443", "::1:443", "a:", "a:b", "a:65536", "a:-1", "[::1]", "[]:1"]
)
def test_an_invalid_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=re.escape(repr(text))):
        values.address(text)
