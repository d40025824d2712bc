#include "gateway/translate/translate.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "gateway/translate/otlp_delta.h"
#include "gateway/translate/otlp_logs.h"
#include "gateway/translate/otlp_metrics.h"

struct reason_text {
    const char *name, *words;
};
#define X(id, name, words) [TRANSLATE_##id] = {name, words},
static const struct reason_text reasons[TRANSLATE_REASON_COUNT] = {TRANSLATE_REASONS(X)};
#undef X

const char *translate_reason_name(enum translate_reason reason)
{
    return reasons[reason].name;
}

const char *translate_reason_words(enum translate_reason reason)
{
    return reasons[reason].words;
}

/* ---- results */

void translated_init(struct translated *t)
{
    *t = (struct translated){0};
    buf_init(&t->message, TRANSLATE_MAX_BYTES);
}

void translated_fini(struct translated *t)
{
    buf_fini(&t->message);
    free(t->owners);
    free(t->reasons);
    *t = (struct translated){0};
}

void translated_clear(struct translated *t, size_t keep)
{
    buf_release(&t->message, keep);
    if (t->owner_room * sizeof *t->owners > keep) {
        free(t->owners);
        t->owners = NULL;
        t->owner_room = 0;
    }
    if (t->reason_room > keep) {
        free(t->reasons);
        t->reasons = NULL;
        t->reason_room = 0;
    }
    t->count = t->source_count = t->refused = 0;
}

static int grow(void **items, size_t size, uint32_t count, uint32_t *room)
{
    if (count < *room)
        return 0;
    uint32_t more = *room ? *room * 2 : 256;
    if (more > TRANSLATE_MAX_RECORDS)
        return -EMSGSIZE;
    void *grown = realloc(*items, more * size);
    if (!grown)
        return -ENOMEM;
    *items = grown;
    *room = more;
    return 0;
}

int translated_begin_source(struct translated *t)
{
    int err = grow((void **)&t->reasons, sizeof *t->reasons, t->source_count, &t->reason_room);
    if (err == 0)
        t->reasons[t->source_count++] = TRANSLATE_NONE;
    return err;
}

int translated_add(struct translated *t, uint32_t owner)
{
    int err = grow((void **)&t->owners, sizeof *t->owners, t->count, &t->owner_room);
    if (err == 0)
        t->owners[t->count++] = owner;
    return err;
}

void translated_refuse(struct translated *t, uint32_t owner, enum translate_reason reason)
{
    if (reason == TRANSLATE_NONE || owner >= t->source_count || t->reasons[owner] != TRANSLATE_NONE)
        return;
    t->reasons[owner] = (uint8_t)reason;
    t->refused++;
}

/* ---- what translates */

bool translate_is_needed(enum backend_kind kind, enum batch_format format)
{
    return (kind == BACKEND_REMOTE_WRITE && format == FORMAT_OTLP_METRICS) ||
           (kind == BACKEND_LOKI && format == FORMAT_OTLP_LOGS);
}

int translate_init(struct translate *t, const struct gateway_backend_config *config, enum backend_kind kind)
{
    *t = (struct translate){.config = config, .kind = kind};
    translated_init(&t->result);
    if (kind == BACKEND_REMOTE_WRITE && config->otlp.delta_to_cumulative) {
        t->delta = otlp_delta_new((size_t)config->otlp.delta_memory_bytes);
        if (!t->delta)
            return -ENOMEM;
    }
    return 0;
}

void translate_fini(struct translate *t)
{
    translated_fini(&t->result);
    otlp_delta_free(t->delta);
    otlp_metrics_free(t->metrics);
    otlp_logs_free(t->logs);
    *t = (struct translate){0};
}

static int run_metrics(struct translate *t, struct bytes raw, int64_t row_id)
{
    struct otlp_delta *delta = row_id ? t->delta : NULL;
    if (!t->metrics && !(t->metrics = otlp_metrics_new()))
        return -ENOMEM;
    t->result.format = FORMAT_REMOTE_WRITE_1;
    if (delta)
        otlp_delta_begin(delta, row_id, clock_mono_ns());
    return otlp_metrics_translate(t->metrics, &t->config->otlp, delta, raw, &t->result);
}

static int run_logs(struct translate *t, struct bytes raw, int64_t received_ns)
{
    if (!t->logs && !(t->logs = otlp_logs_new()))
        return -ENOMEM;
    t->result.format = FORMAT_LOKI_PUSH;
    return otlp_logs_translate(t->logs, received_ns, raw, &t->result);
}

int translate_run(struct translate *t, enum batch_format format, struct bytes raw, int64_t row_id,
                  int64_t received_ns)
{
    translated_clear(&t->result, TRANSLATE_MAX_BYTES);
    t->row_id = 0;
    int err = format == FORMAT_OTLP_METRICS ? run_metrics(t, raw, row_id)
              : format == FORMAT_OTLP_LOGS  ? run_logs(t, raw, received_ns)
                                            : -EBADMSG;
    if (err < 0)
        translated_clear(&t->result, 0);
    else
        t->row_id = row_id;
    return err;
}

void translate_release(struct translate *t)
{
    translated_clear(&t->result, 0);
    t->row_id = 0;
    if (t->metrics)
        otlp_metrics_release(t->metrics);
    if (t->logs)
        otlp_logs_release(t->logs);
}
