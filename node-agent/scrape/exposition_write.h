/* exposition_write.h - samples as pages of the text exposition format 0.0.4: families sorted by name, each
 * with its HELP and TYPE once, its samples by their labels.
 *
 * A writer makes one page after the other; it remembers the families of the last ones, so that the next page
 * of the same host costs little. For commands and tests; what is shipped goes through series.h. One thread at
 * a time.
 */
#ifndef NODE_AGENT_EXPOSITION_WRITE_H
#define NODE_AGENT_EXPOSITION_WRITE_H

#include "base/buf.h"
#include "node-agent/host/collector.h"

struct exposition_writer;

/* exposition_writer_new: NULL when memory is out. */
struct exposition_writer *exposition_writer_new(void);
void exposition_writer_free(struct exposition_writer *writer);

/* exposition_writer_sink: where to put the samples; lives as long as the writer. */
struct metric_sink *exposition_writer_sink(struct exposition_writer *writer);

/* exposition_writer_finish: appends the page to out and begins the next one. 0, or the first error of all
 * that was put (-ENOMEM, -EMSGSIZE). */
int exposition_writer_finish(struct exposition_writer *writer, struct buf *out);

#endif
