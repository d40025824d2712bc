#include "base/buffer/buffer_missing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers that belong to no boot, or to one of no origin, are damage, and come as NULL. */
static const char text_of_numbers[] =
    "SELECT o.name, t.boot_id, t.boot_started, t.delivered, n.first, n.last FROM number n "
    "LEFT JOIN boot t ON t.id = n.boot LEFT JOIN origin o ON o.id = t.origin ORDER BY n.boot, n.first";

/* ---- what was seen */

struct buffer_seen_boot {
    char origin[BATCH_MAX_ORIGIN + 1];
    struct boot boot;
    struct buffer_ranges numbers; /* owned */
};

static struct buffer_seen_boot *find_boot(struct buffer_seen *seen, const char *origin, struct boot boot)
{
    for (size_t i = 0; i < seen->count; i++) {
        size_t at = (seen->last + i) % seen->count; /* most often the same again */
        struct buffer_seen_boot *have = &seen->boots[at];
        if (boot_compare(have->boot, boot) == 0 && strcmp(have->origin, origin) == 0) {
            seen->last = at;
            return have;
        }
    }
    return NULL;
}

static struct buffer_seen_boot *get_boot(struct buffer_seen *seen, const struct buffer_row *row)
{
    struct buffer_seen_boot *have = find_boot(seen, row->origin, row->boot);
    if (have)
        return have;
    struct buffer_seen_boot *grown = realloc(seen->boots, (seen->count + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    seen->boots = grown;
    have = &grown[seen->count++];
    *have = (struct buffer_seen_boot){.boot = row->boot};
    snprintf(have->origin, sizeof have->origin, "%s", row->origin);
    return have;
}

int buffer_seen_add(struct buffer_seen *seen, const struct buffer_row *row)
{
    struct buffer_ranges_change change;
    struct buffer_seen_boot *have = get_boot(seen, row);
    if (!have)
        return -ENOMEM;
    return buffer_ranges_has(&have->numbers, row->seq) ? 0
                                                       : buffer_ranges_add(&have->numbers, row->seq, &change);
}

void buffer_seen_fini(struct buffer_seen *seen)
{
    for (size_t i = 0; i < seen->count; i++)
        buffer_ranges_fini(&seen->boots[i].numbers);
    free(seen->boots);
    *seen = (struct buffer_seen){0};
}

/* ---- lines */

struct naming {
    void (*say)(void *ctx, const char *line);
    void *ctx;
    char line[900]; /* the boot's so far; "" none */
    size_t len;
    uint64_t count;
    char origin[BATCH_MAX_ORIGIN + 1];
    struct boot boot;
};

static void say_line(struct naming *n)
{
    if (n->len)
        n->say(n->ctx, n->line);
    n->len = 0;
}

/* The numbers from first to last are missing. */
static void name_run(struct naming *n, uint64_t first, uint64_t last)
{
    if (n->len + 48 > sizeof n->line)
        say_line(n);
    if (n->len == 0)
        n->len = (size_t)snprintf(n->line, sizeof n->line, "missing: origin=%s boot=%016llx seq=", n->origin,
                                  (unsigned long long)n->boot.id);
    else
        n->line[n->len++] = ',';
    n->len +=
        (size_t)snprintf(n->line + n->len, sizeof n->line - n->len, first == last ? "%llu" : "%llu-%llu",
                         (unsigned long long)first, (unsigned long long)last);
    n->count += last - first + 1;
}

/* What of a committed range was not found; numbers up to `low` may have left the file. */
static void name_range(struct naming *n, struct buffer_range range, uint64_t low,
                       const struct buffer_ranges *found)
{
    uint64_t at = range.first > low ? range.first : low + 1;
    for (size_t i = 0; found && i < found->count && at <= range.last; i++) {
        struct buffer_range have = found->items[i];
        if (have.last < at)
            continue;
        if (have.first > range.last)
            break;
        if (have.first > at)
            name_run(n, at, have.first - 1);
        at = have.last + 1;
    }
    if (at <= range.last && at > 0)
        name_run(n, at, range.last);
}

static void begin_boot(struct naming *n, const char *origin, struct boot boot)
{
    if (boot_compare(boot, n->boot) == 0 && strcmp(origin, n->origin) == 0)
        return;
    say_line(n);
    snprintf(n->origin, sizeof n->origin, "%s", origin);
    n->boot = boot;
}

void buffer_seen_say(const struct buffer_seen *seen, void (*say)(void *ctx, const char *line), void *ctx)
{
    struct naming n = {.say = say, .ctx = ctx};
    for (size_t i = 0; i < seen->count; i++) {
        const struct buffer_seen_boot *have = &seen->boots[i];
        begin_boot(&n, have->origin, have->boot);
        for (size_t k = 0; k < have->numbers.count; k++)
            name_run(&n, have->numbers.items[k].first, have->numbers.items[k].last);
    }
    say_line(&n);
}

/* ---- what was committed */

static int take_range(struct naming *n, struct buffer_seen *seen, sqlite3_stmt *row)
{
    const char *name = (const char *)sqlite3_column_text(row, 0);
    struct boot boot = {(uint64_t)sqlite3_column_int64(row, 1), sqlite3_column_int64(row, 2)};
    uint64_t delivered = (uint64_t)sqlite3_column_int64(row, 3);
    struct buffer_range range = {(uint64_t)sqlite3_column_int64(row, 4),
                                 (uint64_t)sqlite3_column_int64(row, 5)};
    if (!name || strlen(name) > BATCH_MAX_ORIGIN || range.first == 0 || range.first > range.last)
        return -EUCLEAN;
    begin_boot(n, name, boot);
    const struct buffer_seen_boot *have = find_boot(seen, name, boot);
    uint64_t lowest = have ? have->numbers.items[0].first : UINT64_MAX;
    name_range(n, range, lowest <= delivered ? lowest : delivered, have ? &have->numbers : NULL);
    return 0;
}

int buffer_missing_find(sqlite3 *db, struct buffer_seen *seen, void (*say)(void *ctx, const char *line),
                        void *ctx, uint64_t *ret_count)
{
    static const char *const text = text_of_numbers;
    struct naming n = {.say = say, .ctx = ctx};
    sqlite3_stmt *row = NULL;
    int got = buffer_sql_prepare(db, &text, 1, &row), wrong = 0;
    while (got >= 0 && (got = buffer_sql_row(row)) > 0)
        wrong |= take_range(&n, seen, row);
    say_line(&n);
    sqlite3_finalize(row);
    *ret_count = n.count;
    return got < 0 ? got : wrong < 0 ? -EUCLEAN : 0;
}
