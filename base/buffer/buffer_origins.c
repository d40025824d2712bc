#include "base/buffer/buffer_origins.h"

#include <errno.h>
#include <stdlib.h>

enum { TIDY_ORIGINS = 16 }; /* looked at in one step */

static const int64_t kept_ns = INT64_C(30) * 24 * 3600 * 1000000000;
static const int64_t touch_ns = INT64_C(3600) * 1000000000; /* how exact "touched" and "seen" are */

/* ---- in memory */

static struct buffer_origin **bucket_of(struct buffer *buffer, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a, 64 bits */
    for (const unsigned char *p = (const unsigned char *)name; *p; p++)
        hash = (hash ^ *p) * 0x100000001b3u;
    return &buffer->buckets[(hash >> 32) % BUFFER_ORIGIN_BUCKETS];
}

struct buffer_origin *buffer_origins_find(struct buffer *buffer, const char *name)
{
    struct buffer_origin *origin = *bucket_of(buffer, name);
    while (origin && strcmp(origin->name, name) != 0)
        origin = origin->next;
    return origin;
}

static void free_origin(struct buffer_origin *origin)
{
    for (int i = 0; i < origin->boot_count; i++)
        buffer_ranges_fini(&origin->boots[i].numbers);
    free(origin->name);
    free(origin);
}

void buffer_origins_free(struct buffer *buffer)
{
    for (size_t i = 0; i < BUFFER_ORIGIN_BUCKETS; i++) {
        while (buffer->buckets[i]) {
            struct buffer_origin *origin = buffer->buckets[i];
            buffer->buckets[i] = origin->next;
            free_origin(origin);
        }
    }
    buffer->dirty_origins = NULL;
    buffer->origin_count = 0;
}

static int remember(struct buffer *buffer, const char *name, struct buffer_origin **ret_origin)
{
    struct buffer_origin *origin = calloc(1, sizeof *origin);
    if (!origin || !(origin->name = strdup(name))) {
        free(origin);
        return -ENOMEM;
    }
    struct buffer_origin **bucket = bucket_of(buffer, name);
    origin->next = *bucket;
    *bucket = origin;
    origin->slot = buffer_slot(name);
    origin->latest_ns = INT64_MIN;
    origin->end_count = -1;
    buffer->origin_count++;
    *ret_origin = origin;
    return 0;
}

void buffer_origins_touch(struct buffer *buffer, struct buffer_origin *origin)
{
    if (origin->is_dirty)
        return;
    origin->is_dirty = true;
    origin->next_dirty = buffer->dirty_origins;
    buffer->dirty_origins = origin;
}

/* ---- read back */

static int load_origins(struct buffer *buffer)
{
    sqlite3_stmt *row = buffer_store_bind(buffer, LOAD_ORIGINS, "");
    int got;
    while ((got = buffer_sql_row(row)) > 0) {
        struct buffer_origin *origin;
        const char *name = (const char *)sqlite3_column_text(row, 1);
        int err = name ? remember(buffer, name, &origin) : -EUCLEAN;
        if (err < 0) {
            sqlite3_reset(row);
            return err;
        }
        origin->id = sqlite3_column_int64(row, 0);
        origin->latest_ns = sqlite3_column_int64(row, 2);
        origin->seen_ns = sqlite3_column_int64(row, 3);
        origin->is_blocked = sqlite3_column_int64(row, 4) != 0;
    }
    return got;
}

static int load_numbers(struct buffer *buffer, struct buffer_boot *boot)
{
    sqlite3_stmt *row = buffer_store_bind(buffer, LOAD_NUMBERS, "i", boot->id);
    int got;
    while ((got = buffer_sql_row(row)) > 0) {
        struct buffer_range range = {(uint64_t)sqlite3_column_int64(row, 0),
                                     (uint64_t)sqlite3_column_int64(row, 1)};
        int err = buffer_ranges_append(&boot->numbers, range);
        if (err < 0) {
            sqlite3_reset(row);
            return err;
        }
    }
    return got;
}

static int load_boots(struct buffer *buffer)
{
    sqlite3_stmt *row = buffer_store_bind(buffer, LOAD_BOOTS, "");
    int got, err = 0;
    while (err == 0 && (got = buffer_sql_row(row)) > 0) {
        const char *name = (const char *)sqlite3_column_text(row, 1);
        struct buffer_origin *origin = name ? buffer_origins_find(buffer, name) : NULL;
        if (!origin || origin->boot_count == BUFFER_MAX_BOOTS)
            continue;
        struct buffer_boot *boot = &origin->boots[origin->boot_count++];
        *boot = (struct buffer_boot){
            .id = sqlite3_column_int64(row, 0),
            .boot = {(uint64_t)sqlite3_column_int64(row, 2), sqlite3_column_int64(row, 3)},
            .delivered = (uint64_t)sqlite3_column_int64(row, 4)};
        err = load_numbers(buffer, boot);
    }
    sqlite3_reset(row);
    return err < 0 ? err : got;
}

int buffer_origins_load(struct buffer *buffer)
{
    buffer_origins_free(buffer);
    int err = load_origins(buffer);
    return err < 0 ? err : load_boots(buffer);
}

/* ---- origins and boots */

int buffer_origins_get(struct buffer *buffer, const char *name, struct buffer_origin **ret_origin)
{
    struct buffer_origin *origin = buffer_origins_find(buffer, name);
    if (!origin) {
        if (buffer->origin_count >= BUFFER_MAX_ORIGINS)
            return -ENOSPC;
        int err =
            buffer_sql_run(buffer_store_bind(buffer, ADD_ORIGIN, "tii", name, INT64_MIN, buffer->now_ns));
        if (err == 0)
            err = remember(buffer, name, &origin);
        if (err < 0)
            return err;
        origin->id = sqlite3_last_insert_rowid(buffer->db);
        origin->end_count = 0;
    }
    if (buffer->now_ns - origin->seen_ns > touch_ns) {
        origin->seen_ns = buffer->now_ns;
        buffer_origins_touch(buffer, origin);
    }
    *ret_origin = origin;
    return 0;
}

struct buffer_boot *buffer_origins_find_boot(struct buffer_origin *origin, struct boot boot)
{
    for (int i = origin->boot_count - 1; i >= 0; i--)
        if (boot_compare(origin->boots[i].boot, boot) == 0)
            return &origin->boots[i];
    return NULL;
}

static int forget_boot(struct buffer *buffer, struct buffer_origin *origin, int which)
{
    struct buffer_boot *boot = &origin->boots[which];
    int err = buffer_sql_run(buffer_store_bind(buffer, REMOVE_BOOT_NUMBERS, "i", boot->id));
    if (err == 0)
        err = buffer_sql_run(buffer_store_bind(buffer, REMOVE_BOOT, "i", boot->id));
    if (err < 0)
        return err;
    buffer_ranges_fini(&boot->numbers);
    origin->boots[which] = origin->boots[--origin->boot_count];
    return 0;
}

static int oldest_boot(const struct buffer_origin *origin)
{
    int oldest = 0;
    for (int i = 1; i < origin->boot_count; i++)
        if (boot_compare(origin->boots[i].boot, origin->boots[oldest].boot) < 0)
            oldest = i;
    return oldest;
}

int buffer_origins_get_boot(struct buffer *buffer, struct buffer_origin *origin, struct boot boot,
                            struct buffer_boot **ret_boot)
{
    struct buffer_boot *known = buffer_origins_find_boot(origin, boot);
    if (!known) {
        if (origin->boot_count == BUFFER_MAX_BOOTS) {
            int oldest = oldest_boot(origin);
            if (boot_compare(boot, origin->boots[oldest].boot) < 0)
                return -ESTALE;
            int err = forget_boot(buffer, origin, oldest);
            if (err < 0)
                return err;
        }
        int err = buffer_sql_run(
            buffer_store_bind(buffer, ADD_BOOT, "iii", origin->id, (int64_t)boot.id, boot.started_ns));
        if (err < 0)
            return err;
        known = &origin->boots[origin->boot_count++];
        *known = (struct buffer_boot){.id = sqlite3_last_insert_rowid(buffer->db), .boot = boot};
    }
    *ret_boot = known;
    return 0;
}

/* ---- numbers */

static int write_change(struct buffer *buffer, int64_t boot, const struct buffer_ranges_change *change)
{
    int err = 0;
    for (int i = 0; err == 0 && i < change->gone_count; i++)
        err = buffer_sql_run(buffer_store_bind(buffer, REMOVE_NUMBERS, "ii", boot, (int64_t)change->gone[i]));
    for (int i = 0; err == 0 && i < change->set_count; i++)
        err = buffer_sql_run(buffer_store_bind(buffer, SET_NUMBERS, "iii", boot,
                                               (int64_t)change->set[i].first, (int64_t)change->set[i].last));
    return err;
}

int buffer_origins_add_number(struct buffer *buffer, struct buffer_boot *boot, uint64_t seq)
{
    struct buffer_ranges_change change;
    int err = buffer_ranges_add(&boot->numbers, seq, &change);
    return err < 0 ? err : write_change(buffer, boot->id, &change);
}

int buffer_origins_remove_number(struct buffer *buffer, struct buffer_boot *boot, uint64_t seq)
{
    struct buffer_ranges_change change;
    int err = buffer_ranges_remove(&boot->numbers, seq, &change);
    return err < 0 ? err : write_change(buffer, boot->id, &change);
}

void buffer_origins_deliver(struct buffer *buffer, struct buffer_origin *origin, struct boot boot,
                            uint64_t seq)
{
    struct buffer_boot *known = buffer_origins_find_boot(origin, boot);
    if (!known || origin->is_blocked || seq <= known->delivered)
        return;
    known->delivered = seq;
    known->is_dirty = true;
    buffer_origins_touch(buffer, origin);
}

/* ---- ends of files */

void buffer_origins_reset_undelivered(struct buffer *buffer)
{
    for (size_t i = 0; i < BUFFER_ORIGIN_BUCKETS; i++)
        for (struct buffer_origin *origin = buffer->buckets[i]; origin; origin = origin->next)
            origin->undelivered = 0;
}

static int count_ends(struct buffer *buffer, struct buffer_origin *origin)
{
    int64_t count;
    if (origin->end_count >= 0)
        return 0;
    int err = buffer_sql_number(buffer_store_bind(buffer, COUNT_ENDS, "i", origin->id), 0, &count);
    if (err == 0)
        origin->end_count = (int32_t)count;
    return err;
}

static int add_end(struct buffer *buffer, struct buffer_origin *origin, const struct batch_source *source,
                   int64_t touched)
{
    int err = count_ends(buffer, origin);
    if (err == 0 && origin->end_count >= BUFFER_MAX_ENDS) {
        int64_t some = BUFFER_MAX_ENDS / 64; /* so that a full origin is not sorted for every new file */
        err = buffer_sql_run(buffer_store_bind(buffer, REMOVE_OLDEST_ENDS, "ii", origin->id, some));
        origin->end_count -= sqlite3_changes(buffer->db);
    }
    if (err == 0)
        err = buffer_sql_run(buffer_store_bind(buffer, ADD_END, "itii", origin->id, source->file,
                                               (int64_t)source->end, touched));
    if (err == 0)
        origin->end_count++;
    return err;
}

int buffer_origins_move_ends(struct buffer *buffer, struct buffer_origin *origin, const struct batch *batch)
{
    int64_t touched = buffer->now_ns - buffer->now_ns % touch_ns;
    for (size_t i = 0; i < batch->source_count; i++) {
        const struct batch_source *source = &batch->sources[i];
        int err = buffer_sql_run(buffer_store_bind(buffer, MOVE_END, "itii", origin->id, source->file,
                                                   (int64_t)source->end, touched));
        if (err == 0 && sqlite3_changes(buffer->db) == 0)
            err = add_end(buffer, origin, source, touched);
        if (err < 0)
            return err;
    }
    return 0;
}

static int take_end(sqlite3_stmt *row, struct buffer_end *ends, size_t count, size_t most)
{
    const char *file = (const char *)sqlite3_column_text(row, 0);
    if (count == most || !file)
        return -EUCLEAN;
    ends[count] = (struct buffer_end){strdup(file), (uint64_t)sqlite3_column_int64(row, 1)};
    return ends[count].file ? 0 : -ENOMEM;
}

int buffer_origins_get_ends(struct buffer *buffer, const struct buffer_origin *origin,
                            struct buffer_end **ret_ends, size_t *ret_count)
{
    int64_t most;
    size_t count = 0;
    int err = buffer_sql_number(buffer_store_bind(buffer, COUNT_ENDS, "i", origin->id), 0, &most);
    if (err < 0)
        return err;
    struct buffer_end *ends = calloc((size_t)most + 1, sizeof *ends);
    if (!ends)
        return -ENOMEM;
    sqlite3_stmt *row = buffer_store_bind(buffer, GET_ENDS, "i", origin->id);
    while ((err = buffer_sql_row(row)) > 0) {
        err = take_end(row, ends, count, (size_t)most);
        if (err < 0)
            break;
        count++;
    }
    sqlite3_reset(row);
    if (err < 0) {
        for (size_t i = 0; i < count; i++)
            free(ends[i].file);
        free(ends);
        return err;
    }
    *ret_ends = ends;
    *ret_count = count;
    return 0;
}

/* ---- written before the commit, forgotten when old */

static int flush_origin(struct buffer *buffer, struct buffer_origin *origin)
{
    int err = buffer_sql_run(buffer_store_bind(buffer, SET_ORIGIN, "iiii", origin->id, origin->latest_ns,
                                               origin->seen_ns, (int64_t)origin->is_blocked));
    for (int i = 0; err == 0 && i < origin->boot_count; i++) {
        struct buffer_boot *boot = &origin->boots[i];
        if (!boot->is_dirty)
            continue;
        err = buffer_sql_run(buffer_store_bind(buffer, SET_BOOT, "ii", boot->id, (int64_t)boot->delivered));
        boot->is_dirty = false;
    }
    return err;
}

int buffer_origins_flush(struct buffer *buffer)
{
    int err = 0;
    while (err == 0 && buffer->dirty_origins) {
        struct buffer_origin *origin = buffer->dirty_origins;
        buffer->dirty_origins = origin->next_dirty;
        origin->is_dirty = false;
        err = flush_origin(buffer, origin);
    }
    return err;
}

static int forget_origin(struct buffer *buffer, struct buffer_origin **at)
{
    struct buffer_origin *origin = *at;
    int err = 0;
    while (err == 0 && origin->boot_count)
        err = forget_boot(buffer, origin, origin->boot_count - 1);
    if (err == 0)
        err = buffer_sql_run(buffer_store_bind(buffer, REMOVE_OLD_ENDS, "ii", origin->id, INT64_MAX));
    if (err == 0)
        err = buffer_sql_run(buffer_store_bind(buffer, REMOVE_ORIGIN, "i", origin->id));
    if (err < 0)
        return err;
    *at = origin->next;
    buffer->origin_count--;
    free_origin(origin);
    return 0;
}

static int tidy_origin(struct buffer *buffer, struct buffer_origin **at, bool *ret_is_gone)
{
    struct buffer_origin *origin = *at;
    int64_t edge = buffer->now_ns - kept_ns, has_rows;
    *ret_is_gone = false;
    int err = buffer_sql_run(buffer_store_bind(buffer, REMOVE_OLD_ENDS, "ii", origin->id, edge));
    if (err < 0)
        return err;
    if (sqlite3_changes(buffer->db) > 0)
        origin->end_count = -1;
    if (origin->seen_ns > edge || origin->undelivered || origin->is_dirty)
        return 0;
    err = buffer_sql_number(buffer_store_bind(buffer, HAS_ROW_OF, "it", (int64_t)origin->slot, origin->name),
                            0, &has_rows);
    if (err < 0 || has_rows)
        return err;
    *ret_is_gone = true;
    return forget_origin(buffer, at);
}

/* Looks at the origins of a bucket that are due, at most *left of them. */
static int tidy_bucket(struct buffer *buffer, struct buffer_origin **at, int *left)
{
    while (*at && *left > 0) {
        struct buffer_origin *origin = *at;
        bool is_gone = false;
        if (buffer->now_ns - origin->tidied_ns >= touch_ns) {
            origin->tidied_ns = buffer->now_ns;
            (*left)--;
            int err = tidy_origin(buffer, at, &is_gone);
            if (err < 0)
                return err;
        }
        if (!is_gone)
            at = &origin->next;
    }
    return 0;
}

int buffer_origins_tidy(struct buffer *buffer)
{
    int left = TIDY_ORIGINS, err = 0;
    for (int i = 0; err == 0 && left > 0 && i < BUFFER_ORIGIN_BUCKETS; i++)
        err = tidy_bucket(buffer, &buffer->buckets[i], &left);
    return err;
}
