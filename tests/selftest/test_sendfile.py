"""Fixture "tls": sendfile."""

import sys
from pathlib import Path

import pytest

from tests.reference import pattern
from tests.selftest.ends import WAITALL, TlsEnds

# Of the program that runs this, as much as TCP keeps without a reader.
EXECUTABLE = Path(sys.executable).read_bytes()[: 1 << 20]
# Chunk and extra; the selftest has (4096, 8192) twice.
PAIRS = [
    (4096, 4096),
    (4096, 0),
    (4096, 1),
    (4096, 2048),
    (8192, 2048),
    (4096, 8192),
    (8192, 4096),
    (12288, 1024),
    (12288, 2000),
    (15360, 100),
    (15360, 300),
    (1, 4096),
    (2048, 4096),
    (2048, 8192),
    (1024, 12288),
    (2000, 12288),
    (100, 15360),
    (300, 15360),
]


def test_a_file_is_accepted_without_a_reader(tls: TlsEnds) -> None:
    """tls.sendfile. S2.4-1, S2.2-13."""
    with Path(sys.executable).open("rb") as file:
        assert tls.sender.sendfile(file, 0, len(EXECUTABLE)) == len(EXECUTABLE)


def test_a_file_follows_data(tls: TlsEnds) -> None:
    """tls.send_then_sendfile. S2.4-1."""
    assert tls.sender.send(b"test_send\0") == 10
    assert tls.receiver.recv(10, WAITALL) == b"test_send\0"
    with Path(sys.executable).open("rb") as file:
        assert tls.sender.sendfile(file, 0, len(EXECUTABLE)) == len(EXECUTABLE)
        assert file.tell() == len(EXECUTABLE)
    assert tls.receiver.recv(len(EXECUTABLE), WAITALL) == EXECUTABLE


@pytest.mark.parametrize(("chunk", "extra"), PAIRS)
def test_a_file_is_sent_in_chunks(tls: TlsEnds, tmp_path: Path, chunk: int, extra: int) -> None:
    """tls.multi_chunk_sendfile. S2.4-1."""
    content, sent = pattern(chunk + extra), 0
    (tmp_path / "file").write_bytes(content)
    with (tmp_path / "file").open("rb") as file:
        while sent < len(content):
            count = tls.sender.sendfile(file, sent, chunk)
            assert count == min(chunk, len(content) - sent)
            sent += count
    assert tls.receiver.recv(len(content), WAITALL) == content
