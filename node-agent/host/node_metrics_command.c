#include "node-agent/host/node_metrics_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/http/http_server.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/passed_sockets.h"
#include "base/program.h"
#include "node-agent/host/collector_flags.h"
#include "node-agent/host/node_metrics.h"

enum {
    PAGE_BYTES = 64 * 1024 * 1024,
    ERRORS_BYTES = 64 * 1024,
    FAILED = 1,
    WRONG_USAGE = 2,
    ROUTES = 4,
    LISTENS_MAX = 16,
    WORDS_BYTES = 512
};

static const char default_address[] = ":9100";

struct command {
    struct agent_config config; /* its flags' array is owned */
    char **joined;              /* owned; flags whose value was an argument of its own */
    size_t joined_count;
    const char *listens[LISTENS_MAX]; /* addresses; none: prints once */
    size_t listen_count;
    const char *path;
    const char *max_requests, *log_level, *log_format, *threads; /* checked, and of no effect here */
    const char *web_config;
    bool plain;                   /* without promhttp_* */
    bool by_systemd;              /* listens on the socket that systemd passes */
    struct node_metrics *metrics; /* owned */
    struct buf page;
    uint64_t served, failed;
    struct loop loop;
    struct http_server *servers[LISTENS_MAX]; /* owned while the loop runs; one for each of listens */
};

/* ---- the command line ---- */

static const char listen_flag[] = "web.listen-address"; /* as often as there are addresses */

static const struct {
    const char *name;
    size_t offset; /* of a const char * in struct command */
} flags[] = {
    {"path.procfs", offsetof(struct command, config.host_metrics.path_procfs)},
    {"path.sysfs", offsetof(struct command, config.host_metrics.path_sysfs)},
    {"path.rootfs", offsetof(struct command, config.host_metrics.path_rootfs)},
    {"path.udev.data", offsetof(struct command, config.host_metrics.path_udev_data)},
    {"web.telemetry-path", offsetof(struct command, path)},
    {"web.max-requests", offsetof(struct command, max_requests)},
    {"web.config.file", offsetof(struct command, web_config)},
    {"log.level", offsetof(struct command, log_level)},
    {"log.format", offsetof(struct command, log_format)},
    {"runtime.gomaxprocs", offsetof(struct command, threads)},
};

/* The flag called name. 1 when *at was it, with its value; 0 when not; -EINVAL without a value. */
static int take_flag(const char *name, int argc, char **argv, int *at, const char **ret_value)
{
    const char *text = argv[*at] + (strncmp(argv[*at], "--", 2) == 0 ? 2 : 0);
    size_t len = strlen(name);
    if (strncmp(text, name, len) != 0 || (text[len] && text[len] != '='))
        return 0;
    if (!text[len] && *at + 1 >= argc)
        return -EINVAL;
    *ret_value = text[len] ? text + len + 1 : argv[++*at];
    return 1;
}

static int take_own(struct command *command, int argc, char **argv, int *at)
{
    const char *address;
    int taken = take_flag(listen_flag, argc, argv, at, &address);
    if (taken > 0 && command->listen_count == LISTENS_MAX)
        return -EINVAL;
    if (taken > 0)
        command->listens[command->listen_count++] = address;
    for (size_t i = 0; i < sizeof flags / sizeof *flags && taken == 0; i++)
        taken = take_flag(flags[i].name, argc, argv, at, (const char **)((char *)command + flags[i].offset));
    return taken;
}

static int take_collector(struct command *command, int argc, char **argv, int *at)
{
    struct conf_strings *given = &command->config.host_metrics.flags;
    const char *flag = argv[*at];
    if (collector_flags_takes_value(flag) && *at + 1 < argc) {
        char **joined = &command->joined[command->joined_count];
        if (asprintf(joined, "%s=%s", flag, argv[*at + 1]) < 0)
            return -ENOMEM;
        command->joined_count++;
        ++*at;
        flag = *joined;
    }
    given->items[given->count++] = flag;
    return 0;
}

/* "--NAME" or "--no-NAME". */
static bool is_switch(const char *argument, const char *name, bool *on)
{
    if (strncmp(argument, "--", 2) != 0)
        return false;
    bool off = strncmp(argument + 2, "no-", 3) == 0;
    if (strcmp(argument + (off ? 5 : 2), name) != 0)
        return false;
    *on = !off;
    return true;
}

static int take_arguments(struct command *command, int argc, char **argv)
{
    for (int at = 1; at < argc; at++) {
        int taken = take_own(command, argc, argv, &at);
        if (taken == 0 && is_switch(argv[at], "web.disable-exporter-metrics", &command->plain))
            taken = 1;
        if (taken == 0 && is_switch(argv[at], "web.systemd-socket", &command->by_systemd))
            taken = 1;
        if (taken == 0 && strncmp(argv[at], "--", 2) == 0)
            taken = take_collector(command, argc, argv, &at) < 0 ? -ENOMEM : 1;
        if (taken <= 0) {
            fprintf(stderr, "node-metrics: %s: unknown, or without its value\n", argv[at]);
            return -EINVAL;
        }
    }
    return 0;
}

static bool is_one_of(const char *word, const char *const *words)
{
    while (*words && strcmp(*words, word) != 0)
        words++;
    return *words;
}

static bool is_number(const char *word)
{
    char *end;
    strtod(word, &end);
    return *word && !*end;
}

/* The values of flags that change nothing here: what node_exporter refuses is refused. */
static int check_values(const struct command *command)
{
    static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
    static const char *const formats[] = {"logfmt", "json", NULL};
    if (!is_one_of(command->log_level, levels))
        fprintf(stderr, "node-metrics: log.level: unrecognized log level %s\n", command->log_level);
    else if (!is_one_of(command->log_format, formats))
        fprintf(stderr, "node-metrics: log.format: unrecognized log format %s\n", command->log_format);
    else if (!is_number(command->max_requests) || !is_number(command->threads))
        fprintf(stderr, "node-metrics: web.max-requests, runtime.gomaxprocs: not a number\n");
    else
        return 0;
    return -EINVAL;
}

static int command_init(struct command *command, int argc, char **argv)
{
    *command = (struct command){.path = "/metrics",
                                .max_requests = "40",
                                .log_level = "info",
                                .log_format = "logfmt",
                                .threads = "1"};
    command->config.host_metrics.path_procfs = "/proc";
    command->config.host_metrics.path_sysfs = "/sys";
    command->config.host_metrics.path_rootfs = "/";
    command->config.host_metrics.path_udev_data = "/run/udev/data";
    command->config.host_metrics.mount_timeout_ms = 5000;
    command->config.host_metrics.flags.items = calloc((size_t)argc + 1, sizeof(char *));
    command->joined = calloc((size_t)argc + 1, sizeof(char *));
    buf_init(&command->page, PAGE_BYTES);
    if (!command->joined || !command->config.host_metrics.flags.items)
        return -ENOMEM;
    int err = take_arguments(command, argc, argv);
    return err < 0 ? err : check_values(command);
}

static void command_fini(struct command *command)
{
    node_metrics_free(command->metrics);
    for (size_t i = 0; i < command->joined_count; i++)
        free(command->joined[i]);
    free(command->joined);
    free(command->config.host_metrics.flags.items);
    buf_fini(&command->page);
}

/* ---- serving ---- */

/* What the library that serves node_exporter's page says of itself. */
static void add_handler_metrics(struct metric_sink *sink, void *ctx)
{
    const struct command *command = ctx;
    static const char *const causes[] = {"encoding", "gathering"};
    for (int i = 0; i < 2; i++)
        COLLECTOR_SAMPLE(sink, "promhttp_metric_handler_errors_total", METRIC_COUNTER,
                         "Total number of internal errors encountered by the promhttp metric handler.", 0,
                         "cause", causes[i]);
    collector_emit(sink, "promhttp_metric_handler_requests_in_flight", METRIC_GAUGE,
                   "Current number of scrapes being served.", 1);
    const struct {
        const char *code;
        uint64_t count;
    } answers[] = {{"200", command->served}, {"500", command->failed}, {"503", 0}};
    for (int i = 0; i < 3; i++)
        COLLECTOR_SAMPLE(sink, "promhttp_metric_handler_requests_total", METRIC_COUNTER,
                         "Total number of scrapes by HTTP status code.", (double)answers[i].count, "code",
                         answers[i].code);
}

static void serve_metrics(struct http_request *request, void *ctx)
{
    struct command *command = ctx;
    char words[WORDS_BYTES];
    buf_clear(&command->page);
    if (node_metrics_choose(command->metrics, http_request_query(request), words, sizeof words) < 0) {
        http_answer_text(request, 400, words);
        return;
    }
    int err = node_metrics_write(command->metrics, command->plain ? NULL : add_handler_metrics, command,
                                 &command->page);
    if (err < 0) {
        command->failed++;
        http_answer_text(request, 500, strerror(-err));
        return;
    }
    command->served++;
    http_answer(request, 200, NULL, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
                buf_bytes(&command->page));
}

static void serve_root(struct http_request *request, void *ctx)
{
    const struct command *command = ctx;
    char page[WORDS_BYTES];
    int len =
        snprintf(page, sizeof page,
                 "<html lang=\"en\"><head><title>Node Exporter</title></head><body><h1>Node Exporter</h1>"
                 "<p>as served by tributary-agent</p><p><a href=\"%.200s\">Metrics</a></p></body></html>\n",
                 command->path);
    http_answer(request, 200, NULL, "text/html; charset=UTF-8",
                (struct bytes){(const uint8_t *)page, (size_t)len});
}

static void on_stop(void *ctx)
{
    struct command *command = ctx;
    for (size_t i = 0; i < command->listen_count; i++)
        http_server_close(command->servers[i]);
    loop_end(&command->loop);
}

static int listen_everywhere(struct command *command, const struct http_route *routes)
{
    for (size_t i = 0; i < command->listen_count; i++) {
        int err = http_server_new(&command->loop.uv, command->listens[i], routes, command, NULL,
                                  &command->servers[i]);
        if (err < 0) {
            log_error("cannot listen", "address=%s error=\"%s\"", command->listens[i], strerror(-err));
            return err;
        }
        log_info("serving the host's metrics", "address=%s port=%d path=%s", command->listens[i],
                 http_server_port(command->servers[i]), command->path);
    }
    return 0;
}

static int serve(struct command *command)
{
    if (command->web_config &&
        *command->web_config) { /* whoever asks for TLS or passwords must not go without */
        log_error("TLS and passwords are not offered here", "web.config.file=%s", command->web_config);
        return -EOPNOTSUPP;
    }
    const struct http_route routes[ROUTES] = {
        {"GET", command->path, serve_metrics}, {"GET", "/", serve_root}, {0}};
    int err = loop_init(&command->loop, (struct loop_callbacks){.on_stop = on_stop, .ctx = command});
    if (err < 0)
        return err;
    err = listen_everywhere(command, routes);
    if (err < 0)
        on_stop(command);
    loop_run(&command->loop);
    loop_fini(&command->loop);
    return err;
}

/* sd_listen_fds(3): descriptor 3 is the first socket. It is handed on as one that is kept for our address. */
static int take_systemd_socket(struct command *command)
{
    char socket[64];
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    if (!pid || strtol(pid, NULL, 10) != getpid() || !count || strtol(count, NULL, 10) < 1)
        return -ENOTSOCK;
    command->listens[0] = default_address;
    command->listen_count = 1;
    snprintf(socket, sizeof socket, "l3=%s", default_address);
    setenv("TRIBUTARY_SOCKETS", socket, 1);
    passed_sockets_adopt();
    return 0;
}

static int print_usage(void)
{
    struct buf usage;
    buf_init(&usage, ERRORS_BYTES);
    int err =
        buf_append_string(&usage, "node-metrics: prints node_exporter's page of this host once, or serves it "
                                  "with --web.listen-address\n");
    for (size_t i = 0; i < sizeof flags / sizeof *flags && err == 0; i++)
        err = buf_printf(&usage, "  --%s=VALUE\n", flags[i].name);
    if (err == 0)
        err = buf_append_string(&usage, "  --web.listen-address=VALUE\n  "
                                        "--[no-]web.disable-exporter-metrics\n  --[no-]web.systemd-socket\n");
    if (err == 0)
        err = collector_flags_print(&usage);
    if (err == 0)
        fwrite(usage.ptr, 1, usage.len, stdout);
    buf_fini(&usage);
    return err < 0 ? FAILED : 0;
}

static bool is_asked(int argc, char **argv, const char *prefix)
{
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

static int print(struct command *command)
{
    int err = node_metrics_write(command->metrics, NULL, NULL, &command->page);
    if (err == 0 && fwrite(command->page.ptr, 1, command->page.len, stdout) != command->page.len)
        err = -EIO;
    return err;
}

int node_metrics_command(int argc, char **argv)
{
    struct command command;
    struct buf errors;
    if (is_asked(argc, argv, "--help"))
        return print_usage();
    if (is_asked(argc, argv, "--version")) {
        puts("tributary-agent " TRIBUTARY_VERSION);
        return 0;
    }
    buf_init(&errors, ERRORS_BYTES);
    int err = command_init(&command, argc, argv);
    if (err == 0)
        err = node_metrics_new(&command.config, &errors, &command.metrics);
    program_tell_errors(&errors);
    int status = err < 0 ? WRONG_USAGE : 0;
    if (err == 0 && command.by_systemd)
        err = take_systemd_socket(&command);
    if (err == 0)
        err = command.listen_count ? serve(&command) : print(&command);
    if (err < 0 && status == 0) {
        fprintf(stderr, "node-metrics: %s\n", strerror(-err));
        status = FAILED;
    }
    command_fini(&command);
    buf_fini(&errors);
    return status;
}
