#include "node-agent/scrape/series_sink.h"

#include <errno.h>

#include "node-agent/scrape/refused_sample.h"

enum { MAX_LABELS = 16, LABEL_BYTES = 256 * 1024, CACHE_BYTES = 32 * 1024 * 1024 };

static void put_encoded(struct series_sink *to, struct bytes labels, double value)
{
    if (series_add_encoded(to->chunk, labels, value, to->time_ms) < 0)
        series_chunk_fault(to->chunk, SERIES_TOO_LARGE, 1);
}

static void refuse(struct series_sink *to, const struct refused_sample *sample)
{
    series_chunk_fault(to->chunk, sample->fault, 1);
    if (to->refusals)
        refused_sample_tell(to->refusals, sample);
}

static void put(struct metric_sink *sink, const char *name, enum metric_type type, const char *help,
                const char *const *labels, double value)
{
    (void)type, (void)help; /* remote write 1.0 carries neither */
    struct series_sink *to = (struct series_sink *)sink;
    struct series_label own[MAX_LABELS];
    size_t count = 0;
    enum series_fault fault = SERIES_TOO_LARGE;
    if (!to->chunk)
        return;
    for (; count < MAX_LABELS && labels && labels[2 * count]; count++)
        own[count] =
            (struct series_label){bytes_of_string(labels[2 * count]), bytes_of_string(labels[2 * count + 1])};
    buf_clear(&to->labels);
    int err = series_encode_labels(to->context, SERIES_EXPORTED, bytes_of_string(name), own, count,
                                   &to->labels, &fault);
    bool is_sound = err == 0;
    if (is_sound && scrape_cache_see(to->cache, buf_bytes(&to->labels), false, 0) == SCRAPE_REPEATED) {
        is_sound = false;
        fault = SERIES_REPEATED_SAMPLE;
    }
    if (is_sound)
        put_encoded(to, buf_bytes(&to->labels), value);
    else
        refuse(to, &(struct refused_sample){fault, to->source, bytes_of_string(name), own, count, value,
                                            to->time_ms});
}

int series_sink_init(struct series_sink *sink, const struct series_label *target, size_t target_count,
                     const struct conf_map *external)
{
    *sink = (struct series_sink){.sink.sample = put};
    buf_init(&sink->labels, LABEL_BYTES);
    sink->cache = scrape_cache_new(CACHE_BYTES);
    int err = sink->cache ? series_context_new(target, target_count, external, &sink->context) : -ENOMEM;
    if (err < 0)
        series_sink_fini(sink);
    return err;
}

void series_sink_fini(struct series_sink *sink)
{
    series_chunk_free(sink->chunk);
    scrape_cache_free(sink->cache);
    series_context_free(sink->context);
    buf_fini(&sink->labels);
    *sink = (struct series_sink){0};
}

void series_sink_begin(struct series_sink *sink, int64_t time_ms)
{
    series_chunk_free(sink->chunk);
    sink->chunk = series_chunk_new(SERIES_CHUNK_BYTES);
    sink->time_ms = time_ms;
    scrape_cache_begin(sink->cache);
}

static void put_stale(void *ctx, struct bytes labels)
{
    put_encoded(ctx, labels, series_stale_value());
}

void series_sink_end(struct series_sink *sink)
{
    if (sink->chunk)
        scrape_cache_sweep(sink->cache, put_stale, sink);
}
