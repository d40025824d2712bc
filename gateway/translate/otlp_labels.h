/* otlp_labels.h - a set of labels made of OTLP attributes: names made valid, values as text, collisions
 * joined.
 *
 * Attributes are taken in the order of their keys; where two keys come to the same label their values are
 * joined by `;` (OpenTelemetry specification, Prometheus compatibility, "Metric Attributes"). A set keeps its
 * text in memory of its own that is reserved before, so that names and values stay where they are. Limits:
 * OTLP_MAX_LABELS labels, OTLP_MAX_LABEL_TEXT bytes. One thread.
 */
#ifndef GATEWAY_OTLP_LABELS_H
#define GATEWAY_OTLP_LABELS_H

#include "base/buf.h"

enum { OTLP_MAX_LABELS = 256, OTLP_MAX_LABEL_TEXT = 64 << 20 };

struct otlp_label {
    struct bytes name, value; /* in the set's text, or borrowed from who set them */
};

struct otlp_labels {
    struct otlp_label items[OTLP_MAX_LABELS];
    size_t count;
    struct buf text; /* owned */
};

void otlp_labels_init(struct otlp_labels *labels);
void otlp_labels_fini(struct otlp_labels *labels);

/* otlp_labels_clear: an empty set; room for the attributes of source_bytes bytes. 0, -ENOMEM, -EMSGSIZE. */
int otlp_labels_clear(struct otlp_labels *labels, size_t source_bytes);

/* otlp_labels_add: of message, the KeyValue fields of that number which wanted(key) takes (NULL: all), each
 * name with prefix before it ("": none). Empty values are left out: to Prometheus they are no labels. 0,
 * -EBADMSG, -E2BIG (too many, or nested too deep), errors of buf_reserve. */
int otlp_labels_add(struct otlp_labels *labels, struct bytes message, uint32_t number, const char *prefix,
                    bool (*wanted)(const void *ctx, struct bytes key), const void *ctx);

/* otlp_labels_set: name gets value (both borrowed as long as the set), whatever it was; an empty value takes
 * it out. 0, -E2BIG. */
int otlp_labels_set(struct otlp_labels *labels, struct bytes name, struct bytes value);

/* otlp_labels_add_absent: every label of from whose name is not there. 0, -E2BIG. */
int otlp_labels_add_absent(struct otlp_labels *labels, const struct otlp_labels *from);

/* otlp_labels_sort: by name, as remote write wants them. */
void otlp_labels_sort(struct otlp_labels *labels);

/* otlp_labels_find: the value of name; ptr is NULL when there is none. */
struct bytes otlp_labels_find(const struct otlp_labels *labels, struct bytes name);

#endif
