/* xfs.c - the statistics of the XFS file systems: /sys/fs/xfs/DEVICE/stats/stats, lines "KEY NUMBER ...". */
#include <errno.h>
#include <stdio.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"

static const struct {
    const char *key;
    int at;
    const char *name, *help;
} rows[] = {
    {"extent_alloc", 0, "node_xfs_extent_allocation_extents_allocated_total",
     "Number of extents allocated for a filesystem."},
    {"extent_alloc", 1, "node_xfs_extent_allocation_blocks_allocated_total",
     "Number of blocks allocated for a filesystem."},
    {"extent_alloc", 2, "node_xfs_extent_allocation_extents_freed_total",
     "Number of extents freed for a filesystem."},
    {"extent_alloc", 3, "node_xfs_extent_allocation_blocks_freed_total",
     "Number of blocks freed for a filesystem."},
    {"abt", 0, "node_xfs_allocation_btree_lookups_total",
     "Number of allocation B-tree lookups for a filesystem."},
    {"abt", 1, "node_xfs_allocation_btree_compares_total",
     "Number of allocation B-tree compares for a filesystem."},
    {"abt", 2, "node_xfs_allocation_btree_records_inserted_total",
     "Number of allocation B-tree records inserted for a filesystem."},
    {"abt", 3, "node_xfs_allocation_btree_records_deleted_total",
     "Number of allocation B-tree records deleted for a filesystem."},
    {"blk_map", 0, "node_xfs_block_mapping_reads_total",
     "Number of block map for read operations for a filesystem."},
    {"blk_map", 1, "node_xfs_block_mapping_writes_total",
     "Number of block map for write operations for a filesystem."},
    {"blk_map", 2, "node_xfs_block_mapping_unmaps_total",
     "Number of block unmaps (deletes) for a filesystem."},
    {"blk_map", 3, "node_xfs_block_mapping_extent_list_insertions_total",
     "Number of extent list insertions for a filesystem."},
    {"blk_map", 4, "node_xfs_block_mapping_extent_list_deletions_total",
     "Number of extent list deletions for a filesystem."},
    {"blk_map", 5, "node_xfs_block_mapping_extent_list_lookups_total",
     "Number of extent list lookups for a filesystem."},
    {"blk_map", 6, "node_xfs_block_mapping_extent_list_compares_total",
     "Number of extent list compares for a filesystem."},
    {"bmbt", 0, "node_xfs_block_map_btree_lookups_total",
     "Number of block map B-tree lookups for a filesystem."},
    {"bmbt", 1, "node_xfs_block_map_btree_compares_total",
     "Number of block map B-tree compares for a filesystem."},
    {"bmbt", 2, "node_xfs_block_map_btree_records_inserted_total",
     "Number of block map B-tree records inserted for a filesystem."},
    {"bmbt", 3, "node_xfs_block_map_btree_records_deleted_total",
     "Number of block map B-tree records deleted for a filesystem."},
    {"dir", 0, "node_xfs_directory_operation_lookup_total",
     "Number of file name directory lookups which miss the operating systems directory name lookup cache."},
    {"dir", 1, "node_xfs_directory_operation_create_total",
     "Number of times a new directory entry was created for a filesystem."},
    {"dir", 2, "node_xfs_directory_operation_remove_total",
     "Number of times an existing directory entry was created for a filesystem."},
    {"dir", 3, "node_xfs_directory_operation_getdents_total",
     "Number of times the directory getdents operation was performed for a filesystem."},
    {"ig", 0, "node_xfs_inode_operation_attempts_total",
     "Number of times the OS looked for an XFS inode in the inode cache."},
    {"ig", 1, "node_xfs_inode_operation_found_total",
     "Number of times the OS looked for and found an XFS inode in the inode cache."},
    {"ig", 2, "node_xfs_inode_operation_recycled_total",
     "Number of times the OS found an XFS inode in the cache, but could not use it as it was being "
     "recycled."},
    {"ig", 3, "node_xfs_inode_operation_missed_total",
     "Number of times the OS looked for an XFS inode in the cache, but did not find it."},
    {"ig", 4, "node_xfs_inode_operation_duplicates_total",
     "Number of times the OS tried to add a missing XFS inode to the inode cache, but found it had already "
     "been added by another process."},
    {"ig", 5, "node_xfs_inode_operation_reclaims_total",
     "Number of times the OS reclaimed an XFS inode from the inode cache to free memory for another "
     "purpose."},
    {"ig", 6, "node_xfs_inode_operation_attribute_changes_total",
     "Number of times the OS explicitly changed the attributes of an XFS inode."},
    {"rw", 1, "node_xfs_read_calls_total", "Number of read(2) system calls made to files in a filesystem."},
    {"rw", 0, "node_xfs_write_calls_total", "Number of write(2) system calls made to files in a filesystem."},
    {"vnodes", 0, "node_xfs_vnode_active_total", "Number of vnodes not on free lists for a filesystem."},
    {"vnodes", 1, "node_xfs_vnode_allocate_total", "Number of times vn_alloc called for a filesystem."},
    {"vnodes", 2, "node_xfs_vnode_get_total", "Number of times vn_get called for a filesystem."},
    {"vnodes", 3, "node_xfs_vnode_hold_total", "Number of times vn_hold called for a filesystem."},
    {"vnodes", 4, "node_xfs_vnode_release_total", "Number of times vn_rele called for a filesystem."},
    {"vnodes", 5, "node_xfs_vnode_reclaim_total", "Number of times vn_reclaim called for a filesystem."},
    {"vnodes", 6, "node_xfs_vnode_remove_total", "Number of times vn_remove called for a filesystem."},
};
enum { ROWS = sizeof rows / sizeof *rows, NUMBERS = 16, FILE_BYTES = 8192 };

static int parse_line(struct bytes line, double values[ROWS])
{
    struct bytes key, field;
    uint64_t numbers[NUMBERS] = {0};
    if (!text_field(&line, &key))
        return 0;
    bool wanted = false;
    for (int i = 0; i < ROWS; i++)
        wanted = wanted || text_is(key, rows[i].key);
    for (int n = 0; wanted && n < NUMBERS && text_field(&line, &field); n++)
        if (text_u64(field, &numbers[n]) < 0)
            return -EINVAL;
    for (int i = 0; i < ROWS && wanted; i++)
        if (text_is(key, rows[i].key))
            values[i] = (double)numbers[rows[i].at];
    return 0;
}

static int update_device(const char *sysfs, const char *device, struct metric_sink *sink)
{
    char path[512], storage[FILE_BYTES];
    double values[ROWS] = {0};
    snprintf(path, sizeof path, "%s/fs/xfs/%s/stats/stats", sysfs, device);
    int err = procfile_read_word(path, storage, sizeof storage);
    if (err < 0)
        return err == -ENOENT || err == -ENOTDIR ? 0 : err; /* not a file system's folder */
    struct bytes rest = bytes_of_string(storage), line;
    while (err == 0 && text_line(&rest, &line))
        err = parse_line(line, values);
    for (int i = 0; i < ROWS && err == 0; i++)
        COLLECTOR_SAMPLE(sink, rows[i].name, METRIC_COUNTER, rows[i].help, values[i], "device", device);
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct agent_config *config = ctx;
    const char *sysfs = config->host_metrics.path_sysfs;
    struct sysfs_names names;
    if (sysfs_folders("%s/fs/xfs", sysfs) == 1) /* stats: what every kernel with xfs has */
        return 0;
    int err = sysfs_list(&names, "%s/fs/xfs", sysfs);
    if (err < 0)
        return 0; /* none: nothing to say, which is no failure */
    for (size_t i = 0; i < names.count && err == 0; i++)
        if (strcmp(names.items[i], "stats") != 0)
            err = update_device(sysfs, names.items[i], sink);
    sysfs_names_fini(&names);
    return err;
}

const struct collector collector_xfs = {.name = "xfs",
                                        .enabled_by_default = true,
                                        .start = collector_start_with_config,
                                        .update = update,
                                        .stop = collector_stop_nothing};
