"""The lines that a proxy writes, and their writer."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import pytest

from ktls_fast._tools.proxy import journal
from ktls_fast._tools.proxy.journal import ConnectionReport, LineWriter

REPORT = ConnectionReport(
    "192.0.2.1:1234",
    started="2026-01-02T03:04:05Z",
    version="TLSv1.3",
    cipher="TLS_AES_128_GCM_SHA256",
    received=17,
    sent=0,
    key_updates_sent=2,
    seconds=0.25,
    result="ok",
)


class PipeEnds(NamedTuple):
    """Both ends of a pipe."""

    reader: int
    writer: int


@pytest.fixture
def pipe() -> Iterator[PipeEnds]:
    ends = PipeEnds(*os.pipe())
    yield ends
    for end in ends:
        os.close(end)


def test_text_line_has_every_field() -> None:
    assert REPORT.as_text() == (
        "client=192.0.2.1:1234 started=2026-01-02T03:04:05Z version=TLSv1.3"
        " cipher=TLS_AES_128_GCM_SHA256 alpn=- server_name=- received=17 sent=0"
        " records_received=0 records_sent=0 key_updates_received=0 key_updates_sent=2"
        " seconds=0.250 result=ok"
    )


def test_json_line_has_the_same_fields() -> None:
    names = [pair.partition("=")[0] for pair in REPORT.as_text().split(" ")]
    parsed = json.loads(REPORT.as_json())
    assert list(parsed) == ["event", *names]
    assert (parsed["received"], parsed["alpn"]) == (17, None)


@pytest.mark.parametrize("length", [1000, 1001, 52_000, 5_000_000])
def test_text_of_a_peer_cannot_make_a_line_long(length: int) -> None:
    text = "\x01" * length
    report = replace(REPORT, result=text, server_name=text, alpn=text)
    for line in (report.as_text(), report.as_json()):
        assert len(line) < 20_000
    shown = json.loads(report.as_json())["result"]
    assert shown == (text if length == 1000 else f"{text[:1000]}...")


@pytest.mark.parametrize(
    "name", ["two\nlines", "a b", 'quo"te', "a=b", "back\\slash", "\x1b[2J", "caf\u00e9", "", "-"]
)
def test_what_a_peer_chose_cannot_break_the_line_up(name: str) -> None:
    text = ConnectionReport("192.0.2.1:1", server_name=name, result="ok").as_text()
    value = text.partition(" server_name=")[2].partition(" received=")[0]
    assert text.isascii()
    assert text.isprintable()
    assert value == json.dumps(name)


def test_lines_arrive_whole_and_in_order(pipe: PipeEnds) -> None:
    lines = LineWriter(pipe.writer)
    for number in range(100):
        lines.write(f"line {number}")
    lines.close()
    assert os.read(pipe.reader, 65536).decode().splitlines() == [
        f"line {number}" for number in range(100)
    ]
    assert lines.lost == 0


def test_a_stalled_reader_loses_lines_and_never_blocks(
    pipe: PipeEnds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "CAPACITY", 3)
    monkeypatch.setattr(journal, "FLUSH_TIMEOUT", 0.05)
    os.set_blocking(pipe.writer, False)
    _fill(pipe.writer)
    os.set_blocking(pipe.writer, True)
    trouble: list[str] = []
    lines = LineWriter(pipe.writer, trouble.append)
    for number in range(10):
        lines.write(f"line {number}")
    lines.close()
    assert lines.lost in (6, 7)  # the thread may be writing one of the ten
    assert trouble == ["its reader does not keep up"]
    os.read(pipe.reader, 1 << 20)
    assert os.read(pipe.reader, 6) == b"line 0"


def test_an_error_is_reported_once_and_every_lost_line_counted() -> None:
    trouble: list[str] = []
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        lines = LineWriter(full, trouble.append)
        for _ in range(5):
            lines.write("lost")
        lines.close()
    finally:
        os.close(full)
    assert lines.lost == 5
    assert trouble == ["no space left on device"]


def _fill(fd: int) -> None:
    try:
        while True:
            os.write(fd, bytes(4096))
    except BlockingIOError:
        return
