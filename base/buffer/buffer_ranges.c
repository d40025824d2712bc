#include "base/buffer/buffer_ranges.h"

#include <errno.h>
#include <stdlib.h>

void buffer_ranges_fini(struct buffer_ranges *ranges)
{
    free(ranges->items);
    *ranges = (struct buffer_ranges){0};
}

/* The index of the first range whose last is not below number. */
static size_t find(const struct buffer_ranges *ranges, uint64_t number)
{
    size_t low = 0, high = ranges->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges->items[middle].last < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool buffer_ranges_has(const struct buffer_ranges *ranges, uint64_t number)
{
    size_t i = find(ranges, number);
    return i < ranges->count && ranges->items[i].first <= number;
}

uint64_t buffer_ranges_highest(const struct buffer_ranges *ranges)
{
    return ranges->count ? ranges->items[ranges->count - 1].last : 0;
}

static int reserve_one(struct buffer_ranges *ranges)
{
    if (ranges->count < ranges->cap)
        return 0;
    size_t cap = ranges->cap ? ranges->cap * 2 : 2;
    struct buffer_range *items = realloc(ranges->items, cap * sizeof *items);
    if (!items)
        return -ENOMEM;
    ranges->items = items;
    ranges->cap = cap;
    return 0;
}

static void open_gap(struct buffer_ranges *ranges, size_t at)
{
    memmove(&ranges->items[at + 1], &ranges->items[at], (ranges->count - at) * sizeof *ranges->items);
    ranges->count++;
}

static void close_gap(struct buffer_ranges *ranges, size_t at)
{
    ranges->count--;
    memmove(&ranges->items[at], &ranges->items[at + 1], (ranges->count - at) * sizeof *ranges->items);
}

static void note_set(struct buffer_ranges_change *change, struct buffer_range range)
{
    change->set[change->set_count++] = range;
}

static void note_gone(struct buffer_ranges_change *change, uint64_t first)
{
    change->gone[change->gone_count++] = first;
}

static void forget_lowest(struct buffer_ranges *ranges, struct buffer_ranges_change *change)
{
    if (ranges->count <= BUFFER_RANGES_MAX)
        return;
    if (change->set_count && change->set[change->set_count - 1].first == ranges->items[0].first)
        change->set_count--; /* it never gets into the table */
    else
        note_gone(change, ranges->items[0].first);
    close_gap(ranges, 0);
}

int buffer_ranges_add(struct buffer_ranges *ranges, uint64_t number, struct buffer_ranges_change *ret_change)
{
    struct buffer_ranges_change change = {0};
    size_t i = find(ranges, number);
    bool joins_left = i > 0 && ranges->items[i - 1].last + 1 == number;
    bool joins_right = i < ranges->count && ranges->items[i].first == number + 1;
    if (!joins_left && !joins_right && reserve_one(ranges) < 0)
        return -ENOMEM;
    if (joins_right)
        note_gone(&change, ranges->items[i].first);
    if (joins_left) {
        ranges->items[i - 1].last = joins_right ? ranges->items[i].last : number;
        if (joins_right)
            close_gap(ranges, i);
        i--;
    } else if (joins_right) {
        ranges->items[i].first = number;
    } else {
        open_gap(ranges, i);
        ranges->items[i] = (struct buffer_range){number, number};
    }
    note_set(&change, ranges->items[i]);
    forget_lowest(ranges, &change);
    *ret_change = change;
    return 0;
}

int buffer_ranges_remove(struct buffer_ranges *ranges, uint64_t number,
                         struct buffer_ranges_change *ret_change)
{
    struct buffer_ranges_change change = {0};
    *ret_change = change;
    if (!buffer_ranges_has(ranges, number))
        return 0;
    if (reserve_one(ranges) < 0)
        return -ENOMEM;
    size_t i = find(ranges, number);
    struct buffer_range old = ranges->items[i];
    note_gone(&change, old.first);
    close_gap(ranges, i);
    if (number < old.last) {
        open_gap(ranges, i);
        ranges->items[i] = (struct buffer_range){number + 1, old.last};
        note_set(&change, ranges->items[i]);
    }
    if (old.first < number) {
        open_gap(ranges, i);
        ranges->items[i] = (struct buffer_range){old.first, number - 1};
        note_set(&change, ranges->items[i]);
    }
    forget_lowest(ranges, &change);
    *ret_change = change;
    return 0;
}

int buffer_ranges_append(struct buffer_ranges *ranges, struct buffer_range range)
{
    if (range.last < range.first || (ranges->count && ranges->items[ranges->count - 1].last >= range.first))
        return -EUCLEAN;
    if (reserve_one(ranges) < 0)
        return -ENOMEM;
    ranges->items[ranges->count++] = range;
    return 0;
}
