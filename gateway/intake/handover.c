#include "gateway/intake/handover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/intake/handover_targets.h"
#include "gateway/intake/went.h"

enum { TICK_MS = 50, BURY_MS = 5 };
#define MS INT64_C(1000000)
#define ANSWER_NS (5000 * MS) /* a gateway that has not answered by then is tried again later */
#define AVOID_NS (1000 * MS)  /* one that is busy or draining */
#define BURY_NS (2000 * MS)

struct place { /* in a buffer: all slots before, and of this slot the rows up to `after` */
    int slot;
    int64_t after;
};

struct run {                   /* one signal */
    struct handover *handover; /* borrowed */
    enum telemetry signal;
    size_t backend_count;
    const char *backends[BUFFER_MAX_BACKENDS];          /* borrowed from the configuration */
    struct buffer_reader *readers[BUFFER_MAX_BACKENDS]; /* owned */
    int64_t cursors[BUFFER_MAX_BACKENDS][BUFFER_SLOTS]; /* they stand still */
    struct place place;                                 /* done up to here */
    struct buffer_row row;
    bool is_owed[BUFFER_MAX_BACKENDS]; /* of row */
    struct buf payload;                /* of row */
    bool has_row, is_settling, is_done;
    struct handover_target *asked; /* borrowed; NULL: row is not under way */
    int64_t asked_ns;
    char buffer_id[64]; /* that took row */
    struct buffer_handed handed;
};

struct handover {
    struct loop *loop;                   /* borrowed */
    const struct gateway_config *config; /* borrowed */
    struct buffer *const *buffers;       /* borrowed */
    const struct receive *receive;       /* borrowed */
    struct peers *peers;                 /* owned */
    struct handover_targets targets;
    struct run runs[TELEMETRY_COUNT];
    struct went went;
    uv_timer_t timer;
    int64_t until_ns, bury_until_ns;
    uint64_t rows, skipped;
    void (*done)(void *ctx, uint64_t rows_left);
    void *ctx;
    bool is_closed;
};

const char *handover_went(void *handover, const char *origin, enum telemetry signal)
{
    const struct handover *h = handover;
    return went_get(&h->went, origin, signal);
}

/* ---- the other gateways */

static void advance_all(struct handover *h);

static void on_link_event(void *ctx, struct link *link)
{
    (void)link;
    advance_all(ctx);
}

static void on_down(void *ctx, struct link *link)
{
    struct handover *h = ctx;
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        if (h->runs[i].asked && h->runs[i].asked->link == link)
            h->runs[i].asked = NULL;
    advance_all(h);
}

static void on_freed(void *ctx, struct link *link, int channel)
{
    (void)link, (void)channel;
    advance_all(ctx);
}

static void on_answered(void *ctx, struct link *link, int channel, struct bytes frame);

/* ---- rows */

static void finish(struct handover *h, uint64_t rows_left)
{
    void (*done)(void *ctx, uint64_t rows_left) = h->done;
    h->done = NULL;
    if (done)
        done(h->ctx, rows_left);
}

/* The first row after place that is still owed to any backend, and to which ones. Slot by slot, because that
 * is how the cursors stand. False at the end. */
static bool find_row(const struct run *run, struct place *place, struct buffer_row *ret_row,
                     bool *ret_is_owed)
{
    for (; place->slot < BUFFER_SLOTS; *place = (struct place){place->slot + 1, 0}) {
        struct buffer_row rows[BUFFER_MAX_BACKENDS];
        int64_t first = INT64_MAX;
        for (size_t i = 0; i < run->backend_count; i++) {
            int64_t cursor = run->cursors[i][place->slot];
            int64_t after = cursor > place->after ? cursor : place->after;
            if (buffer_reader_next(run->readers[i], place->slot, after, &rows[i]) < 0)
                rows[i].id = INT64_MAX;
            first = rows[i].id < first ? rows[i].id : first;
        }
        for (size_t i = 0; first != INT64_MAX && i < run->backend_count; i++) {
            ret_is_owed[i] = rows[i].id == first;
            if (ret_is_owed[i])
                *ret_row = rows[i];
        }
        if (first != INT64_MAX)
            return true;
    }
    return false;
}

static uint64_t count_left(const struct run *run)
{
    struct place place = run->place;
    struct buffer_row row;
    bool is_owed[BUFFER_MAX_BACKENDS];
    uint64_t left = 0;
    for (; find_row(run, &place, &row, is_owed); place.after = row.id)
        left++;
    return left;
}

static void skip_row(struct run *run, const char *why)
{
    log_warn("hand-over: a row stays here", "signal=%s row=%lld origin=%s reason=%s",
             telemetry_name(run->signal), (long long)run->row.id, run->row.origin, why);
    run->handover->skipped++;
    run->place.after = run->row.id;
    run->has_row = false;
}

static bool take_row(struct run *run)
{
    while (!run->has_row && find_row(run, &run->place, &run->row, run->is_owed)) {
        buf_clear(&run->payload);
        run->has_row = true;
        if (buffer_reader_payload(run->readers[0], run->row.id, &run->payload) < 0)
            skip_row(run, "unreadable");
    }
    return run->has_row;
}

/* For who looks for a refused line: without them the row goes all the same. */
static int add_sources(struct run *run, struct batch *batch)
{
    struct buf text;
    char file[BATCH_MAX_FILE + 1];
    uint64_t begin, end;
    buf_init(&text, 64 * 1024);
    int err = buffer_reader_sources(run->readers[0], run->row.id, &text);
    if (err == 0 && text.len)
        err = buf_append(&text, "", 1);
    for (char *at = (char *)text.ptr; err == 0 && at && *at; at += strcspn(at, "\n"), at += *at == '\n')
        if (sscanf(at, "%512s %" SCNu64 " %" SCNu64, file, &begin, &end) == 3)
            err = batch_add_source(batch, file, begin, end);
    buf_fini(&text);
    return err == -ENOMEM ? err : 0;
}

static int encode(struct run *run, struct buf *head)
{
    const struct buffer_row *row = &run->row;
    struct batch *batch = batch_new(row->origin);
    int err = batch ? 0 : -ENOMEM;
    for (size_t i = 0; err == 0 && i < run->backend_count; i++)
        if (run->is_owed[i])
            err = batch_add_owed(batch, run->backends[i]);
    if (err == 0)
        err = add_sources(run, batch);
    if (err == 0) {
        batch->boot = row->boot;
        batch->signal = run->signal;
        batch->format = row->format;
        batch->seq = row->seq;
        batch->records = row->records;
        batch->raw_bytes = row->raw_bytes;
        batch->largest_stream_bytes = row->largest_stream_bytes;
        batch->earliest_ns = row->earliest_ns;
        batch->latest_ns = row->latest_ns;
        batch->sent_at_ns = clock_wall_ns();
        batch->crc = row->crc;
        batch->handed_over = true;
        batch->payload = buf_bytes(&run->payload); /* borrowed: no release */
        err = wire_encode_batch_head(batch, head);
    }
    batch_free(batch);
    return err;
}

static void send_row(struct run *run, struct handover_target *target)
{
    struct buf head;
    buf_init(&head, 1024 * 1024);
    int err = encode(run, &head);
    if (err == 0)
        err = link_request(target->link, (int)run->signal, buf_bytes(&head), buf_bytes(&run->payload));
    buf_fini(&head);
    if (err < 0)
        return; /* tried again at the next event or tick */
    run->asked = target;
    run->asked_ns = clock_mono_ns();
}

static void advance(struct run *run)
{
    struct handover *h = run->handover;
    if (run->is_done || run->asked || run->is_settling || h->is_closed)
        return;
    if (!take_row(run)) {
        run->is_done = true;
        return;
    }
    struct handover_target *target = handover_targets_choose(&h->targets, run->row.origin);
    if (target && link_can_take(target->link, (int)run->signal))
        send_row(run, target);
}

static void advance_all(struct handover *h)
{
    bool is_done = true;
    for (int i = 0; i < TELEMETRY_COUNT; i++) {
        advance(&h->runs[i]);
        is_done &= h->runs[i].is_done;
    }
    if (is_done)
        finish(h, h->skipped);
}

static void on_handed(struct letter *letter)
{
    struct run *run = (struct run *)((char *)letter - offsetof(struct run, handed.letter));
    run->is_settling = false;
    if (run->handover->is_closed)
        return;
    if (run->handed.error < 0)
        skip_row(run, "not settled");
    else {
        went_note(&run->handover->went, run->row.origin, run->signal, run->buffer_id);
        run->handover->rows++;
        run->place.after = run->row.id;
        run->has_row = false;
    }
    advance_all(run->handover);
}

static void settle(struct run *run, const struct wire_reply *reply)
{
    memcpy(run->buffer_id, reply->buffer_id, sizeof run->buffer_id);
    run->is_settling = true;
    run->handed = (struct buffer_handed){
        .letter.open = on_handed, .reply_to = &run->handover->loop->mailbox, .row_id = run->row.id};
    buffer_hand_over(run->handover->buffers[run->signal], &run->handed);
}

static void on_answered(void *ctx, struct link *link, int channel, struct bytes frame)
{
    struct handover *h = ctx;
    struct run *run = &h->runs[channel];
    struct handover_target *asked = run->asked;
    struct wire_reply reply;
    if (!asked || asked->link != link)
        return;
    run->asked = NULL;
    if (wire_decode_reply(frame, &reply) < 0)
        reply.answer = WIRE_UNKNOWN;
    switch (reply.answer) {
    case WIRE_COMMITTED:
        settle(run, &reply);
        return;
    case WIRE_REFUSED:
        skip_row(run, "refused");
        break;
    case WIRE_BUSY:
    case WIRE_DRAINING:
    case WIRE_RESUME_FIRST:
    case WIRE_UNKNOWN:
        asked->avoid_until_ns = clock_mono_ns() + AVOID_NS;
        break;
    }
    advance_all(h);
}

/* ---- life cycle */

static void on_tick(uv_timer_t *timer)
{
    struct handover *h = timer->data;
    int64_t now = clock_mono_ns();
    uint64_t left = h->skipped;
    handover_targets_look(&h->targets, h->peers);
    for (int i = 0; i < TELEMETRY_COUNT; i++) {
        struct run *run = &h->runs[i];
        if (run->asked && now - run->asked_ns > ANSWER_NS) {
            run->asked->avoid_until_ns = now + ANSWER_NS;
            struct link *hung = run->asked->link;
            link_drop(hung);
            on_down(h, hung);
        }
    }
    advance_all(h);
    if (now < h->until_ns || !h->done)
        return;
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        left += count_left(&h->runs[i]);
    finish(h, left);
}

static void on_peers(void *ctx)
{
    struct handover *h = ctx;
    handover_targets_look(&h->targets, h->peers);
}

static void close_readers(struct handover *h)
{
    for (int i = 0; i < TELEMETRY_COUNT; i++) {
        for (size_t j = 0; j < h->runs[i].backend_count; j++)
            buffer_reader_close(h->runs[i].readers[j]);
        h->runs[i].backend_count = 0;
    }
}

static int open_run(struct handover *h, enum telemetry signal)
{
    const struct conf_list *backends = &gateway_config_signal(h->config, (int)signal)->backends;
    const struct gateway_backend_config *items = backends->items;
    struct run *run = &h->runs[signal];
    run->handover = h;
    run->signal = signal;
    buf_init(&run->payload, (size_t)h->config->agents.max_message_bytes);
    for (size_t i = 0; i < backends->count && i < BUFFER_MAX_BACKENDS; i++) {
        int err = buffer_reader_open(h->buffers[signal], items[i].name, &run->readers[i]);
        if (err < 0)
            return err;
        run->backends[i] = items[i].name;
        run->backend_count = i + 1;
        err = buffer_reader_cursors(run->readers[i], run->cursors[i]);
        if (err < 0)
            return err;
    }
    return 0;
}

static void free_handover(struct handover *h)
{
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        buf_fini(&h->runs[i].payload);
    went_fini(&h->went);
    free(h);
}

int handover_new(struct loop *loop, const struct gateway_config *config,
                 struct buffer *const buffers[TELEMETRY_COUNT], const struct receive *receive,
                 int64_t timeout_ms, void (*done)(void *ctx, uint64_t rows_left), void *ctx,
                 struct handover **ret_handover, struct buf *errors)
{
    struct handover *h = calloc(1, sizeof *h);
    if (!h)
        return -ENOMEM;
    h->loop = loop;
    h->config = config;
    h->buffers = buffers;
    h->receive = receive;
    h->done = done;
    h->ctx = ctx;
    handover_targets_init(&h->targets, loop, config, receive,
                          (struct link_events){h, on_link_event, on_down, on_answered, on_freed});
    h->until_ns = clock_mono_ns() + timeout_ms * MS;
    int err = 0;
    for (int i = 0; err == 0 && i < TELEMETRY_COUNT; i++)
        err = open_run(h, (enum telemetry)i);
    if (err == 0)
        err = peers_new(&loop->uv, &config->peers, on_peers, h, &h->peers, errors);
    if (err < 0) {
        close_readers(h);
        free_handover(h);
        return err;
    }
    uv_timer_init(&loop->uv, &h->timer);
    h->timer.data = h;
    uv_timer_start(&h->timer, on_tick, 0, TICK_MS);
    *ret_handover = h;
    return 0;
}

uint64_t handover_rows(const struct handover *handover)
{
    return handover->rows;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free_handover(handle->data);
}

/* Letters of closed links and of a row being settled are still to be opened. */
static void on_bury(uv_timer_t *timer)
{
    struct handover *h = timer->data;
    bool is_settling = false;
    mailbox_drain(&h->loop->mailbox);
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        is_settling |= h->runs[i].is_settling;
    if (!is_settling && (link_closing() == 0 || clock_mono_ns() > h->bury_until_ns))
        uv_close((uv_handle_t *)timer, on_timer_closed);
}

void handover_close(struct handover *handover)
{
    if (!handover)
        return;
    handover->is_closed = true;
    handover->done = NULL;
    close_readers(handover);
    peers_close(handover->peers);
    handover_targets_fini(&handover->targets);
    handover->bury_until_ns = clock_mono_ns() + BURY_NS;
    uv_timer_start(&handover->timer, on_bury, 0, BURY_MS);
}
