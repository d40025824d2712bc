/* What the buffer claims to survive, provoked: kill -9, damaged bytes, files of other versions, no space. */
#include "tests/unit/buffer_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

/* ---- kill -9 */

enum { CHILD_APPENDS = 8 };

struct child {
    struct fixture *f;
    int told_fd; /* acknowledged seqs go here */
    uint64_t next_seq;
    int in_flight;
};

struct child_append {
    struct buffer_append append;
    struct child *child;
};

static void child_acknowledge(struct letter *letter)
{
    struct child_append *a = (struct child_append *)letter;
    uint64_t seq = a->append.batch->seq;
    if (a->append.outcome == BUFFER_COMMITTED && write(a->child->told_fd, &seq, sizeof seq) != sizeof seq)
        _exit(1);
    a->child->in_flight--;
    batch_free(a->append.batch);
    free(a);
}

static void child_append(struct child *child)
{
    struct child_append *a = calloc(1, sizeof *a);
    uint64_t seq = child->next_seq++;
    a->child = child;
    a->append = (struct buffer_append){.letter.open = child_acknowledge,
                                       .reply_to = &child->f->box,
                                       .batch = fixture_batch("node", 1, seq, 1000 + seq * 7919 % 200000)};
    child->in_flight++;
    buffer_append(child->f->buffer, &a->append);
}

/* Appends for ever. */
static void child_run(struct fixture *f, int told_fd, uint64_t first_seq)
{
    struct child child = {.f = f, .told_fd = told_fd, .next_seq = first_seq};
    fixture_reopen(f);
    for (;;) {
        while (child.in_flight < CHILD_APPENDS)
            child_append(&child);
        int before = child.in_flight;
        while (child.in_flight == before) {
            bool never = false;
            struct pollfd fd = {f->wake_fd, POLLIN, 0};
            uint64_t count;
            (void)never;
            if (poll(&fd, 1, 30000) != 1 || read(f->wake_fd, &count, sizeof count) != sizeof count)
                _exit(1);
            mailbox_drain(&f->box);
        }
    }
}

/* Every row is whole, numbered once, and `acknowledged` are all there. Returns the highest seq. */
static uint64_t check_rows(struct fixture *f, const bool *acknowledged, uint64_t most)
{
    struct buffer_reader *reader;
    struct buffer_row row = {0};
    struct buf payload;
    bool *seen = calloc(most, sizeof *seen);
    uint64_t highest = 0;
    buf_init(&payload, 1 << 20);
    assert_int_equal(buffer_reader_open(f->buffer, "one", &reader), 0);
    while (buffer_reader_next(reader, -1, row.id, &row) == 0) {
        buf_clear(&payload);
        assert_int_equal(buffer_reader_payload(reader, row.id, &payload), 0);
        struct batch *expected = fixture_batch("node", 1, row.seq, row.payload_bytes);
        assert_true(bytes_equal(buf_bytes(&payload), expected->payload));
        batch_free(expected);
        assert_true(row.seq < most && !seen[row.seq]);
        seen[row.seq] = true;
        highest = row.seq > highest ? row.seq : highest;
    }
    for (uint64_t seq = 0; seq < most; seq++)
        assert_true(!acknowledged[seq] || seen[seq]);
    buffer_reader_close(reader);
    buf_fini(&payload);
    free(seen);
    return highest;
}

static uint64_t kill_child_once(struct fixture *f, bool *acknowledged, uint64_t most, uint64_t first_seq,
                                unsigned acks_before)
{
    int told[2];
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(told[0]);
        child_run(f, told[1], first_seq);
    }
    close(told[1]);
    uint64_t seq;
    unsigned count = 0;
    bool is_killed = false;
    while (read(told[0], &seq, sizeof seq) == sizeof seq) {
        assert_true(seq < most);
        acknowledged[seq] = true;
        if (++count >= acks_before && !is_killed) {
            assert_int_equal(kill(pid, SIGKILL), 0);
            is_killed = true;
        }
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(told[0]);
    fixture_reopen(f);
    assert_int_equal(f->errors.len, 0);
    uint64_t highest = check_rows(f, acknowledged, most);
    assert_int_equal(fixture_query(f, "SELECT count(*) FROM number"), 1);
    struct buffer_ledger ledger = fixture_ledger(f, "one");
    assert_int_equal(fixture_imbalance(&ledger), 0);
    fixture_close(f);
    return highest;
}

static void test_buffer_keeps_what_was_acknowledged_through_kill_9(void **state)
{
    (void)state;
    enum { MOST = 1000000 };
    const char *asked = getenv("TRIBUTARY_KILLS"); /* more of them by hand */
    int kills = asked ? atoi(asked) : 8;
    struct fixture f;
    fixture_init(&f, 1);
    f.options.quota_bytes = INT64_C(64)
                            << 30; /* nothing is delivered: a full one would acknowledge nothing more */
    bool *acknowledged = calloc(MOST, sizeof *acknowledged);
    unsigned seed = (unsigned)clock_wall_ns();
    print_message("seed %u\n", seed);
    uint64_t highest = 0;
    for (int i = 0; i < kills; i++)
        highest = kill_child_once(&f, acknowledged, MOST, highest + 1,
                                  1 + (unsigned)rand_r(&seed) % (asked ? 50 : 200));
    print_message("%llu batches over %d kills\n", (unsigned long long)highest, kills);
    free(acknowledged);
    fixture_fini(&f);
}

/* ---- damage */

/* Flips one byte of the file where `needle` stands. */
static void flip(const char *path, struct bytes needle)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    off_t size = lseek(fd, 0, SEEK_END);
    uint8_t *all = malloc((size_t)size);
    assert_int_equal(pread(fd, all, (size_t)size, 0), size);
    uint8_t *at = memmem(all, (size_t)size, needle.ptr, needle.len);
    assert_non_null(at);
    uint8_t flipped = *at ^ 0x10;
    assert_int_equal(pwrite(fd, &flipped, 1, at - all), 1);
    free(all);
    close(fd);
}

static void test_buffer_flipped_byte_costs_that_row_only(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 1);
    for (uint64_t seq = 1; seq <= 3; seq++)
        fixture_append_batch(&f, fixture_batch("node", 1, seq, 100000));
    fixture_close(&f);
    struct batch *second = fixture_batch("node", 1, 2, 100000);
    flip(f.path, (struct bytes){second->payload.ptr + 50000, 64});
    batch_free(second);
    fixture_reopen(&f);
    struct buffer_reader *reader;
    struct buffer_row row = {0};
    struct buffer_state s;
    struct buf payload;
    buf_init(&payload, 1 << 20);
    assert_int_equal(buffer_reader_open(f.buffer, "one", &reader), 0);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        assert_int_equal(buffer_reader_next(reader, -1, row.id, &row), 0);
        assert_int_equal(row.seq, seq);
        assert_int_equal(buffer_reader_payload(reader, row.id, &payload), seq == 2 ? -EBADMSG : 0);
    }
    assert_int_equal(payload.len, 200000); /* nothing of the damaged one */
    buffer_get_state(f.buffer, &s);
    assert_int_equal(s.damaged_rows, 1);
    buffer_reader_close(reader);
    buf_fini(&payload);
    fixture_fini(&f);
}

static bool has_file_like(const char *folder, const char *part)
{
    char command[256];
    snprintf(command, sizeof command, "ls '%s' | grep -q '%s'", folder, part);
    return system(command) == 0;
}

static void check_moved_aside(struct fixture *f, const char *part)
{
    char old_id[64];
    snprintf(old_id, sizeof old_id, "%s", f->buffer ? buffer_id(f->buffer) : "");
    fixture_reopen(f);
    assert_true(f->errors.len > 0);
    assert_non_null(memmem(f->errors.ptr, f->errors.len, part, strlen(part)));
    assert_true(has_file_like(f->folder, part));
    assert_int_equal(fixture_append(f, "node", 1, 1).outcome, BUFFER_COMMITTED);
    assert_int_equal(fixture_query(f, "SELECT count(*) FROM batch"), 1);
}

static void test_buffer_moves_a_newer_version_aside(void **state)
{
    (void)state;
    struct fixture f;
    char id[64];
    fixture_setup(&f, 1);
    snprintf(id, sizeof id, "%s", buffer_id(f.buffer));
    fixture_append(&f, "node", 1, 1);
    fixture_close(&f);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(f.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    check_moved_aside(&f, "logs.db.version-99-");
    assert_string_not_equal(buffer_id(f.buffer), id);
    fixture_fini(&f);
}

static void test_buffer_moves_a_damaged_file_aside(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    FILE *file = fopen(f.path, "we");
    for (int i = 0; i < 100000; i++)
        fputs("this is no database ", file);
    fclose(file);
    check_moved_aside(&f, "logs.db.damaged-");
    fixture_fini(&f);
}

static void test_buffer_moves_a_file_with_a_missing_table_aside(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 1);
    fixture_close(&f);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(f.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "DROP TABLE number", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    check_moved_aside(&f, "logs.db.damaged-");
    fixture_fini(&f);
}

static void test_buffer_is_used_by_one_process_only(void **state)
{
    (void)state;
    struct fixture f;
    struct buffer *second;
    fixture_setup(&f, 1);
    assert_int_equal(buffer_open(&f.options, &second, &f.errors), -EWOULDBLOCK);
    assert_true(f.errors.len > 0);
    fixture_fini(&f);
}

/* ---- space
 * -------------------------------------------------------------------------------------------------------------
 */

static int64_t folder_bytes(struct fixture *f)
{
    struct buffer_state s;
    buffer_get_state(f->buffer, &s);
    return s.file_bytes + s.wal_bytes;
}

static uint64_t fill(struct fixture *f, uint64_t seq, size_t bytes)
{
    while (fixture_append_batch(f, fixture_batch("node", 1, seq, bytes)).outcome == BUFFER_COMMITTED) {
        assert_true(folder_bytes(f) <= f->options.quota_bytes);
        seq++;
    }
    return seq;
}

static void test_buffer_full_pushes_back_and_still_settles(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    f.options.quota_bytes = 32 << 20;
    f.options.retention_ms = INT64_C(24) * 3600 * 1000;
    fixture_reopen(&f);
    uint64_t seq = fill(&f, 1, 300000);
    assert_true(seq > 60); /* 18 MB of 32 at least are of use */
    struct buffer_state s;
    buffer_get_state(f.buffer, &s);
    assert_int_equal(s.full_answers, 1);
    assert_true(s.can_commit); /* full is a state, not a failure */
    struct buffer_ledger ledger = fixture_ledger(&f, "one");
    assert_int_equal(fixture_imbalance(&ledger), 0);
    assert_int_equal(ledger.buffered, (seq - 1) * 10);
    fixture_deliver(&f, "one", buffer_slot("node"), buffer_newest(f.buffer, buffer_slot("node")),
                    ledger.buffered);
    /* what is delivered goes first, whatever the retention */
    for (uint64_t i = 0; i < 100; i++) {
        struct buffer_append a = fixture_append_batch(&f, fixture_batch("node", 1, seq + i, 300000));
        assert_int_equal(a.outcome, BUFFER_COMMITTED);
        fixture_deliver(&f, "one", buffer_slot("node"), a.row_id, 10);
        assert_true(folder_bytes(&f) <= f.options.quota_bytes);
    }
    ledger = fixture_ledger(&f, "one");
    assert_int_equal(fixture_imbalance(&ledger), 0);
    assert_int_equal(ledger.by_cause[BUFFER_DROPPED], 0);
    fixture_fini(&f);
}

static void test_buffer_full_drops_the_oldest_when_told_so(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 2);
    f.options.quota_bytes = 32 << 20;
    f.options.when_full = BUFFER_DROP_OLDEST;
    fixture_reopen(&f);
    for (uint64_t seq = 1; seq <= 300; seq++) {
        assert_int_equal(fixture_append_batch(&f, fixture_batch("node", 1, seq, 300000)).outcome,
                         BUFFER_COMMITTED);
        assert_true(folder_bytes(&f) <= f.options.quota_bytes);
    }
    struct buffer_ledger one = fixture_ledger(&f, "one"), two = fixture_ledger(&f, "two");
    assert_int_equal(one.accepted, 3000);
    assert_true(one.by_cause[BUFFER_DROPPED] > 2000);
    assert_int_equal(one.by_cause[BUFFER_DROPPED], two.by_cause[BUFFER_DROPPED]);
    assert_int_equal(fixture_imbalance(&one), 0);
    assert_int_equal(fixture_imbalance(&two), 0);
    assert_int_equal(fixture_query(&f, "SELECT max(seq) - min(seq) + 1 - count(*) FROM batch"), 0);
    assert_int_equal(fixture_query(&f, "SELECT max(seq) FROM batch"), 300);
    /* a batch larger than the quota empties nothing */
    assert_int_equal(fixture_append_batch(&f, fixture_batch("node", 1, 301, 40 << 20)).outcome, BUFFER_FULL);
    assert_int_equal(fixture_query(&f, "SELECT max(seq) FROM batch"), 300);
    fixture_fini(&f);
}

/* What the runway is worked out from. */
static void test_buffer_is_full_when_about_its_room_is_held(void **state)
{
    (void)state;
    static const size_t around[] = {16000, 60000, 300000};
    for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
        struct fixture f;
        struct buffer_state space;
        fixture_init(&f, 1);
        f.options.quota_bytes = 16 << 20;
        fixture_reopen(&f);
        uint64_t seq = 1;
        for (size_t len = around[i];
             fixture_append_batch(&f, fixture_batch("node", 1, seq, len)).outcome == BUFFER_COMMITTED;)
            len = around[i] / 2 + ++seq * 7919 % around[i];
        buffer_get_state(f.buffer, &space);
        struct buffer_ledger ledger = fixture_ledger(&f, "one");
        int64_t held = buffer_held_bytes(ledger.lag_rows, ledger.lag_bytes);
        print_message("around %zu bytes: %lld of %lld\n", around[i], (long long)held,
                      (long long)space.room_bytes);
        assert_in_range(held, space.room_bytes * 2 / 3, space.room_bytes * 4 / 3);
        fixture_fini(&f);
    }
    assert_int_equal(buffer_held_bytes(0, 0), 0);
}

static void test_buffer_on_a_full_volume_goes_on_when_there_is_room_again(void **state)
{
    (void)state;
    struct fixture f;
    char command[256], ballast[128];
    fixture_init(&f, 1);
    snprintf(command, sizeof command, "mount -t tmpfs -o size=24m tmpfs '%s' 2>/dev/null", f.folder);
    if (system(command) != 0) {
        print_message("skipped: cannot mount a tmpfs here\n");
        fixture_fini(&f);
        skip();
    }
    f.options.quota_bytes = 1 << 30; /* the volume has 24 MiB, and something else takes a part of them */
    fixture_reopen(&f);
    snprintf(ballast, sizeof ballast, "%s/ballast", f.folder);
    int fd = open(ballast, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(posix_fallocate(fd, 0, 8 << 20), 0);
    close(fd);
    uint64_t seq = 1;
    while (fixture_append_batch(&f, fixture_batch("node", 1, seq, 300000)).outcome == BUFFER_COMMITTED)
        seq++;
    struct buffer_state s;
    buffer_get_state(f.buffer, &s);
    assert_true(s.quota_bytes < 24 << 20);
    assert_false(s.can_commit);
    assert_int_equal(s.last_error, -ENOSPC);
    assert_int_equal(unlink(ballast), 0);
    while (fixture_append_batch(&f, fixture_batch("node", 1, seq, 300000)).outcome != BUFFER_COMMITTED)
        ; /* bounded by the test's timeout: a volume with room again must do */
    buffer_get_state(f.buffer, &s);
    assert_true(s.can_commit);
    struct buffer_ledger ledger = fixture_ledger(&f, "one");
    assert_int_equal(ledger.buffered, seq * 10);
    assert_int_equal(fixture_imbalance(&ledger), 0);
    fixture_close(&f);
    fixture_reopen(&f);
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM batch"), (int64_t)seq);
    fixture_close(&f);
    snprintf(command, sizeof command, "umount '%s'", f.folder);
    assert_int_equal(system(command), 0);
    fixture_fini(&f);
}

static void test_buffer_pushes_back_and_names_a_reader_that_stays(void **state)
{
    (void)state;
    struct fixture f;
    struct buffer_state s;
    int ready[2], leave[2];
    fixture_init(&f, 1);
    f.options.quota_bytes = 64 << 20; /* a WAL of 16 MiB at most */
    fixture_reopen(&f);
    fixture_append(&f, "node", 1, 1);
    assert_int_equal(pipe(ready) | pipe(leave), 0);
    pid_t pid = fork();
    if (pid == 0) { /* another process in a read transaction, like a forgotten sqlite3 shell */
        sqlite3 *db;
        char c = 0;
        if (sqlite3_open(f.path, &db) != SQLITE_OK ||
            sqlite3_exec(db, "BEGIN; SELECT count(*) FROM batch", NULL, NULL, NULL) != SQLITE_OK ||
            write(ready[1], &c, 1) != 1 || read(leave[0], &c, 1) != 1)
            _exit(1);
        _exit(0);
    }
    char c = 0;
    assert_int_equal(read(ready[0], &c, 1), 1);
    uint64_t seq = 2;
    while (fixture_append_batch(&f, fixture_batch("node", 1, seq, 300000)).outcome == BUFFER_COMMITTED) {
        seq++;
        assert_true(folder_bytes(&f) < 40 << 20);
    }
    char expected[64];
    snprintf(expected, sizeof expected, "pid %d (", (int)pid);
    do
        buffer_get_state(f.buffer, &s);
    while (!s.wal_reader[0] && usleep(10000) == 0);
    assert_non_null(strstr(s.wal_reader, expected));
    assert_int_equal(write(leave[1], &c, 1), 1);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    while (fixture_append_batch(&f, fixture_batch("node", 1, seq, 300000)).outcome != BUFFER_COMMITTED)
        usleep(10000);
    fixture_fini(&f);
}

/* Nobody settles anything and nothing can be removed: the WAL alone must not lock the buffer up. */
static void test_buffer_fills_its_quota_through_a_small_wal(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    f.options.quota_bytes = 16 << 20;
    fixture_reopen(&f);
    int64_t bytes = 0;
    for (uint64_t seq = 1; bytes < 11 << 20; seq++) {
        int64_t began = clock_mono_ns();
        while (fixture_append_batch(&f, fixture_batch("node", 1, seq, 900000)).outcome != BUFFER_COMMITTED)
            assert_true(clock_mono_ns() - began < INT64_C(5000000000));
        bytes += 900000;
    }
    fixture_fini(&f);
}

static void test_buffer_shrinks_when_nearly_empty(void **state)
{
    (void)state;
    struct fixture f;
    struct buffer_state s;
    fixture_init(&f, 1);
    f.options.retention_ms = 0;
    fixture_reopen(&f);
    for (uint64_t seq = 1; seq <= 100; seq++)
        fixture_append_batch(&f, fixture_batch("node", 1, seq, 1000000));
    fixture_close(&f);
    fixture_reopen(&f);
    buffer_get_state(f.buffer, &s);
    assert_true(s.file_bytes > 90 << 20);
    fixture_deliver(&f, "one", buffer_slot("node"), buffer_newest(f.buffer, buffer_slot("node")), 1000);
    int64_t pages;
    do
        pages = fixture_query(&f, "PRAGMA page_count");
    while (pages * 16384 > 80 << 20 && usleep(50000) == 0);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffer_keeps_what_was_acknowledged_through_kill_9),
        cmocka_unit_test(test_buffer_flipped_byte_costs_that_row_only),
        cmocka_unit_test(test_buffer_moves_a_newer_version_aside),
        cmocka_unit_test(test_buffer_moves_a_damaged_file_aside),
        cmocka_unit_test(test_buffer_moves_a_file_with_a_missing_table_aside),
        cmocka_unit_test(test_buffer_is_used_by_one_process_only),
        cmocka_unit_test(test_buffer_full_pushes_back_and_still_settles),
        cmocka_unit_test(test_buffer_full_drops_the_oldest_when_told_so),
        cmocka_unit_test(test_buffer_is_full_when_about_its_room_is_held),
        cmocka_unit_test(test_buffer_on_a_full_volume_goes_on_when_there_is_room_again),
        cmocka_unit_test(test_buffer_pushes_back_and_names_a_reader_that_stays),
        cmocka_unit_test(test_buffer_fills_its_quota_through_a_small_wal),
        cmocka_unit_test(test_buffer_shrinks_when_nearly_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
