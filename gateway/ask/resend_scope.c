#include "gateway/ask/resend_scope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct adding {
    struct resend_scope *scope;
    int64_t before_ns;
};

static void add(void *ctx, const struct receive_origin *origin)
{
    struct resend_scope *scope = ((struct adding *)ctx)->scope;
    if (origin->came_ns < ((struct adding *)ctx)->before_ns)
        snprintf(scope->stayed[scope->count++], sizeof *scope->stayed, "%s", origin->name);
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

void resend_scope_init(struct resend_scope *scope, const struct receive *receive, int64_t now_ns)
{
    *scope = (struct resend_scope){calloc(receive_count_origins(receive) + 1, sizeof *scope->stayed), 0};
    if (!scope->stayed)
        return;
    struct adding adding = {scope, now_ns - (int64_t)RESEND_SCOPE_MS * 1000000};
    receive_each_origin(receive, add, &adding);
    qsort(scope->stayed, scope->count, sizeof *scope->stayed, compare);
}

void resend_scope_fini(struct resend_scope *scope)
{
    free(scope->stayed);
    *scope = (struct resend_scope){0};
}

bool resend_scope_has(const void *ctx, const struct buffer_row *row)
{
    const struct resend_scope *scope = ctx;
    return row->format == FORMAT_OTLP_LOGS || scope->count == 0 ||
           !bsearch(row->origin, scope->stayed, scope->count, sizeof *scope->stayed, compare);
}
