#include "gateway/ask/job_client.h"

#include <stdio.h>

enum { LINE_MAX_BYTES = 64 << 20 };

struct watch {
    struct buf line;                           /* begun and not ended */
    int status;                                /* -1: no end was seen */
    bool (*show)(void *ctx, const char *line); /* NULL: all are printed */
    void *ctx;
};

/* Only short lines are for it. */
static bool show(struct watch *watch)
{
    char line[256];
    snprintf(line, sizeof line, "%.*s", (int)watch->line.len, (const char *)watch->line.ptr);
    return watch->show(watch->ctx, line);
}

static bool take_line(struct watch *watch)
{
    int status;
    char end[16] = "";
    snprintf(end, sizeof end, "%.*s", (int)watch->line.len, (const char *)watch->line.ptr);
    if (sscanf(end, "end %d\n", &status) == 1) {
        watch->status = status;
        return true;
    }
    if (watch->show && show(watch))
        return true;
    return fwrite(watch->line.ptr, 1, watch->line.len, stdout) == watch->line.len;
}

static bool take(void *ctx, const char *text, size_t len)
{
    struct watch *watch = ctx;
    while (len > 0) {
        const char *newline = memchr(text, '\n', len);
        size_t part = newline ? (size_t)(newline - text) + 1 : len;
        if (buf_append(&watch->line, text, part) < 0)
            return false;
        if (newline && !take_line(watch))
            return false;
        if (newline)
            buf_clear(&watch->line);
        text += part;
        len -= part;
    }
    return fflush(stdout) == 0;
}

int job_client_run(struct control_question *question)
{
    return job_client_watch(question, NULL, NULL);
}

int job_client_watch(struct control_question *question, bool (*show_line)(void *ctx, const char *line),
                     void *ctx)
{
    struct watch watch = {.status = -1, .show = show_line, .ctx = ctx};
    buf_init(&watch.line, LINE_MAX_BYTES);
    question->take = take;
    question->ctx = &watch;
    int answer = control_client_ask(question);
    if (answer == 200 && watch.status < 0)
        fprintf(stderr, "the gateway ended before this was done\n");
    buf_fini(&watch.line);
    question->is_ended = answer == 200 && watch.status >= 0;
    return answer == 200 && watch.status >= 0 ? watch.status : 1;
}
