/* buddyinfo.c - /proc/buddyinfo: "Node N, zone ZONE COUNT ...", free blocks of 2^0, 2^1 ... pages. */
#include <errno.h>
#include <stdio.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"

enum { HEAD_FIELDS = 4, NODE = 1, ZONE = 3 };

static int start(const struct agent_config *config, void **ret_state)
{
    *ret_state = procfile_new(config->host_metrics.path_procfs, "buddyinfo");
    return *ret_state ? 0 : -ENOMEM;
}

static void stop(void *state)
{
    procfile_free(state);
}

static int parse_line(struct bytes line, struct metric_sink *sink)
{
    struct bytes head[HEAD_FIELDS], field;
    char node[32], zone[32], size[16];
    double count;
    for (int i = 0; i < HEAD_FIELDS; i++)
        if (!text_field(&line, &head[i]))
            return -EINVAL;
    head[NODE].len -= text_ends(head[NODE], ",") ? 1 : 0;
    text_copy(head[NODE], node, sizeof node);
    text_copy(head[ZONE], zone, sizeof zone);
    for (int i = 0; text_field(&line, &field); i++) {
        if (text_double(field, &count) < 0)
            return -EINVAL;
        snprintf(size, sizeof size, "%d", i);
        COLLECTOR_SAMPLE(sink, "node_buddyinfo_blocks", METRIC_GAUGE,
                         "Count of free blocks according to size.", count, "node", node, "zone", zone, "size",
                         size);
    }
    return 0;
}

static int update(void *state, struct metric_sink *sink)
{
    struct bytes text, line;
    int err = procfile_read(state, &text);
    while (err == 0 && text_line(&text, &line))
        err = parse_line(line, sink);
    return err;
}

const struct collector collector_buddyinfo = {
    .name = "buddyinfo", .start = start, .update = update, .stop = stop};
