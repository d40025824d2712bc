/* meminfo.c - /proc/meminfo: "NAME:  VALUE kB" lines, in bytes; the HugePages_ counts have no unit. */
#include <errno.h>
#include <stdlib.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"
#include "node-agent/host/text_memory.h"

#define FIELD(key, name)                                                                                     \
    {                                                                                                        \
        key ":", "node_memory_" name, "Memory information field " name "."                                   \
    }
static const struct {
    const char *key, *name, *help;
} fields[] = {
    FIELD("Active", "Active_bytes"),
    FIELD("Active(anon)", "Active_anon_bytes"),
    FIELD("Active(file)", "Active_file_bytes"),
    FIELD("AnonHugePages", "AnonHugePages_bytes"),
    FIELD("AnonPages", "AnonPages_bytes"),
    FIELD("Bounce", "Bounce_bytes"),
    FIELD("Buffers", "Buffers_bytes"),
    FIELD("Cached", "Cached_bytes"),
    FIELD("CmaFree", "CmaFree_bytes"),
    FIELD("CmaTotal", "CmaTotal_bytes"),
    FIELD("CommitLimit", "CommitLimit_bytes"),
    FIELD("Committed_AS", "Committed_AS_bytes"),
    FIELD("DirectMap1G", "DirectMap1G_bytes"),
    FIELD("DirectMap2M", "DirectMap2M_bytes"),
    FIELD("DirectMap4k", "DirectMap4k_bytes"),
    FIELD("Dirty", "Dirty_bytes"),
    FIELD("HardwareCorrupted", "HardwareCorrupted_bytes"),
    FIELD("Hugepagesize", "Hugepagesize_bytes"),
    FIELD("Inactive", "Inactive_bytes"),
    FIELD("Inactive(anon)", "Inactive_anon_bytes"),
    FIELD("Inactive(file)", "Inactive_file_bytes"),
    FIELD("KernelStack", "KernelStack_bytes"),
    FIELD("Mapped", "Mapped_bytes"),
    FIELD("MemAvailable", "MemAvailable_bytes"),
    FIELD("MemFree", "MemFree_bytes"),
    FIELD("MemTotal", "MemTotal_bytes"),
    FIELD("Mlocked", "Mlocked_bytes"),
    FIELD("NFS_Unstable", "NFS_Unstable_bytes"),
    FIELD("PageTables", "PageTables_bytes"),
    FIELD("Percpu", "Percpu_bytes"),
    FIELD("SReclaimable", "SReclaimable_bytes"),
    FIELD("SUnreclaim", "SUnreclaim_bytes"),
    FIELD("Shmem", "Shmem_bytes"),
    FIELD("ShmemHugePages", "ShmemHugePages_bytes"),
    FIELD("ShmemPmdMapped", "ShmemPmdMapped_bytes"),
    FIELD("Slab", "Slab_bytes"),
    FIELD("SwapCached", "SwapCached_bytes"),
    FIELD("SwapFree", "SwapFree_bytes"),
    FIELD("SwapTotal", "SwapTotal_bytes"),
    FIELD("Unevictable", "Unevictable_bytes"),
    FIELD("VmallocChunk", "VmallocChunk_bytes"),
    FIELD("VmallocTotal", "VmallocTotal_bytes"),
    FIELD("VmallocUsed", "VmallocUsed_bytes"),
    FIELD("Writeback", "Writeback_bytes"),
    FIELD("WritebackTmp", "WritebackTmp_bytes"),
    FIELD("Zswap", "Zswap_bytes"),
    FIELD("Zswapped", "Zswapped_bytes"),
    FIELD("HugePages_Free", "HugePages_Free"),
    FIELD("HugePages_Rsvd", "HugePages_Rsvd"),
    FIELD("HugePages_Surp", "HugePages_Surp"),
    FIELD("HugePages_Total", "HugePages_Total"),
};

enum { FIELDS = sizeof fields / sizeof *fields };

struct meminfo_state {
    struct procfile *file;    /* owned */
    struct text_memory known; /* by line: which of the fields it is */
};

static void stop(void *ctx)
{
    struct meminfo_state *state = ctx;
    procfile_free(state->file);
    text_memory_fini(&state->known);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct meminfo_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->file = procfile_new(config->host_metrics.path_procfs, "meminfo");
    if (!state->file) {
        stop(state);
        return -ENOMEM;
    }
    *ret_state = state;
    return 0;
}

static int parse_value(struct bytes line, uint64_t *ret_value)
{
    struct bytes field;
    uint64_t value;
    if (!text_field(&line, &field) || text_u64(field, &value) < 0)
        return -EINVAL;
    if (text_field(&line, &field)) {
        if (!text_is(field, "kB"))
            return -EINVAL;
        value *= 1024;
    }
    *ret_value = value;
    return 0;
}

/* FIELDS: none of them. */
static int field_at(struct meminfo_state *state, size_t at, struct bytes key)
{
    int field;
    if (text_memory_get(&state->known, at, key, &field))
        return field;
    for (field = 0; field < FIELDS && !text_is(key, fields[field].key); field++)
        ;
    text_memory_put(&state->known, at, key, field);
    return field;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct meminfo_state *state = ctx;
    struct bytes text, line, key;
    uint64_t value = 0;
    int err = procfile_read(state->file, &text);
    for (size_t at = 0; err == 0 && text_line(&text, &line); at++) {
        if (!text_field(&line, &key))
            continue;
        err = parse_value(line, &value);
        int field = field_at(state, at, key);
        if (err == 0 && field < FIELDS)
            collector_emit(sink, fields[field].name, METRIC_GAUGE, fields[field].help, (double)value);
    }
    return err;
}

const struct collector collector_meminfo = {.name = "meminfo",
                                            .enabled_by_default = true,
                                            .start = start,
                                            .update = update,
                                            .stop = stop,
                                            .blocks = false};
