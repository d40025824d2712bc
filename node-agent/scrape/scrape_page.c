#include "node-agent/scrape/scrape_page.h"

#include <errno.h>

#include "node-agent/scrape/exposition.h"
#include "node-agent/scrape/refused_sample.h"

enum { LABEL_BYTES = 2 * EXPOSITION_MAX_LINE };

const char *scrape_result_name(enum scrape_result result)
{
    static const char *const names[SCRAPE_RESULTS] = {
        [SCRAPE_OK] = "ok",
        [SCRAPE_UNREACHABLE] = "unreachable",
        [SCRAPE_TIMEOUT] = "timeout",
        [SCRAPE_STATUS] = "status",
        [SCRAPE_BODY_LIMIT] = "body_limit",
        [SCRAPE_UNREADABLE] = "unreadable",
        [SCRAPE_SAMPLE_LIMIT] = "sample_limit",
        [SCRAPE_NO_MEMORY] = "no_memory",
    };
    return names[result];
}

void scrape_page_init(struct scrape_page *page, const struct scrape_page_options *options,
                      struct scrape_cache *cache, int64_t time_ms)
{
    *page = (struct scrape_page){.options = options, .cache = cache, .time_ms = time_ms};
    buf_init(&page->labels, LABEL_BYTES);
    scrape_cache_begin(cache);
}

static void discard(struct scrape_page *page)
{
    while (page->chunk_count)
        series_chunk_free(page->chunks[--page->chunk_count]);
}

void scrape_page_fini(struct scrape_page *page)
{
    discard(page);
    buf_fini(&page->labels);
}

/* ---- into chunks ---- */

static int new_chunk(struct scrape_page *page)
{
    if (page->chunk_count == SCRAPE_PAGE_CHUNKS)
        return -EMSGSIZE;
    struct series_chunk *chunk = series_chunk_new(SERIES_CHUNK_BYTES);
    if (!chunk)
        return -ENOMEM;
    page->chunks[page->chunk_count++] = chunk;
    return 0;
}

static int put(struct scrape_page *page, struct bytes labels, double value, int64_t time_ms)
{
    int err = -EMSGSIZE;
    if (page->chunk_count)
        err = series_add_encoded(page->chunks[page->chunk_count - 1], labels, value, time_ms);
    if (err != -EMSGSIZE)
        return err;
    err = new_chunk(page);
    return err < 0 ? err : series_add_encoded(page->chunks[page->chunk_count - 1], labels, value, time_ms);
}

static void put_stale(void *ctx, struct bytes labels)
{
    struct scrape_page *page = ctx;
    if (put(page, labels, series_stale_value(), page->time_ms) < 0)
        page->faults[SERIES_TOO_LARGE]++;
}

/* What the scrape says of itself. */
static const char *const report_names[] = {"up", "scrape_duration_seconds", "scrape_samples_scraped",
                                           "scrape_samples_post_metric_relabeling", "scrape_series_added"};
enum { REPORTS = sizeof report_names / sizeof *report_names };

static int encode_report(const struct scrape_page *page, const char *name, struct buf *out)
{
    enum series_fault what;
    return series_encode_labels(page->options->context, SERIES_EXPORTED, bytes_of_string(name), NULL, 0, out,
                                &what);
}

/* Whether the sample whose labels were just encoded would be the same series as one of the reports. */
static bool is_report(const struct scrape_page *page, struct bytes name)
{
    for (int i = 0; i < REPORTS; i++) {
        if (!bytes_equal(name, bytes_of_string(report_names[i])))
            continue;
        struct buf report;
        buf_init(&report, LABEL_BYTES);
        bool same = encode_report(page, report_names[i], &report) == 0 &&
                    bytes_equal(buf_bytes(&report), buf_bytes(&page->labels));
        buf_fini(&report);
        return same;
    }
    return false;
}

/* ---- one sample ---- */

static int fault(struct scrape_page *page, const struct exposition_entry *entry, enum series_fault what)
{
    page->faults[what]++;
    struct refused_sample sample = {.fault = what,
                                    .source = page->options->source ? page->options->source : "",
                                    .name = entry->name,
                                    .labels = entry->labels,
                                    .label_count = entry->label_count,
                                    .value = entry->value,
                                    .time_ms = entry->has_time ? entry->time_ms : page->time_ms};
    refused_sample_tell(page->options->refusals, &sample);
    return 0;
}

static int take_sample(struct scrape_page *page, const struct exposition_entry *entry)
{
    const struct scrape_page_options *options = page->options;
    enum series_fault what = SERIES_NO_NAME;
    buf_clear(&page->labels);
    int err = series_encode_labels(options->context, options->honor_labels ? SERIES_HONOR : SERIES_EXPORTED,
                                   entry->name, entry->labels, entry->label_count, &page->labels, &what);
    if (err < 0)
        return err == -EINVAL ? fault(page, entry, what) : err;
    if (is_report(page, entry->name))
        return fault(page, entry, SERIES_REPEATED_SAMPLE);
    bool is_timed = entry->has_time && options->honor_timestamps;
    int64_t time_ms = is_timed ? entry->time_ms : page->time_ms;
    if (time_ms > page->time_ms + SCRAPE_AHEAD_MS)
        return fault(page, entry, SERIES_OUT_OF_BOUNDS);
    switch (scrape_cache_see(page->cache, buf_bytes(&page->labels), is_timed, time_ms)) {
    case SCRAPE_REPEATED:
        return fault(page, entry, SERIES_REPEATED_SAMPLE);
    case SCRAPE_UNCHANGED:
        return 0;
    case SCRAPE_NEW:
        page->series_added++;
        break;
    case SCRAPE_KNOWN:
        break;
    }
    return put(page, buf_bytes(&page->labels), entry->value, time_ms);
}

/* ---- the page ---- */

/* Past the limit samples are still counted, so that scrape_samples_scraped tells how many there are. */
static enum scrape_result read_samples(struct scrape_page *page, struct exposition *parser)
{
    struct exposition_entry entry;
    enum scrape_result result = SCRAPE_OK;
    int got;
    while ((got = exposition_next(parser, &entry)) == 1) {
        if (entry.kind != EXPOSITION_SAMPLE)
            continue;
        page->samples++;
        if (page->options->sample_limit && page->samples > (uint64_t)page->options->sample_limit)
            result = SCRAPE_SAMPLE_LIMIT;
        if (result == SCRAPE_OK && take_sample(page, &entry) < 0)
            result = SCRAPE_NO_MEMORY;
    }
    if (got == -EBADMSG) {
        page->line = parser->line;
        page->problem = parser->problem;
        return SCRAPE_UNREADABLE;
    }
    return got < 0 ? SCRAPE_NO_MEMORY : result;
}

enum scrape_result scrape_page_read(struct scrape_page *page, struct bytes text)
{
    struct exposition parser;
    exposition_init(&parser, text);
    parser.is_lenient = true; /* what cannot be sent is refused by itself */
    enum scrape_result result = read_samples(page, &parser);
    exposition_fini(&parser);
    if (result == SCRAPE_OK)
        scrape_cache_sweep(page->cache, put_stale, page);
    else
        scrape_page_fail(page);
    return result;
}

void scrape_page_fail(struct scrape_page *page)
{
    discard(page);
    page->series_added = 0;
    scrape_cache_clear(page->cache, put_stale, page);
}

static void put_report(struct scrape_page *page, int report, double value)
{
    buf_clear(&page->labels);
    if (encode_report(page, report_names[report], &page->labels) < 0 ||
        put(page, buf_bytes(&page->labels), value, page->time_ms) < 0)
        page->faults[SERIES_TOO_LARGE]++;
}

void scrape_page_report(struct scrape_page *page, bool up, double seconds)
{
    const double values[REPORTS] = {up, seconds, (double)page->samples, (double)page->samples,
                                    (double)page->series_added};
    for (int i = 0; i < REPORTS; i++)
        put_report(page, i, values[i]);
}

void scrape_page_report_stale(struct scrape_page *page)
{
    for (int i = 0; i < REPORTS; i++)
        put_report(page, i, series_stale_value());
}

void scrape_page_give(struct scrape_page *page, struct series_queue *queue)
{
    if (page->chunk_count == 0)
        return;
    for (int i = 0; i < SERIES_FAULTS; i++)
        series_chunk_fault(page->chunks[0], (enum series_fault)i, page->faults[i]);
    for (size_t i = 0; i < page->chunk_count; i++)
        series_queue_take(queue, &page->chunks[i]);
    page->chunk_count = 0;
}
