#include "node-agent/logs/logs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "node-agent/logs/loglabels.h"
#include "node-agent/logs/logs_seal.h"
#include "node-agent/logs/offsets_store.h"
#include "node-agent/logs/tail_resume.h"
#include "node-agent/logs/tail_start.h"
#include "node-agent/metrics.h"

enum {
    RETRY_MS = TAIL_PAUSE_MS,
    TICK_MS = 1000,
    DEFAULT_LINGER_MS = 2000,
    DEFAULT_PART_WAIT_MS = 60000,
    SWEEP_TICKS = 30, /* seconds between two sweeps of the offsets */
};

struct logs {
    const struct agent_config *config;
    struct ship *ship; /* borrowed; NULL before logs_set_ship */
    struct offsets_store *store;
    struct offsets *offsets; /* the store's */
    struct tail *tail;
    struct logs_seal seal;
    struct log_policy policy;
    uv_timer_t tick, retry;
    unsigned ticks;
    int64_t wait_until_ns; /* for what pods are like; monotonic; 0: it is known, or was waited for */
    struct stats_cell *offsets_written, *files, *queued, *rewinds, *gone;
    int save_error;   /* last one told in the log */
    bool has_resumed; /* a gateway answered */
    int closing;
};

static void on_retry(uv_timer_t *timer)
{
    struct logs *l = timer->data;
    if (l->ship && l->seal.bulk_waiting) /* they wait for what is delivered, and perhaps nothing is sent */
        ship_ask(l->ship, TELEMETRY_LOGS);
    if (l->ship && tail_has_dirty(l->tail))
        ship_wake(l->ship, TELEMETRY_LOGS);
}

/* Whether what the rules go by is still to come. */
static bool is_waiting(struct logs *l)
{
    if (l->wait_until_ns && clock_mono_ns() >= l->wait_until_ns) {
        log_warn("no gateway told of this node's pods: logs are read by their paths alone", NULL);
        l->wait_until_ns = 0;
    }
    return l->wait_until_ns != 0;
}

static void start_retry(struct logs *l)
{
    if (!uv_is_active((uv_handle_t *)&l->retry))
        uv_timer_start(&l->retry, on_retry, RETRY_MS, 0);
}

/* A batch of lines, or -EAGAIN; comes back by itself for what could not be read yet. */
static int seal(void *ctx, struct batch **ret_batch)
{
    struct logs *l = ctx;
    if (!tail_has_dirty(l->tail))
        return -EAGAIN;
    int err = is_waiting(l) ? -EAGAIN : logs_seal_batch(&l->seal, ret_batch);
    bool is_looked_at = err == 0 || tail_is_polling(l->tail);
    if (l->seal.bulk_waiting || (!is_looked_at && tail_has_dirty(l->tail)))
        start_retry(l);
    return err < 0 ? -EAGAIN : 0;
}

/* ---- answers ---- */

static void drop_in_flight(struct logs *l)
{
    size_t count;
    struct tail_log **logs = tail_logs(l->tail, &count);
    for (size_t i = 0; i < count; i++)
        log_bulk_dropped(&logs[i]->bulk);
}

static void note_delivered(struct logs *l, bool is_bulk, uint64_t seq)
{
    l->seal.bulks.delivered[is_bulk] = seq;
    offsets_deliver(l->offsets, is_bulk, seq);
}

static void commit(struct logs *l, const struct batch *batch)
{
    size_t count;
    struct tail_log **logs = tail_logs(l->tail, &count);
    for (size_t i = 0; i < count; i++)
        log_bulk_committed(&logs[i]->bulk, batch->seq);
    for (size_t i = 0; i < batch->source_count; i++) {
        const struct batch_source *s = &batch->sources[i];
        offsets_commit(l->offsets, batch_is_bulk(batch->origin), s->file, s->end,
                       logs_seal_get_lines(&l->seal, i));
    }
    logs_seal_answered(&l->seal);
    offsets_store_note(l->store, batch->raw_bytes);
}

static void committed(void *ctx, const struct batch *batch, const struct wire_reply *reply)
{
    struct logs *l = ctx;
    if (strcmp(reply->buffer_id, offsets_buffer(l->offsets)) != 0) { /* a buffer that was never greeted */
        drop_in_flight(l);
        tail_reset_all(l->tail, l->offsets);
        return;
    }
    bool is_bulk = batch_is_bulk(batch->origin);
    commit(l, batch);
    offsets_checkpoint(l->offsets, is_bulk, batch->seq);
    note_delivered(l, is_bulk, reply->delivered_seq);
}

static void refused(void *ctx, const struct batch *batch, const char *reason)
{
    (void)reason;
    commit(ctx, batch);
}

/* What an earlier boot, or this one before, left undelivered in the buffer: each log goes on in the origin
 * that its last lines went to. */
static void begin_buffer(struct logs *l, const struct wire_resume_reply *reply)
{
    size_t count;
    struct tail_log **logs = tail_logs(l->tail, &count);
    for (size_t i = 0; i < count; i++)
        log_bulk_forget(&logs[i]->bulk, tail_resume_is_bulk(logs[i], l->offsets, reply));
    for (size_t i = 0; i < count; i++)
        logs[i]->bulk.is_born = tail_resume_is_known(logs[i], l->offsets);
}

static void note_standing(struct logs *l, const struct wire_resume_reply *reply, bool is_new)
{
    const struct wire_resume_reply *of[2] = {reply, reply->bulk};
    for (int bulk = 0; bulk < 2; bulk++) {
        if (is_new)
            l->seal.bulks.delivered[bulk] = 0;
        else if (of[bulk])
            note_delivered(l, bulk, of[bulk]->delivered_seq);
        l->seal.bulks.held_before[bulk] = of[bulk] && of[bulk]->holds_undelivered;
    }
}

static bool resumed(void *ctx, const struct wire_resume_reply *reply, bool handed_over,
                    const struct batch *in_flight)
{
    struct logs *l = ctx;
    if (reply->assignment_version == 0) /* this gateway knows of no pods */
        l->wait_until_ns = 0;
    bool is_other = strcmp(reply->buffer_id, offsets_buffer(l->offsets)) != 0;
    struct tail_resumed result = tail_resume(l->tail, l->offsets, reply, handed_over, in_flight != NULL);
    if (result.rewound) {
        stats_add(l->rewinds, 1);
        stats_add(l->gone, (int64_t)result.gone);
        log_warn("reading logs again from the last line delivered: the gateway's buffer is another one",
                 "buffer=%s lines_gone=%" PRIu64, reply->buffer_id, result.gone);
    }
    if (result.moved)
        offsets_store_hurry(l->store);
    if (result.drop)
        drop_in_flight(l);
    note_standing(l, reply, is_other);
    if (!l->has_resumed || (is_other && !handed_over))
        begin_buffer(l, reply);
    l->has_resumed = true;
    return result.drop;
}

/* ---- time ---- */

/* A mean over about ten ticks. */
static void note_rate(struct tail_file *file)
{
    double now = file->pos > file->rated_pos ? (double)(file->pos - file->rated_pos) * 1000 / TICK_MS : 0;
    file->bytes_per_second += (now - file->bytes_per_second) / 10;
    file->rated_pos = file->pos;
}

static void note_files(struct logs *l, bool sweep)
{
    size_t count, files = 0;
    uint64_t unread = 0;
    int64_t now_ns = clock_mono_ns();
    struct tail_log **logs = tail_logs(l->tail, &count);
    for (size_t i = 0; i < count; i++) {
        for (struct tail_file *f = logs[i]->files; f; f = f->next, files++) {
            char storage[TAIL_KEY_LEN];
            unread += f->size > f->pos ? f->size - f->pos : 0;
            note_rate(f);
            for (int s = -1; sweep && f->identity && s < CRI_STREAMS; s++) {
                struct offset *at = offsets_find(l->offsets, tail_file_key(f, s, storage));
                if (at)
                    at->seen_ns = now_ns;
            }
        }
    }
    if (sweep)
        offsets_sweep(l->offsets, now_ns, OFFSETS_AWAY_NS);
    stats_set(l->files, (int64_t)files);
    stats_set(l->queued, (int64_t)unread);
}

static void tell_save_error(struct logs *l)
{
    int err = offsets_store_error(l->store);
    if (err < 0 && err != l->save_error)
        log_warn("offsets cannot be saved", "path=%s error=\"%s\"", offsets_store_path(l->store),
                 strerror(-err));
    l->save_error = err;
}

static void on_tick(uv_timer_t *timer)
{
    struct logs *l = timer->data;
    note_files(l, ++l->ticks % SWEEP_TICKS == 0);
    offsets_store_tick(l->store);
    stats_set(l->offsets_written, (int64_t)offsets_store_written(l->store));
    tell_save_error(l);
    logs_seal_rest(&l->seal);
}

static void on_change(void *ctx)
{
    struct logs *l = ctx;
    if (l->ship && tail_has_dirty(l->tail))
        ship_wake(l->ship, TELEMETRY_LOGS);
}

/* ---- life ---- */

/* Half of what the process may open; the rest is for connections. */
static size_t file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 2 > TAIL_MAX_FILES)
        return TAIL_MAX_FILES;
    return (size_t)(limit.rlim_cur / 2);
}

static void mark_seen(void *ctx, struct offset *at)
{
    const int64_t *now_ns = ctx;
    at->seen_ns = *now_ns;
}

static int open_store(struct logs *l, struct loop *loop)
{
    int aside, err = offsets_store_open(&loop->uv, l->config->state_folder, &l->store, &l->offsets, &aside);
    int64_t now_ns = clock_mono_ns();
    if (err < 0)
        return err;
    if (aside < 0)
        log_warn(aside == -EPROTONOSUPPORT ? "offsets of a newer version were moved aside"
                                           : "damaged offsets were moved aside",
                 "path=%s.aside", offsets_store_path(l->store));
    offsets_each(l->offsets, mark_seen, &now_ns);
    return 0;
}

static void warn_labels(const struct agent_config *config)
{
    size_t left_out = loglabels_left_out(&config->labels);
    if (left_out)
        log_warn("some configured labels are left out of log streams: Loki takes 15", "labels=%zu", left_out);
}

static int open_tail(struct logs *l, struct loop *loop)
{
    const struct agent_config *config = l->config;
    struct tail_options options = {
        .root = config->logs.root,
        .host_root = config->host_metrics.path_rootfs,
        .labels = &config->labels,
        .max_line = (size_t)config->logs.max_line_bytes,
        .max_files = file_limit(),
        .rescan_ms = config->logs.rescan_ms,
        .linger_ns = l->seal.reader.linger_ns,
        .files = &config->logs.files,
        .offsets = l->offsets,
        .errors = l->seal.reader.counts.errors,
        .on_change = on_change,
        .ctx = l,
    };
    options.from_ns = TAIL_START_ALL;
    if (config->logs.read_from &&
        tail_start_parse(config->logs.read_from, clock_wall_ns(), &options.from_ns) < 0)
        return -EINVAL;
    return tail_new(&loop->uv, &options, &l->tail);
}

int logs_new(struct loop *loop, const struct agent_config *config, struct stats *stats,
             struct logs **ret_logs)
{
    struct logs *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    l->config = config;
    if (config->logs.metadata_wait_ms)
        l->wait_until_ns = clock_mono_ns() + config->logs.metadata_wait_ms * INT64_C(1000000);
    logs_seal_init(&l->seal, config, stats);
    l->seal.reader.linger_ns = DEFAULT_LINGER_MS * INT64_C(1000000);
    l->seal.reader.part_wait_ns = DEFAULT_PART_WAIT_MS * INT64_C(1000000);
    l->gone = stats_cell(stats, AGENT_DROPPED_RECORDS, "logs", "gone_before_resend");
    l->files = stats_cell(stats, AGENT_LOG_FILES);
    l->queued = stats_cell(stats, AGENT_QUEUE_BYTES, "logs");
    l->offsets_written = stats_cell(stats, AGENT_OFFSETS_WRITTEN);
    l->rewinds = stats_cell(stats, AGENT_LOG_REWINDS);
    int err = log_policy_init(&l->policy, config, stats);
    if (err == 0)
        err = open_store(l, loop);
    if (err == 0 && (err = open_tail(l, loop)) < 0)
        offsets_store_close(l->store);
    if (err < 0) {
        logs_seal_fini(&l->seal);
        log_policy_fini(&l->policy);
        free(l);
        return err;
    }
    l->seal.tail = l->tail;
    l->seal.offsets = l->offsets;
    logs_seal_set_policy(&l->seal, &l->policy);
    warn_labels(config);
    uv_timer_init(&loop->uv, &l->tick);
    uv_timer_init(&loop->uv, &l->retry);
    l->tick.data = l->retry.data = l;
    uv_timer_start(&l->tick, on_tick, TICK_MS, TICK_MS);
    *ret_logs = l;
    return 0;
}

struct logs_standing logs_get_standing(const struct logs *l)
{
    return (struct logs_standing){l->config, l->tail, l->offsets, offsets_store_path(l->store),
                                  offsets_store_error(l->store)};
}

void logs_set_ship(struct logs *l, struct ship *ship)
{
    l->ship = ship;
}

void logs_set_refusals(struct logs *l, struct refusals *refusals)
{
    l->seal.reader.refusals = refusals;
}

struct ship_source logs_source(struct logs *l)
{
    return (struct ship_source){l, seal, committed, refused, resumed};
}

void logs_set_pods(struct logs *l, const struct assignment *assignment)
{
    l->wait_until_ns = 0;
    if (!assignment->unchanged)
        log_policy_set_pods(&l->policy, assignment);
}

void logs_rescan(struct logs *l)
{
    tail_rescan(l->tail);
}

int logs_save(struct logs *l)
{
    return offsets_store_save(l->store);
}

void logs_set_waits(struct logs *l, int64_t linger_ms, int64_t part_wait_ms)
{
    l->seal.reader.linger_ns = linger_ms * INT64_C(1000000);
    l->seal.reader.part_wait_ns = part_wait_ms * INT64_C(1000000);
    tail_set_linger(l->tail, l->seal.reader.linger_ns);
}

static void on_closed(uv_handle_t *handle)
{
    struct logs *l = handle->data;
    if (--l->closing == 0)
        free(l);
}

void logs_close(struct logs *l)
{
    if (!l)
        return;
    tail_close(l->tail);
    offsets_store_close(l->store);
    logs_seal_fini(&l->seal);
    log_policy_fini(&l->policy);
    l->closing = 2;
    uv_close((uv_handle_t *)&l->tick, on_closed);
    uv_close((uv_handle_t *)&l->retry, on_closed);
}
