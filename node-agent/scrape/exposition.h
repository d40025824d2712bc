/* exposition.h - reads a page of the text exposition format 0.0.4.
 *
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format). Lines end in a newline,
 * the last one too; blanks and tabs separate tokens and are passed over at both ends; empty lines and
 * comments other than HELP and TYPE are passed over. As in Prometheus an escape that the format does not know
 * stays as it is written. Values are what Go's ParseFloat takes: decimal or hexadecimal without exponent sign
 * p, NaN and Inf in any case.
 *
 * Pure, no allocation but for escapes; any thread. Lines are at most EXPOSITION_MAX_LINE bytes.
 */
#ifndef NODE_AGENT_EXPOSITION_H
#define NODE_AGENT_EXPOSITION_H

#include "base/buf.h"
#include "node-agent/scrape/series.h"

enum { EXPOSITION_MAX_LINE = 1024 * 1024, EXPOSITION_MAX_LABELS = SERIES_MAX_LABELS };

enum exposition_kind {
    EXPOSITION_SAMPLE,
    EXPOSITION_HELP, /* name, text (escaped as it stands) */
    EXPOSITION_TYPE, /* name, text: counter, gauge, histogram, summary or untyped */
};

struct exposition_entry { /* all borrowed from the page, or from the parser until the next entry */
    enum exposition_kind kind;
    struct bytes name, text;
    struct series_label labels[EXPOSITION_MAX_LABELS];
    size_t label_count;
    double value;
    bool has_time;
    int64_t time_ms;
};

struct exposition {
    struct bytes rest;
    size_t line;          /* of the entry read last, from 1 */
    const char *problem;  /* set by exposition_next when it answers -EBADMSG: what is wrong in that line */
    struct buf unescaped; /* owned */
    bool is_lenient; /* set by the owner: samples without a name, and label values that are not UTF-8, are
                        shown as they stand, so that they cost themselves and not the page */
};

/* exposition_init: page is borrowed for the parser's life. */
void exposition_init(struct exposition *parser, struct bytes page);
void exposition_fini(struct exposition *parser);

/* exposition_next: 1 with *ret_entry, 0 at the end, -EBADMSG (line and problem are set; the parser stays
 * there), -ENOMEM. */
int exposition_next(struct exposition *parser, struct exposition_entry *ret_entry);

#endif
