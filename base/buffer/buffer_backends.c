#include "base/buffer/buffer_backends.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer/buffer_progress.h"
#include "base/buffer/buffer_rows.h"

void buffer_backends_free(struct buffer *buffer)
{
    for (size_t i = 0; i < buffer->backend_count; i++)
        free(buffer->backends[i].name);
    free(buffer->backends);
    buffer->backends = NULL;
    buffer->backend_count = 0;
}

static int add(struct buffer *buffer, int64_t id, const char *name, struct buffer_backend **ret_backend)
{
    struct buffer_backend *all = realloc(buffer->backends, (buffer->backend_count + 1) * sizeof *all);
    if (!all)
        return -ENOMEM;
    buffer->backends = all;
    struct buffer_backend *backend = &all[buffer->backend_count];
    *backend = (struct buffer_backend){.id = id, .name = strdup(name)};
    if (!backend->name)
        return -ENOMEM;
    snprintf(backend->key, sizeof backend->key, ",%lld,", (long long)id);
    buffer->backend_count++;
    *ret_backend = backend;
    return 0;
}

static int load_row(struct buffer *buffer, sqlite3_stmt *row)
{
    struct buffer_backend *backend;
    const char *name = (const char *)sqlite3_column_text(row, 1);
    int err = name ? add(buffer, sqlite3_column_int64(row, 0), name, &backend) : -EUCLEAN;
    if (err < 0)
        return err;
    backend->is_active = sqlite3_column_type(row, 2) == SQLITE_NULL;
    backend->until = sqlite3_column_int64(row, 2);
    backend->accepted = (uint64_t)sqlite3_column_int64(row, 3);
    for (int cause = 0; cause < BUFFER_CAUSES; cause++)
        backend->by_cause[cause] = (uint64_t)sqlite3_column_int64(row, 4 + cause);
    return 0;
}

static int load_cursors(struct buffer *buffer, struct buffer_backend *backend)
{
    sqlite3_stmt *row = buffer_store_bind(buffer, LOAD_CURSORS, "i", backend->id);
    int got;
    while ((got = buffer_sql_row(row)) > 0) {
        int64_t slot = sqlite3_column_int64(row, 0);
        if (slot >= 0 && slot < BUFFER_SLOTS)
            backend->cursor[slot] = sqlite3_column_int64(row, 1);
    }
    return got;
}

int buffer_backends_load(struct buffer *buffer)
{
    buffer_backends_free(buffer);
    sqlite3_stmt *row = buffer_store_bind(buffer, LOAD_BACKENDS, "");
    int got, err = 0;
    while (err == 0 && (got = buffer_sql_row(row)) > 0)
        err = load_row(buffer, row);
    sqlite3_reset(row);
    for (size_t i = 0; err == 0 && i < buffer->backend_count; i++)
        err = load_cursors(buffer, &buffer->backends[i]);
    for (size_t i = 0; err == 0 && i < buffer->backend_count; i++)
        err = buffer_progress_load(buffer, &buffer->backends[i]);
    return err < 0 ? err : got;
}

/* ---- which are configured */

static struct buffer_backend *find_any(struct buffer *buffer, const char *name)
{
    for (size_t i = 0; i < buffer->backend_count; i++)
        if (strcmp(buffer->backends[i].name, name) == 0)
            return &buffer->backends[i];
    return NULL;
}

struct buffer_backend *buffer_backends_find(struct buffer *buffer, const char *name)
{
    struct buffer_backend *backend = find_any(buffer, name);
    return backend && backend->is_active ? backend : NULL;
}

/* Rows that came while it was away, or before it was there, and are behind its cursors are owed to it now. */
static int accept_since(struct buffer *buffer, struct buffer_backend *backend, int64_t since)
{
    int64_t records;
    int err = buffer_sql_number(buffer_store_bind(buffer, SUM_SINCE, "iit", backend->id, since, backend->key),
                                0, &records);
    if (err == 0) {
        backend->accepted += (uint64_t)records;
        backend->is_dirty = true;
    }
    return err;
}

static int set_until(struct buffer *buffer, struct buffer_backend *backend, int64_t until)
{
    backend->is_active = until < 0;
    backend->until = until;
    return buffer_sql_run(buffer_store_bind(buffer, SET_UNTIL, "ii", backend->id, until));
}

static int start_new(struct buffer *buffer, const char *name, bool is_first)
{
    struct buffer_backend *backend = NULL;
    int err = buffer_sql_run(buffer_store_bind(buffer, ADD_BACKEND, "t", name));
    if (err == 0)
        err = add(buffer, sqlite3_last_insert_rowid(buffer->db), name, &backend);
    if (err < 0)
        return err;
    backend->is_active = true;
    int64_t start = is_first ? 0 : buffer->next_row - 1;
    for (int slot = 0; err == 0 && slot < BUFFER_SLOTS; slot++) {
        backend->cursor[slot] = start;
        err = buffer_sql_run(buffer_store_bind(buffer, SET_CURSOR, "iii", backend->id, (int64_t)slot, start));
    }
    return err < 0 ? err : accept_since(buffer, backend, 0);
}

static bool is_wanted(const struct buffer_options *options, const char *name)
{
    for (size_t i = 0; i < options->backend_count; i++)
        if (strcmp(options->backends[i], name) == 0)
            return true;
    return false;
}

static int take_up(struct buffer *buffer, const char *name, bool is_first)
{
    struct buffer_backend *backend = find_any(buffer, name);
    if (!backend)
        return start_new(buffer, name, is_first);
    if (backend->is_active)
        return 0;
    int err = accept_since(buffer, backend, backend->until);
    return err < 0 ? err : set_until(buffer, backend, -1);
}

/* Those that are no longer configured are no longer waited for. */
static int put_away(struct buffer *buffer, const struct buffer_options *options)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < buffer->backend_count; i++)
        if (buffer->backends[i].is_active && !is_wanted(options, buffer->backends[i].name))
            err = set_until(buffer, &buffer->backends[i], buffer->next_row - 1);
    for (int slot = 0; err == 0 && slot < BUFFER_SLOTS; slot++)
        err = buffer_rows_pass(buffer, slot);
    return err;
}

int buffer_backends_configure(struct buffer *buffer, const struct buffer_options *options)
{
    bool is_first = buffer->backend_count == 0;
    int err = buffer_store_begin(buffer);
    if (err == 0)
        err = put_away(buffer, options);
    for (size_t i = 0; err == 0 && i < options->backend_count; i++)
        err = take_up(buffer, options->backends[i], is_first);
    for (size_t i = 0; err == 0 && i < buffer->backend_count; i++)
        if (buffer->backends[i].is_active)
            err = buffer_progress_begin(buffer, &buffer->backends[i]);
    if (err == 0)
        err = buffer_rows_load(buffer);
    if (err == 0)
        err = buffer_store_commit(buffer);
    if (err < 0)
        buffer_store_rollback(buffer);
    return err;
}

/* ---- the ledger */

bool buffer_backends_is_owed(const struct buffer_backend *backend, const char *owed)
{
    return !owed || strstr(owed, backend->key);
}

bool buffer_backends_owes(const struct buffer_backend *backend, int slot, int64_t row, const char *owed)
{
    return row > backend->cursor[slot] && (backend->is_active || row <= backend->until) &&
           buffer_backends_is_owed(backend, owed);
}

int buffer_backends_accept(struct buffer *buffer, const char *owed, uint64_t records)
{
    int count = 0;
    for (size_t i = 0; i < buffer->backend_count; i++) {
        struct buffer_backend *backend = &buffer->backends[i];
        if (!backend->is_active || !buffer_backends_is_owed(backend, owed))
            continue;
        backend->accepted += records;
        backend->is_dirty = true;
        count++;
    }
    return count;
}

void buffer_backends_count(struct buffer *buffer, int slot, int64_t row, const char *owed, uint64_t records,
                           enum buffer_cause cause)
{
    for (size_t i = 0; i < buffer->backend_count; i++) {
        struct buffer_backend *backend = &buffer->backends[i];
        if (!buffer_backends_owes(backend, slot, row, owed))
            continue;
        backend->by_cause[cause] += records;
        backend->is_dirty = true;
    }
}

int buffer_backends_move(struct buffer *buffer, struct buffer_backend *backend, int slot, int64_t row)
{
    if (row <= backend->cursor[slot])
        return 0;
    backend->cursor[slot] = row;
    int err = buffer_sql_run(buffer_store_bind(buffer, SET_CURSOR, "iii", backend->id, (int64_t)slot, row));
    return err < 0 ? err : buffer_progress_note(buffer, backend, slot);
}

int buffer_backends_flush(struct buffer *buffer)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < buffer->backend_count; i++) {
        struct buffer_backend *backend = &buffer->backends[i];
        const uint64_t *n = backend->by_cause;
        if (!backend->is_dirty)
            continue;
        err = buffer_sql_run(buffer_store_bind(
            buffer, SET_BACKEND, "iiiiiiiii", backend->id, (int64_t)backend->accepted, (int64_t)n[0],
            (int64_t)n[1], (int64_t)n[2], (int64_t)n[3], (int64_t)n[4], (int64_t)n[5], (int64_t)n[6]));
        backend->is_dirty = false;
    }
    return err;
}
