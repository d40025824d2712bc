#include "node-agent/host/collectors/disk_facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node-agent/host/announcements.h"
#include "node-agent/host/procfile.h"

enum { UDEV_BYTES = 65536, KEY_BYTES = 192, PATH_BYTES = 1024 };

static const char *const property_names[PROPERTIES] = {
    "DM_LV_LAYER",
    "DM_LV_NAME",
    "DM_NAME",
    "DM_UUID",
    "DM_VG_NAME",
    "ID_ATA",
    "ID_ATA_ROTATION_RATE_RPM",
    "ID_ATA_WRITE_CACHE",
    "ID_ATA_WRITE_CACHE_ENABLED",
    "ID_FS_TYPE",
    "ID_FS_USAGE",
    "ID_FS_UUID",
    "ID_FS_VERSION",
    "ID_MODEL",
    "ID_PATH",
    "ID_REVISION",
    "ID_SERIAL",
    "ID_SERIAL_SHORT",
    "ID_WWN",
    "SCSI_IDENT_SERIAL",
};

struct disk {
    struct disk *next;
    char key[KEY_BYTES]; /* "MAJOR:MINOR NAME" */
    char *udev;          /* owned; udev's file, cut into strings; NULL: none */
    struct disk_facts facts;
};

struct disk_facts_table {
    char *sysfs, *udev_data; /* owned */
    struct announcements *announcements;
    uint64_t epoch;
    struct disk *disks; /* owned; a list */
};

static void forget(struct disk_facts_table *table)
{
    for (struct disk *disk = table->disks, *next; disk; disk = next) {
        next = disk->next;
        free(disk->udev);
        free(disk);
    }
    table->disks = NULL;
}

void disk_facts_free(struct disk_facts_table *table)
{
    if (!table)
        return;
    forget(table);
    announcements_free(table->announcements);
    free(table->sysfs);
    free(table->udev_data);
    free(table);
}

struct disk_facts_table *disk_facts_new(const struct agent_config *config)
{
    const char *udev = config->host_metrics.path_udev_data;
    struct disk_facts_table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    if (asprintf(&table->udev_data, "%s%s", *udev ? udev : config->host_metrics.path_rootfs,
                 *udev ? "" : "/run/udev/data") < 0)
        table->udev_data = NULL;
    table->sysfs = strdup(config->host_metrics.path_sysfs);
    table->announcements =
        announcements_new(config->host_metrics.path_procfs, config->host_metrics.path_sysfs);
    if (table->udev_data && table->sysfs && table->announcements)
        return table;
    disk_facts_free(table);
    return NULL;
}

void disk_facts_begin(struct disk_facts_table *table)
{
    uint64_t epoch = announcements_epoch(table->announcements);
    if (epoch == 0 || epoch != table->epoch)
        forget(table);
    table->epoch = epoch;
}

/* ---- a device ---- */

/* A line "E:NAME=VALUE", cut in place. */
static void take_property(char *line, const char *values[PROPERTIES])
{
    if (strncmp(line, "E:", 2) != 0)
        return;
    char *value = strchr(line, '=');
    if (!value)
        return;
    *value++ = '\0';
    for (int i = 0; i < PROPERTIES; i++)
        if (strcmp(line + 2, property_names[i]) == 0)
            values[i] = value;
}

static void read_udev(const struct disk_facts_table *table, const char *major, const char *minor,
                      struct disk *disk)
{
    char path[PATH_BYTES], content[UDEV_BYTES], *line;
    snprintf(path, sizeof path, "%s/b%s:%s", table->udev_data, major, minor);
    if (procfile_read_word(path, content, sizeof content) < 0)
        return;
    char *rest = disk->udev = strdup(content);
    while (rest && (line = strsep(&rest, "\n")))
        take_property(line, disk->facts.values);
}

static bool is_rotational(const struct disk_facts_table *table, const char *name)
{
    char path[PATH_BYTES];
    uint64_t value;
    snprintf(path, sizeof path, "%s/block/%s/queue/rotational", table->sysfs, name);
    return procfile_read_u64(path, &value) == 0 && value == 1;
}

const struct disk_facts *disk_facts_get(struct disk_facts_table *table, const char *major, const char *minor,
                                        const char *name)
{
    char key[KEY_BYTES];
    snprintf(key, sizeof key, "%s:%s %s", major, minor, name);
    for (struct disk *disk = table->disks; disk; disk = disk->next)
        if (strcmp(disk->key, key) == 0)
            return &disk->facts;
    struct disk *disk = calloc(1, sizeof *disk);
    if (!disk)
        return NULL;
    memcpy(disk->key, key, sizeof key);
    read_udev(table, major, minor, disk);
    disk->facts.rotational = is_rotational(table, name);
    disk->next = table->disks;
    table->disks = disk;
    return &disk->facts;
}
