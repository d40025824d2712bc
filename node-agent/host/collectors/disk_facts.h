/* disk_facts.h - what udev and sysfs know of a block device: the properties in udev's file of it
 * (PATH.UDEV.DATA/bMAJOR:MINOR, lines "E:NAME=VALUE") and whether it rotates (/sys/block/NAME/queue). They
 * are remembered while the kernel announces nothing. One thread at a time. */
#ifndef NODE_AGENT_COLLECTORS_DISK_FACTS_H
#define NODE_AGENT_COLLECTORS_DISK_FACTS_H

#include "node-agent/config.h"

enum disk_property { /* of udev */
                     DM_LV_LAYER,
                     DM_LV_NAME,
                     DM_NAME,
                     DM_UUID,
                     DM_VG_NAME,
                     ID_ATA,
                     ID_ATA_ROTATION_RATE_RPM,
                     ID_ATA_WRITE_CACHE,
                     ID_ATA_WRITE_CACHE_ENABLED,
                     ID_FS_TYPE,
                     ID_FS_USAGE,
                     ID_FS_UUID,
                     ID_FS_VERSION,
                     ID_MODEL,
                     ID_PATH,
                     ID_REVISION,
                     ID_SERIAL,
                     ID_SERIAL_SHORT,
                     ID_WWN,
                     SCSI_IDENT_SERIAL,
                     PROPERTIES,
};

struct disk_facts {
    const char *values[PROPERTIES]; /* NULL for those it does not have */
    bool rotational;
};

struct disk_facts_table;

/* disk_facts_new: config's paths are copied. NULL when memory is out. */
struct disk_facts_table *disk_facts_new(const struct agent_config *config);
void disk_facts_free(struct disk_facts_table *table); /* NULL is fine */

/* disk_facts_begin: a scrape begins: what may have changed is forgotten. */
void disk_facts_begin(struct disk_facts_table *table);

/* disk_facts_get: of that device; borrowed until the next disk_facts_begin. NULL when memory is out. */
const struct disk_facts *disk_facts_get(struct disk_facts_table *table, const char *major, const char *minor,
                                        const char *name);

#endif
