#include "gateway/gateway.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/conf/config_watch.h"
#include "base/log.h"
#include "base/passed_sockets.h"
#include "base/program.h"
#include "gateway/ask/refused.h"
#include "gateway/ask/replay.h"
#include "gateway/ask/replicas.h"
#include "gateway/ask/resend.h"
#include "gateway/ask/status.h"
#include "gateway/ask/tap.h"
#include "gateway/config.h"
#include "gateway/discovery/pods.h"
#include "gateway/fanout/fanout.h"
#include "gateway/homes_watch.h"
#include "gateway/intake/drain.h"
#include "gateway/intake/otlp_intake.h"
#include "gateway/intake/receive.h"
#include "gateway/metrics.h"
#include "gateway/reload.h"
#include "gateway/web.h"
#include "proto/nng_care.h"

enum { ERRORS_MAX = 64 * 1024, REPAIRS_MAX = 4 << 20, ANSWERS_WAIT_MS = 5000 };

struct gateway {
    struct loop loop;
    const char *config_path; /* borrowed from the command line */
    struct gateway_config config;
    struct conf_memory *memory;              /* owned; what config points into */
    struct stats *stats;                     /* owned */
    struct buffer *buffers[TELEMETRY_COUNT]; /* owned */
    struct pods *pods;                       /* owned */
    struct receive *receive;                 /* owned */
    struct otlp_intake *otlp;                /* owned */
    struct web *web;                         /* owned */
    struct control *control;                 /* owned */
    struct tap *tap;                         /* owned */
    struct status *status;                   /* owned */
    struct replicas *replicas;               /* owned */
    struct jobs *jobs;                       /* owned */
    struct refused *refused;                 /* owned */
    struct replay *replay;                   /* owned */
    struct resend *resend;                   /* owned */
    struct homes_watch *homes;               /* owned */
    struct web_parts parts;                  /* with fan-out, owned here */
    struct drain *drain;                     /* owned */
    struct nng_watch *watch;                 /* owned */
    struct config_mark config_mark;          /* of what is in force */
    struct config_watch *config_watch;       /* owned */
    bool reloading;                          /* the drain ends in a new start instead of an exit */
    bool stopped;
};

/* Which words a start-up failure deserves; errors may hold more than one line. */
static int tell_failure(const char *what, int err, const struct buf *errors)
{
    char words[1024];
    snprintf(words, sizeof words, "%.*s", errors ? (int)errors->len : 0,
             errors && errors->len ? (const char *)errors->ptr : "");
    char quoted[1100];
    log_error("the gateway does not start", "part=%s error=\"%s\" words=%s", what, strerror(-err),
              log_quote(words, quoted, sizeof quoted));
    return err;
}

/* A line each: what is missing may be much. */
static void tell_repairs(enum telemetry signal, struct bytes lines)
{
    char quoted[2048], line[1024];
    while (lines.len) {
        const uint8_t *newline = memchr(lines.ptr, '\n', lines.len);
        size_t len = newline ? (size_t)(newline - lines.ptr) : lines.len;
        snprintf(line, sizeof line, "%.*s", (int)len, (const char *)lines.ptr);
        log_warn("the buffer had to be repaired", "signal=%s words=%s", telemetry_name(signal),
                 log_quote(line, quoted, sizeof quoted));
        len += newline != NULL;
        lines = (struct bytes){lines.ptr + len, lines.len - len};
    }
}

static int open_buffer(struct gateway *gw, enum telemetry signal)
{
    const struct gateway_signal_config *config = gateway_config_signal(&gw->config, (int)signal);
    const struct gateway_backend_config *backends = config->backends.items;
    const char *names[BUFFER_MAX_BACKENDS];
    for (size_t i = 0; i < config->backends.count; i++)
        names[i] = backends[i].name;
    struct buffer_options options = {
        .folder = gw->config.buffer.folder,
        .signal = signal,
        .quota_bytes = config->quota_bytes,
        .quota_age_ms = config->quota_age_ms,
        .retention_ms = config->retention_ms,
        .when_full = (enum buffer_when_full)config->when_full,
        .backends = names,
        .backend_count = config->backends.count,
    };
    struct buf errors;
    buf_init(&errors, REPAIRS_MAX);
    int err = buffer_open(&options, &gw->buffers[signal], &errors);
    if (err < 0)
        tell_failure(telemetry_name(signal), err, &errors);
    else
        tell_repairs(signal, buf_bytes(&errors));
    buf_fini(&errors);
    return err;
}

static int open_buffers(struct gateway *gw)
{
    for (int s = 0; s < TELEMETRY_COUNT; s++) {
        int err = open_buffer(gw, (enum telemetry)s);
        if (err < 0)
            return err;
    }
    return 0;
}

static int start_receive(struct gateway *gw)
{
    struct buf errors;
    buf_init(&errors, ERRORS_MAX);
    int err = receive_new(&gw->loop, &gw->config, gw->buffers, gw->stats, pods_assignments(gw->pods),
                          &gw->receive, &errors);
    if (err < 0)
        tell_failure("agents.listen", err, &errors);
    buf_fini(&errors);
    return err;
}

static int start_otlp(struct gateway *gw)
{
    bool enriches = gw->config.otlp.kubernetes_attributes;
    if (enriches) {
        pods_keep_senders(gw->pods);
        receive_find_senders_with(gw->receive, pods_find_sender, gw->pods);
    }
    if (!gw->config.otlp.enabled)
        return 0;
    int err = otlp_intake_new(&gw->loop, &gw->config, gw->buffers, gw->stats, enriches ? gw->pods : NULL,
                              &gw->otlp);
    return err < 0 ? tell_failure("otlp", err, NULL) : 0;
}

static int start_control(struct gateway *gw)
{
    int err = control_new(&gw->loop, gw->config.control_socket, &gw->control);
    if (err == 0)
        err = tap_new(&gw->loop, gw->control, gw->buffers, &gw->tap);
    if (err == 0)
        err = replicas_new(&gw->loop, &gw->config, gw->receive, &gw->replicas);
    if (err == 0)
        err = discard_watch_new(&gw->loop, &gw->config, gw->stats, &gw->parts.discards);
    if (err == 0)
        err = status_new(gw->control, gw->config.name, &gw->parts, gw->replicas, &gw->status);
    if (err == 0)
        err = jobs_new(&gw->loop, &gw->jobs);
    if (err == 0)
        err = refused_new(&gw->loop, gw->control, gw->jobs, &gw->config, gw->buffers, gw->receive,
                          gw->replicas, &gw->refused);
    if (err == 0)
        err = replay_new(gw->control, gw->jobs, &gw->config, gw->buffers, &gw->replay);
    if (err == 0)
        err = homes_watch_new(&gw->loop, gw->receive, gw->parts.fanout, &gw->homes);
    if (err == 0)
        err = resend_new(&gw->loop, &gw->config, gw->buffers, gw->parts.fanout, gw->parts.discards,
                         gw->receive, &gw->resend);
    return err < 0 ? tell_failure("control_socket", err, NULL) : 0;
}

static int start_pages(struct gateway *gw)
{
    gw->parts.loop = &gw->loop;
    gw->parts.stats = gw->stats;
    gw->parts.receive = gw->receive;
    memcpy(gw->parts.buffers, gw->buffers, sizeof gw->buffers);
    int err = web_new(gw->config.web.listen, &gw->parts, &gw->web);
    if (err < 0)
        return tell_failure("web.listen", err, NULL);
    return start_control(gw);
}

static void on_stuck(void *ctx);

/* The order is the spec: what is durable first, who fills it last. */
static int start(struct gateway *gw)
{
    int err = open_buffers(gw);
    if (err < 0)
        return err;
    err = fanout_new(&gw->config, gw->buffers, gw->stats, &gw->parts.fanout);
    if (err < 0)
        return tell_failure("fanout", err, NULL);
    err = pods_new(&gw->loop, gw->config.pod_metadata_file, &gw->pods);
    if (err < 0)
        return tell_failure("pod_metadata_file", err, NULL);
    err = start_receive(gw);
    if (err == 0)
        err = start_otlp(gw);
    if (err == 0)
        err = start_pages(gw);
    if (err == 0)
        err = nng_watch_new(&gw->loop, 0, 0, on_stuck, gw, &gw->watch);
    return err;
}

/* What was posted is waited for before the buffers close; what is not posted stays in them. */
static void stop(struct gateway *gw)
{
    if (gw->stopped)
        return;
    gw->stopped = true;
    nng_watch_close(gw->watch);
    config_watch_close(gw->config_watch);
    web_close(gw->web);
    tap_close(gw->tap);
    replicas_close(gw->replicas);
    resend_close(gw->resend);
    homes_watch_close(gw->homes);
    discard_watch_close(gw->parts.discards);
    gw->parts.discards = NULL;
    status_close(gw->status);
    jobs_close(gw->jobs);
    refused_close(gw->refused);
    replay_close(gw->replay);
    control_close(gw->control);
    otlp_intake_close(gw->otlp);
    receive_close(gw->receive);
    drain_close(gw->drain);
    pods_close(gw->pods);
    fanout_stop(gw->parts.fanout, ANSWERS_WAIT_MS);
    loop_end(&gw->loop);
}

static void on_drained(void *ctx)
{
    struct gateway *gw = ctx;
    log_info("drained", NULL);
    stop(gw);
}

static void drain_agents(void *ctx)
{
    struct gateway *gw = ctx;
    if (drain_new(&gw->config, &gw->parts, !gw->reloading, on_drained, gw, &gw->drain) < 0)
        stop(gw);
}

static void drain(struct gateway *gw)
{
    if (gw->parts.draining)
        return;
    log_info("draining", "timeout_ms=%lld", (long long)gw->config.drain_timeout_ms);
    gw->parts.draining = true;
    resend_close(gw->resend); /* fan-out ends while it drains */
    gw->resend = NULL;
    homes_watch_close(gw->homes);
    gw->homes = NULL;
    if (gw->otlp)
        otlp_intake_drain(gw->otlp, drain_agents, gw);
    else
        drain_agents(gw);
}

/* What nng cannot do any more, a new start can. */
static void on_stuck(void *ctx)
{
    struct gateway *gw = ctx;
    log_error("the transport is stuck; starting anew", NULL);
    gw->reloading = true;
    drain(gw);
}

static void on_stop(void *ctx)
{
    struct gateway *gw = ctx;
    gw->reloading = false;
    drain(gw);
}

static int load(const char *path, struct gateway_config *config, struct conf_memory **ret_memory)
{
    struct buf errors;
    buf_init(&errors, ERRORS_MAX);
    int err = gateway_config_load(path, config, ret_memory, &errors);
    program_tell_errors(&errors);
    buf_fini(&errors);
    return err;
}

static void show_wrong(struct gateway *gw, bool is_wrong)
{
    stats_set(stats_cell(gw->stats, GATEWAY_CONFIG_WRONG, gw->config_path), is_wrong);
}

/* Parsed, what it names can be had, and let go again. */
static int check(struct gateway *gw)
{
    struct gateway_config next;
    struct conf_memory *memory;
    struct buf errors;
    int err = load(gw->config_path, &next, &memory);
    if (err < 0)
        return err;
    buf_init(&errors, ERRORS_MAX);
    err = reload_check(&gw->config, &next, &errors);
    program_tell_errors(&errors);
    buf_fini(&errors);
    conf_free(memory);
    return err;
}

/* A configuration that is wrong, or cannot be started with, changes nothing; a right one is started with, in
 * this process, after a drain. */
static void on_reload(void *ctx)
{
    struct gateway *gw = ctx;
    if (check(gw) < 0) {
        log_error("not reloaded: the configuration is wrong", "file=%s", gw->config_path);
        show_wrong(gw, true);
        stats_add(stats_cell(gw->stats, GATEWAY_RELOADS_FAILED), 1);
        return;
    }
    log_info("reloading", "file=%s", gw->config_path);
    gw->reloading = true;
    passed_sockets_begin();
    drain(gw);
}

static void on_config_changed(void *ctx, bool is_in_force)
{
    struct gateway *gw = ctx;
    if (!is_in_force) {
        on_reload(gw);
        return;
    }
    log_info("the configuration file is again what is in force", "file=%s", gw->config_path);
    show_wrong(gw, false);
}

static int run(struct gateway *gw)
{
    int err = loop_init(&gw->loop, (struct loop_callbacks){on_stop, on_reload, gw});
    if (err < 0)
        return err;
    err = start(gw);
    passed_sockets_close_rest(); /* of addresses that it listens on no more */
    if (err == 0)
        err = config_watch_new(&gw->loop.uv, gw->config_path, gw->config_mark, on_config_changed, gw,
                               &gw->config_watch);
    if (err < 0)
        stop(gw);
    else
        log_info("the gateway runs", "version=%s name=%s web=%s", TRIBUTARY_VERSION, gw->config.name,
                 gw->config.web.listen);
    loop_run(&gw->loop);
    for (int s = 0; s < TELEMETRY_COUNT; s++) {
        if (gw->buffers[s])
            buffer_close(gw->buffers[s]);
    }
    loop_fini(&gw->loop);
    return err;
}

int gateway_run(const char *config_path)
{
    struct gateway *gw = calloc(1, sizeof *gw);
    if (!gw)
        return 1;
    gw->config_path = config_path;
    gw->config_mark = config_mark_read(config_path);
    int err = load(config_path, &gw->config, &gw->memory);
    if (err == 0) {
        log_set_level((enum log_level)gw->config.log_level);
        gw->stats = gateway_metrics_new();
        if (gw->stats)
            stats_set(stats_cell(gw->stats, GATEWAY_CONFIG_LOADED), clock_wall_ns());
        err = gw->stats ? run(gw) : -ENOMEM;
    }
    int status = err < 0 ? 1 : gw->reloading ? PROGRAM_RELOAD : 0;
    stats_free(gw->stats);
    conf_free(gw->memory);
    free(gw);
    return status;
}
