#include "gateway/job_client.h"

#include <stdio.h>

enum { LINE_MAX_BYTES = 64 << 20 };

struct watch {
    struct buf line; /* begun and not ended */
    int status;      /* -1: no end was seen */
};

static bool take_line(struct watch *watch)
{
    int status;
    char end[16] = "";
    snprintf(end, sizeof end, "%.*s", (int)watch->line.len, (const char *)watch->line.ptr);
    if (sscanf(end, "end %d\n", &status) == 1) {
        watch->status = status;
        return true;
    }
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
    struct watch watch = {.status = -1};
    buf_init(&watch.line, LINE_MAX_BYTES);
    question->take = take;
    question->ctx = &watch;
    int answer = control_client_ask(question);
    if (answer == 200 && watch.status < 0)
        fprintf(stderr, "the gateway ended before this was done\n");
    buf_fini(&watch.line);
    return answer == 200 && watch.status >= 0 ? watch.status : 1;
}
