# cython: language_level=3
"""Ten thousand records sealed, opened and scanned without the GIL."""

cimport ktls_fast
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc


class Refused(Exception):
    """The sentence, and the negative errno."""


cdef class Held:
    """A sealer that lives as long as this object."""

    cdef ktls_fast.ktls_sealer *sealer

    def __cinit__(self, bytes info):
        self.sealer = ktls_fast.sealer_new(info, len(info))

    def __dealloc__(self):
        ktls_fast.sealer_free(self.sealer)

    def rekey(self, bytes info):
        """The next key."""
        cdef int done = ktls_fast.sealer_rekey(self.sealer, info, len(info))
        if done < 0:
            raise Refused(ktls_fast.last_error().decode(), done)

    def seal(self, bytes data, int record_type=23):
        """One record."""
        cdef bytearray out = bytearray(len(data) + ktls_fast.sealer_overhead(self.sealer))
        cdef ktls_fast.ktls_piece piece
        piece.data, piece.len, piece.record_type = data, len(data), record_type
        cdef int64_t done = ktls_fast.seal_batch(self.sealer, &piece, 1, out, len(out), NULL)
        if done < 0:
            raise Refused(ktls_fast.last_error().decode(), done)
        return bytes(out)


def rekey_opener(bytes info, *following):
    """An opener that is given one key after the other."""
    cdef ktls_fast.ktls_opener *opener = ktls_fast.opener_new(info, len(info))
    cdef bytes key
    cdef int done
    try:
        for key in following:
            done = ktls_fast.opener_rekey(opener, key, len(key))
            if done < 0:
                raise Refused(ktls_fast.last_error().decode(), done)
    finally:
        ktls_fast.opener_free(opener)


def seal(bytes info, bytes data, size_t size, bytes next_info=b"", size_t rekey_after=0):
    """Cut ``data`` into records of ``size`` and seal them one batch of 64 after the other."""
    cdef const uint8_t *key = info
    cdef const uint8_t *next_key = next_info
    cdef size_t key_len = len(info), next_len = len(next_info)
    cdef ktls_fast.ktls_sealer *sealer = ktls_fast.sealer_new(key, key_len)
    if sealer is NULL:
        raise Refused(ktls_fast.last_error().decode(), 0)
    cdef const uint8_t *start = data
    cdef size_t total = len(data), count = (total + size - 1) // size
    cdef bytearray out = bytearray(total + count * ktls_fast.sealer_overhead(sealer))
    cdef uint8_t *room = out
    cdef size_t room_len = len(out)
    cdef int64_t done
    try:
        with nogil:
            done = _seal(sealer, start, total, size, room, room_len, next_key, next_len, rekey_after)
    finally:
        ktls_fast.sealer_free(sealer)
    if done < 0:
        raise Refused(ktls_fast.last_error().decode(), done)
    return bytes(out[:done])


cdef int64_t _seal(
    ktls_fast.ktls_sealer *sealer, const uint8_t *data, size_t total, size_t size,
    uint8_t *out, size_t out_len, const uint8_t *next_key, size_t next_len, size_t rekey_after,
) noexcept nogil:
    cdef ktls_fast.ktls_piece[64] pieces
    cdef size_t at = 0, records = 0, n, i
    cdef int64_t written = 0, more
    cdef int rekeyed
    while at < total:
        n = 0
        while n < 64 and at < total:
            pieces[n].data = data + at
            pieces[n].len = min(size, total - at)
            pieces[n].record_type = 23
            at += pieces[n].len
            n += 1
        more = ktls_fast.seal_batch(sealer, pieces, n, out + written, out_len - written, NULL)
        if more < 0:
            return more
        written += more
        records += n
        if rekey_after and records == rekey_after:
            rekeyed = ktls_fast.sealer_rekey(sealer, next_key, next_len)
            if rekeyed < 0:
                return rekeyed
    return written


def open(bytes info, bytes wire, size_t room, size_t max_records):
    """The plaintext, the records as tuples, how far the batch came, and the KeyUpdates in it."""
    cdef const uint8_t *key = info
    cdef ktls_fast.ktls_opener *opener = ktls_fast.opener_new(key, len(info))
    if opener is NULL:
        raise Refused(ktls_fast.last_error().decode(), 0)
    cdef bytearray out = bytearray(room)
    cdef uint8_t *target = out
    cdef const uint8_t *start = wire
    cdef size_t wire_len = len(wire)
    cdef ktls_fast.ktls_batch_end end
    cdef ktls_fast.ktls_key_update[8] found
    cdef int64_t count, updates = 0
    cdef ktls_fast.ktls_record *records = <ktls_fast.ktls_record *> malloc(
        max_records * sizeof(ktls_fast.ktls_record)
    )
    try:
        with nogil:
            count = ktls_fast.open_batch(
                opener, start, wire_len, target, room, records, max_records, &end
            )
            if count > 0:
                updates = ktls_fast.scan_key_updates(target, room, records, count, found, 8)
        if count < 0:
            raise Refused(ktls_fast.last_error().decode(), count)
        return (
            bytes(out[: end.written]),
            [(records[i].record_type, records[i].offset, records[i].len) for i in range(count)],
            (end.consumed, end.stop),
            [(found[i].record, found[i].update_requested, found[i].fault) for i in range(updates)],
        )
    finally:
        free(records)
        ktls_fast.opener_free(opener)
