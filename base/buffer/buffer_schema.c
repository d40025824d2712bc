#include "base/buffer/buffer_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer/buffer_sql.h"
#include "base/buffer/buffer_vfs.h"

enum { LEAST_FILE = 512 /* the smallest page of SQLite */ };

/* How the file is used. secure_delete is ON in Debian's build and nearly doubles what is written. */
static const char pragmas[] =
    "PRAGMA page_size=32768;"
    "PRAGMA auto_vacuum=INCREMENTAL;"
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=FULL;"
    "PRAGMA secure_delete=OFF;"
    "PRAGMA wal_autocheckpoint=0;" /* buffer_space.c checkpoints after the answers */
    "PRAGMA cache_size=-2048;"
    "PRAGMA temp_store=MEMORY;"
    "PRAGMA foreign_keys=OFF;";

/* sources: a line "FILE BEGIN END" for each run of a file that the batch holds, of a spool "HOST BEGIN END"
 * for each of an unknown sender; NULL: none. Heads and payloads are apart so that heads are read densely: 100
 * rows a page, not one or two. owed: NULL is every backend, else backend ids as ",1,5,"; "," is nobody
 * (handed over). Times are nanoseconds since 1970.
 */
static const char tables[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE batch(id INTEGER PRIMARY KEY, slot INTEGER NOT NULL, origin TEXT NOT NULL, boot_id INTEGER "
    "NOT NULL,"
    " boot_started INTEGER NOT NULL, format INTEGER NOT NULL, seq INTEGER NOT NULL, records INTEGER NOT NULL,"
    " raw_bytes INTEGER NOT NULL, payload_bytes INTEGER NOT NULL, largest_stream_bytes INTEGER NOT NULL,"
    " earliest INTEGER NOT NULL, latest INTEGER NOT NULL, committed_at INTEGER NOT NULL, crc INTEGER NOT "
    "NULL,"
    " handed_over INTEGER NOT NULL, goes_back INTEGER NOT NULL, owed TEXT, sources TEXT);"
    "CREATE INDEX batch_by_slot ON batch(slot, id, records, payload_bytes, committed_at, owed);"
    "CREATE TABLE payload(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
    "CREATE TABLE origin(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, latest INTEGER NOT NULL,"
    " seen INTEGER NOT NULL, blocked INTEGER NOT NULL);"
    "CREATE TABLE boot(id INTEGER PRIMARY KEY, origin INTEGER NOT NULL, boot_id INTEGER NOT NULL,"
    " boot_started INTEGER NOT NULL, delivered INTEGER NOT NULL);"
    "CREATE TABLE number(boot INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,"
    " PRIMARY KEY(boot, first)) WITHOUT ROWID;"
    "CREATE TABLE file_end(origin INTEGER NOT NULL, file TEXT NOT NULL, end INTEGER NOT NULL, touched "
    "INTEGER NOT NULL,"
    " PRIMARY KEY(origin, file)) WITHOUT ROWID;"
    "CREATE TABLE backend(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, until INTEGER, accepted INTEGER "
    "NOT NULL,"
    " delivered INTEGER NOT NULL, repeated INTEGER NOT NULL, refused INTEGER NOT NULL, overtaken INTEGER NOT "
    "NULL,"
    " unresolved INTEGER NOT NULL, dropped INTEGER NOT NULL, handed_over INTEGER NOT NULL);"
    "CREATE TABLE cursor(backend INTEGER NOT NULL, slot INTEGER NOT NULL, row INTEGER NOT NULL,"
    " PRIMARY KEY(backend, slot)) WITHOUT ROWID;"
    "CREATE TABLE posting(backend INTEGER NOT NULL, key INTEGER NOT NULL, note BLOB NOT NULL,"
    " PRIMARY KEY(backend, key)) WITHOUT ROWID;"
    "CREATE TABLE refusal(id INTEGER PRIMARY KEY, backend INTEGER NOT NULL, row INTEGER NOT NULL,"
    " origin TEXT NOT NULL, cause INTEGER NOT NULL, status INTEGER NOT NULL, words TEXT NOT NULL,"
    " format INTEGER NOT NULL, records INTEGER NOT NULL, at INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " payload BLOB NOT NULL, source TEXT NOT NULL DEFAULT '');"
    "CREATE TABLE milestone(slot INTEGER NOT NULL, row INTEGER NOT NULL, at INTEGER NOT NULL,"
    " PRIMARY KEY(slot, row)) WITHOUT ROWID;";

/* What came after the first files of this version were made; readers of those do not look for it. */
static const char additions[] =
    "CREATE TABLE IF NOT EXISTS replay(id INTEGER PRIMARY KEY, backend INTEGER NOT NULL, plan TEXT NOT NULL,"
    " row INTEGER NOT NULL, delivered INTEGER NOT NULL, refused INTEGER NOT NULL, is_done INTEGER NOT NULL,"
    " started INTEGER NOT NULL, touched INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS progress(backend INTEGER NOT NULL, slot INTEGER NOT NULL, at INTEGER NOT "
    "NULL,"
    " row INTEGER NOT NULL, PRIMARY KEY(backend, slot, at)) WITHOUT ROWID;"
    "CREATE VIEW IF NOT EXISTS replays AS SELECT b.name AS backend, p.plan, p.row AS row_id, p.delivered,"
    " p.refused, p.is_done, strftime('%Y-%m-%dT%H:%M:%fZ', p.started / 1e9, 'unixepoch') AS started_at,"
    " strftime('%Y-%m-%dT%H:%M:%fZ', p.touched / 1e9, 'unixepoch') AS touched_at"
    " FROM replay p JOIN backend b ON b.id = p.backend;";

#define ISO(column) "strftime('%Y-%m-%dT%H:%M:%fZ', " column " / 1e9, 'unixepoch')"
#define HEAD                                                                                                 \
    "r.id AS row_id, r.slot, r.origin, printf('%016x', r.boot_id) AS boot, r.seq, r.format, r.records, "     \
    "r.raw_bytes,"                                                                                           \
    " r.payload_bytes, " ISO("r.earliest") " AS earliest, " ISO("r.latest") " AS latest, " ISO(              \
        "r.committed_at") " AS committed_at"
#define OWED "(r.owed IS NULL OR instr(r.owed, ',' || b.id || ','))"

#define REFUSED_VIEW                                                                                         \
    "CREATE VIEW refused AS SELECT f.id, coalesce(b.name, 'agent') AS backend, f.row AS row_id, f.origin,"   \
    " CASE f.cause WHEN 1 THEN 'repeated' WHEN 2 THEN 'refused' WHEN 3 THEN 'overtaken' WHEN 4 THEN "        \
    "'unresolved'"                                                                                           \
    " ELSE 'other' END AS cause, f.status, f.words, f.format, f.records, " ISO(                              \
        "f.at") " AS at, f.payload,"                                                                         \
                " f.source FROM refusal f LEFT JOIN backend b ON b.id = f.backend;"

/* Files of this version that were made before refusals and rows had sources. */
static const char sources[] =
    "BEGIN IMMEDIATE; ALTER TABLE refusal ADD COLUMN source TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE batch ADD COLUMN sources TEXT; DROP VIEW refused;" REFUSED_VIEW "COMMIT;";

static const char views[] =
    "CREATE VIEW pending AS SELECT b.name AS backend, " HEAD
    " FROM backend b JOIN cursor c ON c.backend = b.id"
    " JOIN batch r ON r.slot = c.slot AND r.id > c.row WHERE b.until IS NULL AND " OWED ";"
    "CREATE VIEW delivered AS SELECT b.name AS backend, " HEAD
    " FROM backend b JOIN cursor c ON c.backend = b.id"
    " JOIN batch r ON r.slot = c.slot AND r.id <= c.row WHERE " OWED ";" REFUSED_VIEW
    "CREATE VIEW cursors AS SELECT b.name AS backend, c.slot, c.row AS row_id, b.until IS NULL "
    "AS is_configured"
    " FROM cursor c JOIN backend b ON b.id = c.backend;"
    "CREATE VIEW origins AS SELECT o.name AS origin, printf('%016x', t.boot_id) AS boot, " ISO(
        "t.boot_started") " AS boot_started, t.delivered AS delivered_seq,"
                          " (SELECT group_concat(n.first || '-' || n.last) FROM number n WHERE "
                          "n.boot = t.id) AS committed_seqs,"
                          " (SELECT count(*) FROM file_end e WHERE e.origin = o.id) AS "
                          "files, " ISO("o.seen") " AS last_seen"
                                                  " FROM origin o LEFT JOIN boot t ON t.origin = o.id;";

/* A random UUID, version 4, variant 1 (RFC 4122). */
static int draw_id(char ret_id[37])
{
    uint8_t r[16];
    if (getrandom(r, sizeof r, 0) != (ssize_t)sizeof r)
        return -EIO;
    r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
    r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
    char *at = ret_id;
    for (int i = 0; i < 16; i++)
        at += sprintf(at, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", r[i]);
    return 0;
}

static int make(sqlite3 *db)
{
    char id[37], meta[256];
    int err = draw_id(id);
    if (err < 0)
        return err;
    snprintf(meta, sizeof meta,
             "INSERT INTO meta VALUES('id', '%s'), ('next_row', 1), ('refusals_forgotten', 0);"
             "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT;",
             id, BUFFER_APPLICATION_ID, BUFFER_SCHEMA_VERSION);
    const char *const steps[] = {"BEGIN IMMEDIATE;", tables, views, meta};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        err = buffer_sql_exec(db, steps[i]);
        if (err < 0)
            return err;
    }
    return 0;
}

static int get_number(sqlite3 *db, const char *text, int64_t *ret_value)
{
    sqlite3_stmt *statement = NULL;
    int err = buffer_sql_prepare(db, &text, 1, &statement);
    if (err == 0)
        err = buffer_sql_number(statement, 0, ret_value);
    sqlite3_finalize(statement);
    return err;
}

int buffer_schema_id(sqlite3 *db, char ret_id[37])
{
    static const char *const text = "SELECT value FROM meta WHERE name = 'id'";
    sqlite3_stmt *statement = NULL;
    int err = buffer_sql_prepare(db, &text, 1, &statement);
    if (err == 0 && (err = buffer_sql_row(statement)) == 1) {
        const char *id = (const char *)sqlite3_column_text(statement, 0);
        err = id && strlen(id) == 36 ? 0 : -EUCLEAN;
        if (err == 0)
            memcpy(ret_id, id, 37);
    } else if (err == 0) {
        err = -EUCLEAN;
    }
    sqlite3_finalize(statement);
    return err;
}

int buffer_schema_move_aside(const char *path, const char *why, char ret_aside[BUFFER_PATH_MAX],
                             struct buf *errors)
{
    static const char *const suffixes[] = {"-wal", "-shm", ""};
    char from[BUFFER_PATH_MAX], to[BUFFER_PATH_MAX];
    long long now = (long long)time(NULL);
    do /* what was moved aside before stays */
        snprintf(to, sizeof to, "%s.%s-%lld", path, why, now++);
    while (access(to, F_OK) == 0);
    now--;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        snprintf(from, sizeof from, "%s%s", path, suffixes[i]);
        snprintf(to, sizeof to, "%s.%s-%lld%s", path, why, now, suffixes[i]);
        if (rename(from, to) < 0 && errno != ENOENT) {
            int err = -errno;
            buf_printf(errors, "%s: cannot be moved aside: %s\n", from, strerror(-err));
            return err;
        }
    }
    buf_printf(errors, "%s: moved aside as %s; a new buffer was made\n", path, to);
    if (ret_aside)
        memcpy(ret_aside, to, sizeof to);
    return 0;
}

/* Whether the open file is one of this version. -EUCLEAN damaged or foreign, -EPROTONOSUPPORT newer. */
static int check(sqlite3 *db, int64_t *ret_version)
{
    int64_t application, schema;
    int err = get_number(db, "SELECT count(*) FROM sqlite_schema", &schema);
    if (err < 0)
        return err;
    if (schema == 0)
        return make(db);
    err = get_number(db, "PRAGMA user_version", ret_version);
    if (err == 0)
        err = get_number(db, "PRAGMA application_id", &application);
    if (err < 0)
        return err;
    if (application != BUFFER_APPLICATION_ID)
        return -EUCLEAN;
    return *ret_version == BUFFER_SCHEMA_VERSION ? 0 : -EPROTONOSUPPORT;
}

/* SQLite would make it readable for everybody; its -wal and -shm take its mode. -EUCLEAN: shorter than any
 * database, which SQLite would take for an empty one. */
static int make_private(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    struct stat st;
    int err = fstat(fd, &st) < 0 ? -errno : st.st_size > 0 && st.st_size < LEAST_FILE ? -EUCLEAN : 0;
    close(fd); /* nothing of ours has it open yet, so no lock goes with it */
    return err;
}

/* What this version's first files lacked. */
static int bring_up(sqlite3 *db)
{
    int64_t has_source;
    int err = buffer_sql_exec(db, additions);
    if (err == 0)
        err = get_number(db, "SELECT count(*) FROM pragma_table_info('refusal') WHERE name = 'source'",
                         &has_source);
    return err < 0 || has_source ? err : buffer_sql_exec(db, sources);
}

static int open_once(const char *path, sqlite3 **ret_db, int64_t *ret_version)
{
    sqlite3 *db;
    int err = buffer_sql_open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, buffer_vfs_name(), &db);
    if (err < 0)
        return err;
    err = buffer_sql_exec(db, pragmas);
    if (err == 0)
        err = check(db, ret_version);
    if (err == 0)
        err = bring_up(db);
    if (err < 0) {
        err = buffer_sql_opening_error(db, err);
        sqlite3_close(db);
        return err;
    }
    *ret_db = db;
    return 0;
}

int buffer_schema_open(const char *path, sqlite3 **ret_db, char ret_aside[BUFFER_PATH_MAX],
                       struct buf *errors)
{
    int64_t version = 0;
    int err = make_private(path);
    bool is_no_file = err == -EISDIR || err == -EACCES || err == -ELOOP; /* stands where it should be */
    if (err == 0)
        err = open_once(path, ret_db, &version);
    bool is_newer = err == -EPROTONOSUPPORT;
    if (err == -EUCLEAN || is_newer || is_no_file) {
        char why[32];
        if (is_no_file)
            buf_printf(errors, "%s: cannot be opened: %s\n", path, strerror(-err));
        snprintf(why, sizeof why, is_newer ? "version-%lld" : "damaged", (long long)version);
        err = buffer_schema_move_aside(path, why, is_newer ? NULL : ret_aside, errors);
        if (err == 0)
            err = make_private(path);
        if (err == 0)
            err = open_once(path, ret_db, &version);
    }
    if (err < 0)
        buf_printf(errors, "%s: cannot be opened: %s\n", path, strerror(-err));
    return err;
}
