/* exposition_line.h - one sample's line of a page, but for its value: its text and its place among the
 * others. One thread at a time.
 */
#ifndef NODE_AGENT_EXPOSITION_LINE_H
#define NODE_AGENT_EXPOSITION_LINE_H

#include "base/buf.h"
#include "node-agent/host/collector.h"

struct exposition_line {
    size_t sequence;            /* the caller's: tells lines apart that are equal otherwise */
    unsigned label_count, part; /* those it is sorted by; part: of a histogram or summary, 0 bounds, 1 sum,
                                   2 count */
    double bound;
    const char *values; /* the label values in the order of the labels' names, each with a NUL */
    const char *text;   /* name and labels as the page has them; no NUL */
    size_t len;         /* of text */
    char bytes[];       /* holds values and text */
};

/* exposition_line_new: the line of a sample; family_len: how much of its name is the family's. The caller
 * frees it with free(). 0, -ENOMEM, -EMSGSIZE (more than 16 MiB). */
int exposition_line_new(const char *name, size_t family_len, enum metric_type type, const char *const *labels,
                        struct exposition_line **ret_line);

/* exposition_line_compare: as qsort's, of two lines of one family: fewer labels first, then by their values,
 * then by the part of a histogram or summary, then by sequence. */
int exposition_line_compare(const struct exposition_line *left, const struct exposition_line *right);

/* exposition_line_escape: appends text with newlines and backslashes (and quotes) escaped. 0 or as
 * buf_append. */
int exposition_line_escape(struct buf *out, const char *text, bool quotes);

#endif
