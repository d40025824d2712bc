/* Many threads at one buffer: appends and settlements from several mailboxes, readers beside the writer.
 * Meant for ThreadSanitizer as much as for its assertions. */
#include "tests/unit/buffer_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

enum { APPENDERS = 3, APPENDS = 150, IN_FLIGHT = 8 };

struct shared {
    struct fixture *f;
    _Atomic int committed, commits_told;
};

struct appender {
    struct shared *shared;
    struct mailbox box;
    int wake_fd, in_flight, number;
};

struct thread_append {
    struct buffer_append append;
    struct appender *appender;
};

static void wake(void *ctx)
{
    uint64_t one = 1;
    struct appender *a = ctx;
    assert_int_equal(write(a->wake_fd, &one, sizeof one), sizeof one);
}

static void on_committed(struct letter *letter)
{
    struct thread_append *a = (struct thread_append *)letter;
    assert_int_equal(a->append.outcome, BUFFER_COMMITTED);
    assert_true(buffer_newest(a->appender->shared->f->buffer, buffer_slot(a->append.batch->origin)) >=
                a->append.row_id);
    atomic_fetch_add(&a->appender->shared->committed, 1);
    a->appender->in_flight--;
    batch_free(a->append.batch);
    free(a);
}

static void append_one(struct appender *appender, uint64_t seq)
{
    char origin[32];
    snprintf(origin, sizeof origin, "node-%d", appender->number);
    struct thread_append *a = calloc(1, sizeof *a);
    a->appender = appender;
    a->append = (struct buffer_append){.letter.open = on_committed,
                                       .reply_to = &appender->box,
                                       .batch = fixture_batch(origin, 1, seq, 20000)};
    appender->in_flight++;
    buffer_append(appender->shared->f->buffer, &a->append);
}

static void *run_appender(void *ctx)
{
    struct appender *a = ctx;
    uint64_t seq = 0;
    while (seq < APPENDS || a->in_flight) {
        while (seq < APPENDS && a->in_flight < IN_FLIGHT)
            append_one(a, ++seq);
        struct pollfd fd = {a->wake_fd, POLLIN, 0};
        uint64_t count;
        assert_int_equal(poll(&fd, 1, 30000), 1);
        assert_int_equal(read(a->wake_fd, &count, sizeof count), sizeof count);
        mailbox_drain(&a->box);
    }
    return NULL;
}

/* Reads every row once, in order, while they come. */
static void *run_reader(void *ctx)
{
    struct shared *shared = ctx;
    struct buffer_reader *reader;
    struct buffer_row row = {0};
    struct buffer_state s;
    struct buffer_ledger ledger;
    struct buf payload;
    int seen = 0;
    buf_init(&payload, 1 << 20);
    assert_int_equal(buffer_reader_open(shared->f->buffer, "one", &reader), 0);
    while (seen < APPENDERS * APPENDS) {
        int err = buffer_reader_next(reader, -1, row.id, &row);
        buffer_get_state(shared->f->buffer, &s);
        if (err == -ENOENT) {
            usleep(500);
            continue;
        }
        assert_int_equal(err, 0);
        buf_clear(&payload);
        assert_int_equal(buffer_reader_payload(reader, row.id, &payload), 0);
        assert_int_equal(buffer_reader_ledger(reader, &ledger), 0);
        assert_int_equal(fixture_imbalance(&ledger), 0);
        seen++;
    }
    buffer_reader_close(reader);
    buf_fini(&payload);
    return NULL;
}

static void on_commit(void *ctx)
{
    struct shared *shared = ctx;
    atomic_fetch_add(&shared->commits_told, 1);
}

static void test_buffer_serves_appenders_and_readers_at_once(void **state)
{
    (void)state;
    struct fixture f;
    struct shared shared = {.f = &f};
    struct appender appenders[APPENDERS];
    pthread_t threads[APPENDERS], readers[2];
    fixture_setup(&f, 1);
    buffer_on_commit(f.buffer, on_commit, &shared);
    for (int i = 0; i < 2; i++)
        pthread_create(&readers[i], NULL, run_reader, &shared);
    for (int i = 0; i < APPENDERS; i++) {
        appenders[i] = (struct appender){.shared = &shared, .wake_fd = eventfd(0, EFD_CLOEXEC), .number = i};
        mailbox_init(&appenders[i].box, wake, &appenders[i]);
        pthread_create(&threads[i], NULL, run_appender, &appenders[i]);
    }
    for (int i = 0; i < APPENDERS; i++) {
        pthread_join(threads[i], NULL);
        mailbox_fini(&appenders[i].box);
        close(appenders[i].wake_fd);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    struct buffer_state s;
    buffer_get_state(f.buffer, &s);
    assert_int_equal(atomic_load(&shared.committed), APPENDERS * APPENDS);
    assert_int_equal(s.committed_batches, APPENDERS * APPENDS);
    assert_true(s.commits < APPENDERS * APPENDS); /* groups */
    assert_true(atomic_load(&shared.commits_told) > 0);
    fixture_fini(&f);
}

/* What is queued when the buffer closes is committed first, and everybody is answered. */
static void test_buffer_close_commits_what_is_queued(void **state)
{
    (void)state;
    struct fixture f;
    struct fixture_append appends[40];
    fixture_setup(&f, 1);
    for (uint64_t i = 0; i < 40; i++) {
        appends[i] = (struct fixture_append){.append = {.letter.open = fixture_on_append,
                                                        .reply_to = &f.box,
                                                        .batch = fixture_batch("node", 1, i + 1, 5000)}};
        buffer_append(f.buffer, &appends[i].append);
    }
    fixture_close(&f);
    mailbox_drain(&f.box);
    for (int i = 0; i < 40; i++) {
        assert_true(appends[i].is_done);
        assert_int_equal(appends[i].append.outcome, BUFFER_COMMITTED);
        batch_free(appends[i].append.batch);
    }
    fixture_reopen(&f);
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM batch"), 40);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffer_serves_appenders_and_readers_at_once),
        cmocka_unit_test(test_buffer_close_commits_what_is_queued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
