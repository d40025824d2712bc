#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer/buffer_vfs.h"
#include "tests/unit/unit.h"

static char folder[64], path[128];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test_buffer_vfs.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/file.db", folder);
    return 0;
}

static int remove_folder(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    char name[160];
    (void)state;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
    return rmdir(folder);
}

static sqlite3 *open_with(const char *vfs)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "PRAGMA page_size=16384; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                                  "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, b BLOB)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    return db;
}

static int add(sqlite3 *db, int bytes)
{
    char text[96];
    snprintf(text, sizeof text, "INSERT INTO t(b) VALUES(randomblob(%d))", bytes);
    return sqlite3_exec(db, text, NULL, NULL, NULL);
}

static int number_of(sqlite3 *db, const char *text)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int number = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

static bool is_intact(sqlite3 *db)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    bool ok = strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
    sqlite3_finalize(statement);
    return ok;
}

/* Write calls of this process so far. */
static long write_calls(void)
{
    char line[128];
    long calls = -1;
    FILE *io = fopen("/proc/self/io", "re");
    assert_non_null(io);
    while (fgets(line, sizeof line, io))
        sscanf(line, "syscw: %ld", &calls);
    fclose(io);
    assert_true(calls >= 0);
    return calls;
}

static long calls_of_a_large_commit(const char *vfs)
{
    sqlite3 *db = open_with(vfs);
    long before = write_calls();
    assert_int_equal(add(db, 4 << 20), SQLITE_OK);
    assert_int_equal(sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL), SQLITE_OK);
    long calls = write_calls() - before;
    sqlite3_close(db);
    return calls;
}

static void test_writes_that_follow_each_other_are_one_call(void **state)
{
    (void)state;
    long usual = calls_of_a_large_commit(NULL), gathered = calls_of_a_large_commit(buffer_vfs_name());
    assert_true(usual > 3 * 256); /* 256 pages: a frame's head, its page, and the page in the checkpoint */
    assert_true(gathered < usual / 2); /* the checkpoint's pages are a call each as before */
}

static void test_a_usual_reader_sees_every_commit(void **state)
{
    (void)state;
    sqlite3 *writer = open_with(buffer_vfs_name()), *reader = open_with(NULL);
    for (int i = 1; i <= 20; i++) {
        assert_int_equal(add(writer, i % 2 ? 100 : 300000), SQLITE_OK);
        assert_int_equal(number_of(reader, "SELECT count(*) FROM t"), i);
        if (i % 5 == 0)
            assert_int_equal(sqlite3_wal_checkpoint_v2(writer, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL),
                             SQLITE_OK);
    }
    assert_true(is_intact(reader));
    sqlite3_close(reader);
    sqlite3_close(writer);
}

static void test_a_commit_is_on_disk_when_the_process_dies(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        sqlite3 *db = open_with(buffer_vfs_name());
        for (int i = 0; i < 7; i++)
            if (add(db, 200000) != SQLITE_OK)
                _exit(1);
        sqlite3_exec(db, "BEGIN; INSERT INTO t(b) VALUES(randomblob(5000000));", NULL, NULL, NULL);
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    sqlite3 *db = open_with(NULL);
    assert_int_equal(number_of(db, "SELECT count(*) FROM t"), 7);
    assert_true(is_intact(db));
    sqlite3_close(db);
}

/* A file size limit stands for a full disk. */
static void test_a_gathered_write_that_fails_fails_the_commit(void **state)
{
    struct rlimit old, small;
    (void)state;
    sqlite3 *db = open_with(buffer_vfs_name());
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(add(db, 100000), SQLITE_OK);
    small = (struct rlimit){1 << 20, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    int code = add(db, 4 << 20);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_not_equal(code, SQLITE_OK);
    assert_int_equal(number_of(db, "SELECT count(*) FROM t"), 1);
    assert_int_equal(add(db, 4 << 20), SQLITE_OK);
    assert_int_equal(sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL), SQLITE_OK);
    assert_int_equal(number_of(db, "SELECT count(*) FROM t"), 2);
    assert_true(is_intact(db));
    sqlite3_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_writes_that_follow_each_other_are_one_call, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_a_usual_reader_sees_every_commit, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_a_commit_is_on_disk_when_the_process_dies, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_a_gathered_write_that_fails_fails_the_commit, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
