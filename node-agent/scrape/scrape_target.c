#include "node-agent/scrape/scrape_target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/http/http_client.h"
#include "base/log.h"
#include "node-agent/metrics.h"

enum { DEFAULT_PORT = 80, HOST_BYTES = 256, CACHE_BYTES = 32 * 1024 * 1024, WARN_PERIOD_S = 600 };

struct scrape_target {
    int64_t interval_ms, timeout_ms;
    struct series_queue *queue;
    void (*wake)(void *ctx);
    void *ctx;
    char *job, *address;            /* owned; for the log */
    char *source;                   /* owned: "target JOB INSTANCE" */
    struct series_context *context; /* owned */
    struct scrape_page_options page_options;
    struct scrape_cache *cache; /* owned */
    struct http_client *client; /* owned */
    struct stats_cell *results[SCRAPE_RESULTS];
    struct log_limit limit;
    uv_timer_t timer;
    bool is_scraping;
    int64_t began_ns, time_ms; /* of the scrape under way */
};

/* ---- one scrape ---- */

static enum scrape_result result_of_reply(const struct http_reply *reply)
{
    if (reply->error == -ETIMEDOUT)
        return SCRAPE_TIMEOUT;
    if (reply->error == -EMSGSIZE)
        return SCRAPE_BODY_LIMIT;
    if (reply->error == -ENOMEM)
        return SCRAPE_NO_MEMORY;
    if (reply->error < 0)
        return SCRAPE_UNREACHABLE;
    return reply->status == 200 ? SCRAPE_OK : SCRAPE_STATUS;
}

static void warn(struct scrape_target *target, enum scrape_result result, const struct http_reply *reply,
                 const struct scrape_page *page)
{
    unsigned held_back;
    if (result == SCRAPE_OK || !log_limit_pass(&target->limit, WARN_PERIOD_S, &held_back))
        return;
    char job[256], address[HOST_BYTES];
    log_warn("scrape failed",
             "job=%s target=%s result=%s status=%d error=\"%s\" line=%zu problem=\"%s\" held_back=%u",
             log_quote(target->job, job, sizeof job), log_quote(target->address, address, sizeof address),
             scrape_result_name(result), reply->status, reply->error < 0 ? strerror(-reply->error) : "",
             page->line, page->problem ? page->problem : "", held_back);
}

static void finish(struct scrape_target *target, const struct http_reply *reply)
{
    struct scrape_page page;
    target->is_scraping = false;
    scrape_page_init(&page, &target->page_options, target->cache, target->time_ms);
    enum scrape_result result = result_of_reply(reply);
    if (result == SCRAPE_OK)
        result = scrape_page_read(&page, reply->body);
    else
        scrape_page_fail(&page);
    scrape_page_report(&page, result == SCRAPE_OK, (double)(clock_mono_ns() - target->began_ns) / 1e9);
    scrape_page_give(&page, target->queue);
    stats_add(target->results[result], 1);
    warn(target, result, reply, &page);
    scrape_page_fini(&page);
    target->wake(target->ctx);
}

static void on_reply(void *ctx, const struct http_reply *reply)
{
    finish(ctx, reply);
}

static void on_timer(uv_timer_t *timer)
{
    struct scrape_target *target = timer->data;
    if (target->is_scraping)
        return; /* its deadline has come in this very turn of the loop: the answer follows */
    target->is_scraping = true;
    target->began_ns = clock_mono_ns();
    target->time_ms = clock_wall_ns() / 1000000;
    int err = http_client_get(target->client, target->timeout_ms, on_reply, target);
    if (err < 0)
        finish(target, &(struct http_reply){.error = err});
}

/* ---- making one ---- */

/* "host:port", "[v6]:port", "host" into its parts. */
static int split_address(const char *address, char host[HOST_BYTES], int *ret_port)
{
    bool bracket = address[0] == '[';
    const char *begin = address + bracket, *end = strchr(begin, bracket ? ']' : ':');
    const char *colon = bracket && end ? end + 1 : end;
    if (bracket && !end)
        return -EINVAL;
    size_t len = end ? (size_t)(end - begin) : strlen(begin);
    if (len == 0 || len >= HOST_BYTES)
        return -EINVAL;
    *ret_port = DEFAULT_PORT;
    if (colon && *colon) {
        char *rest;
        long port = colon[0] == ':' && colon[1] >= '0' && colon[1] <= '9' ? strtol(colon + 1, &rest, 10) : 0;
        if (port < 1 || port > 65535 || *rest)
            return -EINVAL;
        *ret_port = (int)port;
    }
    memcpy(host, begin, len);
    host[len] = '\0';
    return 0;
}

static bool is_named(const struct scrape_target_options *options, const char *name)
{
    for (size_t i = 0; i < options->label_count; i++)
        if (bytes_equal(options->labels[i].name, bytes_of_string(name)))
            return true;
    return false;
}

/* The target's own labels without those that begin with __, then job and instance. */
static int make_context(struct scrape_target *target, const struct scrape_target_options *options,
                        const char *instance)
{
    struct series_label labels[SERIES_MAX_LABELS];
    size_t count = 0;
    if (options->label_count > SERIES_MAX_LABELS - 2)
        return -EINVAL;
    for (size_t i = 0; i < options->label_count; i++)
        if (options->labels[i].name.len < 2 || memcmp(options->labels[i].name.ptr, "__", 2) != 0)
            labels[count++] = options->labels[i];
    if (!is_named(options, "job"))
        labels[count++] = (struct series_label){bytes_of_string("job"), bytes_of_string(options->job)};
    if (!is_named(options, "instance"))
        labels[count++] = (struct series_label){bytes_of_string("instance"), bytes_of_string(instance)};
    return series_context_new(labels, count, &options->config->labels, &target->context);
}

static int make_client(struct scrape_target *target, const struct scrape_target_options *options,
                       const char *host, int port)
{
    char headers[256];
    snprintf(headers, sizeof headers,
             "Accept: text/plain;version=0.0.4;q=1,*/*;q=0.1\r\nX-Prometheus-Scrape-Timeout-Seconds: %g\r\n",
             (double)target->timeout_ms / 1000);
    struct http_client_options client = {.host = host,
                                         .port = port,
                                         .target = *options->path ? options->path : "/metrics",
                                         .headers = headers,
                                         .body_bytes = (size_t)options->body_bytes};
    return http_client_new(options->loop, &client, &target->client);
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    return hash;
}

/* Until the next time of this target's phase. */
static int64_t first_wait_ms(const struct scrape_target *target, const char *node, const char *path)
{
    uint64_t hash = hash_text(hash_text(UINT64_C(0xcbf29ce484222325), node), target->job);
    hash = hash_text(hash_text(hash, target->address), path);
    int64_t interval = target->interval_ms, now = clock_wall_ns() / 1000000 % interval;
    int64_t phase = (int64_t)((hash ^ hash >> 32) % (uint64_t)interval);
    return (phase - now + interval) % interval;
}

static void on_closed(uv_handle_t *handle)
{
    struct scrape_target *target = handle->data;
    scrape_cache_free(target->cache);
    series_context_free(target->context);
    free(target->job);
    free(target->address);
    free(target->source);
    free(target);
}

static void close_target(struct scrape_target *target)
{
    http_client_close(target->client);
    target->client = NULL;
    uv_close((uv_handle_t *)&target->timer, on_closed);
}

static int make_parts(struct scrape_target *target, const struct scrape_target_options *options)
{
    char host[HOST_BYTES], instance[HOST_BYTES + 8];
    int port;
    int err = split_address(options->address, host, &port);
    if (err < 0)
        return err;
    bool v6 = strchr(host, ':') != NULL;
    snprintf(instance, sizeof instance, v6 ? "[%s]:%d" : "%s:%d", host, port);
    target->job = strdup(options->job);
    target->address = strdup(instance);
    target->cache = scrape_cache_new(CACHE_BYTES);
    if (asprintf(&target->source, "target %s %s", options->job, instance) < 0)
        target->source = NULL;
    if (!target->job || !target->address || !target->source || !target->cache)
        return -ENOMEM;
    err = make_context(target, options, instance);
    return err < 0 ? err : make_client(target, options, host, port);
}

int scrape_target_new(const struct scrape_target_options *options, struct scrape_target **ret_target)
{
    struct scrape_target *target = calloc(1, sizeof *target);
    if (!target)
        return -ENOMEM;
    target->queue = options->queue;
    target->wake = options->wake;
    target->ctx = options->ctx;
    target->interval_ms = options->interval_ms;
    target->timeout_ms =
        options->timeout_ms < options->interval_ms ? options->timeout_ms : options->interval_ms;
    uv_timer_init(options->loop, &target->timer);
    target->timer.data = target;
    for (int i = 0; i < SCRAPE_RESULTS; i++)
        target->results[i] = stats_cell(options->stats, AGENT_SCRAPES, options->job,
                                        scrape_result_name((enum scrape_result)i));
    int err = make_parts(target, options);
    if (err < 0) {
        close_target(target);
        return err;
    }
    target->page_options = (struct scrape_page_options){.context = target->context,
                                                        .honor_labels = options->honor_labels,
                                                        .honor_timestamps = options->honor_timestamps,
                                                        .sample_limit = options->sample_limit,
                                                        .refusals = series_queue_refusals(options->queue),
                                                        .source = target->source};
    uv_timer_start(&target->timer, on_timer,
                   (uint64_t)first_wait_ms(target, options->config->node, options->path),
                   (uint64_t)target->interval_ms);
    *ret_target = target;
    return 0;
}

void scrape_target_close(struct scrape_target *target, bool is_removed)
{
    if (!target)
        return;
    if (is_removed) {
        struct scrape_page page;
        scrape_page_init(&page, &target->page_options, target->cache, clock_wall_ns() / 1000000);
        scrape_page_fail(&page);
        scrape_page_report_stale(&page);
        scrape_page_give(&page, target->queue);
        scrape_page_fini(&page);
        target->wake(target->ctx);
    }
    close_target(target);
}
