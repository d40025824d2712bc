#include "gateway/ask/replay_window.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/conf/conf.h"

enum { MOST_ANSWER = 4 << 20, MOST_VALUE = 64 };
enum { MS = 1000000 };
static const int64_t hour_ns = INT64_C(3600) * 1000 * MS;

/* ---- what the answers hold */

/* The value of the first line "  key: value" of a YAML text. False when there is none. */
static bool find_value(struct bytes yaml, const char *key, char value[MOST_VALUE])
{
    const char *at = (const char *)yaml.ptr, *end = at + yaml.len;
    size_t len = strlen(key);
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *line_end = newline ? newline : end;
        while (at < line_end && *at == ' ')
            at++;
        if ((size_t)(line_end - at) > len + 1 && memcmp(at, key, len) == 0 && at[len] == ':') {
            for (at += len + 1; at < line_end && *at == ' ';)
                at++;
            snprintf(value, MOST_VALUE, "%.*s", (int)(line_end - at), at);
            return true;
        }
        at = line_end + 1;
    }
    return false;
}

/* A duration of Go or Prometheus: "2h0m0s", "1w". */
static bool find_duration(struct bytes yaml, const char *key, int64_t *ret_ns)
{
    char value[MOST_VALUE];
    int64_t ms;
    if (!find_value(yaml, key, value) || conf_parse_duration(value, &ms) < 0)
        return false;
    *ret_ns = ms * MS;
    return true;
}

int replay_window_of_prometheus(struct bytes config, struct bytes tsdb, struct replay_window *ret_window)
{
    json_t *answer = json_loadb((const char *)config.ptr, config.len, 0, NULL);
    json_t *stats = json_loadb((const char *)tsdb.ptr, tsdb.len, 0, NULL);
    const char *yaml = NULL;
    json_int_t newest_ms = 0;
    int err = 0;
    if (json_unpack(answer, "{s:{s:s}}", "data", "yaml", &yaml) < 0 ||
        json_unpack(stats, "{s:{s:{s:I}}}", "data", "headStats", "maxTime", &newest_ms) < 0)
        err = -EBADMSG;
    if (err == 0) {
        struct replay_window window = {INT64_MIN, INT64_MIN, INT64_MIN, true, ""};
        int64_t ns = 0, newest_ns = (int64_t)newest_ms * MS;
        bool is_set = find_duration(bytes_of_string(yaml), "out_of_order_time_window", &ns);
        bool is_empty = newest_ms <= 0 || newest_ms > INT64_MAX / MS;
        if (!is_empty) {
            window.doubtful_before_ns = newest_ns - ns;
            window.histograms_before_ns = newest_ns;
            window.refused_before_ns = newest_ns - (ns > hour_ns ? ns : hour_ns);
        }
        snprintf(window.words, sizeof window.words, "out_of_order_time_window is %lld s%s%s",
                 (long long)(ns / (1000 * MS)), is_set ? "" : " (not set)",
                 is_empty ? "; it holds no sample" : "");
        *ret_window = window;
    }
    json_decref(answer);
    json_decref(stats);
    return err;
}

int replay_window_of_loki(struct bytes config, int64_t now_ns, struct replay_window *ret_window)
{
    struct replay_window window = {INT64_MIN, INT64_MIN, INT64_MIN, true, ""};
    char rejects[MOST_VALUE];
    int64_t chunk_ns, age_ns;
    if (!find_duration(config, "max_chunk_age", &chunk_ns))
        return -EBADMSG;
    window.doubtful_before_ns = now_ns - chunk_ns / 2;
    int len = snprintf(window.words, sizeof window.words, "max_chunk_age is %lld s",
                       (long long)(chunk_ns / (1000 * MS)));
    if (find_value(config, "reject_old_samples", rejects) && strcmp(rejects, "true") == 0 &&
        find_duration(config, "reject_old_samples_max_age", &age_ns)) {
        window.refused_before_ns = now_ns - age_ns;
        snprintf(window.words + len, sizeof window.words - (size_t)len,
                 ", reject_old_samples_max_age is %lld s", (long long)(age_ns / (1000 * MS)));
    }
    *ret_window = window;
    return 0;
}

/* ---- asking */

static void set_unknown(struct replay_window *window, const char *why)
{
    *window = (struct replay_window){INT64_MIN, INT64_MIN, INT64_MIN, false, ""};
    snprintf(window->words, sizeof window->words, "%s", why);
}

static void read_prometheus(struct sender *sender, const char *suffix, struct replay_window *ret_window)
{
    struct buf config, tsdb;
    char error[SENDER_MAX_ERROR] = "its answers are not Prometheus'";
    buf_init(&config, MOST_ANSWER);
    buf_init(&tsdb, MOST_ANSWER);
    if (sender_get(sender, suffix, "/api/v1/status/config", SENDER_GET_MS, &config, error) < 0 ||
        sender_get(sender, suffix, "/api/v1/status/tsdb", SENDER_GET_MS, &tsdb, error) < 0 ||
        replay_window_of_prometheus(buf_bytes(&config), buf_bytes(&tsdb), ret_window) < 0)
        set_unknown(ret_window, error);
    buf_fini(&config);
    buf_fini(&tsdb);
}

static void read_loki(struct sender *sender, const char *suffix, int64_t now_ns,
                      struct replay_window *ret_window)
{
    struct buf config;
    char error[SENDER_MAX_ERROR] = "its answer is not Loki's";
    buf_init(&config, MOST_ANSWER);
    if (sender_get(sender, suffix, "/config", SENDER_GET_MS, &config, error) < 0 ||
        replay_window_of_loki(buf_bytes(&config), now_ns, ret_window) < 0)
        set_unknown(ret_window, error);
    buf_fini(&config);
}

void replay_window_read(struct sender *sender, enum backend_kind kind, enum telemetry signal, int64_t now_ns,
                        struct replay_window *ret_window)
{
    switch (kind) {
    case BACKEND_REMOTE_WRITE:
        read_prometheus(sender, "/api/v1/write", ret_window);
        return;
    case BACKEND_LOKI:
        read_loki(sender, "/loki/api/v1/push", now_ns, ret_window);
        return;
    case BACKEND_OTLP_PLAIN:
        if (signal == TELEMETRY_METRICS)
            read_prometheus(sender, "/api/v1/otlp/v1/metrics", ret_window);
        else
            read_loki(sender, "/otlp/v1/logs", now_ns, ret_window);
        return;
    case BACKEND_OTLP_HTTP:
    case BACKEND_OTLP_GRPC:
        *ret_window = (struct replay_window){INT64_MIN, INT64_MIN, INT64_MIN, true, "no limit"};
        return;
    }
}
