#include "node-agent/logs/tail_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "node-agent/logs/gunzip.h"
#include "node-agent/logs/hostpath.h"
#include "node-agent/logs/podpath.h"

enum { COMPARED = 4096 }; /* bytes at the end of a copy */

static int open_at(const char *host_root, const char *folder, const char *name, bool zipped)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s%s", folder, name, zipped ? PODPATH_ZIPPED : "") >=
        (int)sizeof path)
        return -ENAMETOOLONG;
    int fd = hostpath_open(host_root, path, O_RDONLY);
    /* Where it may (its owner, CAP_FOWNER): else each look at a log that grows writes its inode's access
     * time. */
    if (fd >= 0)
        (void)fcntl(fd, F_SETFL, O_NONBLOCK | O_NOATIME);
    return fd;
}

static void forget_positions(struct tail_file *file)
{
    file->pos = file->scanned = file->told_base = 0;
    for (int i = 0; i < CRI_STREAMS; i++) {
        file->open_at[i] = file->join_at[i] = TAIL_NONE;
        file->skip[i] = file->told[i] = 0;
    }
}

static int check_head(struct tail_file *file)
{
    return tail_head_check(&file->head, file->fd, file->inflate);
}

static int64_t modified(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static int init(struct tail_file *file, const char *name)
{
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    file->device = st.st_dev;
    file->inode = st.st_ino;
    file->modified_ns = modified(&st);
    file->linked = true;
    forget_positions(file);
    file->name = strdup(name);
    if (!file->name)
        return -ENOMEM;
    int err = file->inflate ? gunzip_size(file->fd, &file->size) : tail_file_look(file, 0);
    file->size += file->inflate && file->size == 0; /* perhaps only its last member is empty: reading tells */
    return err < 0 ? err : check_head(file);
}

int tail_file_open(const char *folder, const char *name, bool zipped, const char *host_root,
                   struct tail_file **ret_file)
{
    int fd = open_at(host_root, folder, name, zipped);
    if (fd < 0)
        return fd;
    struct tail_file *file = calloc(1, sizeof *file);
    if (!file) {
        close(fd);
        return -ENOMEM;
    }
    file->fd = fd;
    file->host_root = host_root;
    file->zipped = file->inflate = file->by_head = zipped;
    int err = init(file, name);
    if (err < 0) {
        tail_file_free(file);
        return err;
    }
    *ret_file = file;
    return 0;
}

void tail_file_free(struct tail_file *file)
{
    if (!file)
        return;
    tail_file_close(file);
    tail_file_free(file->former);
    free(file->identity);
    free(file->name);
    free(file);
}

int tail_file_inflate(struct tail_file *file, size_t most, unsigned *gunzips)
{
    if (!file->inflate || file->gunzip)
        return 0;
    if (*gunzips >= TAIL_MAX_GUNZIPS)
        return -EBUSY;
    int err = gunzip_new(file->fd, most, &file->gunzip);
    if (err < 0)
        return err;
    file->gunzips = gunzips;
    ++*gunzips;
    return 0;
}

void tail_file_deflate(struct tail_file *file)
{
    if (!file->gunzip)
        return;
    gunzip_free(file->gunzip);
    file->gunzip = NULL;
    --*file->gunzips;
}

ssize_t tail_file_read(struct tail_file *file, void *to, size_t len, uint64_t offset)
{
    if (!file->inflate) {
        ssize_t n = pread(file->fd, to, len, (off_t)offset);
        return n < 0 ? -errno : n;
    }
    ssize_t n = gunzip_read(file->gunzip, to, len, offset);
    bool is_end = n >= 0 && (size_t)n < len;
    if (is_end && offset + (size_t)n < file->size)
        file->size = offset + (size_t)n;
    else if (n >= 0 && !is_end && offset + len >= file->size)
        file->size = gunzip_extent(file->gunzip);
    return n;
}

bool tail_file_became(const struct tail_file *file, const struct tail_file *unpacked)
{
    struct tail_head head = {0};
    struct stat st;
    return !file->inflate && tail_head_check(&head, file->fd, false) == 0 && head.len == unpacked->head.len &&
           tail_head_begins(&head, &unpacked->head) && fstat(file->fd, &st) == 0 &&
           (uint64_t)st.st_size == unpacked->size;
}

void tail_file_close(struct tail_file *file)
{
    tail_file_deflate(file);
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

bool tail_file_is_at(const struct tail_file *file, const char *folder, const char *name)
{
    struct tail_head head = file->head;
    int fd = open_at(file->host_root, folder, name, false);
    if (fd < 0)
        return false;
    int err = tail_head_check(&head, fd, false);
    close(fd);
    return err == 0 && file->head.len > 0;
}

int tail_file_reopen(struct tail_file *file, const char *folder)
{
    if (file->fd >= 0)
        return 0;
    int fd = open_at(file->host_root, folder, file->name, file->zipped);
    bool gone = fd == -ENOENT && !file->zipped; /* compressed since the last look, if it is anywhere */
    if (gone)
        fd = open_at(file->host_root, folder, file->name, true);
    if (fd < 0)
        return fd;
    file->fd = fd;
    file->zipped |= gone;
    file->inflate = file->zipped;
    struct stat st;
    int err = fstat(fd, &st) < 0 ? -errno : 0;
    if (err == 0 && !file->inflate && (st.st_ino != file->inode || st.st_dev != file->device))
        err = -ESTALE;
    if (err == 0)
        err = check_head(file);
    if (err < 0)
        tail_file_close(file);
    return err;
}

int tail_file_look(struct tail_file *file, int64_t now_ns)
{
    struct stat st;
    if (file->inflate)
        return 0; /* whole when it got its name */
    if (fstat(file->fd, &st) < 0)
        return -errno;
    uint64_t size = (uint64_t)st.st_size;
    file->modified_ns = modified(&st);
    if (size != file->size)
        file->changed_ns = now_ns;
    file->size = size;
    return size < file->pos ? -ESTALE : 0;
}

int tail_file_check(struct tail_file *file)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now); /* the one that file times are of */
    int err = file->inflate ? 0 : check_head(file);
    if (err == 0)
        file->checked_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    return err;
}

int tail_file_examine(struct tail_file *file, int64_t now_ns)
{
    int err = tail_file_look(file, now_ns);
    bool may_be_other = !file->inflate && file->pos == file->size && file->modified_ns >= file->checked_ns;
    return err == 0 && may_be_other ? tail_file_check(file) : err;
}

/* NULL when memory is out: then a copy is read as a file of its own. */
static struct tail_file *keep_former(struct tail_file *file)
{
    struct tail_file *former = malloc(sizeof *former);
    if (!former)
        return NULL;
    *former = *file;
    former->name = NULL;
    former->former = NULL;
    former->gunzip = NULL;
    former->fd = -1;
    file->identity = NULL;
    return former;
}

bool tail_file_holds(const struct tail_file *file, const struct tail_file *other)
{
    uint8_t here[COMPARED], there[COMPARED];
    if (!tail_head_begins(&other->head, &file->head) || other->size > file->size)
        return false;
    uint64_t from = other->size > COMPARED ? other->size - COMPARED : 0;
    ssize_t n = pread(file->fd, here, COMPARED, (off_t)from);
    ssize_t m = pread(other->fd, there, COMPARED, (off_t)from);
    return m > 0 && n >= m && memcmp(here, there, (size_t)m) == 0;
}

/* What was read of the file after the copy was made is not in the copy. */
static void cut_positions(struct tail_file *copy)
{
    uint64_t size = copy->size;
    copy->pos = copy->pos < size ? copy->pos : size;
    copy->told_base = copy->told_base < size ? copy->told_base : size;
    for (int i = 0; i < CRI_STREAMS; i++) {
        copy->open_at[i] = copy->open_at[i] < size ? copy->open_at[i] : TAIL_NONE;
        copy->join_at[i] = copy->join_at[i] < size ? copy->join_at[i] : TAIL_NONE;
    }
}

bool tail_file_succeed(struct tail_file *copy, struct tail_file *file)
{
    struct tail_file *former = file->former;
    if (!former || !tail_head_begins(&former->head, &copy->head))
        return false;
    copy->identity = former->identity;
    former->identity = NULL;
    copy->by_head = true;
    copy->format = former->format;
    copy->pos = former->pos;
    copy->told_base = former->told_base;
    memcpy(copy->open_at, former->open_at, sizeof copy->open_at);
    memcpy(copy->join_at, former->join_at, sizeof copy->join_at);
    memcpy(copy->skip, former->skip, sizeof copy->skip);
    memcpy(copy->told, former->told, sizeof copy->told);
    cut_positions(copy);
    tail_file_free(former);
    file->former = NULL;
    return true;
}

void tail_file_restart(struct tail_file *file)
{
    if (file->identity) {
        file->truncations++;
        tail_file_free(file->former);
        file->former = keep_former(file);
    }
    free(file->identity);
    file->identity = NULL;
    file->head = (struct tail_head){0};
    file->format = TAIL_FORMAT_OPEN;
    forget_positions(file);
}

int tail_file_identify(struct tail_file *file, const char *stream)
{
    char identity[TAIL_KEY_LEN];
    int err = tail_file_check(file);
    if (err < 0)
        return err;
    struct tail_key numbers = {.device = (uint64_t)file->device,
                               .inode = (uint64_t)file->inode,
                               .head_len = (uint32_t)file->head.len,
                               .head_crc = crc32c((struct bytes){file->head.bytes, file->head.len})};
    tail_key_write(stream, &numbers, identity);
    return tail_file_adopt(file, identity);
}

bool tail_file_matches(const struct tail_file *file, const struct tail_key *key)
{
    return key->inode == (uint64_t)file->inode && key->device == (uint64_t)file->device &&
           tail_head_has(&file->head, key->head_len, key->head_crc);
}

bool tail_file_matches_unpacked(const struct tail_file *file, const struct tail_key *key, const char *prefix)
{
    return bytes_equal(key->prefix, bytes_of_string(prefix)) &&
           tail_head_has(&file->head, key->head_len, key->head_crc);
}

int tail_file_adopt(struct tail_file *file, const char *key)
{
    char *identity = strndup(key, strcspn(key, "#"));
    if (!identity)
        return -ENOMEM;
    free(file->identity);
    file->identity = identity;
    return 0;
}

const char *tail_file_key(const struct tail_file *file, int stream, char storage[TAIL_KEY_LEN])
{
    if (stream < 0)
        return file->identity;
    snprintf(storage, TAIL_KEY_LEN, "%s#%s", file->identity, cri_stream_name((enum cri_stream)stream));
    return storage;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t tail_file_open_at(const struct tail_file *file, int stream)
{
    uint64_t line = file->open_at[stream], record = file->join_at[stream];
    return line < record ? line : record;
}

uint64_t tail_file_base(const struct tail_file *file)
{
    uint64_t base = file->pos;
    for (int i = 0; i < CRI_STREAMS; i++)
        base = tail_file_open_at(file, i) < base ? tail_file_open_at(file, i) : base;
    return base;
}

uint64_t tail_file_ahead(const struct tail_file *file, int stream)
{
    uint64_t open = tail_file_open_at(file, stream), read = open < file->pos ? open : file->pos;
    return larger(read, file->skip[stream]);
}

void tail_file_fall_back(struct tail_file *file)
{
    uint64_t base = tail_file_base(file);
    for (int i = 0; i < CRI_STREAMS; i++)
        file->skip[i] = tail_file_ahead(file, i);
    for (int i = 0; i < CRI_STREAMS; i++)
        file->open_at[i] = file->join_at[i] = TAIL_NONE;
    file->pos = base;
    file->scanned = 0;
}

static uint64_t committed(const struct tail_file *file, int stream, const struct offsets *offsets)
{
    char storage[TAIL_KEY_LEN];
    const struct offset *at = offsets_find(offsets, tail_file_key(file, stream, storage));
    return at ? at->committed : 0;
}

void tail_file_reset(struct tail_file *file, const struct offsets *offsets)
{
    forget_positions(file);
    if (!file->identity)
        return;
    file->pos = file->told_base = committed(file, -1, offsets);
    for (int i = 0; i < CRI_STREAMS; i++)
        file->skip[i] = file->told[i] = larger(file->pos, committed(file, i, offsets));
    if (file->by_head && !file->inflate)
        cut_positions(file);
    if (file->inflate && file->size < file->pos)
        file->size = file->pos + 1; /* its last member only was counted: reading tells */
}

bool tail_file_is_committed(const struct tail_file *file, const struct offsets *offsets)
{
    return !file->identity || committed(file, -1, offsets) >= file->pos;
}
