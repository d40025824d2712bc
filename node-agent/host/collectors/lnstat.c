/* lnstat.c - the network caches: the files of /proc/net/stat, a line of names, then hexadecimal numbers for
 * each CPU. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"

enum { COLUMNS = 64, PATH_BYTES = 512, FILE_BYTES = 256 * 1024 };

struct lnstat_state {
    char folder[PATH_BYTES];
    char text[FILE_BYTES]; /* of the file being looked at */
};

static int start(const struct agent_config *config, void **ret_state)
{
    struct lnstat_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    host_net_folder(config, state->folder, sizeof state->folder);
    *ret_state = state;
    return 0;
}

static void stop(void *state)
{
    free(state);
}

static int parse_cpu(struct bytes line, const struct bytes *names, size_t count, const char *subsystem,
                     int cpu, struct metric_sink *sink)
{
    struct bytes fields[COLUMNS];
    char name[128], number[16];
    uint64_t value;
    size_t found = text_fields(line, fields, COLUMNS);
    snprintf(number, sizeof number, "%d", cpu);
    for (size_t i = 0; i < found && i < count; i++) {
        if (text_hex(fields[i], &value) < 0)
            return -EINVAL;
        snprintf(name, sizeof name, "node_lnstat_%.*s_total", (int)names[i].len, (const char *)names[i].ptr);
        COLLECTOR_SAMPLE(sink, name, METRIC_COUNTER, "linux network cache stats", (double)value, "subsystem",
                         subsystem, "cpu", number);
    }
    return 0;
}

static int update_file(struct lnstat_state *state, const char *subsystem, struct metric_sink *sink)
{
    char path[2 * PATH_BYTES];
    struct bytes names[COLUMNS], line;
    snprintf(path, sizeof path, "%s/stat/%s", state->folder, subsystem);
    int err = procfile_read_word(path, state->text, sizeof state->text);
    struct bytes text = bytes_of_string(err == 0 ? state->text : "");
    size_t count = text_line(&text, &line) ? text_fields(line, names, COLUMNS) : 0;
    for (int cpu = 0; err == 0 && text_line(&text, &line); cpu++)
        err = parse_cpu(line, names, count, subsystem, cpu, sink);
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct lnstat_state *state = ctx;
    struct sysfs_names names;
    int err = sysfs_list(&names, "%s/stat", state->folder);
    for (size_t i = 0; i < names.count && err == 0; i++)
        err = update_file(state, names.items[i], sink);
    sysfs_names_fini(&names);
    return err;
}

const struct collector collector_lnstat = {.name = "lnstat", .start = start, .update = update, .stop = stop};
