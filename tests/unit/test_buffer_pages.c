/* Damage of every kind of page, and at random places: only a batch that itself stands on a hit page (its
 * head, its payload, an overflow page of that) is missing from the buffer afterwards, also where the page
 * above it is hit, and what is missing is named. On which leaf and overflow pages a batch stands is found by
 * plain SQLite: they are those without which it does not find it. */
#include "tests/unit/buffer_fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buffer/buffer_check.h"
#include "base/buffer/buffer_schema.h"

enum { ROWS = 420, ORIGINS = 3, PAGE = BUFFER_PAGE_SIZE, MOST_FILE = 16 << 20, MOST_PAGES = 1024 };

static bool stands_on[MOST_PAGES][ROWS + 1]; /* by page, from 0 */

static const char *const origins[ORIGINS] = {"node-a", "node-b", "node-c"};

struct image { /* the undamaged file */
    uint8_t *bytes;
    size_t len;
    size_t pages;
};

static const char *origin_of(uint64_t seq)
{
    return origins[seq % ORIGINS];
}

static size_t len_of(uint64_t seq)
{
    return seq % 20 == 0 ? 70000 : 1500;
}

static void read_image(const char *path, struct image *image)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    image->len = (size_t)st.st_size;
    image->pages = image->len / PAGE;
    image->bytes = malloc(image->len);
    assert_int_equal(read(fd, image->bytes, image->len), st.st_size);
    close(fd);
}

static void make_image(struct image *image)
{
    struct fixture f;
    fixture_setup(&f, 2);
    for (uint64_t seq = 1; seq <= ROWS; seq++)
        assert_int_equal(fixture_append_batch(&f, fixture_batch(origin_of(seq), 1, seq, len_of(seq))).outcome,
                         BUFFER_COMMITTED);
    fixture_close(&f); /* the WAL is written back */
    read_image(f.path, image);
    fixture_fini(&f);
}

static void write_file(const char *path, const uint8_t *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

/* ---- what can be found */

static bool is_payload(uint64_t seq, struct bytes payload)
{
    struct batch *batch = fixture_batch(origin_of(seq), 1, seq, len_of(seq));
    bool is_same = bytes_equal(batch->payload, payload);
    batch_free(batch);
    return is_same;
}

/* By SQLite alone, each row by its id (the first row is 1, as the first number). */
static void find_plainly(const char *path, bool ret_found[ROWS + 1])
{
    sqlite3 *db;
    sqlite3_stmt *head = NULL, *payload = NULL;
    memset(ret_found, 0, ROWS + 1);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    sqlite3_prepare_v2(db, "SELECT origin, seq, records, crc, slot, boot_id FROM batch WHERE id = ?1", -1,
                       &head, NULL);
    sqlite3_prepare_v2(db, "SELECT bytes FROM payload WHERE id = ?1", -1, &payload, NULL);
    for (int id = 1; head && payload && id <= ROWS; id++) {
        sqlite3_bind_int(head, 1, id);
        sqlite3_bind_int(payload, 1, id);
        if (sqlite3_step(head) == SQLITE_ROW && sqlite3_step(payload) == SQLITE_ROW) {
            const char *origin = (const char *)sqlite3_column_text(head, 0);
            struct bytes bytes = {sqlite3_column_blob(payload, 0), (size_t)sqlite3_column_bytes(payload, 0)};
            ret_found[id] = origin && !strcmp(origin, origin_of((uint64_t)id)) &&
                            sqlite3_column_int(head, 1) == id && sqlite3_column_int(head, 2) == 10 &&
                            sqlite3_column_int(head, 4) == buffer_slot(origin) &&
                            sqlite3_column_int(head, 5) == 1 && is_payload((uint64_t)id, bytes);
        }
        sqlite3_reset(head);
        sqlite3_reset(payload);
    }
    sqlite3_finalize(head);
    sqlite3_finalize(payload);
    sqlite3_close(db);
}

static void fill(uint8_t *to, size_t len, unsigned *seed)
{
    for (size_t i = 0; i < len; i++)
        to[i] = (uint8_t)rand_r(seed);
}

static void find_where_batches_stand(const struct image *image)
{
    char path[] = "/tmp/tributary-pages-XXXXXX";
    unsigned seed = 3;
    uint8_t junk[PAGE];
    bool found[ROWS + 1];
    sqlite3 *db;
    sqlite3_stmt *row;
    int fd = mkstemp(path);
    assert_true(fd >= 0 && image->pages < MOST_PAGES);
    close(fd);
    write_file(path, image->bytes, image->len);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT pageno FROM dbstat WHERE pagetype <> 'internal' AND pageno > 1", -1,
                           &row, NULL),
        SQLITE_OK);
    size_t pages[MOST_PAGES], count = 0;
    while (sqlite3_step(row) == SQLITE_ROW)
        pages[count++] = (size_t)sqlite3_column_int64(row, 0) - 1;
    sqlite3_finalize(row);
    sqlite3_close(db);
    fill(junk, sizeof junk, &seed);
    for (size_t i = 0; i < count; i++) {
        fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, junk, PAGE, (off_t)pages[i] * PAGE), PAGE);
        find_plainly(path, found);
        assert_int_equal(pwrite(fd, image->bytes + pages[i] * PAGE, PAGE, (off_t)pages[i] * PAGE), PAGE);
        close(fd);
        for (int seq = 1; seq <= ROWS; seq++)
            stands_on[pages[i]][seq] = !found[seq];
    }
    unlink(path);
}

/* Whether the batch stands on a page that is not as it was. */
static bool is_hit(const struct image *image, const uint8_t *bytes, size_t len, uint64_t seq)
{
    for (size_t page = 0; page < image->pages; page++)
        if (stands_on[page][seq] &&
            ((page + 1) * PAGE > len || memcmp(bytes + page * PAGE, image->bytes + page * PAGE, PAGE) != 0))
            return true;
    return false;
}

/* By the buffer, as fan-out asks. */
static void find_in_buffer(struct fixture *f, bool ret_found[ROWS + 1])
{
    struct buffer_reader *reader;
    struct buffer_row row;
    struct buf payload;
    buf_init(&payload, 1 << 20);
    memset(ret_found, 0, ROWS + 1);
    assert_int_equal(buffer_reader_open(f->buffer, "two", &reader), 0);
    for (int i = 0; i < ORIGINS; i++) {
        int slot = buffer_slot(origins[i]);
        for (int64_t after = 0; buffer_reader_next(reader, slot, after, &row) == 0; after = row.id) {
            buf_clear(&payload);
            if (buffer_reader_payload(reader, row.id, &payload) == 0 && row.seq >= 1 && row.seq <= ROWS)
                ret_found[row.seq] |= is_payload(row.seq, buf_bytes(&payload));
        }
    }
    buffer_reader_close(reader);
    buf_fini(&payload);
}

/* ---- what is named */

static void note_names(const char *line, bool named[ROWS + 1])
{
    const char *at = strstr(line, " seq=");
    for (at = at ? at + 5 : NULL; at && *at >= '0' && *at <= '9'; at += *at == ',') {
        char *end;
        unsigned long long first = strtoull(at, &end, 10), last = first;
        if (*end == '-')
            last = strtoull(end + 1, &end, 10);
        for (unsigned long long seq = first; seq <= last && seq <= ROWS; seq++)
            named[seq] |= strstr(line, origin_of(seq)) != NULL;
        at = end;
    }
}

static void note_line(void *ctx, const char *line)
{
    note_names(line, ctx);
}

/* At the start, or, of what only shows when it is read, by fsck. */
static void find_named(struct fixture *f, bool named[ROWS + 1])
{
    struct buffer_check check;
    memset(named, 0, ROWS + 1);
    buf_append(&f->errors, "", 1);
    for (char *line = strtok((char *)f->errors.ptr, "\n"); line; line = strtok(NULL, "\n"))
        note_names(line, named);
    (void)buffer_check_file(f->path, note_line, named, &check);
}

struct tally {
    size_t places, rows_hit, rows_missing, told_later;
};

/* Nothing is claimed of power loss here: in memory, where the volume has one, a place takes a tenth. */
static void move_to_memory(struct fixture *f)
{
    char folder[] = "/dev/shm/tributary-buffer-XXXXXX";
    if (!mkdtemp(folder))
        return;
    rmdir(f->folder);
    snprintf(f->folder, sizeof f->folder, "%s", folder);
    snprintf(f->path, sizeof f->path, "%s/logs.db", folder);
}

/* The damaged file in a folder of its own is opened. */
static void check_damaged(const struct image *image, const uint8_t *bytes, size_t len, const char *what,
                          struct tally *tally)
{
    static bool found[ROWS + 1], named[ROWS + 1];
    struct fixture f;
    fixture_init(&f, 2);
    move_to_memory(&f);
    write_file(f.path, bytes, len);
    fixture_reopen(&f);
    if (getenv("SHOW"))
        print_message("%s\n%.*s", what, (int)f.errors.len, f.errors.len ? (char *)f.errors.ptr : "");
    /* the page of the numbers is hit too, or all is gone: the agents tell */
    bool is_told_later = f.errors.len && (memmem(f.errors.ptr, f.errors.len, "cannot be read whole", 20) ||
                                          memmem(f.errors.ptr, f.errors.len, "nothing of it", 13));
    tally->told_later += is_told_later;
    find_in_buffer(&f, found);
    find_named(&f, named);
    for (uint64_t seq = 1; seq <= ROWS; seq++) {
        bool hit = is_hit(image, bytes, len, seq);
        tally->rows_hit += hit;
        tally->rows_missing += !found[seq];
        if (!hit && !found[seq])
            fail_msg("%s: batch %d is on no hit page and is missing", what, (int)seq);
        if (!found[seq] && !named[seq] && !is_told_later)
            fail_msg("%s: batch %d of %s is missing and not named", what, (int)seq, origin_of(seq));
    }
    assert_int_equal(fixture_append(&f, "node-d", 1, 1).outcome, BUFFER_COMMITTED);
    tally->places++;
    fixture_fini(&f);
}

/* ---- each page, by its kind */

static void test_each_kind_of_page_costs_what_is_on_it_alone(void **state)
{
    struct image *image = *state;
    struct fixture f;
    sqlite3 *db;
    sqlite3_stmt *row;
    unsigned seed = 1;
    struct tally tally = {0};
    uint8_t *damaged = malloc(image->len);
    int seen[5] = {0};
    fixture_init(&f, 2);
    write_file(f.path, image->bytes, image->len);
    assert_int_equal(sqlite3_open(f.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT pageno, pagetype, name FROM dbstat UNION ALL SELECT 2, "
                                        "'pointer map', '' ORDER BY 1",
                                        -1, &row, NULL),
                     SQLITE_OK);
    for (size_t nth = 0; sqlite3_step(row) == SQLITE_ROW; nth++) {
        size_t page = (size_t)sqlite3_column_int64(row, 0) - 1;
        const char *kind = (const char *)sqlite3_column_text(row, 1);
        char what[128];
        int which = !strcmp(kind, "internal")      ? 0
                    : !strcmp(kind, "leaf")        ? 1
                    : !strcmp(kind, "overflow")    ? 2
                    : !strcmp(kind, "pointer map") ? 3
                                                   : 4;
        if (seen[which]++ > 20) /* there are many leaves and overflow pages: the first are enough */
            continue;
        snprintf(what, sizeof what, "page %zu, %s of %s", page + 1, kind, sqlite3_column_text(row, 2));
        memcpy(damaged, image->bytes, image->len);
        if (nth % 2)
            memset(damaged + page * PAGE, 0, PAGE);
        else
            fill(damaged + page * PAGE, PAGE, &seed);
        check_damaged(image, damaged, image->len, what, &tally);
    }
    assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
    print_message("%zu pages: %d internal, %d leaf, %d overflow, %d pointer map; %zu batches hit, %zu "
                  "missing; %zu times the numbers "
                  "were hit too\n",
                  tally.places, seen[0], seen[1], seen[2], seen[3], tally.rows_hit, tally.rows_missing,
                  tally.told_later);
    sqlite3_finalize(row);
    sqlite3_close(db);
    free(damaged);
    fixture_fini(&f);
}

/* ---- anywhere */

static void test_random_places_cost_what_is_on_them_alone(void **state)
{
    struct image *image = *state;
    const char *asked = getenv("TRIBUTARY_DAMAGED_PLACES"); /* more of them by hand */
    int places = asked ? atoi(asked) : 60;
    unsigned seed = asked ? (unsigned)clock_wall_ns() : 7;
    struct tally tally = {0};
    uint8_t *damaged = malloc(image->len);
    print_message("seed %u\n", seed);
    for (int i = 0; i < places; i++) {
        char what[128];
        size_t at = (((size_t)rand_r(&seed) << 16) ^ (size_t)rand_r(&seed)) % image->len, len = image->len;
        memcpy(damaged, image->bytes, image->len);
        if (i % 5 == 4) { /* cut off */
            len = at;
        } else {
            size_t n = i % 5 == 3 ? PAGE : 1 + (size_t)rand_r(&seed) % 64;
            at -= i % 5 == 3 ? at % PAGE : 0;
            fill(damaged + at, n < len - at ? n : len - at, &seed);
        }
        snprintf(what, sizeof what, "place %d, byte %zu, kind %d", i, at, i % 5);
        check_damaged(image, damaged, len, what, &tally);
    }
    print_message("%zu places: %zu batches hit, %zu missing; %zu times the numbers "
                  "were hit too\n",
                  tally.places, tally.rows_hit, tally.rows_missing, tally.told_later);
    free(damaged);
}

/* The head of a row that can be read up to its number, and no further: it shows when the file is opened, and
 * the rows behind it can be read. */
static void test_a_head_damaged_behind_its_number_costs_one_batch(void **state)
{
    static const uint8_t garbled[] = {0xff, 0x19, 0x4b, 0xbe, 0x8c, 0x10, 0xf1, 0x7e, 0x92, 0x53, 0xdb,
                                      0x0b, 0x87, 0xd1, 0xba, 0x38, 0x6f, 0x1e, 0x53, 0x67, 0xd0, 0xf1,
                                      0xcd, 0xe9, 0x6c, 0x6e, 0xcd, 0x25, 0xac, 0x28, 0x43, 0x7a};
    struct image *image = *state;
    struct tally tally = {0};
    uint8_t *damaged = malloc(image->len);
    memcpy(damaged, image->bytes, image->len);
    memcpy(damaged + 126646, garbled, sizeof garbled);
    check_damaged(image, damaged, image->len, "a head's second half", &tally);
    assert_true(tally.rows_missing > 0);
    free(damaged);
}

/* ---- between root and leaves */

static size_t find_root(const struct image *image, const char *table)
{
    struct fixture f;
    fixture_init(&f, 1);
    write_file(f.path, image->bytes, image->len);
    fixture_reopen(&f);
    char question[128];
    snprintf(question, sizeof question, "SELECT rootpage FROM sqlite_schema WHERE name = '%s'", table);
    size_t page = (size_t)fixture_query(&f, question) - 1;
    fixture_fini(&f);
    return page;
}

/* What a cell of an interior page says is written over: its child, by junk and by another one's, or its key.
 */
static void damage_cell(uint8_t *page, size_t cell, int how)
{
    static const uint8_t junk[4] = {0xa4, 0x2a, 0x99, 0x4e};
    size_t at = (size_t)page[12 + 2 * cell] << 8 | page[13 + 2 * cell];
    size_t next = (size_t)page[14 + 2 * cell] << 8 | page[15 + 2 * cell];
    if (how == 0)
        memcpy(page + at, junk, 4);
    else if (how == 1)
        memcpy(page + at, page + next, 4);
    else
        page[at + 4] ^= 0x41;
}

/* All rows are there still, behind pages of which nothing is hit. */
static void test_damage_between_root_and_leaves_costs_nothing(void **state)
{
    struct image *image = *state;
    size_t root = find_root(image, "payload");
    struct tally tally = {0};
    uint8_t *damaged = malloc(image->len);
    assert_int_equal(image->bytes[root * PAGE], 0x05);
    for (size_t cell = 0; cell < 20; cell += 3)
        for (int how = 0; how < 3; how++) {
            char what[128];
            memcpy(damaged, image->bytes, image->len);
            damage_cell(damaged + root * PAGE, cell, how);
            snprintf(what, sizeof what, "cell %zu, damage %d", cell, how);
            check_damaged(image, damaged, image->len, what, &tally);
        }
    assert_int_equal(tally.rows_missing, 0);
    free(damaged);
}

/* ---- several at once */

static size_t any_of(size_t count, unsigned *seed)
{
    return (((size_t)rand_r(seed) << 16) ^ (size_t)rand_r(seed)) % count;
}

static bool holds_batches(size_t page)
{
    bool holds = false;
    for (int seq = 1; seq <= ROWS; seq++)
        holds |= stands_on[page][seq];
    return holds;
}

/* One of: bytes, zeroes over several pages, two pages with batches in each other's place, a header with other
 * page counts, a shorter file, junk behind it. There is room for 3 pages behind len. */
static size_t damage_somehow(uint8_t *bytes, size_t len, unsigned *seed)
{
    uint8_t kept[PAGE];
    size_t pages = len / PAGE, one = any_of(pages, seed), other = any_of(pages, seed), at = any_of(len, seed);
    switch (any_of(6, seed)) {
    case 0:
        fill(bytes + at, len - at < 2000 ? len - at : 1 + any_of(2000, seed), seed);
        return len;
    case 1:
        memset(bytes + at, 0, len - at < 3 * PAGE ? len - at : 1 + any_of(3 * PAGE, seed));
        return len;
    case 2:
        if (!holds_batches(one) || !holds_batches(other))
            return len;
        memcpy(kept, bytes + one * PAGE, PAGE);
        memcpy(bytes + one * PAGE, bytes + other * PAGE, PAGE);
        memcpy(bytes + other * PAGE, kept, PAGE);
        return len;
    case 3:
        fill(bytes + 28 + 4 * any_of(5, seed), 4, seed); /* size, first free page, how many, schema cookie */
        return len;
    case 4:
        return len - any_of(len / 4, seed);
    default:
        fill(bytes + len, 2 * PAGE + 77, seed);
        return len + 2 * PAGE + 77;
    }
}

static void test_several_damages_at_once_cost_what_is_on_them(void **state)
{
    struct image *image = *state;
    const char *asked = getenv("TRIBUTARY_DAMAGED_PLACES"); /* more of them by hand */
    int files = asked ? atoi(asked) : 100;
    unsigned seed = asked ? (unsigned)clock_wall_ns() : 11;
    struct tally tally = {0};
    uint8_t *damaged = malloc(image->len + 32 * PAGE);
    print_message("seed %u\n", seed);
    for (int i = 0; i < files; i++) {
        size_t len = image->len, times = 1 + any_of(6, &seed);
        char what[64];
        snprintf(what, sizeof what, "file %d, damaged %zu times", i, times);
        memcpy(damaged, image->bytes, image->len);
        for (size_t n = 0; n < times; n++)
            len = damage_somehow(damaged, len, &seed);
        check_damaged(image, damaged, len, what, &tally);
    }
    print_message("%zu files: %zu batches hit, %zu missing; %zu times the numbers were hit too\n",
                  tally.places, tally.rows_hit, tally.rows_missing, tally.told_later);
    free(damaged);
}

static int setup(void **state)
{
    static struct image image;
    make_image(&image);
    find_where_batches_stand(&image);
    *state = &image;
    return 0;
}

static int teardown(void **state)
{
    struct image *image = *state;
    free(image->bytes);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_of_page_costs_what_is_on_it_alone),
        cmocka_unit_test(test_random_places_cost_what_is_on_them_alone),
        cmocka_unit_test(test_a_head_damaged_behind_its_number_costs_one_batch),
        cmocka_unit_test(test_damage_between_root_and_leaves_costs_nothing),
        cmocka_unit_test(test_several_damages_at_once_cost_what_is_on_them),
    };
    return cmocka_run_group_tests_name("buffer_pages", tests, setup, teardown);
}
