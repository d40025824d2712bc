#include "gateway/fanout/slots.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

int slots_init(struct slots *slots)
{
    int64_t cursors[BUFFER_SLOTS];
    int err = buffer_reader_cursors(slots->reader, cursors);
    if (err < 0)
        return err;
    for (int i = 0; i < BUFFER_SLOTS; i++)
        slots->slots[i] = (struct slot){.cursor = cursors[i], .at = cursors[i]};
    return 0;
}

/* ---- heads */

/* 1: the slot has a head; 0: nothing is owed. */
static int look(struct slots *slots, int number)
{
    struct slot *slot = &slots->slots[number];
    if (slot->has_head)
        return 1;
    int64_t newest = buffer_newest(slots->buffer, number);
    if (newest <= slot->at || newest <= slot->looked)
        return 0;
    int err = buffer_reader_next(slots->reader, number, slot->at, &slot->head);
    if (err == -ENOENT) {
        slot->looked = newest;
        return 0;
    }
    if (err < 0)
        return err;
    slot->has_head = true;
    return 1;
}

static void pass_head(struct slot *slot)
{
    slot->at = slot->head.id;
    slot->has_head = false;
}

/* ---- the next request */

struct picking {
    struct buffer_row *rows; /* owned until it is handed out */
    size_t count, room;
    uint64_t raw_bytes, open, used; /* bit sets: slots that may still give rows; those that gave */
    size_t most_slots, used_count;
    bool is_alone, is_bulk, is_full;
};

/* The open slot whose head has the smallest row id; -ENOENT when none has one. */
static int pick(struct slots *slots, struct picking *p)
{
    int best = -ENOENT;
    for (int i = 0; i < BUFFER_SLOTS; i++) {
        if (!(p->open >> i & 1))
            continue;
        int has = look(slots, i);
        if (has < 0)
            return has;
        if (has == 0)
            p->open &= ~(UINT64_C(1) << i);
        else if (best < 0 || slots->slots[i].head.id < slots->slots[best].head.id)
            best = i;
    }
    return best;
}

/* What the row's largest stream may weigh: agents say it of what they seal themselves, nobody of OTLP. */
static uint64_t stream_bytes(const struct buffer_row *row)
{
    return row->format == FORMAT_OTLP_LOGS && !row->largest_stream_bytes ? row->raw_bytes
                                                                         : row->largest_stream_bytes;
}

bool slots_is_backlog(const struct slots *slots, const struct buffer_row *row)
{
    return slots->backlog_pace && slots->backlog_pace->rate > 0 &&
           clock_wall_ns() - row->committed_at_ns > (int64_t)SLOTS_BACKLOG_MS * 1000000;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* How long the row must wait for its stream's pace, the backlog's, and its isolated origin's rest. */
static int64_t wait_of(struct slots *slots, const struct buffer_row *row, uint64_t origin, int64_t now_ns)
{
    int64_t rest = isolation_rests_until(slots->isolation, origin, now_ns) - now_ns;
    int64_t wait = slots->pace ? pace_wait(slots->pace, origin, stream_bytes(row), now_ns) : 0;
    int64_t backlog =
        slots_is_backlog(slots, row) ? pace_wait(slots->backlog_pace, 0, row->raw_bytes, now_ns) : 0;
    return later(rest, later(wait, backlog));
}

static bool is_held_back(struct slots *slots, const struct buffer_row *row, uint64_t origin, int64_t now_ns)
{
    int64_t wait = wait_of(slots, row, origin, now_ns);
    if (wait <= 0)
        return false;
    if (slots->paced_until_ns == 0 || now_ns + wait < slots->paced_until_ns)
        slots->paced_until_ns = now_ns + wait;
    return true;
}

static bool may_join(struct slots *slots, struct picking *p, int number, int64_t now_ns)
{
    const struct buffer_row *row = &slots->slots[number].head;
    uint64_t origin = pace_origin(row->origin);
    bool is_alone = isolation_has(slots->isolation, origin, now_ns);
    bool is_new_slot = !(p->used >> number & 1);
    bool is_bulk = batch_is_bulk(row->origin); /* a full request is answered later, and more often with 429 */
    if (p->count == 0) {
        p->is_alone = is_alone;
        p->is_bulk = is_bulk;
    } else if (is_bulk != p->is_bulk || is_alone != p->is_alone ||
               (is_alone && strcmp(row->origin, p->rows[0].origin) != 0))
        return false;
    if (is_new_slot && p->used_count == p->most_slots)
        return false;
    if (p->count && p->raw_bytes + row->raw_bytes > slots->limit_bytes)
        p->is_full = true;
    return join_fits(p->rows, p->count, p->raw_bytes, row, slots->limit_bytes, slots->in_order) &&
           !is_held_back(slots, row, origin, now_ns);
}

static int add_row(struct slots *slots, struct picking *p, int number, int64_t now_ns)
{
    struct slot *slot = &slots->slots[number];
    if (p->count == p->room) {
        size_t room = p->room ? p->room * 2 : 8;
        struct buffer_row *grown = realloc(p->rows, room * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        p->rows = grown;
        p->room = room;
    }
    p->rows[p->count++] = slot->head;
    p->raw_bytes += slot->head.raw_bytes;
    p->used_count += !(p->used >> number & 1);
    p->used |= UINT64_C(1) << number;
    if (slots->pace)
        (void)pace_charge(slots->pace, pace_origin(slot->head.origin), stream_bytes(&slot->head), now_ns);
    if (slots_is_backlog(slots, &slot->head))
        (void)pace_charge(slots->backlog_pace, 0, slot->head.raw_bytes, now_ns);
    pass_head(slot);
    return 0;
}

static int pick_rows(struct slots *slots, struct picking *p, int64_t now_ns)
{
    while (!p->is_full) {
        int number = pick(slots, p);
        if (number == -ENOENT)
            return 0;
        if (number < 0)
            return number;
        if (!may_join(slots, p, number, now_ns)) {
            p->open &= ~(UINT64_C(1) << number);
            continue;
        }
        int err = add_row(slots, p, number, now_ns);
        if (err < 0)
            return err;
    }
    return 0;
}

/* With a backlog the slots that wait are shared among the requests that may be made. */
static size_t slots_each(struct slots *slots, uint64_t open, size_t share)
{
    size_t waiting = 0;
    if (!slots->is_behind || share <= 1)
        return BUFFER_SLOTS;
    for (int i = 0; i < BUFFER_SLOTS; i++)
        waiting += open >> i & 1 && buffer_newest(slots->buffer, i) > slots->slots[i].at;
    return waiting > share ? (waiting + share - 1) / share : 1;
}

int slots_take(struct slots *slots, size_t share, int64_t now_ns, struct buffer_row **ret_rows,
               size_t *ret_count)
{
    struct picking p = {0};
    for (int i = 0; i < BUFFER_SLOTS; i++)
        p.open |= (uint64_t)!slots->slots[i].is_held << i;
    slots->paced_until_ns = 0;
    p.most_slots = slots_each(slots, p.open, share);
    int err = pick_rows(slots, &p, now_ns);
    slots_hold(slots, p.used);
    if (err < 0) {
        slots_release(slots, p.used);
        free(p.rows);
        return err;
    }
    if (p.count)
        slots->is_behind = p.is_full;
    *ret_rows = p.rows;
    *ret_count = p.count;
    return 0;
}

void slots_hold(struct slots *slots, uint64_t held)
{
    for (int i = 0; i < BUFFER_SLOTS; i++)
        slots->slots[i].is_held |= held >> i & 1;
}

void slots_move(struct slots *slots, const struct buffer_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        slots->slots[rows[i].slot].cursor = rows[i].id; /* rows of a slot go up */
}

void slots_release(struct slots *slots, uint64_t held)
{
    for (int i = 0; i < BUFFER_SLOTS; i++) {
        struct slot *slot = &slots->slots[i];
        if (!(held >> i & 1))
            continue;
        slot->is_held = slot->has_head = false; /* what was looked at beyond the cursor is looked at again */
        slot->at = slot->cursor;
        slot->looked = 0;
    }
}
