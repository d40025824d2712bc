#include "base/buffer/buffer_space.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/buffer/buffer_origins.h"
#include "base/buffer/buffer_reader.h"
#include "base/buffer/buffer_rows.h"
#include "base/buffer/buffer_schema.h"
#include "base/clock.h"

enum {
    ROW_COST = 256,  /* bytes of a row beside its payload: head, index, cells */
    TIDY_ROWS = 512, /* removed in one step at most */
    TIDY_BYTES = 64 << 20,
    NEARLY_EMPTY = 8,        /* the file shrinks when less than one page in so many is used */
    SHRINK_FLOOR = 64 << 20, /* a file below this many bytes is left as it is */
    MILESTONES = 64,         /* kept over a retention, per slot */
    RESTART_WAIT_MS = 100,   /* how long a checkpoint that must restart the WAL waits for readers */
    RESTART_PERIOD_NS = 500000000,
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- limits */

int buffer_space_init(struct buffer *buffer)
{
    int64_t quota = buffer->quota_bytes;
    char text[192];
    buffer->wal_limit_bytes = least(BUFFER_WAL_LIMIT, quota / 4);
    buffer->checkpoint_bytes = least(BUFFER_CHECKPOINT, quota / 16);
    buffer->refusal_limit_bytes = least(BUFFER_REFUSAL_LIMIT, quota / 16);
    buffer->max_pages = (quota - 2 * buffer->checkpoint_bytes) / BUFFER_PAGE_SIZE;
    snprintf(text, sizeof text, "PRAGMA max_page_count=%lld; PRAGMA journal_size_limit=%lld;",
             (long long)buffer->max_pages, (long long)(2 * buffer->checkpoint_bytes));
    return buffer_sql_exec(buffer->db, text);
}

int buffer_space_begin(struct buffer *buffer)
{
    int err = buffer_sql_number(buffer_store_bind(buffer, PAGES, ""), 0, &buffer->pages);
    if (err == 0)
        err = buffer_sql_number(buffer_store_bind(buffer, FREE_PAGES, ""), 0, &buffer->free_pages);
    buffer->transaction_bytes = 0;
    return err;
}

/* ---- room for a batch */

/* What a payload takes: its part of a page when it is small, whole pages when it is not. In 1/16 of a page,
 * so that many small ones in one transaction are not counted as a page each. */
static int64_t cost_of(int64_t payload_bytes)
{
    int64_t bytes = payload_bytes + ROW_COST;
    int64_t unit = payload_bytes < BUFFER_PAGE_SIZE / 2 ? BUFFER_PAGE_SIZE / 16 : BUFFER_PAGE_SIZE;
    return (bytes + unit - 1) / unit * unit;
}

/* On the average half a payload of a page is unused, and half a page of a payload that takes several. */
int64_t buffer_held_bytes(int64_t rows, int64_t payload_bytes)
{
    int64_t each = rows ? payload_bytes / rows : 0;
    int64_t unused = each < BUFFER_PAGE_SIZE ? each * each / (2 * BUFFER_PAGE_SIZE) : BUFFER_PAGE_SIZE / 2;
    return payload_bytes + rows * (ROW_COST + unused);
}

/* Bytes of the file that are in use, with what refusals may still take. */
static int64_t used_bytes(const struct buffer *buffer)
{
    return (buffer->pages - buffer->free_pages) * BUFFER_PAGE_SIZE + buffer->refusal_limit_bytes -
           least(buffer->refusal_bytes, buffer->refusal_limit_bytes);
}

static int64_t most_bytes(const struct buffer *buffer)
{
    return buffer->max_pages * BUFFER_PAGE_SIZE / 100 * 98;
}

static bool wal_has_room(const struct buffer *buffer, int64_t cost)
{
    int64_t wal = buffer->wal_bytes + buffer->transaction_bytes + cost;
    int64_t free_bytes = buffer->free_pages * BUFFER_PAGE_SIZE;
    int64_t growth = cost > free_bytes ? cost - free_bytes : 0;
    return wal <= buffer->wal_limit_bytes &&
           wal + buffer->pages * BUFFER_PAGE_SIZE + growth <= buffer->quota_bytes;
}

void buffer_space_note_added(struct buffer *buffer, size_t payload_bytes)
{
    int64_t cost = cost_of((int64_t)payload_bytes);
    int64_t pages = cost / BUFFER_PAGE_SIZE;
    buffer->transaction_bytes += cost;
    buffer->pages += pages > buffer->free_pages ? pages - buffer->free_pages : 0;
    buffer->free_pages -= least(pages, buffer->free_pages);
}

void buffer_space_note_removed(struct buffer *buffer, int64_t payload_bytes)
{
    buffer->free_pages += cost_of(payload_bytes) / BUFFER_PAGE_SIZE;
    buffer->transaction_bytes += ROW_COST;
}

/* The slot whose oldest row is the oldest of all that may go; -1 when there is none. */
static int oldest_slot(const struct buffer *buffer, bool only_settled)
{
    int found = -1;
    for (int slot = 0; slot < BUFFER_SLOTS; slot++) {
        const struct buffer_slot *s = &buffer->slots[slot];
        if (s->oldest && (!only_settled || s->oldest <= s->through) &&
            (found < 0 || s->oldest < buffer->slots[found].oldest))
            found = slot;
    }
    return found;
}

/* Deleting small rows frees pages only now and then, so the file is measured after some. */
static int remove_some(struct buffer *buffer, int64_t need, bool *ret_removed)
{
    int64_t before = buffer->transaction_bytes, freed = 0;
    *ret_removed = false;
    while (freed < need) {
        int slot = oldest_slot(buffer, true);
        if (slot < 0 && buffer->when_full == BUFFER_DROP_OLDEST)
            slot = oldest_slot(buffer, false);
        if (slot < 0)
            break;
        int64_t free_pages = buffer->free_pages;
        int err = buffer_rows_remove(buffer, slot);
        if (err < 0)
            return err;
        freed += (buffer->free_pages - free_pages) * BUFFER_PAGE_SIZE + BUFFER_PAGE_SIZE / 16;
        *ret_removed = true;
    }
    int64_t written = buffer->transaction_bytes;
    int err = buffer_space_begin(buffer);
    buffer->transaction_bytes = written > before ? written : before;
    return err;
}

int buffer_space_make_room(struct buffer *buffer, size_t bytes, bool *ret_has_room)
{
    int64_t cost = cost_of((int64_t)bytes);
    bool removed = true;
    *ret_has_room = false;
    if (cost + buffer->refusal_limit_bytes > most_bytes(buffer) || buffer->is_too_old)
        return 0;
    while (removed) {
        int64_t over = used_bytes(buffer) + cost - most_bytes(buffer);
        if (over <= 0) {
            *ret_has_room = wal_has_room(buffer, cost);
            buffer->wal_is_short |= !*ret_has_room;
            return 0;
        }
        int err = remove_some(buffer, over, &removed);
        if (err < 0)
            return err;
    }
    return 0;
}

/* ---- the WAL */

static int64_t size_of(const char *path, const char *suffix)
{
    char name[4096];
    struct stat st;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return stat(name, &st) == 0 ? (int64_t)st.st_size : 0;
}

void buffer_space_measure(struct buffer *buffer)
{
    buffer->tally.file_bytes = size_of(buffer->path, "");
    buffer->tally.wal_bytes = size_of(buffer->path, "-wal");
    buffer->tally.room_bytes = most_bytes(buffer) - buffer->refusal_limit_bytes;
    buffer->tally.rows = buffer->row_count;
    buffer->tally.refused_bytes = buffer->refusal_bytes;
    buffer->tally.refused_forgotten = (uint64_t)buffer->refusals_forgotten;
}

static void checkpoint(struct buffer *buffer, int mode)
{
    int log = 0, done = 0;
    sqlite3_busy_timeout(buffer->db, mode == SQLITE_CHECKPOINT_PASSIVE ? 0 : RESTART_WAIT_MS);
    int code = sqlite3_wal_checkpoint_v2(buffer->db, NULL, mode, &log, &done);
    sqlite3_busy_timeout(buffer->db, BUFFER_SQL_BUSY_MS);
    if (log < 0)
        return;
    buffer->wal_bytes = (int64_t)log * BUFFER_PAGE_SIZE;
    buffer->wal_checkpointed = (int64_t)done * BUFFER_PAGE_SIZE;
    if (code == SQLITE_OK && mode != SQLITE_CHECKPOINT_PASSIVE)
        buffer->wal_bytes = buffer->wal_checkpointed = 0; /* the next write begins at its start */
}

/* PASSIVE never waits; when readers leave no moment to begin the WAL again, or a batch found no room in it,
 * RESTART asks for one. */
void buffer_space_checkpoint(struct buffer *buffer)
{
    bool is_long = buffer->wal_bytes >= buffer->wal_limit_bytes / 2 || buffer->wal_is_short;
    if (buffer->wal_bytes - buffer->wal_checkpointed >= buffer->checkpoint_bytes)
        checkpoint(buffer, SQLITE_CHECKPOINT_PASSIVE);
    if (is_long && clock_mono_ns() >= buffer->next_restart_ns) {
        checkpoint(buffer, SQLITE_CHECKPOINT_RESTART);
        buffer->wal_is_short = false;
        buffer->next_restart_ns = clock_mono_ns() + RESTART_PERIOD_NS;
    }
    char *reader = buffer->tally.wal_reader;
    if (buffer->wal_bytes >= buffer->wal_limit_bytes / 2)
        buffer_reader_name_oldest(buffer, reader, sizeof buffer->tally.wal_reader);
    else
        reader[0] = '\0';
}

/* ---- retention */

/* Notes when the slot's rows were settled, finely enough for the retention. */
static int add_milestone(struct buffer *buffer, int slot)
{
    struct buffer_slot *s = &buffer->slots[slot];
    if (s->through <= s->milestone_row || buffer->retention_ns == 0 ||
        buffer->now_ns - s->milestone_at < buffer->retention_ns / MILESTONES)
        return 0;
    s->milestone_row = s->through;
    s->milestone_at = buffer->now_ns;
    return buffer_sql_run(
        buffer_store_bind(buffer, ADD_MILESTONE, "iii", (int64_t)slot, s->through, buffer->now_ns));
}

/* Up to which row the slot's rows were settled a whole retention ago. */
static int get_ripe(struct buffer *buffer, int slot, int64_t *ret_row)
{
    *ret_row = buffer->slots[slot].through;
    if (buffer->retention_ns == 0)
        return 0;
    int64_t edge = buffer->now_ns - buffer->retention_ns;
    return buffer_sql_number(buffer_store_bind(buffer, RIPE_MILESTONE, "ii", (int64_t)slot, edge), 0,
                             ret_row);
}

struct tidy {
    int64_t rows, freed_pages;
    bool is_spent;
};

static int tidy_slot(struct buffer *buffer, int slot, struct tidy *tidy)
{
    struct buffer_slot *s = &buffer->slots[slot];
    int64_t ripe, first_free = buffer->free_pages;
    int err = add_milestone(buffer, slot);
    if (err < 0 || !s->oldest || s->oldest > s->through)
        return err;
    err = get_ripe(buffer, slot, &ripe);
    while (err == 0 && s->oldest && s->oldest <= ripe && s->oldest <= s->through && !tidy->is_spent) {
        err = buffer_rows_remove(buffer, slot);
        tidy->rows++;
        tidy->is_spent = tidy->rows >= TIDY_ROWS ||
                         tidy->freed_pages + buffer->free_pages - first_free >= TIDY_BYTES / BUFFER_PAGE_SIZE;
    }
    tidy->freed_pages += buffer->free_pages - first_free;
    bool is_done = !s->oldest || s->oldest > ripe;
    if (err == 0 && ripe > 0 && is_done && buffer->retention_ns > 0)
        err = buffer_sql_run(buffer_store_bind(buffer, REMOVE_MILESTONES, "ii", (int64_t)slot, ripe));
    return err;
}

/* ---- the quota of age */

/* Whether the oldest row of the slot that is owed to somebody waits for too long. */
static int is_slot_too_old(struct buffer *buffer, int slot, bool *ret_is)
{
    const struct buffer_slot *s = &buffer->slots[slot];
    int64_t committed_ns = 0;
    *ret_is = false;
    if (s->newest <= s->through)
        return 0;
    int err = buffer_sql_number(buffer_store_bind(buffer, OLDEST_OWED, "ii", (int64_t)slot, s->through), 0,
                                &committed_ns);
    *ret_is = err == 0 && committed_ns && buffer->now_ns - committed_ns > buffer->quota_age_ns;
    return err;
}

/* Rows go oldest first, so those go too that are only kept before them. */
static int drop_too_old(struct buffer *buffer, int slot, struct tidy *tidy)
{
    bool is_too_old = true;
    int err = 0;
    while (err == 0 && !tidy->is_spent) {
        err = is_slot_too_old(buffer, slot, &is_too_old);
        if (err < 0 || !is_too_old || !buffer->slots[slot].oldest)
            break;
        err = buffer_rows_remove(buffer, slot);
        tidy->is_spent = ++tidy->rows >= TIDY_ROWS;
    }
    return err;
}

static int apply_age(struct buffer *buffer, struct tidy *tidy)
{
    bool is_any = false;
    int err = 0;
    for (int slot = 0; err == 0 && buffer->quota_age_ns && slot < BUFFER_SLOTS; slot++) {
        bool is_one;
        if (buffer->when_full == BUFFER_DROP_OLDEST)
            err = drop_too_old(buffer, slot, tidy);
        else if ((err = is_slot_too_old(buffer, slot, &is_one)) == 0)
            is_any |= is_one;
    }
    buffer->is_too_old = is_any;
    return err;
}

static int tidy_rows(struct buffer *buffer, bool *ret_has_more)
{
    struct tidy tidy = {0};
    int err = 0;
    for (int slot = 0; err == 0 && slot < BUFFER_SLOTS && !tidy.is_spent; slot++)
        err = tidy_slot(buffer, slot, &tidy);
    if (err == 0)
        err = apply_age(buffer, &tidy);
    *ret_has_more = tidy.is_spent;
    return err;
}

static bool is_nearly_empty(const struct buffer *buffer)
{
    return buffer->pages * BUFFER_PAGE_SIZE > SHRINK_FLOOR &&
           buffer->pages - buffer->free_pages < buffer->pages / NEARLY_EMPTY;
}

/* A step of it. What was given up in the WAL is cut off the file by a checkpoint that gets to the WAL's end,
 * which nothing else would ask for when there is no traffic. */
static int shrink(struct buffer *buffer, bool *ret_has_more)
{
    if (is_nearly_empty(buffer)) {
        int err = buffer_sql_run(buffer_store_bind(buffer, VACUUM, ""));
        *ret_has_more = err == 0;
        return err;
    }
    if (size_of(buffer->path, "") > buffer->pages * BUFFER_PAGE_SIZE + SHRINK_FLOOR)
        checkpoint(buffer, SQLITE_CHECKPOINT_PASSIVE);
    return 0;
}

int buffer_space_tidy(struct buffer *buffer, bool *ret_has_more)
{
    *ret_has_more = false;
    int err = buffer_store_begin(buffer);
    if (err == 0)
        err = tidy_rows(buffer, ret_has_more);
    if (err == 0)
        err = buffer_origins_tidy(buffer);
    if (err == 0)
        err = buffer_store_commit(buffer);
    if (err == 0 && !*ret_has_more)
        err = shrink(buffer, ret_has_more);
    if (err < 0)
        buffer_store_rollback(buffer);
    return err;
}
