/* Splitting at any point and counting both halves gives the sum; the joined halves hold the same records in
 * the same order (compared byte by byte, through the records one at a time). First byte: the format. Second:
 * where to cut. */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/fanout/split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz_split: %s\n", what);
    abort();
}

static uint32_t count_of(enum batch_format format, const struct buf *b)
{
    uint32_t count = UINT32_MAX;
    expect(split_count(format, buf_bytes(b), &count) == 0, "a piece cannot be counted");
    return count;
}

static void cut(enum batch_format format, struct bytes raw, uint32_t count, uint32_t from, uint32_t to,
                struct buf *out)
{
    buf_init(out, 1 << 24);
    expect(split_write(format, raw, count, from, to, out) == 0, "a counted message cannot be cut");
}

static void same_record(enum batch_format format, struct bytes a, uint32_t a_count, uint32_t i,
                        struct bytes b, uint32_t b_count, uint32_t k)
{
    struct buf one, other;
    cut(format, a, a_count, i, i + 1, &one);
    cut(format, b, b_count, k, k + 1, &other);
    uint32_t records = count_of(format, &one);
    expect(records == 1 && count_of(format, &other) == 1, "one record is not one");
    if (format == FORMAT_REMOTE_WRITE_1) {
        struct split_sample x, y;
        int err = split_samples(buf_bytes(&one), &x, 1);
        expect(err == split_samples(buf_bytes(&other), &y, 1), "samples differ in error");
        expect(err < 0 || (x.series == y.series && x.time_ms == y.time_ms), "samples differ");
    }
    buf_fini(&one);
    buf_fini(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    enum batch_format format = (enum batch_format)(data[0] % 8);
    struct bytes raw = {data + 2, size - 2};
    uint32_t count;
    if (split_count(format, raw, &count) < 0)
        return 0;
    uint32_t at = count ? data[1] % (count + 1) : 0;
    struct buf left, right;
    cut(format, raw, count, 0, at, &left);
    cut(format, raw, count, at, count, &right);
    expect(count_of(format, &left) == at, "the left half has another count");
    expect(count_of(format, &right) == count - at, "the right half has another count");
    for (uint32_t i = 0; i < count && i < 16; i++) {
        if (i < at)
            same_record(format, raw, count, i, buf_bytes(&left), at, i);
        else
            same_record(format, raw, count, i, buf_bytes(&right), count - at, i - at);
    }
    buf_fini(&left);
    buf_fini(&right);
    return 0;
}
