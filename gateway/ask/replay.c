#include "gateway/ask/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "gateway/ask/replay_work.h"
#include "gateway/ask/tap_query.h"
#include "gateway/fanout/backend_kind.h"

enum { MOST_TEXT = 256 };

struct replay {
    struct jobs *jobs;                   /* borrowed, as the next two */
    const struct gateway_config *config; /* lives until the loop has ended */
    struct buffer *buffers[TELEMETRY_COUNT];
};

/* ---- what is asked for */

static const char *take_time(struct http_request *request, const char *name, int64_t now_ns, int64_t *ret_ns)
{
    char text[MOST_TEXT];
    const char *value = http_request_param(request, name, text, sizeof text);
    if (!value || tap_query_parse_time(value, now_ns, ret_ns) < 0)
        return "from and to: a time like 2026-11-22T18:00:00Z, or how long ago, like 30m\n";
    return NULL;
}

static const char *take_span(struct http_request *request, struct replay_ask *ask)
{
    int64_t now_ns = clock_wall_ns();
    const char *wrong = take_time(request, "from", now_ns, &ask->from_ns);
    if (!wrong)
        wrong = take_time(request, "to", now_ns, &ask->to_ns);
    return wrong ? wrong : ask->from_ns > ask->to_ns ? "from is later than to\n" : NULL;
}

/* Lines of name=value. */
static const char *take_matches(struct http_request *request, struct replay_work *work)
{
    char *at = (char *)work->text;
    struct replay_ask *ask = &work->ask;
    if (!http_request_param(request, "match", at, sizeof work->text))
        return NULL;
    for (char *line; (line = strsep(&at, "\n"));) {
        char *equals = strchr(line, '=');
        if (!equals || equals == line || ask->match_count == REPLAY_MAX_MATCHES)
            return "match: name=value, at most 16 of them\n";
        ask->matches[ask->match_count++] = (struct record_pair){
            {(const uint8_t *)line, (size_t)(equals - line)}, bytes_of_string(equals + 1)};
    }
    return NULL;
}

static const char *take_rate(struct http_request *request, struct replay_work *work)
{
    char text[MOST_TEXT], *end;
    const char *value = http_request_param(request, "rate", text, sizeof text);
    if (!value)
        return NULL;
    work->has_rate = true;
    work->rate = strtoll(value, &end, 10);
    return *end || end == value || work->rate < 0 ? "rate: bytes a second\n" : NULL;
}

/* The backend's name may stand under more than one signal; then the signal has to be said. */
static const char *find_backend(const struct replay *replay, struct http_request *request,
                                struct replay_work *work)
{
    char name_text[MOST_TEXT], signal_text[MOST_TEXT];
    const char *name = http_request_param(request, "backend", name_text, sizeof name_text);
    const char *signal = http_request_param(request, "signal", signal_text, sizeof signal_text);
    int asked = signal ? telemetry_find(bytes_of_string(signal)) : -1;
    if (signal && asked < 0)
        return "signal: metrics, logs or traces\n";
    for (int s = 0; name && s < TELEMETRY_COUNT; s++) {
        const struct conf_list *list = &gateway_config_signal(replay->config, s)->backends;
        const struct gateway_backend_config *backends = list->items;
        for (size_t i = 0; i < list->count; i++) {
            bool is_it = strcmp(backends[i].name, name) == 0 && (!signal || s == asked);
            if (is_it && work->config)
                return "more than one signal has a backend of that name: say which signal\n";
            if (is_it) {
                work->config = &backends[i];
                work->signal = (enum telemetry)s;
                work->buffer = replay->buffers[s];
            }
        }
    }
    return work->config ? NULL : "no backend of that name and signal is configured\n";
}

/* Before the matches are taken apart: their text is a part of it. */
static void name_plan(struct replay_work *work, const char *matches)
{
    snprintf(work->plan, sizeof work->plan, "from=%" PRId64 " to=%" PRId64 " match=%s", work->ask.from_ns,
             work->ask.to_ns, matches);
}

static const char *find_wrong(const struct replay *replay, struct http_request *request,
                              struct replay_work *work)
{
    char matches[REPLAY_MAX_TEXT], dry[MOST_TEXT];
    const char *wrong = find_backend(replay, request, work);
    if (!wrong)
        wrong = take_span(request, &work->ask);
    const char *asked = http_request_param(request, "match", matches, sizeof matches);
    name_plan(work, asked ? asked : "");
    if (!wrong)
        wrong = take_matches(request, work);
    if (!wrong)
        wrong = take_rate(request, work);
    work->is_dry = http_request_param(request, "dry_run", dry, sizeof dry);
    return wrong;
}

/* ---- requests */

static void serve(struct http_request *request, void *ctx)
{
    static const struct job_kind kind = {replay_work_step, replay_work_free, true};
    struct replay *replay = ctx;
    struct replay_work *work = calloc(1, sizeof *work);
    const char *wrong = work ? find_wrong(replay, request, work) : "out of memory\n";
    if (wrong) {
        http_answer_text(request, work ? 400 : 503, wrong);
        free(work);
        return;
    }
    work->only_of = replay->config->peers.count ? replay->config->name : NULL;
    replay_work_init(work);
    jobs_start(replay->jobs, request, &kind, work);
}

int replay_new(struct control *control, struct jobs *jobs, const struct gateway_config *config,
               struct buffer *const buffers[TELEMETRY_COUNT], struct replay **ret_replay)
{
    struct replay *replay = calloc(1, sizeof *replay);
    if (!replay)
        return -ENOMEM;
    replay->jobs = jobs;
    replay->config = config;
    memcpy(replay->buffers, buffers, sizeof replay->buffers);
    control_add(control, "POST", "/replay", serve, replay);
    *ret_replay = replay;
    return 0;
}

void replay_close(struct replay *replay)
{
    free(replay);
}
