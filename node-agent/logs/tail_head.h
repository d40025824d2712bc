/* tail_head.h - the first bytes of a log file, by which it is known again.
 *
 * A file that was truncated under a writer's offset begins with a hole, which reads as NULs and would look
 * like any other: its first bytes are those behind the hole. Descriptors are read by pread only. One thread.
 */
#ifndef NODE_AGENT_TAIL_HEAD_H
#define NODE_AGENT_TAIL_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TAIL_HEAD = 256 };

struct tail_head {
    uint64_t at;              /* length of the hole before them */
    size_t len;               /* fewer than TAIL_HEAD while the file is shorter; 0: not known */
    uint8_t bytes[TAIL_HEAD]; /* the first one is no NUL */
};

/* tail_head_check: whether the file, which is unpacked when inflate (gunzip.h), still has these first bytes;
 * learns more of them while there are fewer than TAIL_HEAD. 0; -ESTALE: it has others; else a negative
 * errno. */
int tail_head_check(struct tail_head *head, int fd, bool inflate);

/* tail_head_begins: whether what begins with b begins with all of a, which is not empty. */
bool tail_head_begins(const struct tail_head *a, const struct tail_head *b);

/* tail_head_has: whether the crc32c of the first len bytes is that one. */
bool tail_head_has(const struct tail_head *head, size_t len, uint32_t crc);

#endif
