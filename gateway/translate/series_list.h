/* series_list.h - the TimeSeries of a WriteRequest being made: each with one sample, put in order of time at
 * the end.
 *
 * Prometheus loses samples that go back in time for their series inside a request without a word, and refuses
 * the whole request for two values of one series at one time: the list sorts (stably) by time, and of samples
 * of one series and time keeps the first. Source: prometheus/prompb (TimeSeries, Label, Sample). One thread.
 */
#ifndef GATEWAY_SERIES_LIST_H
#define GATEWAY_SERIES_LIST_H

#include "gateway/translate/otlp_labels.h"
#include "gateway/translate/translate.h"

struct series_entry {
    uint64_t labels; /* hash */
    int64_t time_ms;
    size_t begin, len; /* in bytes */
    uint32_t owner;
};

struct series_list {
    struct buf bytes;             /* owned; encoded TimeSeries fields */
    struct series_entry *entries; /* owned */
    size_t count, room;
    uint64_t *seen; /* owned; a table of series and times */
    size_t seen_room;
    bool goes_back;
};

/* A sample's value: a number's bits, or an encoded prometheus Histogram. */
struct series_value {
    uint64_t bits;
    struct bytes histogram; /* ptr NULL: a number */
    struct bytes exemplars; /* encoded fields of the TimeSeries; may be empty */
};

void series_list_init(struct series_list *list);
void series_list_fini(struct series_list *list);
void series_list_clear(struct series_list *list, size_t keep);

/* series_list_add: labels (sorted; without those named here) with __name__ and, unless its name is NULL, one
 * more label. 0, -EMSGSIZE, -ENOMEM. */
int series_list_add(struct series_list *list, const struct otlp_labels *labels, struct bytes name,
                    const struct otlp_label *more, int64_t time_ms, struct series_value value,
                    uint32_t owner);

/* series_list_finish: appends everything to out in order of time. A sample of a series and time that is
 * there already is left out; unless it is the same sample again its owner is refused as a duplicate. 0,
 * -EMSGSIZE, -ENOMEM. */
int series_list_finish(struct series_list *list, struct translated *out);

/* series_hash: of bytes, going on from hash. Not for hostile keys: a collision costs a sample. */
uint64_t series_hash(uint64_t hash, struct bytes bytes);

#endif
