/* transport.h - a small world for tests of ship and receive: agents and gateways on one loop, over real nng
 * on loopback, with a buffer in memory in place of the SQLite one.
 *
 * Defines buffer_append, buffer_resume and buffer_id, so that the linker does not take the real ones.
 */
#ifndef TESTS_UNIT_TRANSPORT_H
#define TESTS_UNIT_TRANSPORT_H

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/snap.h"
#include "gateway/intake/receive.h"
#include "gateway/metrics.h"
#include "node-agent/metrics.h"
#include "node-agent/ship/ship.h"

/* ---- the buffer in memory */

enum { BUFFER_MOST = 8192 };

struct buffer {
    char id[64];
    struct {
        char origin[32];
        struct boot boot;
        uint64_t seq, value; /* value: what the feed wrote */
    } rows[BUFFER_MOST];
    size_t count, repeats, asked, resumes;
    uint64_t delivered_seq, end;
    bool is_stuck, is_full, is_failing, holds; /* stuck: takes and never answers */
    struct letter *stuck[64];                  /* letters kept back, for the end of the test */
    struct mailbox *stuck_box[64];
    size_t stuck_count;
};

void buffer_append(struct buffer *buffer, struct buffer_append *append);
void buffer_resume(struct buffer *buffer, struct buffer_resume *resume);
const char *buffer_id(const struct buffer *buffer);

static uint64_t value_of(struct bytes payload)
{
    struct buf raw;
    uint64_t value = 0;
    buf_init(&raw, 1 << 26);
    assert_int_equal(snap_uncompress(payload, &raw), 0);
    memcpy(&value, raw.ptr, sizeof value);
    buf_fini(&raw);
    return value;
}

static void reply_or_keep(struct buffer *buffer, struct mailbox *box, struct letter *letter)
{
    if (!buffer->is_stuck) {
        mailbox_post(box, letter);
        return;
    }
    assert_true(buffer->stuck_count < 64);
    buffer->stuck_box[buffer->stuck_count] = box;
    buffer->stuck[buffer->stuck_count++] = letter;
}

static enum buffer_outcome keep(struct buffer *buffer, const struct batch *batch, bool is_in_order)
{
    bool is_late = false;
    if (buffer->is_full)
        return BUFFER_FULL;
    if (buffer->is_failing)
        return BUFFER_FAILED;
    for (size_t i = 0; i < buffer->count; i++) {
        bool is_same_boot = boot_compare(buffer->rows[i].boot, batch->boot) == 0 &&
                            strcmp(buffer->rows[i].origin, batch->origin) == 0;
        if (is_same_boot && buffer->rows[i].seq == batch->seq) {
            buffer->repeats++;
            return BUFFER_REPEATED;
        }
        is_late |= is_in_order && is_same_boot && buffer->rows[i].seq > batch->seq;
    }
    if (is_late)
        return BUFFER_LATE;
    assert_true(buffer->count < BUFFER_MOST);
    snprintf(buffer->rows[buffer->count].origin, 32, "%s", batch->origin);
    buffer->rows[buffer->count].boot = batch->boot;
    buffer->rows[buffer->count].seq = batch->seq;
    buffer->rows[buffer->count++].value = value_of(batch->payload);
    for (size_t i = 0; i < batch->source_count; i++)
        buffer->end = batch->sources[i].end > buffer->end ? batch->sources[i].end : buffer->end;
    return BUFFER_COMMITTED;
}

void buffer_append(struct buffer *buffer, struct buffer_append *append)
{
    buffer->asked++;
    append->outcome = keep(buffer, append->batch, append->is_in_order);
    append->standing = (struct buffer_standing){buffer->delivered_seq, buffer->holds, 0};
    reply_or_keep(buffer, append->reply_to, &append->letter);
}

void buffer_resume(struct buffer *buffer, struct buffer_resume *resume)
{
    buffer->resumes++;
    resume->error = buffer->is_failing ? -EIO : 0;
    resume->standing = (struct buffer_standing){buffer->delivered_seq, buffer->holds, 0};
    if (buffer->end && !buffer->is_failing) {
        resume->ends = calloc(1, sizeof *resume->ends);
        resume->ends[0] = (struct buffer_end){strdup("file"), buffer->end};
        resume->end_count = 1;
    }
    reply_or_keep(buffer, resume->reply_to, &resume->letter);
}

const char *buffer_id(const struct buffer *buffer)
{
    return buffer->id;
}

static void let_go(struct buffer *buffer)
{
    buffer->is_stuck = false;
    for (size_t i = 0; i < buffer->stuck_count; i++)
        mailbox_post(buffer->stuck_box[i], buffer->stuck[i]);
    buffer->stuck_count = 0;
}

/* ---- a source of numbered batches */

struct feed {
    enum telemetry signal;
    uint64_t next, total, committed, refused, resumed, repeated; /* next and total count values */
    bool drops_in_flight, was_handed_over;
    bool uses_bulk;         /* every second batch is of the bulk origin */
    uint64_t heard_of_bulk; /* resumes that told of it, too */
    size_t size;            /* raw bytes of a batch */
    uint64_t end;           /* as a resume told it */
    char buffer_id[64];
    bool out_of_order;
    struct batch *last; /* borrowed: as sealed last */
};

static int feed_seal(void *ctx, struct batch **ret_batch)
{
    static const enum batch_format formats[] = {FORMAT_REMOTE_WRITE_1, FORMAT_LOKI_PUSH, FORMAT_OTLP_TRACES};
    struct feed *feed = ctx;
    struct buf raw, block;
    if (feed->next == feed->total)
        return -EAGAIN;
    buf_init(&raw, 1 << 26);
    buf_init(&block, 1 << 26);
    size_t size = feed->size < sizeof feed->next ? sizeof feed->next : feed->size;
    assert_int_equal(buf_reserve(&raw, size), 0);
    for (size_t i = 0; i < size; i++)
        raw.ptr[i] = (uint8_t)(i * 2654435761u >> 13); /* hardly compresses */
    memcpy(raw.ptr, &feed->next, sizeof feed->next);
    raw.len = size;
    assert_int_equal(snap_compress(buf_bytes(&raw), &block), 0);
    struct batch *batch = batch_new(feed->uses_bulk && feed->next % 2 ? "node-a/bulk" : "node-a");
    batch->format = formats[feed->signal];
    batch->records = 1;
    batch->raw_bytes = size;
    if (feed->signal == TELEMETRY_LOGS)
        assert_int_equal(batch_add_source(batch, "file", feed->next, feed->next + 1), 0);
    size_t len;
    uint8_t *bytes = buf_detach(&block, &len);
    batch_take_payload(batch, bytes, len);
    buf_fini(&raw);
    feed->next++;
    *ret_batch = feed->last = batch;
    return 0;
}

static void feed_committed(void *ctx, const struct batch *batch, const struct wire_reply *reply)
{
    struct feed *feed = ctx;
    feed->out_of_order |= value_of(batch->payload) != feed->committed + feed->refused;
    feed->committed++;
    feed->repeated += reply->repeated;
    snprintf(feed->buffer_id, sizeof feed->buffer_id, "%s", reply->buffer_id);
}

static void feed_refused(void *ctx, const struct batch *batch, const char *reason)
{
    struct feed *feed = ctx;
    (void)batch;
    assert_true(reason[0]);
    feed->refused++;
}

static bool feed_resumed(void *ctx, const struct wire_resume_reply *reply, bool handed_over,
                         const struct batch *in_flight)
{
    struct feed *feed = ctx;
    feed->resumed++;
    feed->was_handed_over = handed_over;
    feed->heard_of_bulk += reply->bulk != NULL;
    if (reply->end_count)
        feed->end = reply->ends[0].end;
    if (!feed->drops_in_flight || !in_flight)
        return false;
    feed->drops_in_flight = false;
    feed->next--; /* sealed again */
    return true;
}

static struct ship_source feed_source(struct feed *feed)
{
    return (struct ship_source){feed, feed_seal, feed_committed, feed_refused, feed_resumed};
}

/* ---- the world */

struct gateway_side {
    struct gateway_config config;
    const char *listen[1];
    char url[64];
    struct buffer *buffers[TELEMETRY_COUNT];
    struct stats *stats;
    struct receive *receive;
};

struct agent_side {
    struct agent_config config;
    const char *addresses[4];
    struct stats *stats;
    struct feed feeds[TELEMETRY_COUNT];
    struct ship *ship;
};

struct world {
    struct loop loop;
    uv_timer_t nudge;
};

static void ignore(void *ctx)
{
    (void)ctx;
}

static void on_nudge(uv_timer_t *timer)
{
    (void)timer;
}

static void world_init(struct world *w)
{
    log_set_level(getenv("TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    assert_int_equal(loop_init(&w->loop, (struct loop_callbacks){ignore, ignore, NULL}), 0);
    uv_timer_init(&w->loop.uv, &w->nudge);
    uv_timer_start(&w->nudge, on_nudge, 20, 20); /* so that conditions are looked at */
}

/* Runs the loop until the condition holds; fails after 30 s. */
#define UNTIL(w, condition)                                                                                  \
    do {                                                                                                     \
        int64_t end_ns = clock_mono_ns() + INT64_C(30000000000);                                             \
        while (!(condition)) {                                                                               \
            uv_run(&(w)->loop.uv, UV_RUN_ONCE);                                                              \
            if (clock_mono_ns() > end_ns)                                                                    \
                fail_msg("not within 30 s: %s", #condition);                                                 \
        }                                                                                                    \
    } while (0)

static void world_fini(struct world *w)
{
    uv_close((uv_handle_t *)&w->nudge, NULL);
    loop_end(&w->loop);
    loop_run(&w->loop);
    loop_fini(&w->loop);
}

static void gateway_open(struct world *w, struct gateway_side *g, const char *url)
{
    struct buf errors;
    buf_init(&errors, 4096);
    g->listen[0] = url;
    g->config.agents.listen = (struct conf_strings){g->listen, 1};
    if (!g->config.agents.max_message_bytes)
        g->config.agents.max_message_bytes = 8 << 20;
    g->config.agents.tls.ca_file = g->config.agents.tls.ca_file ? g->config.agents.tls.ca_file : "";
    if (!g->stats)
        g->stats = gateway_metrics_new();
    for (int i = 0; i < TELEMETRY_COUNT && !g->buffers[i]; i++) {
        static int made;
        g->buffers[i] = calloc(1, sizeof *g->buffers[i]);
        snprintf(g->buffers[i]->id, sizeof g->buffers[i]->id, "buffer-%d", ++made);
    }
    int err = receive_new(&w->loop, &g->config, g->buffers, g->stats, (struct receive_assignments){0},
                          &g->receive, &errors);
    if (err < 0)
        fail_msg("%.*s", (int)errors.len, (char *)errors.ptr);
    buf_fini(&errors);
    const char *scheme_end = strstr(url, "://");
    snprintf(g->url, sizeof g->url, "%.*s://127.0.0.1:%d", (int)(scheme_end - url), url,
             receive_port(g->receive, 0));
}

static void gateway_close(struct gateway_side *g)
{
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        let_go(g->buffers[i]);
    receive_close(g->receive);
}

static void gateway_free(struct gateway_side *g)
{
    stats_free(g->stats);
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        free(g->buffers[i]);
}

static void agent_open(struct world *w, struct agent_side *a, const char *const *urls, size_t count)
{
    struct ship_source sources[TELEMETRY_COUNT] = {{0}};
    for (size_t i = 0; i < count; i++)
        a->addresses[i] = urls[i];
    a->config.node = "node-a";
    a->config.gateway.addresses = (struct conf_strings){a->addresses, count};
    if (!a->config.gateway.ack_deadline_ms)
        a->config.gateway.ack_deadline_ms = 20000; /* the machine may be busy */
    if (!a->config.gateway.balance_interval_ms)
        a->config.gateway.balance_interval_ms = 30000;
    if (!a->config.gateway.tls.ca_file)
        a->config.gateway.tls = (struct agent_tls){"", "", "", ""};
    a->stats = agent_metrics_new();
    for (int i = 0; i < TELEMETRY_COUNT; i++) {
        a->feeds[i].signal = (enum telemetry)i;
        if (a->feeds[i].total)
            sources[i] = feed_source(&a->feeds[i]);
    }
    assert_int_equal(ship_new(&w->loop, &a->config, a->stats, sources, SHIP_OF_NODE, &a->ship), 0);
    if (a->feeds[TELEMETRY_LOGS].uses_bulk)
        ship_use_bulk(a->ship);
}

static void more(struct agent_side *a, enum telemetry signal, uint64_t count)
{
    a->feeds[signal].total += count;
    ship_wake(a->ship, signal);
}

static void agent_close(struct agent_side *a)
{
    ship_close(a->ship);
}

#endif
