#include "gateway/ask/refused_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOURCES_MAX = 64 * 1024, NAME_MAX_BYTES = 256, LEAST_HEAD = 40, MOST_HEAD = 48 };

struct line { /* what of the refused line is looked for */
    char namespace[NAME_MAX_BYTES], pod[NAME_MAX_BYTES], container[NAME_MAX_BYTES], filename[NAME_MAX_BYTES];
    int64_t time_ns;
};

struct run { /* of the line's file, in the row */
    char file[BATCH_MAX_FILE + 1];
    uint64_t begin, end;
    size_t count; /* of runs that could be it; the first is kept */
};

/* ---- the line */

static void copy_label(const struct record *record, const char *name, char storage[NAME_MAX_BYTES])
{
    struct bytes value = record_find(record, bytes_of_string(name));
    size_t len = value.len < NAME_MAX_BYTES ? value.len : 0;
    if (len)
        memcpy(storage, value.ptr, len);
    storage[len] = '\0';
}

static int take_line(void *ctx, const struct record *record)
{
    struct line *line = ctx;
    copy_label(record, "namespace", line->namespace);
    copy_label(record, "pod", line->pod);
    copy_label(record, "container", line->container);
    copy_label(record, "filename", line->filename);
    line->time_ns = record->time_ns;
    return 1;
}

static bool is_of(const struct record *record, const char *name, const char *value)
{
    return bytes_equal(record_find(record, bytes_of_string(name)), bytes_of_string(value));
}

/* ---- the run of the file */

/* A file's name is NAMESPACE_POD_UID/CONTAINER/RESTART, or a host file's path. */
static bool is_file_of(const char *file, size_t len, const struct line *line)
{
    char begin[2 * NAME_MAX_BYTES], middle[NAME_MAX_BYTES + 2];
    if (!line->pod[0])
        return strlen(line->filename) == len && memcmp(file, line->filename, len) == 0;
    int n = snprintf(begin, sizeof begin, "%s_%s_", line->namespace, line->pod);
    int m = snprintf(middle, sizeof middle, "/%s/", line->container);
    return (size_t)n < len && memcmp(file, begin, (size_t)n) == 0 &&
           memmem(file + n, len - (size_t)n, middle, (size_t)m);
}

static void consider(const char *text, const struct line *line, struct run *run)
{
    char key[BATCH_MAX_FILE + 1];
    uint64_t begin, end;
    if (sscanf(text, "%512s %" SCNu64 " %" SCNu64, key, &begin, &end) != 3)
        return;
    size_t len = strcspn(key, ":");
    if (!is_file_of(key, len, line))
        return;
    if (run->count++ == 0) {
        key[len] = '\0';
        *run = (struct run){.begin = begin, .end = end, .count = 1};
        memcpy(run->file, key, len + 1);
    } else {
        run->begin = begin < run->begin ? begin : run->begin;
        run->end = end > run->end ? end : run->end;
    }
}

static bool find_run(struct payload *payload, const struct buffer_row *row, const struct line *line,
                     struct run *run)
{
    struct buf sources;
    *run = (struct run){0};
    buf_init(&sources, SOURCES_MAX);
    int err = buffer_reader_sources(payload->reader, row->id, &sources);
    if (err == 0 && sources.len)
        err = buf_append(&sources, "", 1);
    for (char *at = (char *)sources.ptr; err == 0 && at && *at; at += strcspn(at, "\n"), at += *at == '\n')
        consider(at, line, run);
    buf_fini(&sources);
    return run->count > 0;
}

/* ---- the line's own offset */

struct lines_before {
    const struct line *line;
    uint64_t lines, bytes;               /* of the run */
    uint64_t lines_before, bytes_before; /* those of an earlier time */
};

static int count_line(void *ctx, const struct record *record)
{
    struct lines_before *b = ctx;
    if (!is_of(record, "pod", b->line->pod) || !is_of(record, "namespace", b->line->namespace) ||
        !is_of(record, "container", b->line->container))
        return 0;
    b->lines++;
    b->bytes += record->text.len;
    if (record->time_ns < b->line->time_ns) {
        b->lines_before++;
        b->bytes_before += record->text.len;
    }
    return 0;
}

/* Whether every line has as many bytes before its text, so that the offset follows. */
static bool find_offset(struct payload *payload, const struct buffer_row *row, const struct line *line,
                        const struct run *run, uint64_t *ret_offset)
{
    struct lines_before b = {.line = line};
    struct bytes raw;
    if (!line->pod[0] || run->count != 1 || payload_raw(payload, row, &raw) < 0 ||
        records_each(row->format, raw, count_line, &b) < 0 || b.lines == 0)
        return false;
    uint64_t len = run->end - run->begin, head = len > b.bytes ? (len - b.bytes) / b.lines : 0;
    if (head < LEAST_HEAD || head > MOST_HEAD || b.bytes + head * b.lines != len)
        return false;
    *ret_offset = run->begin + b.bytes_before + head * b.lines_before;
    return true;
}

void refused_source_find(struct payload *payload, const struct buffer_row *row, struct bytes message,
                         bool is_exact, char storage[RECORD_SOURCE_MAX])
{
    struct line line = {0};
    struct run run;
    uint64_t offset;
    record_source_of(payload_format(payload, row), message, storage);
    if (row->format != FORMAT_LOKI_PUSH || records_each(row->format, message, take_line, &line) != 1 ||
        !find_run(payload, row, &line, &run))
        return;
    size_t len = strlen(storage);
    const char *space = len ? " " : "";
    if (is_exact && find_offset(payload, row, &line, &run, &offset))
        snprintf(storage + len, RECORD_SOURCE_MAX - len, "%sfile %s offset %" PRIu64, space, run.file,
                 offset);
    else
        snprintf(storage + len, RECORD_SOURCE_MAX - len, "%sfile %s offset %" PRIu64 "-%" PRIu64, space,
                 run.file, run.begin, run.end);
}
