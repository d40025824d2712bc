#include "node-agent/logs/logs_seal.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "node-agent/logs/loglabels.h"
#include "node-agent/logs/tail_resume.h"
#include "node-agent/metrics.h"

#define SECOND_NS INT64_C(1000000000)
enum {
    LOGS_IN_BATCH = 256,                  /* logs that one batch takes from */
    SOURCES_LEFT = BATCH_MAX_SOURCES / 4, /* a log adds no more sources than this */
    ROUNDS = 8,                           /* of reading for one batch, when all lines are dropped */
    LABEL_ROOM = 128 * 1024,              /* of a push, besides one line */
    PART_BYTES = 4 << 20,                 /* open lines in memory; past it they are read again later */
};

struct pick { /* a log that a batch takes from */
    struct tail_log *log;
    uint64_t unread;
    bool is_all; /* of what was there, and not what a rate leaves of it */
};

static bool has_open_line(const struct tail_log *log)
{
    for (int s = 0; s < CRI_STREAMS; s++)
        if (log->streams[s].part.open || tail_log_has_join(log, s))
            return true;
    return false;
}

static size_t open_line_bytes(struct logs_seal *l)
{
    size_t count, bytes = 0;
    struct tail_log **logs = tail_logs(l->tail, &count);
    for (size_t i = 0; i < count; i++)
        bytes += tail_log_part_bytes(logs[i]);
    return bytes;
}

/* What the log's rate limit lets it read now; a second's worth may be saved up. */
static uint64_t allowance(struct logs_seal *l, struct tail_log *log)
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

/* Says at most once a minute why logs wait, and which label makes for so many streams. */
static void tell_held(struct logs_seal *l, struct tail_log *const *logs, size_t count, size_t held)
{
    char label[LOGLABELS_MAX_NAME + 1];
    size_t values;
    stats_set(l->reader.policy->held, (int64_t)held);
    if (held == 0 || (l->held_told_ns && l->reader.mono_ns - l->held_told_ns < 60 * SECOND_NS))
        return;
    l->held_told_ns = l->reader.mono_ns;
    log_policy_worst_label(logs, count, label, sizeof label, &values);
    log_warn("logs wait: the agent has as many streams as logs.max_streams allows",
             "logs=%zu label=%s values=%zu max_streams=%" PRId64, held, label, values,
             l->config->logs.max_streams);
}

/* A log that is new: an earlier one of the container, or of a pod of that name, may have lines under way, and
 * theirs are the same streams. */
static void follow_former(struct tail_log *log, struct tail_log *const *logs, size_t count)
{
    log->bulk.is_born = true;
    for (size_t i = 0; i < count; i++) {
        const struct log_bulk *former = &logs[i]->bulk;
        if (logs[i] != log && former->is_born && (former->is_bulk || former->last_seq) &&
            former->last_seq >= log->bulk.last_seq &&
            strcmp(logs[i]->streams[0].labels, log->streams[0].labels) == 0)
            log_bulk_follow(&log->bulk, former);
    }
}

/* Logs of one origin that have something to read, in turn, at most LOGS_IN_BATCH. */
static size_t pick_logs(struct logs_seal *l, bool is_bulk, struct pick picks[LOGS_IN_BATCH])
{
    size_t count, n = 0, i = 0;
    struct tail_log **logs = tail_logs(l->tail, &count);
    size_t first = count ? l->next % count : 0, held = 0;
    uint32_t room = log_policy_room(l->reader.policy, logs, count);
    for (; i < count && n < LOGS_IN_BATCH; i++) {
        struct tail_log *log = logs[(first + i) % count];
        if (!log->dirty)
            continue;
        if (!log->bulk.is_born)
            follow_former(log, logs, count);
        log->held = !log_policy_admits(log, room);
        held += log->held;
        if (log->held || log->bulk.is_bulk != is_bulk)
            continue;
        uint64_t unread = tail_log_unread(log, l->reader.mono_ns);
        if (unread > 0 && log_bulk_turn(&l->bulks, &log->bulk, unread, l->reader.mono_ns) == LOG_BULK_WAIT) {
            l->bulk_waiting++;
            continue;
        }
        if (log->bulk.is_bulk != is_bulk)
            continue;
        uint64_t allowed = unread ? allowance(l, log) : 0;
        if (unread > 0 && allowed == 0)
            continue;
        if (unread == 0 && !has_open_line(log))
            log->dirty = false;
        else
            picks[n++] = (struct pick){log, unread < allowed ? unread : allowed, unread <= allowed};
        room -= n && picks[n - 1].log == log && room < UINT32_MAX ? log_policy_may_begin(log) : 0;
    }
    l->next = first + i;
    tell_held(l, logs, count, held);
    return n;
}

static int compare_unread(const void *a, const void *b)
{
    uint64_t x = ((const struct pick *)a)->unread, y = ((const struct pick *)b)->unread;
    return (x > y) - (x < y);
}

static int add_source(struct logs_seal *l, struct batch *batch, const char *key, uint64_t begin, uint64_t end,
                      uint64_t lines)
{
    int err = batch_add_source(batch, key, begin, end);
    if (err == 0)
        l->lines[l->line_count++] = (uint32_t)lines;
    return err;
}

/* Names how far the file was read, where that is further than sealed before. */
static int add_file(struct logs_seal *l, struct batch *batch, struct tail_file *file)
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

/* What came while the log was read is of the next round: it was reported since, or a rescan finds it. */
static int read_log(struct logs_seal *l, struct batch *batch, const struct pick *pick, uint64_t share,
                    enum tail_result *ret_result)
{
    struct tail_log *log = pick->log;
    uint64_t before = (uint64_t)stats_get(l->reader.counts.read_bytes);
    log->is_longer = false;
    int err = tail_read(&l->reader, log, share, ret_result);
    log->allowance_bytes -= (int64_t)((uint64_t)stats_get(l->reader.counts.read_bytes) - before);
    bool is_all_read = *ret_result == TAIL_MORE && pick->is_all && share >= pick->unread && !log->is_longer;
    log->dirty = *ret_result != TAIL_DONE && !is_all_read;
    if (has_open_line(log) && open_line_bytes(l) > PART_BYTES)
        tail_log_fall_back(log);
    for (struct tail_file *f = log->files; f && err == 0; f = f->next)
        if (f->identity)
            err = add_file(l, batch, f);
    return err;
}

/* Reads the picked logs; those with little to read leave their share to the others. */
static int read_picks(struct logs_seal *l, struct batch *batch, struct pick *picks, size_t count)
{
    uint64_t left = (uint64_t)l->config->logs.batch_raw_bytes;
    qsort(picks, count, sizeof *picks, compare_unread);
    for (size_t i = 0; i < count; i++) {
        enum tail_result result;
        uint64_t share = left / (count - i);
        share = picks[i].unread < share ? picks[i].unread : share;
        int err = read_log(l, batch, &picks[i], share, &result);
        if (err < 0)
            return err;
        if (result == TAIL_FULL || batch->source_count > BATCH_MAX_SOURCES - SOURCES_LEFT)
            return 0;
        left -= share;
    }
    return 0;
}

/* Nothing of what was read is to be sent: that needs no gateway. True when positions moved. */
static bool commit_dropped(struct logs_seal *l, bool is_bulk, const struct batch *batch)
{
    for (size_t i = 0; i < batch->source_count; i++)
        offsets_commit(l->offsets, is_bulk, batch->sources[i].file, batch->sources[i].end, 0);
    return batch->source_count > 0;
}

static int finish(struct logs_seal *l, struct batch *batch)
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
    if (len >
        l->push.limit / 2) /* what hardly compresses would be held three times with the copy that is sent */
        push_release(&l->push);
    return 0;
}

static int start_round(struct logs_seal *l, const struct pick *picks, size_t count)
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

static void mark_in_flight(struct logs_seal *l, const struct pick *picks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        picks[i].log->bulk.is_in_flight = true;
    l->was_bulk = count && picks[0].log->bulk.is_bulk;
}

/* One round of reading into a batch of one origin: 0, -EAGAIN (nothing to read), or an error. */
static int seal_round(struct logs_seal *l, bool is_bulk, struct batch **ret_batch)
{
    struct pick picks[LOGS_IN_BATCH];
    size_t count = pick_logs(l, is_bulk, picks);
    if (count == 0)
        return -EAGAIN;
    struct batch *batch = batch_new(is_bulk ? l->bulk_origin : l->config->node);
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
    if (l->push.records > 0)
        mark_in_flight(l, picks, count);
    *ret_batch = batch;
    return 0;
}

static int seal_origin(struct logs_seal *l, bool is_bulk, struct batch **ret_batch)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct batch *batch;
        int err = seal_round(l, is_bulk, &batch);
        if (err < 0)
            return err;
        if (batch->records > 0) {
            *ret_batch = batch;
            return 0;
        }
        bool moved = commit_dropped(l, is_bulk, batch);
        batch_free(batch);
        if (!moved)
            break;
    }
    return -EAGAIN;
}

int logs_seal_batch(struct logs_seal *l, struct batch **ret_batch)
{
    bool is_bulk = !l->was_bulk;
    l->reader.wall_ns = clock_wall_ns();
    l->reader.mono_ns = clock_mono_ns();
    l->bulk_waiting = 0;
    int err = seal_origin(l, is_bulk, ret_batch);
    return err == -EAGAIN ? seal_origin(l, !is_bulk, ret_batch) : err;
}

uint64_t logs_seal_get_lines(const struct logs_seal *l, size_t source)
{
    return source < l->line_count ? l->lines[source] : 0;
}

void logs_seal_answered(struct logs_seal *l)
{
    l->line_count = 0;
}

void logs_seal_rest(struct logs_seal *l)
{
    if (!l->holds_memory || clock_mono_ns() - l->sealed_ns < SECOND_NS)
        return;
    push_release(&l->push);
    tail_reader_release(&l->reader);
    if (l->line_count == 0) {
        free(l->lines);
        l->lines = NULL;
    }
    malloc_trim(0);
    l->holds_memory = false;
}

static void set_counts(struct logs_seal *l, struct stats *stats)
{
    struct tail_counts *c = &l->reader.counts;
    c->read_bytes = stats_cell(stats, AGENT_LOG_READ_BYTES);
    c->truncated = stats_cell(stats, AGENT_LOG_TRUNCATED);
    c->unparsed = stats_cell(stats, AGENT_LOG_UNPARSED);
    c->too_old = stats_cell(stats, AGENT_DROPPED_RECORDS, "logs", "too_old");
    c->behind = stats_cell(stats, AGENT_DROPPED_RECORDS, "logs", "behind_stream");
    c->ahead = stats_cell(stats, AGENT_DROPPED_RECORDS, "logs", "ahead_of_clock");
    c->errors = stats_cell(stats, AGENT_LOG_ERRORS);
    c->joined = stats_cell(stats, AGENT_LOG_JOINED);
    c->truncations = stats_cell(stats, AGENT_LOG_TRUNCATIONS);
    l->paced = stats_cell(stats, AGENT_LOG_PACED);
}

void logs_seal_init(struct logs_seal *l, const struct agent_config *config, struct stats *stats)
{
    size_t max_line = (size_t)config->logs.max_line_bytes, limit = (size_t)config->logs.batch_raw_bytes;
    *l = (struct logs_seal){.config = config};
    push_init(&l->push, limit > max_line + LABEL_ROOM ? limit : max_line + LABEL_ROOM);
    tail_reader_init(&l->reader, max_line, &l->push);
    l->bulks.bytes = (uint64_t)config->logs.bulk_bytes;
    batch_name_bulk(config->node, l->bulk_origin);
    l->reader.max_age_ns = config->logs.max_age_ms * INT64_C(1000000);
    set_counts(l, stats);
}

void logs_seal_set_policy(struct logs_seal *l, struct log_policy *policy)
{
    l->reader.policy = policy;
    l->reader.rules = policy->rules;
}

void logs_seal_fini(struct logs_seal *l)
{
    push_fini(&l->push);
    tail_reader_fini(&l->reader);
    free(l->lines);
}
