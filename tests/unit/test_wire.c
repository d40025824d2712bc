/* Frames: what goes in comes out; what is not ours is refused. */
#include "tests/unit/unit.h"

#include <errno.h>

#include "base/pb.h"
#include "proto/assignment.h"
#include "proto/wire.h"

static struct buf frame_of(const struct batch *batch)
{
    struct buf frame;
    buf_init(&frame, 1 << 20);
    assert_int_equal(wire_encode_batch_head(batch, &frame), 0);
    assert_int_equal(buf_append(&frame, batch->payload.ptr, batch->payload.len), 0);
    return frame;
}

static struct batch *some_batch(void)
{
    struct batch *b = batch_new("node-ä");
    uint8_t *payload = malloc(5);
    memcpy(payload,
           "\x04\x0c"
           "abc",
           5);
    batch_take_payload(b, payload, 5);
    b->boot = (struct boot){0xfedcba9876543210u, 1700000000123456789};
    b->signal = TELEMETRY_LOGS;
    b->format = FORMAT_LOKI_PUSH;
    b->seq = 1ull << 40;
    b->records = 3;
    b->raw_bytes = 4;
    b->largest_stream_bytes = 2;
    b->earliest_ns = -5;
    b->latest_ns = 1700000000123456789;
    b->sent_at_ns = 1700000000223456789;
    b->acknowledged_seq = 77;
    b->handed_over = true;
    assert_int_equal(batch_add_source(b, "ns_pod/0.log:12", 10, 20), 0);
    assert_int_equal(batch_add_source(b, "ns_pod/1.log:13", 0, 0), 0);
    assert_int_equal(batch_add_owed(b, "loki"), 0);
    assert_int_equal(batch_add_sender(b, "10.0.0.7", 0, 1), 0);
    assert_int_equal(batch_add_sender(b, "10.0.0.7", 1, 2), 0);
    assert_int_equal(batch_add_sender(b, "fd00::7", 2, 4), 0);
    assert_int_equal(batch_add_sender(b, "10.0.0.8", 3, 4), -EINVAL);
    return b;
}

static void test_batch_comes_back_whole_and_its_payload_is_not_copied(void **state)
{
    (void)state;
    struct batch *in = some_batch(), *out;
    struct buf frame = frame_of(in);
    assert_int_equal(wire_decode_batch(buf_bytes(&frame), &out), 0);
    assert_string_equal(out->origin, in->origin);
    assert_int_equal(boot_compare(out->boot, in->boot), 0);
    assert_int_equal(out->signal, in->signal);
    assert_int_equal(out->format, in->format);
    assert_true(out->seq == in->seq && out->records == 3 && out->raw_bytes == 4);
    assert_true(out->largest_stream_bytes == 2 && out->earliest_ns == -5 && out->latest_ns == in->latest_ns);
    assert_true(out->sent_at_ns == in->sent_at_ns && out->acknowledged_seq == 77 && out->handed_over);
    assert_int_equal(out->source_count, 2);
    assert_string_equal(out->sources[0].file, "ns_pod/0.log:12");
    assert_true(out->sources[0].begin == 10 && out->sources[0].end == 20);
    assert_int_equal(out->owed_count, 1);
    assert_string_equal(out->owed[0], "loki");
    assert_int_equal(out->sender_count, 2);
    assert_string_equal(out->senders[0].host, "10.0.0.7");
    assert_true(out->senders[0].begin == 0 && out->senders[0].end == 2);
    assert_string_equal(out->senders[1].host, "fd00::7");
    assert_true(bytes_equal(out->payload, in->payload));
    assert_ptr_equal(out->payload.ptr, frame.ptr + frame.len - 5);
    batch_free(out);
    batch_free(in);
    buf_fini(&frame);
}

static void test_batch_with_unknown_fields_is_read(void **state)
{
    (void)state;
    struct batch *in = some_batch(), *out;
    struct buf frame, longer;
    buf_init(&frame, 4096);
    buf_init(&longer, 4096);
    assert_int_equal(wire_encode_batch_head(in, &frame), 0);
    assert_int_equal(buf_append(&longer, frame.ptr, WIRE_HEAD), 0);
    assert_int_equal(pb_put_string(&longer, 77, "of a later version"), 0);
    assert_int_equal(buf_append(&longer, frame.ptr + WIRE_HEAD, frame.len - WIRE_HEAD), 0);
    assert_int_equal(buf_append(&longer, in->payload.ptr, in->payload.len), 0);
    assert_int_equal(wire_decode_batch(buf_bytes(&longer), &out), 0);
    assert_true(bytes_equal(out->payload, in->payload));
    batch_free(out);
    batch_free(in);
    buf_fini(&frame);
    buf_fini(&longer);
}

static void test_every_flipped_bit_of_the_payload_is_found(void **state)
{
    (void)state;
    struct batch *in = some_batch(), *out = NULL;
    struct buf frame = frame_of(in);
    for (size_t bit = 0; bit < 5 * 8; bit++) {
        uint8_t *at = frame.ptr + frame.len - 5 + bit / 8;
        *at ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(wire_decode_batch(buf_bytes(&frame), &out), -EILSEQ);
        *at ^= (uint8_t)(1u << bit % 8);
    }
    batch_free(in);
    buf_fini(&frame);
}

static void test_every_shortened_batch_is_refused(void **state)
{
    (void)state;
    struct batch *in = some_batch(), *out = NULL;
    struct buf frame = frame_of(in);
    for (size_t len = 0; len < frame.len; len++)
        assert_true(wire_decode_batch((struct bytes){frame.ptr, len}, &out) < 0);
    assert_null(out);
    batch_free(in);
    buf_fini(&frame);
}

static int decode_changed(void (*change)(struct batch *batch))
{
    struct batch *in = some_batch(), *out = NULL;
    change(in);
    struct buf frame = frame_of(in);
    int err = wire_decode_batch(buf_bytes(&frame), &out);
    batch_free(out);
    batch_free(in);
    buf_fini(&frame);
    return err;
}

static void no_number(struct batch *b)
{
    b->seq = 0;
}
static void format_of_metrics(struct batch *b)
{
    b->format = FORMAT_REMOTE_WRITE_1;
}
static void signal_out_of_range(struct batch *b)
{
    b->signal = (enum telemetry)7;
}
static void no_origin(struct batch *b)
{
    b->origin[0] = '\0';
}
static void origin_with_a_line_end(struct batch *b)
{
    b->origin[2] = '\n';
}
static void origin_cut_inside_a_character(struct batch *b)
{
    b->origin[strlen(b->origin) - 1] = '\0';
}
static void source_ends_before_it_begins(struct batch *b)
{
    b->sources[0].end = 3;
}
static void nothing(struct batch *b)
{
    (void)b;
}

static void sender_ends_behind_the_payload(struct batch *b)
{
    b->senders[1].end = 5;
}

static void senders_overlap(struct batch *b)
{
    b->senders[1].begin = 1;
}

static void test_values_out_of_range_are_refused(void **state)
{
    (void)state;
    assert_int_equal(decode_changed(nothing), 0);
    assert_int_equal(decode_changed(no_number), -EINVAL);
    assert_int_equal(decode_changed(format_of_metrics), -EINVAL);
    assert_int_equal(decode_changed(signal_out_of_range), -EINVAL);
    assert_int_equal(decode_changed(no_origin), -EINVAL);
    assert_int_equal(decode_changed(origin_with_a_line_end), -EINVAL);
    assert_int_equal(decode_changed(origin_cut_inside_a_character), -EINVAL);
    assert_int_equal(decode_changed(source_ends_before_it_begins), -EINVAL);
    assert_int_equal(decode_changed(sender_ends_behind_the_payload), -EINVAL);
    assert_int_equal(decode_changed(senders_overlap), -EINVAL);
}

/* A frame whose message is count times the same field. */
static int decode_repeated(const char *field, size_t len, size_t count)
{
    struct buf frame;
    struct batch *out;
    buf_init(&frame, 16 << 20);
    assert_int_equal(buf_append(&frame, "TB\x01\x01", 4), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(buf_append(&frame, field, len), 0);
    assert_int_equal(pb_put_bytes(&frame, 100, bytes_of_string("x")), 0);
    int err = wire_decode_batch(buf_bytes(&frame), &out);
    buf_fini(&frame);
    return err;
}

static void test_a_message_of_empty_elements_is_not_unpacked(void **state)
{
    (void)state;
    assert_int_equal(decode_repeated("\x6a\x00", 2, 1 << 20), -EBADMSG);     /* sources */
    assert_int_equal(decode_repeated("\x9a\x01\x00", 3, 1 << 20), -EBADMSG); /* senders */
    assert_int_equal(decode_repeated("\xb0\x06\x01", 3, 1 << 20), -EBADMSG); /* a field not known */
    assert_int_equal(decode_repeated("\x6a\x00", 2, 6 << 20), -E2BIG);
}

static void test_groups_and_other_versions_are_refused(void **state)
{
    (void)state;
    enum wire_kind kind;
    struct batch *out;
    assert_int_equal(decode_repeated("\x0b\x0c", 2, 1), -EBADMSG);
    assert_int_equal(wire_kind_of(bytes_of_string("TB\x02\x01"), &kind), -EPROTONOSUPPORT);
    assert_int_equal(wire_kind_of(bytes_of_string("TB\x01\x09"), &kind), -EBADMSG);
    assert_int_equal(wire_kind_of(bytes_of_string("GET / HTTP/1.1"), &kind), -EBADMSG);
    assert_int_equal(wire_decode_batch(bytes_of_string("TB\x01\x02"), &out), -EBADMSG);
}

static void test_too_many_sources_are_refused(void **state)
{
    (void)state;
    struct batch *in = some_batch(), *out;
    while (in->source_count < BATCH_MAX_SOURCES)
        assert_int_equal(batch_add_source(in, "f", 0, 1), 0);
    struct buf frame = frame_of(in), longer;
    assert_int_equal(wire_decode_batch(buf_bytes(&frame), &out), 0);
    batch_free(out);
    buf_init(&longer, 1 << 20);
    assert_int_equal(buf_append(&longer, frame.ptr, WIRE_HEAD), 0);
    assert_int_equal(buf_append(&longer, "\x6a\x03\x0a\x01g", 5), 0);
    assert_int_equal(buf_append(&longer, frame.ptr + WIRE_HEAD, frame.len - WIRE_HEAD), 0);
    assert_int_equal(wire_decode_batch(buf_bytes(&longer), &out), -E2BIG);
    batch_free(in);
    buf_fini(&frame);
    buf_fini(&longer);
}

static void test_reply_comes_back_whole(void **state)
{
    (void)state;
    struct wire_reply in = {.answer = WIRE_DRAINING,
                            .retry_after_ms = 5,
                            .delivered_seq = 9,
                            .holds_undelivered = true,
                            .assignment_version = 12,
                            .missing_seqs = 3,
                            .repeated = true,
                            .cannot_commit = true,
                            .reason = "why",
                            .next_buffer_id = "next",
                            .buffer_id = "this"},
                      out;
    struct buf frame;
    buf_init(&frame, 4096);
    assert_int_equal(wire_encode_reply(&in, &frame), 0);
    assert_int_equal(wire_decode_reply(buf_bytes(&frame), &out), 0);
    assert_true(out.answer == in.answer && out.retry_after_ms == 5 && out.delivered_seq == 9 &&
                out.holds_undelivered);
    assert_true(out.assignment_version == 12 && out.missing_seqs == 3 && out.repeated && out.cannot_commit);
    assert_string_equal(out.reason, "why");
    assert_string_equal(out.next_buffer_id, "next");
    assert_string_equal(out.buffer_id, "this");
    buf_fini(&frame);
}

static void test_a_long_reason_is_cut_between_characters_and_a_long_buffer_id_refused(void **state)
{
    (void)state;
    struct wire_reply out;
    struct buf frame, reason;
    buf_init(&frame, 8192);
    buf_init(&reason, 8192);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buf_append_string(&reason, "ä"), 0);
    assert_int_equal(buf_append(&frame, "TB\x01\x81", 4), 0);
    assert_int_equal(pb_put_bytes(&frame, 3, buf_bytes(&reason)), 0);
    assert_int_equal(wire_decode_reply(buf_bytes(&frame), &out), 0);
    assert_int_equal(strlen(out.reason), WIRE_MAX_TEXT - 2);
    assert_int_equal(pb_put_bytes(&frame, 5, buf_bytes(&reason)), 0);
    assert_int_equal(wire_decode_reply(buf_bytes(&frame), &out), -E2BIG);
    buf_fini(&frame);
    buf_fini(&reason);
}

static void test_an_answer_of_a_later_version_is_unknown(void **state)
{
    (void)state;
    struct wire_reply out;
    assert_int_equal(wire_decode_reply((struct bytes){(const uint8_t *)"TB\x01\x81\x08\x63", 6}, &out), 0);
    assert_int_equal(out.answer, WIRE_UNKNOWN);
}

static void test_resume_and_its_reply_come_back_whole(void **state)
{
    (void)state;
    struct wire_resume in = {.origin = "n",
                             .boot = {4, 5},
                             .signal = TELEMETRY_TRACES,
                             .buffer_id = "b",
                             .is_only_gateway = true},
                       out;
    struct wire_end ends[] = {{(char *)"f1", 100}, {(char *)"f2", UINT64_MAX}};
    struct wire_resume_reply reply = {.answer = WIRE_COMMITTED,
                                      .buffer_id = "b2",
                                      .next_buffer_id = "b3",
                                      .ends = ends,
                                      .end_count = 2,
                                      .delivered_seq = 8,
                                      .cannot_commit = true,
                                      .assignment_version = 1},
                             back;
    struct buf frame;
    buf_init(&frame, 4096);
    assert_int_equal(wire_encode_resume(&in, &frame), 0);
    assert_int_equal(wire_decode_resume(buf_bytes(&frame), &out), 0);
    assert_string_equal(out.origin, "n");
    assert_string_equal(out.buffer_id, "b");
    assert_true(out.is_only_gateway && out.signal == TELEMETRY_TRACES &&
                boot_compare(out.boot, in.boot) == 0);
    buf_clear(&frame);
    assert_int_equal(wire_encode_resume_reply(&reply, &frame), 0);
    assert_int_equal(wire_decode_resume_reply(buf_bytes(&frame), &back), 0);
    assert_int_equal(back.end_count, 2);
    assert_string_equal(back.ends[1].file, "f2");
    assert_true(back.ends[1].end == UINT64_MAX && back.delivered_seq == 8 && back.cannot_commit);
    assert_string_equal(back.next_buffer_id, "b3");
    wire_resume_reply_fini(&back);
    buf_fini(&frame);
}

static void test_assignment_comes_back_whole(void **state)
{
    (void)state;
    char *ips[] = {(char *)"10.0.0.1", (char *)"fd00::1"};
    struct assignment_label labels[] = {{(char *)"app", (char *)"web"}, {(char *)"tier", (char *)""}};
    struct assignment_container containers[] = {{(char *)"main", (char *)"img:1", (char *)"abc"}};
    struct assignment_pod pod = {.namespace = (char *)"ns",
                                 .name = (char *)"p",
                                 .uid = (char *)"u",
                                 .node = (char *)"n",
                                 .owner_kind = (char *)"ReplicaSet",
                                 .owner_name = (char *)"rs",
                                 .deployment = (char *)"d",
                                 .phase = (char *)"Running",
                                 .ips = ips,
                                 .ip_count = 2,
                                 .labels = labels,
                                 .label_count = 2,
                                 .annotations = labels,
                                 .annotation_count = 1,
                                 .containers = containers,
                                 .container_count = 1};
    struct assignment_target target = {.job = (char *)"j",
                                       .scheme = (char *)"http",
                                       .address = (char *)"10.0.0.1:80",
                                       .path = (char *)"/m",
                                       .interval_ms = 15000,
                                       .timeout_ms = 10000,
                                       .labels = labels,
                                       .label_count = 2};
    struct assignment in = {.answer = WIRE_COMMITTED,
                            .version = 3,
                            .pods = &pod,
                            .pod_count = 1,
                            .targets = &target,
                            .target_count = 1},
                      out;
    struct buf frame;
    buf_init(&frame, 4096);
    assert_int_equal(assignment_encode(&in, &frame), 0);
    assert_int_equal(assignment_decode(buf_bytes(&frame), &out), 0);
    assert_true(out.version == 3 && out.pod_count == 1 && out.target_count == 1 && !out.unchanged);
    assert_string_equal(out.pods[0].namespace, "ns");
    assert_string_equal(out.pods[0].phase, "Running");
    assert_string_equal(out.pods[0].ips[1], "fd00::1");
    assert_string_equal(out.pods[0].labels[0].value, "web");
    assert_int_equal(out.pods[0].annotation_count, 1);
    assert_string_equal(out.pods[0].containers[0].image, "img:1");
    assert_string_equal(out.targets[0].address, "10.0.0.1:80");
    assert_int_equal(out.targets[0].timeout_ms, 10000);
    assignment_fini(&out);
    buf_fini(&frame);
}

static void test_assignment_request_comes_back_and_needs_an_origin(void **state)
{
    (void)state;
    struct assignment_request in = {.origin = "o", .node = "n", .version = 4}, out;
    struct buf frame;
    buf_init(&frame, 4096);
    assert_int_equal(assignment_encode_request(&in, &frame), 0);
    assert_int_equal(assignment_decode_request(buf_bytes(&frame), &out), 0);
    assert_string_equal(out.origin, "o");
    assert_true(out.version == 4);
    buf_clear(&frame);
    in.origin[0] = '\0';
    assert_int_equal(assignment_encode_request(&in, &frame), 0);
    assert_int_equal(assignment_decode_request(buf_bytes(&frame), &out), -EINVAL);
    buf_fini(&frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_comes_back_whole_and_its_payload_is_not_copied),
        cmocka_unit_test(test_batch_with_unknown_fields_is_read),
        cmocka_unit_test(test_every_flipped_bit_of_the_payload_is_found),
        cmocka_unit_test(test_every_shortened_batch_is_refused),
        cmocka_unit_test(test_values_out_of_range_are_refused),
        cmocka_unit_test(test_a_message_of_empty_elements_is_not_unpacked),
        cmocka_unit_test(test_groups_and_other_versions_are_refused),
        cmocka_unit_test(test_too_many_sources_are_refused),
        cmocka_unit_test(test_reply_comes_back_whole),
        cmocka_unit_test(test_a_long_reason_is_cut_between_characters_and_a_long_buffer_id_refused),
        cmocka_unit_test(test_an_answer_of_a_later_version_is_unknown),
        cmocka_unit_test(test_resume_and_its_reply_come_back_whole),
        cmocka_unit_test(test_assignment_comes_back_whole),
        cmocka_unit_test(test_assignment_request_comes_back_and_needs_an_origin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
