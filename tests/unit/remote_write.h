/* remote_write.h - a prometheus.WriteRequest as text, by walking its bytes: what tests compare. */
#ifndef TESTS_UNIT_REMOTE_WRITE_H
#define TESTS_UNIT_REMOTE_WRITE_H

#include "base/pb.h"
#include "tests/unit/unit.h"

static inline void remote_write_show_label(struct bytes content, struct buf *out)
{
    struct pb_field field;
    struct bytes name = {0}, value = {0};
    while (pb_next(&content, &field) == 1)
        *(field.number == 1 ? &name : &value) = field.bytes;
    buf_printf(out, "%.*s=%.*s ", (int)name.len, name.ptr, (int)value.len, value.ptr);
}

static inline void remote_write_show_sample(struct bytes content, struct buf *out)
{
    struct pb_field field;
    double value = 0;
    int64_t time_ms = 0;
    while (pb_next(&content, &field) == 1) {
        if (field.number == 1)
            memcpy(&value, &field.value, sizeof value);
        else
            time_ms = (int64_t)field.value;
    }
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (bits == UINT64_C(0x7ff0000000000002))
        buf_printf(out, "stale@%lld\n", (long long)time_ms);
    else
        buf_printf(out, "%g@%lld\n", value, (long long)time_ms);
}

/* A WriteRequest as text: one line a series. The caller frees. */
static inline char *remote_write_show(struct bytes request)
{
    struct buf out;
    struct pb_field series, field;
    buf_init(&out, 64 << 20);
    while (request.len) {
        assert_int_equal(pb_next(&request, &series), 1);
        assert_int_equal(series.number, 1);
        while (pb_next(&series.bytes, &field) == 1)
            (field.number == 1 ? remote_write_show_label : remote_write_show_sample)(field.bytes, &out);
    }
    buf_append(&out, "", 1);
    return (char *)out.ptr;
}

#endif
