/* zoneinfo.c - /proc/zoneinfo: a block for each zone of memory, "Node N, zone NAME", then "NAME VALUE" lines
 * among others; "protection: (A, B, ...)". */
#include <errno.h>
#include <stdio.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"

enum { PROTECTIONS = 16, NAME_BYTES = 64 };

#define PAGES(key, help)                                                                                     \
    {                                                                                                        \
        key, "node_zoneinfo_" key "_pages", help, METRIC_GAUGE                                               \
    }
#define TOTAL(key, help)                                                                                     \
    {                                                                                                        \
        key, "node_zoneinfo_" key "_total", help, METRIC_COUNTER                                             \
    }
static const struct {
    const char *key, *name, *help;
    enum metric_type type;
} rows[] = {
    {"nr_free_pages", "node_zoneinfo_nr_free_pages", "Total number of free pages in the zone", METRIC_GAUGE},
    PAGES("min", "Zone watermark pages_min"),
    PAGES("low", "Zone watermark pages_low"),
    PAGES("high", "Zone watermark pages_high"),
    PAGES("scanned", "Pages scanned since last reclaim"),
    PAGES("spanned", "Total pages spanned by the zone, including holes"),
    PAGES("present", "Physical pages existing within the zone"),
    PAGES("managed", "Present pages managed by the buddy system"),
    PAGES("nr_active_anon", "Number of anonymous pages recently more used"),
    PAGES("nr_inactive_anon", "Number of anonymous pages recently less used"),
    PAGES("nr_isolated_anon", "Temporary isolated pages from anon lru"),
    {"nr_anon_pages", "node_zoneinfo_nr_anon_pages", "Number of anonymous pages currently used by the system",
     METRIC_GAUGE},
    {"nr_anon_transparent_hugepages", "node_zoneinfo_nr_anon_transparent_hugepages",
     "Number of anonymous transparent huge pages currently used by the system", METRIC_GAUGE},
    PAGES("nr_active_file", "Number of active pages with file-backing"),
    PAGES("nr_inactive_file", "Number of inactive pages with file-backing"),
    PAGES("nr_isolated_file", "Temporary isolated pages from file lru"),
    {"nr_file_pages", "node_zoneinfo_nr_file_pages", "Number of file pages", METRIC_GAUGE},
    PAGES("nr_slab_reclaimable", "Number of reclaimable slab pages"),
    PAGES("nr_slab_unreclaimable", "Number of unreclaimable slab pages"),
    PAGES("nr_mlock_stack", "mlock()ed pages found and moved off LRU"),
    {"nr_kernel_stack", "node_zoneinfo_nr_kernel_stacks", "Number of kernel stacks", METRIC_GAUGE},
    PAGES("nr_mapped", "Number of mapped pages"),
    PAGES("nr_dirty", "Number of dirty pages"),
    PAGES("nr_writeback", "Number of writeback pages"),
    PAGES("nr_unevictable", "Number of unevictable pages"),
    PAGES("nr_shmem", "Number of shmem pages (included tmpfs/GEM pages)"),
    TOTAL("nr_dirtied", "Page dirtyings since bootup"),
    TOTAL("nr_written", "Page writings since bootup"),
    TOTAL("numa_hit", "Allocated in intended node"),
    TOTAL("numa_miss", "Allocated in non intended node"),
    TOTAL("numa_foreign", "Was intended here, hit elsewhere"),
    TOTAL("numa_interleave", "Interleaver preferred this zone"),
    TOTAL("numa_local", "Allocation from local node"),
    TOTAL("numa_other", "Allocation from other node"),
};
enum { ROWS = sizeof rows / sizeof *rows };

struct zone {
    char node[16], name[32];
    bool is_known[ROWS];
    uint64_t values[ROWS], protections[PROTECTIONS];
    size_t protection_count;
};

static int start(const struct agent_config *config, void **ret_state)
{
    *ret_state = procfile_new_long(config->host_metrics.path_procfs, "zoneinfo");
    return *ret_state ? 0 : -ENOMEM;
}

static void stop(void *state)
{
    procfile_free(state);
}

static void emit_zone(const struct zone *zone, struct metric_sink *sink)
{
    const char *const labels[] = {"node", zone->node, "zone", zone->name, NULL};
    for (size_t i = 0; i < ROWS; i++)
        if (zone->is_known[i])
            sink->sample(sink, rows[i].name, rows[i].type, rows[i].help, labels, (double)zone->values[i]);
    for (size_t i = 0; i < zone->protection_count; i++) {
        char name[NAME_BYTES], help[NAME_BYTES];
        snprintf(name, sizeof name, "node_zoneinfo_protection_%zu", i);
        snprintf(help, sizeof help, "Protection array %zu. field", i);
        sink->sample(sink, name, METRIC_GAUGE, help, labels, (double)zone->protections[i]);
    }
}

/* "Node N, zone NAME" begins a zone. */
static bool take_head(struct bytes line, struct zone *zone)
{
    struct bytes fields[4];
    if (!text_starts(line, "Node ") || text_fields(line, fields, 4) != 4 || !text_is(fields[2], "zone"))
        return false;
    fields[1].len -= text_ends(fields[1], ",") ? 1 : 0;
    *zone = (struct zone){.protection_count = 0};
    text_copy(fields[1], zone->node, sizeof zone->node);
    text_copy(fields[3], zone->name, sizeof zone->name);
    return true;
}

static void take_protections(struct bytes line, struct zone *zone)
{
    struct bytes field;
    zone->protection_count = 0;
    while (zone->protection_count < PROTECTIONS && text_field(&line, &field)) {
        while (field.len && (*field.ptr == '(' || *field.ptr == ')'))
            field = bytes_skip(field, 1);
        while (field.len && (text_ends(field, ")") || text_ends(field, ",")))
            field.len--;
        if (text_u64(field, &zone->protections[zone->protection_count]) == 0)
            zone->protection_count++;
    }
}

static void take_value(struct bytes line, struct zone *zone)
{
    struct bytes key, field;
    uint64_t value;
    if (!text_field(&line, &key))
        return;
    if (text_is(key, "protection:")) {
        take_protections(line, zone);
        return;
    }
    for (size_t i = 0; i < ROWS; i++)
        if (text_is(key, rows[i].key) && text_field(&line, &field)) {
            zone->values[i] = text_u64(field, &value) == 0 ? value : 0; /* as node_exporter has it */
            zone->is_known[i] = true;
        }
}

static int update(void *state, struct metric_sink *sink)
{
    struct bytes text, line;
    struct zone zone = {.protection_count = 0}, next;
    bool has_zone = false;
    int err = procfile_read(state, &text);
    while (err == 0 && text_line(&text, &line)) {
        if (!take_head(line, &next)) {
            take_value(line, &zone);
            continue;
        }
        if (has_zone)
            emit_zone(&zone, sink);
        zone = next;
        has_zone = true;
    }
    if (has_zone)
        emit_zone(&zone, sink);
    return err;
}

const struct collector collector_zoneinfo = {
    .name = "zoneinfo", .start = start, .update = update, .stop = stop};
