#include "node-agent/logs/refused_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/logs/logtext.h"
#include "node-agent/logs/podpath.h"
#include "node-agent/logs/push.h"

enum { SOURCE_BYTES = 4096 /* cut when it is told */ };

/* The pod by its folder's name, the file as it can be opened, and where in it. */
static void name_source(const struct refused_line *line, char source[SOURCE_BYTES])
{
    struct podpath path;
    char pod[3 * 256 + 8] = "", offset[32] = "", folder[512];
    const struct tail_log *log = line->log;
    snprintf(folder, sizeof folder, "%.*s", (int)strcspn(log->name, "/"), log->name);
    const char *container = strchr(log->name, '/');
    if (!log->plain && container && podpath_parse_folder(folder, &path) == 0)
        snprintf(pod, sizeof pod, "pod %.*s/%.*s/%.*s ", (int)path.namespace.len,
                 (const char *)path.namespace.ptr, (int)path.pod.len, (const char *)path.pod.ptr,
                 (int)strcspn(container + 1, "/"), container + 1);
    if (line->offset != TAIL_NONE)
        snprintf(offset, sizeof offset, " offset %" PRIu64, line->offset);
    if (snprintf(source, SOURCE_BYTES, "%sfile %s/%s%s", pod, log->folder, line->file->name, offset) >=
        SOURCE_BYTES)
        memcpy(source + SOURCE_BYTES - 4, "...", 4); /* cut */
}

static int write_push(const struct refused_line *line, struct push *push)
{
    const struct bytes labels[PUSH_STREAMS] = {bytes_of_string(line->labels)};
    struct buf text;
    size_t len = line->text.len < REFUSALS_EXCERPT ? line->text.len : REFUSALS_EXCERPT;
    buf_init(&text, 4 * REFUSALS_EXCERPT);
    int err = logtext_repair((struct bytes){line->text.ptr, len}, &text);
    if (err == 0)
        err = push_reserve(push, text.len + labels[0].len + 64);
    if (err == 0) {
        push_begin_log(push, labels);
        err = push_add(push, 0, line->time_ns < 0 ? 0 : line->time_ns, buf_bytes(&text));
    }
    if (err == 0)
        err = push_end_log(push);
    buf_fini(&text);
    return err;
}

void refused_line_tell(struct refusals *refusals, const struct refused_line *line)
{
    struct push push;
    char source[SOURCE_BYTES];
    if (!refusals_has_room(refusals, TELEMETRY_LOGS)) {
        refusals_add(refusals, TELEMETRY_LOGS, NULL);
        return;
    }
    name_source(line, source);
    push_init(&push, BATCH_MAX_REFUSAL_BYTES);
    push_clear(&push);
    struct bytes shown = write_push(line, &push) == 0 ? buf_bytes(&push.raw) : (struct bytes){0};
    refusals_add(refusals, TELEMETRY_LOGS, &(struct refusal){line->words, source, FORMAT_LOKI_PUSH, shown});
    push_fini(&push);
}
