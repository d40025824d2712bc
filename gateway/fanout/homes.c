#include "gateway/fanout/homes.h"

#include <stdlib.h>
#include <string.h>

void homes_init(struct homes *homes)
{
    *homes = (struct homes){.items = NULL};
    pthread_mutex_init(&homes->lock, NULL);
}

void homes_fini(struct homes *homes)
{
    free(homes->items);
    pthread_mutex_destroy(&homes->lock);
}

static int compare(const void *a, const void *b)
{
    const struct home *left = a, *right = b;
    return strcmp(left->origin, right->origin);
}

void homes_set(struct homes *homes, struct home *items, size_t count)
{
    if (count)
        qsort(items, count, sizeof *items, compare);
    pthread_mutex_lock(&homes->lock);
    struct home *before = homes->items;
    homes->items = items;
    homes->count = count;
    pthread_mutex_unlock(&homes->lock);
    free(before);
}

bool homes_have(struct homes *homes, const struct buffer_row *row)
{
    struct home wanted;
    batch_home(row->origin, wanted.origin);
    pthread_mutex_lock(&homes->lock);
    const struct home *found =
        homes->count ? bsearch(&wanted, homes->items, homes->count, sizeof wanted, compare) : NULL;
    bool has = found && row->committed_at_ns >= found->since_ns && !row->handed_over;
    pthread_mutex_unlock(&homes->lock);
    return has;
}
