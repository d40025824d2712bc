#include "node-agent/logs/offsets_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"

#define HEADER "tributary-offsets "
#define TRAILER "crc32c %08" PRIx32 "\n"
#define TRAILER_LEN 16

struct writing {
    struct buf *out;
    int err;
};

static void write_entry(void *ctx, struct offset *at)
{
    struct writing *w = ctx;
    if (w->err == 0)
        w->err = buf_printf(w->out, "file %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %s\n",
                            at->committed, at->delivered, at->committed_lines, at->delivered_lines, at->key);
}

int offsets_file_write(struct offsets *offsets, struct buf *out)
{
    struct writing w = {out, 0};
    size_t start = out->len;
    w.err = buf_printf(out, HEADER "%d\nbuffer %s\n", OFFSETS_FILE_VERSION, offsets_buffer(offsets));
    offsets_each(offsets, write_entry, &w);
    if (w.err < 0)
        return w.err;
    return buf_printf(out, TRAILER, crc32c((struct bytes){out->ptr + start, out->len - start}));
}

/* Takes a line off *rest into storage. False at the end, or when it is too long or unfinished. */
static bool get_line(struct bytes *rest, char *storage, size_t size)
{
    const uint8_t *end = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->ptr) : 0;
    if (!end || len >= size)
        return false;
    memcpy(storage, rest->ptr, len);
    storage[len] = '\0';
    *rest = bytes_skip(*rest, len + 1);
    return true;
}

static int parse_entry(const char *line, struct offsets *offsets)
{
    uint64_t n[4];
    int key = 0;
    if (sscanf(line, "file %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %n", &n[0], &n[1], &n[2], &n[3],
               &key) != 4 ||
        !key || !line[key])
        return -EBADMSG;
    struct offset *at = offsets_put(offsets, line + key);
    if (!at)
        return -ENOMEM;
    at->committed = n[0];
    at->delivered = at->claimed = n[1] < n[0] ? n[1] : n[0];
    at->committed_lines = n[2];
    at->delivered_lines = n[3] < n[2] ? n[3] : n[2];
    return 0;
}

static bool is_whole(struct bytes text)
{
    char trailer[TRAILER_LEN + 1];
    if (text.len <= TRAILER_LEN)
        return false;
    snprintf(trailer, sizeof trailer, TRAILER, crc32c((struct bytes){text.ptr, text.len - TRAILER_LEN}));
    return memcmp(trailer, text.ptr + text.len - TRAILER_LEN, TRAILER_LEN) == 0;
}

int offsets_file_parse(struct bytes text, struct offsets *offsets)
{
    char line[BATCH_MAX_FILE + 128];
    struct bytes rest = text;
    int version, err = 0;
    if (!get_line(&rest, line, sizeof line) || sscanf(line, HEADER "%d", &version) != 1)
        return -EBADMSG;
    if (version > OFFSETS_FILE_VERSION)
        return -EPROTONOSUPPORT;
    if (!is_whole(text) || !get_line(&rest, line, sizeof line) || strncmp(line, "buffer ", 7) != 0)
        return -EBADMSG;
    offsets_set_buffer(offsets, line + 7);
    while (err == 0 && rest.len > TRAILER_LEN)
        err = get_line(&rest, line, sizeof line) ? parse_entry(line, offsets) : -EBADMSG;
    return err;
}

/* The whole file, at most OFFSETS_FILE_MAX bytes. */
static int read_all(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = 0;
    int err = 0;
    do {
        out->len += (size_t)n;
        err = buf_reserve(out, 4096);
        n = err < 0 ? 0 : read(fd, out->ptr + out->len, out->cap - out->len);
    } while (n > 0);
    if (n < 0)
        err = -errno;
    close(fd);
    return err;
}

static int set_aside(const char *path)
{
    char aside[PATH_MAX];
    if (snprintf(aside, sizeof aside, "%s.aside", path) >= (int)sizeof aside)
        return -ENAMETOOLONG;
    return rename(path, aside) < 0 ? -errno : 0;
}

int offsets_file_load(const char *path, struct offsets **ret_offsets, int *ret_aside)
{
    struct offsets *offsets;
    struct buf text;
    int aside = 0, err = offsets_new(&offsets);
    if (err < 0)
        return err;
    buf_init(&text, OFFSETS_FILE_MAX);
    err = read_all(path, &text);
    if (err == 0 || err == -EMSGSIZE)
        aside = err < 0 ? -EBADMSG : offsets_file_parse(buf_bytes(&text), offsets);
    err = err == -ENOENT || err == -EMSGSIZE ? 0 : err;
    buf_fini(&text);
    if (err == 0 && aside == -ENOMEM)
        err = aside;
    if (err == 0 && aside < 0) {
        offsets_free(offsets);
        err = offsets_new(&offsets);
        if (err < 0)
            return err;
        err = set_aside(path);
    }
    if (err < 0) {
        offsets_free(offsets);
        return err;
    }
    *ret_offsets = offsets;
    *ret_aside = aside;
    return 0;
}

static int write_all(int fd, struct bytes text)
{
    while (text.len) {
        ssize_t n = write(fd, text.ptr, text.len);
        if (n < 0 && errno != EINTR)
            return -errno;
        text = bytes_skip(text, n < 0 ? 0 : (size_t)n);
    }
    return fsync(fd) < 0 ? -errno : 0;
}

int offsets_file_replace(const char *path, const char *suffix, struct bytes text)
{
    char beside[PATH_MAX];
    if (snprintf(beside, sizeof beside, "%s%s", path, suffix) >= (int)sizeof beside)
        return -ENAMETOOLONG;
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int err = write_all(fd, text);
    close(fd);
    if (err == 0 && rename(beside, path) < 0)
        err = -errno;
    if (err < 0)
        unlink(beside);
    return err;
}
