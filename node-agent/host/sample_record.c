#include "node-agent/host/sample_record.h"

#include <errno.h>

enum { RECORD_BYTES = 16 * 1024 * 1024, MAX_LABELS = 64 };

struct head { /* before the strings: name, help, then the labels' names and values, each with a NUL */
    double value;
    enum metric_type type;
    unsigned labels; /* strings of labels */
};

static int put_string(struct buf *out, const char *string)
{
    return buf_append(out, string, strlen(string) + 1);
}

static int put_sample(struct buf *out, const char *name, enum metric_type type, const char *help,
                      const char *const *labels, double value)
{
    struct head head = {.value = value, .type = type};
    while (labels && head.labels < 2 * MAX_LABELS && labels[head.labels])
        head.labels++;
    int err = buf_append(out, &head, sizeof head);
    if (err == 0)
        err = put_string(out, name);
    if (err == 0)
        err = put_string(out, help);
    for (unsigned i = 0; i < head.labels && err == 0; i++)
        err = put_string(out, labels[i]);
    return err;
}

static void put(struct metric_sink *sink, const char *name, enum metric_type type, const char *help,
                const char *const *labels, double value)
{
    struct sample_record *record = (struct sample_record *)sink;
    if (record->error == 0)
        record->error = put_sample(&record->samples, name, type, help, labels, value);
}

void sample_record_init(struct sample_record *record)
{
    *record = (struct sample_record){.sink = {put}};
    buf_init(&record->samples, RECORD_BYTES);
}

void sample_record_fini(struct sample_record *record)
{
    buf_fini(&record->samples);
}

void sample_record_clear(struct sample_record *record)
{
    buf_clear(&record->samples);
    record->error = 0;
}

static const char *take_string(const char **at)
{
    const char *string = *at;
    *at += strlen(string) + 1;
    return string;
}

void sample_record_replay(const struct sample_record *record, struct metric_sink *sink)
{
    const char *at = (const char *)record->samples.ptr, *end = at + record->samples.len;
    if (record->error < 0)
        return;
    while (at < end) {
        const char *labels[2 * MAX_LABELS + 1];
        struct head head;
        memcpy(&head, at, sizeof head);
        at += sizeof head;
        const char *name = take_string(&at), *help = take_string(&at);
        for (unsigned i = 0; i < head.labels; i++)
            labels[i] = take_string(&at);
        labels[head.labels] = NULL;
        sink->sample(sink, name, head.type, help, labels, head.value);
    }
}
