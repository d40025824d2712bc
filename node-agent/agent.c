#include "node-agent/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/conf/config_watch.h"
#include "base/http/control.h"
#include "base/http/pages.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/passed_sockets.h"
#include "base/program.h"
#include "node-agent/config.h"
#include "node-agent/control_places.h"
#include "node-agent/host/host_metrics.h"
#include "node-agent/logs/logs.h"
#include "node-agent/logs/logs_report.h"
#include "node-agent/metrics.h"
#include "node-agent/otlp.h"
#include "node-agent/reload.h"
#include "node-agent/scrape/scrape.h"
#include "node-agent/scrape/series.h"
#include "node-agent/ship/gate.h"
#include "node-agent/ship/ship.h"
#include "node-agent/ship/ship_mix.h"
#include "node-agent/ship/spool.h"
#include "node-agent/state_lock.h"
#include "proto/nng_care.h"

enum { ERRORS_MAX = 64 * 1024, DRAIN_MS = 10000, QUIET_MS = 5000 };
enum { SWITCH_MS = 24 * 3600 * 1000 }; /* for the last answer under the own origin: any time */

/* What ships, and from which sources. Waiting for the lock there is one of OTLP alone under the boot's own
 * origin; with the lock there is one of everything under the node's, and the former goes when what it has in
 * flight is answered: until then no OTLP is sealed for the other. */
struct shipping {
    struct ship *ship;                                        /* owned; NULL: there is none */
    struct gate read[TELEMETRY_COUNT], otlp[TELEMETRY_COUNT]; /* what is read here, what is sent here */
    struct ship_mix mixes[TELEMETRY_COUNT];
};

struct agent {
    struct loop loop;
    const char *config_path; /* borrowed from the command line */
    struct agent_config config;
    struct conf_memory *memory; /* owned; what config points into */
    struct stats *stats;        /* owned, as all below */
    struct state_lock *lock;    /* NULL: there is no state folder */
    struct refusals *refusals;
    struct series_queue *queue;
    struct host_metrics *host_metrics;
    struct scrape *scrape;
    struct logs *logs;
    struct senders senders; /* of OTLP; nobody before the first assignment */
    struct otlp *otlp;
    struct spool *spool; /* NULL: none is configured */
    struct shipping waiting, full;
    struct pages *pages;
    struct control *control;
    struct logs_report logs_report;
    struct nng_watch *watch;
    struct config_mark config_mark; /* of what is in force */
    struct config_watch *config_watch;
    bool draining;
    bool reloading; /* the drain ends in a new start instead of an exit */
    bool failed;    /* the drain ends with status 1 */
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
    ship_wake(agent->full.ship, TELEMETRY_METRICS);
}

static bool metrics_are_filling(void *ctx)
{
    const struct agent *agent = ctx;
    return series_queue_is_filling(agent->queue);
}

/* Tailed lines wait in their files: of the logs only those of OTLP can be spooled. */
static struct ship_source mix_sources(struct agent *agent, struct shipping *shipping, enum telemetry signal)
{
    struct ship_source read = gate_source(&shipping->read[signal]),
                       otlp = gate_source(&shipping->otlp[signal]);
    struct ship_mix *mix = &shipping->mixes[signal];
    if (!agent->spool || shipping != &agent->full)
        return ship_mix_source(mix, &read, &otlp);
    if (signal == TELEMETRY_LOGS) {
        otlp = spool_source(agent->spool, signal, &otlp, NULL, NULL, false);
        return ship_mix_source(mix, &read, &otlp);
    }
    struct ship_source mixed = ship_mix_source(mix, &read, &otlp);
    bool is_metrics = signal == TELEMETRY_METRICS;
    return spool_source(agent->spool, signal, &mixed, is_metrics ? metrics_are_filling : NULL, agent, true);
}

static int start_shipping(struct agent *agent, struct shipping *shipping, enum ship_origin origin)
{
    struct ship_source sources[TELEMETRY_COUNT];
    for (int s = 0; s < TELEMETRY_COUNT; s++) {
        if (agent->otlp)
            shipping->otlp[s].source = otlp_source(agent->otlp, (enum telemetry)s);
        sources[s] = mix_sources(agent, shipping, (enum telemetry)s);
    }
    return ship_new(&agent->loop, &agent->config, agent->stats, sources, origin, &shipping->ship);
}

static void shut_otlp(struct shipping *shipping, bool is_shut)
{
    for (int s = 0; s < TELEMETRY_COUNT; s++)
        shipping->otlp[s].is_shut = is_shut;
}

static int start_sources(struct agent *agent)
{
    int err = refusals_new(agent->stats, &agent->refusals);
    if (err == 0)
        err = series_queue_new(&agent->config, agent->stats, &agent->queue);
    if (err < 0)
        return err;
    series_queue_set_refusals(agent->queue, agent->refusals);
    agent->full.read[TELEMETRY_METRICS].source = series_queue_source(agent->queue);
    if (!agent->config.logs.enabled)
        return 0;
    err = logs_new(&agent->loop, &agent->config, agent->stats, &agent->logs);
    if (err < 0)
        return err;
    logs_set_refusals(agent->logs, agent->refusals);
    agent->full.read[TELEMETRY_LOGS].source = logs_source(agent->logs);
    return 0;
}

static void use_senders(void *ctx, const struct assignment *assignment)
{
    struct agent *agent = ctx;
    if (agent->otlp && senders_set(&agent->senders, assignment) < 0)
        log_warn("the senders of OTLP are not known: too many pods", NULL);
}

static void use_assignment(void *ctx, const struct assignment *assignment)
{
    struct agent *agent = ctx;
    scrape_set_targets(agent->scrape, assignment);
    if (agent->logs)
        logs_set_pods(agent->logs, assignment);
    use_senders(agent, assignment);
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
        ship_on_assignment(agent->full.ship, use_assignment, agent);
    return err;
}

/* Ready: the listeners are open. Whether data flows stands in the lines. */
static bool tell_ready(void *ctx, struct buf *body)
{
    static const char *const states[] = {
        "hello", "ready", "sending", "waiting for the acknowledgement", "backing off", "drained"};
    struct agent *agent = ctx;
    const struct shipping *shipping = agent->full.ship ? &agent->full : &agent->waiting;
    const char *gateway = ship_gateway(shipping->ship);
    buf_printf(body, agent->draining ? "not ready: draining\n" : "ready\n");
    if (!agent->full.ship)
        buf_printf(body, "waiting: another agent holds %s/lock\n", agent->config.state_folder);
    buf_printf(body, "gateway: %s\n", gateway[0] ? gateway : "none is up");
    for (int s = 0; s < TELEMETRY_COUNT; s++)
        if (shipping->read[s].source.seal || shipping->otlp[s].source.seal)
            buf_printf(body, "%s: %s\n", telemetry_name((enum telemetry)s),
                       states[ship_state(shipping->ship, (enum telemetry)s)]);
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

/* Without the socket the agent still does its work, so it starts. */
static void start_control(struct agent *agent)
{
    char place[CONTROL_PLACE_LEN];
    int err = -ENOENT;
    for (int i = 0; err < 0 && control_places_get(&agent->config, i, place); i++)
        err = control_new(&agent->loop, place, &agent->control);
    if (err < 0) {
        log_warn("no control socket: the command logs will not be answered", "error=\"%s\"", strerror(-err));
        return;
    }
    agent->logs_report = (struct logs_report){agent->logs, agent->full.ship};
    if (agent->logs)
        logs_report_add(agent->control, &agent->logs_report);
}

static void on_stuck(void *ctx);

/* What only one agent of a node does, under the node's origin. */
static int start_collecting(struct agent *agent, const char **ret_part, struct buf *errors)
{
    *ret_part = "sources";
    int err = start_sources(agent);
    if (err < 0)
        return err;
    *ret_part = "gateway";
    shut_otlp(&agent->full, agent->waiting.ship != NULL);
    if (agent->config.spool.path[0])
        err = spool_new(&agent->loop, &agent->config, agent->stats, &agent->spool);
    if (err == 0)
        err = start_shipping(agent, &agent->full, SHIP_OF_NODE);
    if (err < 0)
        return err;
    ship_set_refusals(agent->full.ship, agent->refusals);
    if (agent->spool)
        spool_start(agent->spool, agent->full.ship);
    if (agent->logs) {
        ship_use_bulk(agent->full.ship);
        logs_set_ship(agent->logs, agent->full.ship);
    }
    if (agent->otlp && !agent->waiting.ship)
        otlp_set_ship(agent->otlp, agent->full.ship, agent->spool);
    stats_set(stats_cell(agent->stats, AGENT_WAITING), 0);
    *ret_part = "host_metrics or scrape_configs";
    err = start_producers(agent, errors);
    if (err == 0)
        start_control(agent);
    return err;
}

/* OTLP is taken from the first moment on; the rest is left to the one that holds the lock. */
static int start_waiting(struct agent *agent)
{
    int err = start_shipping(agent, &agent->waiting, SHIP_OF_BOOT);
    if (err < 0)
        return err;
    if (agent->otlp)
        otlp_set_ship(agent->otlp, agent->waiting.ship, NULL);
    ship_on_assignment(agent->waiting.ship, use_senders, agent);
    stats_set(stats_cell(agent->stats, AGENT_WAITING), 1);
    log_info("waiting for another agent of this node to end", "lock=%s/lock origin=%s",
             agent->config.state_folder, ship_origin(agent->waiting.ship));
    return 0;
}

static void on_waiting_drained(void *ctx)
{
    struct agent *agent = ctx;
    ship_close(agent->waiting.ship);
    agent->waiting.ship = NULL;
    shut_otlp(&agent->full, false);
    if (agent->otlp)
        otlp_set_ship(agent->otlp, agent->full.ship, agent->spool);
    log_info("everything goes out under the node's origin", NULL);
}

static void drain(struct agent *agent);

static void on_lock_taken(void *ctx)
{
    struct agent *agent = ctx;
    const char *part;
    struct buf errors;
    if (agent->draining)
        return;
    log_info("this agent is the node's now", "lock=%s/lock", agent->config.state_folder);
    buf_init(&errors, ERRORS_MAX);
    int err = start_collecting(agent, &part, &errors);
    if (err < 0) {
        tell_failure(part, err, &errors);
        agent->failed = true;
        drain(agent);
    } else {
        shut_otlp(&agent->waiting, true);
        ship_drain(agent->waiting.ship, SWITCH_MS, on_waiting_drained, agent);
    }
    buf_fini(&errors);
}

/* An agent that keeps nothing on the disk may do without the folder. */
static int take_lock(struct agent *agent)
{
    int err = state_lock_new(&agent->loop.uv, agent->config.state_folder, on_lock_taken, agent, &agent->lock);
    if (err < 0 && !agent->config.logs.enabled) {
        log_warn("no lock: a second agent of this node would not be noticed", "folder=%s error=\"%s\"",
                 agent->config.state_folder, strerror(-err));
        return 0;
    }
    return err;
}

/* The order is the spec: who takes OTLP, who ships, who fills them, who tells. */
static int start(struct agent *agent)
{
    struct buf errors;
    buf_init(&errors, ERRORS_MAX);
    const char *part = "state_folder";
    int err = take_lock(agent);
    if (err == 0 && agent->config.otlp.enabled) {
        part = "otlp";
        err = otlp_new(&agent->loop.uv, &agent->config, agent->stats,
                       agent->config.otlp.kubernetes_attributes ? &agent->senders : NULL, &agent->otlp);
    }
    if (err == 0 && agent->lock && !state_lock_is_held(agent->lock)) {
        part = "gateway";
        err = start_waiting(agent);
    } else if (err == 0)
        err = start_collecting(agent, &part, &errors);
    if (err == 0) {
        part = "web.listen";
        err = start_pages(agent);
    }
    if (err == 0) {
        err = nng_watch_new(&agent->loop, 0, 0, on_stuck, agent, &agent->watch);
    }
    if (err < 0)
        tell_failure(part, err, &errors);
    buf_fini(&errors);
    return err;
}

static void stop(struct agent *agent)
{
    nng_watch_close(agent->watch);
    config_watch_close(agent->config_watch);
    control_close(agent->control);
    pages_close(agent->pages);
    host_metrics_close(agent->host_metrics);
    scrape_close(agent->scrape);
    ship_close(agent->waiting.ship);
    shut_otlp(&agent->full, true); /* its clients were not answered: they send it again */
    spool_flush(agent->spool);
    ship_close(agent->full.ship);
    spool_close(agent->spool);
    otlp_close(agent->otlp);
    if (agent->logs)
        logs_save(agent->logs);
    logs_close(agent->logs);
    state_lock_close(agent->lock); /* the next agent begins where this one saved */
    loop_end(&agent->loop);
}

static void on_drained(void *ctx)
{
    struct agent *agent = ctx;
    if (agent->waiting.ship && agent->full.ship) { /* one after the other */
        on_waiting_drained(agent);
        ship_drain(agent->full.ship, DRAIN_MS, on_drained, agent);
        return;
    }
    log_info("drained", NULL);
    stop(agent);
}

static void drain_ships(void *ctx)
{
    struct agent *agent = ctx;
    ship_drain(agent->waiting.ship ? agent->waiting.ship : agent->full.ship, DRAIN_MS, on_drained, agent);
}

/* What is not read when the agent drains stays in the files. */
static void drain(struct agent *agent)
{
    if (agent->draining)
        return;
    log_info("draining", "timeout_ms=%d", DRAIN_MS);
    agent->draining = true;
    agent->full.read[TELEMETRY_LOGS].is_shut = true;
    if (agent->otlp)
        otlp_stop(agent->otlp, QUIET_MS, drain_ships, agent);
    else
        drain_ships(agent);
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

static void show_wrong(struct agent *agent, bool is_wrong)
{
    stats_set(stats_cell(agent->stats, AGENT_CONFIG_WRONG, agent->config_path), is_wrong);
}

/* Parsed, what it names can be had, and let go again. */
static int check(struct agent *agent)
{
    struct agent_config next;
    struct conf_memory *memory;
    struct buf errors;
    int err = load(agent->config_path, &next, &memory);
    if (err < 0)
        return err;
    buf_init(&errors, ERRORS_MAX);
    err = reload_check(&agent->config, &next, &errors);
    program_tell_errors(&errors);
    buf_fini(&errors);
    conf_free(memory);
    return err;
}

/* A configuration that is wrong, or cannot be started with, changes nothing; a right one is started with, in
 * this process, after a drain. */
static void on_reload(void *ctx)
{
    struct agent *agent = ctx;
    if (check(agent) < 0) {
        log_error("not reloaded: the configuration is wrong", "file=%s", agent->config_path);
        show_wrong(agent, true);
        stats_add(stats_cell(agent->stats, AGENT_RELOADS_FAILED), 1);
        return;
    }
    log_info("reloading", "file=%s", agent->config_path);
    agent->reloading = true;
    passed_sockets_begin();
    drain(agent);
}

static void on_config_changed(void *ctx, bool is_in_force)
{
    struct agent *agent = ctx;
    if (!is_in_force) {
        on_reload(agent);
        return;
    }
    log_info("the configuration file is again what is in force", "file=%s", agent->config_path);
    show_wrong(agent, false);
}

static int run(struct agent *agent)
{
    int err = loop_init(&agent->loop, (struct loop_callbacks){on_stop, on_reload, agent});
    if (err < 0)
        return err;
    err = start(agent);
    passed_sockets_close_rest(); /* of addresses that it listens on no more */
    if (err == 0)
        err = config_watch_new(&agent->loop.uv, agent->config_path, agent->config_mark, on_config_changed,
                               agent, &agent->config_watch);
    if (err < 0)
        stop(agent);
    else
        log_info("the agent runs", "version=%s node=%s web=%s", TRIBUTARY_VERSION, agent->config.node,
                 agent->config.web.listen);
    loop_run(&agent->loop);
    series_queue_free(agent->queue);
    refusals_free(agent->refusals);
    senders_fini(&agent->senders);
    loop_fini(&agent->loop);
    return err;
}

int agent_run(const char *config_path)
{
    struct agent *agent = calloc(1, sizeof *agent);
    if (!agent)
        return 1;
    agent->config_path = config_path;
    agent->config_mark = config_mark_read(config_path);
    senders_init(&agent->senders);
    int err = load(config_path, &agent->config, &agent->memory);
    if (err == 0) {
        log_set_level((enum log_level)agent->config.log_level);
        agent->stats = agent_metrics_new();
        if (agent->stats)
            stats_set(stats_cell(agent->stats, AGENT_CONFIG_LOADED), clock_wall_ns());
        err = agent->stats ? run(agent) : -ENOMEM;
    }
    int status = err < 0 || agent->failed ? 1 : agent->reloading ? PROGRAM_RELOAD : 0;
    stats_free(agent->stats);
    conf_free(agent->memory);
    free(agent);
    return status;
}
