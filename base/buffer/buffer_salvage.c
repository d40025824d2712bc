#include "base/buffer/buffer_salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer/buffer_missing.h"
#include "base/buffer/buffer_rows.h"
#include "base/buffer/buffer_schema.h"
#include "base/buffer/buffer_space.h"
#include "base/buffer/buffer_walk.h"

enum { MOST_PAYLOAD = 1 << 30, GROUP_ROWS = 64, GROUP_BYTES = 16 << 20 };
enum { LEAST_PAGES = 64 /* all roots of a new file stand before it */, MOST_PAGES = 1 << 27 };

struct salvage {
    struct buffer *buffer; /* borrowed */
    struct buffer_walk walk;
    struct buf payload;
    struct {
        int64_t id;
        char name[64];
    } backends[BUFFER_MAX_BACKENDS]; /* of the old file */
    size_t backend_count;
    bool knows_backends;
    uint64_t rows, records, damaged, without_room;
    struct buffer_seen seen, lost; /* numbers of all heads that can be read; of those that do not come over */
    int64_t group_rows, group_bytes;
};

/* ---- the first page */

static int write_page(const char *path, const uint8_t *page, off_t at)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    int err = pwrite(fd, page, BUFFER_PAGE_SIZE, at) == BUFFER_PAGE_SIZE && fsync(fd) == 0 ? 0 : -EIO;
    close(fd);
    return err;
}

static int read_page(const char *path, uint8_t page[BUFFER_PAGE_SIZE], int64_t *ret_size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = fstat(fd, &st) == 0 ? pread(fd, page, BUFFER_PAGE_SIZE, 0) : -1;
    close(fd);
    *ret_size = n == BUFFER_PAGE_SIZE ? (int64_t)st.st_size : 0;
    return n == BUFFER_PAGE_SIZE ? 0 : -EIO;
}

/* The first page of a new file: the tables' roots are at the same places in every file of this version. */
static int make_first_page(const char *aside, uint8_t page[BUFFER_PAGE_SIZE])
{
    char path[4096];
    sqlite3 *db;
    struct buf errors;
    int64_t size;
    snprintf(path, sizeof path, "%s.template", aside);
    buf_init(&errors, 4096);
    int err = buffer_schema_open(path, &db, NULL, &errors);
    buf_fini(&errors);
    if (err < 0)
        return err;
    sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_close(db);
    err = read_page(path, page, &size);
    unlink(path);
    return err;
}

static void put_32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get_32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* SQLite opens no file that is shorter than its header says, or than its tables' roots are far: what was cut
 * off becomes empty pages (a hole), so that the rest can be read. */
static void lengthen(const char *aside)
{
    uint8_t page[BUFFER_PAGE_SIZE];
    struct stat st;
    int fd = open(aside, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    uint32_t pages = pread(fd, page, sizeof page, 0) == sizeof page && !memcmp(page, "SQLite format 3", 16)
                         ? get_32(page + 28)
                         : 0;
    pages = pages < MOST_PAGES ? pages : 0;
    pages = pages > LEAST_PAGES ? pages : LEAST_PAGES;
    if (fstat(fd, &st) == 0 && st.st_size < (off_t)pages * BUFFER_PAGE_SIZE)
        (void)!ftruncate(fd, (off_t)pages * BUFFER_PAGE_SIZE);
    close(fd);
}

/* SQLite's header (sqlite.org/fileformat2.html): size in pages at 28, freelist at 32 and 36. */
static int replace_first_page(const char *aside)
{
    uint8_t old[BUFFER_PAGE_SIZE], page[BUFFER_PAGE_SIZE];
    char kept[4096];
    int64_t size;
    int err = read_page(aside, old, &size);
    if (err == 0)
        err = make_first_page(aside, page);
    if (err < 0)
        return err;
    put_32(page + 28, (uint32_t)(size / BUFFER_PAGE_SIZE));
    put_32(page + 32, 0);
    put_32(page + 36, 0);
    memcpy(page + 92, page + 24, 4); /* the size is valid for this change */
    snprintf(kept, sizeof kept, "%s.page1", aside);
    err = write_page(kept, old, 0);
    return err < 0 ? err : write_page(aside, page, 0);
}

/* ---- whom a row is owed to */

/* What cannot be trusted here would have rows taken for delivered: then they are owed to all. */
static bool is_sound(sqlite3 *db, const char *check)
{
    sqlite3_stmt *row = NULL;
    int err = buffer_sql_prepare(db, &check, 1, &row), got = err < 0 ? err : buffer_sql_row(row);
    const char *said = got > 0 ? (const char *)sqlite3_column_text(row, 0) : NULL;
    bool is_ok = said && strcmp(said, "ok") == 0;
    sqlite3_finalize(row);
    return is_ok;
}

/* Names that no configuration can have are damage. */
static bool is_name(const char *name)
{
    size_t len = name ? strlen(name) : 0;
    for (size_t i = 0; i < len; i++)
        if (name[i] < ' ' || name[i] > '~')
            return false;
    return len > 0 && len < 64;
}

static void read_backends(struct salvage *s)
{
    static const char *const text = "SELECT id, name FROM backend ORDER BY id";
    sqlite3_stmt *statement = NULL;
    int got = buffer_sql_prepare(s->walk.db, &text, 1, &statement);
    bool are_names = true;
    while (got >= 0 && (got = buffer_sql_row(statement)) > 0 && s->backend_count < BUFFER_MAX_BACKENDS) {
        const char *name = (const char *)sqlite3_column_text(statement, 1);
        are_names = are_names && is_name(name);
        s->backends[s->backend_count].id = sqlite3_column_int64(statement, 0);
        snprintf(s->backends[s->backend_count++].name, 64, "%s", name ? name : "");
    }
    sqlite3_finalize(statement);
    s->knows_backends = got >= 0 && s->backend_count > 0 && are_names &&
                        is_sound(s->walk.db, "PRAGMA integrity_check('backend')") &&
                        is_sound(s->walk.db, "PRAGMA integrity_check('cursor')");
}

static int name_owed(struct salvage *s, const struct buffer_row *row, struct batch *batch)
{
    int err = s->knows_backends ? batch_add_owed(batch, "") : 0; /* nobody, unless others follow */
    for (size_t i = 0; err == 0 && s->knows_backends && i < s->backend_count; i++) {
        char key[32];
        int64_t cursor = 0;
        snprintf(key, sizeof key, ",%lld,", (long long)s->backends[i].id);
        bool is_for_it = !s->walk.owed[0] || strstr(s->walk.owed, key);
        (void)buffer_walk_cursor(&s->walk, s->backends[i].id, row->slot, &cursor);
        bool is_cursor = cursor >= 0 && cursor <= s->walk.last;
        if (is_for_it && (row->id > cursor || !is_cursor))
            err = batch_add_owed(batch, s->backends[i].name);
    }
    return err;
}

/* ---- rows */

static int make_batch(struct salvage *s, const struct buffer_row *row, struct batch **ret_batch)
{
    struct batch *batch = batch_new(row->origin);
    if (!batch)
        return -ENOMEM;
    batch->boot = row->boot;
    batch->signal = s->buffer->signal;
    batch->format = row->format;
    batch->seq = row->seq;
    batch->records = row->records;
    batch->raw_bytes = row->raw_bytes;
    batch->largest_stream_bytes = row->largest_stream_bytes;
    batch->earliest_ns = row->earliest_ns;
    batch->latest_ns = row->latest_ns;
    batch->handed_over = true;
    int err = name_owed(s, row, batch);
    size_t len;
    uint8_t *bytes = buf_detach(&s->payload, &len);
    batch_take_payload(batch, bytes, len);
    if (err < 0) {
        batch_free(batch);
        return err;
    }
    *ret_batch = batch;
    return 0;
}

static int bring(struct salvage *s, const struct buffer_row *row)
{
    struct batch *batch;
    int err = make_batch(s, row, &batch);
    if (err < 0)
        return err;
    struct buffer_append append = {.batch = batch};
    s->group_rows++;
    s->group_bytes += (int64_t)batch->payload.len;
    err = buffer_rows_append(s->buffer, &append);
    batch_free(batch);
    if (err == 0 && append.outcome == BUFFER_FULL) {
        s->without_room++;
        err = buffer_seen_add(&s->lost, row);
    } else if (err == 0) {
        s->rows++;
        s->records += row->records;
    }
    return err;
}

/* Up to a group in one transaction. -ENOENT at the end, committed. */
static int bring_group(struct salvage *s)
{
    struct buffer_row row;
    int err = buffer_store_begin(s->buffer), end = 0;
    s->group_rows = s->group_bytes = 0;
    while (err == 0 && s->group_rows < GROUP_ROWS && s->group_bytes < GROUP_BYTES) {
        end = buffer_walk_next(&s->walk, &row);
        if (end < 0)
            break;
        err = buffer_seen_add(&s->seen, &row);
        if (err == 0)
            err = buffer_walk_payload(&s->walk, &row, &s->payload);
        if (err == 0)
            err = bring(s, &row);
        else if (err == -EBADMSG) {
            s->damaged++;
            err = buffer_seen_add(&s->lost, &row);
        }
    }
    if (err == 0)
        err = buffer_store_commit(s->buffer);
    if (err < 0)
        buffer_store_rollback(s->buffer);
    return err < 0 ? err : end;
}

/* ---- what is missing */

struct telling {
    const char *aside;
    struct buf *errors;
};

static void say_missing(void *ctx, const char *line)
{
    const struct telling *t = ctx;
    buf_printf(t->errors, "%s: %s\n", t->aside, line);
}

static void tell_missing(struct salvage *s, const char *aside, struct buf *errors)
{
    struct telling telling = {aside, errors};
    uint64_t count;
    buffer_seen_say(&s->lost, say_missing, &telling);
    if (buffer_missing_find(s->walk.db, &s->seen, say_missing, &telling, &count) < 0)
        buf_printf(errors,
                   "%s: the committed numbers cannot be read whole: what of them is missing is told when the "
                   "agents speak again\n",
                   aside);
}

int buffer_salvage(struct buffer *buffer, const char *aside, struct buf *errors)
{
    struct salvage *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->buffer = buffer;
    buf_init(&s->payload, MOST_PAYLOAD);
    lengthen(aside);
    int err = buffer_walk_open(&s->walk, aside);
    if (err == -EUCLEAN && replace_first_page(aside) == 0)
        err = buffer_walk_open(&s->walk, aside);
    if (err < 0) {
        buf_printf(errors, "%s: nothing of it can be read\n", aside);
        err = err == -ENOMEM ? err : 0;
    } else {
        read_backends(s);
        buffer_walk_use_leaves(&s->walk, aside);
        while ((err = bring_group(s)) == 0)
            buffer_space_checkpoint(buffer);
        buf_printf(errors,
                   "%s: salvaged %llu batches with %llu records; damaged %llu, unreadable %llu (rows %lld to "
                   "%lld), no room for %llu, found by their "
                   "leaves alone %llu\n",
                   aside, (unsigned long long)s->rows, (unsigned long long)s->records,
                   (unsigned long long)s->damaged, (unsigned long long)s->walk.unreadable,
                   (long long)s->walk.first_unreadable, (long long)s->walk.last_unreadable,
                   (unsigned long long)s->without_room, (unsigned long long)s->walk.from_leaves);
        tell_missing(s, aside, errors);
        buffer_walk_close(&s->walk);
        err = err == -ENOENT ? 0 : err;
    }
    bool is_unreadable = err == -EUCLEAN || err == -EIO || err == -EACCES;
    buf_fini(&s->payload);
    buffer_seen_fini(&s->seen);
    buffer_seen_fini(&s->lost);
    free(s);
    return is_unreadable ? 0 : err;
}
