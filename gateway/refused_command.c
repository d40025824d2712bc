#include "gateway/refused_command.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "gateway/job_client.h"

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

/* The filters go into the query; *ret_filtered: there was one, or --all. */
static bool parse(int argc, char **argv, struct control_question *question, struct buf *url,
                  bool *ret_filtered)
{
    static const struct option options[] = {
        {"backend", required_argument, NULL, 'f'}, {"signal", required_argument, NULL, 'f'},
        {"cause", required_argument, NULL, 'f'},   {"origin", required_argument, NULL, 'f'},
        {"id", required_argument, NULL, 'f'},      {"all", no_argument, NULL, 'a'},
        {"json", no_argument, NULL, 'j'},          {"socket", required_argument, NULL, 's'},
        {"config", required_argument, NULL, 'c'},  {0}};
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
        else if (option != 'f' && option != 'a' && option != 'j')
            return false;
        *ret_filtered |= option == 'f' || option == 'a';
    }
    return optind == argc;
}

int refused_command_main(int argc, char **argv)
{
    struct buf url = {0};
    struct control_question question = {.config = CONTROL_CLIENT_CONFIG, .url = &url};
    const struct action *action = argc > 1 ? find_action(argv[1]) : NULL;
    bool is_filtered = false;
    bool is_right = action && control_client_url(&url, action->path) == 0 &&
                    parse(argc - 1, argv + 1, &question, &url, &is_filtered) &&
                    (is_filtered || strcmp(action->name, "drop") != 0);
    int status = 2;
    if (is_right) {
        question.method = action->method;
        status = job_client_run(&question);
    } else {
        fprintf(stderr, "usage: tributary-gateway refused %s\n", REFUSED_COMMAND_USAGE);
    }
    buf_fini(&url);
    return status;
}
