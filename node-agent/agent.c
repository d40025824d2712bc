#include "node-agent/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/pages.h"
#include "base/program.h"
#include "node-agent/config.h"
#include "node-agent/host_metrics.h"
#include "node-agent/logs.h"
#include "node-agent/metrics.h"
#include "node-agent/otlp.h"
#include "node-agent/scrape.h"
#include "node-agent/series.h"
#include "node-agent/ship.h"
#include "proto/nng_care.h"

enum { ERRORS_MAX = 64 * 1024, DRAIN_MS = 10000 };

struct agent {
    struct loop loop;
    const char *config_path; /* borrowed from the command line */
    struct agent_config config;
    struct conf_memory *memory; /* owned; what config points into */
    struct stats *stats;        /* owned, as all below */
    struct series_queue *queue;
    struct host_metrics *host_metrics;
    struct scrape *scrape;
    struct logs *logs;
    struct ship_source logs_source;
    struct otlp *otlp;
    struct ship *ship;
    struct pages *pages;
    struct nng_watch *watch;
    bool draining;
    bool reloading; /* the drain ends in a new start instead of an exit */
};

static int tell_failure(const char *part, int err, const struct buf *errors)
{
    program_tell_errors(errors);
    log_error("the agent does not start", "part=%s error=\"%s\"", part, strerror(-err));
    return err;
}

static void wake_metrics(void *ctx)
{
    struct agent *agent = ctx;
    ship_wake(agent->ship, TELEMETRY_METRICS);
}

/* What is not read when the agent drains stays in the files. */
static int seal_logs(void *ctx, struct batch **ret_batch)
{
    struct agent *agent = ctx;
    return agent->draining ? -EAGAIN : agent->logs_source.seal(agent->logs_source.ctx, ret_batch);
}

static void logs_committed(void *ctx, const struct batch *batch, const struct wire_reply *reply)
{
    struct agent *agent = ctx;
    agent->logs_source.committed(agent->logs_source.ctx, batch, reply);
}

static void logs_refused(void *ctx, const struct batch *batch, const char *reason)
{
    struct agent *agent = ctx;
    agent->logs_source.refused(agent->logs_source.ctx, batch, reason);
}

static bool logs_resumed(void *ctx, const struct wire_resume_reply *reply, bool handed_over,
                         const struct batch *in_flight)
{
    struct agent *agent = ctx;
    return agent->logs_source.resumed(agent->logs_source.ctx, reply, handed_over, in_flight);
}

static int make_folder(const char *path)
{
    return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int start_sources(struct agent *agent, struct ship_source *sources)
{
    int err = series_queue_new(&agent->config, agent->stats, &agent->queue);
    if (err < 0)
        return err;
    sources[TELEMETRY_METRICS] = series_queue_source(agent->queue);
    if (agent->config.logs.enabled) {
        err = make_folder(agent->config.state_folder);
        if (err == 0)
            err = logs_new(&agent->loop, &agent->config, agent->stats, &agent->logs);
        if (err < 0)
            return err;
        agent->logs_source = logs_source(agent->logs);
        sources[TELEMETRY_LOGS] =
            (struct ship_source){agent, seal_logs, logs_committed, logs_refused, logs_resumed};
    }
    if (!agent->config.otlp.enabled)
        return 0;
    err = otlp_new(&agent->loop.uv, &agent->config, agent->stats, &agent->otlp);
    if (err == 0)
        sources[TELEMETRY_TRACES] = otlp_source(agent->otlp, TELEMETRY_TRACES);
    return err;
}

static void use_assignment(void *ctx, const struct assignment *assignment)
{
    struct agent *agent = ctx;
    scrape_set_targets(agent->scrape, assignment);
    if (agent->logs)
        logs_set_pods(agent->logs, assignment);
}

static int start_producers(struct agent *agent, struct buf *errors)
{
    int err = 0;
    if (agent->config.host_metrics.enabled)
        err = host_metrics_new(&agent->loop, &agent->config, agent->stats, agent->queue, wake_metrics, agent,
                               errors, &agent->host_metrics);
    if (err == 0)
        err = scrape_new(&agent->loop, &agent->config, agent->stats, agent->queue, wake_metrics, agent,
                         errors, &agent->scrape);
    if (err == 0)
        ship_on_assignment(agent->ship, use_assignment, agent);
    return err;
}

/* Ready: the listeners are open. Whether data flows stands in the lines. */
static bool tell_ready(void *ctx, struct buf *body)
{
    static const char *const states[] = {
        "hello", "ready", "sending", "waiting for the acknowledgement", "backing off", "drained"};
    struct agent *agent = ctx;
    const char *gateway = ship_gateway(agent->ship);
    buf_printf(body, agent->draining ? "not ready: draining\n" : "ready\n");
    buf_printf(body, "gateway: %s\n", gateway[0] ? gateway : "none is up");
    for (int s = 0; s < TELEMETRY_COUNT; s++)
        buf_printf(body, "%s: %s\n", telemetry_name((enum telemetry)s),
                   states[ship_state(agent->ship, (enum telemetry)s)]);
    return !agent->draining;
}

static void collect(void *ctx)
{
    struct agent *agent = ctx;
    stats_set(stats_cell(agent->stats, AGENT_LOOP_LAG), agent->loop.lag_ns);
}

static int start_pages(struct agent *agent)
{
    struct pages_options options = {agent->config.web.listen, agent->stats, tell_ready, agent};
    stats_on_collect(agent->stats, collect, agent);
    return pages_new(&agent->loop.uv, &options, &agent->pages);
}

static void on_stuck(void *ctx);

/* The order is the spec: the sources, who ships them, who fills them, who tells. */
static int start(struct agent *agent)
{
    struct ship_source sources[TELEMETRY_COUNT] = {0};
    struct buf errors;
    buf_init(&errors, ERRORS_MAX);
    const char *part = "sources";
    int err = start_sources(agent, sources);
    if (err == 0) {
        part = "gateway";
        err = ship_new(&agent->loop, &agent->config, agent->stats, sources, &agent->ship);
    }
    if (err == 0) {
        if (agent->logs)
            logs_set_ship(agent->logs, agent->ship);
        if (agent->otlp)
            otlp_set_ship(agent->otlp, agent->ship);
        part = "host_metrics or scrape_configs";
        err = start_producers(agent, &errors);
    }
    if (err == 0) {
        part = "web.listen";
        err = start_pages(agent);
    }
    if (err == 0)
        err = nng_watch_new(&agent->loop, 0, 0, on_stuck, agent, &agent->watch);
    if (err < 0)
        tell_failure(part, err, &errors);
    buf_fini(&errors);
    return err;
}

static void stop(struct agent *agent)
{
    nng_watch_close(agent->watch);
    pages_close(agent->pages);
    host_metrics_close(agent->host_metrics);
    scrape_close(agent->scrape);
    ship_close(agent->ship);
    otlp_close(agent->otlp);
    if (agent->logs)
        logs_save(agent->logs);
    logs_close(agent->logs);
    loop_end(&agent->loop);
}

static void on_drained(void *ctx)
{
    log_info("drained", NULL);
    stop(ctx);
}

static void drain(struct agent *agent)
{
    if (agent->draining)
        return;
    log_info("draining", "timeout_ms=%d", DRAIN_MS);
    agent->draining = true;
    if (agent->otlp)
        otlp_stop(agent->otlp);
    ship_drain(agent->ship, DRAIN_MS, on_drained, agent);
}

/* What nng cannot do any more, a new start can. */
static void on_stuck(void *ctx)
{
    struct agent *agent = ctx;
    log_error("the transport is stuck; starting anew", NULL);
    agent->reloading = true;
    drain(agent);
}

static void on_stop(void *ctx)
{
    struct agent *agent = ctx;
    agent->reloading = false;
    drain(agent);
}

static int load(const char *path, struct agent_config *config, struct conf_memory **ret_memory)
{
    struct buf errors;
    buf_init(&errors, ERRORS_MAX);
    int err = agent_config_load(path, config, ret_memory, &errors);
    program_tell_errors(&errors);
    buf_fini(&errors);
    return err;
}

/* A configuration that is wrong changes nothing; a right one is started with, in this process, after a drain.
 */
static void on_reload(void *ctx)
{
    struct agent *agent = ctx;
    struct agent_config config;
    struct conf_memory *memory;
    if (load(agent->config_path, &config, &memory) < 0) {
        log_error("not reloaded: the configuration is wrong", "file=%s", agent->config_path);
        return;
    }
    conf_free(memory);
    log_info("reloading", "file=%s", agent->config_path);
    agent->reloading = true;
    drain(agent);
}

static int run(struct agent *agent)
{
    int err = loop_init(&agent->loop, (struct loop_callbacks){on_stop, on_reload, agent});
    if (err < 0)
        return err;
    err = start(agent);
    if (err < 0)
        stop(agent);
    else
        log_info("the agent runs", "version=%s node=%s web=%s", TRIBUTARY_VERSION, agent->config.node,
                 agent->config.web.listen);
    loop_run(&agent->loop);
    series_queue_free(agent->queue);
    loop_fini(&agent->loop);
    return err;
}

int agent_run(const char *config_path)
{
    struct agent *agent = calloc(1, sizeof *agent);
    if (!agent)
        return 1;
    agent->config_path = config_path;
    int err = load(config_path, &agent->config, &agent->memory);
    if (err == 0) {
        log_set_level((enum log_level)agent->config.log_level);
        agent->stats = agent_metrics_new();
        err = agent->stats ? run(agent) : -ENOMEM;
    }
    int status = err < 0 ? 1 : agent->reloading ? PROGRAM_RELOAD : 0;
    stats_free(agent->stats);
    conf_free(agent->memory);
    free(agent);
    return status;
}
