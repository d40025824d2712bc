/* docker.h - takes a line of Docker's json-file format apart: {"log":TEXT,"stream":NAME,"time":TIME}.
 *
 * Source: Docker's json-file logging driver (a JSON object a line, TEXT with its newline; a line over 16 KiB
 * is split, and all pieces but the last have no newline; further keys, such as attrs, may stand between).
 * Pure functions, any thread.
 */
#ifndef NODE_AGENT_DOCKER_H
#define NODE_AGENT_DOCKER_H

#include "base/buf.h"
#include "node-agent/logs/cri.h"

/* docker_parse: line is without its newline. The text is borrowed from the line, or from storage where
 * escapes had to be resolved (until its next change). 0, -EBADMSG (not in this format, or outside of 1970 to
 * 2261), or an error of buf_append (storage's limit is below the line's length). */
int docker_parse(struct cri_clock *clock, struct bytes line, struct buf *storage, struct cri_line *ret_line);

#endif
