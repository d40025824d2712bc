#include "base/buffer/buffer_interior.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer/buffer_schema.h"

enum {
    PAGE = BUFFER_PAGE_SIZE,
    INTERIOR_TABLE = 0x05,
    LEAF_TABLE = 0x0d,
    HEADER = 12, /* of an interior page */
    MOST_LEVELS = 20,
    MAP_ENTRIES = PAGE / 5, /* of a pointer map page, which stands before the pages that it tells of */
    MAP_CHILD = 5,
    AUTO_VACUUM = 52, /* in the file's header: not 0: there is a pointer map */
};

struct check {
    sqlite3_file *file; /* borrowed */
    uint32_t pages;
    bool has_map;
    uint8_t *seen;   /* owned; a bit a page: it is some page's child */
    uint32_t map_at; /* which page map holds; 0: none */
    uint8_t map[PAGE];
    uint8_t levels[MOST_LEVELS][PAGE];
};

static uint32_t get_16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get_32(const uint8_t *at)
{
    return get_16(at) << 16 | get_16(at + 2);
}

/* A rowid: at most nine bytes, seven bits each and eight of the last. */
static bool get_key(const uint8_t *at, const uint8_t *end, int64_t *ret_key)
{
    uint64_t value = 0;
    for (int i = 0; i < 9 && at + i < end; i++) {
        bool is_last = i == 8 || at[i] < 0x80;
        value = i == 8 ? value << 8 | at[i] : value << 7 | (at[i] & 0x7f);
        if (is_last) {
            *ret_key = (int64_t)value;
            return true;
        }
    }
    return false;
}

/* 0, -EUCLEAN: there is no such page, -EIO. */
static int read_page(const struct check *check, uint32_t number, uint8_t to[PAGE])
{
    if (number == 0 || number > check->pages)
        return -EUCLEAN;
    int code = check->file->pMethods->xRead(check->file, to, PAGE, (int64_t)(number - 1) * PAGE);
    return code == SQLITE_OK ? 0 : -EIO;
}

/* 0 when the pointer map says that child is a page below parent. */
static int check_map(struct check *check, uint32_t child, uint32_t parent)
{
    uint32_t nth = (child - 2) % (MAP_ENTRIES + 1), map = child - nth;
    if (nth == 0)
        return -EUCLEAN; /* it is a pointer map page itself */
    if (check->map_at != map) {
        check->map_at = 0;
        int err = read_page(check, map, check->map);
        if (err < 0)
            return err;
        check->map_at = map;
    }
    const uint8_t *entry = check->map + (size_t)(nth - 1) * 5;
    return entry[0] == MAP_CHILD && get_32(entry + 1) == parent ? 0 : -EUCLEAN;
}

/* 0 when nobody else has that child. */
static int note_child(struct check *check, uint32_t child)
{
    if (child < 3 || child > check->pages)
        return -EUCLEAN;
    uint8_t bit = (uint8_t)(1 << child % 8);
    bool was_seen = check->seen[child / 8] & bit;
    check->seen[child / 8] |= bit;
    return was_seen ? -EUCLEAN : 0;
}

/* The nth child and the greatest rowid that may stand below it; count of them: the rightmost, below most. */
static int read_child(const uint8_t page[PAGE], uint32_t nth, uint32_t count, int64_t most,
                      uint32_t *ret_child, int64_t *ret_key)
{
    *ret_key = most;
    if (nth == count) {
        *ret_child = get_32(page + 8);
        return 0;
    }
    uint32_t at = get_16(page + HEADER + 2 * nth);
    if (at < HEADER + 2 * count || at > PAGE - 5 || !get_key(page + at + 4, page + PAGE, ret_key))
        return -EUCLEAN;
    *ret_child = get_32(page + at);
    return 0;
}

/* How many levels stand above the leaves, by the leftmost path. */
static int find_height(struct check *check, uint32_t root)
{
    uint8_t *page = check->levels[0];
    int64_t key;
    for (int height = 0; height < MOST_LEVELS; height++) {
        int err = read_page(check, root, page);
        if (err < 0)
            return err;
        if (page[0] == LEAF_TABLE)
            return height;
        uint32_t count = get_16(page + 3);
        if (page[0] != INTERIOR_TABLE || HEADER + 2 * count > PAGE)
            return -EUCLEAN;
        err = read_child(page, 0, count, INT64_MAX, &root, &key);
        if (err < 0)
            return err;
    }
    return -EUCLEAN;
}

struct span { /* of rowids: behind after, up to most */
    int64_t after, most;
};

/* A page so many levels above the leaves. */
static int check_page(struct check *check, uint32_t number, int height, struct span span)
{
    uint8_t *page = check->levels[height];
    int err = read_page(check, number, page);
    if (err < 0)
        return err;
    uint32_t count = get_16(page + 3);
    if (page[0] != INTERIOR_TABLE || HEADER + 2 * count > PAGE)
        return -EUCLEAN;
    for (uint32_t nth = 0; err == 0 && nth <= count; nth++) {
        uint32_t child;
        int64_t key;
        err = read_child(page, nth, count, span.most, &child, &key);
        if (err == 0 && (nth < count ? key <= span.after || key > span.most : key < span.after))
            err = -EUCLEAN;
        if (err == 0)
            err = note_child(check, child);
        if (err == 0 && check->has_map)
            err = check_map(check, child, number);
        if (err == 0 && height > 1)
            err = check_page(check, child, height - 1, (struct span){span.after, key});
        span.after = key;
    }
    return err;
}

static int open_check(sqlite3 *db, struct check *check)
{
    uint8_t *header = check->levels[0];
    sqlite3_int64 size;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &check->file) != SQLITE_OK ||
        !check->file || !check->file->pMethods ||
        check->file->pMethods->xFileSize(check->file, &size) != SQLITE_OK)
        return -EIO;
    check->pages = (uint32_t)(size / PAGE);
    check->seen = calloc(1, check->pages / 8 + 1);
    int err = check->seen ? read_page(check, 1, header) : -ENOMEM;
    if (err == 0)
        check->has_map = get_32(header + AUTO_VACUUM) != 0;
    return err;
}

static uint32_t find_root(sqlite3 *db, const char *table)
{
    sqlite3_stmt *row = NULL;
    uint32_t root = 0;
    if (sqlite3_prepare_v2(db, "SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name = ?1", -1,
                           &row, NULL) == SQLITE_OK &&
        sqlite3_bind_text(row, 1, table, -1, SQLITE_STATIC) == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW)
        root = (uint32_t)sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return root;
}

int buffer_interior_check(sqlite3 *db, const char *table)
{
    int in_wal, written_back;
    if (sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_wal, &written_back) != SQLITE_OK ||
        in_wal != written_back)
        return 0;
    struct check *check = calloc(1, sizeof *check);
    uint32_t root = find_root(db, table);
    int err = check && root ? open_check(db, check) : -EIO;
    int height = err == 0 ? find_height(check, root) : err;
    if (height > 0)
        err = check_page(check, root, height, (struct span){INT64_MIN, INT64_MAX});
    free(check ? check->seen : NULL);
    free(check);
    return height == -EUCLEAN || err == -EUCLEAN ? -EUCLEAN : 0;
}
