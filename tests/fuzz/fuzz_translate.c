/* OTLP into remote write and Loki's push: no input crashes it, and the result holds the records it says. */
#include <stdlib.h>

#include "gateway/fanout/split.h"
#include "gateway/translate/translate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(enum backend_kind kind, enum batch_format format, struct bytes raw)
{
    static const struct gateway_backend_config config = {.otlp = {.native_histograms = true,
                                                                  .delta_to_cumulative = true,
                                                                  .delta_memory_bytes = 65536,
                                                                  .scope_labels = true,
                                                                  .target_info = true}};
    struct translate t;
    uint32_t count;
    if (translate_init(&t, &config, kind) == 0 && translate_run(&t, format, raw, 1, 1) == 0) {
        if (split_count(t.result.format, buf_bytes(&t.result.message), &count) < 0 || count != t.result.count)
            abort();
        for (uint32_t i = 0; i < count; i++) {
            if (t.result.owners[i] != TRANSLATED_NO_OWNER && t.result.owners[i] >= t.result.source_count)
                abort();
        }
    }
    translate_fini(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes raw = {data, size};
    run(BACKEND_REMOTE_WRITE, FORMAT_OTLP_METRICS, raw);
    run(BACKEND_LOKI, FORMAT_OTLP_LOGS, raw);
    return 0;
}
