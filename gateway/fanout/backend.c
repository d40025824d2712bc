#include "gateway/fanout/backend.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/fanout/backend_kind.h"
#include "gateway/fanout/backend_lanes.h"
#include "gateway/metrics.h"

enum { MS = 1000000, STOP_WAIT_MS = 20, MOST_NOTES = 256 << 20 };
enum { BEHIND_REST_MS = 2000 };
enum { VIEW_DEAR_MS = 5, VIEW_KEPT = 200 };

/* ---- the thread */

static int64_t earlier(int64_t a, int64_t b)
{
    return b && b < a ? b : a;
}

/* Until the next thing that comes with time; all else wakes the thread. */
static int choose_timeout_ms(struct backend *b)
{
    int64_t now_ns = clock_mono_ns(), until = now_ns + (int64_t)BACKEND_LANES_WAIT_MS * MS;
    bool has_free_lane = backend_lanes_count(b, false) < (b->health.away ? 1 : (size_t)b->config->lanes);
    bool may_slow = backend_lanes_count(b, true) < (b->config->lanes > 1 ? (size_t)b->config->lanes / 2 : 1);
    if (b->health.away && now_ns < b->health.probe_ns)
        return (int)((earlier(until, b->health.probe_ns) - now_ns + MS - 1) / MS);
    for (size_t i = 0; i < b->lane_count && has_free_lane; i++) {
        if (b->lanes[i]->state == LANE_READY && (may_slow || !b->lanes[i]->is_slow))
            until = earlier(until, b->lanes[i]->due_ns);
    }
    int64_t linger_ns = atomic_load(&b->linger_ns);
    if (has_free_lane)
        until = earlier(until, linger_ns > now_ns ? linger_ns : b->slots.paced_until_ns);
    return until <= now_ns ? 0 : (int)((until - now_ns + MS - 1) / MS);
}

/* Delivered, but the buffer did not take that: posted again after a restart, and so is what came after it. */
static uint64_t give_up_unsettled(struct backend *b)
{
    uint64_t slots = 0;
    for (size_t i = 0; i < b->lane_count; i++) {
        struct lane *lane = b->lanes[i];
        if (lane->state != LANE_READY || !lane->left)
            continue;
        slots |= lane->left;
        lane->state = LANE_DONE;
    }
    return slots;
}

/* What waits is retired; what is posted may finish until the deadline; the buffer's answers are always waited
 * for. True when nothing is left. */
static bool wind_down(struct backend *b, int64_t deadline_ns)
{
    int64_t now_ns = clock_mono_ns();
    bool is_late = now_ns >= deadline_ns;
    uint64_t unsettled = is_late ? give_up_unsettled(b) : 0;
    for (size_t i = 0; i < b->lane_count; i++) {
        struct lane *lane = b->lanes[i];
        if (lane->state == LANE_READY && !lane->left)
            lane_retire(lane);
        else if (lane->state == LANE_READY && lane->due_ns <= now_ns)
            lane_start(lane); /* it was delivered, and the buffer did not take that */
        else if (is_late &&
                 (lane->state == LANE_POSTING || (lane->state == LANE_ANSWERED && (lane->slots & unsettled))))
            lane->state = LANE_DONE; /* its note says that it was under way */
    }
    backend_lanes_sweep(b);
    return b->lane_count == 0;
}

/* The bodies of a busy time are freed, but the allocator keeps their memory: it is given back when it is
 * quiet. */
static void give_memory_back(struct backend *b)
{
    int64_t now_ns = clock_mono_ns();
    if (b->lane_count)
        b->busy_ns = now_ns;
    else if (b->busy_ns && now_ns - b->busy_ns >= (int64_t)BACKEND_LANES_WAIT_MS * MS) {
        translate_release(&b->translate);
        malloc_trim(0);
        b->busy_ns = 0;
    }
}

static void *run(void *ctx)
{
    struct backend *b = ctx;
    for (;;) {
        mailbox_drain(&b->mailbox);
        sender_run(b->host.sender);
        (void)backend_lanes_settle(b);
        backend_lanes_sweep(b);
        int64_t stop_ns = atomic_load(&b->stop_ns);
        if (stop_ns && wind_down(b, stop_ns))
            return NULL;
        if (!stop_ns) {
            backend_lanes_start(b);
            sender_run(b->host.sender); /* what was started goes out now */
        }
        give_memory_back(b);
        if (backend_lanes_settle(b))
            continue;
        sender_wait(b->host.sender, stop_ns ? STOP_WAIT_MS : choose_timeout_ms(b));
    }
}

/* Rows were committed. While the thread lingers it looks for them by itself. */
static void wake(void *ctx)
{
    struct backend *b = ctx;
    if (clock_mono_ns() >= atomic_load(&b->linger_ns))
        sender_wake(b->host.sender);
}

/* ---- what was under way when the program ended */

struct notes { /* collected first: a reader does one thing at a time */
    struct buf all;
    size_t ends[BUFFER_SLOTS];
    size_t count;
    int err;
};

static void collect_note(void *ctx, int64_t key, struct bytes note)
{
    struct notes *notes = ctx;
    (void)key;
    if (notes->err == 0 && notes->count < BUFFER_SLOTS)
        notes->err = buf_append(&notes->all, note.ptr, note.len);
    if (notes->err == 0 && notes->count < BUFFER_SLOTS)
        notes->ends[notes->count++] = notes->all.len;
}

static void resume(struct backend *b, struct bytes note)
{
    struct lane *lane;
    int err = lane_resume(&b->host, note, &lane);
    if (err < 0) {
        log_error("a note of a request under way cannot be used; its rows are posted as new ones",
                  "signal=%s backend=%s error=%d", telemetry_name(b->host.signal), b->config->name, -err);
        return;
    }
    slots_hold(&b->slots, lane->slots);
    b->lanes[b->lane_count++] = lane;
}

static int resume_all(struct backend *b)
{
    struct notes notes = {.count = 0};
    buf_init(&notes.all, MOST_NOTES);
    int err = buffer_reader_postings(b->host.reader, collect_note, &notes);
    if (err == 0)
        err = notes.err;
    for (size_t i = 0, from = 0; i < notes.count && err == 0; from = notes.ends[i++])
        resume(b, (struct bytes){notes.all.ptr + from, notes.ends[i] - from});
    buf_fini(&notes.all);
    return err;
}

/* ---- life */

static void find_cells(struct backend *b, struct stats *stats)
{
    const char *signal = telemetry_name(b->host.signal), *name = b->config->name;
    for (int v = 0; v < LANE_VERDICTS; v++) {
        const char *verdict = v <= VERDICT_AWAY       ? verdict_name((enum verdict)v)
                              : v == VERDICT_AWAY + 1 ? "no_answer"
                                                      : "not_sent";
        b->host.requests[v] = stats_cell(stats, GATEWAY_REQUESTS, signal, name, verdict);
    }
    b->host.request_seconds = stats_cell(stats, GATEWAY_REQUEST_SECONDS, signal, name);
    b->host.sent_bytes = stats_cell(stats, GATEWAY_SENT_BYTES, signal, name);
    b->host.in_doubt = stats_cell(stats, GATEWAY_IN_DOUBT, signal, name);
    b->host.not_taken = stats_cell(stats, GATEWAY_NOT_TAKEN, signal, name);
    for (int reason = TRANSLATE_NONE + 1; reason < TRANSLATE_REASON_COUNT; reason++)
        b->host.untranslated[reason] = stats_cell(stats, GATEWAY_UNTRANSLATED, signal, name,
                                                  translate_reason_name((enum translate_reason)reason));
}

static void set_up(struct backend *b, const struct gateway_backend_config *config, enum telemetry signal,
                   uint32_t formats_elsewhere, struct buffer *buffer)
{
    b->config = config;
    pthread_mutex_init(&b->view_lock, NULL);
    mailbox_init(&b->mailbox, wake, b);
    health_init(&b->health, (uint64_t)clock_mono_ns());
    enum backend_kind kind = backend_kind_of(config, signal);
    pace_init(&b->pace, config->stream_rate_bytes, config->stream_burst_bytes);
    pace_init(&b->backlog_pace, config->replay_rate_bytes, config->replay_rate_bytes); /* a second at once */
    b->host = (struct lane_host){
        .config = config,
        .signal = signal,
        .kind = kind,
        .limit_bytes = backend_kind_limit(config, signal),
        .formats = backend_kind_formats(config, signal),
        .formats_elsewhere = formats_elsewhere,
        .translate = &b->translate,
        .buffer = buffer,
        .mailbox = &b->mailbox,
        .health = &b->health,
        .isolation = &b->isolation,
        .stream_times = &b->stream_times,
    };
}

static int open_parts(struct backend *b)
{
    int err = translate_init(&b->translate, b->config, b->host.kind);
    if (err == 0)
        err = sender_new(b->config, b->host.kind, b->host.signal, &b->host.sender);
    if (err == 0)
        err = buffer_reader_open(b->host.buffer, b->config->name, &b->host.reader);
    if (err == 0)
        err = buffer_reader_open(b->host.buffer, b->config->name, &b->view_reader);
    if (err < 0)
        return err;
    b->slots.buffer = b->host.buffer;
    b->slots.reader = b->host.reader;
    b->slots.isolation = &b->isolation;
    b->slots.pace = b->host.signal == TELEMETRY_LOGS ? &b->pace : NULL;
    b->slots.backlog_pace = &b->backlog_pace;
    b->slots.limit_bytes = b->host.limit_bytes;
    b->slots.in_order = b->host.kind == BACKEND_REMOTE_WRITE;
    err = slots_init(&b->slots);
    return err < 0 ? err : resume_all(b);
}

int backend_new(const struct gateway_backend_config *config, enum telemetry signal,
                uint32_t formats_elsewhere, struct buffer *buffer, struct stats *stats, struct homes *homes,
                struct backend **ret_backend)
{
    struct backend *b = calloc(1, sizeof *b);
    if (!b)
        return -ENOMEM;
    set_up(b, config, signal, formats_elsewhere, buffer);
    b->host.homes = homes;
    find_cells(b, stats);
    int err = open_parts(b);
    if (err == 0) {
        buffer_on_commit(buffer, wake, b);
        err = -pthread_create(&b->thread, NULL, run, b);
        b->has_thread = err == 0;
    }
    if (err < 0) {
        backend_free(b);
        return err;
    }
    *ret_backend = b;
    return 0;
}

void backend_ask_to_stop(struct backend *backend, int64_t deadline_ns)
{
    atomic_store(&backend->stop_ns, deadline_ns ? deadline_ns : 1);
    sender_wake(backend->host.sender);
}

void backend_free(struct backend *backend)
{
    struct backend *b = backend;
    if (!b)
        return;
    if (b->has_thread)
        pthread_join(b->thread, NULL);
    buffer_off_commit(b->host.buffer, wake, b);
    for (size_t i = 0; i < b->lane_count; i++)
        lane_free(b->lanes[i]);
    if (b->host.reader)
        buffer_reader_close(b->host.reader);
    if (b->view_reader)
        buffer_reader_close(b->view_reader);
    sender_free(b->host.sender);
    translate_fini(&b->translate);
    pace_fini(&b->pace);
    pace_fini(&b->backlog_pace);
    health_fini(&b->health);
    mailbox_fini(&b->mailbox);
    pthread_mutex_destroy(&b->view_lock);
    free(b);
}

/* The whole backlog is counted, on the caller's thread: when that takes long, what was counted last serves
 * for so much longer. */
static int look_at_ledger(struct backend *b)
{
    int64_t now_ns = clock_mono_ns();
    bool is_dear = b->view_took_ns > (int64_t)VIEW_DEAR_MS * MS;
    if (b->view_ns && is_dear && now_ns - b->view_ns < b->view_took_ns * VIEW_KEPT)
        return 0;
    int err = buffer_reader_ledger(b->view_reader, &b->view_ledger);
    b->view_took_ns = clock_mono_ns() - now_ns;
    b->view_ns = now_ns;
    return err;
}

bool backend_is(const struct backend *backend, enum telemetry signal, const char *name)
{
    return backend->host.signal == signal && strcmp(backend->config->name, name) == 0;
}

uint64_t backend_returns(const struct backend *backend)
{
    return atomic_load(&backend->health.returns);
}

bool backend_is_behind(struct backend *backend)
{
    struct health_view health;
    int64_t behind_ns = atomic_load(&backend->behind_ns);
    health_view(&backend->health, &health);
    return health.away || (behind_ns && clock_mono_ns() - behind_ns < (int64_t)BEHIND_REST_MS * MS);
}

int backend_view(struct backend *backend, struct fanout_view *ret_view)
{
    struct health_view health;
    *ret_view = (struct fanout_view){.signal = backend->host.signal};
    snprintf(ret_view->name, sizeof ret_view->name, "%s", backend->config->name);
    health_view(&backend->health, &health);
    snprintf(ret_view->last_error, sizeof ret_view->last_error, "%s", health.last_error);
    ret_view->away = health.away;
    ret_view->last_delivered_ns = health.last_delivered_ns;
    pthread_mutex_lock(&backend->view_lock);
    int err = look_at_ledger(backend);
    ret_view->ledger = backend->view_ledger;
    pthread_mutex_unlock(&backend->view_lock);
    return err;
}
