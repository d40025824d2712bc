/* records_walk.h - what records.c and records_otlp.c share: the record under way and its pairs. Internal. */
#ifndef GATEWAY_RECORDS_WALK_H
#define GATEWAY_RECORDS_WALK_H

#include "gateway/fanout/records.h"

struct records_walk {
    struct record record;
    int (*each)(void *ctx, const struct record *record);
    void *ctx;
};

/* How far pairs and scratch have come. */
struct records_mark {
    size_t pair_count, scratch_len;
};

/* A message of the payload's outermost level, record by record: 0, what each returned, or -EBADMSG. */
typedef int records_show_one(struct records_walk *walk, struct bytes message);
records_show_one records_show_traces, records_show_metrics, records_show_logs;

/* records_add_pair: at the end of the record's; nothing past RECORD_MAX_PAIRS. */
void records_add_pair(struct record *record, struct bytes name, struct bytes value);

/* records_scratch_printf: text in the record's scratch; empty when that is full. */
struct bytes records_scratch_printf(struct record *record, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* records_double: a fixed64 as the double that it is. */
double records_double(uint64_t bits);

/* records_read_pairs: every field of that number, which holds a pair each. */
int records_read_pairs(struct record *record, struct bytes message, uint32_t number,
                       int (*read)(struct record *record, struct bytes message));

/* records_mark, records_go_back: to what enclosing messages gave. */
struct records_mark records_mark(const struct record *record);
void records_go_back(struct record *record, struct records_mark mark);

#endif
