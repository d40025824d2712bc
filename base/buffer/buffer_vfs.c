#include "base/buffer/buffer_vfs.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct file {
    sqlite3_file base; /* what SQLite sees; first */
    uint8_t *held;     /* owned; bytes not yet written; NULL between transactions */
    size_t len;
    bool gathers;     /* it is a WAL: held has room for BUFFER_VFS_GATHER bytes */
    sqlite3_int64 at; /* where they go */
    int cached; /* owned; a descriptor of the main file, to say that it need not stay in memory; or -1 */
    sqlite3_file *real; /* behind this struct, in the same memory */
};

static sqlite3_vfs vfs;
static const char *registered;

static struct file *file_of(sqlite3_file *base)
{
    return (struct file *)base;
}

static sqlite3_file *real_of(sqlite3_file *base)
{
    return file_of(base)->real;
}

static int write_held(struct file *file)
{
    if (file->len == 0)
        return SQLITE_OK;
    int code = file->real->pMethods->xWrite(file->real, file->held, (int)file->len, file->at);
    file->len = 0;
    return code;
}

static void drop_held(struct file *file)
{
    free(file->held);
    file->held = NULL;
    file->len = 0;
}

/* ---- the calls; what is held goes first */

static int on_write(sqlite3_file *base, const void *from, int amount, sqlite3_int64 at)
{
    struct file *file = file_of(base);
    size_t len = (size_t)amount;
    int code = SQLITE_OK;
    if (file->len && (at != file->at + (sqlite3_int64)file->len || file->len + len > BUFFER_VFS_GATHER))
        code = write_held(file);
    if (code != SQLITE_OK)
        return code;
    if (!file->held && file->gathers)
        file->held = malloc(BUFFER_VFS_GATHER);
    if (!file->held || len > BUFFER_VFS_GATHER)
        return file->real->pMethods->xWrite(file->real, from, amount, at);
    if (file->len == 0)
        file->at = at;
    memcpy(file->held + file->len, from, len);
    file->len += len;
    return SQLITE_OK;
}

static int on_read(sqlite3_file *base, void *to, int amount, sqlite3_int64 at)
{
    int code = write_held(file_of(base));
    return code != SQLITE_OK ? code : real_of(base)->pMethods->xRead(real_of(base), to, amount, at);
}

static int on_sync(sqlite3_file *base, int flags)
{
    int code = write_held(file_of(base));
    drop_held(file_of(base));
    if (code == SQLITE_OK)
        code = real_of(base)->pMethods->xSync(real_of(base), flags);
    if (file_of(base)->cached >= 0)
        posix_fadvise(file_of(base)->cached, 0, 0, POSIX_FADV_DONTNEED);
    return code;
}

static int on_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    int code = write_held(file_of(base));
    return code != SQLITE_OK ? code : real_of(base)->pMethods->xTruncate(real_of(base), size);
}

static int on_file_size(sqlite3_file *base, sqlite3_int64 *ret_size)
{
    int code = write_held(file_of(base));
    return code != SQLITE_OK ? code : real_of(base)->pMethods->xFileSize(real_of(base), ret_size);
}

static int on_lock(sqlite3_file *base, int level)
{
    int code = write_held(file_of(base));
    return code != SQLITE_OK ? code : real_of(base)->pMethods->xLock(real_of(base), level);
}

/* Locks are given up whatever a write says. */
static int on_unlock(sqlite3_file *base, int level)
{
    int code = write_held(file_of(base));
    int unlocked = real_of(base)->pMethods->xUnlock(real_of(base), level);
    return code != SQLITE_OK ? code : unlocked;
}

static int on_check_reserved(sqlite3_file *base, int *ret_is)
{
    return real_of(base)->pMethods->xCheckReservedLock(real_of(base), ret_is);
}

static int on_control(sqlite3_file *base, int op, void *arg)
{
    int code = write_held(file_of(base));
    return code != SQLITE_OK ? code : real_of(base)->pMethods->xFileControl(real_of(base), op, arg);
}

static int on_sector_size(sqlite3_file *base)
{
    return real_of(base)->pMethods->xSectorSize(real_of(base));
}

static int on_characteristics(sqlite3_file *base)
{
    return real_of(base)->pMethods->xDeviceCharacteristics(real_of(base));
}

static int on_shm_map(sqlite3_file *base, int page, int size, int extend, void volatile **ret_at)
{
    return real_of(base)->pMethods->xShmMap(real_of(base), page, size, extend, ret_at);
}

static int on_shm_lock(sqlite3_file *base, int offset, int count, int flags)
{
    return real_of(base)->pMethods->xShmLock(real_of(base), offset, count, flags);
}

static void on_shm_barrier(sqlite3_file *base)
{
    real_of(base)->pMethods->xShmBarrier(real_of(base));
}

static int on_shm_unmap(sqlite3_file *base, int remove)
{
    return real_of(base)->pMethods->xShmUnmap(real_of(base), remove);
}

static int on_close(sqlite3_file *base)
{
    int code = write_held(file_of(base));
    int closed = real_of(base)->pMethods->xClose(real_of(base));
    drop_held(file_of(base));
    if (file_of(base)->cached >= 0)
        close(file_of(base)->cached);
    return code != SQLITE_OK ? code : closed;
}

/* ---- opening */

/* Closing any descriptor of a file drops the process' locks on it: this one is closed after SQLite's own, by
 * the connection that writes, which is the last of a process to close. */
static int open_cached(const char *name)
{
    return open(name, O_RDONLY | O_CLOEXEC);
}

static int on_open(sqlite3_vfs *self, sqlite3_filename name, sqlite3_file *base, int flags, int *ret_flags)
{
    static const sqlite3_io_methods methods = {
        .iVersion = 2, /* 3 would add memory-mapped reads, which the buffer does not use */
        .xClose = on_close,
        .xRead = on_read,
        .xWrite = on_write,
        .xTruncate = on_truncate,
        .xSync = on_sync,
        .xFileSize = on_file_size,
        .xLock = on_lock,
        .xUnlock = on_unlock,
        .xCheckReservedLock = on_check_reserved,
        .xFileControl = on_control,
        .xSectorSize = on_sector_size,
        .xDeviceCharacteristics = on_characteristics,
        .xShmMap = on_shm_map,
        .xShmLock = on_shm_lock,
        .xShmBarrier = on_shm_barrier,
        .xShmUnmap = on_shm_unmap,
    };
    sqlite3_vfs *real_vfs = self->pAppData;
    struct file *file = file_of(base);
    memset(file, 0, sizeof *file);
    file->real = (sqlite3_file *)(file + 1);
    int code = real_vfs->xOpen(real_vfs, name, file->real, flags, ret_flags);
    bool is_main = code == SQLITE_OK && (flags & SQLITE_OPEN_MAIN_DB) && (flags & SQLITE_OPEN_READWRITE);
    file->cached = is_main ? open_cached(name) : -1;
    file->gathers = (flags & SQLITE_OPEN_WAL) != 0; /* not the main file: buffer_vfs.h */
    if (file->real->pMethods)                       /* then SQLite closes it, whatever the code */
        base->pMethods = &methods;
    return code;
}

static void register_once(void)
{
    /* Else every connection begins with 20 pages, which at 32 KiB each is most of what it ever holds. Refused
     * when SQLite is in use by now: then it stays so. */
    (void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);
    if (!real)
        return;
    vfs = *real; /* all that is not about an open file stays as it is */
    vfs.pNext = NULL;
    vfs.zName = "tributary-gather";
    vfs.pAppData = real;
    vfs.szOsFile = (int)sizeof(struct file) + real->szOsFile;
    vfs.xOpen = on_open;
    if (sqlite3_vfs_register(&vfs, 0) == SQLITE_OK)
        registered = vfs.zName;
}

const char *buffer_vfs_name(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_once);
    return registered;
}
