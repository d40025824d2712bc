#include "base/http/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct control {
    struct http_server *server; /* owned */
    struct http_route routes[CONTROL_MAX_ROUTES + 1];
    struct {
        void (*serve)(struct http_request *request, void *ctx);
        void *ctx;
    } owners[CONTROL_MAX_ROUTES];
    size_t count;
};

static void serve(struct http_request *request, void *ctx)
{
    struct control *control = ctx;
    bool is_head = strcmp(http_request_method(request), "HEAD") == 0;
    const char *method = is_head ? "GET" : http_request_method(request);
    for (size_t i = 0; i < control->count; i++) {
        if (strcmp(control->routes[i].path, http_request_path(request)) != 0 ||
            strcmp(control->routes[i].method, method) != 0)
            continue;
        control->owners[i].serve(request, control->owners[i].ctx);
        return;
    }
    http_answer_text(request, 404, "nothing here\n");
}

int control_new(struct loop *loop, const char *path, struct control **ret_control)
{
    static const struct http_limits limits = {.connections = CONTROL_MAX_CONNECTIONS,
                                              .request_ms = CONTROL_PEER_MS};
    char address[512];
    if (snprintf(address, sizeof address, "unix:%s", path) >= (int)sizeof address)
        return -ENAMETOOLONG;
    struct control *control = calloc(1, sizeof *control);
    if (!control)
        return -ENOMEM;
    int err = http_server_new(&loop->uv, address, control->routes, control, &limits, &control->server);
    if (err < 0) {
        free(control);
        return err;
    }
    *ret_control = control;
    return 0;
}

void control_add(struct control *control, const char *method, const char *path,
                 void (*owner)(struct http_request *request, void *ctx), void *ctx)
{
    if (control->count == CONTROL_MAX_ROUTES)
        abort(); /* a bug of ours: the header says how many */
    control->owners[control->count].serve = owner;
    control->owners[control->count].ctx = ctx;
    control->routes[control->count++] = (struct http_route){method, path, serve};
}

void control_close(struct control *control)
{
    if (!control)
        return;
    http_server_close(control->server);
    free(control);
}
