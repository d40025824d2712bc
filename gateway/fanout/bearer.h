/* bearer.h - a token that lives in a file and is read again when the file changes (Kubernetes rotates them).
 * One thread. */
#ifndef GATEWAY_BEARER_H
#define GATEWAY_BEARER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum { BEARER_MAX = 16 * 1024 };

struct bearer {
    const char *path; /* borrowed; "" or NULL: no token */
    int64_t looked_ns;
    struct timespec changed;
    ino_t inode;
    char token[BEARER_MAX];
};

/* bearer_get: the token without surrounding blanks, NULL when there is none. Looks at the file at most once a
 * second (now_ns: monotonic clock); keeps the last token when the file cannot be read. */
const char *bearer_get(struct bearer *bearer, int64_t now_ns);

#endif
