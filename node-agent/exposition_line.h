/* exposition_line.h - one sample of a page: what it was put with, its line of text, and its place among the
 * others.
 *
 * A line outlives its page: when the same sample is put again only its value is written anew. One thread at
 * a time.
 */
#ifndef NODE_AGENT_EXPOSITION_LINE_H
#define NODE_AGENT_EXPOSITION_LINE_H

#include "base/buf.h"
#include "node-agent/collector.h"

struct exposition_line {
    struct exposition_line *next; /* the writer's: in the order in which they were put */
    void *family;                 /* the writer's */
    uint64_t page;                /* the writer's: the last one that it was put on */
    size_t sequence;              /* the writer's: tells lines apart that are equal otherwise */

    enum metric_type type;
    unsigned label_count, part; /* those it is sorted by; part: of a histogram or summary, 0 bounds, 1 sum,
                                   2 count */
    double bound, value;
    const char *given;  /* the name, then the label names and values as they were put; each with its length
                           before it */
    size_t given_count; /* of those */
    const char *values; /* the label values in the order of the labels' names, each with a NUL */
    char *text;         /* the line with its newline */
    size_t prefix, len; /* of text: up to the value's blank, and the whole */
    char bytes[];       /* holds given, values and text */
};

/* exposition_line_new: the line of a sample; family_len: how much of its name is the family's. 0, -ENOMEM,
 * -EMSGSIZE (more than 16 MiB). */
int exposition_line_new(const char *name, size_t family_len, enum metric_type type, const char *const *labels,
                        double value, struct exposition_line **ret_line);

/* exposition_line_is: whether it is that sample's, whatever the value. */
bool exposition_line_is(const struct exposition_line *line, const char *name, enum metric_type type,
                        const char *const *labels);

/* exposition_line_set: gives it another value. */
void exposition_line_set(struct exposition_line *line, double value);

/* exposition_line_compare: as qsort's, of two lines of one family: fewer labels first, then by their values,
 * then by the part of a histogram or summary, then by sequence. */
int exposition_line_compare(const struct exposition_line *left, const struct exposition_line *right);

/* exposition_line_escape: appends text with newlines and backslashes (and quotes) escaped. 0 or as
 * buf_append. */
int exposition_line_escape(struct buf *out, const char *text, bool quotes);

#endif
