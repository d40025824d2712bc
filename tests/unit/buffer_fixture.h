/* buffer_fixture.h - a buffer in a folder of its own, and calls that wait for their letters. */
#ifndef TESTS_UNIT_BUFFER_FIXTURE_H
#define TESTS_UNIT_BUFFER_FIXTURE_H

#include "tests/unit/unit.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/buffer/buffer.h"
#include "base/clock.h"

struct fixture {
    char folder[64];
    char path[96];
    struct buffer_options options;
    const char *backends[4];
    struct buffer *buffer;
    struct mailbox box;
    int wake_fd;
    struct buf errors;
};

static inline void fixture_wake(void *ctx)
{
    struct fixture *f = ctx;
    uint64_t one = 1;
    assert_int_equal(write(f->wake_fd, &one, sizeof one), sizeof one);
}

static inline void fixture_reopen(struct fixture *f)
{
    buf_clear(&f->errors);
    int err = buffer_open(&f->options, &f->buffer, &f->errors);
    if (err < 0)
        fail_msg("%s cannot be opened: %d %.*s", f->path, err, (int)f->errors.len,
                 f->errors.len ? (char *)f->errors.ptr : "");
}

static inline void fixture_init(struct fixture *f, size_t backend_count)
{
    memset(f, 0, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/tributary-buffer-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/logs.db", f->folder);
    f->backends[0] = "one";
    f->backends[1] = "two";
    f->backends[2] = "three";
    f->options = (struct buffer_options){.folder = f->folder,
                                         .signal = TELEMETRY_LOGS,
                                         .quota_bytes = INT64_C(1) << 30,
                                         .retention_ms = 3600 * 1000,
                                         .backends = f->backends,
                                         .backend_count = backend_count};
    f->wake_fd = eventfd(0, EFD_CLOEXEC);
    mailbox_init(&f->box, fixture_wake, f);
    buf_init(&f->errors, 65536);
}

static inline int fixture_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void fixture_fini(struct fixture *f)
{
    buffer_close(f->buffer);
    nftw(f->folder, fixture_remove_one, 8, FTW_DEPTH | FTW_PHYS);
    mailbox_fini(&f->box);
    close(f->wake_fd);
    buf_fini(&f->errors);
}

static inline void fixture_close(struct fixture *f)
{
    buffer_close(f->buffer);
    f->buffer = NULL;
}

static inline void fixture_setup(struct fixture *f, size_t backend_count)
{
    fixture_init(f, backend_count);
    fixture_reopen(f);
}

/* Opens letters until *done; what is a letter's `open` sets it. */
static inline void fixture_wait(struct fixture *f, const bool *done)
{
    while (!*done) {
        struct pollfd fd = {f->wake_fd, POLLIN, 0};
        uint64_t count;
        assert_int_equal(poll(&fd, 1, 30000), 1);
        assert_int_equal(read(f->wake_fd, &count, sizeof count), sizeof count);
        mailbox_drain(&f->box);
    }
}

struct fixture_append {
    struct buffer_append append;
    bool is_done;
};
static inline void fixture_on_append(struct letter *letter)
{
    ((struct fixture_append *)letter)->is_done = true;
}

/* A batch of `records` records between the given times, with a payload of len bytes that its seq determines.
 */
static inline struct batch *fixture_batch(const char *origin, uint64_t boot, uint64_t seq, size_t len)
{
    struct batch *batch = batch_new(origin);
    uint8_t *payload = malloc(len ? len : 1);
    uint64_t x = seq * 0x9e3779b97f4a7c15u + boot;
    for (size_t i = 0; i < len; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        payload[i] = (uint8_t)(x >> 56);
    }
    batch->boot = (struct boot){.id = boot, .started_ns = (int64_t)boot * 1000};
    batch->signal = TELEMETRY_LOGS;
    batch->format = FORMAT_LOKI_PUSH;
    batch->seq = seq;
    batch->records = 10;
    batch->raw_bytes = len * 3;
    batch->earliest_ns = (int64_t)seq * 1000;
    batch->latest_ns = (int64_t)seq * 1000 + 999;
    batch_take_payload(batch, payload, len);
    return batch;
}

/* Appends, waits, frees the batch. */
static inline struct buffer_append fixture_append_batch(struct fixture *f, struct batch *batch)
{
    struct fixture_append a = {
        .append = {.letter.open = fixture_on_append, .reply_to = &f->box, .batch = batch}};
    buffer_append(f->buffer, &a.append);
    fixture_wait(f, &a.is_done);
    batch_free(batch);
    a.append.batch = NULL;
    return a.append;
}

static inline struct buffer_append fixture_append(struct fixture *f, const char *origin, uint64_t boot,
                                                  uint64_t seq)
{
    return fixture_append_batch(f, fixture_batch(origin, boot, seq, 1000));
}

struct fixture_settlement {
    struct buffer_settlement settlement;
    bool is_done;
};
static inline void fixture_on_settlement(struct letter *letter)
{
    ((struct fixture_settlement *)letter)->is_done = true;
}

static inline int fixture_settle(struct fixture *f, struct buffer_settlement settlement)
{
    struct fixture_settlement s = {.settlement = settlement};
    s.settlement.letter.open = fixture_on_settlement;
    s.settlement.reply_to = &f->box;
    buffer_settle(f->buffer, &s.settlement);
    fixture_wait(f, &s.is_done);
    return s.settlement.error;
}

/* Settles as delivered everything of the slot up to row, `records` records. */
static inline void fixture_deliver(struct fixture *f, const char *backend, int slot, int64_t row,
                                   uint64_t records)
{
    struct buffer_moved moved = {slot, row};
    struct buffer_settlement s = {
        .backend = backend, .moved = &moved, .moved_count = 1, .counts = {[BUFFER_DELIVERED] = records}};
    assert_int_equal(fixture_settle(f, s), 0);
}

struct fixture_handed {
    struct buffer_handed handed;
    bool is_done;
};
static inline void fixture_on_handed(struct letter *letter)
{
    ((struct fixture_handed *)letter)->is_done = true;
}

static inline int fixture_hand_over(struct fixture *f, int64_t row)
{
    struct fixture_handed h = {
        .handed = {.letter.open = fixture_on_handed, .reply_to = &f->box, .row_id = row}};
    buffer_hand_over(f->buffer, &h.handed);
    fixture_wait(f, &h.is_done);
    return h.handed.error;
}

struct fixture_resume {
    struct buffer_resume resume;
    bool is_done;
};
static inline void fixture_on_resume(struct letter *letter)
{
    ((struct fixture_resume *)letter)->is_done = true;
}

/* The caller frees with fixture_free_ends. */
static inline struct buffer_resume fixture_resume(struct fixture *f, const char *origin, uint64_t boot,
                                                  const char *held_buffer_id)
{
    char *name = strdup(origin);
    struct fixture_resume r = {.resume = {.letter.open = fixture_on_resume,
                                          .reply_to = &f->box,
                                          .origin = name,
                                          .boot = {.id = boot, .started_ns = (int64_t)boot * 1000},
                                          .held_buffer_id = held_buffer_id}};
    buffer_resume(f->buffer, &r.resume);
    fixture_wait(f, &r.is_done);
    free(name);
    r.resume.origin = NULL;
    return r.resume;
}

static inline void fixture_free_ends(struct buffer_resume *resume)
{
    for (size_t i = 0; i < resume->end_count; i++)
        free(resume->ends[i].file);
    free(resume->ends);
    resume->ends = NULL;
}

static inline uint64_t fixture_end_of(const struct buffer_resume *resume, const char *file)
{
    for (size_t i = 0; i < resume->end_count; i++)
        if (strcmp(resume->ends[i].file, file) == 0)
            return resume->ends[i].end;
    return 0;
}

static inline struct buffer_ledger fixture_ledger(struct fixture *f, const char *backend)
{
    struct buffer_reader *reader;
    struct buffer_ledger ledger;
    assert_int_equal(buffer_reader_open(f->buffer, backend, &reader), 0);
    assert_int_equal(buffer_reader_ledger(reader, &ledger), 0);
    buffer_reader_close(reader);
    return ledger;
}

/* accepted - settled - buffered. */
static inline int64_t fixture_imbalance(const struct buffer_ledger *ledger)
{
    uint64_t settled = 0;
    for (int cause = 0; cause < BUFFER_CAUSES; cause++)
        settled += ledger->by_cause[cause];
    return (int64_t)(ledger->accepted - settled - ledger->buffered);
}

/* The rows that the backend is owed in the slot of origin, after its cursor. */
static inline size_t fixture_owed(struct fixture *f, const char *backend, const char *origin)
{
    struct buffer_reader *reader;
    struct buffer_row row;
    int64_t cursors[BUFFER_SLOTS];
    int slot = buffer_slot(origin);
    size_t count = 0;
    assert_int_equal(buffer_reader_open(f->buffer, backend, &reader), 0);
    assert_int_equal(buffer_reader_cursors(reader, cursors), 0);
    for (int64_t after = cursors[slot]; buffer_reader_next(reader, slot, after, &row) == 0; after = row.id)
        count++;
    buffer_reader_close(reader);
    return count;
}

/* The first column of the first row, as another process would see it. */
static inline int64_t fixture_query(struct fixture *f, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

#endif
