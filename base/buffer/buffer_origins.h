/* buffer_origins.h - what the buffer knows of each origin: committed numbers, delivered seq, ends of its
 * files.
 *
 * Kept per origin: the ranges of committed numbers and the delivered seq of its newest BUFFER_MAX_BOOTS boots
 * (in memory, a mirror of the tables); the committed end of each of its files (in the table only), at most
 * BUFFER_MAX_ENDS, those untouched for 30 days go. An origin without rows that was not seen for 30 days goes
 * altogether. Writer's thread only.
 */
#ifndef BASE_BUFFER_ORIGINS_H
#define BASE_BUFFER_ORIGINS_H

#include "base/buffer/buffer_ranges.h"
#include "base/buffer/buffer_store.h"

enum { BUFFER_MAX_BOOTS = 8, BUFFER_MAX_ENDS = 65536, BUFFER_MAX_ORIGINS = 65536 };

struct buffer_boot {
    int64_t id; /* in the table */
    struct boot boot;
    uint64_t delivered;
    bool is_dirty; /* delivered differs from the table's */
    struct buffer_ranges numbers;
};

struct buffer_origin {
    struct buffer_origin *next;       /* in its bucket; owned */
    struct buffer_origin *next_dirty; /* valid while is_dirty */
    int64_t id;
    char *name; /* owned */
    int slot;
    int64_t latest_ns, seen_ns;
    int64_t tidied_ns; /* when it was looked at last; not in the table */
    bool is_dirty;
    bool is_blocked;     /* a row was handed over: the delivered seq stays where it is */
    bool may_miss;       /* it resumed holding this buffer's acknowledgements: its next batch tells which */
    int32_t end_count;   /* -1: not counted yet */
    int64_t undelivered; /* rows owed to an active backend */
    struct buffer_boot boots[BUFFER_MAX_BOOTS];
    int boot_count;
};

int buffer_origins_load(struct buffer *buffer);
void buffer_origins_free(struct buffer *buffer);

/* buffer_origins_find: NULL when it is not known. */
struct buffer_origin *buffer_origins_find(struct buffer *buffer, const char *name);

/* buffer_origins_get: finds it or adds it. 0, -ENOSPC past BUFFER_MAX_ORIGINS, or an error of SQLite. */
int buffer_origins_get(struct buffer *buffer, const char *name, struct buffer_origin **ret_origin);

/* buffer_origins_find_boot: NULL when it is not known. */
struct buffer_boot *buffer_origins_find_boot(struct buffer_origin *origin, struct boot boot);

/* buffer_origins_get_boot: finds it or adds it, forgetting the oldest boot past BUFFER_MAX_BOOTS. An origin
 * full of newer boots gives -ESTALE: the number is not kept. */
int buffer_origins_get_boot(struct buffer *buffer, struct buffer_origin *origin, struct boot boot,
                            struct buffer_boot **ret_boot);

/* buffer_origins_add_number, _remove_number: in memory and in the table. */
int buffer_origins_add_number(struct buffer *buffer, struct buffer_boot *boot, uint64_t seq);
int buffer_origins_remove_number(struct buffer *buffer, struct buffer_boot *boot, uint64_t seq);

/* buffer_origins_move_ends: keeps the end of each source of the batch. */
int buffer_origins_move_ends(struct buffer *buffer, struct buffer_origin *origin, const struct batch *batch);

/* buffer_origins_get_ends: all of them, malloc'ed. */
int buffer_origins_get_ends(struct buffer *buffer, const struct buffer_origin *origin,
                            struct buffer_end **ret_ends, size_t *ret_count);

/* buffer_origins_deliver: the row with that number is settled everywhere. */
void buffer_origins_deliver(struct buffer *buffer, struct buffer_origin *origin, struct boot boot,
                            uint64_t seq);

/* buffer_origins_reset_undelivered: no origin waits for anything, before the rows are counted. */
void buffer_origins_reset_undelivered(struct buffer *buffer);

/* buffer_origins_touch: the origin is written before the commit. */
void buffer_origins_touch(struct buffer *buffer, struct buffer_origin *origin);

/* buffer_origins_flush: writes what is dirty. */
int buffer_origins_flush(struct buffer *buffer);

/* buffer_origins_tidy: looks at some origins, each once an hour, and forgets what is too old. In a
 * transaction. */
int buffer_origins_tidy(struct buffer *buffer);

#endif
