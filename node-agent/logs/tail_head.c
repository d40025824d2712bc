#include "node-agent/logs/tail_head.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "node-agent/logs/gunzip.h"

enum { BLOCK = 4096 };
#define MAX_HOLE (UINT64_C(1) << 30) /* bytes of it that are looked at */

struct source {
    int fd;
    struct gunzip *gunzip; /* NULL: it is read as it is */
};

static ssize_t read_at(const struct source *source, uint8_t *to, size_t len, uint64_t at)
{
    if (source->gunzip)
        return gunzip_read(source->gunzip, to, len, at);
    ssize_t n = pread(source->fd, to, len, (off_t)at);
    return n < 0 ? -errno : n;
}

static size_t count_nuls(const uint8_t *block, size_t len)
{
    size_t n = 0;
    while (n < len && !block[n])
        n++;
    return n;
}

/* Where the file system knows that there is none, nothing is read. */
static uint64_t skip_hole(const struct source *source)
{
    off_t data = source->gunzip ? 0 : lseek(source->fd, 0, SEEK_DATA);
    return data > 0 ? (uint64_t)data : 0;
}

/* Length of the hole; of a file without any other bytes that of what was looked at. */
static int find_begin(const struct source *source, uint64_t *ret_at)
{
    uint8_t block[BLOCK];
    ssize_t n = read_at(source, block, 1, 0);
    *ret_at = 0;
    if (n <= 0 || block[0])
        return n < 0 ? (int)n : 0;
    uint64_t at = skip_hole(source), end = at + MAX_HOLE;
    size_t nuls = BLOCK;
    for (n = BLOCK; n > 0 && nuls == (size_t)n && at < end; at += nuls) {
        n = read_at(source, block, BLOCK, at);
        nuls = n > 0 ? count_nuls(block, (size_t)n) : 0;
    }
    *ret_at = at;
    return n < 0 ? (int)n : 0;
}

static int check(struct tail_head *head, const struct source *source)
{
    uint8_t bytes[TAIL_HEAD];
    int err = head->len ? 0 : find_begin(source, &head->at);
    ssize_t n = err < 0 ? err : read_at(source, bytes, TAIL_HEAD, head->at);
    if (n < 0)
        return (int)n;
    if ((size_t)n < head->len || memcmp(bytes, head->bytes, head->len) != 0)
        return -ESTALE;
    memcpy(head->bytes + head->len, bytes + head->len, (size_t)n - head->len);
    head->len = (size_t)n;
    return 0;
}

int tail_head_check(struct tail_head *head, int fd, bool inflate)
{
    struct source source = {.fd = fd};
    int err = inflate ? gunzip_new(fd, BLOCK, &source.gunzip) : 0;
    if (err == 0)
        err = check(head, &source);
    if (source.gunzip)
        gunzip_free(source.gunzip);
    return err;
}

bool tail_head_begins(const struct tail_head *a, const struct tail_head *b)
{
    return a->len > 0 && a->len <= b->len && a->at == b->at && memcmp(a->bytes, b->bytes, a->len) == 0;
}

bool tail_head_has(const struct tail_head *head, size_t len, uint32_t crc)
{
    return len <= head->len && crc32c((struct bytes){head->bytes, len}) == crc;
}
