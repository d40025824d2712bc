/* fuzz_docker.c - lines of Docker's json-file format. */
#include <errno.h>
#include <stdlib.h>

#include "node-agent/logs/docker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cri_clock clock = {0};
    struct buf storage;
    const uint8_t *end = data + size;
    buf_init(&storage, size + 1); /* resolving escapes never makes a text longer */
    for (const uint8_t *p = data, *next; p < end; p = next) {
        const uint8_t *newline = memchr(p, '\n', (size_t)(end - p));
        struct bytes line = {p, (size_t)((newline ? newline : end) - p)};
        struct cri_line parsed;
        next = newline ? newline + 1 : end;
        int err = docker_parse(&clock, line, &storage, &parsed);
        check(err == 0 || err == -EBADMSG);
        check(err < 0 || (parsed.time_ns >= 0 && parsed.text.len <= line.len));
    }
    buf_fini(&storage);
    return 0;
}
