/* refused_sample.h - tells the gateway of a sample that was not sent because Prometheus would drop it without
 * a word: with its labels as they came and the target it came from. Loop thread. */
#ifndef NODE_AGENT_REFUSED_SAMPLE_H
#define NODE_AGENT_REFUSED_SAMPLE_H

#include "node-agent/scrape/series.h"
#include "node-agent/ship/refusals.h"

struct refused_sample { /* all borrowed */
    enum series_fault fault;
    const char *source; /* "target JOB INSTANCE" */
    struct bytes name;
    const struct series_label *labels;
    size_t label_count;
    double value;
    int64_t time_ms;
};

/* refused_sample_tell: with a WriteRequest of the one sample; labels are cut to 256 bytes each, and what does
 * not fit into BATCH_MAX_REFUSAL_BYTES is left out. */
void refused_sample_tell(struct refusals *refusals, const struct refused_sample *sample);

#endif
