/* Where a backend's cursors stood at which time, and which replays are to be ended. Times are moved in the
 * file while it is closed. */
#include "tests/unit/buffer_fixture.h"

#include "base/buffer/buffer_progress.h"

#define MINUTE BUFFER_PROGRESS_NS

static void run_sql(struct fixture *f, const char *sql)
{
    sqlite3 *db;
    fixture_close(f);
    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    fixture_reopen(f);
}

static int64_t deliver(struct fixture *f, const char *origin, uint64_t seq)
{
    int64_t row = fixture_append(f, origin, 1, seq).row_id;
    fixture_deliver(f, "one", buffer_slot(origin), row, 10);
    return row;
}

static int64_t stood(struct fixture *f, const char *origin, int64_t at_ns)
{
    struct buffer_reader *reader;
    int64_t cursors[BUFFER_SLOTS];
    assert_int_equal(buffer_reader_open(f->buffer, "one", &reader), 0);
    assert_int_equal(buffer_reader_progress(reader, at_ns, cursors), 0);
    buffer_reader_close(reader);
    return cursors[buffer_slot(origin)];
}

static int64_t last(struct fixture *f, int64_t until_ns)
{
    struct buffer_reader *reader;
    int64_t at_ns;
    assert_int_equal(buffer_reader_open(f->buffer, "one", &reader), 0);
    assert_int_equal(buffer_reader_progress_last(reader, until_ns, &at_ns), 0);
    buffer_reader_close(reader);
    return at_ns;
}

static void test_cursors_are_known_to_the_minute(void **state)
{
    (void)state;
    struct fixture f;
    int64_t began_ns = clock_wall_ns();
    fixture_setup(&f, 1);
    deliver(&f, "node-a", 1); /* within a minute of the file's beginning: not noted */
    assert_int_equal(stood(&f, "node-a", INT64_MAX), 0);
    run_sql(&f, "UPDATE progress SET at = at - 30 * 60000000000");
    int64_t second = deliver(&f, "node-a", 2);
    run_sql(&f, "UPDATE progress SET at = at - 20 * 60000000000");
    int64_t third = deliver(&f, "node-a", 3), now_ns = clock_wall_ns();
    assert_int_equal(stood(&f, "node-a", now_ns), third);
    assert_int_equal(stood(&f, "node-a", now_ns - 10 * MINUTE), second);
    assert_int_equal(stood(&f, "node-a", now_ns - 30 * MINUTE), 0);
    assert_int_equal(stood(&f, "node-b", now_ns), 0);
    assert_in_range(last(&f, now_ns), began_ns, now_ns);
    assert_in_range(last(&f, now_ns - MINUTE), began_ns - 20 * MINUTE, now_ns - 20 * MINUTE);
    assert_int_equal(last(&f, 0), 0);
    fixture_fini(&f);
}

static void test_an_outage_takes_nothing_away_and_an_hour_of_deliveries_is_kept(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 1);
    run_sql(&f, "UPDATE progress SET at = 1");
    int64_t before = deliver(&f, "node-a", 1);
    run_sql(&f, "UPDATE progress SET at = at - 600 * 60000000000 WHERE at > 1");
    deliver(&f, "node-a", 2);
    assert_int_equal(stood(&f, "node-a", clock_wall_ns() - 599 * MINUTE), before);
    for (uint64_t seq = 3; seq < 80; seq++) {
        run_sql(&f, "UPDATE progress SET at = at - 60000000000 WHERE at > 1");
        deliver(&f, "node-a", seq);
    }
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM progress WHERE slot = %d", buffer_slot("node-a"));
    assert_int_equal(fixture_query(&f, sql), BUFFER_PROGRESS_KEPT);
    assert_true(stood(&f, "node-a", 0) > before); /* the earliest that is known */
    fixture_fini(&f);
}

static void test_a_file_made_before_there_was_progress_begins_where_it_stands(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 1);
    int64_t row = deliver(&f, "node-a", 1);
    run_sql(&f, "DROP TABLE progress");
    assert_int_equal(stood(&f, "node-a", 0), row);
    fixture_fini(&f);
}

struct noting {
    struct buffer_replay_note note;
    bool is_done;
};
static void on_noted(struct letter *letter)
{
    ((struct noting *)letter)->is_done = true;
}

static void note(struct fixture *f, const char *plan, bool is_done)
{
    struct noting n = {.note = {.letter.open = on_noted,
                                .reply_to = &f->box,
                                .backend = "one",
                                .plan = plan,
                                .row_id = 1,
                                .delivered = 5,
                                .is_done = is_done}};
    buffer_note_replay(f->buffer, &n.note);
    fixture_wait(f, &n.is_done);
    assert_int_equal(n.note.error, 0);
}

static int64_t oldest(struct fixture *f, int64_t since_ns)
{
    struct buffer_reader *reader;
    int64_t number;
    assert_int_equal(buffer_reader_open(f->buffer, "one", &reader), 0);
    assert_int_equal(buffer_reader_replay_oldest(reader, "restart=", since_ns, &number), 0);
    buffer_reader_close(reader);
    return number;
}

static bool is_done(struct fixture *f, const char *plan)
{
    struct buffer_reader *reader;
    bool is;
    assert_int_equal(buffer_reader_open(f->buffer, "one", &reader), 0);
    assert_int_equal(buffer_reader_replay_is_done(reader, plan, &is), 0);
    buffer_reader_close(reader);
    return is;
}

static void test_replays_that_were_not_ended_or_only_lately_are_told(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 1);
    assert_true(oldest(&f, 0) == INT64_MAX);
    note(&f, "from=7 to=9 match=", false);
    assert_true(oldest(&f, 0) == INT64_MAX);
    note(&f, "restart=500", false);
    note(&f, "restart=400", true);
    assert_false(is_done(&f, "restart=500"));
    assert_true(is_done(&f, "restart=400") && !is_done(&f, "restart=40"));
    assert_int_equal(oldest(&f, clock_wall_ns() - MINUTE), 400);
    assert_int_equal(oldest(&f, clock_wall_ns() + MINUTE), 500);
    note(&f, "restart=500", true);
    assert_true(is_done(&f, "restart=500") && oldest(&f, clock_wall_ns() + MINUTE) == INT64_MAX);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cursors_are_known_to_the_minute),
        cmocka_unit_test(test_an_outage_takes_nothing_away_and_an_hour_of_deliveries_is_kept),
        cmocka_unit_test(test_a_file_made_before_there_was_progress_begins_where_it_stands),
        cmocka_unit_test(test_replays_that_were_not_ended_or_only_lately_are_told),
    };
    return cmocka_run_group_tests_name("buffer_progress", tests, NULL, NULL);
}
