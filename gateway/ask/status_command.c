#include "gateway/ask/status_command.h"

#include <getopt.h>
#include <stdio.h>

#include "gateway/ask/control_client.h"

static bool parse(int argc, char **argv, struct control_question *question, bool *ret_json, bool *ret_local)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"local", no_argument, NULL, 'l'},
                                            {"socket", required_argument, NULL, 's'},
                                            {"config", required_argument, NULL, 'c'},
                                            {0}};
    int option;
    optind = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'j')
            *ret_json = true;
        else if (option == 'l')
            *ret_local = true;
        else if (option == 's')
            question->socket = optarg;
        else if (option == 'c')
            question->config = optarg;
        else
            return false;
    }
    return optind == argc;
}

int status_command_main(int argc, char **argv)
{
    struct buf url;
    struct control_question question = {.config = CONTROL_CLIENT_CONFIG, .method = "GET", .url = &url};
    bool is_json = false, is_local = false;
    char path[32];
    if (!parse(argc, argv, &question, &is_json, &is_local)) {
        fprintf(stderr, "usage: tributary-gateway %s %s\n", argv[0], STATUS_COMMAND_USAGE);
        return 2;
    }
    snprintf(path, sizeof path, "/%s", argv[0]);
    int err = control_client_url(&url, path);
    if (err == 0)
        err = control_client_add(&url, "format", is_json ? "json" : "human");
    if (err == 0 && is_local)
        err = control_client_add(&url, "local", "1");
    int status = err == 0 && control_client_ask(&question) == 200 ? 0 : 1;
    buf_fini(&url);
    return status;
}
