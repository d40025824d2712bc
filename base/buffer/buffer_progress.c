#include "base/buffer/buffer_progress.h"

int buffer_progress_load(struct buffer *buffer, struct buffer_backend *backend)
{
    sqlite3_stmt *row = buffer_store_bind(buffer, LOAD_PROGRESS, "i", backend->id);
    int got;
    while ((got = buffer_sql_row(row)) > 0) {
        int64_t slot = sqlite3_column_int64(row, 0);
        if (slot >= 0 && slot < BUFFER_SLOTS)
            backend->noted_at[slot] = sqlite3_column_int64(row, 1);
    }
    return got;
}

static int add(struct buffer *buffer, struct buffer_backend *backend, int slot)
{
    backend->noted_at[slot] = buffer->now_ns;
    return buffer_sql_run(buffer_store_bind(buffer, ADD_PROGRESS, "iiii", backend->id, (int64_t)slot,
                                            buffer->now_ns, backend->cursor[slot]));
}

int buffer_progress_begin(struct buffer *buffer, struct buffer_backend *backend)
{
    int err = 0;
    for (int slot = 0; slot < BUFFER_SLOTS; slot++)
        if (backend->noted_at[slot])
            return 0;
    for (int slot = 0; err == 0 && slot < BUFFER_SLOTS; slot++)
        err = add(buffer, backend, slot);
    return err;
}

int buffer_progress_note(struct buffer *buffer, struct buffer_backend *backend, int slot)
{
    int64_t since_ns = buffer->now_ns - backend->noted_at[slot];
    if (since_ns >= 0 && since_ns < BUFFER_PROGRESS_NS) /* a clock that was set back begins anew */
        return 0;
    int err = add(buffer, backend, slot);
    return err < 0 ? err
                   : buffer_sql_run(buffer_store_bind(buffer, REMOVE_PROGRESS, "iii", backend->id,
                                                      (int64_t)slot, (int64_t)BUFFER_PROGRESS_KEPT));
}
