"""Files over a connection, as ``socket.socket.makefile`` makes them."""

import http.client
import io

import pytest

from tests.peers.ours import paired


def test_lines_are_read_and_written_by_a_file() -> None:
    with paired() as (conn, peer):
        peer.send(b"one\ntwo\nthree")
        peer.close_notify()
        with conn.makefile("rwb") as file:
            assert file.readline() == b"one\n"
            file.write(b"reply")
            file.flush()
            assert peer.receive_data(5) == b"reply"
            assert file.read() == b"two\nthree"
        with conn.makefile("w", encoding="utf-8", newline="\r\n") as text:
            text.write("grüße\n")
            assert text.mode == "w"
        assert peer.receive_data(9) == "grüße\r\n".encode()


def test_a_connection_closes_after_its_last_file() -> None:
    with paired() as (conn, peer):
        file, other = conn.makefile("rb"), conn.makefile("rb", 0)
        conn.close()
        assert conn.fileno() >= 0
        other.close()
        peer.send(b"still open")
        assert file.read(10) == b"still open"
        file.close()
        assert conn.fileno() == -1
        assert peer.drain() == (b"", [(1, 0)])


@pytest.mark.parametrize("mode", ["a", "r+", "rx", "U"])
def test_other_modes_of_files_are_refused(mode: str) -> None:
    with paired() as (conn, _):
        with pytest.raises(ValueError, match="letters other than r, w and b"):
            conn.makefile(mode)
        with pytest.raises(ValueError, match="a file without a buffer is binary"):
            conn.makefile("r", 0)
        assert isinstance(conn.makefile("rb", 10), io.BufferedReader)


def test_a_response_of_http_is_read_by_the_standard_library() -> None:
    with paired(server_side=False) as (conn, peer):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        response = http.client.HTTPResponse(conn)  # type: ignore[arg-type]
        conn.close()
        response.begin()
        assert response.read() == b"hello"
        response.close()
