#include "node-agent/logs/tail_scan.h"

#include <errno.h>

#include "node-agent/logs/gunzip.h"
#include "node-agent/logs/tail_line.h"

enum { HOLE = 4096 }; /* NULs from here on are a hole in the file, and not a part of a line */

ssize_t tail_scan_fill(struct tail_reader *r, struct tail_file *file, uint64_t from, size_t len)
{
    int err = r->block.cap < r->block.max ? buf_reserve(&r->block, r->block.max) : 0;
    if (err < 0)
        return err;
    ssize_t n = tail_file_read(file, r->block.ptr, len < r->block.max ? len : r->block.max, from);
    if (n >= 0)
        r->block.len = (size_t)n;
    return n;
}

size_t tail_scan_nuls(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *at = p;
    while (at < end && !*at)
        at++;
    return (size_t)(at - p);
}

/* Takes the lines of the block, about budget bytes of them; the file's position moves behind each. */
static int take_lines(struct tail_reader *r, struct tail_log *log, struct tail_file *file, uint64_t budget)
{
    const uint8_t *p = r->block.ptr, *end = p + r->block.len, *newline;
    uint64_t start = file->pos, limit = start + budget;
    for (; p < end && file->pos < limit && (newline = memchr(p, '\n', (size_t)(end - p))); p = newline + 1) {
        size_t nuls = tail_scan_nuls(p, newline);
        int err = tail_line_take(r, log, file, file->pos + nuls,
                                 (struct bytes){p + nuls, (size_t)(newline - p) - nuls});
        if (err < 0)
            return err;
        file->pos = start + (uint64_t)(newline + 1 - r->block.ptr);
    }
    return 0;
}

/* Where the line at pos ends, looking on from where the last look ended; TAIL_NONE: not yet. */
static uint64_t find_end(struct tail_reader *r, struct tail_file *file, bool *ret_newline)
{
    *ret_newline = false;
    if (file->scanned < file->pos)
        file->scanned = file->pos;
    while (file->scanned < file->size && file->scanned - file->pos < TAIL_MAX_LINE) {
        ssize_t n = tail_scan_fill(r, file, file->scanned, r->block.max);
        if (n <= 0)
            return TAIL_NONE;
        const uint8_t *newline = memchr(r->block.ptr, '\n', (size_t)n);
        *ret_newline = newline != NULL;
        if (newline)
            return file->scanned + (uint64_t)(newline - r->block.ptr);
        file->scanned += (uint64_t)n;
    }
    return file->scanned - file->pos >= TAIL_MAX_LINE ? file->scanned : TAIL_NONE;
}

/* A line that is larger than the block: its begin is taken, the rest is passed over. */
static int take_long_line(struct tail_reader *r, struct tail_log *log, struct tail_file *file,
                          uint64_t *budget, bool *ret_found)
{
    bool has_newline;
    uint64_t end = find_end(r, file, &has_newline);
    *ret_found = end != TAIL_NONE;
    if (end == TAIL_NONE)
        return 0;
    ssize_t n = tail_scan_fill(r, file, file->pos, r->block.max);
    if (n < 0)
        return (int)n;
    int err = tail_line_take(r, log, file, file->pos, buf_bytes(&r->block));
    if (err == 0)
        file->pos = end + has_newline;
    *budget -= *budget < r->max_line ? *budget : r->max_line;
    return err;
}

bool tail_scan_is_finished(const struct tail_reader *r, const struct tail_file *file, int64_t wait_ns)
{
    return !file->live && r->mono_ns - file->changed_ns >= wait_ns;
}

/* What stands behind the last newline: sent once nothing more can come. */
static int take_rest(struct tail_reader *r, struct tail_log *log, struct tail_file *file,
                     enum tail_result *ret_result)
{
    size_t nuls = tail_scan_nuls(r->block.ptr, r->block.ptr + r->block.len);
    if (!tail_scan_is_finished(r, file, r->linger_ns)) {
        *ret_result = file->live ? TAIL_DONE : TAIL_WAIT;
        return 0;
    }
    struct bytes rest = bytes_skip(buf_bytes(&r->block), nuls);
    int err = rest.len ? tail_line_take(r, log, file, file->pos + nuls, rest) : 0;
    if (err == 0)
        file->pos = file->size;
    *ret_result = TAIL_DONE;
    return err;
}

/* Whether the truncated file held some of what the stream has open, or would have held the rest: not when it
 * only stands between the file where that began and a later one. */
static bool has_lost_rest(const struct tail_file *file, int stream)
{
    uint64_t open = tail_file_open_at(file, stream);
    return open != TAIL_NONE && (open < file->pos || file->live);
}

/* The file was truncated or written anew: the rest of an open line went with it, so what there is of it is
 * sent. */
static int restart(struct tail_reader *r, struct tail_log *log, struct tail_file *file)
{
    for (int s = 0; s < CRI_STREAMS; s++) {
        int err = has_lost_rest(file, s) ? tail_line_flush(r, log, file, s) : 0;
        if (err < 0)
            return err;
    }
    tail_file_restart(file);
    log->is_longer = true;
    return tail_file_look(file, r->mono_ns);
}

/* Reads len bytes at the file's position, makes sure that they are of this file, and takes their lines. 0,
 * -ESTALE, or what tail_line_take says. */
static int read_lines(struct tail_reader *r, struct tail_log *log, struct tail_file *file, size_t len,
                      uint64_t *budget)
{
    uint64_t before = file->pos;
    ssize_t n = tail_scan_fill(r, file, file->pos, len);
    int err = n < 0 ? (int)n : tail_file_check(file);
    if (err < 0)
        return err;
    size_t nuls = n > 0 ? tail_scan_nuls(r->block.ptr, r->block.ptr + n) : 0;
    if (nuls < (size_t)n && file->head.len == 0)
        return -ESTALE; /* emptied since it was read */
    if (nuls >= HOLE && file->pos + nuls < file->size)
        file->pos += nuls; /* so that the line behind it has the block for itself */
    else
        err = take_lines(r, log, file, *budget);
    uint64_t taken = file->pos - before;
    *budget -= taken < *budget ? taken : *budget;
    return err;
}

/* Nothing of the log is wanted: its file is passed over to its last newline. */
static int pass_over(struct tail_reader *r, const struct tail_log *log, struct tail_file *file,
                     enum tail_result *ret_result)
{
    uint64_t before = file->pos,
             from = file->size - file->pos > TAIL_RECALL ? file->size - TAIL_RECALL : file->pos;
    *ret_result = TAIL_DONE;
    if (file->inflate || (!file->live && tail_scan_is_finished(r, file, r->linger_ns))) {
        file->pos = file->size;
    } else {
        ssize_t n = tail_scan_fill(r, file, from, (size_t)(file->size - from));
        const uint8_t *newline = n > 0 ? memrchr(r->block.ptr, '\n', (size_t)n) : NULL;
        if (n < 0)
            return (int)n;
        file->pos = newline ? from + (uint64_t)(newline + 1 - r->block.ptr) : before;
    }
    file->tally.counts[LOG_EXCLUDED_BYTES] += file->pos - before;
    file->tally.rule = log->plan->excluded_by;
    log_rules_excluded(r->rules, file->pos - before);
    return 0;
}

/* One block, or as much of it as the budget asks for when that holds a line. */
static int read_block(struct tail_reader *r, struct tail_log *log, struct tail_file *file, uint64_t *budget,
                      enum tail_result *ret_result)
{
    if (log->plan && log->plan->excluded_by)
        return pass_over(r, log, file, ret_result);
    uint64_t before = file->pos, size = file->size, unread = size - before;
    size_t most = unread < r->block.max ? (size_t)unread : r->block.max;
    size_t some = *budget + TAIL_MARGIN < most ? (size_t)*budget + TAIL_MARGIN : most;
    int err = read_lines(r, log, file, some, budget);
    if (err == 0 && file->pos == before && some < most)
        err = read_lines(r, log, file, most, budget);
    if (err == -ESTALE)
        return restart(r, log, file);
    log->is_longer |= file->size > size; /* a gzip file that is longer than it said */
    if (err < 0 || file->pos > before || file->size > size)
        return err;
    bool found = false;
    if (r->block.len == r->block.max)
        err = take_long_line(r, log, file, budget, &found);
    else if (file->pos + r->block.len >= file->size && r->block.len > 0)
        return take_rest(r, log, file, ret_result);
    if (!found)
        *ret_result = TAIL_DONE;
    return err;
}

static void count_truncations(struct tail_reader *r, struct tail_file *file)
{
    if (file->truncations)
        stats_add(r->counts.truncations, file->truncations);
    file->truncations = 0;
}

int tail_scan_file(struct tail_reader *r, struct tail_log *log, struct tail_file *file, uint64_t *budget,
                   enum tail_result *ret_result)
{
    int err = 0;
    *ret_result = TAIL_DONE;
    if (file->fd < 0 && file->pos < file->size)
        err = tail_file_reopen(file, log->folder);
    if (err == 0 && file->fd >= 0)
        err = tail_file_examine(file, r->mono_ns);
    if (err == -ESTALE && file->fd >= 0)
        err = restart(r, log, file);
    if (err == 0 && file->pos < file->size)
        err = tail_file_inflate(file, r->block.max, &r->gunzips);
    count_truncations(r, file);
    if (err == -EBUSY) {
        *ret_result = TAIL_WAIT;
        return 0;
    }
    while (err == 0 && file->pos < file->size) {
        uint64_t before = file->pos, size = file->size;
        if (*budget == 0) {
            *ret_result = TAIL_MORE;
            return 0;
        }
        enum tail_result result = TAIL_MORE;
        err = read_block(r, log, file, budget, &result);
        if (file->pos > before && !(log->plan && log->plan->excluded_by))
            stats_add(r->counts.read_bytes, (int64_t)(file->pos - before));
        if (file->pos > 0 && !file->identity && file->head.len > 0 && (err == 0 || err == -EMSGSIZE)) {
            int identity_err = tail_file_identify(file, log->name); /* by a whole line at least */
            err = identity_err < 0 ? identity_err : err;
        }
        *ret_result = result == TAIL_WAIT ? TAIL_WAIT : TAIL_DONE;
        if (result != TAIL_MORE || (err == 0 && file->pos == before && file->size == size && file->identity))
            break;
    }
    if (file->pos >= file->size && file->gunzip) {
        bool is_damaged = gunzip_is_damaged(file->gunzip);
        stats_add(r->counts.errors, is_damaged);
        err = err == 0 && is_damaged ? -EBADMSG : err;
        tail_file_deflate(file);
    }
    if (err == -EMSGSIZE) {
        *ret_result = TAIL_FULL;
        return 0;
    }
    if (err != -ENOMEM)
        file->error = err;
    if (err < 0 && err != -ENOMEM)
        stats_add(r->counts.errors, 1);
    return err == -ENOMEM ? err : 0;
}
