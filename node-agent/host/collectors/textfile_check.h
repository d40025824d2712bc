/* textfile_check.h - what node_exporter's parser of textfiles refuses and Prometheus takes when it scrapes.
 */
#ifndef NODE_AGENT_TEXTFILE_CHECK_H
#define NODE_AGENT_TEXTFILE_CHECK_H

#include "base/buf.h"
#include "node-agent/host/collector.h"
#include "node-agent/scrape/exposition.h"

/* textfile_check_page: blanks at the end of a sample or TYPE line, escapes other than \\, \n and \" (in HELP
 * texts and label values), numbers past the range of a double. 0 or -EBADMSG. Pure. The rules are those of
 * the Go package expfmt's text parser, as node_exporter 1.12.1 shows them. */
int textfile_check_page(struct bytes page);

/* textfile_check_labels: of a sample of this type: no name twice, none called __name__, bounds are numbers. 0
 * or -EBADMSG. */
int textfile_check_labels(const struct exposition_entry *sample, enum metric_type type);

#endif
