#include "node-agent/logs/tail_start.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf/conf.h"
#include "node-agent/logs/docker.h"

enum { BLOCK = 64 * 1024, NEAR = 256 * 1024 };

int tail_start_parse(const char *text, int64_t now_ns, int64_t *ret_from_ns)
{
    int64_t ms, from_ns = TAIL_START_ALL;
    if (strcmp(text, "end") == 0)
        from_ns = TAIL_START_END;
    else if (strcmp(text, "beginning") != 0) {
        if (conf_parse_duration(text, &ms) < 0 || ms > now_ns / 1000000)
            return -EINVAL;
        from_ns = now_ns - ms * 1000000;
    }
    *ret_from_ns = from_ns;
    return 0;
}

static ssize_t read_at(const struct tail_file *file, uint8_t *block, uint64_t from)
{
    ssize_t n = pread(file->fd, block, BLOCK, (off_t)from);
    return n < 0 ? -errno : n;
}

/* Behind the last newline. */
static int find_last(const struct tail_file *file, uint8_t *block, uint64_t *ret_pos)
{
    for (uint64_t end = file->size; end > 0;) {
        uint64_t from = end > BLOCK ? end - BLOCK : 0;
        ssize_t n = read_at(file, block, from);
        if (n < 0)
            return (int)n;
        size_t len = (uint64_t)n < end - from ? (size_t)n : (size_t)(end - from);
        const uint8_t *newline = memrchr(block, '\n', len);
        if (newline) {
            *ret_pos = from + (uint64_t)(newline + 1 - block);
            return 0;
        }
        end = from;
    }
    *ret_pos = 0;
    return 0;
}

static int time_of(struct bytes line, int64_t *ret_ns)
{
    struct cri_clock clock = {0};
    struct cri_line parsed;
    struct buf storage;
    buf_init(&storage, BLOCK);
    int err = line.len && *line.ptr == '{' ? docker_parse(&clock, line, &storage, &parsed)
                                           : cri_parse(&clock, line, &parsed);
    buf_fini(&storage);
    if (err == 0)
        *ret_ns = parsed.time_ns;
    return err;
}

struct place { /* a line with a time */
    uint64_t at;
    int64_t time_ns;
};

/* The first line with a time that begins at or behind from, which is the begin of a line when whole. -ENOENT:
 * none within a block. */
static int find_timed(const struct tail_file *file, uint8_t *block, uint64_t from, bool whole,
                      struct place *ret_place)
{
    ssize_t n = read_at(file, block, from);
    if (n < 0)
        return (int)n;
    const uint8_t *p = block, *end = block + n, *newline;
    for (; p < end && (newline = memchr(p, '\n', (size_t)(end - p))); p = newline + 1, whole = true) {
        int64_t time_ns = 0;
        if (!whole || time_of((struct bytes){p, (size_t)(newline - p)}, &time_ns) < 0)
            continue;
        *ret_place = (struct place){from + (uint64_t)(p - block), time_ns};
        return 0;
    }
    return -ENOENT;
}

/* Line by line from low, the begin of a line. */
static int find_near(const struct tail_file *file, uint8_t *block, uint64_t low, int64_t from_ns,
                     uint64_t *ret_pos)
{
    for (ssize_t n = 1; n > 0;) {
        const uint8_t *p = block, *newline;
        n = read_at(file, block, low);
        if (n < 0)
            return (int)n;
        for (; (newline = memchr(p, '\n', (size_t)(block + n - p))); p = newline + 1) {
            int64_t time_ns = 0;
            if (time_of((struct bytes){p, (size_t)(newline - p)}, &time_ns) == 0 && time_ns >= from_ns) {
                *ret_pos = low + (uint64_t)(p - block);
                return 0;
            }
        }
        if (p == block) /* the rest of a file, or a line longer than a block: it begins here */
            break;
        low += (uint64_t)(p - block);
    }
    *ret_pos = low;
    return 0;
}

static int find_time(const struct tail_file *file, uint8_t *block, int64_t from_ns, uint64_t *ret_pos)
{
    uint64_t low = 0, high = file->size;
    while (high - low > NEAR) {
        struct place place = {0};
        uint64_t middle = low + (high - low) / 2;
        int err = find_timed(file, block, middle, false, &place);
        if (err == -ENOENT || (err == 0 && place.time_ns >= from_ns))
            high = middle;
        else if (err < 0)
            return err;
        else
            low = place.at;
    }
    return find_near(file, block, low, from_ns, ret_pos);
}

/* Of what has no times that can be searched: all or nothing. */
static int take_whole_or_none(const struct tail_file *file, int64_t from_ns, bool *ret_all)
{
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return -errno;
    *ret_all = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec >= from_ns;
    return 0;
}

int tail_start_find(const struct tail_file *file, bool plain, int64_t from_ns, uint64_t *ret_pos)
{
    bool all = from_ns == TAIL_START_ALL, has_times = !plain && !file->inflate && from_ns != TAIL_START_END;
    int err = all || has_times ? 0 : take_whole_or_none(file, from_ns, &all);
    if (err < 0)
        return err;
    if (all || file->inflate) {
        *ret_pos = all ? 0 : file->size;
        return 0;
    }
    uint8_t *block = malloc(BLOCK);
    if (!block)
        return -ENOMEM;
    err = has_times ? find_time(file, block, from_ns, ret_pos) : find_last(file, block, ret_pos);
    free(block);
    return err;
}
