/* scrape_cache.h - the series of a target's last scrapes, for staleness markers and to recognise repeats.
 *
 * A round is one scrape: begin, see every series, then sweep what was not seen (success) or everything
 * (failure). A series whose samples carry times of their own gets no marker, as in Prometheus. Bounded by
 * max_bytes: series past it are sent, but not remembered. Hashes are seeded, so that a page cannot aim at one
 * bucket.
 */
#ifndef NODE_AGENT_SCRAPE_CACHE_H
#define NODE_AGENT_SCRAPE_CACHE_H

#include "base/bytes.h"

struct scrape_cache;

enum scrape_seen {
    SCRAPE_NEW,       /* not in the last scrape */
    SCRAPE_KNOWN,     /* seen before */
    SCRAPE_REPEATED,  /* a second sample of this series and time in this round: not to be sent */
    SCRAPE_UNCHANGED, /* the sample of an earlier round again, with the same time of its own: nothing new to
                         send */
};

/* scrape_cache_new: NULL when memory is out. */
struct scrape_cache *scrape_cache_new(size_t max_bytes);
void scrape_cache_free(struct scrape_cache *cache);

void scrape_cache_begin(struct scrape_cache *cache);

/* scrape_cache_see: labels as series_encode_labels wrote them (copied). time_ms: the sample's own time where
 * is_timed. */
enum scrape_seen scrape_cache_see(struct scrape_cache *cache, struct bytes labels, bool is_timed,
                                  int64_t time_ms);

/* scrape_cache_sweep: forgets what was not seen in this round and calls stale for each of it that was sent
 * without a time of its own. */
void scrape_cache_sweep(struct scrape_cache *cache, void (*stale)(void *ctx, struct bytes labels), void *ctx);

/* scrape_cache_clear: forgets everything and calls stale for what was sent so in an earlier round. */
void scrape_cache_clear(struct scrape_cache *cache, void (*stale)(void *ctx, struct bytes labels), void *ctx);

#endif
