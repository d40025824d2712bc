#include "gateway/tap_command.h"

#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/program.h"
#include "gateway/config.h"

enum { QUERY_MAX = 8192, ERRORS_MAX = 65536 };

static const char default_config[] = "/etc/tributary/gateway.yaml";

struct command {
    CURL *curl;
    struct buf url;
    const char *socket, *config; /* borrowed from the command line */
    bool is_wrong;
    /* while the answer comes */
    bool is_inside_line; /* an empty line is a heartbeat and not printed */
    bool is_closed;      /* nobody reads standard output any more */
};

/* ---- the command line */

static void add_param(struct command *c, const char *name, const char *value)
{
    char *escaped = curl_easy_escape(c->curl, value, 0);
    const char *separator = c->url.ptr[c->url.len - 1] == '?' ? "" : "&";
    if (!escaped || buf_printf(&c->url, "%s%s=%s", separator, name, escaped) < 0)
        c->is_wrong = true;
    curl_free(escaped);
}

/* NAME=VALUE of the command line is name:value of the query. */
static void add_label(struct command *c, char *text)
{
    char *equals = strchr(text, '=');
    if (!equals) {
        fprintf(stderr, "--label: \"%s\" is no NAME=VALUE\n", text);
        c->is_wrong = true;
        return;
    }
    *equals = ':';
    add_param(c, "label", text);
}

static void take_option(struct command *c, int option)
{
    switch (option) {
    case 'f':
        add_param(c, "follow", "1");
        break;
    case 'j':
        add_param(c, "format", "json");
        break;
    case 'l':
        add_label(c, optarg);
        break;
    case 'F':
        add_param(c, "from", optarg);
        break;
    case 'T':
        add_param(c, "to", optarg);
        break;
    case 't':
        add_param(c, "text", optarg);
        break;
    case 'n':
        add_param(c, "limit", optarg);
        break;
    case 's':
        c->socket = optarg;
        break;
    case 'c':
        c->config = optarg;
        break;
    default:
        c->is_wrong = true;
    }
}

static void parse(struct command *c, int argc, char **argv)
{
    static const struct option options[] = {
        {"follow", no_argument, NULL, 'f'},       {"from", required_argument, NULL, 'F'},
        {"to", required_argument, NULL, 'T'},     {"label", required_argument, NULL, 'l'},
        {"text", required_argument, NULL, 't'},   {"limit", required_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},         {"socket", required_argument, NULL, 's'},
        {"config", required_argument, NULL, 'c'}, {0},
    };
    int option;
    optind = 0; /* the program's own options were parsed before */
    while ((option = getopt_long(argc, argv, "fl:t:n:", options, NULL)) != -1)
        take_option(c, option);
    if (optind != argc - 1)
        c->is_wrong = true;
    else
        add_param(c, "signal", argv[optind]);
}

/* ---- the answer */

/* Writes text without its empty lines. */
static void write_lines(struct command *c, const char *text, size_t len)
{
    for (size_t from = 0; from < len;) {
        const char *newline = memchr(text + from, '\n', len - from);
        size_t end = newline ? (size_t)(newline - text) + 1 : len;
        bool is_heartbeat = !c->is_inside_line && end - from == 1 && newline;
        if (!is_heartbeat && fwrite(text + from, 1, end - from, stdout) != end - from)
            c->is_closed = true;
        c->is_inside_line = !newline;
        from = end;
    }
    if (fflush(stdout) != 0)
        c->is_closed = true;
}

static size_t on_body(char *text, size_t size, size_t count, void *ctx)
{
    struct command *c = ctx;
    long status = 0;
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200)
        write_lines(c, text, size * count);
    else
        fprintf(stderr, "%.*s", (int)(size * count), text);
    return c->is_closed ? 0 : size * count;
}

static int ask(struct command *c, const char *socket)
{
    long status = 0;
    c->url.ptr[c->url.len] = '\0'; /* buf_printf keeps room for it */
    curl_easy_setopt(c->curl, CURLOPT_URL, (const char *)c->url.ptr);
    curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
    CURLcode code = curl_easy_perform(c->curl);
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_COULDNT_CONNECT)
        fprintf(stderr, "no gateway answers at %s\n", socket);
    else if (code != CURLE_OK && !c->is_closed)
        fprintf(stderr, "%s: %s\n", socket, curl_easy_strerror(code));
    return (code == CURLE_OK || c->is_closed) && status == 200 ? 0 : 1;
}

/* The socket is named in the command line or in the gateway's configuration. */
static int ask_configured(struct command *c)
{
    struct gateway_config config;
    struct conf_memory *memory;
    struct buf errors;
    buf_init(&errors, ERRORS_MAX);
    int err = gateway_config_load(c->config, &config, &memory, &errors);
    program_tell_errors(&errors);
    buf_fini(&errors);
    if (err < 0)
        return 1;
    int status = ask(c, config.control_socket);
    conf_free(memory);
    return status;
}

int tap_command_main(int argc, char **argv)
{
    struct command c = {.config = default_config};
    int status = 2;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    c.curl = curl_easy_init();
    buf_init(&c.url, QUERY_MAX);
    if (c.curl && buf_append_string(&c.url, "http://gateway/tap?") == 0) {
        parse(&c, argc, argv);
        if (c.is_wrong)
            fprintf(stderr, "usage: tributary-gateway tap %s\n", TAP_COMMAND_USAGE);
        else
            status = c.socket ? ask(&c, c.socket) : ask_configured(&c);
    }
    buf_fini(&c.url);
    curl_easy_cleanup(c.curl);
    curl_global_cleanup();
    return status;
}
