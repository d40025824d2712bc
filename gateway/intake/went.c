#include "gateway/intake/went.h"

#include <stdlib.h>
#include <string.h>

#include "base/rendezvous.h"

struct went_entry {
    struct went_entry *next; /* owned */
    enum telemetry signal;
    char buffer_id[64];
    char origin[BATCH_MAX_ORIGIN + 1];
};

static size_t bucket_of(const char *origin)
{
    return rendezvous_weight("", origin) % WENT_BUCKETS;
}

static struct went_entry *find(const struct went *went, const char *origin, enum telemetry signal)
{
    struct went_entry *at = went->buckets[bucket_of(origin)];
    while (at && (at->signal != signal || strcmp(at->origin, origin) != 0))
        at = at->next;
    return at;
}

void went_note(struct went *went, const char *origin, enum telemetry signal, const char *buffer_id)
{
    struct went_entry *entry = find(went, origin, signal);
    if (entry) {
        if (strcmp(entry->buffer_id, buffer_id) != 0)
            strcpy(entry->buffer_id, "several");
        return;
    }
    entry = calloc(1, sizeof *entry);
    if (!entry) {
        went->has_forgotten = true;
        return;
    }
    entry->signal = signal;
    strncpy(entry->buffer_id, buffer_id, sizeof entry->buffer_id - 1);
    strncpy(entry->origin, origin, sizeof entry->origin - 1);
    struct went_entry **bucket = &went->buckets[bucket_of(origin)];
    entry->next = *bucket;
    *bucket = entry;
}

const char *went_get(const struct went *went, const char *origin, enum telemetry signal)
{
    const struct went_entry *entry = find(went, origin, signal);
    return entry ? entry->buffer_id : went->has_forgotten ? "several" : "";
}

void went_fini(struct went *went)
{
    for (size_t i = 0; i < WENT_BUCKETS; i++)
        while (went->buckets[i]) {
            struct went_entry *next = went->buckets[i]->next;
            free(went->buckets[i]);
            went->buckets[i] = next;
        }
}
