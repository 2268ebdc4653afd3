/* Intel's multi-buffer library without a record layer and without Python: the limit of the benches.
 * raw.py tells what the lines on standard input mean. */
#define _GNU_SOURCE /* getline, clock_gettime */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <intel-ipsec-mb.h>

enum { TAG_LEN = 16, NONCE_LEN = 12, MAX_KEY_LEN = 32, MAX_AAD_LEN = 16, MAX_RECORDS = 4096 };
enum cipher { AES_128, AES_256, CHACHA20 };

/* All records of a round. */
struct job {
    int seals;
    enum cipher cipher;
    size_t len, records; /* bytes of inner plaintext in a record; records */
    uint8_t key[MAX_KEY_LEN], aad[MAX_AAD_LEN];
    size_t aad_len;
    uint8_t nonces[MAX_RECORDS][NONCE_LEN];
    uint8_t *input, *output;
    size_t in_step, out_step;
};

static struct gcm_key_data expanded;
static struct job job;

static void
die(const char *why)
{
    fprintf(stderr, "ipsec_mb: %s\n", why);
    exit(1);
}

static size_t
unhex(uint8_t *out, size_t room, const char *text)
{
    size_t len = strspn(text, "0123456789abcdef") / 2;
    if (len > room)
        die("more hex digits than there is room");
    for (size_t i = 0; i < len; i++)
        sscanf(text + 2 * i, "%2hhx", &out[i]);
    return len;
}

static void
set_nonces(const uint8_t iv[NONCE_LEN])
{
    for (size_t seq = 0; seq < job.records; seq++) {
        memcpy(job.nonces[seq], iv, NONCE_LEN);
        for (int i = 0; i < 4; i++) /* RFC 8446 5.3; no round has more records */
            job.nonces[seq][NONCE_LEN - 1 - i] ^= (uint8_t)(seq >> (8 * i));
    }
}

static enum cipher
cipher_named(const char *name)
{
    if (!strcmp(name, "AES_GCM_128"))
        return AES_128;
    if (!strcmp(name, "AES_GCM_256"))
        return AES_256;
    if (!strcmp(name, "CHACHA20_POLY1305"))
        return CHACHA20;
    die("no such cipher");
    return AES_128;
}

static void
expand_key(IMB_MGR *mgr)
{
    if (job.cipher == AES_128)
        IMB_AES128_GCM_PRE(mgr, job.key, &expanded);
    else if (job.cipher == AES_256)
        IMB_AES256_GCM_PRE(mgr, job.key, &expanded);
}

static void
take_input(const char *line)
{
    size_t in_len, out_len;

    job.in_step = job.len + (job.seals ? 0 : TAG_LEN);
    job.out_step = job.len + (job.seals ? TAG_LEN : 0);
    in_len = job.records * job.in_step;
    out_len = job.records * job.out_step;
    free(job.input);
    free(job.output);
    job.input = malloc(in_len);
    job.output = calloc(1, out_len);
    if (job.input == NULL || job.output == NULL)
        die("out of memory");
    if (unhex(job.input, in_len, line) != in_len)
        die("the input is short");
}

static void
take_job(IMB_MGR *mgr, const char *line, const char *input)
{
    char op[8], cipher[32], key[2 * MAX_KEY_LEN + 1], iv[2 * NONCE_LEN + 1], aad[33];
    uint8_t first[NONCE_LEN];

    if (sscanf(line, "job %7s %31s %zu %zu %64s %24s %32s", op, cipher, &job.len, &job.records, key,
               iv, aad) != 7 || job.records > MAX_RECORDS)
        die("no job");
    job.seals = !strcmp(op, "seal");
    job.cipher = cipher_named(cipher);
    job.aad_len = unhex(job.aad, sizeof job.aad, aad);
    unhex(job.key, sizeof job.key, key);
    unhex(first, sizeof first, iv);
    set_nonces(first);
    expand_key(mgr);
    take_input(input);
    puts("ready");
}

static void
gcm(IMB_MGR *mgr, size_t nth, uint8_t *tag)
{
    const uint8_t *in = job.input + nth * job.in_step, *nonce = job.nonces[nth];
    uint8_t *out = job.output + nth * job.out_step;
    struct gcm_context_data context;

    if (job.cipher == AES_128 && job.seals)
        IMB_AES128_GCM_ENC(mgr, &expanded, &context, out, in, job.len, nonce, job.aad, job.aad_len,
                           tag, TAG_LEN);
    else if (job.cipher == AES_128)
        IMB_AES128_GCM_DEC(mgr, &expanded, &context, out, in, job.len, nonce, job.aad, job.aad_len,
                           tag, TAG_LEN);
    else if (job.seals)
        IMB_AES256_GCM_ENC(mgr, &expanded, &context, out, in, job.len, nonce, job.aad, job.aad_len,
                           tag, TAG_LEN);
    else
        IMB_AES256_GCM_DEC(mgr, &expanded, &context, out, in, job.len, nonce, job.aad, job.aad_len,
                           tag, TAG_LEN);
}

static void
chacha20(IMB_MGR *mgr, size_t nth, uint8_t *tag)
{
    IMB_JOB *each = IMB_GET_NEXT_JOB(mgr);

    each->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
    each->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
    each->cipher_direction = job.seals ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
    each->chain_order = job.seals ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    each->enc_keys = each->dec_keys = job.key;
    each->key_len_in_bytes = 32;
    each->iv = job.nonces[nth];
    each->iv_len_in_bytes = NONCE_LEN;
    each->src = job.input + nth * job.in_step;
    each->dst = job.output + nth * job.out_step;
    each->cipher_start_src_offset_in_bytes = each->hash_start_src_offset_in_bytes = 0;
    each->msg_len_to_cipher_in_bytes = each->msg_len_to_hash_in_bytes = job.len;
    each->u.CHACHA20_POLY1305.aad = job.aad;
    each->u.CHACHA20_POLY1305.aad_len_in_bytes = job.aad_len;
    each->auth_tag_output = tag;
    each->auth_tag_output_len_in_bytes = TAG_LEN;
    each = IMB_SUBMIT_JOB(mgr);
    if (each == NULL)
        each = IMB_FLUSH_JOB(mgr);
    if (each == NULL || each->status != IMB_STATUS_COMPLETED)
        die("a job was not done");
}

static void
do_round(IMB_MGR *mgr)
{
    uint8_t found[TAG_LEN];

    for (size_t nth = 0; nth < job.records; nth++) {
        uint8_t *tag = job.seals ? job.output + nth * job.out_step + job.len : found;
        if (job.cipher == CHACHA20)
            chacha20(mgr, nth, tag);
        else
            gcm(mgr, nth, tag);
        if (!job.seals && memcmp(found, job.input + nth * job.in_step + job.len, TAG_LEN))
            die("a record is not authentic");
    }
}

static void
run(IMB_MGR *mgr)
{
    struct timespec from, to;

    clock_gettime(CLOCK_MONOTONIC, &from);
    do_round(mgr);
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%lld\n", (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec);
}

static void
show(void)
{
    for (size_t i = 0; i < job.records * job.out_step; i++)
        printf("%02x", job.output[i]);
    puts("");
}

int
main(void)
{
    char *line = NULL, *input = NULL;
    size_t line_room = 0, input_room = 0;
    IMB_MGR *mgr = alloc_mb_mgr(0);

    if (mgr == NULL)
        die("no manager");
    init_mb_mgr_auto(mgr, NULL);
    while (getline(&line, &line_room, stdin) > 0) {
        if (!strcmp(line, "run\n"))
            run(mgr);
        else if (!strcmp(line, "show\n"))
            show();
        else if (getline(&input, &input_room, stdin) > 0)
            take_job(mgr, line, input);
        fflush(stdout);
    }
    free(line);
    free(input);
    free_mb_mgr(mgr);
    return 0;
}
