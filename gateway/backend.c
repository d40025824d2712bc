#include "gateway/backend.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/lane.h"
#include "gateway/metrics.h"
#include "gateway/slots.h"

enum { MS = 1000000, MOST_WAIT_MS = 1000, STOP_WAIT_MS = 20, MOST_NOTES = 256 << 20 };
enum { VIEW_DEAR_MS = 5, VIEW_KEPT = 200 };
enum { LINGER_MS = 20, LARGE_BYTES = 256 * 1024 };

struct backend {
    const struct gateway_backend_config *config; /* borrowed */
    struct lane_host host;
    struct health health;
    struct isolation isolation;
    struct pace pace, backlog_pace;
    struct translate translate;
    struct slots slots;
    struct mailbox mailbox;
    struct lane *lanes[BUFFER_SLOTS]; /* owned; each holds a slot at least */
    size_t lane_count;
    bool fast_is_next;         /* with one lane, slow and new requests take turns */
    int64_t busy_ns;           /* when there was a request last; 0: and its memory was given back since */
    int64_t look_ns;           /* after a read error: not before */
    _Atomic int64_t linger_ns; /* after a small request: the next new one not before, so that it is larger */
    int64_t seen_delivered_ns; /* when a request had got through last, as revive() saw it */
    pthread_t thread;
    bool has_thread;
    _Atomic int64_t stop_ns; /* 0: runs; else the deadline of what is under way */
    pthread_mutex_t view_lock;
    struct buffer_reader *view_reader; /* owned; under view_lock, and so is the rest */
    struct buffer_ledger view_ledger;  /* as it was read last, */
    int64_t view_ns, view_took_ns;     /* when (monotonic; 0: never), and how long that took */
};

/* ---- what is in flight */

static size_t count_in_flight(const struct backend *b, bool slow_only)
{
    size_t count = 0;
    for (size_t i = 0; i < b->lane_count; i++)
        count += lane_is_in_flight(b->lanes[i]) && (!slow_only || b->lanes[i]->is_slow);
    return count;
}

/* Lanes that are done give their slots back. */
static void sweep(struct backend *b)
{
    size_t kept = 0;
    for (size_t i = 0; i < b->lane_count; i++) {
        struct lane *lane = b->lanes[i];
        if (lane->state != LANE_DONE) {
            b->lanes[kept++] = lane;
            continue;
        }
        if (lane->moved && !lane->left)
            slots_move(&b->slots, lane->rows, lane->row_count);
        slots_release(&b->slots, lane->slots);
        lane_free(lane);
    }
    b->lane_count = kept;
}

/* ---- what was answered */

/* Whether a request before it, of a slot of its own, is not settled yet. */
static bool must_wait(const struct backend *b, const struct lane *lane)
{
    for (size_t i = 0; i < b->lane_count; i++)
        if (b->lanes[i] != lane && (b->lanes[i]->left & lane->slots))
            return true;
    return false;
}

/* True when slots became free by it. */
static bool settle_answered(struct backend *b)
{
    bool left = false;
    for (size_t i = 0; i < b->lane_count; i++) {
        struct lane *lane = b->lanes[i];
        if (lane->state != LANE_ANSWERED || must_wait(b, lane))
            continue;
        lane_settle(lane);
        if (lane->state != LANE_SETTLING || !lane->slots || !lane_may_leave(lane))
            continue;
        slots_move(&b->slots, lane->rows, lane->row_count);
        slots_release(&b->slots, lane->slots);
        lane->left = lane->slots;
        lane->slots = 0;
        left = true;
    }
    return left;
}

/* ---- which request is next */

/* A request that was made before its rows became a backlog goes at the backlog's pace all the same. How much
 * it is, once; 0: it is none, or it was charged. */
static uint64_t backlog_bytes(const struct backend *b, const struct lane *lane)
{
    uint64_t bytes = 0;
    if (lane->is_paced || !slots_is_backlog(&b->slots, &lane->rows[0]))
        return 0;
    for (size_t i = 0; i < lane->row_count; i++)
        bytes += lane->rows[i].raw_bytes;
    return bytes;
}

static bool is_held_back(struct backend *b, struct lane *lane, int64_t now_ns)
{
    uint64_t bytes = backlog_bytes(b, lane);
    int64_t wait_ns = bytes ? pace_wait(&b->backlog_pace, 0, bytes, now_ns) : 0;
    if (wait_ns > 0)
        lane->due_ns = now_ns + wait_ns;
    return wait_ns > 0;
}

/* The request that waits longest of those whose time has come. */
static struct lane *find_due(struct backend *b, bool slow_too, int64_t now_ns)
{
    struct lane *due = NULL;
    for (size_t i = 0; i < b->lane_count; i++) {
        struct lane *lane = b->lanes[i];
        if (lane->state != LANE_READY || lane->due_ns > now_ns || (lane->is_slow && !slow_too))
            continue;
        if ((!due || lane->due_ns < due->due_ns) && !is_held_back(b, lane, now_ns))
            due = lane;
    }
    uint64_t bytes = due ? backlog_bytes(b, due) : 0;
    if (bytes) {
        (void)pace_charge(&b->backlog_pace, 0, bytes, now_ns);
        due->is_paced = true;
    }
    return due;
}

static void tell_read_error(struct backend *b, int err)
{
    static struct log_limit limit;
    unsigned held_back;
    b->look_ns = clock_mono_ns() + (int64_t)MOST_WAIT_MS * MS;
    if (log_limit_pass(&limit, 10, &held_back))
        log_error("the buffer cannot be read", "signal=%s backend=%s error=%d held_back=%u",
                  telemetry_name(b->host.signal), b->config->name, -err, held_back);
}

/* Many small rows that come one by one cost less in a request together. Rows that have waited do not wait
 * again, so that this holds back nothing where requests cannot be joined. */
static void linger(struct backend *b, const struct buffer_row *rows, size_t count, int64_t now_ns)
{
    int64_t fresh_ns = clock_wall_ns() - (int64_t)LINGER_MS * MS;
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += rows[i].payload_bytes;
        if (bytes > LARGE_BYTES || rows[i].committed_at_ns < fresh_ns)
            return;
    }
    atomic_store(&b->linger_ns, now_ns + (int64_t)LINGER_MS * MS);
}

static struct lane *make_lane(struct backend *b, size_t free_lanes, int64_t now_ns)
{
    struct buffer_row *rows;
    struct lane *lane;
    size_t count;
    if (now_ns < atomic_load(&b->linger_ns))
        return NULL;
    if (b->lane_count == BUFFER_SLOTS || now_ns < b->look_ns) {
        b->slots.paced_until_ns = 0; /* a request that ends, or the thread's own tick, comes here again */
        return NULL;
    }
    int err = slots_take(&b->slots, free_lanes, now_ns, &rows, &count);
    if (err < 0 || count == 0) {
        if (err < 0)
            tell_read_error(b, err);
        else
            free(rows);
        return NULL;
    }
    uint64_t held = 0;
    for (size_t i = 0; i < count; i++)
        held |= UINT64_C(1) << rows[i].slot;
    if (lane_new(&b->host, rows, count, &lane) < 0) {
        tell_read_error(b, -ENOMEM);
        slots_release(&b->slots, held);
        return NULL;
    }
    lane->is_paced = slots_is_backlog(&b->slots, &lane->rows[0]);
    linger(b, lane->rows, lane->row_count, now_ns);
    b->lanes[b->lane_count++] = lane;
    return lane;
}

static struct lane *choose(struct backend *b, size_t in_flight, int64_t now_ns)
{
    size_t lanes = (size_t)b->config->lanes;
    size_t slow = count_in_flight(b, true), most_slow = lanes > 1 ? lanes / 2 : 1;
    struct lane *lane = NULL;
    if (!b->fast_is_next)
        lane = find_due(b, slow < most_slow, now_ns);
    if (!lane)
        lane = make_lane(b, lanes - in_flight, now_ns);
    if (!lane && b->fast_is_next)
        lane = find_due(b, slow < most_slow, now_ns);
    return lane;
}

/* A request got through: those that began to fail when none did are not to blame, and need not wait any
 * longer. */
static void revive(struct backend *b, int64_t now_ns)
{
    int64_t before_ns = b->seen_delivered_ns;
    if (b->health.delivered_mono_ns == before_ns)
        return;
    b->seen_delivered_ns = b->health.delivered_mono_ns;
    for (size_t i = 0; i < b->lane_count; i++) {
        struct lane *lane = b->lanes[i];
        if (lane->state != LANE_READY || lane->failing_since_ns <= before_ns || lane->is_blamed ||
            !halving_is_whole(&lane->halving))
            continue;
        lane->is_slow = false;
        if (lane->due_ns > now_ns)
            lane->due_ns = now_ns;
    }
}

static void start_requests(struct backend *b)
{
    int64_t now_ns = clock_mono_ns();
    revive(b, now_ns);
    size_t most = b->health.away ? 1 : (size_t)b->config->lanes;
    if (b->health.away && now_ns < b->health.probe_ns)
        return;
    for (size_t in_flight; (in_flight = count_in_flight(b, false)) < most;) {
        struct lane *lane = choose(b, in_flight, now_ns);
        if (!lane)
            return;
        b->fast_is_next = lane->is_slow;
        lane_start(lane);
        (void)settle_answered(b); /* nothing of it was left to post */
        sweep(b);
    }
}

/* ---- the thread */

static int64_t earlier(int64_t a, int64_t b)
{
    return b && b < a ? b : a;
}

/* Until the next thing that comes with time; all else wakes the thread. */
static int choose_timeout_ms(struct backend *b)
{
    int64_t now_ns = clock_mono_ns(), until = now_ns + (int64_t)MOST_WAIT_MS * MS;
    bool has_free_lane = count_in_flight(b, false) < (b->health.away ? 1 : (size_t)b->config->lanes);
    bool may_slow = count_in_flight(b, true) < (b->config->lanes > 1 ? (size_t)b->config->lanes / 2 : 1);
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
    sweep(b);
    return b->lane_count == 0;
}

/* The bodies of a busy time are freed, but the allocator keeps their memory: it is given back when it is
 * quiet. */
static void give_memory_back(struct backend *b)
{
    int64_t now_ns = clock_mono_ns();
    if (b->lane_count)
        b->busy_ns = now_ns;
    else if (b->busy_ns && now_ns - b->busy_ns >= (int64_t)MOST_WAIT_MS * MS) {
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
        (void)settle_answered(b);
        sweep(b);
        int64_t stop_ns = atomic_load(&b->stop_ns);
        if (stop_ns && wind_down(b, stop_ns))
            return NULL;
        if (!stop_ns) {
            start_requests(b);
            sender_run(b->host.sender); /* what was started goes out now */
        }
        give_memory_back(b);
        if (settle_answered(b))
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

static uint64_t default_limit(enum backend_kind kind, enum telemetry signal)
{
    if (kind == BACKEND_OTLP_GRPC)
        return 3 << 20;
    switch (signal) {
    case TELEMETRY_METRICS:
    case TELEMETRY_TRACES:
        return 8 << 20;
    case TELEMETRY_LOGS:
        return 3 << 20;
    }
    return 3 << 20;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strcspn(text, "?"), end_len = strlen(end);
    while (len && text[len - 1] == '/')
        len--;
    return len >= end_len && memcmp(text + len - end_len, end, end_len) == 0;
}

enum backend_kind backend_kind_of(const struct gateway_backend_config *config, enum telemetry signal)
{
    if (strncmp(config->url, "grpc", 4) == 0)
        return BACKEND_OTLP_GRPC;
    switch (signal) {
    case TELEMETRY_METRICS:
        return ends_with(config->url, "/v1/metrics") ? BACKEND_OTLP_PLAIN : BACKEND_REMOTE_WRITE;
    case TELEMETRY_LOGS:
        return ends_with(config->url, "/v1/logs") ? BACKEND_OTLP_PLAIN : BACKEND_LOKI;
    case TELEMETRY_TRACES:
        return BACKEND_OTLP_HTTP;
    }
    return BACKEND_REMOTE_WRITE;
}

static enum batch_format otlp_format_of(enum telemetry signal)
{
    switch (signal) {
    case TELEMETRY_METRICS:
        return FORMAT_OTLP_METRICS;
    case TELEMETRY_LOGS:
        return FORMAT_OTLP_LOGS;
    case TELEMETRY_TRACES:
        return FORMAT_OTLP_TRACES;
    }
    return FORMAT_OTLP_TRACES;
}

uint32_t backend_formats_of(const struct gateway_backend_config *config, enum telemetry signal)
{
    enum backend_kind kind = backend_kind_of(config, signal);
    uint32_t otlp = UINT32_C(1) << otlp_format_of(signal), native = 0, named = 0;
    if (kind == BACKEND_REMOTE_WRITE)
        native = UINT32_C(1) << FORMAT_REMOTE_WRITE_1;
    if (kind == BACKEND_LOKI)
        native = UINT32_C(1) << FORMAT_LOKI_PUSH;
    for (size_t i = 0; i < config->takes.count; i++)
        named |= strcmp(config->takes.items[i], "otlp") == 0 ? otlp : native;
    return config->takes.count ? named : native | otlp;
}

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
        .limit_bytes = backend_limit_of(config, signal),
        .formats = backend_formats_of(config, signal),
        .formats_elsewhere = formats_elsewhere,
        .translate = &b->translate,
        .buffer = buffer,
        .mailbox = &b->mailbox,
        .health = &b->health,
        .isolation = &b->isolation,
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
                uint32_t formats_elsewhere, struct buffer *buffer, struct stats *stats,
                struct backend **ret_backend)
{
    struct backend *b = calloc(1, sizeof *b);
    if (!b)
        return -ENOMEM;
    set_up(b, config, signal, formats_elsewhere, buffer);
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

uint64_t backend_limit_of(const struct gateway_backend_config *config, enum telemetry signal)
{
    if (config->max_request_bytes)
        return (uint64_t)config->max_request_bytes;
    return default_limit(backend_kind_of(config, signal), signal);
}
