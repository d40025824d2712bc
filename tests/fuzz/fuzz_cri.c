/* fuzz_cri.c - lines of a container log, and what becomes of their text. */
#include <stdlib.h>

#include "node-agent/logs/cri.h"
#include "node-agent/logs/logtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_LINE = 64 };

static void check(int holds)
{
    if (!holds)
        abort();
}

/* Whatever the text, what is sent is valid UTF-8 and within the limit. */
static void repair(struct bytes text)
{
    struct buf out;
    buf_init(&out, 3 * text.len + sizeof LOGTEXT_MARK);
    check(logtext_repair(text, &out) == 0);
    check(logtext_is_utf8(buf_bytes(&out)));
    check(!logtext_is_utf8(text) || bytes_equal(text, buf_bytes(&out)));
    size_t len = logtext_cut_len(buf_bytes(&out), MAX_LINE);
    check(len <= out.len && (len == out.len || len + sizeof LOGTEXT_MARK - 1 <= MAX_LINE));
    check(logtext_is_utf8((struct bytes){out.ptr, len}));
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cri_clock clock = {0};
    const uint8_t *end = data + size;
    for (const uint8_t *p = data, *next; p < end; p = next) {
        const uint8_t *newline = memchr(p, '\n', (size_t)(end - p));
        struct bytes line = {p, (size_t)((newline ? newline : end) - p)};
        struct cri_line parsed, again;
        struct cri_clock fresh = {0};
        next = newline ? newline + 1 : end;
        int err = cri_parse(&clock, line, &parsed);
        check(err == cri_parse(&fresh, line, &again)); /* the cache changes nothing */
        if (err == 0) {
            check(parsed.time_ns >= 0 && parsed.time_ns == again.time_ns);
            check(parsed.text.ptr >= line.ptr && parsed.text.ptr + parsed.text.len == line.ptr + line.len);
        }
        repair(err == 0 ? parsed.text : line);
    }
    return 0;
}
