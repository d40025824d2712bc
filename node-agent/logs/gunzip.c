#include "node-agent/logs/gunzip.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { INPUT = 16 * 1024, STEP = 16 * 1024, SHORTEST = 18 /* header and trailer */ };

struct gunzip {
    int fd; /* borrowed */
    z_stream stream;
    off_t read_at;     /* of the compressed file */
    uint64_t start;    /* offset of the first byte kept */
    struct buf window; /* what was unpacked from there on */
    uint64_t read_to;  /* the end of what was asked for last */
    bool ended, damaged;
    uint8_t input[INPUT];
};

int gunzip_new(int fd, size_t most, struct gunzip **ret_gunzip)
{
    struct gunzip *g = calloc(1, sizeof *g);
    if (!g || inflateInit2(&g->stream, 16 + MAX_WBITS) != Z_OK) { /* 16: with gzip's frame */
        free(g);
        return -ENOMEM;
    }
    g->fd = fd;
    buf_init(&g->window, most + STEP);
    *ret_gunzip = g;
    return 0;
}

void gunzip_free(struct gunzip *g)
{
    if (!g)
        return;
    inflateEnd(&g->stream);
    buf_fini(&g->window);
    free(g);
}

static int begin_again(struct gunzip *g)
{
    g->read_at = 0;
    g->start = 0;
    g->ended = g->damaged = false;
    g->stream.avail_in = 0;
    buf_clear(&g->window);
    return inflateReset(&g->stream) == Z_OK ? 0 : -EBADMSG;
}

/* -ENODATA: nothing is left. */
static int fill_input(struct gunzip *g)
{
    ssize_t n = pread(g->fd, g->input, INPUT, g->read_at);
    if (n <= 0)
        return n < 0 ? -errno : -ENODATA;
    g->read_at += n;
    g->stream.next_in = g->input;
    g->stream.avail_in = (uInt)n;
    return 0;
}

/* A member has ended: the file goes on with another one, or ends but for padding. */
static int begin_member(struct gunzip *g)
{
    int err = 0;
    while (err == 0 && (g->stream.avail_in == 0 || *g->stream.next_in == 0)) {
        if (g->stream.avail_in == 0) {
            err = fill_input(g);
        } else {
            g->stream.next_in++;
            g->stream.avail_in--;
        }
    }
    g->ended = err == -ENODATA;
    if (err < 0)
        return g->ended ? 0 : err;
    return *g->stream.next_in == 0x1f && inflateReset(&g->stream) == Z_OK ? 0 : -EBADMSG;
}

/* Unpacks up to STEP bytes behind the window. */
static int unpack(struct gunzip *g)
{
    int err = g->stream.avail_in == 0 ? fill_input(g) : 0;
    if (err == -ENODATA)
        err = -EBADMSG; /* it ends before its end */
    if (err == 0)
        err = buf_reserve(&g->window, STEP);
    if (err < 0)
        return err;
    g->stream.next_out = g->window.ptr + g->window.len;
    g->stream.avail_out = STEP;
    int result = inflate(&g->stream, Z_NO_FLUSH);
    if (result != Z_OK && result != Z_STREAM_END)
        return result == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
    g->window.len += STEP - g->stream.avail_out;
    return result == Z_STREAM_END ? begin_member(g) : 0;
}

/* Drops what lies before the offset. */
static void drop_before(struct gunzip *g, uint64_t offset)
{
    size_t gone = offset - g->start < g->window.len ? (size_t)(offset - g->start) : g->window.len;
    if (gone == 0)
        return;
    memmove(g->window.ptr, g->window.ptr + gone, g->window.len - gone);
    g->window.len -= gone;
    g->start += gone;
}

/* What comes out of a damaged file before the damage counts. 0, or an error that may pass. */
static int go_on(struct gunzip *g)
{
    int err = unpack(g);
    if (err < 0 && err != -EBADMSG)
        return err;
    g->ended |= g->damaged |= err < 0;
    return 0;
}

ssize_t gunzip_read(struct gunzip *g, void *to, size_t len, uint64_t offset)
{
    int err = offset < g->start ? begin_again(g) : 0;
    drop_before(g, offset);
    while (err == 0 && !g->ended && g->start + g->window.len < offset + len) {
        err = go_on(g);
        drop_before(g, offset);
    }
    g->read_to = offset + len;
    if (err < 0)
        return err;
    if (g->start < offset)
        return 0; /* it ends before the offset */
    size_t n = g->window.len < len ? g->window.len : len;
    memcpy(to, g->window.ptr, n);
    return (ssize_t)n;
}

uint64_t gunzip_extent(struct gunzip *g)
{
    int err = 0;
    while (err == 0 && !g->ended && g->start + g->window.len <= g->read_to)
        err = go_on(g);
    return g->start + g->window.len;
}

bool gunzip_is_damaged(const struct gunzip *g)
{
    return g->damaged;
}

int gunzip_size(int fd, uint64_t *ret_size)
{
    struct stat st;
    uint8_t magic[2], size[4];
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size < SHORTEST || pread(fd, magic, sizeof magic, 0) != sizeof magic || magic[0] != 0x1f ||
        magic[1] != 0x8b || pread(fd, size, sizeof size, st.st_size - 4) != sizeof size)
        return -EBADMSG;
    *ret_size =
        (uint64_t)size[0] | (uint64_t)size[1] << 8 | (uint64_t)size[2] << 16 | (uint64_t)size[3] << 24;
    return 0;
}
