/* buffer_ranges.h - a set of numbers as sorted ranges that neither touch nor overlap.
 *
 * At most BUFFER_RANGES_MAX ranges; past that the lowest one is forgotten (a number forgotten is taken once
 * more when it is sent again: a repeat, never a loss). Zeroed is empty. One thread.
 */
#ifndef BASE_BUFFER_RANGES_H
#define BASE_BUFFER_RANGES_H

#include "base/bytes.h"

enum { BUFFER_RANGES_MAX = 4096 };

struct buffer_range {
    uint64_t first, last; /* both in the set */
};

struct buffer_ranges {
    struct buffer_range *items; /* owned, sorted */
    size_t count, cap;
};

/* What an addition or a removal did to the ranges, so that a table of them can follow. */
struct buffer_ranges_change {
    uint64_t gone[2]; /* firsts of ranges that are no more */
    int gone_count;
    struct buffer_range set[2]; /* ranges that are new, or have another last */
    int set_count;
};

void buffer_ranges_fini(struct buffer_ranges *ranges);

bool buffer_ranges_has(const struct buffer_ranges *ranges, uint64_t number);

/* buffer_ranges_highest: the largest number in the set; 0 when it is empty. */
uint64_t buffer_ranges_highest(const struct buffer_ranges *ranges);

/* buffer_ranges_add: number must not be in the set. 0 or -ENOMEM (then nothing changed). */
int buffer_ranges_add(struct buffer_ranges *ranges, uint64_t number, struct buffer_ranges_change *ret_change);

/* buffer_ranges_remove: a number that is not in the set changes nothing. 0 or -ENOMEM. */
int buffer_ranges_remove(struct buffer_ranges *ranges, uint64_t number,
                         struct buffer_ranges_change *ret_change);

/* buffer_ranges_append: a range above all others, as they are read back in order. 0, -ENOMEM, or -EUCLEAN
 * when it is not above the others. */
int buffer_ranges_append(struct buffer_ranges *ranges, struct buffer_range range);

#endif
