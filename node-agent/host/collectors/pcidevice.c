/* pcidevice.c - the PCI devices: /sys/bus/pci/devices (Linux' Documentation/PCI/sysfs-pci.rst); names of
 * pci.ids with
 * --collector.pcidevice.names. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/pci_names.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"

enum { PATH_BYTES = 1024, PART_BYTES = 16, IDS = 6, PLACE = 4, NAME_LABELS = 5, NAME_BYTES = 256 };

struct pcidevice_state {
    const char *sysfs;       /* borrowed from the config */
    struct pci_names *names; /* owned */
    bool with_names;
};

struct place { /* segment, bus, device, function */
    char parts[PLACE][PART_BYTES];
};

static const char *const place_labels[2][PLACE] = {
    {"segment", "bus", "device", "function"},
    {"parent_segment", "parent_bus", "parent_device", "parent_function"}};

static void stop(void *ctx)
{
    struct pcidevice_state *state = ctx;
    pci_names_free(state->names);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct pcidevice_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->sysfs = config->host_metrics.path_sysfs;
    state->with_names = collector_flag_is_on(config, "pcidevice.names", false);
    if (state->with_names)
        state->names = pci_names_load(collector_flag(config, "pcidevice.idsfile", ""));
    *ret_state = state;
    return 0;
}

/* "0000:00:02.1" */
static int parse_place(const char *text, struct place *ret_place)
{
    unsigned segment, bus, device, function;
    int used = 0;
    if (sscanf(text, "%x:%x:%x.%x%n", &segment, &bus, &device, &function, &used) != 4 || text[used])
        return -EINVAL;
    snprintf(ret_place->parts[0], PART_BYTES, "%04x", segment);
    snprintf(ret_place->parts[1], PART_BYTES, "%02x", bus);
    snprintf(ret_place->parts[2], PART_BYTES, "%02x", device);
    snprintf(ret_place->parts[3], PART_BYTES, "%x", function);
    return 0;
}

/* Where the device's link points to: its place and, unless that is a bridge to the host, its parent's. */
static int read_places(const char *path, struct place *ret_own, struct place *ret_parent)
{
    char target[PATH_BYTES];
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n < 0)
        return -errno;
    target[n] = '\0';
    char *last = strrchr(target, '/');
    if (!last)
        return -EINVAL;
    *last = '\0';
    const char *parent = strrchr(target, '/') ? strrchr(target, '/') + 1 : target;
    for (int i = 0; i < PLACE; i++)
        strcpy(ret_parent->parts[i], "*");
    int err = parse_place(last + 1, ret_own);
    return err == 0 && strncmp(parent, "pci", 3) != 0 ? parse_place(parent, ret_parent) : err;
}

static void put_place(const char *labels[], const char *const names[PLACE], const struct place *place)
{
    for (int i = 0; i < PLACE; i++) {
        labels[2 * i] = names[i];
        labels[2 * i + 1] = place->parts[i];
    }
    labels[2 * PLACE] = NULL;
}

/* ---- node_pcidevice_info ---- */

static void put_names(const struct pcidevice_state *state, const char ids[IDS][PART_BYTES],
                      char names[NAME_LABELS][NAME_BYTES])
{
    const char *class = ids[0] + 2, *vendor = ids[1] + 2, *device = ids[2] + 2, *sub_vendor = ids[3] + 2,
               *sub_device = ids[4] + 2;
    pci_names_vendor(state->names, vendor, names[0], NAME_BYTES);
    pci_names_device(state->names, vendor, device, names[1], NAME_BYTES);
    pci_names_vendor(state->names, sub_vendor, names[2], NAME_BYTES);
    pci_names_subsystem(state->names, vendor, device, sub_vendor, sub_device, names[3], NAME_BYTES);
    pci_names_class(state->names, class, names[4], NAME_BYTES);
}

static int emit_info(const struct pcidevice_state *state, const char *path, const struct place *own,
                     const struct place *parent, struct metric_sink *sink)
{
    static const struct {
        const char *file, *label;
        int digits;
    } rows[IDS] = {{"class", "class_id", 6},
                   {"vendor", "vendor_id", 4},
                   {"device", "device_id", 4},
                   {"subsystem_vendor", "subsystem_vendor_id", 4},
                   {"subsystem_device", "subsystem_device_id", 4},
                   {"revision", "revision", 2}};
    static const char *const name_labels[NAME_LABELS] = {
        "vendor_name", "device_name", "subsystem_vendor_name", "subsystem_device_name", "class_name"};
    const char *labels[4 * PLACE + 2 * IDS + 2 * NAME_LABELS + 1];
    char ids[IDS][PART_BYTES], names[NAME_LABELS][NAME_BYTES];
    size_t at = 4 * PLACE;
    put_place(labels, place_labels[0], own);
    put_place(labels + 2 * PLACE, place_labels[1], parent);
    for (int i = 0; i < IDS; i++) {
        int64_t value;
        int err = sysfs_i64(&value, "%s/%s", path, rows[i].file);
        if (err < 0)
            return err;
        snprintf(ids[i], PART_BYTES, "0x%0*x", rows[i].digits, (unsigned)value);
        labels[at++] = rows[i].label;
        labels[at++] = ids[i];
    }
    if (state->with_names)
        put_names(state, ids, names);
    for (int i = 0; i < NAME_LABELS && state->with_names; i++) {
        labels[at++] = name_labels[i];
        labels[at++] = names[i];
    }
    labels[at] = NULL;
    sink->sample(sink, "node_pcidevice_info", METRIC_GAUGE,
                 "Non-numeric data from /sys/bus/pci/devices/<location>, value is always 1.", labels, 1);
    return 0;
}

/* ---- numbers ---- */

/* "8.0 GT/s PCIe" as transfers a second, any other row as a number. */
static int read_number(const char *path, const char *file, bool is_speed, double *ret_value)
{
    char word[64];
    int err = sysfs_word(word, sizeof word, "%s/%s", path, file);
    if (err < 0)
        return err;
    if (!*word || strncmp(word, "Unknown", 7) == 0)
        return -ENOENT;
    char *unit = is_speed ? strchr(word, ' ') : NULL;
    if (is_speed && (!unit || strcmp(unit, " GT/s PCIe") != 0))
        return -EINVAL;
    if (unit)
        *unit = '\0';
    err = text_double(bytes_of_string(word), ret_value);
    if (err == 0 && is_speed)
        *ret_value *= 1e9;
    return err;
}

static int emit_numbers(const char *path, const char *const *labels, struct metric_sink *sink)
{
    static const struct {
        const char *file, *name, *help;
        double missing;
        bool is_speed, is_switch;
    } rows[] = {
        {"max_link_speed", "node_pcidevice_max_link_transfers_per_second",
         "Value of maximum link's transfers per second (T/s)", -1, true, false},
        {"max_link_width", "node_pcidevice_max_link_width", "Value of maximum link's width (number of lanes)",
         -1, false, false},
        {"current_link_speed", "node_pcidevice_current_link_transfers_per_second",
         "Value of current link's transfers per second (T/s)", -1, true, false},
        {"current_link_width", "node_pcidevice_current_link_width",
         "Value of current link's width (number of lanes)", -1, false, false},
        {"d3cold_allowed", "node_pcidevice_d3cold_allowed",
         "Whether the PCIe device supports D3cold power state (0/1).", 0, false, true},
        {"sriov_drivers_autoprobe", "node_pcidevice_sriov_drivers_autoprobe",
         "Whether SR-IOV drivers autoprobe is enabled for the device (0/1).", 0, false, true},
        {"sriov_numvfs", "node_pcidevice_sriov_numvfs",
         "Number of Virtual Functions (VFs) currently enabled for SR-IOV.", 0, false, false},
        {"sriov_totalvfs", "node_pcidevice_sriov_totalvfs",
         "Total number of Virtual Functions (VFs) supported by the device.", 0, false, false},
        {"sriov_vf_total_msix", "node_pcidevice_sriov_vf_total_msix",
         "Total number of MSI-X vectors for Virtual Functions.", 0, false, false},
        {"numa_node", "node_pcidevice_numa_node",
         "NUMA node number for the PCI device. -1 indicates unknown or not available.", -1, false, false},
    };
    size_t count = sizeof rows / sizeof *rows;
    for (size_t i = 0; i < count; i++) {
        double value = rows[i].missing;
        int err = read_number(path, rows[i].file, rows[i].is_speed, &value);
        if (err < 0 && err != -ENOENT)
            return err;
        if (rows[i].is_switch)
            value = value != 0;
        if (i + 1 < count || value != -1) /* the last one only where it is known */
            sink->sample(sink, rows[i].name, METRIC_GAUGE, rows[i].help, labels, value);
    }
    return 0;
}

static int emit_power(const char *path, const struct place *own, struct metric_sink *sink)
{
    static const char *const states[] = {"D0", "D1", "D2", "D3hot", "D3cold", "unknown", "error"};
    const char *labels[2 * PLACE + 3];
    char state[64];
    int err = sysfs_word(state, sizeof state, "%s/power_state", path);
    if (err < 0 || !*state)
        return err == -ENOENT ? 0 : err;
    put_place(labels, place_labels[0], own);
    labels[2 * PLACE] = "state";
    labels[2 * PLACE + 2] = NULL;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        labels[2 * PLACE + 1] = states[i];
        sink->sample(sink, "node_pcidevice_power_state", METRIC_GAUGE,
                     "PCIe device power state, one of: D0, D1, D2, D3hot, D3cold, unknown or error.", labels,
                     strcmp(state, states[i]) == 0);
    }
    return 0;
}

static int update_device(const struct pcidevice_state *state, const char *name, struct metric_sink *sink)
{
    char path[PATH_BYTES];
    const char *labels[2 * PLACE + 1];
    struct place own, parent;
    snprintf(path, sizeof path, "%s/bus/pci/devices/%s", state->sysfs, name);
    int err = read_places(path, &own, &parent);
    if (err == 0)
        err = emit_info(state, path, &own, &parent, sink);
    put_place(labels, place_labels[0], &own);
    if (err == 0)
        err = emit_numbers(path, labels, sink);
    return err == 0 ? emit_power(path, &own, sink) : err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct pcidevice_state *state = ctx;
    struct sysfs_names names;
    int err = sysfs_list(&names, "%s/bus/pci/devices", state->sysfs);
    for (size_t i = 0; i < names.count && err == 0; i++)
        err = update_device(state, names.items[i], sink);
    sysfs_names_fini(&names);
    return err == -ENOENT ? -ENODATA : err;
}

static const char *const flags[] = {"pcidevice.idsfile=", "pcidevice.names", NULL};

const struct collector collector_pcidevice = {
    .name = "pcidevice", .start = start, .update = update, .stop = stop, .flags = flags};
