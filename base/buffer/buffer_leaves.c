#include "base/buffer/buffer_leaves.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer/buffer_schema.h"

enum {
    PAGE = BUFFER_PAGE_SIZE,
    LEAF_TABLE = 0x0d,
    LEAF_HEADER = 8,
    MOST_LOCAL = PAGE - 35,
    LEAST_LOCAL = (PAGE - 12) * 32 / 255 - 23,
    OVERFLOW_BYTES = PAGE - 4,
    MAP_ENTRIES = PAGE / 5, /* of a pointer map page, which stands before the pages that it tells of */
    MAP_FREE = 2,
    HEAD_COLUMNS = 18, /* of the first files; then 19 */
    MOST_COLUMNS = 20,
    HEAD_BYTES = 4096, /* of a head, as far as its columns are wanted */
};

struct buffer_leaf_row {
    int64_t id;
    uint32_t page;
    uint16_t at; /* of the cell on the page */
};

/* ---- the format */

/* At most nine bytes, seven bits each and eight of the last. */
static bool get_varint(struct bytes *in, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (size_t i = 0; i < 9 && i < in->len; i++) {
        uint8_t byte = in->ptr[i];
        bool is_last = i == 8 || byte < 0x80;
        value = i == 8 ? value << 8 | byte : value << 7 | (byte & 0x7f);
        if (!is_last)
            continue;
        *in = (struct bytes){in->ptr + i + 1, in->len - i - 1};
        *ret_value = value;
        return true;
    }
    return false;
}

static uint32_t get_16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get_32(const uint8_t *at)
{
    return get_16(at) << 16 | get_16(at + 2);
}

struct cell {
    int64_t id;
    uint64_t len;       /* of the record */
    struct bytes local; /* what of it stands on the page */
    uint32_t overflow;  /* 0: all of it */
};

static bool read_cell(const uint8_t page[PAGE], size_t at, struct cell *ret)
{
    struct bytes in = {page + at, PAGE - at};
    uint64_t len, id;
    if (!get_varint(&in, &len) || !get_varint(&in, &id) || id == 0 || id > INT64_MAX || len > INT32_MAX)
        return false;
    uint64_t wanted = LEAST_LOCAL + (len - LEAST_LOCAL) % OVERFLOW_BYTES;
    size_t local = len <= MOST_LOCAL ? (size_t)len : wanted <= MOST_LOCAL ? (size_t)wanted : LEAST_LOCAL;
    bool is_cut = local < len;
    if (local + (is_cut ? 4 : 0) > in.len)
        return false;
    *ret = (struct cell){(int64_t)id, len, {in.ptr, local}, is_cut ? get_32(in.ptr + local) : 0};
    return !is_cut || ret->overflow > 1;
}

struct columns {
    uint64_t types[MOST_COLUMNS];
    size_t count;
    struct bytes body; /* behind the header, as far as it is at hand */
};

static bool read_columns(struct bytes record, struct columns *ret)
{
    struct bytes in = record;
    uint64_t header;
    ret->count = 0;
    if (!get_varint(&in, &header) || header > record.len || header < record.len - in.len)
        return false;
    in.len = (size_t)header - (record.len - in.len);
    while (in.len > 0)
        if (ret->count == MOST_COLUMNS || !get_varint(&in, &ret->types[ret->count++]))
            return false;
    ret->body = (struct bytes){record.ptr + header, record.len - (size_t)header};
    return true;
}

static size_t size_of(uint64_t type)
{
    static const uint8_t sizes[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0};
    return type < 12 ? sizes[type] : (size_t)((type - 12) / 2);
}

static bool is_payload(const struct columns *c)
{
    return c->count == 2 && c->types[0] == 0 && c->types[1] >= 12 && c->types[1] % 2 == 0;
}

static bool is_head(const struct columns *c)
{
    bool is_one = c->count >= HEAD_COLUMNS && c->count <= HEAD_COLUMNS + 1 && c->types[0] == 0;
    for (size_t i = 1; is_one && i < 17; i++)
        is_one = i == 2 ? c->types[i] >= 13 && c->types[i] % 2 : c->types[i] != 0 && c->types[i] < 10;
    return is_one;
}

/* ---- the index */

static bool add(struct buffer_leaf_index *index, struct buffer_leaf_row row)
{
    if (index->count == index->size) {
        size_t size = index->size ? index->size * 2 : 1024;
        struct buffer_leaf_row *grown =
            size > BUFFER_LEAVES_MOST ? NULL : realloc(index->rows, size * sizeof *grown);
        if (!grown)
            return false;
        index->rows = grown;
        index->size = size;
    }
    index->rows[index->count++] = row;
    return true;
}

static int compare(const void *a, const void *b)
{
    const struct buffer_leaf_row *x = a, *y = b;
    return x->id != y->id ? (x->id < y->id ? -1 : 1) : x->page != y->page ? (x->page < y->page ? -1 : 1) : 0;
}

static size_t find(const struct buffer_leaf_index *index, int64_t at_least)
{
    size_t low = 0, high = index->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (index->rows[middle].id < at_least)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct buffer_leaf_row *get(const struct buffer_leaf_index *index, int64_t id, size_t nth)
{
    size_t at = find(index, id) + nth;
    return at < index->count && index->rows[at].id == id ? &index->rows[at] : NULL;
}

static int read_page(const struct buffer_leaves *leaves, uint32_t page, uint8_t to[PAGE])
{
    off_t at = (off_t)(page - 1) * PAGE;
    return page >= 1 && page <= leaves->pages && pread(leaves->fd, to, PAGE, at) == PAGE ? 0 : -EBADMSG;
}

static int index_page(struct buffer_leaves *leaves, uint32_t number, const uint8_t page[PAGE])
{
    size_t cells = page[0] == LEAF_TABLE ? get_16(page + 3) : 0;
    cells = LEAF_HEADER + 2 * cells <= PAGE ? cells : 0;
    for (size_t i = 0; i < cells; i++) {
        size_t at = get_16(page + LEAF_HEADER + 2 * i);
        struct cell cell;
        struct columns columns;
        if (at >= PAGE || !read_cell(page, at, &cell) || !read_columns(cell.local, &columns))
            continue;
        struct buffer_leaf_row row = {cell.id, number, (uint16_t)at};
        if ((is_payload(&columns) && !add(&leaves->payloads, row)) ||
            (is_head(&columns) && !add(&leaves->heads, row)))
            return -ENOMEM;
    }
    return 0;
}

/* The pointer map page of a run of pages is read when the run begins; a damaged one calls few of them free,
 * and no harm is done by looking at a free page: what is found must be right by itself. */
static int index_all(struct buffer_leaves *leaves)
{
    uint8_t *page = malloc(PAGE), *map = calloc(1, PAGE);
    int err = page && map ? 0 : -ENOMEM;
    for (uint32_t number = 2; err == 0 && number <= leaves->pages; number++) {
        uint32_t place = (number - 2) % (MAP_ENTRIES + 1);
        uint8_t *to = place == 0 ? map : page;
        if (read_page(leaves, number, to) < 0) {
            memset(to, 0, PAGE);
            continue;
        }
        if (place > 0 && map[(place - 1) * 5] != MAP_FREE)
            err = index_page(leaves, number, page);
    }
    free(page);
    free(map);
    return err;
}

static void sort(struct buffer_leaf_index *index)
{
    if (index->count)
        qsort(index->rows, index->count, sizeof *index->rows, compare);
}

int buffer_leaves_open(struct buffer_leaves *leaves, const char *path)
{
    struct stat st;
    *leaves = (struct buffer_leaves){.fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (leaves->fd < 0 || fstat(leaves->fd, &st) < 0) {
        int err = -errno;
        buffer_leaves_close(leaves);
        return err;
    }
    leaves->pages = (uint32_t)(st.st_size / PAGE);
    int err = index_all(leaves);
    if (err < 0) {
        buffer_leaves_close(leaves);
        return err;
    }
    sort(&leaves->heads);
    sort(&leaves->payloads);
    return 0;
}

void buffer_leaves_close(struct buffer_leaves *leaves)
{
    if (leaves->fd > 0)
        close(leaves->fd);
    free(leaves->heads.rows);
    free(leaves->payloads.rows);
    *leaves = (struct buffer_leaves){0};
}

int64_t buffer_leaves_next(const struct buffer_leaves *leaves, int64_t after)
{
    size_t at = find(&leaves->heads, after + 1);
    return at < leaves->heads.count ? leaves->heads.rows[at].id : 0;
}

/* ---- rows */

static int append_overflow(struct buffer_leaves *leaves, uint32_t page, uint64_t left, struct buf *out)
{
    uint8_t *bytes = malloc(PAGE);
    int err = bytes ? 0 : -ENOMEM;
    while (err == 0 && left > 0) {
        size_t len = left < OVERFLOW_BYTES ? (size_t)left : OVERFLOW_BYTES;
        err = read_page(leaves, page, bytes);
        if (err == 0)
            err = buf_append(out, bytes + 4, len);
        page = get_32(bytes);
        left -= len;
    }
    free(bytes);
    return err;
}

/* Appends the record, at most `most` bytes of it. */
static int read_record(struct buffer_leaves *leaves, const struct buffer_leaf_row *row, uint64_t most,
                       struct buf *out)
{
    uint8_t *page = malloc(PAGE);
    struct cell cell;
    int err = page ? read_page(leaves, row->page, page) : -ENOMEM;
    if (err == 0 && (!read_cell(page, row->at, &cell) || cell.id != row->id))
        err = -EBADMSG;
    if (err == 0)
        err = buf_append(out, cell.local.ptr, cell.local.len);
    uint64_t len = err == 0 && cell.len < most ? cell.len : most;
    if (err == 0 && len > cell.local.len)
        err = append_overflow(leaves, cell.overflow, len - cell.local.len, out);
    free(page);
    return err;
}

static bool next_column(struct columns *c, size_t i, struct bytes *ret)
{
    size_t size = i < c->count ? size_of(c->types[i]) : 0;
    if (size > c->body.len)
        return false;
    *ret = (struct bytes){c->body.ptr, size};
    c->body = (struct bytes){c->body.ptr + size, c->body.len - size};
    return true;
}

static int64_t number_of(uint64_t type, struct bytes column)
{
    if (type == 8 || type == 9)
        return (int64_t)type - 8;
    uint64_t value = column.len && column.ptr[0] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = 0; i < column.len; i++)
        value = value << 8 | column.ptr[i];
    return (int64_t)value;
}

/* The columns in the order of the table (buffer_schema.c). */
static int take_head(struct columns *c, struct buffer_row *row, char *owed, size_t owed_size)
{
    int64_t numbers[17] = {0};
    struct bytes column;
    for (size_t i = 0; i < 17; i++) {
        if (!next_column(c, i, &column))
            return -EBADMSG;
        if (i == 2 && column.len >= sizeof row->origin)
            return -EBADMSG;
        if (i == 2)
            snprintf(row->origin, sizeof row->origin, "%.*s", (int)column.len, (const char *)column.ptr);
        else
            numbers[i] = number_of(c->types[i], column);
    }
    bool is_owed_to_all = c->types[17] == 0;
    if (!next_column(c, 17, &column) || column.len >= owed_size || (!is_owed_to_all && column.len == 0))
        return -EBADMSG;
    snprintf(owed, owed_size, "%.*s", (int)column.len, column.len ? (const char *)column.ptr : "");
    row->slot = (int)numbers[1];
    row->boot = (struct boot){(uint64_t)numbers[3], numbers[4]};
    row->format = (enum batch_format)numbers[5];
    row->seq = (uint64_t)numbers[6];
    row->records = (uint64_t)numbers[7];
    row->raw_bytes = (uint64_t)numbers[8];
    row->payload_bytes = (uint64_t)numbers[9];
    row->largest_stream_bytes = (uint64_t)numbers[10];
    row->earliest_ns = numbers[11];
    row->latest_ns = numbers[12];
    row->committed_at_ns = numbers[13];
    row->crc = (uint32_t)numbers[14];
    row->handed_over = numbers[15];
    row->goes_back = numbers[16];
    return 0;
}

int buffer_leaves_head(struct buffer_leaves *leaves, int64_t id, size_t nth, struct buffer_row *ret_row,
                       char *ret_owed, size_t owed_size)
{
    const struct buffer_leaf_row *place = get(&leaves->heads, id, nth);
    struct buffer_row row = {.id = id};
    struct columns columns;
    struct buf record;
    if (!place)
        return -ENOENT;
    buf_init(&record, HEAD_BYTES + PAGE);
    int err = read_record(leaves, place, HEAD_BYTES, &record);
    if (err == 0 && (!read_columns(buf_bytes(&record), &columns) || !is_head(&columns)))
        err = -EBADMSG;
    if (err == 0)
        err = take_head(&columns, &row, ret_owed, owed_size);
    buf_fini(&record);
    if (err == 0)
        *ret_row = row;
    return err;
}

int buffer_leaves_payload(struct buffer_leaves *leaves, int64_t id, size_t nth, struct buf *out)
{
    const struct buffer_leaf_row *place = get(&leaves->payloads, id, nth);
    struct columns columns;
    if (!place)
        return -ENOENT;
    struct buf record;
    buf_init(&record, INT32_MAX);
    int err = read_record(leaves, place, UINT64_MAX, &record);
    if (err == 0 && (!read_columns(buf_bytes(&record), &columns) || !is_payload(&columns) ||
                     columns.body.len != size_of(columns.types[1])))
        err = -EBADMSG;
    if (err == 0)
        err = buf_append(out, columns.body.ptr, columns.body.len);
    buf_fini(&record);
    return err;
}
