/* buffer_missing.h - names the batches that a damaged file had committed and that cannot be found any more.
 *
 * The numbers that a file has committed stand in a table of their own. Rows leave a file oldest first, those
 * settled everywhere: so a number is missing when it was not seen and is above what was delivered, or above
 * the lowest one seen of its boot. A line names those of one boot: "missing: origin=node-a
 * boot=0000000000000001 seq=5-9,12", without a newline. One thread.
 */
#ifndef BASE_BUFFER_MISSING_H
#define BASE_BUFFER_MISSING_H

#include "base/buffer/buffer_ranges.h"
#include "base/buffer/buffer_sql.h"

/* Numbers of rows, by origin and boot. Zeroed is empty. */
struct buffer_seen {
    struct buffer_seen_boot *boots; /* owned */
    size_t count, last;
};

/* buffer_seen_add: the row's number. 0, -ENOMEM. */
int buffer_seen_add(struct buffer_seen *seen, const struct buffer_row *row);
void buffer_seen_fini(struct buffer_seen *seen);

/* buffer_seen_say: names all of them as missing. */
void buffer_seen_say(const struct buffer_seen *seen, void (*say)(void *ctx, const char *line), void *ctx);

/* buffer_missing_find: names what was committed and not seen; *ret_count: how many batches. 0, or a negative
 * errno when the table cannot be read whole (what was found before was said). */
int buffer_missing_find(sqlite3 *db, struct buffer_seen *seen, void (*say)(void *ctx, const char *line),
                        void *ctx, uint64_t *ret_count);

#endif
