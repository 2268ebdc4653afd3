/* The C interface of ktls_fast: TLS records without the interpreter.
 *
 * Get the table of functions once, with the GIL held:
 *
 *     #include <Python.h>
 *     #include <ktls_fast.h>
 *     const ktls_api *ktls = ktls_import();   // NULL: a Python exception is set
 *
 * None of the functions needs the GIL. Each may be called from any thread; calls on one sealer or
 * opener are serialised. A function that fails returns a negative errno and changes nothing;
 * last_error() returns its message. Input and output must not overlap, and no other memory that is
 * written may overlap with anything. After a fork the first of the two processes that uses a sealer
 * keeps it, and calls in the other one fail with EBUSY; after a fork without the hooks of Python's
 * os.fork, as by fork(), calls in the child always fail. Compile with -I of ktls_fast.get_include().
 *
 * Other threads: pieces and records must not change during a call. While seal_batch runs, no other
 * thread may write to out: the tags are computed from the ciphertext there and would be valid for what was
 * written. While open_batch runs, no other thread may read out: it may hold plaintext of forged records.
 * wire may change at any time; the bytes that were read are opened or refused.
 */
#ifndef KTLS_FAST_H
#define KTLS_FAST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of a library that this header fits: equal, and the table not shorter. */
#define KTLS_API_VERSION 1

/* What may end a batch before the last whole record. */
#define KTLS_STOP_NONE 0
#define KTLS_STOP_KEY_UPDATE 1 /* the last record ends a KeyUpdate: the next key is needed */
#define KTLS_STOP_FULL 2       /* the next plaintext, or its entry in records, has no room */

typedef struct ktls_sealer ktls_sealer;
typedef struct ktls_opener ktls_opener;

/* A record to be sealed. */
typedef struct ktls_piece {
    const uint8_t *data; /* NULL only for no bytes */
    size_t len;          /* at most 16384 */
    uint8_t record_type; /* its content type, 23 for application data; not 0 in TLS 1.3 */
} ktls_piece;

/* An opened record: where its plaintext lies in the output. */
typedef struct ktls_record {
    size_t offset;
    size_t len;
    uint8_t record_type;
} ktls_record;

/* How far open_batch came. */
typedef struct ktls_batch_end {
    size_t consumed; /* bytes of wire that were opened */
    size_t written;  /* bytes of output that hold plaintext */
    size_t records;  /* entries of records that were filled */
    int stop;        /* KTLS_STOP_..., or the negative errno of the next record, which is bad */
} ktls_batch_end;

/* A KeyUpdate that scan_key_updates found. */
typedef struct ktls_key_update {
    size_t record;            /* index of the record in which it ends */
    uint8_t update_requested; /* 1: the peer wants one in return */
    uint8_t fault;            /* 0, or 1 data after it, 2 interleaved, 3 bad length, 4 bad value */
} ktls_key_update;

typedef struct ktls_api {
    uint32_t version;
    uint32_t size;

    /* The sentence of this thread's last refusal; valid until its next call. */
    const char *(*last_error)(void);

    /* A sealer from the kernel's tls12_crypto_info_... struct; NULL: refused. */
    ktls_sealer *(*sealer_new)(const uint8_t *info, size_t info_len);
    void (*sealer_free)(ktls_sealer *sealer);
    /* Installs the next key: 0 or -errno (EINVAL also for a key that the sealer has or had: 8 bytes are
     * kept to know each one). */
    int (*sealer_rekey)(ktls_sealer *sealer, const uint8_t *info, size_t info_len);
    /* Bytes that a record has on top of its plaintext. */
    size_t (*sealer_overhead)(const ktls_sealer *sealer);
    /* Seals all pieces back to back into out, or none: the bytes written, or -errno (EMSGSIZE a piece
     * too long, ENOBUFS no room, EBADMSG or EKEYEXPIRED no number left). lengths, if not NULL, gets
     * the length of each record. */
    int64_t (*seal_batch)(ktls_sealer *sealer, const ktls_piece *pieces, size_t count,
                          uint8_t *out, size_t out_len, size_t *lengths);

    ktls_opener *(*opener_new)(const uint8_t *info, size_t info_len);
    void (*opener_free)(ktls_opener *opener);
    /* As sealer_rekey. */
    int (*opener_rekey)(ktls_opener *opener, const uint8_t *info, size_t info_len);
    /* Opens the whole records that wire starts with, at most max_records: how many, or -errno
     * (EKEYEXPIRED while the next key is missing; that of the first record when that is bad). */
    int64_t (*open_batch)(ktls_opener *opener, const uint8_t *wire, size_t wire_len, uint8_t *out,
                          size_t out_len, ktls_record *records, size_t max_records,
                          ktls_batch_end *end);

    /* Looks for KeyUpdates in opened records: how many there are; the first max_found are stored. */
    int64_t (*scan_key_updates)(const uint8_t *data, size_t data_len, const ktls_record *records,
                                size_t count, ktls_key_update *found, size_t max_found);
} ktls_api;

#ifdef Py_PYTHON_H
static inline const ktls_api *ktls_import(void)
{
    const ktls_api *api = (const ktls_api *)PyCapsule_Import("ktls_fast._core._C_API", 0);
    if (api && (api->version != KTLS_API_VERSION || api->size < sizeof(ktls_api))) {
        PyErr_Format(PyExc_ImportError,
                     "ktls_fast has the C interface %u of %u bytes, and this program was built for "
                     "%u of %u: build it again",
                     (unsigned)api->version, (unsigned)api->size, (unsigned)KTLS_API_VERSION,
                     (unsigned)sizeof(ktls_api));
        return NULL;
    }
    return api;
}
#endif

#ifdef __cplusplus
}
#endif

#endif
