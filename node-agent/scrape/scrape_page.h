/* scrape_page.h - what one scrape of a target becomes: from the page's text to chunks of samples.
 *
 * Pure but for memory: no I/O, no clock. A page is taken whole or not at all: a line that cannot be read, or
 * too many samples, and everything that was known of the target is marked stale instead. A sample that can be
 * read but not be sent (no name, a label name twice, invalid UTF-8) costs itself only: it is refused and
 * told.
 */
#ifndef NODE_AGENT_SCRAPE_PAGE_H
#define NODE_AGENT_SCRAPE_PAGE_H

#include "node-agent/scrape/scrape_cache.h"
#include "node-agent/scrape/series.h"

enum { SCRAPE_PAGE_CHUNKS = 16, SCRAPE_AHEAD_MS = 10 * 60 * 1000 };

enum scrape_result {
    SCRAPE_OK,
    SCRAPE_UNREACHABLE,  /* no connection, or it broke */
    SCRAPE_TIMEOUT,      /* past the scrape's deadline */
    SCRAPE_STATUS,       /* an answer other than 200 */
    SCRAPE_BODY_LIMIT,   /* more bytes than body_size_limit */
    SCRAPE_UNREADABLE,   /* not the text format */
    SCRAPE_SAMPLE_LIMIT, /* more samples than sample_limit */
    SCRAPE_NO_MEMORY,    /* more than SCRAPE_PAGE_CHUNKS chunks, or memory is out */
};
enum { SCRAPE_RESULTS = 8 };

/* scrape_result_name: "ok", "unreachable", "timeout", "status", "body_limit", "unreadable", "sample_limit",
 * "no_memory". */
const char *scrape_result_name(enum scrape_result result);

struct scrape_page_options {
    const struct series_context *context; /* borrowed */
    bool honor_labels, honor_timestamps;
    int64_t sample_limit;      /* 0: none */
    struct refusals *refusals; /* borrowed; NULL: nobody is told of refused samples */
    const char *source;        /* borrowed: "target JOB INSTANCE" */
};

struct scrape_page { /* one scrape */
    const struct scrape_page_options *options;
    struct scrape_cache *cache;                      /* borrowed */
    int64_t time_ms;                                 /* of the scrape */
    struct series_chunk *chunks[SCRAPE_PAGE_CHUNKS]; /* owned until they are taken */
    size_t chunk_count;
    struct buf labels; /* owned; of the sample being read */
    uint64_t faults[SERIES_FAULTS];
    uint64_t samples, series_added;
    size_t line;         /* where reading stopped */
    const char *problem; /* of SCRAPE_UNREADABLE */
};

void scrape_page_init(struct scrape_page *page, const struct scrape_page_options *options,
                      struct scrape_cache *cache, int64_t time_ms);
void scrape_page_fini(struct scrape_page *page);

/* scrape_page_read: samples of text, and markers for series that are gone; after a failure only markers. */
enum scrape_result scrape_page_read(struct scrape_page *page, struct bytes text);

/* scrape_page_fail: markers for everything, when there is no text. */
void scrape_page_fail(struct scrape_page *page);

/* scrape_page_report: up and scrape_*, which the scrape itself makes. */
void scrape_page_report(struct scrape_page *page, bool up, double seconds);

/* scrape_page_report_stale: markers for these. */
void scrape_page_report_stale(struct scrape_page *page);

/* scrape_page_give: puts all chunks, with the faults counted, into the queue. */
void scrape_page_give(struct scrape_page *page, struct series_queue *queue);

#endif
