"""``scan_key_updates`` and ``KeyUpdateScanner``: each KeyUpdate, however split, and errors."""

import errno
import pickle
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ktls_fast import (
    KeyUpdateFound,
    KeyUpdateScanner,
    KtlsError,
    Opener,
    key_update_message,
    scan_key_updates,
)
from tests.peers.raw import key_update
from tests.reference import AES_GCM_128, APPLICATION_DATA, HANDSHAKE, TLS13, traffic_key

Record = tuple[int, bytes]
KEY_UPDATE = key_update_message()
REQUEST = key_update_message(request=True)
TICKET = b"\4\0\0\5" + KEY_UPDATE
"""A NewSessionTicket whose body looks like a KeyUpdate."""


@dataclass(slots=True)
class NaiveScanner:
    """The rules, with all half-read bytes kept and looked at anew for each record."""

    unread: bytes = b""
    records: int = 0
    found: list[KeyUpdateFound] = field(default_factory=list)

    def feed(self, record_type: int, data: bytes) -> None:
        """Scan the next record."""
        if record_type == HANDSHAKE:
            self.unread += data
            while self._take():
                pass
        elif self.unread[:1] == b"\x18" and not self._is_of_bad_length():
            self._add("interleaved")
            self.unread = b""
        self.records += 1

    def _take(self) -> bool:
        """Take a whole message; a bad length is reported as soon as it is read, and only once."""
        size = 4 + int.from_bytes(self.unread[1:4], "big")
        if self._is_of_bad_length():
            self._add("bad_length")
            self.unread = b"\xff" + self.unread[1:]
        if len(self.unread) < 4 or len(self.unread) < size:
            return False
        message, self.unread = self.unread[:size], self.unread[size:]
        if message[0] == 0x18:
            self._add(self._fault_of(message), update_requested=message[4] == 1)
        return True

    def _is_of_bad_length(self) -> bool:
        return len(self.unread) >= 4 and self.unread[0] == 0x18 and self.unread[1:4] != b"\0\0\1"

    def _fault_of(self, message: bytes) -> str | None:
        if message[4] > 1:
            return "bad_value"
        return "data_after" if self.unread else None

    def _add(self, fault: str | None, *, update_requested: bool = False) -> None:
        self.found.append(KeyUpdateFound(self.records, update_requested, fault))


def scan(records: list[Record]) -> list[KeyUpdateFound]:
    """Scan all records in one call."""
    return scan_key_updates(
        np.array([record_type for record_type, _ in records], np.uint8),
        *places([len(data) for _, data in records]),
        b"".join(data for _, data in records),
    )


def places(sizes: list[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    lengths = np.array(sizes, np.int64)
    return np.cumsum(lengths, dtype=np.int64) - lengths, lengths


def handshake(*fragments: bytes) -> list[Record]:
    return [(HANDSHAKE, fragment) for fragment in fragments]


def test_the_message_is_a_handshake_message_with_one_byte() -> None:
    assert key_update_message() == key_update_message(request=False) == key_update(0)
    assert key_update_message(request=True) == key_update_message(True) == key_update(1)


@pytest.mark.parametrize("request_", [0, 1, None, "", b"\1", 2.0])
def test_the_message_is_made_for_a_bool_only(request_: object) -> None:
    with pytest.raises(TypeError, match="request"):
        key_update_message(request_)  # type: ignore[arg-type]


@pytest.mark.parametrize(("message", "requested"), [(KEY_UPDATE, False), (REQUEST, True)])
def test_a_whole_key_update_is_found(message: bytes, requested: bool) -> None:
    """RFC 8446 §4.6.3."""
    assert scan(handshake(message)) == [(0, requested, None)]


def test_a_finding_is_a_named_tuple() -> None:
    found = scan(handshake(REQUEST))[0]
    assert isinstance(found, KeyUpdateFound)
    assert (found.record, found.update_requested, found.fault) == (0, True, None)
    assert pickle.loads(pickle.dumps(found)) == found


def test_a_key_update_after_another_message_is_found() -> None:
    assert scan(handshake(TICKET + KEY_UPDATE)) == [(0, False, None)]


def test_bytes_that_only_resemble_a_key_update_are_ignored() -> None:
    for cut in range(len(TICKET) + 1):
        assert scan(handshake(TICKET[:cut], TICKET[cut:])) == []


def test_a_key_update_is_found_wherever_it_is_split() -> None:
    message = TICKET + REQUEST
    for first in range(len(message) + 1):
        for second in range(first, len(message) + 1):
            fragments = [message[:first], message[first:second], message[second:]]
            last = max(i for i, fragment in enumerate(fragments) if fragment)
            assert scan(handshake(*fragments)) == [(last, True, None)], (first, second)


def test_a_key_update_in_single_bytes_is_found_in_the_last_record() -> None:
    assert scan(handshake(*(bytes([byte]) for byte in KEY_UPDATE))) == [(4, False, None)]


def test_only_handshake_records_are_scanned() -> None:
    for record_type in set(range(256)) - {HANDSHAKE}:
        assert scan([(record_type, KEY_UPDATE)]) == [], record_type


def test_an_empty_input_has_no_key_update() -> None:
    assert scan([]) == []


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (KEY_UPDATE + TICKET, "data_after"),
        (KEY_UPDATE + b"\4", "data_after"),
        (b"\x18\0\0\0", "bad_length"),
        (b"\x18\0\0\2\0\0", "bad_length"),
        (b"\x18\1\0\1\0", "bad_length"),
        (b"\x18\0\1\1\0", "bad_length"),
        (b"\x18\0\0\1\2", "bad_value"),
        (b"\x18\0\0\1\xff", "bad_value"),
    ],
)
def test_each_fault_has_its_name(message: bytes, fault: str) -> None:
    """RFC 9846 §4.7.3, §5.1."""
    assert scan(handshake(message)) == [(0, False, fault)]


def test_a_request_with_data_after_it_is_still_a_request() -> None:
    assert scan(handshake(REQUEST + TICKET)) == [(0, True, "data_after")]


def test_of_two_key_updates_in_a_record_the_first_has_a_fault() -> None:
    assert scan(handshake(KEY_UPDATE + REQUEST)) == [(0, False, "data_after"), (0, True, None)]


def test_data_after_is_a_fault_of_the_record_in_which_the_message_ends() -> None:
    assert scan(handshake(KEY_UPDATE[:3], KEY_UPDATE[3:] + TICKET)) == [(1, False, "data_after")]


def test_a_message_in_the_next_record_is_not_a_fault() -> None:
    assert scan(handshake(KEY_UPDATE, TICKET, REQUEST)) == [(0, False, None), (2, True, None)]


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_another_type_inside_the_message_is_a_fault(cut: int) -> None:
    """RFC 8446 §5.1: handshake messages must not be interleaved with other record types."""
    records = [(HANDSHAKE, KEY_UPDATE[:cut]), (APPLICATION_DATA, b"data")]
    assert scan(records) == [(1, False, "interleaved")]


def test_another_type_between_messages_is_not_a_fault() -> None:
    records = [(HANDSHAKE, KEY_UPDATE), (APPLICATION_DATA, b"data"), (HANDSHAKE, REQUEST)]
    assert scan(records) == [(0, False, None), (2, True, None)]


def test_messages_after_a_bad_length_are_found() -> None:
    assert scan(handshake(b"\x18\0\0\3\0\0\0" + KEY_UPDATE)) == [
        (0, False, "bad_length"),
        (0, False, None),
    ]


def test_a_bad_length_is_reported_as_soon_as_it_is_read() -> None:
    """Its announced body may be 16 MiB, and need not arrive."""
    assert scan(handshake(b"\x18\xff\xff", b"\xff")) == [(1, False, "bad_length")]


def test_the_scanner_counts_records_over_all_its_feeds() -> None:
    scanner = KeyUpdateScanner()
    assert scanner.feed(HANDSHAKE, TICKET) == []
    assert scanner.feed(APPLICATION_DATA, b"data") == []
    assert scanner.feed(HANDSHAKE, b"") == []
    assert scanner.feed(HANDSHAKE, REQUEST) == [(3, True, None)]


def test_the_scanner_is_at_a_boundary_between_messages_only() -> None:
    """RFC 8446 §5.1: a key may change there, and nowhere else."""
    scanner = KeyUpdateScanner()
    message = TICKET + KEY_UPDATE
    assert scanner.at_boundary
    for end, byte in enumerate(message, start=1):
        scanner.feed(HANDSHAKE, bytes([byte]))
        assert scanner.at_boundary == (end in (len(TICKET), len(message))), end


def test_an_opened_batch_can_be_scanned() -> None:
    """The scan accepts the columns of an ``OpenedBatch``."""
    key = traffic_key(TLS13, AES_GCM_128)
    wire = key.seal(b"data") + key.seal(TICKET + REQUEST, HANDSHAKE, nth=1)
    batch = Opener(key.struct()).open_batch(wire)
    found = scan_key_updates(batch.types, batch.offsets, batch.lengths, batch.data)
    assert found == [(1, True, None)]


def test_columns_of_joined_batches_are_one_stream() -> None:
    first, second = handshake(TICKET, KEY_UPDATE[:2]), handshake(KEY_UPDATE[2:], REQUEST)
    assert scan(first + second) == [(2, False, None), (3, True, None)]


@pytest.mark.parametrize("lengths", [(1, 2, 2), (2, 1, 2), (2, 2, 1), (0, 1, 1)])
def test_columns_of_different_length_are_refused(lengths: tuple[int, int, int]) -> None:
    types, offsets, sizes = lengths
    with pytest.raises(KtlsError) as caught:
        scan_key_updates(
            np.zeros(types, np.uint8), np.zeros(offsets, np.int64), np.zeros(sizes, np.int64), b""
        )
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 6), (5, 1), (6, 0), (-1, 1), (3, -1), (2**63 - 1, 2**63 - 1)]
)
def test_a_record_outside_data_is_refused(offset: int, length: int) -> None:
    with pytest.raises(KtlsError) as caught:
        scan_key_updates(
            np.array([HANDSHAKE], np.uint8),
            np.array([offset], np.int64),
            np.array([length], np.int64),
            KEY_UPDATE,
        )
    assert caught.value.errno == errno.EINVAL


messages = st.one_of(
    st.sampled_from([KEY_UPDATE, REQUEST, TICKET, b"\4\0\0\0", b"\x18\0\0\1\7", b"\x18\0\0\0"]),
    st.builds(
        lambda kind, size, body: bytes([kind]) + size.to_bytes(3, "big") + body[:size],
        st.sampled_from([4, 11, 24]),
        st.integers(0, 12),
        st.binary(min_size=12, max_size=12),
    ),
)


@st.composite
def record_streams(draw: st.DrawFn) -> list[Record]:
    """Handshake messages back to back, cut anywhere, with other records in between."""
    stream = b"".join(draw(st.lists(messages, max_size=8)))
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    borders = zip([0, *cuts], [*cuts, len(stream)], strict=True)
    records = []
    for start, end in borders:
        if draw(st.integers(0, 5)) == 0:
            records.append((APPLICATION_DATA, KEY_UPDATE))
        records.append((HANDSHAKE, stream[start:end]))
    return records


@given(record_streams())
def test_random_streams_match_the_naive_model(records: list[Record]) -> None:
    naive = NaiveScanner()
    for record_type, data in records:
        naive.feed(record_type, data)
    assert scan(records) == naive.found


@given(record_streams())
def test_feeding_record_by_record_equals_one_call(records: list[Record]) -> None:
    scanner = KeyUpdateScanner()
    found = [each for record in records for each in scanner.feed(*record)]
    assert found == scan(records)
