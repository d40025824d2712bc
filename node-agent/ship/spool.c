#include "node-agent/ship/spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "node-agent/metrics.h"
#include "node-agent/ship/spool_file.h"

enum { TICK_MS = 100, ERRORS_MAX = 16 * 1024 };
#define AGAIN_NS INT64_C(5000000000)     /* after a file that could not be opened or written */
#define AGAIN_FULL_NS INT64_C(500000000) /* after one that was full: its WAL may only have to begin again */
#define SHOW_NS INT64_C(5000000000)

struct side {            /* of one signal */
    struct spool *spool; /* borrowed */
    enum telemetry signal;
    struct ship_source inner;
    bool (*is_filling)(void *ctx);
    void *ctx;
    bool is_used, holds_lane;
    struct spool_file file;
    struct batch *held;        /* owned; sealed and numbered, but the file did not take it */
    bool may_be_known;         /* a gateway may know the batch that is held or being appended */
    int64_t again_ns;          /* monotonic; not to be tried before */
    int64_t show_ns;           /* monotonic; when its metrics are due */
    uint64_t dropped, damaged; /* as counted so far */
    bool was_read;             /* what the file counts as dropped */
    struct {
        struct stats_cell *batches, *bytes, *file_bytes, *writable, *spooled, *damaged, *dropped, *refused;
    } cells;
};

struct spool {
    struct loop *loop; /* borrowed, as the next three */
    const struct agent_config *config;
    struct stats *stats;
    struct ship *ship;
    struct boot boot;
    uint64_t seq[TELEMETRY_COUNT]; /* of the last batch numbered here */
    struct side sides[TELEMETRY_COUNT];
    uv_timer_t tick;
    bool is_closed;
};

/* ---- the files */

static void tell_lines(const struct side *side, const struct buf *errors)
{
    char line[1024], quoted[1024];
    const char *at = (const char *)errors->ptr, *end = at + errors->len;
    while (at && at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((stop ? stop : end) - at);
        len = len < sizeof line ? len : sizeof line - 1;
        memcpy(line, at, len);
        line[len] = '\0';
        log_warn("spool: a file", "signal=%s what=%s", telemetry_name(side->signal),
                 log_quote(line, quoted, sizeof quoted));
        at = stop ? stop + 1 : end;
    }
}

static void open_file(struct side *side)
{
    const struct agent_config *config = side->spool->config;
    int64_t quota = agent_config_spool_quota(config, side->signal);
    struct buf errors;
    buf_init(&errors, ERRORS_MAX);
    int err = spool_file_open(&side->file, config->spool.path, side->signal, quota,
                              &side->spool->loop->mailbox, &errors);
    tell_lines(side, &errors);
    buf_fini(&errors);
    stats_set(side->cells.writable, err == 0);
    side->again_ns = err < 0 ? clock_mono_ns() + AGAIN_NS : 0;
    if (err < 0)
        log_error("spool: cannot be opened", "folder=%s signal=%s error=\"%s\"", config->spool.path,
                  telemetry_name(side->signal), strerror(-err));
}

/* ---- in */

static void tell_committed(struct side *side, const struct batch *batch)
{
    const struct wire_reply reply = {.answer = WIRE_COMMITTED};
    if (!side->spool->is_closed && side->inner.committed)
        side->inner.committed(side->inner.ctx, batch, &reply);
}

static void hold(struct side *side, struct batch *batch, enum buffer_outcome outcome)
{
    static struct log_limit limit;
    unsigned kept;
    side->held = batch;
    side->again_ns = clock_mono_ns() + (outcome == BUFFER_FULL ? AGAIN_FULL_NS : AGAIN_NS);
    stats_set(side->cells.writable, 0);
    if (log_limit_pass(&limit, 30, &kept))
        log_warn("spool: takes nothing at the moment", "signal=%s cause=%s held_back=%u",
                 telemetry_name(side->signal), outcome == BUFFER_FULL ? "full" : "\"write error\"", kept);
}

static void on_appended(void *ctx, struct batch *batch, enum buffer_outcome outcome)
{
    struct side *side = ctx;
    if (outcome == BUFFER_FULL || outcome == BUFFER_FAILED) {
        hold(side, batch, outcome);
        return;
    }
    stats_set(side->cells.writable, 1);
    stats_add(side->cells.spooled, (int64_t)batch->records);
    tell_committed(side, batch);
    batch_free(batch);
    if (!side->spool->is_closed)
        ship_wake(side->spool->ship, side->signal);
}

static void append(struct side *side, struct batch *batch)
{
    spool_file_append(&side->file, batch, on_appended, side);
}

/* Under the spool's own number. */
static void number(struct side *side, struct batch *batch)
{
    batch->signal = side->signal;
    batch->boot = side->spool->boot;
    batch->seq = ++side->spool->seq[side->signal];
}

/* Whether the lane holds a batch that is not in the file: one that was written under the lane's number is. */
static bool holds_another(const struct side *side)
{
    const struct batch *batch = ship_batch(side->spool->ship, side->signal);
    return batch && !spool_file_is_out(&side->file, batch);
}

/* What the lane could not get rid of goes first. */
static bool take_from_lane(struct side *side)
{
    struct batch *batch;
    if (!holds_another(side) || !ship_give_up(side->spool->ship, side->signal, !side->holds_lane, &batch))
        return false;
    if (!side->holds_lane)
        number(side, batch);
    side->may_be_known = side->holds_lane;
    append(side, batch);
    return true;
}

static void take_from_inner(struct side *side)
{
    struct batch *batch;
    bool is_out = side->holds_lane && holds_another(side);
    if (is_out || !side->inner.seal || side->inner.seal(side->inner.ctx, &batch) < 0)
        return;
    number(side, batch);
    side->may_be_known = false;
    append(side, batch);
}

static bool needs_relief(const struct side *side)
{
    return side->is_filling && side->is_filling(side->ctx);
}

static bool can_append(const struct side *side)
{
    return side->file.buffer && !side->file.is_appending && clock_mono_ns() >= side->again_ns;
}

static void put(struct side *side)
{
    bool is_away = ship_stalled_ms(side->spool->ship, side->signal) >= SPOOL_STALLED_MS;
    if (!can_append(side) || (!is_away && !needs_relief(side)))
        return;
    if (side->held) {
        struct batch *batch = side->held;
        side->held = NULL;
        append(side, batch);
    } else if (!is_away || !take_from_lane(side))
        take_from_inner(side);
}

/* ---- own metrics */

/* The file counts over its whole life; so what was dropped shortly before a kill is counted after it. */
static void show_dropped(struct side *side, uint64_t dropped)
{
    uint64_t more = dropped - side->dropped;
    bool was_before = !side->was_read;
    side->was_read = true;
    if (more == 0)
        return;
    stats_add(side->cells.dropped, (int64_t)more);
    side->dropped = dropped;
    log_warn(was_before ? "spool: records were dropped before this start"
                        : "spool: records were dropped, the oldest first",
             "signal=%s records=%llu in_all=%llu", telemetry_name(side->signal), (unsigned long long)more,
             (unsigned long long)dropped);
}

static void show(struct side *side)
{
    struct buffer_ledger ledger;
    struct buffer_state state;
    if (!side->file.buffer || buffer_reader_ledger(side->file.reader, &ledger) < 0)
        return;
    buffer_get_state(side->file.buffer, &state);
    stats_set(side->cells.batches, ledger.lag_rows);
    stats_set(side->cells.bytes, ledger.lag_bytes);
    stats_set(side->cells.file_bytes, state.file_bytes + state.wal_bytes);
    if (!side->held && state.can_commit && ledger.lag_rows == 0) /* nobody has to try it */
        stats_set(side->cells.writable, 1);
    show_dropped(side, ledger.by_cause[BUFFER_DROPPED]);
    stats_add(side->cells.damaged, (int64_t)(side->file.damaged - side->damaged));
    side->damaged = side->file.damaged;
}

static void show_when_due(struct side *side, int64_t now)
{
    if (now < side->show_ns)
        return;
    side->show_ns = now + SHOW_NS;
    show(side);
}

static void collect(void *ctx)
{
    struct spool *spool = ctx;
    for (int i = 0; i < TELEMETRY_COUNT && !spool->is_closed; i++)
        if (spool->sides[i].is_used)
            show(&spool->sides[i]);
}

static void find_cells(struct side *side, struct stats *stats)
{
    const char *name = telemetry_name(side->signal);
    side->cells.batches = stats_cell(stats, AGENT_SPOOL_BATCHES, name);
    side->cells.bytes = stats_cell(stats, AGENT_SPOOL_BYTES, name);
    side->cells.file_bytes = stats_cell(stats, AGENT_SPOOL_FILE_BYTES, name);
    side->cells.writable = stats_cell(stats, AGENT_SPOOL_WRITABLE, name);
    side->cells.spooled = stats_cell(stats, AGENT_SPOOLED_RECORDS, name);
    side->cells.damaged = stats_cell(stats, AGENT_SPOOL_DAMAGED, name);
    side->cells.dropped = stats_cell(stats, AGENT_DROPPED_RECORDS, name, "spool");
}

/* ---- the clock */

static void on_tick(uv_timer_t *timer)
{
    struct spool *spool = timer->data;
    int64_t now = clock_mono_ns();
    for (int i = 0; i < TELEMETRY_COUNT; i++) {
        struct side *side = &spool->sides[i];
        if (!side->is_used || !spool->ship)
            continue;
        if (!side->file.buffer && now >= side->again_ns)
            open_file(side);
        show_when_due(side, now);
        if (side->file.reader)
            buffer_reader_rest(side->file.reader);
        put(side);
    }
}

/* ---- out */

static int seal(void *ctx, struct batch **ret_batch)
{
    struct side *side = ctx;
    struct spool_file *file = &side->file;
    if (file->buffer) {
        int err = spool_file_next(file, ret_batch);
        if (err == 0)
            return 0;
        if (err != -ENOENT || file->is_appending) /* nothing may overtake it */
            return -EAGAIN;
    }
    if (side->held) {
        *ret_batch = side->held;
        side->held = NULL;
        return 0;
    }
    if (needs_relief(side) && can_append(side)) {
        take_from_inner(side); /* more than one at a time; ship is woken when it is on the disk */
        return -EAGAIN;
    }
    return side->inner.seal ? side->inner.seal(side->inner.ctx, ret_batch) : -EAGAIN;
}

static void committed(void *ctx, const struct batch *batch, const struct wire_reply *reply)
{
    struct side *side = ctx;
    if (spool_file_is_out(&side->file, batch))
        spool_file_settle(&side->file, BUFFER_DELIVERED);
    else if (side->inner.committed)
        side->inner.committed(side->inner.ctx, batch, reply);
}

static void refused(void *ctx, const struct batch *batch, const char *reason)
{
    struct side *side = ctx;
    if (spool_file_is_out(&side->file, batch))
        spool_file_settle(&side->file, BUFFER_REFUSED);
    else if (side->inner.refused)
        side->inner.refused(side->inner.ctx, batch, reason);
}

static bool resumed(void *ctx, const struct wire_resume_reply *reply, bool handed_over,
                    const struct batch *in_flight)
{
    struct side *side = ctx;
    bool is_ours = in_flight && spool_file_is_out(&side->file, in_flight);
    return side->inner.resumed &&
           side->inner.resumed(side->inner.ctx, reply, handed_over, is_ours ? NULL : in_flight) && !is_ours;
}

struct ship_source spool_source(struct spool *spool, enum telemetry signal, const struct ship_source *inner,
                                bool (*is_filling)(void *ctx), void *ctx, bool holds_lane)
{
    struct side *side = &spool->sides[signal];
    side->inner = *inner;
    side->is_filling = is_filling;
    side->ctx = ctx;
    side->holds_lane = holds_lane;
    side->is_used = true;
    open_file(side);
    return (struct ship_source){side, seal, committed, refused, resumed};
}

bool spool_withdraw(struct spool *spool, enum telemetry signal, const struct batch *batch)
{
    struct side *side = spool ? &spool->sides[signal] : NULL;
    if (!side || !side->held || side->held != batch || side->may_be_known)
        return false;
    batch_free(side->held);
    side->held = NULL;
    return true;
}

/* ---- life */

int spool_new(struct loop *loop, const struct agent_config *config, struct stats *stats,
              struct spool **ret_spool)
{
    struct spool *spool = calloc(1, sizeof *spool);
    if (!spool)
        return -ENOMEM;
    *spool = (struct spool){.loop = loop, .config = config, .stats = stats};
    spool->boot.started_ns = clock_wall_ns();
    if (getrandom(&spool->boot.id, sizeof spool->boot.id, 0) != sizeof spool->boot.id) {
        free(spool);
        return -EIO;
    }
    for (int i = 0; i < TELEMETRY_COUNT; i++) {
        spool->sides[i].spool = spool;
        spool->sides[i].signal = (enum telemetry)i;
        find_cells(&spool->sides[i], stats);
    }
    uv_timer_init(&loop->uv, &spool->tick);
    spool->tick.data = spool;
    stats_on_collect(stats, collect, spool);
    *ret_spool = spool;
    return 0;
}

void spool_start(struct spool *spool, struct ship *ship)
{
    spool->ship = ship;
    uv_timer_start(&spool->tick, on_tick, TICK_MS, TICK_MS);
}

/* ---- the end: what still waits in memory goes to the disk */

struct leaving { /* frees itself */
    struct buffer_append append;
    struct side *side;
};

static void on_left(struct letter *letter)
{
    struct leaving *leaving = (struct leaving *)(void *)letter;
    struct batch *batch = leaving->append.batch;
    bool is_kept = leaving->append.outcome == BUFFER_COMMITTED || leaving->append.outcome == BUFFER_REPEATED;
    stats_add(is_kept ? leaving->side->cells.spooled : leaving->side->cells.dropped, (int64_t)batch->records);
    if (!is_kept)
        log_error("spool: lost at the end", "signal=%s records=%llu", telemetry_name(leaving->side->signal),
                  (unsigned long long)batch->records);
    batch_free(batch);
    free(leaving);
}

static void leave(struct side *side, struct batch *batch)
{
    struct leaving *leaving = calloc(1, sizeof *leaving);
    if (!leaving) {
        stats_add(side->cells.dropped, (int64_t)batch->records);
        batch_free(batch);
        return;
    }
    leaving->side = side;
    leaving->append = (struct buffer_append){
        .letter.open = on_left, .reply_to = &side->spool->loop->mailbox, .batch = batch};
    buffer_append(side->file.buffer, &leaving->append);
}

void spool_flush(struct spool *spool)
{
    for (int i = 0; spool && spool->ship && i < TELEMETRY_COUNT; i++) {
        struct side *side = &spool->sides[i];
        struct batch *batch;
        if (!side->is_used || !side->file.buffer)
            continue;
        if (side->held)
            leave(side, side->held);
        side->held = NULL;
        if (side->holds_lane && holds_another(side) && ship_give_up(spool->ship, side->signal, false, &batch))
            leave(side, batch);
        while (side->inner.seal && side->inner.seal(side->inner.ctx, &batch) == 0) {
            number(side, batch);
            leave(side, batch);
        }
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct spool *spool = handle->data;
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        batch_free(spool->sides[i].held);
    free(spool);
}

/* Letters of what was being written are still to be opened. */
static void on_bury(uv_timer_t *timer)
{
    struct spool *spool = timer->data;
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        spool_file_close(&spool->sides[i].file);
    mailbox_drain(&spool->loop->mailbox);
    uv_close((uv_handle_t *)timer, on_timer_closed);
}

void spool_close(struct spool *spool)
{
    if (!spool)
        return;
    spool->is_closed = true;
    spool->ship = NULL;
    uv_timer_start(&spool->tick, on_bury, 0, 0);
}
