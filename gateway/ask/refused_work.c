#include "gateway/ask/refused_work.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/ask/job.h"
#include "gateway/ask/record_print.h"
#include "gateway/ask/refused_id.h"
#include "gateway/ask/waited.h"
#include "gateway/fanout/backend_kind.h"
#include "gateway/fanout/record_source.h"
#include "gateway/fanout/repost.h"

enum { MOST_RAW = 256 << 20 };

struct refused_work *refused_work_new(const struct gateway_config *config,
                                      struct buffer *const buffers[TELEMETRY_COUNT],
                                      enum refused_action action)
{
    struct refused_work *work = calloc(1, sizeof *work);
    if (!work)
        return NULL;
    work->config = config;
    memcpy(work->buffers, buffers, sizeof work->buffers);
    work->action = action;
    work->signal = work->only = work->filter.cause = -1;
    buf_init(&work->raw, MOST_RAW);
    return work;
}

/* ---- what is asked for */

static bool set_signal(struct refused_work *work, const char *value)
{
    if (value)
        work->only = telemetry_find(bytes_of_string(value));
    return !value || work->only >= 0;
}

static bool set_cause(struct refused_work *work, const char *value)
{
    for (int c = 0; value && c < BUFFER_CAUSES; c++)
        if (strcmp(value, buffer_cause_name((enum buffer_cause)c)) == 0)
            work->filter.cause = c;
    return !value || work->filter.cause >= 0;
}

static const char *keep(char storage[REFUSED_WORK_TEXT], const char *value)
{
    if (!value)
        return NULL;
    snprintf(storage, REFUSED_WORK_TEXT, "%s", value);
    return storage;
}

/* A number alone may name one record of each signal. */
static const char *set_id(struct refused_work *work, const char *value)
{
    struct refused_id id;
    if (!value)
        return NULL;
    if (refused_id_parse(value, &id) < 0)
        return "id: as list shows it, GATEWAY/SIGNAL/NUMBER\n";
    bool changes = work->action == REFUSED_RETRY || work->action == REFUSED_DROP;
    if (id.signal < 0 && work->only < 0 && changes)
        return "id: a number alone is not one record: as list shows it, GATEWAY/SIGNAL/NUMBER\n";
    bool is_ours = id.gateway[0] ? strcmp(id.gateway, work->config->name) == 0 : !work->is_for_others;
    bool is_of_it = id.signal < 0 || work->only < 0 || id.signal == work->only;
    work->is_elsewhere = !is_ours || !is_of_it;
    work->only = id.signal >= 0 ? id.signal : work->only;
    work->filter.id = id.number;
    return NULL;
}

const char *refused_work_narrow(struct refused_work *work, const struct refused_filter *filter)
{
    work->filter.backend = keep(work->backend, filter->backend);
    work->filter.origin = keep(work->origin, filter->origin);
    if (!set_signal(work, filter->signal))
        return "signal: metrics, logs or traces\n";
    if (!set_cause(work, filter->cause))
        return "cause: refused, repeated, overtaken or unresolved\n";
    return set_id(work, filter->id);
}

/* ---- a change of the buffer, waited for */

static int change(struct refused_work *work, struct buffer_refusal_change *change)
{
    struct waited waited;
    waited_init(&waited, &change->letter);
    change->reply_to = &waited.box;
    buffer_change_refusal(work->buffers[work->signal], change);
    waited_end(&waited);
    return change->error;
}

/* ---- what is done with one record */

/* NULL: memory is out, or it holds what is not UTF-8. */
static char *take_text(json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

static char *head_json(struct refused_work *work, const struct buffer_refusal *refusal, const char *at,
                       const char *source, const char *words)
{
    char id[QUESTION_MAX_ID];
    refused_id_print(work->config->name, (enum telemetry)work->signal, refusal->id, id);
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:i, s:s}", "gateway",
                  work->config->name, "signal", telemetry_name((enum telemetry)work->signal), "id", id, "at",
                  at, "backend", refusal->backend, "cause", buffer_cause_name(refusal->cause), "origin",
                  refusal->origin, "source", source, "records", (json_int_t)refusal->records, "row",
                  (json_int_t)refusal->row_id, "status", refusal->status, "words", words);
    return take_text(json);
}

/* What is not UTF-8 cannot be said in JSON; `show` says it byte by byte. */
static void print_json(struct refused_work *work, const struct buffer_refusal *refusal, const char *at,
                       const char *source, struct buf *out)
{
    char *text = head_json(work, refusal, at, source, refusal->words);
    if (!text)
        text = head_json(work, refusal, at, "", "(not UTF-8)");
    if (text)
        buf_printf(out, "%s\n", text);
    free(text);
}

static void print_head(struct refused_work *work, const struct buffer_refusal *refusal, struct buf *out)
{
    char at[RECORD_PRINT_TIME], source[RECORD_SOURCE_MAX] = "", id[QUESTION_MAX_ID];
    char words[RECORD_PRINT_WORDS];
    refused_id_print(work->config->name, (enum telemetry)work->signal, refusal->id, id);
    record_print_time(refusal->at_ns, at);
    if (refusal->source[0])
        snprintf(source, sizeof source, "%s", refusal->source);
    else if (buffer_reader_refusal_payload(work->reader, refusal->id, &work->raw) == 0)
        record_source_of(refusal->format, buf_bytes(&work->raw), source);
    buf_clear(&work->raw);
    if (work->is_json) {
        print_json(work, refusal, at, source, out);
        return;
    }
    buf_printf(out,
               "%s gateway=%s id=%s at=%s backend=%s cause=%s origin=%s source=\"%s\" records=%llu "
               "row=%lld status=%d "
               "words=%s\n",
               telemetry_name((enum telemetry)work->signal), work->config->name, id, at, refusal->backend,
               buffer_cause_name(refusal->cause), refusal->origin, source,
               (unsigned long long)refusal->records, (long long)refusal->row_id, refusal->status,
               record_print_words(refusal->words, words));
}

/* What follows a head, where there are several gateways with the name of this one. */
static int begin_line(const struct refused_work *work, struct buf *out)
{
    bool is_named = work->is_for_others || work->config->peers.count;
    return buf_printf(out, "  %s%s", is_named ? work->config->name : "", is_named ? ": " : "");
}

struct showing {
    const struct refused_work *work;
    struct buf *out;
};

static int show_record(void *ctx, const struct record *record)
{
    struct showing *showing = ctx;
    if (showing->work->is_json)
        return record_print_json(record, showing->out);
    int err = begin_line(showing->work, showing->out);
    return err < 0 ? err : record_print_human(record, showing->out);
}

static void show(struct refused_work *work, const struct buffer_refusal *refusal, struct buf *out)
{
    struct showing showing = {work, out};
    if (buffer_reader_refusal_payload(work->reader, refusal->id, &work->raw) < 0 ||
        (records_show(refusal->format, buf_bytes(&work->raw), show_record, &showing) < 0 && !work->is_json)) {
        begin_line(work, out);
        buf_append_string(out, "(cannot be shown)\n");
    }
}

static const struct gateway_backend_config *find_backend(const struct refused_work *work, const char *name)
{
    const struct conf_list *list = &gateway_config_signal(work->config, work->signal)->backends;
    const struct gateway_backend_config *backends = list->items;
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(backends[i].name, name) == 0)
            return &backends[i];
    return NULL;
}

static int repost(struct refused_work *work, const struct buffer_refusal *refusal,
                  const _Atomic bool *cancelled, struct repost_result *result)
{
    struct repost repost;
    const struct gateway_backend_config *config = find_backend(work, refusal->backend);
    if (!config) {
        bool is_agents = strcmp(refusal->backend, "agent") == 0;
        snprintf(result->words, sizeof result->words, "%s",
                 is_agents ? "its agent refused it, only what is shown of it is kept"
                           : "this backend is not configured");
        return -ENOENT;
    }
    int err = buffer_reader_refusal_payload(work->reader, refusal->id, &work->raw);
    if (err == 0)
        err = repost_init(&repost, config, backend_kind_of(config, (enum telemetry)work->signal),
                          (enum telemetry)work->signal);
    if (err < 0)
        return err;
    err = repost_message(&repost, refusal->format, buf_bytes(&work->raw), cancelled, result);
    repost_fini(&repost);
    return err;
}

/* A line of JSON behind the head, as print_retried. */
static void print_retried_json(const struct repost_result *result, int err, struct buf *out)
{
    json_t *json =
        json_pack("{s:I, s:I, s:s*, s:s*}", "delivered", (json_int_t)result->delivered, "refused_again",
                  (json_int_t)result->refused, "words", result->words[0] ? result->words : NULL, "error",
                  err == -EAGAIN ? "not taken now"
                  : err < 0      ? strerror(-err)
                                 : NULL);
    char *text = take_text(json);
    buf_printf(out, "%s\n", text ? text : "{\"error\":\"words that are not UTF-8\"}");
    free(text);
}

static void print_retried(const struct refused_work *work, const struct repost_result *result, int err,
                          struct buf *out)
{
    char words[RECORD_PRINT_WORDS];
    if (work->is_json) {
        print_retried_json(result, err, out);
        return;
    }
    begin_line(work, out);
    if (err == -ENOENT && result->words[0])
        buf_printf(out, "not tried: %s\n", result->words);
    else if (err == -EAGAIN)
        buf_printf(out, "not taken now: %s\n", record_print_words(result->words, words));
    else if (err < 0)
        buf_printf(out, "not tried to its end: %s%s%s\n", strerror(-err), result->words[0] ? ": " : "",
                   record_print_words(result->words, words));
    else
        buf_printf(out, "delivered %llu, refused again %llu%s%s\n", (unsigned long long)result->delivered,
                   (unsigned long long)result->refused, result->refused ? ": " : "",
                   result->refused ? record_print_words(result->words, words) : "");
}

/* A backend that did not answer a record's tries is not asked about the others, which would take as long. */
static int repost_unless_away(struct refused_work *work, const struct buffer_refusal *refusal,
                              const _Atomic bool *cancelled, struct repost_result *result)
{
    if (work->away[0] && strcmp(work->away, refusal->backend) == 0) {
        snprintf(result->words, sizeof result->words, "%s does not take anything now", work->away);
        return -ENOENT;
    }
    int err = repost(work, refusal, cancelled, result);
    if (err == -EAGAIN)
        snprintf(work->away, sizeof work->away, "%s", refusal->backend);
    return err;
}

static void retry(struct refused_work *work, const struct buffer_refusal *refusal,
                  const _Atomic bool *cancelled, struct buf *out)
{
    struct repost_result result = {0};
    int err = repost_unless_away(work, refusal, cancelled, &result);
    if (err == 0) {
        struct buffer_refusal_change settled = {.id = refusal->id,
                                                .delivered = result.delivered,
                                                .left_records = result.refused,
                                                .left = buf_bytes(&result.left),
                                                .status = result.status,
                                                .words = result.words};
        err = change(work, &settled);
    }
    work->failed += err < 0;
    work->delivered += result.delivered;
    work->left += result.refused;
    print_retried(work, &result, err, out);
    buf_fini(&result.left);
}

static void drop(struct refused_work *work, const struct buffer_refusal *refusal, struct buf *out)
{
    struct buffer_refusal_change gone = {.id = refusal->id};
    int err = change(work, &gone);
    work->failed += err < 0;
    if (err < 0 && work->is_json)
        buf_printf(out, "{\"error\":\"%s\"}\n", strerror(-err));
    else if (err < 0 && begin_line(work, out) == 0)
        buf_printf(out, "not dropped: %s\n", strerror(-err));
}

static void act(struct refused_work *work, const struct buffer_refusal *refusal,
                const _Atomic bool *cancelled, struct buf *out)
{
    work->found++;
    print_head(work, refusal, out);
    buf_clear(&work->raw);
    switch (work->action) {
    case REFUSED_LIST:
        return;
    case REFUSED_SHOW:
        show(work, refusal, out);
        return;
    case REFUSED_RETRY:
        retry(work, refusal, cancelled, out);
        return;
    case REFUSED_DROP:
        drop(work, refusal, out);
        return;
    }
}

/* ---- the job */

static int finish(struct refused_work *work, struct buf *out)
{
    static const char *const done[] = {"kept", "kept", "tried again", "dropped"};
    if (work->is_elsewhere)
        return 0;
    bool is_missing = work->filter.id && !work->found;
    int status = work->failed || is_missing ? 1 : 0;
    if (work->is_json) {
        buf_printf(
            out,
            "{\"gateway\":\"%s\",\"found\":%llu,\"delivered\":%llu,\"refused_again\":%llu,\"failed\":%llu}\n",
            work->config->name, (unsigned long long)work->found, (unsigned long long)work->delivered,
            (unsigned long long)work->left, (unsigned long long)work->failed);
        return status;
    }
    if (work->is_for_others || work->config->peers.count)
        buf_printf(out, "gateway %s: ", work->config->name);
    buf_printf(out, "%llu %s", (unsigned long long)work->found, done[work->action]);
    if (work->action == REFUSED_RETRY)
        buf_printf(out, ": records delivered %llu, refused again %llu", (unsigned long long)work->delivered,
                   (unsigned long long)work->left);
    if (work->failed)
        buf_printf(out, "; %llu failed", (unsigned long long)work->failed);
    buf_append_string(out, is_missing ? "; none has that id\n" : "\n");
    return status;
}

/* The next signal that was asked for; false when there is none. */
static bool open_next(struct refused_work *work, int *ret_err)
{
    buffer_reader_close(work->reader);
    work->reader = NULL;
    work->after = 0;
    for (work->signal++; work->signal < TELEMETRY_COUNT; work->signal++) {
        if ((work->only >= 0 && work->signal != work->only) || !work->buffers[work->signal])
            continue;
        *ret_err = buffer_reader_open(work->buffers[work->signal], NULL, &work->reader);
        return *ret_err == 0;
    }
    return false;
}

int refused_work_step(void *ctx, const _Atomic bool *cancelled, struct buf *out)
{
    struct refused_work *work = ctx;
    struct buffer_refusal refusal;
    int err = 0;
    if (work->is_elsewhere || (!work->reader && !open_next(work, &err))) {
        work->failed += err < 0;
        return finish(work, out);
    }
    err = buffer_reader_refusal(work->reader, &work->filter, work->after, &refusal);
    if (err == 0) {
        work->after = refusal.id;
        act(work, &refusal, cancelled, out);
    } else if (err == -ENOENT) {
        buffer_reader_close(work->reader);
        work->reader = NULL;
    } else {
        work->failed++;
        return finish(work, out);
    }
    return JOB_GOES_ON;
}

void refused_work_free(void *ctx)
{
    struct refused_work *work = ctx;
    buffer_reader_close(work->reader);
    buf_fini(&work->raw);
    free(work);
}
