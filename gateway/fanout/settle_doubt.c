#include "gateway/fanout/settle_doubt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct group { /* the records of a doubted part */
    struct split_sample *samples;
    bool *taken;
    size_t count;
};

static int group_grow(struct group *group, size_t more)
{
    size_t room = group->count + more + 1; /* never 0 */
    struct split_sample *samples = realloc(group->samples, room * sizeof *samples);
    if (samples)
        group->samples = samples;
    bool *taken = realloc(group->taken, room * sizeof *taken);
    if (taken)
        group->taken = taken;
    return samples && taken ? 0 : -ENOMEM;
}

/* Marks which records of the row were taken: answers stand left to right, so one pass over them is enough. */
static void mark_taken(const struct halving *h, uint32_t row, bool *taken, uint32_t count)
{
    for (size_t i = 0; i < h->answer_count; i++) {
        struct part part = h->answers[i].part;
        if (h->answers[i].outcome != PART_TAKEN || row < part.row || row - part.row >= part.rows)
            continue;
        uint32_t to = part.to && part.to < count ? part.to : count;
        for (uint32_t k = part.to ? part.from : 0; k < to; k++)
            taken[k] = true;
    }
}

static int group_add_row(const struct doubted *d, struct group *group, struct part part, uint32_t row)
{
    struct bytes raw;
    uint32_t count;
    int err = d->fates[row] == ROW_LIVE ? payload_raw(d->payload, &d->rows[row], &raw) : -ENOENT;
    if (err < 0)
        return err == -ENOMEM || err == -EIO ? err : 0;
    if (split_count(payload_format(d->payload, &d->rows[row]), raw, &count) < 0)
        return 0;
    if ((err = group_grow(group, count)) < 0)
        return err;
    struct split_sample *samples = group->samples + group->count;
    bool *taken = group->taken + group->count;
    if (split_samples(raw, samples, count) < 0)
        return 0;
    memset(taken, 0, count);
    mark_taken(d->h, row, taken, count);
    uint32_t from = part.to ? part.from : 0, to = part.to && part.to < count ? part.to : count;
    if (from > to)
        return 0;
    memmove(samples, samples + from, (to - from) * sizeof *samples);
    memmove(taken, taken + from, to - from);
    group->count += to - from;
    return 0;
}

int settle_doubt_judge(const struct doubted *d, struct part part)
{
    struct group group = {0};
    int err = 0;
    for (uint32_t row = part.row; row < part.row + part.rows && err == 0; row++)
        err = group_add_row(d, &group, part, row);
    if (err == 0 && group.count)
        err = doubt_was_in(group.samples, group.taken, group.count);
    free(group.samples);
    free(group.taken);
    return err;
}
