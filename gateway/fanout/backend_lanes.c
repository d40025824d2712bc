#include "gateway/fanout/backend_lanes.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

enum { MS = 1000000, LINGER_MS = 20, LARGE_BYTES = 256 * 1024 };

/* ---- what is in flight */

size_t backend_lanes_count(const struct backend *b, bool slow_only)
{
    size_t count = 0;
    for (size_t i = 0; i < b->lane_count; i++)
        count += lane_is_in_flight(b->lanes[i]) && (!slow_only || b->lanes[i]->is_slow);
    return count;
}

/* Lanes that are done give their slots back. */
void backend_lanes_sweep(struct backend *b)
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
bool backend_lanes_settle(struct backend *b)
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
    b->look_ns = clock_mono_ns() + (int64_t)BACKEND_LANES_WAIT_MS * MS;
    if (log_limit_pass(&limit, 10, &held_back))
        log_error("the buffer cannot be read", "signal=%s backend=%s error=%d held_back=%u",
                  telemetry_name(b->host.signal), b->config->name, -err, held_back);
}

/* Many small rows that come one by one cost less in a request together. Rows that have waited do not wait
 * again, so that this holds back nothing where requests cannot be joined. Those of an isolated origin are
 * joined with no others, so that only it waits. */
static void linger(struct backend *b, const struct buffer_row *rows, size_t count, int64_t now_ns)
{
    int64_t fresh_ns = clock_wall_ns() - (int64_t)LINGER_MS * MS;
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += rows[i].payload_bytes;
        if (bytes > LARGE_BYTES || rows[i].committed_at_ns < fresh_ns)
            return;
    }
    int64_t until_ns = now_ns + (int64_t)LINGER_MS * MS;
    uint64_t origin = pace_origin(rows[0].origin);
    if (isolation_has(&b->isolation, origin, now_ns))
        isolation_rest(&b->isolation, origin, until_ns);
    else
        atomic_store(&b->linger_ns, until_ns);
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
    if (clock_wall_ns() - rows[0].committed_at_ns > (int64_t)SLOTS_BACKLOG_MS * MS)
        atomic_store(&b->behind_ns, now_ns);
    linger(b, lane->rows, lane->row_count, now_ns);
    b->lanes[b->lane_count++] = lane;
    return lane;
}

static struct lane *choose(struct backend *b, size_t in_flight, int64_t now_ns)
{
    size_t lanes = (size_t)b->config->lanes;
    size_t slow = backend_lanes_count(b, true), most_slow = lanes > 1 ? lanes / 2 : 1;
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

void backend_lanes_start(struct backend *b)
{
    int64_t now_ns = clock_mono_ns();
    revive(b, now_ns);
    size_t most = b->health.away ? 1 : (size_t)b->config->lanes;
    if (b->health.away && now_ns < b->health.probe_ns)
        return;
    for (size_t in_flight; (in_flight = backend_lanes_count(b, false)) < most;) {
        struct lane *lane = choose(b, in_flight, now_ns);
        if (!lane)
            return;
        b->fast_is_next = lane->is_slow;
        lane_start(lane);
        (void)backend_lanes_settle(b); /* nothing of it was left to post */
        backend_lanes_sweep(b);
    }
}
