/* textfile_pages.h - the metrics of the textfiles of one update: what is known of each, and how its samples
 * are shown. One thread at a time. */
#ifndef NODE_AGENT_TEXTFILE_PAGES_H
#define NODE_AGENT_TEXTFILE_PAGES_H

#include "base/buf.h"
#include "node-agent/host/collector.h"
#include "node-agent/host/seen_set.h"
#include "node-agent/scrape/exposition.h"

enum { TEXTFILE_PATH_BYTES = 1024, TEXTFILE_MAX_LABELS = EXPOSITION_MAX_LABELS };

struct textfile_family {      /* of one file */
    char *name, *help, *file; /* owned; help may be NULL */
    enum metric_type type;
    char *labels[TEXTFILE_MAX_LABELS]; /* owned; the names of all its samples */
    size_t label_count;
    bool has_type, has_help, has_samples;
    bool left_out; /* its HELP is not that of the others */
    bool hidden;   /* by an earlier one of its name, or of the name that a part of it has */
};

/* The samples of a histogram or summary with the same labels: a page has all their parts. */
struct textfile_group {
    const struct textfile_family *family;
    char *labels;                     /* owned; names and values in turn, each with a NUL, and one more */
    bool has_sum, has_count, has_all; /* has_all: the bound +Inf */
    double count;
};

struct textfile_state {
    const struct agent_config *config; /* borrowed */
    struct textfile_family *families;  /* owned; of this update */
    size_t count, room;
    size_t file_begin; /* the families of the file being read begin here */
    size_t total;      /* of all files */
    bool errored;
    struct textfile_group *groups; /* owned; of the file being shown */
    size_t group_count;
    struct seen_set seen; /* the series shown */
};

/* textfile_part_label: the label that tells a histogram's or summary's parts apart; NULL for other types. */
static inline const char *textfile_part_label(enum metric_type type)
{
    return type == METRIC_HISTOGRAM ? "le" : type == METRIC_SUMMARY ? "quantile" : NULL;
}

/* ---- families (textfile_families.c) ---- */

/* textfile_families_forget: frees those of this update. */
void textfile_families_forget(struct textfile_state *state);

/* textfile_families_find: what a sample belongs to in the file being read: its own name, or that before the
 * part of a histogram or summary. NULL: nothing yet. */
struct textfile_family *textfile_families_find(const struct textfile_state *state, struct bytes name);

/* textfile_families_add: one more, in the file of this path; copies both. NULL when memory or room is out. */
struct textfile_family *textfile_families_add(struct textfile_state *state, struct bytes name,
                                              const char *file);

/* textfile_families_take: an entry of the file being read. 0; -EINVAL, -EBADMSG (what node_exporter refuses),
 * -E2BIG, -ENOMEM. */
int textfile_families_take(struct textfile_state *state, const struct exposition_entry *e, const char *file);

/* textfile_families_check_help: a metric of the file just read whose HELP is another one than in an earlier
 * file is left out, from then on in all files. */
void textfile_families_check_help(struct textfile_state *state);

/* textfile_families_hide_conflicts: of metrics that cannot stand on one page the earlier ones stay. */
void textfile_families_hide_conflicts(struct textfile_state *state);

/* textfile_families_help: its HELP; else where the metric was read, in storage. */
const char *textfile_families_help(const struct textfile_state *state, const struct textfile_family *family,
                                   struct buf *storage);

/* ---- samples (textfile_samples.c) ---- */

/* textfile_samples_emit: a sample with its labels, those of its family that it lacks being empty; bounds are
 * written anew; what was shown before is not shown again. */
void textfile_samples_emit(struct textfile_state *state, struct metric_sink *sink,
                           const struct textfile_family *family, const char *help,
                           const struct exposition_entry *e);

/* textfile_samples_complete: at a file's end the parts of histograms and summaries that it does not have are
 * 0; all observations are below +Inf. */
void textfile_samples_complete(struct textfile_state *state, struct metric_sink *sink, struct buf *storage);

#endif
