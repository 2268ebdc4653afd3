"""sendfile: ``docs/kernel-rules.md``, S2.4."""

import io
import os
import socket
import threading
from pathlib import Path

import pytest

from tests.ktls_ends import (
    DONTWAIT,
    MORE,
    KtlsEnds,
    receive,
)
from tests.ktls_pipe import PipeEnds
from tests.reference import pattern

WAITALL = socket.MSG_WAITALL
LONG, SHORT = 60.0, 0.05


def receive_all(ends: KtlsEnds, size: int) -> tuple[threading.Thread, list[bytes]]:
    """Start a thread that receives ``size`` bytes; return it and a list for the data."""
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(ends.receiver.recv(size, WAITALL)))
    thread.start()
    return thread, got


@pytest.mark.parametrize(
    ("offset", "count", "records"),
    [
        (0, None, [16384, 16384, 7232]),
        (0, 16384, [16384]),
        (100, 16385, [16384, 1]),
        (39_990, 50, [10]),
        (40_000, None, []),
        (50_000, 5, []),
    ],
)
def test_s2_4_all_records_but_the_last_are_full(
    ends: KtlsEnds,
    pipe: PipeEnds,
    tmp_path: Path,
    offset: int,
    count: int | None,
    records: list[int],
) -> None:
    """S2.4-1."""
    content = pattern(40_000)
    (tmp_path / "file").write_bytes(content)
    with (tmp_path / "file").open("rb") as file:
        assert ends.sender.sendfile(file, offset, count) == sum(records)
    ends.sender.shutdown(1)
    got = []
    while size := ends.receiver.splice_to(pipe.into, 1 << 20):
        got.append(os.read(pipe.out, 1 << 20))
        assert len(got[-1]) == size
    assert [len(data) for data in got] == records
    assert b"".join(got) == content[offset : offset + sum(records)]


def test_sendfile_ends_an_open_record(ends: KtlsEnds, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"file")
    ends.sender.send(b"open ", MORE)
    with (tmp_path / "file").open("rb") as file:
        assert ends.sender.sendfile(file) == 4
    assert receive(ends.receiver)[0] == b"open file"


def test_a_timeout_keeps_what_was_sent_and_the_next_call_goes_on(
    ends: KtlsEnds, tmp_path: Path
) -> None:
    content = pattern(24 << 20)
    (tmp_path / "file").write_bytes(content)
    ends.sender.settimeout(SHORT)
    with (tmp_path / "file").open("rb") as file:
        with pytest.raises(TimeoutError):
            ends.sender.sendfile(file)
        sent = file.tell()
        assert 0 < sent < len(content)
        thread, got = receive_all(ends, len(content))
        ends.sender.settimeout(LONG)
        assert ends.sender.sendfile(file, sent) == len(content) - sent
    thread.join(LONG)
    assert got == [content]


def test_files_without_offsets_are_sent_as_they_are_read(ends: KtlsEnds, pipe: PipeEnds) -> None:
    os.write(pipe.into, b"from a pipe")
    with os.fdopen(os.dup(pipe.out), "rb", buffering=0) as file:
        assert ends.sender.sendfile(file, 0, 11) == 11
    assert receive(ends.receiver)[0] == b"from a pipe"
    assert ends.sender.sendfile(io.BytesIO(b"..from memory"), 2) == 11
    assert receive(ends.receiver)[0] == b"from memory"


def test_sendfile_refuses_invalid_arguments(ends: KtlsEnds, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    with (tmp_path / "file").open("rb") as file:
        for count in (0, -1):
            with pytest.raises(ValueError, match=f"{count} is not a count"):
                ends.sender.sendfile(file, 0, count)
        with (tmp_path / "file").open() as text, pytest.raises(ValueError, match='"r"'):
            ends.sender.sendfile(text)
        ends.sender.setblocking(False)
        with pytest.raises(ValueError, match="non-blocking"):
            ends.sender.sendfile(file)
        assert file.tell() == 0
    with pytest.raises(BlockingIOError):
        ends.receiver.recv(1, DONTWAIT)
