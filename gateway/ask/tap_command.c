#include "gateway/ask/tap_command.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "gateway/ask/control_client.h"

struct command {
    struct buf url;
    const char *socket, *config; /* borrowed from the command line */
    bool is_wrong;
    /* while the answer comes */
    bool is_inside_line; /* an empty line is a heartbeat and not printed */
};

/* ---- the command line */

static void add_param(struct command *c, const char *name, const char *value)
{
    if (control_client_add(&c->url, name, value) < 0)
        c->is_wrong = true;
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
static bool take_lines(void *ctx, const char *text, size_t len)
{
    struct command *c = ctx;
    bool is_written = true;
    for (size_t from = 0; from < len;) {
        const char *newline = memchr(text + from, '\n', len - from);
        size_t end = newline ? (size_t)(newline - text) + 1 : len;
        bool is_heartbeat = !c->is_inside_line && end - from == 1 && newline;
        if (!is_heartbeat)
            is_written &= fwrite(text + from, 1, end - from, stdout) == end - from;
        c->is_inside_line = !newline;
        from = end;
    }
    return fflush(stdout) == 0 && is_written;
}

int tap_command_main(int argc, char **argv)
{
    struct command c = {.config = CONTROL_CLIENT_CONFIG};
    int status = 2;
    if (control_client_url(&c.url, "/tap") == 0) {
        parse(&c, argc, argv);
        struct control_question question = {.socket = c.socket,
                                            .config = c.config,
                                            .method = "GET",
                                            .url = &c.url,
                                            .take = take_lines,
                                            .ctx = &c};
        if (c.is_wrong)
            fprintf(stderr, "usage: tributary-gateway tap %s\n", TAP_COMMAND_USAGE);
        else
            status = control_client_ask(&question) == 200 ? 0 : 1;
    }
    buf_fini(&c.url);
    return status;
}
