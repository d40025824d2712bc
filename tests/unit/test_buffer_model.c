/* Random operations against a small model of the buffer: repeats, ends, delivered seq and the ledger agree
 * after each of them, through restarts. The seed is printed; TEST_SEED sets it. */
#include "tests/unit/buffer_fixture.h"

enum { ORIGINS = 5, SEQS = 400, ROWS = 4000, BACKENDS = 3 };

struct model_row {
    int origin;
    uint64_t seq;
    bool is_owed[BACKENDS];
    bool has_passed;
};

struct model {
    struct model_row rows[ROWS]; /* by row id */
    int64_t newest;
    bool committed[ORIGINS][SEQS];
    uint64_t delivered[ORIGINS], end[ORIGINS];
    bool is_blocked[ORIGINS];
    int64_t accepted[BACKENDS], by_cause[BACKENDS][BUFFER_CAUSES];
    size_t repeated;
};

static const char *const origins[ORIGINS] = {"node-1", "node-2", "node-3", "node-4", "node-5"};
static const char *const names[BACKENDS] = {"one", "two", "three"};

/* Origins that share a slot share its cursors; the model takes the same care. */
static int slot_of(int origin)
{
    return buffer_slot(origins[origin]);
}

static bool is_settled(const struct model_row *row)
{
    for (int b = 0; b < BACKENDS; b++)
        if (row->is_owed[b])
            return false;
    return true;
}

/* Delivered is what was committed before the first row of its slot that is not settled. */
static void model_deliver(struct model *m)
{
    for (int slot = 0; slot < BUFFER_SLOTS; slot++) {
        for (int64_t id = 1; id <= m->newest; id++) {
            struct model_row *row = &m->rows[id];
            if (row->seq == 0 || slot_of(row->origin) != slot)
                continue;
            if (!is_settled(row))
                break;
            bool is_news = !row->has_passed;
            row->has_passed = true;
            if (is_news && !m->is_blocked[row->origin] && row->seq > m->delivered[row->origin])
                m->delivered[row->origin] = row->seq;
        }
    }
}

static void do_append(struct fixture *f, struct model *m, unsigned *seed)
{
    int origin = rand_r(seed) % ORIGINS;
    uint64_t seq = 1 + (uint64_t)rand_r(seed) % (SEQS - 1);
    struct batch *batch = fixture_batch(origins[origin], 1, seq, (size_t)(rand_r(seed) % 3000));
    bool handed = rand_r(seed) % 8 == 0;
    bool owed[BACKENDS] = {true, true, true};
    batch->handed_over = handed;
    for (int b = 0; handed && b < BACKENDS; b++) {
        owed[b] = rand_r(seed) % 2;
        if (owed[b])
            batch_add_owed(batch, names[b]);
    }
    if (handed && batch->owed_count == 0)
        memset(owed, true, sizeof owed); /* names nobody: for all */
    if (!handed)
        batch_add_source(batch, "file", m->end[origin], m->end[origin] + 10);
    struct buffer_append a = fixture_append_batch(f, batch);
    if (m->committed[origin][seq]) {
        assert_int_equal(a.outcome, BUFFER_REPEATED);
        return;
    }
    assert_int_equal(a.outcome, BUFFER_COMMITTED);
    assert_true(a.row_id > m->newest && a.row_id < ROWS);
    m->newest = a.row_id;
    m->committed[origin][seq] = true;
    m->end[origin] += handed ? 0 : 10;
    struct model_row *row = &m->rows[a.row_id];
    *row = (struct model_row){.origin = origin, .seq = seq};
    memcpy(row->is_owed, owed, sizeof owed);
    for (int b = 0; b < BACKENDS; b++)
        m->accepted[b] += owed[b] ? 10 : 0;
    model_deliver(m);
    assert_int_equal(a.standing.delivered_seq, m->delivered[origin]);
}

/* The oldest rows of a slot that a backend is owed, some of them, each with a cause. */
static void do_settle(struct fixture *f, struct model *m, unsigned *seed)
{
    int backend = rand_r(seed) % BACKENDS, slot = slot_of(rand_r(seed) % ORIGINS),
        most = 1 + rand_r(seed) % 5;
    struct buffer_moved moved = {.slot = slot};
    struct buffer_settlement s = {.backend = names[backend], .moved = &moved, .moved_count = 1};
    for (int64_t id = 1; id <= m->newest && most > 0; id++) {
        struct model_row *row = &m->rows[id];
        if (row->seq == 0 || slot_of(row->origin) != slot || !row->is_owed[backend])
            continue;
        int cause = rand_r(seed) % BUFFER_HANDED_OVER;
        row->is_owed[backend] = false;
        m->by_cause[backend][cause] += 10;
        s.counts[cause] += 10;
        moved.row_id = id;
        most--;
    }
    if (moved.row_id == 0)
        return;
    assert_int_equal(fixture_settle(f, s), 0);
    model_deliver(m);
}

static void do_hand_over(struct fixture *f, struct model *m, unsigned *seed)
{
    int64_t id = 1 + rand_r(seed) % (m->newest + 1);
    struct model_row *row = &m->rows[id];
    assert_int_equal(fixture_hand_over(f, id), row->seq ? 0 : -ENOENT);
    if (row->seq == 0 || is_settled(row))
        return;
    for (int b = 0; b < BACKENDS; b++) {
        m->by_cause[b][BUFFER_HANDED_OVER] += row->is_owed[b] ? 10 : 0;
        row->is_owed[b] = false;
    }
    m->committed[row->origin][row->seq] = false;
    m->is_blocked[row->origin] = true;
    model_deliver(m);
}

static void do_resume(struct fixture *f, struct model *m, unsigned *seed)
{
    int origin = rand_r(seed) % ORIGINS;
    bool from_elsewhere = rand_r(seed) % 2;
    struct buffer_resume r =
        fixture_resume(f, origins[origin], 1, from_elsewhere ? "elsewhere" : buffer_id(f->buffer));
    if (from_elsewhere)
        m->is_blocked[origin] = false;
    assert_int_equal(r.error, 0);
    assert_int_equal(fixture_end_of(&r, "file"), m->end[origin]);
    assert_int_equal(r.standing.delivered_seq, m->delivered[origin]);
    bool holds = false;
    for (int64_t id = 1; id <= m->newest; id++)
        holds |= m->rows[id].seq && m->rows[id].origin == origin && !is_settled(&m->rows[id]);
    assert_true(r.standing.holds_undelivered || !holds);
    fixture_free_ends(&r);
}

static void check_ledgers(struct fixture *f, const struct model *m)
{
    for (int b = 0; b < BACKENDS; b++) {
        struct buffer_ledger ledger = fixture_ledger(f, names[b]);
        int64_t owed = 0;
        for (int64_t id = 1; id <= m->newest; id++)
            owed += m->rows[id].seq && m->rows[id].is_owed[b];
        assert_int_equal(fixture_imbalance(&ledger), 0);
        assert_int_equal(ledger.accepted, m->accepted[b]);
        assert_int_equal(ledger.lag_rows, owed);
        assert_int_equal(ledger.buffered, owed * 10);
        for (int cause = 0; cause < BUFFER_CAUSES; cause++)
            assert_int_equal(ledger.by_cause[cause], m->by_cause[b][cause]);
    }
}

/* What a reader sees after its cursor is what the model says is owed, in order. */
static void check_readers(struct fixture *f, const struct model *m)
{
    struct buffer_reader *reader;
    struct buffer_row row;
    int64_t cursors[BUFFER_SLOTS];
    for (int b = 0; b < BACKENDS; b++) {
        assert_int_equal(buffer_reader_open(f->buffer, names[b], &reader), 0);
        assert_int_equal(buffer_reader_cursors(reader, cursors), 0);
        for (int slot = 0; slot < BUFFER_SLOTS; slot++) {
            int64_t after = cursors[slot];
            for (int64_t id = 1; id <= m->newest; id++) {
                if (m->rows[id].seq == 0 || slot_of(m->rows[id].origin) != slot || !m->rows[id].is_owed[b])
                    continue;
                assert_int_equal(buffer_reader_next(reader, slot, after, &row), 0);
                assert_int_equal(row.id, id);
                after = id;
            }
            assert_int_equal(buffer_reader_next(reader, slot, after, &row), -ENOENT);
        }
        buffer_reader_close(reader);
    }
}

static void run_seed(unsigned seed, int steps)
{
    struct fixture f;
    struct model *m = calloc(1, sizeof *m);
    fixture_setup(&f, BACKENDS);
    for (int i = 0; i < steps; i++) {
        int what = rand_r(&seed) % 100;
        if (what < 50)
            do_append(&f, m, &seed);
        else if (what < 85)
            do_settle(&f, m, &seed);
        else if (what < 90)
            do_hand_over(&f, m, &seed);
        else if (what < 98)
            do_resume(&f, m, &seed);
        else {
            fixture_close(&f);
            fixture_reopen(&f);
            check_ledgers(&f, m);
            check_readers(&f, m);
        }
    }
    check_ledgers(&f, m);
    check_readers(&f, m);
    fixture_fini(&f);
    free(m);
}

static void test_buffer_agrees_with_its_model_after_random_operations(void **state)
{
    (void)state;
    const char *given = getenv("TEST_SEED");
    unsigned first = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)clock_wall_ns();
    for (unsigned i = 0; i < 4; i++) {
        print_message("seed %u\n", first + i);
        run_seed(first + i, 250);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffer_agrees_with_its_model_after_random_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
