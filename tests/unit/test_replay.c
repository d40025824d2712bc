/* What a replay asks for and what it leaves out. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/pb.h"
#include "gateway/ask/replay_pick.h"
#include "gateway/ask/replay_window.h"
#include "gateway/fanout/split.h"

#define SECOND INT64_C(1000000000)

static struct bytes text(const char *s)
{
    return bytes_of_string(s);
}

static void test_window_of_prometheus_is_told_by_its_config_and_its_newest_sample(void **state)
{
    (void)state;
    struct replay_window window;
    const char *tsdb = "{\"data\":{\"headStats\":{\"maxTime\":100000000}}}";
    const char *config = "{\"data\":{\"yaml\":\"storage:\\n  tsdb:\\n    out_of_order_time_window: 2h\\n\"}}";
    assert_int_equal(replay_window_of_prometheus(text(config), text(tsdb), &window), 0);
    assert_int_equal(window.refused_before_ns, 100000 * SECOND - 7200 * SECOND);
    assert_int_equal(window.doubtful_before_ns, window.refused_before_ns);
    assert_int_equal(window.histograms_before_ns, 100000 * SECOND);
    assert_int_equal(
        replay_window_of_prometheus(text("{\"data\":{\"yaml\":\"global: {}\"}}"), text(tsdb), &window), 0);
    assert_int_equal(window.refused_before_ns, 100000 * SECOND - 3600 * SECOND);
    assert_int_equal(window.doubtful_before_ns, 100000 * SECOND);
    assert_int_equal(replay_window_of_prometheus(text("<html>"), text(tsdb), &window), -EBADMSG);
}

static void test_window_of_loki_is_half_a_chunk_and_the_oldest_age(void **state)
{
    (void)state;
    struct replay_window window;
    const char *config = "ingester:\n  max_chunk_age: 2h0m0s\nlimits_config:\n  reject_old_samples: true\n"
                         "  reject_old_samples_max_age: 1w\n";
    assert_int_equal(replay_window_of_loki(text(config), 2000000 * SECOND, &window), 0);
    assert_int_equal(window.doubtful_before_ns, 2000000 * SECOND - 3600 * SECOND);
    assert_int_equal(window.refused_before_ns, 2000000 * SECOND - 604800 * SECOND);
    assert_int_equal(
        replay_window_of_loki(text("max_chunk_age: 2h\nreject_old_samples: false\n"), 0, &window), 0);
    assert_true(window.refused_before_ns == INT64_MIN && window.histograms_before_ns == INT64_MIN);
    assert_int_equal(replay_window_of_loki(text("nothing"), 0, &window), -EBADMSG);
}

/* A stream with a line at each second of [from, to). */
static void put_stream(struct buf *raw, const char *labels, int from, int to)
{
    struct buf stream, entry, time;
    buf_init(&stream, 4096);
    buf_init(&entry, 4096);
    buf_init(&time, 4096);
    assert_int_equal(pb_put_string(&stream, 1, labels), 0);
    for (int second = from; second < to; second++) {
        buf_clear(&entry);
        buf_clear(&time);
        assert_int_equal(pb_put_varint(&time, 1, (uint64_t)second), 0);
        assert_int_equal(pb_put_bytes(&entry, 1, buf_bytes(&time)), 0);
        assert_int_equal(pb_put_string(&entry, 2, "a line"), 0);
        assert_int_equal(pb_put_bytes(&stream, 2, buf_bytes(&entry)), 0);
    }
    assert_int_equal(pb_put_bytes(raw, 1, buf_bytes(&stream)), 0);
    buf_fini(&stream);
    buf_fini(&entry);
    buf_fini(&time);
}

struct seen {
    int count;
    int64_t first_ns, last_ns;
};

static int see(void *ctx, const struct record *record)
{
    struct seen *seen = ctx;
    seen->first_ns = seen->count++ ? seen->first_ns : record->time_ns;
    seen->last_ns = record->time_ns;
    return 0;
}

static void test_pick_takes_the_span_and_the_match_and_leaves_out_what_is_too_old(void **state)
{
    (void)state;
    struct buf raw, out;
    struct replay_picked picked;
    struct seen seen = {0};
    struct replay_ask ask = {.from_ns = 10 * SECOND,
                             .to_ns = 30 * SECOND,
                             .matches = {{text("pod"), text("a")}},
                             .match_count = 1,
                             .refused_before_ns = 13 * SECOND,
                             .doubtful_before_ns = 20 * SECOND};
    buf_init(&raw, 1 << 20);
    buf_init(&out, 1 << 20);
    put_stream(&raw, "{pod=\"a\"}", 0, 25);
    put_stream(&raw, "{pod=\"b\"}", 0, 25);
    put_stream(&raw, "{pod=\"a\"}", 25, 40);
    assert_int_equal(replay_pick(&ask, FORMAT_LOKI_PUSH, buf_bytes(&raw), &picked), 0);
    assert_int_equal(picked.count, 65);
    assert_int_equal(picked.taken, 18); /* 13 to 30 */
    assert_int_equal(picked.left_out, 3);
    assert_int_equal(picked.doubtful, 7);
    assert_int_equal(replay_pick_write(&picked, FORMAT_LOKI_PUSH, buf_bytes(&raw), &out), 0);
    assert_int_equal(records_each(FORMAT_LOKI_PUSH, buf_bytes(&out), see, &seen), 0);
    assert_int_equal(seen.count, 18);
    assert_int_equal(seen.first_ns, 13 * SECOND);
    assert_int_equal(seen.last_ns, 30 * SECOND);
    replay_picked_fini(&picked);
    buf_fini(&raw);
    buf_fini(&out);
}

/* A series with a sample (field 2) and a native histogram (4) at each of two seconds: prompb/types.proto. */
static void put_series(struct buf *raw, uint64_t first_ms, uint64_t second_ms)
{
    struct buf series, point;
    buf_init(&series, 4096);
    buf_init(&point, 4096);
    for (int i = 0; i < 2; i++) {
        uint64_t ms = i ? second_ms : first_ms;
        assert_int_equal(pb_put_varint(&point, 2, ms), 0);
        assert_int_equal(pb_put_bytes(&series, 2, buf_bytes(&point)), 0);
        buf_clear(&point);
        assert_int_equal(pb_put_varint(&point, 15, ms), 0);
        assert_int_equal(pb_put_bytes(&series, 4, buf_bytes(&point)), 0);
        buf_clear(&point);
    }
    assert_int_equal(pb_put_bytes(raw, 1, buf_bytes(&series)), 0);
    buf_fini(&series);
    buf_fini(&point);
}

static void test_pick_counts_native_histograms_that_have_no_window(void **state)
{
    (void)state;
    struct buf raw;
    struct replay_picked picked;
    struct replay_ask ask = {.to_ns = 100 * SECOND,
                             .refused_before_ns = INT64_MIN,
                             .doubtful_before_ns = 10 * SECOND,
                             .histograms_before_ns = 30 * SECOND};
    buf_init(&raw, 4096);
    put_series(&raw, 5000, 20000);
    put_series(&raw, 29000, 30000);
    assert_int_equal(replay_pick(&ask, FORMAT_REMOTE_WRITE_1, buf_bytes(&raw), &picked), 0);
    assert_int_equal(picked.taken, 8);
    assert_int_equal(picked.doubtful, 2);
    assert_int_equal(picked.histograms, 2); /* at 20 and 29 s */
    replay_picked_fini(&picked);
    buf_fini(&raw);
}

static void test_streams_of_equal_labels_stand_beside_each_other_in_their_order(void **state)
{
    (void)state;
    struct buf raw, one;
    struct replay_stream *streams;
    size_t count;
    buf_init(&raw, 1 << 20);
    put_stream(&raw, "{pod=\"a\"}", 0, 1);
    put_stream(&raw, "{pod=\"b\"}", 0, 1);
    put_stream(&raw, "{pod=\"a\"}", 1, 2);
    assert_int_equal(replay_streams(buf_bytes(&raw), &streams, &count), 0);
    assert_int_equal(count, 3);
    size_t first = streams[0].order == 1 ? 1 : 0; /* where the two of "a" begin */
    assert_true(streams[first].hash == streams[first + 1].hash);
    assert_int_equal(streams[first].order, 0);
    assert_int_equal(streams[first + 1].order, 2);
    assert_int_equal(replay_streams_same(streams + first, count - first), 2);
    buf_init(&one, 1 << 20);
    assert_int_equal(replay_streams_write(streams + first, 2, &one), 0);
    free(streams);
    struct bytes rest = buf_bytes(&one);
    struct pb_field field;
    assert_true(pb_next(&rest, &field) == 1 && rest.len == 0); /* one stream, with the lines of both */
    uint32_t lines = 0;
    assert_int_equal(split_count(FORMAT_LOKI_PUSH, buf_bytes(&one), &lines), 0);
    assert_int_equal(lines, 2);
    buf_fini(&one);
    assert_int_equal(replay_streams(text("\x0a\xff"), &streams, &count), -EBADMSG);
    buf_fini(&raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_of_prometheus_is_told_by_its_config_and_its_newest_sample),
        cmocka_unit_test(test_window_of_loki_is_half_a_chunk_and_the_oldest_age),
        cmocka_unit_test(test_pick_takes_the_span_and_the_match_and_leaves_out_what_is_too_old),
        cmocka_unit_test(test_pick_counts_native_histograms_that_have_no_window),
        cmocka_unit_test(test_streams_of_equal_labels_stand_beside_each_other_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
