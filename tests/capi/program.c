/* Seals argv[2] records of argv[3] bytes under the key in argv[1] (hex) without the GIL, opens them
 * again, and writes the wire to standard output. */
#include <Python.h>
#include <ktls_fast.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refused(const ktls_api *ktls, const char *what)
{
    fprintf(stderr, "%s: %s\n", what, ktls->last_error());
    return 1;
}

static size_t from_hex(const char *hex, uint8_t *out, size_t room)
{
    size_t len = strlen(hex) / 2;
    for (size_t i = 0; i < len && i < room; i++) {
        unsigned byte;
        sscanf(hex + 2 * i, "%2x", &byte);
        out[i] = (uint8_t)byte;
    }
    return len;
}

static int run(const ktls_api *ktls, const char *hex, size_t count, size_t size)
{
    uint8_t info[64];
    size_t info_len = from_hex(hex, info, sizeof info);
    ktls_sealer *sealer = ktls->sealer_new(info, info_len);
    ktls_opener *opener = ktls->opener_new(info, info_len);
    if (!sealer || !opener)
        return refused(ktls, "new");
    size_t wire_len = count * (size + ktls->sealer_overhead(sealer));
    uint8_t *data = calloc(count, size), *wire = malloc(wire_len), *back = malloc(wire_len);
    ktls_piece *pieces = calloc(count, sizeof *pieces);
    ktls_record *records = calloc(count, sizeof *records);
    for (size_t i = 0; i < count; i++) {
        memset(data + i * size, (int)i, size);
        pieces[i].data = data + i * size;
        pieces[i].len = size;
        pieces[i].record_type = 23;
    }
    int64_t sealed = ktls->seal_batch(sealer, pieces, count, wire, wire_len, NULL);
    if (sealed < 0)
        return refused(ktls, "seal_batch");
    ktls_batch_end end;
    int64_t opened = ktls->open_batch(opener, wire, (size_t)sealed, back, wire_len, records, count, &end);
    if (opened < 0)
        return refused(ktls, "open_batch");
    int same = (size_t)opened == count && end.written == count * size && !memcmp(back, data, end.written);
    fwrite(wire, 1, (size_t)sealed, stdout);
    ktls->sealer_free(sealer);
    ktls->opener_free(opener);
    free(data), free(wire), free(back), free(pieces), free(records);
    return same ? 0 : 2;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 64;
    Py_Initialize();
    const ktls_api *ktls = ktls_import();
    if (!ktls) {
        PyErr_Print();
        return 1;
    }
    PyThreadState *state = PyEval_SaveThread();
    int status = run(ktls, argv[1], strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    PyEval_RestoreThread(state);
    return Py_FinalizeEx() < 0 ? 3 : status;
}
