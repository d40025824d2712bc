#include "gateway/fanout/disorder.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/fanout/payload.h"
#include "gateway/fanout/split.h"

struct sought { /* a sample of the row */
    struct split_sample sample;
    bool *is_own; /* borrowed; in the caller's array */
};

static int by_series(const void *a, const void *b)
{
    uint64_t x = ((const struct sought *)a)->sample.series, y = ((const struct sought *)b)->sample.series;
    return (x > y) - (x < y);
}

/* The first of the sought samples of that series; count: none. */
static size_t find_series(const struct sought *sought, size_t count, uint64_t series)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sought[middle].sample.series < series)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void compare(struct sought *sought, size_t count, const struct split_sample *earlier)
{
    for (size_t i = find_series(sought, count, earlier->series);
         i < count && sought[i].sample.series == earlier->series; i++)
        *sought[i].is_own |= earlier->time_ms >= sought[i].sample.time_ms;
}

/* 0, also for a row that is gone or cannot be read: it tells nothing. */
static int look_into(struct payload *payload, const struct buffer_row *row, struct sought *sought,
                     size_t count)
{
    struct bytes raw;
    uint32_t samples;
    int err = payload_raw(payload, row, &raw);
    if (err < 0 || split_count(row->format, raw, &samples) < 0)
        return err == -ENOMEM ? err : 0;
    struct split_sample *earlier = calloc(samples ? samples : 1, sizeof *earlier);
    if (!earlier)
        return -ENOMEM;
    if (split_samples(raw, earlier, samples) == 0)
        for (uint32_t i = 0; i < samples; i++)
            compare(sought, count, &earlier[i]);
    free(earlier);
    return 0;
}

static bool has_all(const bool *is_own, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!is_own[i])
            return false;
    return true;
}

/* Whether the search came to its end: *ret_seen rows reach past the row's times, and all were looked into. */
static int look_back(struct payload *payload, const struct buffer_row *row, struct sought *sought,
                     uint32_t count, const bool *is_own, size_t *ret_seen)
{
    struct buffer_row earlier = *row;
    uint64_t bytes = 0;
    int err = 0;
    *ret_seen = 0;
    while (!has_all(is_own, count)) {
        err = buffer_reader_previous(payload->reader, &earlier, row->earliest_ns, DISORDER_ROWS, &earlier);
        if (err < 0)
            return err == -ENOENT ? 0 : err;
        bytes += earlier.raw_bytes;
        if (bytes > DISORDER_BYTES)
            return -E2BIG;
        ++*ret_seen;
        if (earlier.format == FORMAT_REMOTE_WRITE_1 &&
            (err = look_into(payload, &earlier, sought, count)) < 0)
            return err;
    }
    return 0;
}

static int search(struct buffer_reader *reader, const struct buffer_row *row, struct sought *sought,
                  uint32_t count, bool *is_own)
{
    struct payload payload;
    size_t seen;
    payload_init(&payload, reader, NULL);
    int err = look_back(&payload, row, sought, count, is_own, &seen);
    payload_fini(&payload);
    bool is_unclear = err == -E2BIG || (err == 0 && seen == 0);
    if (is_unclear)
        memset(is_own, true, count * sizeof *is_own);
    return err == -E2BIG ? 0 : err;
}

int disorder_find(struct buffer_reader *reader, const struct buffer_row *row, struct bytes raw,
                  uint32_t count, bool *is_own)
{
    struct split_sample *samples = calloc(count ? count : 1, sizeof *samples);
    struct sought *sought = calloc(count ? count : 1, sizeof *sought);
    int err = samples && sought ? split_samples(raw, samples, count) : -ENOMEM;
    for (uint32_t i = 0; err == 0 && i < count; i++) {
        is_own[i] = false;
        sought[i] = (struct sought){samples[i], &is_own[i]};
    }
    if (err == 0) {
        qsort(sought, count, sizeof *sought, by_series);
        err = search(reader, row, sought, count, is_own);
    }
    free(samples);
    free(sought);
    return err;
}
