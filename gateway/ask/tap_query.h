/* tap_query.h - what a tap asks for: read from the query of its URL, compared with records. Pure, any thread.
 *
 *   signal=metrics|logs|traces  from=, to= (RFC 3339, or how long ago: 5m)  follow=1  label=name:value
 * (repeated, all must match)  text=substring (of the line, the span's name, or one of a series' labels)
 * limit=N format=human|json
 */
#ifndef GATEWAY_TAP_QUERY_H
#define GATEWAY_TAP_QUERY_H

#include "base/buf.h"
#include "gateway/fanout/records.h"

enum { TAP_MAX_LABELS = 32, TAP_MAX_QUERY = 8192 };

struct tap_query {
    enum telemetry signal;
    int64_t from_ns, to_ns; /* wall clock; INT64_MIN and INT64_MAX without */
    bool has_from, is_followed, is_json;
    struct record_pair labels[TAP_MAX_LABELS]; /* in storage */
    size_t label_count;
    struct bytes text; /* in storage; empty: any */
    uint64_t limit;    /* UINT64_MAX without */
    uint8_t storage[TAP_MAX_QUERY];
    size_t storage_len;
};

/* tap_query_parse: query without its '?'. 0, or -EINVAL with a sentence in *ret_wrong (static). now_ns is the
 * wall clock. */
int tap_query_parse(const char *query, int64_t now_ns, struct tap_query *ret_query, const char **ret_wrong);

/* tap_query_parse_time: RFC 3339 with a zone, or a duration back from now_ns. 0 or -EINVAL. */
int tap_query_parse_time(const char *text, int64_t now_ns, int64_t *ret_ns);

/* tap_query_matches: whether the record is asked for. */
bool tap_query_matches(const struct tap_query *query, const struct record *record);

#endif
