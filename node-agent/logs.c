#include "node-agent/logs.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "node-agent/loglabels.h"
#include "node-agent/metrics.h"
#include "node-agent/offsets_store.h"
#include "node-agent/tail_read.h"
#include "node-agent/tail_resume.h"

#define SECOND_NS INT64_C(1000000000)
#define MAX_AGE_NS (7 * 24 * 3600 * SECOND_NS) /* Loki's reject_old_samples_max_age */
enum {
    LOGS_IN_BATCH = 256,                  /* logs that one batch takes from */
    SOURCES_LEFT = BATCH_MAX_SOURCES / 4, /* a log adds no more sources than this */
    ROUNDS = 8,                           /* of reading in one seal, when all lines are dropped */
    LABEL_ROOM = 128 * 1024,              /* of a push, besides one line */
    PART_BYTES = 4 << 20,                 /* open lines in memory; past it they are read again later */
    RETRY_MS = 50,
    TICK_MS = 1000,
    DEFAULT_LINGER_MS = 2000,
    DEFAULT_PART_WAIT_MS = 60000,
    SWEEP_TICKS = 30,
    AWAY_MIN = 10,
};

struct pick { /* a log that a batch takes from */
    struct tail_log *log;
    uint64_t unread;
};

struct logs {
    const struct agent_config *config;
    struct ship *ship; /* borrowed; NULL before logs_set_ship */
    struct offsets_store *store;
    struct offsets *offsets; /* the store's */
    struct tail *tail;
    struct push push;
    struct tail_reader reader;
    uv_timer_t tick, retry;
    size_t next;     /* index of the log that the next batch begins with */
    uint32_t *lines; /* owned; of each source of the batch that is out */
    size_t line_count;
    int64_t sealed_ns; /* when a batch was sealed last; monotonic */
    bool holds_memory;
    unsigned ticks;
    struct stats_cell *files, *queued, *rewinds, *gone, *paced;
    int save_error; /* last one told in the log */
    int closing;
};

/* ---- sealing ---- */

static bool has_open_line(const struct tail_log *log)
{
    return log->streams[CRI_STDOUT].part.open || log->streams[CRI_STDERR].part.open;
}

static size_t open_line_bytes(struct logs *l)
{
    size_t count, bytes = 0;
    struct tail_log **logs = tail_logs(l->tail, &count);
    for (size_t i = 0; i < count; i++)
        bytes += tail_log_part_bytes(logs[i]);
    return bytes;
}

/* What the log's rate limit lets it read now; a second's worth may be saved up. */
static uint64_t allowance(struct logs *l, struct tail_log *log)
{
    int64_t rate = l->config->logs.stream_rate_bytes, now_ns = l->reader.mono_ns;
    if (rate == 0)
        return UINT64_MAX;
    int64_t past_ns = log->allowance_ns ? now_ns - log->allowance_ns : SECOND_NS;
    past_ns = past_ns > SECOND_NS ? SECOND_NS : past_ns;
    log->allowance_ns = now_ns;
    log->allowance_bytes += (int64_t)((double)rate * (double)past_ns / (double)SECOND_NS);
    if (log->allowance_bytes > rate)
        log->allowance_bytes = rate;
    if (log->allowance_bytes <= 0)
        stats_add(l->paced, past_ns);
    return log->allowance_bytes > 0 ? (uint64_t)log->allowance_bytes : 0;
}

/* Logs that have something to read, in turn, at most LOGS_IN_BATCH. */
static size_t pick_logs(struct logs *l, struct pick picks[LOGS_IN_BATCH])
{
    size_t count, n = 0, i = 0;
    struct tail_log **logs = tail_logs(l->tail, &count);
    size_t first = count ? l->next % count : 0;
    for (; i < count && n < LOGS_IN_BATCH; i++) {
        struct tail_log *log = logs[(first + i) % count];
        if (!log->dirty)
            continue;
        uint64_t unread = tail_log_unread(log, l->reader.mono_ns);
        uint64_t allowed = unread ? allowance(l, log) : 0;
        if (unread > 0 && allowed == 0)
            continue;
        if (unread == 0 && !has_open_line(log))
            log->dirty = false;
        else
            picks[n++] = (struct pick){log, unread < allowed ? unread : allowed};
    }
    l->next = first + i;
    return n;
}

static int compare_unread(const void *a, const void *b)
{
    uint64_t x = ((const struct pick *)a)->unread, y = ((const struct pick *)b)->unread;
    return (x > y) - (x < y);
}

static int add_source(struct logs *l, struct batch *batch, const char *key, uint64_t begin, uint64_t end,
                      uint64_t lines)
{
    int err = batch_add_source(batch, key, begin, end);
    if (err == 0)
        l->lines[l->line_count++] = (uint32_t)lines;
    return err;
}

/* Names how far the file was read, where that is further than sealed before. */
static int add_file(struct logs *l, struct batch *batch, struct tail_file *file)
{
    char storage[TAIL_KEY_LEN];
    uint64_t base = tail_file_base(file), lines = file->lines;
    int err = 0;
    file->lines = 0;
    if (base > file->told_base) {
        err = add_source(l, batch, file->identity, file->told_base, base, lines);
        file->told_base = base;
        lines = 0;
    }
    for (int s = 0; s < CRI_STREAMS && err == 0; s++) {
        uint64_t ahead = tail_file_ahead(file, s);
        if (ahead <= base || ahead <= file->told[s])
            continue;
        err = add_source(l, batch, tail_file_key(file, s, storage), file->told[s], ahead, lines);
        file->told[s] = ahead;
        lines = 0;
    }
    return err;
}

static int read_log(struct logs *l, struct batch *batch, struct tail_log *log, uint64_t share,
                    enum tail_result *ret_result)
{
    uint64_t before = (uint64_t)stats_get(l->reader.counts.read_bytes);
    int err = tail_read(&l->reader, log, share, ret_result);
    log->allowance_bytes -= (int64_t)((uint64_t)stats_get(l->reader.counts.read_bytes) - before);
    log->dirty = *ret_result != TAIL_DONE;
    if (has_open_line(log) && open_line_bytes(l) > PART_BYTES)
        tail_log_fall_back(log);
    for (struct tail_file *f = log->files; f && err == 0; f = f->next)
        if (f->identity)
            err = add_file(l, batch, f);
    return err;
}

/* Reads the picked logs; those with little to read leave their share to the others. */
static int read_picks(struct logs *l, struct batch *batch, struct pick *picks, size_t count)
{
    uint64_t left = (uint64_t)l->config->logs.batch_raw_bytes;
    qsort(picks, count, sizeof *picks, compare_unread);
    for (size_t i = 0; i < count; i++) {
        enum tail_result result;
        uint64_t share = left / (count - i);
        share = picks[i].unread < share ? picks[i].unread : share;
        int err = read_log(l, batch, picks[i].log, share, &result);
        if (err < 0)
            return err;
        if (result == TAIL_FULL || batch->source_count > BATCH_MAX_SOURCES - SOURCES_LEFT)
            return 0;
        left -= share;
    }
    return 0;
}

/* Nothing of what was read is to be sent: that needs no gateway. True when positions moved. */
static bool commit_dropped(struct logs *l, const struct batch *batch)
{
    for (size_t i = 0; i < batch->source_count; i++)
        offsets_commit(l->offsets, batch->sources[i].file, batch->sources[i].end, 0);
    return batch->source_count > 0;
}

static int finish(struct logs *l, struct batch *batch)
{
    uint8_t *block;
    size_t len;
    int err = push_compress(&l->push, &block, &len);
    if (err < 0)
        return err;
    batch_take_payload(batch, block, len);
    batch->signal = TELEMETRY_LOGS;
    batch->format = FORMAT_LOKI_PUSH;
    batch->records = l->push.records;
    batch->raw_bytes = l->push.raw.len;
    batch->largest_stream_bytes = l->push.largest_stream_bytes;
    batch->earliest_ns = l->push.earliest_ns;
    batch->latest_ns = l->push.latest_ns;
    l->sealed_ns = l->reader.mono_ns;
    return 0;
}

static int start_round(struct logs *l, const struct pick *picks, size_t count)
{
    uint64_t bytes = 64 * 1024;
    for (size_t i = 0; i < count; i++)
        bytes += picks[i].unread < l->push.limit ? picks[i].unread : l->push.limit;
    l->line_count = 0;
    l->holds_memory = true;
    if (!l->lines && !(l->lines = calloc(BATCH_MAX_SOURCES, sizeof *l->lines)))
        return -ENOMEM;
    push_clear(&l->push);
    return push_reserve(&l->push, bytes < l->push.limit ? bytes : l->push.limit);
}

/* One round of reading into a batch: 0, -EAGAIN (nothing to read), or an error. */
static int seal_round(struct logs *l, struct batch **ret_batch)
{
    struct pick picks[LOGS_IN_BATCH];
    size_t count = pick_logs(l, picks);
    if (count == 0)
        return -EAGAIN;
    struct batch *batch = batch_new(l->config->node);
    int err = batch ? start_round(l, picks, count) : -ENOMEM;
    if (err == 0)
        err = read_picks(l, batch, picks, count);
    if (err == 0 && l->push.records > 0)
        err = finish(l, batch);
    if (err < 0) {
        batch_free(batch);
        tail_reset_all(l->tail, l->offsets); /* what was read into it is read again */
        return err;
    }
    *ret_batch = batch;
    return 0;
}

static void on_retry(uv_timer_t *timer)
{
    struct logs *l = timer->data;
    if (l->ship && tail_has_dirty(l->tail))
        ship_wake(l->ship, TELEMETRY_LOGS);
}

/* A batch of lines, or -EAGAIN; comes back by itself for what could not be read yet. */
static int seal(void *ctx, struct batch **ret_batch)
{
    struct logs *l = ctx;
    if (!tail_has_dirty(l->tail))
        return -EAGAIN;
    l->reader.wall_ns = clock_wall_ns();
    l->reader.mono_ns = clock_mono_ns();
    for (int round = 0; round < ROUNDS; round++) {
        struct batch *batch;
        int err = seal_round(l, &batch);
        if (err < 0)
            break;
        if (batch->records > 0) {
            *ret_batch = batch;
            return 0;
        }
        bool moved = commit_dropped(l, batch);
        batch_free(batch);
        if (!moved)
            break;
    }
    if (tail_has_dirty(l->tail))
        uv_timer_start(&l->retry, on_retry, RETRY_MS, 0);
    return -EAGAIN;
}

/* ---- answers ---- */

static void commit(struct logs *l, const struct batch *batch)
{
    for (size_t i = 0; i < batch->source_count; i++) {
        const struct batch_source *s = &batch->sources[i];
        offsets_commit(l->offsets, s->file, s->end, i < l->line_count ? l->lines[i] : 0);
    }
    l->line_count = 0;
    offsets_store_note(l->store, batch->raw_bytes);
}

static void committed(void *ctx, const struct batch *batch, const struct wire_reply *reply)
{
    struct logs *l = ctx;
    if (strcmp(reply->buffer_id, offsets_buffer(l->offsets)) != 0) { /* a buffer that was never greeted */
        tail_reset_all(l->tail, l->offsets);
        return;
    }
    commit(l, batch);
    offsets_checkpoint(l->offsets, batch->seq);
    offsets_deliver(l->offsets, reply->delivered_seq);
}

static void refused(void *ctx, const struct batch *batch, const char *reason)
{
    (void)reason;
    commit(ctx, batch);
}

static bool resumed(void *ctx, const struct wire_resume_reply *reply, bool handed_over,
                    const struct batch *in_flight)
{
    struct logs *l = ctx;
    struct tail_resumed result = tail_resume(l->tail, l->offsets, reply, handed_over, in_flight != NULL);
    if (result.rewound) {
        stats_add(l->rewinds, 1);
        stats_add(l->gone, (int64_t)result.gone);
        log_warn("reading logs again from the last line delivered: the gateway's buffer is another one",
                 "buffer=%s lines_gone=%" PRIu64, reply->buffer_id, result.gone);
    }
    if (result.moved)
        offsets_store_hurry(l->store);
    return result.drop;
}

/* ---- time ---- */

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
            for (int s = -1; sweep && f->identity && s < CRI_STREAMS; s++) {
                struct offset *at = offsets_find(l->offsets, tail_file_key(f, s, storage));
                if (at)
                    at->seen_ns = now_ns;
            }
        }
    }
    if (sweep)
        offsets_sweep(l->offsets, now_ns, AWAY_MIN * 60 * SECOND_NS);
    stats_set(l->files, (int64_t)files);
    stats_set(l->queued, (int64_t)unread);
}

static void release_memory(struct logs *l)
{
    push_release(&l->push);
    tail_reader_release(&l->reader);
    if (l->line_count == 0) {
        free(l->lines);
        l->lines = NULL;
    }
    malloc_trim(0);
    l->holds_memory = false;
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
    tell_save_error(l);
    if (l->holds_memory && clock_mono_ns() - l->sealed_ns > SECOND_NS)
        release_memory(l);
}

static void on_change(void *ctx)
{
    struct logs *l = ctx;
    if (l->ship && tail_has_dirty(l->tail))
        ship_wake(l->ship, TELEMETRY_LOGS);
}

/* ---- life ---- */

static void set_counts(struct logs *l, struct stats *stats)
{
    struct tail_counts *c = &l->reader.counts;
    c->read_bytes = stats_cell(stats, AGENT_LOG_READ_BYTES);
    c->truncated = stats_cell(stats, AGENT_LOG_TRUNCATED);
    c->unparsed = stats_cell(stats, AGENT_LOG_UNPARSED);
    c->too_old = stats_cell(stats, AGENT_DROPPED_RECORDS, "logs", "too_old");
    c->behind = stats_cell(stats, AGENT_DROPPED_RECORDS, "logs", "behind_stream");
    c->ahead = stats_cell(stats, AGENT_DROPPED_RECORDS, "logs", "ahead_of_clock");
    c->errors = stats_cell(stats, AGENT_LOG_ERRORS);
    l->gone = stats_cell(stats, AGENT_DROPPED_RECORDS, "logs", "gone_before_resend");
    l->files = stats_cell(stats, AGENT_LOG_FILES);
    l->queued = stats_cell(stats, AGENT_QUEUE_BYTES, "logs");
    l->rewinds = stats_cell(stats, AGENT_LOG_REWINDS);
    l->paced = stats_cell(stats, AGENT_LOG_PACED);
}

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
        .labels = &config->labels,
        .max_line = (size_t)config->logs.max_line_bytes,
        .max_files = file_limit(),
        .rescan_ms = config->logs.rescan_ms,
        .linger_ns = l->reader.linger_ns,
        .offsets = l->offsets,
        .errors = l->reader.counts.errors,
        .on_change = on_change,
        .ctx = l,
    };
    return tail_new(&loop->uv, &options, &l->tail);
}

int logs_new(struct loop *loop, const struct agent_config *config, struct stats *stats,
             struct logs **ret_logs)
{
    struct logs *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    size_t max_line = (size_t)config->logs.max_line_bytes, limit = (size_t)config->logs.batch_raw_bytes;
    l->config = config;
    push_init(&l->push, limit > max_line + LABEL_ROOM ? limit : max_line + LABEL_ROOM);
    tail_reader_init(&l->reader, max_line, &l->push);
    l->reader.max_age_ns = MAX_AGE_NS;
    l->reader.linger_ns = DEFAULT_LINGER_MS * INT64_C(1000000);
    l->reader.part_wait_ns = DEFAULT_PART_WAIT_MS * INT64_C(1000000);
    set_counts(l, stats);
    int err = open_store(l, loop);
    if (err == 0 && (err = open_tail(l, loop)) < 0)
        offsets_store_close(l->store);
    if (err < 0) {
        free(l);
        return err;
    }
    warn_labels(config);
    uv_timer_init(&loop->uv, &l->tick);
    uv_timer_init(&loop->uv, &l->retry);
    l->tick.data = l->retry.data = l;
    uv_timer_start(&l->tick, on_tick, TICK_MS, TICK_MS);
    *ret_logs = l;
    return 0;
}

void logs_set_ship(struct logs *l, struct ship *ship)
{
    l->ship = ship;
}

struct ship_source logs_source(struct logs *l)
{
    return (struct ship_source){l, seal, committed, refused, resumed};
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
    l->reader.linger_ns = linger_ms * INT64_C(1000000);
    l->reader.part_wait_ns = part_wait_ms * INT64_C(1000000);
    tail_set_linger(l->tail, l->reader.linger_ns);
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
    push_fini(&l->push);
    tail_reader_fini(&l->reader);
    free(l->lines);
    l->closing = 2;
    uv_close((uv_handle_t *)&l->tick, on_closed);
    uv_close((uv_handle_t *)&l->retry, on_closed);
}
