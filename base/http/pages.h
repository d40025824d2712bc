/* pages.h - the pages that both programs have: /metrics, /-/healthy, /-/ready. Loop thread only. */
#ifndef BASE_PAGES_H
#define BASE_PAGES_H

#include <uv.h>

#include "base/stats.h"

struct pages;

struct pages_options {
    const char *address; /* host:port */
    struct stats *stats; /* borrowed */
    /* ready: whether the program is ready; adds lines for people to body, the reason first when it is not. */
    bool (*ready)(void *ctx, struct buf *body);
    void *ctx;
};

/* pages_new: listens. 0 or a negative errno (bind, listen). */
int pages_new(uv_loop_t *loop, const struct pages_options *options, struct pages **ret_pages);

/* pages_close: NULL is fine. */
void pages_close(struct pages *pages);

#endif
