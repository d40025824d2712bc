#include "base/buffer/buffer_check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer/buffer_missing.h"
#include "base/buffer/buffer_walk.h"

enum { MOST_PAYLOAD = 1 << 30 };

struct checking {
    void (*say)(void *ctx, const char *line);
    void *ctx;
    struct buffer_check found;
    struct buffer_seen seen; /* numbers of the rows whose heads can be read */
};

static void tell(struct checking *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(struct checking *c, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    c->say(c->ctx, line);
}

static void check_structure(struct checking *c, sqlite3 *db)
{
    static const char *const text = "PRAGMA integrity_check(100)";
    sqlite3_stmt *statement = NULL;
    int got = buffer_sql_prepare(db, &text, 1, &statement);
    while (got >= 0 && (got = buffer_sql_row(statement)) > 0) {
        const char *line = (const char *)sqlite3_column_text(statement, 0);
        if (line && strcmp(line, "ok") == 0)
            continue;
        c->found.problems++;
        tell(c, "structure: %s", line ? line : "?");
    }
    if (got < 0) {
        c->found.problems++;
        tell(c, "structure: %s", sqlite3_errmsg(db));
    }
    sqlite3_finalize(statement);
}

static void say_missing(void *ctx, const char *line)
{
    struct checking *c = ctx;
    c->say(c->ctx, line);
}

static void check_numbers(struct checking *c, sqlite3 *db)
{
    if (buffer_missing_find(db, &c->seen, say_missing, c, &c->found.missing) < 0)
        tell(c, "the committed numbers cannot be read whole");
}

static int check_rows(struct checking *c, struct buffer_walk *walk)
{
    struct buffer_row row;
    struct buf payload;
    int err;
    buf_init(&payload, MOST_PAYLOAD);
    while ((err = buffer_walk_next(walk, &row)) == 0) {
        err = buffer_walk_payload(walk, &row, &payload);
        if (err == 0 || err == -EBADMSG) { /* a damaged row is named as one */
            int noted = buffer_seen_add(&c->seen, &row);
            err = noted < 0 ? noted : err;
        }
        if (err == -ENOMEM)
            break;
        if (err == 0) {
            c->found.rows++;
            c->found.records += row.records;
            continue;
        }
        c->found.damaged++;
        tell(c, "row %lld is damaged: origin=%s boot=%016llx seq=%llu records=%llu", (long long)row.id,
             row.origin, (unsigned long long)row.boot.id, (unsigned long long)row.seq,
             (unsigned long long)row.records);
    }
    buf_fini(&payload);
    c->found.unreadable = walk->unreadable;
    if (walk->unreadable)
        tell(c, "%llu rows between %lld and %lld cannot be read", (unsigned long long)walk->unreadable,
             (long long)walk->first_unreadable, (long long)walk->last_unreadable);
    return err == -ENOENT ? 0 : err;
}

int buffer_check_file(const char *path, void (*say)(void *ctx, const char *line), void *ctx,
                      struct buffer_check *ret_check)
{
    struct checking c = {.say = say, .ctx = ctx};
    struct buffer_walk walk;
    int err = buffer_walk_open(&walk, path);
    if (err < 0) {
        tell(&c, "cannot be opened: %s", err == -EUCLEAN ? "it is damaged" : strerror(-err));
        return err;
    }
    (void)buffer_sql_exec(walk.db, "BEGIN"); /* rows and numbers of one moment */
    check_structure(&c, walk.db);
    err = check_rows(&c, &walk);
    if (err == 0)
        check_numbers(&c, walk.db);
    buffer_seen_fini(&c.seen);
    buffer_walk_close(&walk);
    *ret_check = c.found;
    return err;
}
