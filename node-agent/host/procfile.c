#include "node-agent/host/procfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node-agent/host/text.h"

enum { FIRST_READ = 8192, PAGE_BYTES = 4096, WHOLE_RECORD = PAGE_BYTES / 2 };

struct procfile *procfile_new(const char *folder, const char *name)
{
    struct procfile *file = calloc(1, sizeof *file);
    if (!file || asprintf(&file->path, "%s/%s", folder, name) < 0) {
        free(file);
        return NULL;
    }
    file->fd = -1;
    buf_init(&file->text, PROCFILE_BYTES);
    return file;
}

struct procfile *procfile_new_long(const char *folder, const char *name)
{
    struct procfile *file = procfile_new(folder, name);
    if (file)
        file->long_lines = true;
    return file;
}

void procfile_free(struct procfile *file)
{
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    buf_fini(&file->text);
    free(file->path);
    free(file);
}

static int open_again(struct procfile *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC);
    return file->fd < 0 ? -errno : 0;
}

static int read_all(struct procfile *file)
{
    struct buf *text = &file->text;
    buf_clear(text);
    for (;;) {
        if (text->len == text->cap) {
            int err = buf_reserve(text, text->cap ? text->cap : FIRST_READ);
            if (err < 0)
                return err;
        }
        ssize_t n = pread(file->fd, text->ptr + text->len, text->cap - text->len, (off_t)text->len);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        text->len += n > 0 ? (size_t)n : 0;
        if (n > 0 && n <= WHOLE_RECORD && (size_t)n == text->len && !file->long_lines)
            return 0;
        if (n > 0 && file->one_record && text->len < text->cap)
            return 0;
    }
}

int procfile_read(struct procfile *file, struct bytes *ret_text)
{
    int err = file->fd >= 0 ? read_all(file) : -EBADF;
    if (err < 0 && err != -EMSGSIZE && err != -ENOMEM) {
        err = open_again(file);
        if (err == 0)
            err = read_all(file);
    }
    if (err == 0)
        *ret_text = buf_bytes(&file->text);
    return err;
}

void procfile_set_free(struct procfile **set)
{
    for (size_t i = 0; set && set[i]; i++)
        procfile_free(set[i]);
    free(set);
}

struct procfile **procfile_set_new(const char *folder, const char *const *names)
{
    size_t count = 0;
    while (names[count])
        count++;
    struct procfile **set = calloc(count + 1, sizeof *set);
    for (size_t i = 0; set && i < count; i++) {
        set[i] = procfile_new(folder, names[i]);
        if (!set[i]) {
            procfile_set_free(set);
            return NULL;
        }
    }
    return set;
}

int procfile_read_word(const char *path, char *storage, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, storage, size - 1);
    int err = n < 0 ? -errno : 0;
    close(fd);
    while (n > 0 && (storage[n - 1] == '\n' || storage[n - 1] == ' ' || storage[n - 1] == '\t'))
        n--;
    if (err == 0)
        storage[n] = '\0';
    return err;
}

int procfile_read_u64(const char *path, uint64_t *ret_value)
{
    char word[32];
    int err = procfile_read_word(path, word, sizeof word);
    return err < 0 ? err : text_u64(bytes_of_string(word), ret_value);
}
