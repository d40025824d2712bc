/* fuzz_records.c - any bytes as a payload of each format: records or an error, and every line printed ends.
 */
#include <stdint.h>
#include <stdlib.h>

#include "gateway/ask/record_print.h"

static int show(void *ctx, const struct record *record)
{
    struct buf *out = ctx;
    buf_clear(out);
    if (record_print_human(record, out) == 0 && (out->len == 0 || out->ptr[out->len - 1] != '\n'))
        abort();
    buf_clear(out);
    if (record_print_json(record, out) == 0 && (out->len == 0 || out->ptr[out->len - 1] != '\n'))
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const enum batch_format formats[] = {FORMAT_REMOTE_WRITE_1, FORMAT_LOKI_PUSH, FORMAT_OTLP_TRACES,
                                                FORMAT_OTLP_METRICS, FORMAT_OTLP_LOGS};
    struct buf out;
    buf_init(&out, 1 << 20);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        records_show(formats[i], (struct bytes){bytes, len}, show, &out);
    buf_fini(&out);
    return 0;
}
