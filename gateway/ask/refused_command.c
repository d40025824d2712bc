#include "gateway/ask/refused_command.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "gateway/ask/job_client.h"

struct action {
    const char *name, *method, *path;
};

static const struct action actions[] = {
    {"list", "GET", "/refused"},
    {"show", "GET", "/refused/show"},
    {"retry", "POST", "/refused/retry"},
    {"drop", "POST", "/refused/drop"},
};

static const struct action *find_action(const char *name)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}

/* The filters go into the query; *ret_filtered: there was one, or --all; *ret_local: the other gateways are
 * not asked. */
static bool parse(int argc, char **argv, struct control_question *question, struct buf *url,
                  bool *ret_filtered, bool *ret_local)
{
    static const struct option options[] = {{"backend", required_argument, NULL, 'f'},
                                            {"signal", required_argument, NULL, 'f'},
                                            {"cause", required_argument, NULL, 'f'},
                                            {"origin", required_argument, NULL, 'f'},
                                            {"id", required_argument, NULL, 'f'},
                                            {"all", no_argument, NULL, 'a'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"local", no_argument, NULL, 'l'},
                                            {"socket", required_argument, NULL, 's'},
                                            {"config", required_argument, NULL, 'c'},
                                            {0}};
    int option, which;
    optind = 0;
    while ((option = getopt_long(argc, argv, "", options, &which)) != -1) {
        if (option == 'f' && control_client_add(url, options[which].name, optarg) < 0)
            return false;
        if (option == 'j' && control_client_add(url, "format", "json") < 0)
            return false;
        if (option == 's')
            question->socket = optarg;
        else if (option == 'c')
            question->config = optarg;
        else if (option != 'f' && option != 'a' && option != 'j' && option != 'l')
            return false;
        *ret_local |= option == 'l';
        *ret_filtered |= option == 'f' || option == 'a';
    }
    return optind == argc;
}

/* The same of the other gateways, asked through ours. */
static int run_others(const struct control_question *question, const char *action, const struct buf *url)
{
    const char *filters = memchr(url->ptr, '?', url->len);
    size_t len = filters ? (size_t)((const char *)url->ptr + url->len - filters) - 1 : 0;
    struct buf others_url;
    struct control_question others = *question;
    others.url = &others_url;
    int err = control_client_url(&others_url, "/refused/others");
    if (err == 0)
        err = buf_printf(&others_url, "?action=%s&", action);
    if (err == 0)
        err = buf_append(&others_url, filters ? filters + 1 : "", len);
    int status = err == 0 ? job_client_run(&others) : 1;
    buf_fini(&others_url);
    return status;
}

int refused_command_main(int argc, char **argv)
{
    struct buf url = {0};
    struct control_question question = {.config = CONTROL_CLIENT_CONFIG, .url = &url};
    const struct action *action = argc > 1 ? find_action(argv[1]) : NULL;
    bool is_filtered = false, is_local = false;
    bool is_right = action && control_client_url(&url, action->path) == 0 &&
                    parse(argc - 1, argv + 1, &question, &url, &is_filtered, &is_local) &&
                    (is_filtered || strcmp(action->name, "drop") != 0);
    int status = 2;
    if (is_right) {
        question.method = action->method;
        status = job_client_run(&question);
        if (!is_local && question.is_ended) {
            int others = run_others(&question, action->name, &url);
            status = others ? others : status;
        }
    } else {
        fprintf(stderr, "usage: tributary-gateway refused %s\n", REFUSED_COMMAND_USAGE);
    }
    buf_fini(&url);
    return status;
}
