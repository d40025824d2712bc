/* refused_line.h - tells the gateway of a line that was not sent, or not as it was: where it stands and how
 * it begins. Loop thread. */
#ifndef NODE_AGENT_REFUSED_LINE_H
#define NODE_AGENT_REFUSED_LINE_H

#include "node-agent/logs/tail_log.h"
#include "node-agent/ship/refusals.h"

struct refused_line { /* all borrowed */
    const char *words;
    const struct tail_log *log;
    const struct tail_file *file;
    uint64_t offset;    /* in the file; TAIL_NONE: not known */
    const char *labels; /* of its stream, {...} */
    int64_t time_ns;
    struct bytes text;
};

/* refused_line_tell: with a Loki push of the line's first REFUSALS_EXCERPT bytes, and as its source "pod
 * NAMESPACE/POD/CONTAINER file FOLDER/FILE offset N"; of a host file "file PATH offset N". */
void refused_line_tell(struct refusals *refusals, const struct refused_line *line);

#endif
