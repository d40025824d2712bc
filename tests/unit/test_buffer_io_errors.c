/* A disk that fails: EIO and ENOSPC at every Nth write and sync, at each single one, and for good; the
 * process is then killed. What was acknowledged is there, whole, when the buffer is opened again on a disk
 * that works. */
#include "tests/unit/buffer_fixture.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/preload/disk_calls.h"

enum { BATCHES = 48, BATCH_BYTES = 70000, QUOTA = 64 << 20 };

/* ---- the failing disk */

static atomic_int failing_errno; /* 0: the disk works */
static atomic_int every, once;   /* every Nth call fails; the Nth fails and no other */
static atomic_int calls;

static bool fails(int fd)
{
    struct stat st;
    int error = atomic_load(&failing_errno);
    if (!error || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    int call = atomic_fetch_add(&calls, 1) + 1;
    bool is_hit = atomic_load(&once) ? call == atomic_load(&once) : call % atomic_load(&every) == 0;
    if (is_hit)
        errno = error;
    return is_hit;
}

struct fault {
    int error, every, once;
};

static void break_disk(struct fault fault)
{
    atomic_store(&calls, 0);
    atomic_store(&every, fault.every ? fault.every : 1);
    atomic_store(&once, fault.once);
    atomic_store(&failing_errno, fault.error);
}

/* ---- the process that is killed */

struct told { /* shared with the child */
    bool acknowledged[BATCHES + 1];
    int calls;
};

static int64_t append(struct fixture *f, uint64_t seq, struct told *told)
{
    struct buffer_append a = fixture_append_batch(f, fixture_batch("node", 1, seq, BATCH_BYTES));
    told->acknowledged[seq] = a.outcome == BUFFER_COMMITTED || a.outcome == BUFFER_REPEATED;
    return a.outcome == BUFFER_COMMITTED ? a.row_id : 0;
}

static void run_child(struct fixture *f, struct fault fault, struct told *told)
{
    fixture_reopen(f);
    break_disk(fault);
    uint64_t owed = 0;
    for (uint64_t seq = 1; seq <= BATCHES; seq++) {
        int64_t row = append(f, seq, told);
        owed += row ? 10 : 0;
        struct buffer_moved moved = {buffer_slot("node"), row};
        struct buffer_settlement s = {
            .backend = "one", .moved = &moved, .moved_count = 1, .counts = {[BUFFER_DELIVERED] = owed}};
        if (row && seq % 5 == 0 && fixture_settle(f, s) == 0)
            owed = 0;
    }
    told->calls = atomic_load(&calls);
    kill(getpid(), SIGKILL);
}

static size_t check_rows(struct fixture *f, const struct told *told)
{
    struct buffer_reader *reader;
    struct buffer_row row = {0};
    struct buf payload;
    bool seen[BATCHES + 1] = {false};
    size_t acknowledged = 0;
    buf_init(&payload, 1 << 20);
    assert_int_equal(buffer_reader_open(f->buffer, "one", &reader), 0);
    while (buffer_reader_next(reader, -1, row.id, &row) == 0) {
        buf_clear(&payload);
        assert_int_equal(buffer_reader_payload(reader, row.id, &payload), 0);
        struct batch *expected = fixture_batch("node", 1, row.seq, BATCH_BYTES);
        assert_true(bytes_equal(buf_bytes(&payload), expected->payload));
        batch_free(expected);
        assert_true(row.seq <= BATCHES && !seen[row.seq]);
        seen[row.seq] = true;
    }
    for (int seq = 1; seq <= BATCHES; seq++) {
        assert_true(!told->acknowledged[seq] || seen[seq]);
        acknowledged += told->acknowledged[seq];
    }
    buffer_reader_close(reader);
    buf_fini(&payload);
    return acknowledged;
}

/* Returns how many were acknowledged in spite of the fault. */
static size_t survive(struct fault fault, int *ret_calls)
{
    struct fixture f;
    int status;
    struct told *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    fixture_init(&f, 1);
    f.options.quota_bytes = QUOTA;
    pid_t pid = fork();
    if (pid == 0)
        run_child(&f, fault, told);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    fixture_reopen(&f);
    assert_int_equal(f.errors.len, 0);
    assert_int_equal(
        fixture_query(&f, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
    size_t acknowledged = check_rows(&f, told);
    struct buffer_ledger ledger = fixture_ledger(&f, "one");
    assert_int_equal(fixture_imbalance(&ledger), 0);
    assert_int_equal(fixture_append(&f, "other", 1, 1).outcome, BUFFER_COMMITTED);
    fixture_fini(&f);
    *ret_calls = told->calls;
    munmap(told, sizeof *told);
    return acknowledged;
}

/* ---- claims */

static void test_buffer_loses_nothing_when_every_nth_call_fails(void **state)
{
    (void)state;
    static const int errors[] = {EIO, ENOSPC}, steps[] = {2, 3, 4, 5, 7, 11, 16, 29, 53, 101};
    for (size_t e = 0; e < 2; e++) {
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            int seen;
            size_t acknowledged = survive((struct fault){errors[e], steps[i], 0}, &seen);
            print_message("%s at every %dth of %d calls: %zu of %d acknowledged\n",
                          strerrorname_np(errors[e]), steps[i], seen, acknowledged, BATCHES);
            assert_true(steps[i] < 16 || acknowledged > 0);
        }
    }
}

static void test_buffer_loses_nothing_when_one_call_fails(void **state)
{
    (void)state;
    int seen, most = 0;
    assert_int_equal(survive((struct fault){EIO, 0, 1 << 30}, &most), BATCHES);
    assert_true(most > BATCHES); /* they were counted */
    for (int nth = 1; nth <= most; nth += nth < 20 ? 1 : most / 24) {
        size_t acknowledged = survive((struct fault){nth % 2 ? EIO : ENOSPC, 0, nth}, &seen);
        assert_true(acknowledged >= BATCHES - 2);
    }
}

static int resume(struct fixture *f)
{
    struct buffer_resume resume = fixture_resume(f, "node", 1, NULL);
    fixture_free_ends(&resume);
    return resume.error;
}

static void test_buffer_says_so_on_a_dead_disk(void **state)
{
    (void)state;
    struct fixture f;
    struct buffer_state buffer;
    fixture_setup(&f, 1);
    assert_int_equal(fixture_append(&f, "node", 1, 1).outcome, BUFFER_COMMITTED);
    break_disk((struct fault){EIO, 1, 0});
    assert_int_equal(fixture_append(&f, "node", 1, 2).outcome, BUFFER_FAILED);
    buffer_get_state(f.buffer, &buffer);
    assert_false(buffer.can_commit);
    assert_int_equal(resume(&f), -EIO); /* though it reads only: who comes now would leave again */
    buffer_get_state(f.buffer, &buffer);
    assert_false(buffer.can_commit);
    break_disk((struct fault){0});
    assert_int_equal(resume(&f), 0);
    assert_int_equal(fixture_append(&f, "node", 1, 2).outcome, BUFFER_COMMITTED);
    buffer_get_state(f.buffer, &buffer);
    assert_true(buffer.can_commit);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffer_loses_nothing_when_every_nth_call_fails),
        cmocka_unit_test(test_buffer_loses_nothing_when_one_call_fails),
        cmocka_unit_test(test_buffer_says_so_on_a_dead_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
