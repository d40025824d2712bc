/* stream_times.h - from which time on a Loki backend surely takes a stream's lines.
 *
 * It took a line of that time lately, so it takes later ones; but after a newer one that was posted here it
 * may take only those that are less than STREAM_TIMES_SPAN_NS older. Bounded: STREAM_TIMES_MAX streams; of
 * too many the one that was taken longest ago makes room. What was taken more than STREAM_TIMES_S seconds ago
 * says nothing any more: another gateway may have sent newer lines since. One thread.
 */
#ifndef GATEWAY_STREAM_TIMES_H
#define GATEWAY_STREAM_TIMES_H

#include "base/bytes.h"

enum { STREAM_TIMES_MAX = 16384, STREAM_TIMES_WAYS = 4, STREAM_TIMES_S = 600 };

/* Less than Loki's hour (half of max_chunk_age, which is configurable). */
#define STREAM_TIMES_SPAN_NS (INT64_C(30) * 60 * 1000000000)

struct stream_times {
    struct stream_time {
        uint64_t stream;   /* stream_times_key of its labels */
        int64_t taken_ns;  /* the earliest line that was surely taken; INT64_MAX: none */
        int64_t posted_ns; /* the newest one posted */
        int64_t noted_ns;  /* when it was taken; monotonic; 0: free */
    } sets[STREAM_TIMES_MAX / STREAM_TIMES_WAYS][STREAM_TIMES_WAYS];
    int64_t used_ns; /* when it was of use last; 0: never */
};

/* stream_times_key: of a stream's labels as they are pushed (FNV-1a 64). */
uint64_t stream_times_key(struct bytes labels);

/* stream_times_use: what is posted from now on is to be told. stream_times_is_in_use: for STREAM_TIMES_S
 * seconds. */
void stream_times_use(struct stream_times *times, int64_t now_ns);
bool stream_times_is_in_use(const struct stream_times *times, int64_t now_ns);

/* stream_times_take: the backend took all lines of a request that held no other stream. */
void stream_times_take(struct stream_times *times, uint64_t stream, int64_t earliest_ns, int64_t latest_ns,
                       int64_t now_ns);

/* stream_times_post: a line of that time goes to the backend. */
void stream_times_post(struct stream_times *times, uint64_t stream, int64_t time_ns, int64_t now_ns);

/* stream_times_safe_from: lines of that time and later ones are taken; unknown_ns where it is not known. */
int64_t stream_times_safe_from(struct stream_times *times, uint64_t stream, int64_t now_ns,
                               int64_t unknown_ns);

#endif
