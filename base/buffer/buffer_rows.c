#include "base/buffer/buffer_rows.h"

#include <errno.h>
#include <stdio.h>

#include "base/buffer/buffer_backends.h"
#include "base/buffer/buffer_origins.h"
#include "base/buffer/buffer_refusals.h"
#include "base/buffer/buffer_space.h"

enum { OWED_MAX = BATCH_MAX_OWED * 22 + 2, SOURCES_MAX = 64 * 1024 };

/* ---- what is settled everywhere */

static bool is_owed_to_any(const struct buffer *buffer, int slot, int64_t row, const char *owed)
{
    for (size_t i = 0; i < buffer->backend_count; i++)
        if (buffer->backends[i].is_active && buffer_backends_owes(&buffer->backends[i], slot, row, owed))
            return true;
    return false;
}

static struct boot boot_of(sqlite3_stmt *row, int column)
{
    return (struct boot){(uint64_t)sqlite3_column_int64(row, column), sqlite3_column_int64(row, column + 1)};
}

/* A settled row: its origin has one less to wait for. `was_owed`: it was counted as undelivered. */
static void settle_row(struct buffer *buffer, sqlite3_stmt *row, bool was_owed)
{
    const char *name = (const char *)sqlite3_column_text(row, 1);
    struct buffer_origin *origin = name ? buffer_origins_find(buffer, name) : NULL;
    if (!origin)
        return;
    if (was_owed && origin->undelivered > 0)
        origin->undelivered--;
    buffer_origins_deliver(buffer, origin, boot_of(row, 2), (uint64_t)sqlite3_column_int64(row, 4));
}

/* Whether the row had a backend to wait for before the cursors came this far. */
static bool was_owed_to_any(const struct buffer *buffer, const char *owed)
{
    for (size_t i = 0; i < buffer->backend_count; i++)
        if (buffer->backends[i].is_active && buffer_backends_is_owed(&buffer->backends[i], owed))
            return true;
    return false;
}

static bool has_news(const struct buffer *buffer, int slot)
{
    const struct buffer_slot *s = &buffer->slots[slot];
    return s->newest > s->through;
}

int buffer_rows_pass(struct buffer *buffer, int slot)
{
    struct buffer_slot *s = &buffer->slots[slot];
    if (!has_news(buffer, slot))
        return 0;
    sqlite3_stmt *row = buffer_store_bind(buffer, NEXT_ROW, "ii", (int64_t)slot, s->through);
    int got;
    while ((got = buffer_sql_row(row)) > 0) {
        int64_t id = sqlite3_column_int64(row, 0);
        const char *owed = (const char *)sqlite3_column_text(row, 5);
        if (is_owed_to_any(buffer, slot, id, owed))
            break;
        settle_row(buffer, row, was_owed_to_any(buffer, owed));
        s->through = id;
    }
    sqlite3_reset(row);
    return got < 0 ? got : 0;
}

/* ---- read back */

/* Passes the rows that were settled before (what that delivered was written with it) and counts the others.
 */
static int count_undelivered(struct buffer *buffer, int slot)
{
    struct buffer_slot *s = &buffer->slots[slot];
    sqlite3_stmt *row = buffer_store_bind(buffer, NEXT_ROW, "ii", (int64_t)slot, s->through);
    bool is_behind = false;
    int got;
    while ((got = buffer_sql_row(row)) > 0) {
        int64_t id = sqlite3_column_int64(row, 0);
        const char *name = (const char *)sqlite3_column_text(row, 1);
        const char *owed = (const char *)sqlite3_column_text(row, 5);
        struct buffer_origin *origin = name ? buffer_origins_find(buffer, name) : NULL;
        is_behind = is_behind || is_owed_to_any(buffer, slot, id, owed);
        if (!is_behind)
            s->through = id;
        else if (origin && was_owed_to_any(buffer, owed))
            origin->undelivered++;
    }
    return got;
}

/* Below the lowest cursor everything is settled; from there on the rows say. */
static int64_t lowest_cursor(const struct buffer *buffer, int slot)
{
    int64_t lowest = INT64_MAX;
    for (size_t i = 0; i < buffer->backend_count; i++)
        if (buffer->backends[i].is_active && buffer->backends[i].cursor[slot] < lowest)
            lowest = buffer->backends[i].cursor[slot];
    return lowest;
}

static int load_slot(struct buffer *buffer, int slot)
{
    struct buffer_slot *s = &buffer->slots[slot];
    *s = (struct buffer_slot){0};
    int err = buffer_sql_number(
        buffer_store_bind(buffer, OLDEST, "ii", (int64_t)slot, buffer->unremovable[slot]), 0, &s->oldest);
    if (err == 0)
        err = buffer_sql_number(buffer_store_bind(buffer, NEWEST, "i", (int64_t)slot), 0, &s->newest);
    if (err < 0)
        return err;
    int64_t lowest = lowest_cursor(buffer, slot);
    s->through = lowest < s->newest ? lowest : s->newest;
    sqlite3_stmt *last = buffer_store_bind(buffer, LAST_MILESTONE, "i", (int64_t)slot);
    err = buffer_sql_row(last);
    if (err > 0) {
        s->milestone_row = sqlite3_column_int64(last, 0);
        s->milestone_at = sqlite3_column_int64(last, 1);
        sqlite3_reset(last);
    }
    return err < 0 ? err : count_undelivered(buffer, slot);
}

int buffer_rows_load(struct buffer *buffer)
{
    buffer_origins_reset_undelivered(buffer);
    int err = buffer_sql_number(buffer_store_bind(buffer, COUNT_ROWS, ""), 0, &buffer->row_count);
    for (int slot = 0; err == 0 && slot < BUFFER_SLOTS; slot++)
        err = load_slot(buffer, slot);
    return err;
}

/* ---- rows come in */

/* The owed column of a batch: NULL, or the ids of those backends of a hand-over that are configured here. */
static const char *owed_text(struct buffer *buffer, const struct batch *batch, char storage[OWED_MAX])
{
    if (!batch->handed_over || batch->owed_count == 0)
        return NULL;
    int len = snprintf(storage, OWED_MAX, ",");
    for (size_t i = 0; i < batch->owed_count && i < BATCH_MAX_OWED; i++) {
        const struct buffer_backend *backend = buffer_backends_find(buffer, batch->owed[i]);
        if (backend)
            len += snprintf(storage + len, OWED_MAX - (size_t)len, "%s", backend->key + 1);
    }
    return storage;
}

static int write_run(struct buf *out, const char *name, uint64_t begin, uint64_t end)
{
    return buf_printf(out, "%s %llu %llu\n", name, (unsigned long long)begin, (unsigned long long)end);
}

/* As buffer_reader_sources has them; empty when there are none, or memory is out; cut at SOURCES_MAX: files
 * are for people, and what a sender is not known of goes without its attributes. */
static void write_sources(const struct buffer *buffer, const struct batch *batch, struct buf *out)
{
    int err = 0;
    for (size_t i = 0; i < batch->source_count && !buffer->keeps_senders && err == 0; i++)
        err = write_run(out, batch->sources[i].file, batch->sources[i].begin, batch->sources[i].end);
    for (size_t i = 0; i < batch->sender_count && buffer->keeps_senders && err == 0; i++)
        err = write_run(out, batch->senders[i].host, batch->senders[i].begin, batch->senders[i].end);
    if (out->len && buf_append(out, "", 1) < 0)
        buf_clear(out);
}

static int insert(struct buffer *buffer, const struct batch *batch, const struct buffer_origin *origin,
                  const char *owed)
{
    struct buf sources;
    int64_t id = buffer->next_row;
    bool goes_back = batch->earliest_ns < origin->latest_ns;
    buf_init(&sources, SOURCES_MAX);
    write_sources(buffer, batch, &sources);
    int err = buffer_sql_run(buffer_store_bind(
        buffer, ADD_ROW, "iitiiiiiiiiiiiiiitt", id, (int64_t)origin->slot, batch->origin,
        (int64_t)batch->boot.id, batch->boot.started_ns, (int64_t)batch->format, (int64_t)batch->seq,
        (int64_t)batch->records, (int64_t)batch->raw_bytes, (int64_t)batch->payload.len,
        (int64_t)batch->largest_stream_bytes, batch->earliest_ns, batch->latest_ns, buffer->now_ns,
        (int64_t)batch->crc, (int64_t)batch->handed_over, (int64_t)goes_back, owed,
        sources.len ? (const char *)sources.ptr : NULL));
    buf_fini(&sources);
    if (err == 0)
        err = buffer_sql_run(buffer_store_bind(buffer, ADD_PAYLOAD, "ib", id, batch->payload));
    return err;
}

/* The mirror after a row came in. */
static int note_row(struct buffer *buffer, const struct batch *batch, struct buffer_origin *origin,
                    const char *owed)
{
    struct buffer_slot *s = &buffer->slots[origin->slot];
    int64_t id = buffer->next_row++;
    buffer->next_row_is_dirty = true;
    buffer->row_count++;
    s->newest = id;
    if (!s->oldest)
        s->oldest = id;
    if (batch->latest_ns > origin->latest_ns)
        origin->latest_ns = batch->latest_ns;
    buffer_origins_touch(buffer, origin);
    if (buffer_backends_accept(buffer, owed, batch->records) > 0) {
        origin->undelivered++;
        return 0;
    }
    return buffer_rows_pass(buffer, origin->slot);
}

/* A batch of refusals alone: its number is kept, and they are. */
static int add_report(struct buffer *buffer, struct buffer_append *append, struct buffer_origin *origin,
                      struct buffer_boot *boot)
{
    int err = boot ? buffer_origins_add_number(buffer, boot, append->batch->seq) : 0;
    if (err == 0 && origin->undelivered == 0)
        buffer_origins_deliver(buffer, origin, append->batch->boot, append->batch->seq);
    if (err == 0)
        err = buffer_refusals_keep_agents(buffer, append->batch);
    append->row_id = 0;
    append->outcome = BUFFER_COMMITTED;
    return err;
}

static int add(struct buffer *buffer, struct buffer_append *append, struct buffer_origin *origin,
               struct buffer_boot *boot)
{
    const struct batch *batch = append->batch;
    char storage[OWED_MAX];
    const char *owed = owed_text(buffer, batch, storage);
    append->row_id = buffer->next_row;
    int err = insert(buffer, batch, origin, owed);
    if (err == 0 && boot)
        err = buffer_origins_add_number(buffer, boot, batch->seq);
    if (err == 0 && !batch->handed_over)
        err = buffer_origins_move_ends(buffer, origin, batch);
    if (err == 0)
        err = note_row(buffer, batch, origin, owed);
    if (err == 0)
        err = buffer_refusals_keep_agents(buffer, batch);
    buffer_space_note_added(buffer, batch->payload.len);
    append->outcome = BUFFER_COMMITTED;
    return err;
}

static void get_standing(struct buffer_origin *origin, struct boot boot, bool is_new_row_owed,
                         struct buffer_standing *ret_standing)
{
    const struct buffer_boot *known = buffer_origins_find_boot(origin, boot);
    ret_standing->delivered_seq = known ? known->delivered : 0;
    ret_standing->holds_undelivered = origin->undelivered > is_new_row_owed;
}

/* Numbers above the highest one known here that the sender holds acknowledged, by this buffer as it resumed
 * with. */
static uint64_t count_missing(struct buffer_origin *origin, const struct buffer_boot *boot,
                              const struct batch *batch)
{
    uint64_t highest = boot ? buffer_ranges_highest(&boot->numbers) : 0;
    bool may_miss = origin->may_miss && !batch->handed_over;
    if (!batch->handed_over)
        origin->may_miss = false;
    return may_miss && batch->acknowledged_seq > highest ? batch->acknowledged_seq - highest : 0;
}

int buffer_rows_append(struct buffer *buffer, struct buffer_append *append)
{
    const struct batch *batch = append->batch;
    struct buffer_origin *origin;
    struct buffer_boot *boot = NULL;
    int err = buffer_origins_get(buffer, batch->origin, &origin);
    if (err == 0)
        err = buffer_origins_get_boot(buffer, origin, batch->boot, &boot);
    if (err < 0 && err != -ESTALE)
        return err;
    append->standing = (struct buffer_standing){.missing_seqs = count_missing(origin, boot, batch)};
    int64_t undelivered = origin->undelivered;
    err = 0;
    if (boot && buffer_ranges_has(&boot->numbers, batch->seq)) {
        append->outcome = BUFFER_REPEATED;
    } else if (append->is_in_order && boot && batch->seq < buffer_ranges_highest(&boot->numbers)) {
        append->outcome = BUFFER_LATE;
    } else if (batch_is_report(batch)) {
        err = add_report(buffer, append, origin, boot);
    } else {
        bool has_room;
        err = buffer_space_make_room(buffer, batch->payload.len, &has_room);
        undelivered = origin->undelivered;
        if (err == 0 && !has_room)
            append->outcome = BUFFER_FULL;
        else if (err == 0)
            err = add(buffer, append, origin, boot);
    }
    get_standing(origin, batch->boot, origin->undelivered > undelivered, &append->standing);
    return err;
}

int buffer_rows_resume(struct buffer *buffer, struct buffer_resume *resume)
{
    struct buffer_origin *origin = buffer_origins_find(buffer, resume->origin);
    resume->ends = NULL;
    resume->end_count = 0;
    resume->standing = (struct buffer_standing){0};
    if (!origin)
        return 0;
    if (resume->held_buffer_id) {
        bool is_ours = strcmp(resume->held_buffer_id, buffer->id) == 0;
        origin->may_miss = is_ours;
        if (!is_ours && origin->is_blocked) { /* it reads again what was handed over and not delivered */
            origin->is_blocked = false;
            buffer_origins_touch(buffer, origin);
        }
    }
    get_standing(origin, resume->boot, false, &resume->standing);
    return buffer_origins_get_ends(buffer, origin, &resume->ends, &resume->end_count);
}

/* ---- rows are handed over and go */

static int give_number_back(struct buffer *buffer, struct buffer_origin *origin, struct boot boot,
                            uint64_t seq)
{
    struct buffer_boot *known = buffer_origins_find_boot(origin, boot);
    return known ? buffer_origins_remove_number(buffer, known, seq) : 0;
}

/* `row` stands on GET_ROW; it is reset. The number is given back: should the row return from there, it is new
 * here. */
static int mark_handed(struct buffer *buffer, sqlite3_stmt *row, int64_t id)
{
    int slot = (int)sqlite3_column_int64(row, 0);
    const char *name = (const char *)sqlite3_column_text(row, 1);
    struct buffer_origin *origin = name ? buffer_origins_find(buffer, name) : NULL;
    const char *owed = (const char *)sqlite3_column_text(row, 4);
    bool was_owed = is_owed_to_any(buffer, slot, id, owed);
    struct boot boot = boot_of(row, 5);
    uint64_t seq = (uint64_t)sqlite3_column_int64(row, 7);
    if (was_owed)
        buffer_backends_count(buffer, slot, id, owed, (uint64_t)sqlite3_column_int64(row, 2),
                              BUFFER_HANDED_OVER);
    sqlite3_reset(row);
    if (!was_owed || !origin)
        return 0;
    origin->undelivered -= origin->undelivered > 0;
    origin->is_blocked = true;
    buffer_origins_touch(buffer, origin);
    int err = buffer_sql_run(buffer_store_bind(buffer, SET_OWED, "it", id, ","));
    if (err == 0)
        err = give_number_back(buffer, origin, boot, seq);
    return err < 0 ? err : buffer_rows_pass(buffer, slot);
}

int buffer_rows_hand_over(struct buffer *buffer, int64_t id)
{
    sqlite3_stmt *row = buffer_store_bind(buffer, GET_ROW, "i", id);
    int got = buffer_sql_row(row);
    if (got <= 0)
        return got < 0 ? got : -ENOENT;
    return mark_handed(buffer, row, id);
}

/* `row` stands on GET_ROW of a row that goes; it is reset. */
static int64_t note_removed(struct buffer *buffer, sqlite3_stmt *row, int slot, int64_t id)
{
    const char *owed = (const char *)sqlite3_column_text(row, 4);
    int64_t payload_bytes = sqlite3_column_int64(row, 3);
    bool was_owed = is_owed_to_any(buffer, slot, id, owed);
    buffer->tally.dropped_batches += was_owed;
    buffer_backends_count(buffer, slot, id, owed, (uint64_t)sqlite3_column_int64(row, 2), BUFFER_DROPPED);
    if (id > buffer->slots[slot].through) {
        const char *name = (const char *)sqlite3_column_text(row, 1);
        struct buffer_origin *origin = name ? buffer_origins_find(buffer, name) : NULL;
        if (origin && was_owed_to_any(buffer, owed) && origin->undelivered > 0)
            origin->undelivered--;
        if (origin && was_owed)
            buffer_origins_deliver(buffer, origin, boot_of(row, 5), (uint64_t)sqlite3_column_int64(row, 7));
        buffer->slots[slot].through = id;
    }
    sqlite3_reset(row);
    return payload_bytes;
}

int buffer_rows_remove(struct buffer *buffer, int slot)
{
    struct buffer_slot *s = &buffer->slots[slot];
    int64_t id = s->oldest;
    sqlite3_stmt *row = buffer_store_bind(buffer, GET_ROW, "i", id);
    int got = buffer_sql_row(row);
    if (got < 0)
        return got;
    if (got > 0)
        buffer_space_note_removed(buffer, note_removed(buffer, row, slot, id));
    int err = buffer_sql_run(buffer_store_bind(buffer, REMOVE_ROW, "i", id));
    if (err == 0)
        err = buffer_sql_run(buffer_store_bind(buffer, REMOVE_PAYLOAD, "i", id));
    if (err == 0)
        err = buffer_sql_number(buffer_store_bind(buffer, OLDEST, "ii", (int64_t)slot, id), 0, &s->oldest);
    if (err == -EUCLEAN) /* its pages are damaged: it stays, the others go on */
        buffer->unremovable[slot] = id;
    if (err == 0)
        buffer->row_count--;
    return err;
}
