/* loglabels.h - the label set of a log's stream as Loki takes it: {container="..", job="..", ...}.
 *
 * Sorted by name; names are made valid ([a-zA-Z_][a-zA-Z0-9_]*), values escaped as Go strings, valid UTF-8
 * and at most LOGLABELS_MAX_VALUE bytes; at most LOGLABELS_MAX labels, because Loki refuses a stream with
 * more. Built-in labels win over configured ones of the same name. Pure functions, any thread.
 */
#ifndef NODE_AGENT_LOGLABELS_H
#define NODE_AGENT_LOGLABELS_H

#include "base/buf.h"
#include "base/conf/conf.h"
#include "node-agent/logs/podpath.h"

enum { LOGLABELS_MAX = 15, LOGLABELS_MAX_NAME = 128, LOGLABELS_MAX_VALUE = 2048 };

/* loglabels_write: appends the label set of one stream; path NULL: of a host file, which has only extra and
 * configured ones (and job="files" unless they say otherwise). extra win over configured ones. 0 or the error
 * of buf_append. */
int loglabels_write(const struct podpath *path, const char *container, const char *stream,
                    const struct conf_map *extra, const struct conf_map *configured, struct buf *out);

/* loglabels_left_out: how many of the configured labels find no place. */
size_t loglabels_left_out(const struct conf_map *configured);

#endif
