#include "base/conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf/conf_apply.h"
#include "base/conf/conf_errors.h"
#include "base/conf/conf_memory.h"
#include "base/conf/conf_tree.h"

enum { FILE_MAX_BYTES = 1 << 20, READ_STEP = 16384 };

int conf_parse(const char *name, struct bytes text, const struct conf_option *table, void *config,
               struct conf_memory **ret_memory, struct buf *errors)
{
    struct conf_errors found = {.name = name, .out = errors};
    struct conf_node *root = NULL;
    struct conf_memory *memory = conf_memory_new();
    if (!memory)
        return -ENOMEM;
    int err = conf_tree_parse(text, memory, &found, &root);
    if (err == 0)
        err = conf_apply(table, root, config, memory, &found);
    if (err == -ENOMEM && found.count == 0)
        buf_printf(errors, "%s: no memory left to read it\n", name);
    if (conf_errors_end(&found) < 0 && err == 0)
        err = -EINVAL;
    if (err < 0)
        conf_free(memory);
    else
        *ret_memory = memory;
    return err;
}

static int read_all(int fd, struct buf *text)
{
    for (;;) {
        int err = buf_reserve(text, READ_STEP);
        if (err < 0)
            return err;
        ssize_t n = read(fd, text->ptr + text->len, READ_STEP);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        text->len += (size_t)n;
        if (text->len > FILE_MAX_BYTES)
            return -EFBIG;
    }
}

static int read_file(const char *path, struct buf *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = read_all(fd, text);
    close(fd);
    return err;
}

int conf_load(const char *path, const struct conf_option *table, void *config,
              struct conf_memory **ret_memory, struct buf *errors)
{
    struct buf text;
    buf_init(&text, FILE_MAX_BYTES + 2 * READ_STEP);
    int err = read_file(path, &text);
    if (err == -EFBIG)
        buf_printf(errors, "%s: larger than 1 MiB, which is the most for a configuration\n", path);
    else if (err < 0)
        buf_printf(errors, "%s: %s\n", path, strerror(-err));
    else
        err = conf_parse(path, buf_bytes(&text), table, config, ret_memory, errors);
    buf_fini(&text);
    return err;
}
