#include "node-agent/host/sysfs_devices.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "node-agent/host/sysfs.h"

enum { PATH_BYTES = 1024, NUMBER_BYTES = 64, MAX_DEVICES = 65536, ENTRIES_BYTES = 8192 };

struct kept { /* what a file gave */
    bool known;
    int err;
    int64_t value;
};

struct device {
    char *name; /* owned */
    uint64_t inode;
    bool seen; /* in the last list */
    int note;
    int *fds;          /* owned; one a file, -1: not open; NULL: none is kept */
    struct kept *kept; /* owned; one a file; NULL: nothing is */
};

struct sysfs_devices {
    char *folder;             /* owned */
    const char *const *files; /* borrowed */
    size_t file_count, max_open, open_count;
    bool is_sysfs;
    struct device *items; /* owned; sorted by name */
    size_t count, room;
};

struct sysfs_devices *sysfs_devices_new(const char *folder, const char *const *files, size_t max_open)
{
    struct sysfs_devices *devices = calloc(1, sizeof *devices);
    if (!devices || !(devices->folder = strdup(folder))) {
        free(devices);
        return NULL;
    }
    devices->files = files;
    devices->max_open = max_open;
    while (files[devices->file_count])
        devices->file_count++;
    return devices;
}

static void close_file(struct sysfs_devices *devices, int *fd)
{
    if (*fd < 0)
        return;
    close(*fd);
    *fd = -1;
    devices->open_count--;
}

static void forget(struct sysfs_devices *devices, struct device *device)
{
    for (size_t i = 0; device->fds && i < devices->file_count; i++)
        close_file(devices, &device->fds[i]);
    free(device->fds);
    free(device->kept);
    free(device->name);
}

void sysfs_devices_free(struct sysfs_devices *devices)
{
    if (!devices)
        return;
    for (size_t i = 0; i < devices->count; i++)
        forget(devices, &devices->items[i]);
    free(devices->items);
    free(devices->folder);
    free(devices);
}

/* ---- the list ---- */

static int add_device(struct sysfs_devices *devices, const char *name, uint64_t inode)
{
    if (devices->count == devices->room) {
        size_t room = devices->room ? 2 * devices->room : 8;
        struct device *items = room <= MAX_DEVICES ? realloc(devices->items, room * sizeof *items) : NULL;
        if (!items)
            return room <= MAX_DEVICES ? -ENOMEM : -E2BIG;
        devices->items = items;
        devices->room = room;
    }
    struct device device = {.name = strdup(name), .inode = inode, .seen = true};
    if (!device.name)
        return -ENOMEM;
    if (devices->is_sysfs && (device.fds = malloc(devices->file_count * sizeof *device.fds)))
        memset(device.fds, 0xff, devices->file_count * sizeof *device.fds);
    size_t at = devices->count++;
    for (; at > 0 && strcmp(devices->items[at - 1].name, name) > 0; at--)
        devices->items[at] = devices->items[at - 1];
    devices->items[at] = device;
    return 0;
}

static bool is_folder(int folder, const struct dirent64 *entry)
{
    struct stat st;
    if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(folder, entry->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static int take_entry(struct sysfs_devices *devices, int folder, const struct dirent64 *entry)
{
    if (entry->d_name[0] == '.')
        return 0;
    for (size_t i = 0; i < devices->count; i++) {
        struct device *device = &devices->items[i];
        if (device->inode == entry->d_ino && strcmp(device->name, entry->d_name) == 0) {
            device->seen = true;
            return 0;
        }
    }
    return is_folder(folder, entry) ? add_device(devices, entry->d_name, entry->d_ino) : 0;
}

static int take_entries(struct sysfs_devices *devices, int folder)
{
    char entries[ENTRIES_BYTES] __attribute__((aligned(8)));
    ssize_t n;
    while ((n = getdents64(folder, entries, sizeof entries)) > 0)
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *entry = (const struct dirent64 *)(entries + at);
            int err = take_entry(devices, folder, entry);
            if (err < 0)
                return err;
            at += entry->d_reclen;
        }
    return n < 0 ? -errno : 0;
}

static void forget_gone(struct sysfs_devices *devices)
{
    size_t kept = 0;
    for (size_t i = 0; i < devices->count; i++)
        if (devices->items[i].seen)
            devices->items[kept++] = devices->items[i];
        else
            forget(devices, &devices->items[i]);
    devices->count = kept;
}

int sysfs_devices_list(struct sysfs_devices *devices, size_t *ret_count)
{
    struct statfs s;
    int folder = open(devices->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return -errno;
    if (devices->count == 0)
        devices->is_sysfs = fstatfs(folder, &s) == 0 && s.f_type == SYSFS_MAGIC;
    for (size_t i = 0; i < devices->count; i++)
        devices->items[i].seen = false;
    int err = take_entries(devices, folder);
    close(folder);
    forget_gone(devices);
    if (err == 0)
        *ret_count = devices->count;
    return err;
}

const char *sysfs_devices_name(const struct sysfs_devices *devices, size_t device)
{
    return devices->items[device].name;
}

int *sysfs_devices_note(struct sysfs_devices *devices, size_t device)
{
    return &devices->items[device].note;
}

/* ---- files ---- */

static int open_file(const struct sysfs_devices *devices, const struct device *device, size_t file)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s/%s", devices->folder, device->name, devices->files[file]);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int sysfs_devices_word(struct sysfs_devices *devices, size_t device, size_t file, char *storage, size_t size)
{
    struct device *d = &devices->items[device];
    if (d->fds && d->fds[file] >= 0) {
        int err = sysfs_read(d->fds[file], storage, size);
        if (err != -ENODEV)
            return err;
        close_file(devices, &d->fds[file]);
    }
    int fd = open_file(devices, d, file);
    if (fd < 0)
        return fd;
    int err = sysfs_read(fd, storage, size);
    if (d->fds && devices->open_count < devices->max_open) {
        d->fds[file] = fd;
        devices->open_count++;
    } else {
        close(fd);
    }
    return err;
}

int sysfs_devices_i64(struct sysfs_devices *devices, size_t device, size_t file, int64_t *ret_value)
{
    char word[NUMBER_BYTES];
    int err = sysfs_devices_word(devices, device, file, word, sizeof word);
    return err < 0 ? err : sysfs_parse_i64(word, ret_value);
}

int sysfs_devices_kept_i64(struct sysfs_devices *devices, size_t device, size_t file, int64_t *ret_value)
{
    struct device *d = &devices->items[device];
    if (!d->kept && !(d->kept = calloc(devices->file_count, sizeof *d->kept)))
        return sysfs_devices_i64(devices, device, file, ret_value);
    struct kept *kept = &d->kept[file];
    if (!kept->known) {
        kept->err = sysfs_devices_i64(devices, device, file, &kept->value);
        kept->known = true;
    }
    if (kept->err == 0)
        *ret_value = kept->value;
    return kept->err;
}

void sysfs_devices_forget(struct sysfs_devices *devices)
{
    for (size_t i = 0; i < devices->count; i++)
        if (devices->items[i].kept)
            memset(devices->items[i].kept, 0, devices->file_count * sizeof(struct kept));
}
