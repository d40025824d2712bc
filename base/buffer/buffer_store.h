/* buffer_store.h - the inside of struct buffer, shared by the buffer's own files only.
 *
 * The part "of the writer" is touched by the writer's thread alone (and by buffer_open and buffer_close while
 * there is no such thread). It mirrors tables; a transaction that fails is followed by buffer_store_load,
 * which reads the mirror again, so nothing in memory is ever ahead of the file for longer than a transaction.
 *
 *   buffer_store    opens, loads, begins, commits       buffer_origins  numbers, ends, delivered seq of an
 * origin buffer_rows     adds, settles and removes rows      buffer_backends cursors and the ledger
 *   buffer_space    quota, retention, WAL               buffer_settle   what fan-out settles
 *   buffer_writer   the queue and the thread            buffer_reader   read-only connections
 */
#ifndef BASE_BUFFER_STORE_H
#define BASE_BUFFER_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buffer/buffer.h"
#include "base/buffer/buffer_recent.h"
#include "base/buffer/buffer_sql.h"

/* Every statement of the writer, prepared once. */
#define BUFFER_STATEMENTS(X)                                                                                 \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                              \
    X(COMMIT, "COMMIT")                                                                                      \
    X(ROLLBACK, "ROLLBACK")                                                                                  \
    X(PAGES, "PRAGMA page_count")                                                                            \
    X(FREE_PAGES, "PRAGMA freelist_count")                                                                   \
    X(SET_META, "UPDATE meta SET value = ?2 WHERE name = ?1")                                                \
    X(GET_META, "SELECT value FROM meta WHERE name = ?1")                                                    \
    X(TRY_META, "INSERT INTO meta VALUES('tried', ?1) ON CONFLICT DO UPDATE SET value = excluded.value")     \
    X(ADD_ROW, "INSERT INTO batch VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,"    \
               "?19)")                                                                                       \
    X(ADD_PAYLOAD, "INSERT INTO payload VALUES(?1, ?2)")                                                     \
    X(REMOVE_ROW, "DELETE FROM batch WHERE id = ?1")                                                         \
    X(REMOVE_PAYLOAD, "DELETE FROM payload WHERE id = ?1")                                                   \
    X(GET_ROW, "SELECT slot, origin, records, payload_bytes, owed, boot_id, boot_started, seq FROM batch "   \
               "WHERE id=?1")                                                                                \
    X(SET_OWED, "UPDATE batch SET owed = ?2 WHERE id = ?1")                                                  \
    X(NEXT_ROW,                                                                                              \
      "SELECT id, origin, boot_id, boot_started, seq, owed FROM batch WHERE slot = ?1 AND id > ?2 ORDER BY " \
      "id")                                                                                                  \
    X(OLDEST, "SELECT min(id) FROM batch WHERE slot = ?1 AND id > ?2")                                       \
    X(OLDEST_OWED, "SELECT committed_at FROM batch WHERE slot = ?1 AND id > ?2 ORDER BY id LIMIT 1")         \
    X(NEWEST, "SELECT max(id) FROM batch WHERE slot = ?1")                                                   \
    X(COUNT_ROWS, "SELECT count(*) FROM batch")                                                              \
    X(HAS_ROW_OF, "SELECT 1 FROM batch WHERE slot = ?1 AND origin = ?2 LIMIT 1")                             \
    X(LOAD_ORIGINS, "SELECT id, name, latest, seen, blocked FROM origin")                                    \
    X(LOAD_BOOTS,                                                                                            \
      "SELECT t.id, o.name, t.boot_id, t.boot_started, t.delivered FROM boot t JOIN origin o ON o.id = "     \
      "t.origin")                                                                                            \
    X(LOAD_NUMBERS, "SELECT first, last FROM number WHERE boot = ?1")                                        \
    X(ADD_ORIGIN, "INSERT INTO origin VALUES(NULL, ?1, ?2, ?3, 0)")                                          \
    X(SET_ORIGIN, "UPDATE origin SET latest = ?2, seen = ?3, blocked = ?4 WHERE id = ?1")                    \
    X(REMOVE_ORIGIN, "DELETE FROM origin WHERE id = ?1")                                                     \
    X(ADD_BOOT, "INSERT INTO boot VALUES(NULL, ?1, ?2, ?3, 0)")                                              \
    X(SET_BOOT, "UPDATE boot SET delivered = ?2 WHERE id = ?1")                                              \
    X(REMOVE_BOOT, "DELETE FROM boot WHERE id = ?1")                                                         \
    X(SET_NUMBERS, "INSERT INTO number VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE SET last = excluded.last")   \
    X(REMOVE_NUMBERS, "DELETE FROM number WHERE boot = ?1 AND first = ?2")                                   \
    X(REMOVE_BOOT_NUMBERS, "DELETE FROM number WHERE boot = ?1")                                             \
    X(MOVE_END, "UPDATE file_end SET end = max(end, ?3), touched = ?4 WHERE origin = ?1 AND file = ?2")      \
    X(ADD_END, "INSERT INTO file_end VALUES(?1, ?2, ?3, ?4)")                                                \
    X(GET_ENDS, "SELECT file, end FROM file_end WHERE origin = ?1")                                          \
    X(COUNT_ENDS, "SELECT count(*) FROM file_end WHERE origin = ?1")                                         \
    X(REMOVE_OLD_ENDS, "DELETE FROM file_end WHERE origin = ?1 AND touched < ?2")                            \
    X(REMOVE_OLDEST_ENDS,                                                                                    \
      "DELETE FROM file_end WHERE origin = ?1 AND file IN (SELECT file FROM file_end WHERE "                 \
      "origin = ?1 ORDER BY touched LIMIT ?2)")                                                              \
    X(LOAD_BACKENDS,                                                                                         \
      "SELECT id, name, until, accepted, delivered, repeated, refused, overtaken, unresolved, dropped, "     \
      "handed_over FROM backend ORDER BY id")                                                                \
    X(LOAD_CURSORS, "SELECT slot, row FROM cursor WHERE backend = ?1")                                       \
    X(ADD_BACKEND, "INSERT INTO backend VALUES(NULL, ?1, NULL, 0, 0, 0, 0, 0, 0, 0, 0)")                     \
    X(SET_BACKEND,                                                                                           \
      "UPDATE backend SET accepted = ?2, delivered = ?3, repeated = ?4, refused = ?5, overtaken = ?6, "      \
      "unresolved = ?7, dropped = ?8, handed_over = ?9 WHERE id = ?1")                                       \
    X(SET_UNTIL, "UPDATE backend SET until = CASE WHEN ?2 < 0 THEN NULL ELSE ?2 END WHERE id = ?1")          \
    X(SET_CURSOR, "INSERT INTO cursor VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE SET row = excluded.row")      \
    X(SUM_SINCE,                                                                                             \
      "SELECT sum(r.records) FROM cursor c CROSS JOIN batch r ON r.slot = c.slot AND r.id > c.row "          \
      "WHERE c.backend = ?1 AND r.id > ?2 AND (r.owed IS NULL OR instr(r.owed, ?3))")                        \
    X(SET_POSTING, "INSERT INTO posting VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE SET note = excluded.note")  \
    X(REMOVE_POSTING, "DELETE FROM posting WHERE backend = ?1 AND key = ?2")                                 \
    X(ADD_REFUSAL, "INSERT INTO refusal VALUES(NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")    \
    X(OLDEST_REFUSAL, "SELECT id, bytes FROM refusal ORDER BY id LIMIT 1")                                   \
    X(REMOVE_REFUSAL, "DELETE FROM refusal WHERE id = ?1")                                                   \
    X(GET_REFUSAL, "SELECT backend, cause, bytes FROM refusal WHERE id = ?1")                                \
    X(SET_REFUSAL, "UPDATE refusal SET status = ?2, words = ?3, at = ?4, records = ?5, bytes = ?6, "         \
                   "payload = CASE WHEN length(?7) = 0 THEN payload ELSE ?7 END WHERE id = ?1")              \
    X(SUM_REFUSALS, "SELECT sum(bytes) FROM refusal")                                                        \
    X(ADD_MILESTONE, "INSERT OR REPLACE INTO milestone VALUES(?1, ?2, ?3)")                                  \
    X(LAST_MILESTONE, "SELECT row, at FROM milestone WHERE slot = ?1 ORDER BY row DESC LIMIT 1")             \
    X(RIPE_MILESTONE, "SELECT max(row) FROM milestone WHERE slot = ?1 AND at <= ?2")                         \
    X(REMOVE_MILESTONES, "DELETE FROM milestone WHERE slot = ?1 AND row <= ?2")                              \
    X(SET_REPLAY,                                                                                            \
      "UPDATE replay SET row = ?3, delivered = delivered + ?4, refused = refused + ?5, is_done = ?6, "       \
      "touched = ?7 WHERE backend = ?1 AND plan = ?2 AND NOT is_done")                                       \
    X(CHANGED, "SELECT changes()")                                                                           \
    X(ADD_REPLAY, "INSERT INTO replay VALUES(NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)")                         \
    X(OLDEST_REPLAY,                                                                                         \
      "SELECT id, delivered FROM replay WHERE backend = ?1 AND (SELECT count(*) FROM replay WHERE "          \
      "backend = ?1) > ?2 ORDER BY id LIMIT 1")                                                              \
    X(REMOVE_REPLAY, "DELETE FROM replay WHERE id = ?1")                                                     \
    X(INHERIT_REPLAY,                                                                                        \
      "UPDATE replay SET delivered = delivered + ?2 WHERE id = (SELECT min(id) FROM replay WHERE backend = " \
      "?1)")                                                                                                 \
    X(LOAD_PROGRESS, "SELECT slot, max(at) FROM progress WHERE backend = ?1 GROUP BY slot")                  \
    X(ADD_PROGRESS, "INSERT OR REPLACE INTO progress VALUES(?1, ?2, ?3, ?4)")                                \
    X(REMOVE_PROGRESS,                                                                                       \
      "DELETE FROM progress WHERE backend = ?1 AND slot = ?2 AND at < (SELECT at FROM progress WHERE "       \
      "backend = ?1 AND slot = ?2 ORDER BY at DESC LIMIT 1 OFFSET ?3 - 1)")                                  \
    X(VACUUM, "PRAGMA incremental_vacuum(256)")

#define X(id, text) BUFFER_SQL_##id,
enum buffer_statement { BUFFER_STATEMENTS(X) BUFFER_SQL_COUNT };
#undef X

struct buffer_origin; /* buffer_origins.h */

enum { BUFFER_ORIGIN_BUCKETS = 4096, BUFFER_MAX_HOOKS = BUFFER_MAX_BACKENDS + 8 };

struct buffer_backend {
    int64_t id;
    char *name;     /* owned */
    char key[24];   /* ",ID,": how a row's owed names it */
    bool is_active; /* configured now */
    bool is_dirty;  /* its counts differ from the table's */
    int64_t until;  /* not active: it is owed nothing after this row */
    uint64_t accepted, by_cause[BUFFER_CAUSES];
    int64_t cursor[BUFFER_SLOTS];
    int64_t noted_at[BUFFER_SLOTS]; /* buffer_progress.h; 0: never */
};

struct buffer_slot { /* row ids; 0: none */
    int64_t oldest;  /* of the rows kept, but those that cannot be removed */
    int64_t newest;
    int64_t through;                     /* up to here every row is settled at every active backend */
    int64_t milestone_row, milestone_at; /* the newest milestone */
};

struct buffer_work; /* buffer_writer.h */

struct buffer {
    /* constant after buffer_open */
    char *folder, *path; /* owned */
    char id[BUFFER_ID_LEN + 1];
    enum telemetry signal;
    enum buffer_when_full when_full;
    bool keeps_senders;
    int64_t quota_bytes, quota_age_ns, retention_ns;
    int64_t max_pages, wal_limit_bytes, checkpoint_bytes, refusal_limit_bytes;
    int lock_fd;
    struct {
        void (*fn)(void *ctx);
        void *ctx;
    } hooks[BUFFER_MAX_HOOKS];
    int hook_count;
    pthread_mutex_t hook_lock; /* of hooks, also while they are called */

    /* of the writer */
    sqlite3 *db;
    sqlite3_stmt *sql[BUFFER_SQL_COUNT];
    struct buffer_backend *backends; /* owned; every one the file ever had */
    size_t backend_count;
    struct buffer_slot slots[BUFFER_SLOTS];
    struct buffer_origin *buckets[BUFFER_ORIGIN_BUCKETS]; /* owned */
    struct buffer_origin *dirty_origins;                  /* borrowed from buckets, linked */
    size_t origin_count;
    int64_t unremovable[BUFFER_SLOTS]; /* damaged rows up to here stay where they are */
    int64_t next_row, row_count, refusal_bytes, refusals_forgotten;
    bool next_row_is_dirty, refusals_forgotten_is_dirty;
    bool mirror_is_valid; /* false: it could not be read after a rollback; nothing is done before it is */
    int64_t now_ns;       /* of the transaction */
    int64_t pages, free_pages;             /* when the transaction began, then estimated */
    int64_t wal_bytes;                     /* in use, after the last commit */
    int64_t wal_checkpointed;              /* of those, written back */
    bool is_too_old;                       /* the oldest row owed is, when the file was tidied last */
    bool wal_is_short;                     /* a batch found no room in it */
    int64_t transaction_bytes;             /* estimated growth of the WAL by this transaction */
    int64_t next_tidy_ns, next_restart_ns; /* monotonic */
    struct buffer_state tally;             /* what buffer_get_state shows, but what is computed then */

    /* of any thread */
    _Atomic int64_t published[BUFFER_SLOTS];
    _Atomic uint64_t damaged_rows;
    pthread_mutex_t state_lock;
    struct buffer_state state;
    struct buffer_reader *readers; /* under state_lock */
    struct buffer_recent recent;
    pthread_t thread;
    pthread_mutex_t queue_lock; /* of the four below */
    pthread_cond_t queue_filled;
    struct buffer_work *first, *last;
    bool is_stopping, has_thread;
};

/* buffer_store_open: opens the file of the buffer, whose constants are set; prepares; loads. */
int buffer_store_open(struct buffer *buffer, const struct buffer_options *options, struct buf *errors);
void buffer_store_close(struct buffer *buffer);

/* buffer_store_load: reads the mirror from the tables (again). */
int buffer_store_load(struct buffer *buffer);

/* buffer_store_begin, _commit, _rollback: one transaction. commit writes what is dirty first. After a commit
 * that failed, rollback is owed; it also loads again. */
int buffer_store_begin(struct buffer *buffer);
int buffer_store_commit(struct buffer *buffer);
void buffer_store_rollback(struct buffer *buffer);

/* buffer_store_try: makes the transaction write something, to see whether the volume takes it. */
int buffer_store_try(struct buffer *buffer);

/* buffer_store_probe: a transaction that does nothing else. */
int buffer_store_probe(struct buffer *buffer);

/* buffer_store_bind: the statement with its arguments, as buffer_sql_bind. */
#define buffer_store_bind(buffer, statement, ...)                                                            \
    buffer_sql_bind((buffer)->sql[BUFFER_SQL_##statement], __VA_ARGS__)

#endif
