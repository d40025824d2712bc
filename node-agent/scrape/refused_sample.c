#include "node-agent/scrape/refused_sample.h"

#include "base/pb.h"

enum { TIMESERIES = 1, LABEL = 1, SAMPLES = 2, NAME = 1, VALUE = 2, SAMPLE_VALUE = 1, SAMPLE_TIME = 2 };
enum { LABEL_BYTES = 256, SAMPLE_ROOM = 64 };

static const char *words_of(enum series_fault fault)
{
    switch (fault) {
    case SERIES_NO_NAME:
        return "the sample, or one of its labels, has no name";
    case SERIES_DUPLICATE_LABEL:
        return "a label name stands twice";
    case SERIES_INVALID_UTF8:
        return "a label is not valid UTF-8";
    case SERIES_TOO_MANY_LABELS:
        return "the series has too many labels";
    case SERIES_REPEATED_SAMPLE:
        return "a second sample of this series and time";
    case SERIES_OUT_OF_BOUNDS:
        return "the sample's time is more than ten minutes ahead";
    case SERIES_TOO_LARGE:
        break;
    }
    return "the scrape is too large";
}

static struct bytes cut(struct bytes text)
{
    return (struct bytes){text.ptr, text.len < LABEL_BYTES ? text.len : LABEL_BYTES};
}

static int put_label(struct buf *out, struct bytes name, struct bytes value)
{
    size_t mark;
    int err = pb_begin(out, LABEL, &mark);
    if (err == 0)
        err = pb_put_bytes(out, NAME, cut(name));
    if (err == 0)
        err = pb_put_bytes(out, VALUE, cut(value));
    if (err == 0)
        pb_end(out, mark);
    return err;
}

static int put_value(struct buf *out, const struct refused_sample *sample)
{
    size_t mark;
    int err = pb_begin(out, SAMPLES, &mark);
    if (err == 0)
        err = pb_put_double(out, SAMPLE_VALUE, sample->value);
    if (err == 0)
        err = pb_put_varint(out, SAMPLE_TIME, (uint64_t)sample->time_ms);
    if (err == 0)
        pb_end(out, mark);
    return err;
}

/* Labels as long as there is room for the sample behind them. */
static int write_request(const struct refused_sample *sample, struct buf *out)
{
    size_t mark;
    int err = pb_begin(out, TIMESERIES, &mark);
    if (err == 0 && sample->name.len)
        err = put_label(out, bytes_of_string("__name__"), sample->name);
    for (size_t i = 0; i < sample->label_count && err == 0; i++) {
        if (out->len + 2 * LABEL_BYTES + 2 * SAMPLE_ROOM > out->max)
            break;
        err = put_label(out, sample->labels[i].name, sample->labels[i].value);
    }
    if (err == 0)
        err = put_value(out, sample);
    if (err == 0)
        pb_end(out, mark);
    return err;
}

void refused_sample_tell(struct refusals *refusals, const struct refused_sample *sample)
{
    struct buf request;
    if (!refusals_has_room(refusals, TELEMETRY_METRICS)) {
        refusals_add(refusals, TELEMETRY_METRICS, NULL);
        return;
    }
    buf_init(&request, BATCH_MAX_REFUSAL_BYTES);
    struct bytes shown = write_request(sample, &request) == 0 ? buf_bytes(&request) : (struct bytes){0};
    refusals_add(refusals, TELEMETRY_METRICS,
                 &(struct refusal){words_of(sample->fault), sample->source, FORMAT_REMOTE_WRITE_1, shown});
    buf_fini(&request);
}
