/* Damaged files: a buffer always opens, what can be read comes over, and fsck names what cannot. */
#include "tests/unit/buffer_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/buffer/buffer_check.h"
#include "base/buffer/buffer_schema.h"

enum { ROWS = 60, PAGE = BUFFER_PAGE_SIZE };

/* ROWS batches of two origins, long ones too; the first ten of node-a are delivered to "one". */
static void setup(struct fixture *f)
{
    fixture_setup(f, 2);
    int64_t tenth = 0;
    for (uint64_t seq = 1; seq <= ROWS; seq++) {
        const char *origin = seq % 2 ? "node-a" : "node-b";
        size_t len = seq % 7 == 0 ? 200000 : 5000;
        struct buffer_append a = fixture_append_batch(f, fixture_batch(origin, 1, seq, len));
        assert_int_equal(a.outcome, BUFFER_COMMITTED);
        if (seq == 19)
            tenth = a.row_id;
    }
    fixture_deliver(f, "one", buffer_slot("node-a"), tenth, 100);
    fixture_close(f); /* the WAL is written back */
}

static void overwrite(struct fixture *f, int64_t at, size_t len)
{
    uint8_t junk[PAGE];
    for (size_t i = 0; i < sizeof junk; i++)
        junk[i] = (uint8_t)(i * 31 + 7);
    int fd = open(f->path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, junk, len, (off_t)at), (ssize_t)len);
    close(fd);
}

static bool was_said(const struct fixture *f, const char *text)
{
    return f->errors.len && memmem(f->errors.ptr, f->errors.len, text, strlen(text));
}

static void count_line(void *ctx, const char *line)
{
    struct buf *lines = ctx;
    assert_int_equal(buf_printf(lines, "%s\n", line), 0);
}

static struct buffer_check check(struct fixture *f, struct buf *lines)
{
    struct buffer_check found = {0};
    buf_init(lines, 1 << 20);
    (void)buffer_check_file(f->path, count_line, lines, &found);
    return found;
}

static void test_damage_of_the_first_page_costs_nothing(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    overwrite(&f, 0, PAGE);
    fixture_reopen(&f);
    assert_true(was_said(&f, "moved aside") &&
                was_said(&f, "salvaged 60 batches with 600 records; damaged 0"));
    assert_int_equal(fixture_owed(&f, "one", "node-a"), ROWS / 2 - 10);
    assert_int_equal(fixture_owed(&f, "two", "node-a"), ROWS / 2);
    assert_int_equal(fixture_owed(&f, "one", "node-b"), ROWS / 2);
    struct buffer_ledger ledger = fixture_ledger(&f, "one");
    assert_int_equal(ledger.accepted, 500);
    assert_int_equal(fixture_imbalance(&ledger), 0);
    struct buffer_append again = fixture_append(&f, "node-a", 1, 5);
    assert_int_equal(again.outcome, BUFFER_REPEATED);
    fixture_close(&f);
    fixture_reopen(&f);
    assert_int_equal(f.errors.len, 0);
    assert_int_equal(fixture_owed(&f, "two", "node-b"), ROWS / 2);
    fixture_fini(&f);
}

static void test_fsck_finds_a_whole_file_whole(void **state)
{
    (void)state;
    struct fixture f;
    struct buf lines;
    setup(&f);
    struct buffer_check found = check(&f, &lines);
    assert_int_equal(lines.len, 0);
    assert_true(found.rows == ROWS && found.records == 10 * ROWS);
    assert_int_equal(found.damaged + found.unreadable + found.problems, 0);
    buf_fini(&lines);
    fixture_reopen(&f); /* and while it is in use */
    found = check(&f, &lines);
    assert_true(lines.len == 0 && found.rows == ROWS);
    buf_fini(&lines);
    fixture_fini(&f);
}

/* Where in the file the payload of a long batch is: its last bytes are on an overflow page. */
static int64_t find_payload(struct fixture *f, uint64_t seq)
{
    struct batch *batch = fixture_batch("node-a", 1, seq, 200000);
    uint8_t *file;
    struct stat st;
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    file = malloc((size_t)st.st_size);
    assert_int_equal(pread(fd, file, (size_t)st.st_size, 0), st.st_size);
    const uint8_t *at = memmem(file, (size_t)st.st_size, batch->payload.ptr + 190000, 64);
    assert_non_null(at);
    int64_t where = at - file;
    close(fd);
    free(file);
    batch_free(batch);
    return where;
}

static void test_fsck_names_the_damaged_row(void **state)
{
    (void)state;
    struct fixture f;
    struct buf lines;
    setup(&f);
    overwrite(&f, find_payload(&f, 7), 10);
    struct buffer_check found = check(&f, &lines);
    assert_true(found.rows == ROWS - 1 && found.damaged == 1);
    const char *name = "row 7 is damaged: origin=node-a boot=0000000000000001 seq=7 records=10";
    assert_non_null(memmem(lines.ptr, lines.len, name, strlen(name)));
    buf_fini(&lines);
    fixture_reopen(&f);
    fixture_fini(&f);
}

/* Every row that the buffer still has is whole, or told as damaged when it is read. */
static size_t count_readable(struct fixture *f)
{
    struct buffer_reader *reader;
    struct buffer_row row;
    struct buf payload;
    size_t whole = 0;
    buf_init(&payload, 1 << 20);
    assert_int_equal(buffer_reader_open(f->buffer, NULL, &reader), 0);
    for (int64_t after = 0; buffer_reader_next(reader, -1, after, &row) == 0; after = row.id) {
        buf_clear(&payload);
        whole += buffer_reader_payload(reader, row.id, &payload) == 0;
    }
    buffer_reader_close(reader);
    buf_fini(&payload);
    return whole;
}

static void test_buffer_opens_whichever_page_is_damaged(void **state)
{
    (void)state;
    struct stat st;
    size_t bare = 0;
    int64_t pages = 1;
    for (int64_t page = 0; page < pages; page += page < 40 ? 1 : 17) {
        struct fixture f;
        setup(&f);
        assert_int_equal(stat(f.path, &st), 0);
        pages = st.st_size / PAGE;
        overwrite(&f, page * PAGE, PAGE);
        fixture_reopen(&f);
        size_t whole = count_readable(&f);
        if (whole < ROWS * 3 / 4)
            print_message("page %lld: %zu left, %.*s", (long long)page + 1, whole, (int)f.errors.len,
                          f.errors.len ? (const char *)f.errors.ptr : "\n");
        bare += whole < ROWS * 3 / 4;
        assert_int_equal(fixture_append(&f, "node-c", 1, 1).outcome, BUFFER_COMMITTED);
        fixture_fini(&f);
    }
    assert_true(bare <= 1); /* that of the heads: they all stand on one page */
}

static void test_buffer_opens_when_truncated(void **state)
{
    (void)state;
    for (int64_t keep = 1; keep <= 1 << 20; keep *= 8) {
        struct fixture f;
        setup(&f);
        assert_int_equal(truncate(f.path, (off_t)(keep + 5)), 0);
        fixture_reopen(&f);
        assert_int_equal(fixture_append(&f, "node-c", 1, 1).outcome, BUFFER_COMMITTED);
        fixture_fini(&f);
    }
}

/* ---- anywhere */

enum damage { DAMAGE_BYTES, DAMAGE_PAGE, DAMAGE_CUT, DAMAGE_WAL, DAMAGES };

/* The last 20 rows stand in the WAL only: the writer was killed. */
static void setup_with_wal(struct fixture *f)
{
    int status;
    setup(f);
    pid_t pid = fork();
    if (pid == 0) {
        fixture_reopen(f);
        for (uint64_t seq = ROWS + 1; seq <= ROWS + 20; seq++)
            (void)fixture_append_batch(f, fixture_batch("node-a", 1, seq, 5000));
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void damage_file(const char *path, enum damage damage, unsigned *seed)
{
    struct stat st;
    uint8_t junk[PAGE];
    assert_int_equal(stat(path, &st), 0);
    off_t at =
        (off_t)(((uint64_t)(unsigned)rand_r(seed) << 16 ^ (unsigned)rand_r(seed)) % (uint64_t)st.st_size);
    size_t len = damage == DAMAGE_PAGE ? PAGE : 1 + (size_t)rand_r(seed) % 64;
    if (damage == DAMAGE_PAGE)
        at -= at % PAGE;
    for (size_t i = 0; i < sizeof junk; i++)
        junk[i] = (uint8_t)rand_r(seed);
    if (damage == DAMAGE_CUT) {
        assert_int_equal(truncate(path, at), 0);
        return;
    }
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, junk, len, at), (ssize_t)len);
    close(fd);
}

static void test_buffer_always_opens_wherever_it_is_damaged(void **state)
{
    (void)state;
    const char *asked = getenv("TRIBUTARY_DAMAGED_PLACES"); /* more of them by hand */
    int places = asked ? atoi(asked) : 20;
    unsigned seed = (unsigned)clock_wall_ns();
    size_t whole = 0, bare = 0;
    print_message("seed %u\n", seed);
    for (int i = 0; i < places; i++) {
        struct fixture f;
        char wal[128];
        enum damage damage = (enum damage)(i % DAMAGES);
        setup_with_wal(&f);
        snprintf(wal, sizeof wal, "%s-wal", f.path);
        damage_file(damage == DAMAGE_WAL ? wal : f.path, damage, &seed);
        fixture_reopen(&f);
        size_t left = count_readable(&f);
        assert_true(damage != DAMAGE_WAL || left >= ROWS); /* what is in the file itself is not hurt */
        whole += left == ROWS + 20;
        bare += left < ROWS / 2;
        assert_int_equal(fixture_append(&f, "node-c", 1, 1).outcome, BUFFER_COMMITTED);
        fixture_fini(&f);
    }
    print_message("%d places: %zu times nothing was missing, %zu times more than half\n", places, whole,
                  bare);
}

/* ---- what is no buffer at all */

static void write_at_path(const char *path, const char *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

static void make_strange(struct fixture *f, int kind)
{
    char other[160];
    sqlite3 *db;
    switch (kind) {
    case 0:
        write_at_path(f->path, "", 0);
        return;
    case 1:
        write_at_path(f->path, "x", 1);
        return;
    case 2:
        assert_int_equal(mkdir(f->path, 0750), 0);
        snprintf(other, sizeof other, "%s/inside", f->path);
        write_at_path(other, "x", 1);
        return;
    case 3: /* another program's database */
        assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
        assert_int_equal(
            sqlite3_exec(db, "CREATE TABLE batch(x); INSERT INTO batch VALUES(1)", NULL, NULL, NULL),
            SQLITE_OK);
        sqlite3_close(db);
        return;
    case 4:
        assert_int_equal(symlink(f->path, f->path), 0);
        return;
    default:
        write_at_path(f->path, "SQLite format 3", 16);
    }
}

static void test_buffer_opens_whatever_stands_in_its_place(void **state)
{
    (void)state;
    for (int kind = 0; kind < 6; kind++) {
        struct fixture f;
        fixture_init(&f, 2);
        make_strange(&f, kind);
        fixture_reopen(&f);
        if (kind > 0 && !was_said(&f, "moved aside"))
            fail_msg("kind %d: not said: %.*s", kind, (int)f.errors.len, (char *)f.errors.ptr);
        assert_int_equal(fixture_append(&f, "node-a", 1, 1).outcome, BUFFER_COMMITTED);
        fixture_close(&f);
        fixture_reopen(&f);
        assert_int_equal(f.errors.len, 0);
        assert_int_equal(fixture_owed(&f, "one", "node-a"), 1);
        fixture_fini(&f);
    }
}

/* A WAL whose salts are another database's is not taken. */
static void test_wal_of_another_database_is_left_out(void **state)
{
    (void)state;
    struct fixture f, other;
    char from[160], to[160], bytes[1 << 16];
    setup(&f);
    setup_with_wal(&other);
    snprintf(from, sizeof from, "%s-wal", other.path);
    snprintf(to, sizeof to, "%s-wal", f.path);
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, bytes, sizeof bytes); /* cut in the middle of a transaction as well */
    assert_true(n > PAGE);
    close(fd);
    write_at_path(to, bytes, (size_t)n);
    fixture_reopen(&f);
    assert_true(count_readable(&f) >= ROWS - 5);
    assert_int_equal(fixture_append(&f, "node-c", 1, 1).outcome, BUFFER_COMMITTED);
    fixture_fini(&f);
    fixture_reopen(&other);
    fixture_fini(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damage_of_the_first_page_costs_nothing),
        cmocka_unit_test(test_fsck_finds_a_whole_file_whole),
        cmocka_unit_test(test_fsck_names_the_damaged_row),
        cmocka_unit_test(test_buffer_opens_whichever_page_is_damaged),
        cmocka_unit_test(test_buffer_opens_when_truncated),
        cmocka_unit_test(test_buffer_always_opens_wherever_it_is_damaged),
        cmocka_unit_test(test_buffer_opens_whatever_stands_in_its_place),
        cmocka_unit_test(test_wal_of_another_database_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
