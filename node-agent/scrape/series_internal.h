/* series_internal.h - what series_encode.c and series_queue.c share: the inside of a chunk. */
#ifndef NODE_AGENT_SERIES_INTERNAL_H
#define NODE_AGENT_SERIES_INTERNAL_H

#include "base/buf.h"
#include "node-agent/scrape/series.h"

/* Samples of one time that stand beside each other in the chunk's bytes; a scrape without times of its own is
 * one run. */
struct series_run {
    int64_t time_ms;
    uint32_t begin, end; /* offsets in the bytes */
    uint32_t samples;
};

struct series_chunk {
    struct series_chunk *next; /* the queue's */
    struct buf bytes;          /* TimeSeries fields of a prometheus.WriteRequest */
    struct series_run *runs;   /* owned */
    size_t run_count, run_room;
    struct buf labels; /* of the series being added; kept between calls */
    uint64_t samples;
    uint64_t faults[SERIES_FAULTS];
};

/* series_chunk_footprint: the memory that the chunk holds, in bytes. */
static inline size_t series_chunk_footprint(const struct series_chunk *chunk)
{
    return sizeof *chunk + chunk->bytes.cap + chunk->labels.cap + chunk->run_room * sizeof *chunk->runs;
}

#endif
