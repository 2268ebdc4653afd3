# cython: language_level=3
"""For ``cimport ktls_fast``; the header documents each function, its result and its errors."""

from libc.stdint cimport int64_t, uint8_t


cdef extern from "ktls_fast.h" nogil:
    enum:
        KTLS_STOP_NONE
        KTLS_STOP_KEY_UPDATE
        KTLS_STOP_FULL

    ctypedef struct ktls_sealer:
        pass

    ctypedef struct ktls_opener:
        pass

    ctypedef struct ktls_piece:
        const uint8_t *data
        size_t len
        uint8_t record_type

    ctypedef struct ktls_record:
        size_t offset
        size_t len
        uint8_t record_type

    ctypedef struct ktls_batch_end:
        size_t consumed
        size_t written
        size_t records
        int stop

    ctypedef struct ktls_key_update:
        size_t record
        uint8_t update_requested
        uint8_t fault


cdef const char *last_error() noexcept nogil

cdef ktls_sealer *sealer_new(const uint8_t *info, size_t info_len) noexcept nogil
cdef void sealer_free(ktls_sealer *sealer) noexcept nogil
cdef int sealer_rekey(ktls_sealer *sealer, const uint8_t *info, size_t info_len) noexcept nogil
cdef size_t sealer_overhead(const ktls_sealer *sealer) noexcept nogil
cdef int64_t seal_batch(
    ktls_sealer *sealer,
    const ktls_piece *pieces,
    size_t count,
    uint8_t *out,
    size_t out_len,
    size_t *lengths,
) noexcept nogil

cdef ktls_opener *opener_new(const uint8_t *info, size_t info_len) noexcept nogil
cdef void opener_free(ktls_opener *opener) noexcept nogil
cdef int opener_rekey(ktls_opener *opener, const uint8_t *info, size_t info_len) noexcept nogil
cdef int64_t open_batch(
    ktls_opener *opener,
    const uint8_t *wire,
    size_t wire_len,
    uint8_t *out,
    size_t out_len,
    ktls_record *records,
    size_t max_records,
    ktls_batch_end *end,
) noexcept nogil

cdef int64_t scan_key_updates(
    const uint8_t *data,
    size_t data_len,
    const ktls_record *records,
    size_t count,
    ktls_key_update *found,
    size_t max_found,
) noexcept nogil
