/* sample_record.h - a sink that keeps the samples put into it, to be put into another one later. One thread
 * at a time. */
#ifndef NODE_AGENT_SAMPLE_RECORD_H
#define NODE_AGENT_SAMPLE_RECORD_H

#include "base/buf.h"
#include "node-agent/host/collector.h"

struct sample_record {
    struct metric_sink sink; /* first, so that a sink is a record */
    struct buf samples;
    int error; /* the first: -ENOMEM, -EMSGSIZE (more than 16 MiB) */
};

void sample_record_init(struct sample_record *record);
void sample_record_fini(struct sample_record *record);

/* sample_record_clear: nothing is kept any more. */
void sample_record_clear(struct sample_record *record);

/* sample_record_replay: puts what is kept into the sink, in its order. */
void sample_record_replay(const struct sample_record *record, struct metric_sink *sink);

#endif
