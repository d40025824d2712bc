/* Attributes of senders that an agent did not know. */
#include <errno.h>

#include "gateway/intake/enrich.h"

#include "base/crc32c.h"
#include "base/otlp/otlp_walk.h"
#include "tests/unit/records_fixture.h"
#include "tests/unit/unit.h"

/* Knows 10.0.0.7. */
static struct bytes find(const struct pods *pods, const char *host)
{
    static uint8_t bytes[64];
    struct buf attributes;
    (void)pods;
    if (strcmp(host, "10.0.0.7") != 0)
        return (struct bytes){0};
    buf_init(&attributes, sizeof bytes);
    assert_int_equal(otlp_put_attribute(&attributes, "k8s.pod.name", "seven"), 0);
    size_t len = attributes.len;
    memcpy(bytes, attributes.ptr, len);
    buf_fini(&attributes);
    return (struct bytes){bytes, len};
}

static struct buf make_trace(const char *service)
{
    struct buf b;
    buf_init(&b, 4096);
    put_trace(&b, service, "buy", INT64_C(1700000000000000000));
    return b;
}

static struct batch *make_batch(const struct buf *requests, size_t count)
{
    struct batch *batch = batch_new("node");
    struct buf raw, block;
    size_t len;
    buf_init(&raw, 65536);
    buf_init(&block, 65536);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(buf_append(&raw, requests[i].ptr, requests[i].len), 0);
    assert_int_equal(snap_compress(buf_bytes(&raw), &block), 0);
    batch->raw_bytes = raw.len;
    uint8_t *bytes = buf_detach(&block, &len);
    batch_take_payload(batch, bytes, len);
    buf_fini(&raw);
    return batch;
}

static struct buf raw_of(const struct batch *batch)
{
    struct buf raw;
    buf_init(&raw, 65536);
    assert_int_equal(snap_uncompress(batch->payload, &raw), 0);
    assert_int_equal(raw.len, batch->raw_bytes);
    assert_int_equal(batch->crc, crc32c(batch->payload));
    return raw;
}

static void test_enrich_changes_the_runs_of_known_senders_only(void **state)
{
    (void)state;
    struct buf requests[3] = {make_trace("a"), make_trace("b"), make_trace("c")}, expected;
    struct batch *batch = make_batch(requests, 3);
    size_t first = requests[0].len, second = first + requests[1].len;
    uint64_t bytes = 0;
    assert_int_equal(batch_add_sender(batch, "10.0.0.6", 0, first), 0);
    assert_int_equal(batch_add_sender(batch, "10.0.0.7", first, second), 0);
    assert_int_equal(enrich_batch(batch, find, NULL, &bytes), 0);
    assert_int_equal(bytes, requests[1].len);
    buf_init(&expected, 65536);
    assert_int_equal(buf_append(&expected, requests[0].ptr, requests[0].len), 0);
    assert_int_equal(otlp_add_resource_attributes(buf_bytes(&requests[1]), find(NULL, "10.0.0.7"), &expected),
                     0);
    assert_int_equal(buf_append(&expected, requests[2].ptr, requests[2].len), 0);
    struct buf raw = raw_of(batch);
    assert_true(bytes_equal(buf_bytes(&raw), buf_bytes(&expected)));
    for (int i = 0; i < 3; i++)
        buf_fini(&requests[i]);
    buf_fini(&raw), buf_fini(&expected);
    batch_free(batch);
}

static void test_enrich_leaves_a_batch_of_strangers_alone(void **state)
{
    (void)state;
    struct buf request = make_trace("a");
    struct batch *batch = make_batch(&request, 1);
    const uint8_t *payload = batch->payload.ptr;
    uint64_t bytes = 0;
    assert_int_equal(batch_add_sender(batch, "10.0.0.6", 0, request.len), 0);
    assert_int_equal(enrich_batch(batch, find, NULL, &bytes), 0);
    assert_ptr_equal(batch->payload.ptr, payload);
    assert_int_equal(bytes, 0);
    buf_fini(&request);
    batch_free(batch);
}

static void test_enrich_leaves_runs_that_are_no_requests(void **state)
{
    (void)state;
    struct buf request = make_trace("a");
    struct batch *batch = make_batch(&request, 1);
    uint64_t bytes = 0;
    assert_int_equal(batch_add_sender(batch, "10.0.0.7", 1, request.len - 1), 0);
    assert_int_equal(enrich_batch(batch, find, NULL, &bytes), 0);
    struct buf raw = raw_of(batch);
    assert_true(bytes_equal(buf_bytes(&raw), buf_bytes(&request)));
    batch->senders[0].end = request.len + 1;
    assert_int_equal(enrich_batch(batch, find, NULL, &bytes), -EBADMSG);
    buf_fini(&request), buf_fini(&raw);
    batch_free(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enrich_changes_the_runs_of_known_senders_only),
        cmocka_unit_test(test_enrich_leaves_a_batch_of_strangers_alone),
        cmocka_unit_test(test_enrich_leaves_runs_that_are_no_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
