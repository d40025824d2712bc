/* buffer_check.h - looks for damage in a buffer's file, while a gateway uses it or not. Changes nothing. */
#ifndef BASE_BUFFER_CHECK_H
#define BASE_BUFFER_CHECK_H

#include "base/buffer/buffer.h"

struct buffer_check {
    uint64_t rows, records; /* that are whole */
    uint64_t damaged;       /* rows whose payload is not what the agent sealed */
    uint64_t unreadable;    /* row ids on pages that cannot be read */
    uint64_t missing;       /* batches that were committed and are nowhere, by their numbers */
    uint64_t problems;      /* of the file's structure, as SQLite tells them */
};

/* buffer_check_file: checks the structure (SQLite's integrity_check, at most 100 problems told) and every
 * payload's checksum; say(ctx, line) gets a sentence for each thing found, without a newline. Reads the whole
 * file, which keeps a running gateway's WAL from being written back meanwhile. 0 whatever was found; a
 * negative errno when the file cannot be opened at all, which is said too. */
int buffer_check_file(const char *path, void (*say)(void *ctx, const char *line), void *ctx,
                      struct buffer_check *ret_check);

#endif
