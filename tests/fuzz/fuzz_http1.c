/* The HTTP/1 parser: requests and responses, whole and in pieces. The same bytes must give the same events
 * and bodies however they are cut (of two reasons to refuse, either may come first), and no limit may be
 * passed.
 */
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/http/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http1_limits limits = {.head_bytes = 2000, .body_bytes = 4000, .raw_body_bytes = 20000};

struct outcome {
    int heads, done, status;
    uint32_t body_crc; /* of the last complete body */
};

static void check_limits(const struct http1 *h)
{
    if (h->head.cap > limits.head_bytes || h->body.bytes.cap > limits.raw_body_bytes ||
        h->body.sent > limits.body_bytes)
        abort();
}

static void on_event(struct http1 *h, enum http1_event event, struct outcome *outcome)
{
    switch (event) {
    case HTTP1_MORE:
        break;
    case HTTP1_HEAD:
        outcome->heads++;
        if (!http1_target(h) || http1_count_headers(h, "host") > 1000)
            abort();
        break;
    case HTTP1_DONE:
        outcome->done++;
        outcome->body_crc = crc32c(buf_bytes(&h->body.bytes));
        http1_next(h);
        break;
    case HTTP1_REFUSED:
        if (h->error >= 0 || h->status < 400 || !h->reason)
            abort();
        outcome->status = h->status;
    }
}

static struct outcome run(struct bytes input, enum http1_role role, size_t piece)
{
    struct http1 h;
    struct outcome outcome = {0};
    http1_init(&h, role, &limits);
    while (input.len && !outcome.status) {
        struct bytes part = {input.ptr, input.len < piece ? input.len : piece};
        input = bytes_skip(input, part.len);
        while (part.len && !outcome.status) {
            on_event(&h, http1_feed(&h, &part), &outcome);
            check_limits(&h);
        }
    }
    if (!outcome.status)
        on_event(&h, http1_end(&h), &outcome);
    http1_fini(&h);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = {data, size};
    for (int role = HTTP1_REQUESTS; role <= HTTP1_RESPONSES; role++) {
        struct outcome whole = run(input, (enum http1_role)role, size + 1);
        struct outcome single = run(input, (enum http1_role)role, 1);
        struct outcome seventh = run(input, (enum http1_role)role, 7);
        if (whole.done != single.done || whole.heads != single.heads || !whole.status != !single.status ||
            whole.body_crc != single.body_crc || whole.done != seventh.done ||
            !whole.status != !seventh.status || whole.body_crc != seventh.body_crc)
            abort();
    }
    return 0;
}
