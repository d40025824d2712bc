#include "node-agent/ship/refusals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "node-agent/metrics.h"

enum { ENTRY_COST = 128 };

struct waiting { /* of a signal: a ring */
    struct batch_refusal items[REFUSALS_WAITING];
    size_t first, count, bytes;
    uint64_t excess; /* refused, but not kept one by one */
    struct stats_cell *told_in_sum;
};

struct refusals {
    struct waiting *signals[TELEMETRY_COUNT]; /* owned; NULL until something is refused */
    struct stats_cell *cells[TELEMETRY_COUNT];
};

int refusals_new(struct stats *stats, struct refusals **ret_refusals)
{
    struct refusals *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    for (int s = 0; s < TELEMETRY_COUNT; s++)
        r->cells[s] = stats_cell(stats, AGENT_REFUSALS_IN_SUM, telemetry_name((enum telemetry)s));
    *ret_refusals = r;
    return 0;
}

static void free_waiting(struct waiting *w)
{
    for (size_t i = 0; w && i < w->count; i++)
        batch_refusal_fini(&w->items[(w->first + i) % REFUSALS_WAITING]);
    free(w);
}

void refusals_free(struct refusals *r)
{
    for (int s = 0; r && s < TELEMETRY_COUNT; s++)
        free_waiting(r->signals[s]);
    free(r);
}

/* ---- in */

static size_t cost_of(const struct batch_refusal *refusal)
{
    return ENTRY_COST + refusal->payload.len + strlen(refusal->words) + strlen(refusal->source);
}

bool refusals_has_room(const struct refusals *r, enum telemetry signal)
{
    const struct waiting *w = r ? r->signals[signal] : NULL;
    return r && (!w || (w->count < REFUSALS_WAITING && w->bytes < REFUSALS_BYTES));
}

/* A copy of at most BATCH_MAX_REFUSAL_TEXT bytes; no character is cut in two. */
static char *copy_printable(const char *text)
{
    size_t len = strnlen(text, BATCH_MAX_REFUSAL_TEXT);
    char *copy = strndup(text, len);
    if (!copy)
        return NULL;
    bool is_valid = utf8_is_valid((struct bytes){(uint8_t *)copy, len});
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)copy[i];
        bool is_c1 = c == 0xc2 && i + 1 < len && (unsigned char)copy[i + 1] < 0xa0;
        if (c < 0x20 || c == 0x7f || (c >= 0x80 && !is_valid))
            copy[i] = '?';
        else if (is_c1)
            copy[i] = copy[i + 1] = '?';
    }
    return copy;
}

static bool copy(const struct refusal *from, struct batch_refusal *to)
{
    uint8_t *payload = malloc(from->payload.len + 1);
    if (payload && from->payload.len)
        memcpy(payload, from->payload.ptr, from->payload.len);
    *to = (struct batch_refusal){.words = copy_printable(from->words),
                                 .source = copy_printable(from->source),
                                 .format = from->format,
                                 .records = 1,
                                 .payload = {payload, from->payload.len}};
    if (to->words && to->source && payload)
        return true;
    batch_refusal_fini(to);
    return false;
}

static struct waiting *get(struct refusals *r, enum telemetry signal)
{
    if (!r->signals[signal] && (r->signals[signal] = calloc(1, sizeof *r->signals[signal])))
        r->signals[signal]->told_in_sum = r->cells[signal];
    return r->signals[signal];
}

void refusals_add(struct refusals *r, enum telemetry signal, const struct refusal *refusal)
{
    struct waiting *w = r ? get(r, signal) : NULL;
    if (!w)
        return;
    struct batch_refusal *to = &w->items[(w->first + w->count) % REFUSALS_WAITING];
    if (!refusal || !refusals_has_room(r, signal) || !copy(refusal, to)) {
        w->excess++;
        stats_add(w->told_in_sum, 1);
        return;
    }
    w->count++;
    w->bytes += cost_of(to);
}

bool refusals_waiting(const struct refusals *r, enum telemetry signal)
{
    const struct waiting *w = r ? r->signals[signal] : NULL;
    return w && (w->count || w->excess);
}

/* ---- out */

static enum batch_format format_of(enum telemetry signal)
{
    static const enum batch_format formats[TELEMETRY_COUNT] = {FORMAT_REMOTE_WRITE_1, FORMAT_LOKI_PUSH,
                                                               FORMAT_OTLP_TRACES};
    return formats[signal];
}

static void attach_excess(struct waiting *w, struct batch *batch)
{
    struct batch_refusal sum = {.words =
                                    strdup("refused by the agent like those beside it, and only counted"),
                                .source = strdup(""),
                                .format = format_of(batch->signal),
                                .records = w->excess,
                                .payload = {calloc(1, 1), 0}};
    if (sum.words && sum.source && sum.payload.ptr && batch_take_refusal(batch, &sum) == 0)
        w->excess = 0;
    batch_refusal_fini(&sum);
}

void refusals_attach(struct refusals *r, struct batch *batch)
{
    struct waiting *w = r ? r->signals[batch->signal] : NULL;
    size_t bytes = 0;
    while (w && w->count && batch->refusal_count < BATCH_MAX_REFUSALS - 1 && bytes < REFUSALS_BYTES / 2) {
        struct batch_refusal *next = &w->items[w->first];
        size_t cost = cost_of(next);
        if (batch_take_refusal(batch, next) < 0)
            return;
        w->first = (w->first + 1) % REFUSALS_WAITING;
        w->count--;
        w->bytes -= cost;
        bytes += cost;
    }
    if (w && w->count == 0 && w->excess)
        attach_excess(w, batch);
    if (w && w->count == 0 && w->excess == 0) {
        free(w);
        r->signals[batch->signal] = NULL;
    }
}

void refusals_take_back(struct refusals *r, struct batch *batch)
{
    struct waiting *w = r && batch->refusal_count ? get(r, batch->signal) : NULL;
    while (w && batch->refusal_count) {
        struct batch_refusal *last = &batch->refusals[--batch->refusal_count];
        if (last->payload.len == 0 || w->count == REFUSALS_WAITING) {
            w->excess += last->records;
            batch_refusal_fini(last);
            continue;
        }
        w->first = (w->first + REFUSALS_WAITING - 1) % REFUSALS_WAITING;
        w->items[w->first] = *last;
        w->count++;
        w->bytes += cost_of(last);
    }
}

struct batch *refusals_report(struct refusals *r, const char *origin, enum telemetry signal)
{
    struct batch *batch = refusals_waiting(r, signal) ? batch_new(origin) : NULL;
    uint8_t *empty = batch ? calloc(1, 1) : NULL; /* a snappy block of nothing */
    if (!empty) {
        batch_free(batch);
        return NULL;
    }
    batch->signal = signal;
    batch->format = format_of(signal);
    batch_take_payload(batch, empty, 1);
    refusals_attach(r, batch);
    return batch;
}
