#include "base/http/pages.h"

#include <errno.h>
#include <stdlib.h>

#include "base/http/http_server.h"

enum { PAGE_MAX = 32 << 20 };

struct pages {
    struct pages_options options;
    struct http_server *server; /* owned */
};

static void serve_metrics(struct http_request *request, void *ctx)
{
    struct pages *pages = ctx;
    struct buf page;
    buf_init(&page, PAGE_MAX);
    if (stats_write(pages->options.stats, &page) == 0)
        http_answer(request, 200, NULL, "text/plain; version=0.0.4; charset=utf-8", buf_bytes(&page));
    else
        http_answer_text(request, 500, "the page is larger than 32 MiB\n");
    buf_fini(&page);
}

static void serve_healthy(struct http_request *request, void *ctx)
{
    (void)ctx;
    http_answer_text(request, 200, "healthy\n");
}

static void serve_ready(struct http_request *request, void *ctx)
{
    struct pages *pages = ctx;
    struct buf body;
    buf_init(&body, PAGE_MAX);
    bool is_ready = pages->options.ready(pages->options.ctx, &body);
    http_answer(request, is_ready ? 200 : 503, NULL, "text/plain; charset=utf-8", buf_bytes(&body));
    buf_fini(&body);
}

int pages_new(uv_loop_t *loop, const struct pages_options *options, struct pages **ret_pages)
{
    static const struct http_route routes[] = {
        {"GET", "/metrics", serve_metrics},
        {"GET", "/-/healthy", serve_healthy},
        {"GET", "/-/ready", serve_ready},
        {0},
    };
    struct pages *pages = calloc(1, sizeof *pages);
    if (!pages)
        return -ENOMEM;
    pages->options = *options;
    int err = http_server_new(loop, options->address, routes, pages, NULL, &pages->server);
    if (err < 0) {
        free(pages);
        return err;
    }
    *ret_pages = pages;
    return 0;
}

void pages_close(struct pages *pages)
{
    if (!pages)
        return;
    http_server_close(pages->server);
    free(pages);
}
