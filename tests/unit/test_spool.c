/* A spooled batch keeps its number, and a gateway is told whose it is before it gets it. Real buffers, real
 * files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/loop.h"
#include "node-agent/ship/spool_file.h"
#include "tests/unit/unit.h"

struct world {
    struct loop loop;
    struct spool_file file;
    char folder[64];
    int appended;
    enum buffer_outcome outcome;
};

static void ignore(void *ctx)
{
    (void)ctx;
}

static void open_file(struct world *w, int64_t quota)
{
    struct buf errors;
    buf_init(&errors, 4096);
    assert_int_equal(spool_file_open(&w->file, w->folder, TELEMETRY_TRACES, quota, &w->loop.mailbox, &errors),
                     0);
    buf_fini(&errors);
}

static void setup(struct world *w)
{
    *w = (struct world){0};
    strcpy(w->folder, "/tmp/test_spool.XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    assert_int_equal(loop_init(&w->loop, (struct loop_callbacks){ignore, ignore, w}), 0);
    open_file(w, 64 << 20);
}

static void teardown(struct world *w)
{
    static const char *const names[] = {"traces.db", "traces.db-wal", "traces.db-shm", "traces.lock"};
    char path[128];
    spool_file_close(&w->file);
    mailbox_drain(&w->loop.mailbox);
    loop_end(&w->loop);
    loop_run(&w->loop);
    loop_fini(&w->loop);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", w->folder, names[i]);
        unlink(path);
    }
    rmdir(w->folder);
}

static void on_appended(void *ctx, struct batch *batch, enum buffer_outcome outcome)
{
    struct world *w = ctx;
    w->appended++;
    w->outcome = outcome;
    batch_free(batch);
}

static struct batch *make_batch(uint64_t boot, uint64_t seq, size_t len)
{
    struct batch *batch = batch_new("node-a");
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    memset(bytes, (int)seq, len);
    batch_take_payload(batch, bytes, len);
    batch->signal = TELEMETRY_TRACES;
    batch->format = FORMAT_OTLP_TRACES;
    batch->boot = (struct boot){boot, (int64_t)boot};
    batch->seq = seq;
    batch->records = seq;
    batch->raw_bytes = len;
    batch->earliest_ns = batch->latest_ns = 1;
    return batch;
}

static enum buffer_outcome put(struct world *w, uint64_t boot, uint64_t seq, size_t len)
{
    int before = w->appended;
    spool_file_append(&w->file, make_batch(boot, seq, len), on_appended, w);
    while (w->appended == before)
        uv_run(&w->loop.uv, UV_RUN_ONCE);
    return w->outcome;
}

static void assert_next(struct world *w, uint64_t boot, uint64_t seq)
{
    struct batch *batch;
    assert_int_equal(spool_file_next(&w->file, &batch), 0);
    assert_int_equal(batch->boot.id, boot);
    assert_int_equal(batch->boot.started_ns, boot);
    assert_int_equal(batch->seq, seq);
    assert_int_equal(batch->records, seq);
    assert_int_equal(batch->format, FORMAT_OTLP_TRACES);
    assert_int_equal(batch->payload.ptr[0], seq);
    assert_true(spool_file_is_out(&w->file, batch));
    batch_free(batch);
}

static void reopen(struct world *w)
{
    spool_file_close(&w->file);
    mailbox_drain(&w->loop.mailbox);
    open_file(w, 64 << 20);
}

static void test_batches_come_out_oldest_first_with_their_numbers(void **state)
{
    (void)state;
    struct world w;
    struct batch *batch;
    setup(&w);
    assert_int_equal(spool_file_next(&w.file, &batch), -ENOENT);
    assert_int_equal(put(&w, 7, 3, 100), BUFFER_COMMITTED);
    assert_int_equal(put(&w, 9, 1, 100), BUFFER_COMMITTED);
    assert_int_equal(put(&w, 7, 3, 100), BUFFER_REPEATED);
    reopen(&w);
    assert_int_equal(put(&w, 8, 2, 100), BUFFER_COMMITTED);
    assert_next(&w, 7, 3);
    spool_file_settle(&w.file, BUFFER_DELIVERED);
    assert_next(&w, 9, 1);
    spool_file_settle(&w.file, BUFFER_REFUSED);
    assert_next(&w, 8, 2);
    spool_file_settle(&w.file, BUFFER_DELIVERED);
    assert_int_equal(spool_file_next(&w.file, &batch), -ENOENT);
    teardown(&w);
}

static void test_senders_that_the_agent_does_not_know_come_out_too(void **state)
{
    (void)state;
    struct world w;
    struct batch *in = make_batch(7, 1, 100), *out;
    setup(&w);
    assert_int_equal(batch_add_sender(in, "10.0.0.7", 0, 40), 0);
    assert_int_equal(batch_add_sender(in, "fd00::7", 60, 100), 0);
    spool_file_append(&w.file, in, on_appended, &w);
    while (!w.appended)
        uv_run(&w.loop.uv, UV_RUN_ONCE);
    assert_int_equal(put(&w, 7, 2, 100), BUFFER_COMMITTED); /* whose sender is known */
    reopen(&w);
    assert_int_equal(spool_file_next(&w.file, &out), 0);
    assert_int_equal(out->sender_count, 2);
    assert_int_equal(out->source_count, 0);
    assert_string_equal(out->senders[0].host, "10.0.0.7");
    assert_int_equal(out->senders[0].begin, 0);
    assert_int_equal(out->senders[0].end, 40);
    assert_string_equal(out->senders[1].host, "fd00::7");
    assert_int_equal(out->senders[1].begin, 60);
    assert_int_equal(out->senders[1].end, 100);
    batch_free(out);
    spool_file_settle(&w.file, BUFFER_DELIVERED);
    assert_int_equal(spool_file_next(&w.file, &out), 0);
    assert_int_equal(out->sender_count, 0);
    batch_free(out);
    spool_file_settle(&w.file, BUFFER_DELIVERED);
    teardown(&w);
}

static void test_what_was_not_settled_is_there_again_after_a_restart(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    put(&w, 7, 1, 100);
    put(&w, 7, 2, 100);
    assert_next(&w, 7, 1);
    spool_file_settle(&w.file, BUFFER_DELIVERED);
    assert_next(&w, 7, 2);
    reopen(&w);
    assert_next(&w, 7, 2);
    spool_file_settle(&w.file, BUFFER_DELIVERED);
    teardown(&w);
}

static void test_a_full_spool_of_traces_takes_no_more_and_keeps_what_it_has(void **state)
{
    (void)state;
    struct world w;
    uint64_t kept = 0;
    setup(&w);
    spool_file_close(&w.file);
    open_file(&w, 8 << 20);
    while (kept < 100 && put(&w, 7, kept + 1, 1 << 20) == BUFFER_COMMITTED)
        kept++;
    assert_in_range(kept, 1, 8);
    assert_int_equal(w.outcome, BUFFER_FULL);
    for (uint64_t seq = 1; seq <= kept; seq++) {
        assert_next(&w, 7, seq);
        spool_file_settle(&w.file, BUFFER_DELIVERED);
    }
    teardown(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches_come_out_oldest_first_with_their_numbers),
        cmocka_unit_test(test_senders_that_the_agent_does_not_know_come_out_too),
        cmocka_unit_test(test_what_was_not_settled_is_there_again_after_a_restart),
        cmocka_unit_test(test_a_full_spool_of_traces_takes_no_more_and_keeps_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
