/* dmi.c - /sys/class/dmi/id, read once: the firmware's names do not change while the host runs. */
#include <errno.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"

enum { FIELDS = 20, VALUE_BYTES = 256 };

static const struct {
    const char *label, *file;
} fields[FIELDS] = {
    {"bios_date", "bios_date"},
    {"bios_release", "bios_release"},
    {"bios_vendor", "bios_vendor"},
    {"bios_version", "bios_version"},
    {"board_asset_tag", "board_asset_tag"},
    {"board_name", "board_name"},
    {"board_serial", "board_serial"},
    {"board_vendor", "board_vendor"},
    {"board_version", "board_version"},
    {"chassis_asset_tag", "chassis_asset_tag"},
    {"chassis_serial", "chassis_serial"},
    {"chassis_vendor", "chassis_vendor"},
    {"chassis_version", "chassis_version"},
    {"product_family", "product_family"},
    {"product_name", "product_name"},
    {"product_serial", "product_serial"},
    {"product_sku", "product_sku"},
    {"product_uuid", "product_uuid"},
    {"product_version", "product_version"},
    {"system_vendor", "sys_vendor"},
};

struct dmi_state {
    char values[FIELDS][3 * VALUE_BYTES];
    const char *labels[2 * FIELDS + 1];
    size_t count;
};

static void take(struct dmi_state *state, int field, const char *word)
{
    struct buf valid;
    buf_init(&valid, 3 * VALUE_BYTES);
    if (utf8_put_valid(bytes_of_string(word), &valid) == 0) {
        text_copy(buf_bytes(&valid), state->values[field], sizeof state->values[field]);
        state->labels[2 * state->count] = fields[field].label;
        state->labels[2 * state->count + 1] = state->values[field];
        state->count++;
    }
    buf_fini(&valid);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct dmi_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    for (int i = 0; i < FIELDS; i++) {
        char word[VALUE_BYTES];
        if (sysfs_word(word, sizeof word, "%s/class/dmi/id/%s", config->host_metrics.path_sysfs,
                       fields[i].file) == 0)
            take(state, i, word);
    }
    *ret_state = state;
    return 0;
}

static void stop(void *state)
{
    free(state);
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct dmi_state *state = ctx;
    if (state->count == 0)
        return -ENODATA;
    sink->sample(sink, "node_dmi_info", METRIC_GAUGE,
                 "A metric with a constant '1' value labeled by bios_date, bios_release, bios_vendor, "
                 "bios_version, board_asset_tag, board_name, board_serial, board_vendor, board_version, "
                 "chassis_asset_tag, chassis_serial, chassis_vendor, chassis_version, product_family, "
                 "product_name, product_serial, product_sku, product_uuid, product_version, system_vendor if "
                 "provided by DMI.",
                 state->labels, 1);
    return 0;
}

const struct collector collector_dmi = {
    .name = "dmi", .enabled_by_default = true, .start = start, .update = update, .stop = stop};
