#include "node-agent/host/collector_choice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/http/http_server.h"

enum { NAME_BYTES = 128 };

/* What a query says. */
struct choice {
    size_t collects, excludes;                                      /* how many of each */
    bool collected[COLLECTOR_SET_MAX], excluded[COLLECTOR_SET_MAX]; /* by place in the set */
    char wrong[NAME_BYTES];                                         /* the first that is not in the set */
};

/* The place of a collector in the set; its size when it is not there. */
static size_t place_of(const struct collector_set *set, const char *name)
{
    size_t at = 0;
    while (at < set->count && strcmp(set->items[at].collector->name, name) != 0)
        at++;
    return at;
}

static void read_query(const struct collector_set *set, const char *query, struct choice *choice)
{
    char name[sizeof "exclude[]"], value[NAME_BYTES];
    while (http_query_next(&query, name, sizeof name, value, sizeof value)) {
        size_t at = place_of(set, value);
        if (strcmp(name, "exclude[]") == 0) {
            choice->excludes++;
            if (at < set->count)
                choice->excluded[at] = true;
        } else if (strcmp(name, "collect[]") == 0) {
            if (at < set->count)
                choice->collected[at] = true;
            else if (!choice->wrong[0])
                snprintf(choice->wrong, sizeof choice->wrong, "%s", *value ? value : " ");
            choice->collects++;
        }
    }
}

static bool exists(const char *name)
{
    for (const struct collector *const *c = collectors; *c; c++)
        if (strcmp((*c)->name, name) == 0)
            return true;
    return false;
}

static int check(const struct choice *choice, char *words, size_t words_size)
{
    if (choice->collects && choice->excludes) {
        snprintf(words, words_size, "Combined collect and exclude queries are not allowed.");
        return -EINVAL;
    }
    if (!choice->wrong[0])
        return 0;
    snprintf(words, words_size,
             "Couldn't create filtered metrics handler: couldn't create collector: %s collector: %s",
             exists(choice->wrong) ? "disabled" : "missing", choice->wrong);
    return -EINVAL;
}

int collector_choice_take(struct collector_set *set, const char *query, char *words, size_t words_size)
{
    struct choice choice = {0};
    read_query(set, query, &choice);
    int err = check(&choice, words, words_size);
    if (err < 0)
        return err;
    size_t left = 0;
    for (size_t i = 0; i < set->count; i++)
        left += !choice.excluded[i];
    for (size_t i = 0; i < set->count; i++)
        set->items[i].left_out = choice.collects ? !choice.collected[i] : left && choice.excluded[i];
    return 0;
}
