/* refused_source.h - where a refused record came from: what its own labels say, and of a line the file and
 * the offset.
 *
 * A row keeps which runs of files it holds. Those of the line's pod and container are named; its own offset
 * is worked out where the lines of the run, written by a container runtime with as many bytes before each
 * text (the CRI log format: time, stream and tag), come to exactly the run's length, else the run is named
 * from its begin to its end. One thread.
 */
#ifndef GATEWAY_REFUSED_SOURCE_H
#define GATEWAY_REFUSED_SOURCE_H

#include "gateway/fanout/payload.h"
#include "gateway/fanout/record_source.h"

/* refused_source_find: of the message's first record, which was cut out of the row: "pod
 * NAMESPACE/POD/CONTAINER file FILE offset N" ("offset N-M"), or what record_source_of says. FILE is the
 * agent's name for it: NAMESPACE_POD_UID/CONTAINER/RESTART, or a host file's path. is_exact: the row may be
 * read for the line's own offset. */
void refused_source_find(struct payload *payload, const struct buffer_row *row, struct bytes message,
                         bool is_exact, char storage[RECORD_SOURCE_MAX]);

#endif
