#include "base/batch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"

struct batch *batch_new(const char *origin)
{
    struct batch *b = calloc(1, sizeof *b);
    if (!b || !(b->origin = strdup(origin))) {
        free(b);
        return NULL;
    }
    return b;
}

static void release_payload(struct batch *b)
{
    if (b->payload_release)
        b->payload_release(b->payload_owner);
}

void batch_free(struct batch *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->source_count; i++)
        free(b->sources[i].file);
    for (size_t i = 0; i < b->owed_count; i++)
        free(b->owed[i]);
    for (size_t i = 0; i < b->sender_count; i++)
        free(b->senders[i].host);
    for (size_t i = 0; i < b->refusal_count; i++)
        batch_refusal_fini(&b->refusals[i]);
    release_payload(b);
    free(b->senders);
    free(b->sources);
    free(b->owed);
    free(b->refusals);
    free(b->origin);
    free(b);
}

void batch_take_payload(struct batch *b, uint8_t *bytes, size_t len)
{
    release_payload(b);
    b->payload = (struct bytes){bytes, len};
    b->payload_owner = bytes;
    b->payload_release = free;
    b->crc = crc32c(b->payload);
}

/* Room for one more element at the end of *array; grows at powers of two. */
static int grow(void *array, size_t count, size_t size, size_t limit)
{
    void **at = array;
    if (count >= limit)
        return -E2BIG;
    if (count & (count - 1))
        return 0;
    void *bigger = realloc(*at, (count ? count * 2 : 1) * size);
    if (!bigger)
        return -ENOMEM;
    *at = bigger;
    return 0;
}

int batch_add_source(struct batch *b, const char *file, uint64_t begin, uint64_t end)
{
    char *copy = strdup(file);
    int err = copy ? grow(&b->sources, b->source_count, sizeof *b->sources, BATCH_MAX_SOURCES) : -ENOMEM;
    if (err < 0) {
        free(copy);
        return err;
    }
    b->sources[b->source_count++] = (struct batch_source){copy, begin, end};
    return 0;
}

int batch_add_owed(struct batch *b, const char *backend)
{
    char *copy = strdup(backend);
    int err = copy ? grow(&b->owed, b->owed_count, sizeof *b->owed, BATCH_MAX_OWED) : -ENOMEM;
    if (err < 0) {
        free(copy);
        return err;
    }
    b->owed[b->owed_count++] = copy;
    return 0;
}

int batch_add_sender(struct batch *b, const char *host, uint64_t begin, uint64_t end)
{
    struct batch_sender *last = b->sender_count ? &b->senders[b->sender_count - 1] : NULL;
    if (end < begin || (last && begin < last->end))
        return -EINVAL;
    if (last && begin == last->end && strcmp(last->host, host) == 0) {
        last->end = end;
        return 0;
    }
    char *copy = strdup(host);
    int err = copy ? grow(&b->senders, b->sender_count, sizeof *b->senders, BATCH_MAX_SENDERS) : -ENOMEM;
    if (err < 0) {
        free(copy);
        return err;
    }
    b->senders[b->sender_count++] = (struct batch_sender){copy, begin, end};
    return 0;
}

int batch_take_refusal(struct batch *b, struct batch_refusal *refusal)
{
    int err = grow(&b->refusals, b->refusal_count, sizeof *b->refusals, BATCH_MAX_REFUSALS);
    if (err < 0)
        return err;
    b->refusals[b->refusal_count++] = *refusal;
    *refusal = (struct batch_refusal){0};
    return 0;
}

void batch_refusal_fini(struct batch_refusal *refusal)
{
    free(refusal->words);
    free(refusal->source);
    free((void *)(uintptr_t)refusal->payload.ptr);
    *refusal = (struct batch_refusal){0};
}

bool batch_is_report(const struct batch *b)
{
    return b->records == 0 && b->raw_bytes == 0 && b->refusal_count > 0;
}

int boot_compare(struct boot a, struct boot b)
{
    if (a.started_ns != b.started_ns)
        return a.started_ns < b.started_ns ? -1 : 1;
    return (a.id > b.id) - (a.id < b.id);
}

const char *telemetry_name(enum telemetry signal)
{
    switch (signal) {
    case TELEMETRY_METRICS:
        return "metrics";
    case TELEMETRY_LOGS:
        return "logs";
    case TELEMETRY_TRACES:
        return "traces";
    }
    return "unknown";
}

int telemetry_find(struct bytes name)
{
    for (int s = 0; s < TELEMETRY_COUNT; s++)
        if (bytes_equal(name, bytes_of_string(telemetry_name((enum telemetry)s))))
            return s;
    return -1;
}

#define BULK "/bulk"

void batch_name_bulk(const char *origin, char ret_bulk[BATCH_MAX_ORIGIN + 1])
{
    snprintf(ret_bulk, BATCH_MAX_ORIGIN + 1, "%.*s" BULK, BATCH_MAX_ORIGIN - (int)sizeof BULK + 1, origin);
}

bool batch_is_bulk(const char *origin)
{
    size_t len = strlen(origin), end = sizeof BULK - 1;
    return len > end && strcmp(origin + len - end, BULK) == 0;
}

void batch_home(const char *origin, char ret_home[BATCH_MAX_ORIGIN + 1])
{
    size_t len = strlen(origin) - (batch_is_bulk(origin) ? sizeof BULK - 1 : 0);
    snprintf(ret_home, BATCH_MAX_ORIGIN + 1, "%.*s", (int)len, origin);
}
