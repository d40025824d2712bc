#include "node-agent/logs/tail_read.h"

#include <errno.h>
#include <unistd.h>

#include "node-agent/logs/gunzip.h"
#include "node-agent/logs/logtext.h"
#include "node-agent/logs/tail_line.h"

enum { HOLE = 4096 }; /* NULs from here on are a hole in the file, and not a part of a line */

void tail_reader_init(struct tail_reader *r, size_t max_line, struct push *push)
{
    *r = (struct tail_reader){.max_line = max_line, .push = push};
    buf_init(&r->block, max_line + 4096 > TAIL_BLOCK ? max_line + 4096 : TAIL_BLOCK);
    buf_init(&r->resolved, r->block.max);
    buf_init(&r->text, 3 * (max_line + 1) + sizeof LOGTEXT_MARK);
}

void tail_reader_fini(struct tail_reader *r)
{
    buf_fini(&r->block);
    buf_fini(&r->text);
    buf_fini(&r->resolved);
}

void tail_reader_release(struct tail_reader *r)
{
    buf_release(&r->block, 0);
    buf_release(&r->text, 0);
    buf_release(&r->resolved, 0);
    if (r->rules)
        log_rules_release(r->rules);
}

/* Reads up to len bytes at from into the block. How many, or a negative errno. */
static ssize_t fill(struct tail_reader *r, struct tail_file *file, uint64_t from, size_t len)
{
    int err = r->block.cap < r->block.max ? buf_reserve(&r->block, r->block.max) : 0;
    if (err < 0)
        return err;
    ssize_t n = tail_file_read(file, r->block.ptr, len < r->block.max ? len : r->block.max, from);
    if (n >= 0)
        r->block.len = (size_t)n;
    return n;
}

/* Length of NULs at the start: a hole that a truncation under a writer's offset leaves. */
static size_t nul_len(const uint8_t *p, const uint8_t *end)
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
        size_t nuls = nul_len(p, newline);
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
        ssize_t n = fill(r, file, file->scanned, r->block.max);
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
    ssize_t n = fill(r, file, file->pos, r->block.max);
    if (n < 0)
        return (int)n;
    int err = tail_line_take(r, log, file, file->pos, buf_bytes(&r->block));
    if (err == 0)
        file->pos = end + has_newline;
    *budget -= *budget < r->max_line ? *budget : r->max_line;
    return err;
}

static bool is_finished(const struct tail_reader *r, const struct tail_file *file, int64_t wait_ns)
{
    return !file->live && r->mono_ns - file->changed_ns >= wait_ns;
}

/* What stands behind the last newline: sent once nothing more can come. */
static int take_rest(struct tail_reader *r, struct tail_log *log, struct tail_file *file,
                     enum tail_result *ret_result)
{
    size_t nuls = nul_len(r->block.ptr, r->block.ptr + r->block.len);
    if (!is_finished(r, file, r->linger_ns)) {
        *ret_result = file->live ? TAIL_DONE : TAIL_WAIT;
        return 0;
    }
    int err = tail_line_take(r, log, file, file->pos + nuls, bytes_skip(buf_bytes(&r->block), nuls));
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
    ssize_t n = fill(r, file, file->pos, len);
    int err = n < 0 ? (int)n : tail_file_check(file);
    if (err < 0)
        return err;
    size_t nuls = n > 0 ? nul_len(r->block.ptr, r->block.ptr + n) : 0;
    if (nuls >= HOLE && file->pos + nuls < file->size)
        file->hole = file->pos += nuls; /* so that the line behind it has the block for itself */
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
    if (file->inflate || (!file->live && is_finished(r, file, r->linger_ns))) {
        file->pos = file->size;
    } else {
        ssize_t n = fill(r, file, from, (size_t)(file->size - from));
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

/* 0 with the result, or an error that ends the round. */
static int read_file(struct tail_reader *r, struct tail_log *log, struct tail_file *file, uint64_t *budget,
                     enum tail_result *ret_result)
{
    int err = 0;
    *ret_result = TAIL_DONE;
    if (file->fd < 0 && file->pos < file->size)
        err = tail_file_reopen(file, log->folder);
    if (err == 0 && file->fd >= 0)
        err = tail_file_look(file, r->mono_ns);
    if (err == 0 && file->fd >= 0 && tail_file_may_be_other(file))
        err = tail_file_check(file);
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
        if (file->pos > 0 && !file->identity && (err == 0 || err == -EMSGSIZE)) {
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

/* Whether what the stream has open has waited long enough to be sent as it is. */
static bool is_due(const struct tail_reader *r, const struct tail_log *log, int s, bool ended)
{
    const struct tail_stream *stream = &log->streams[s];
    if (stream->part.open)
        return r->mono_ns - stream->part.grown_ns >= (ended ? r->linger_ns : r->part_wait_ns);
    if (!tail_log_has_join(log, s) || stream->join->past)
        return false;
    int64_t wait_ns = log->plan && log->plan->multiline ? log->plan->multiline->wait_ns : 0;
    return r->mono_ns - stream->join->grown_ns >= (ended ? r->linger_ns : wait_ns + MULTILINE_MARGIN_NS);
}

/* Sends lines that stayed open though no more of them will come. */
static int flush(struct tail_reader *r, struct tail_log *log, struct tail_file *last,
                 enum tail_result *ret_result)
{
    bool ended = log->ended || is_finished(r, last, 0);
    for (int s = 0; s < CRI_STREAMS; s++) {
        if (!is_due(r, log, s, ended)) {
            if (tail_log_has_join(log, s) && !log->streams[s].join->past)
                *ret_result = TAIL_WAIT;
            continue;
        }
        int err = tail_line_flush(r, log, last, s);
        if (err == -EMSGSIZE)
            *ret_result = TAIL_FULL;
        if (err < 0)
            return err == -EMSGSIZE ? 0 : err;
    }
    return 0;
}

/* Lines and records that were begun in an earlier file and are open as this one's turn comes. A stream that
 * has an end in this file already is past them: they were sent. Else the file holds the rest, and its own end
 * must not pass it. */
static void carry_lines(struct tail_log *log, struct tail_file *file, const bool begun[CRI_STREAMS])
{
    for (int s = 0; s < CRI_STREAMS; s++) {
        if (!begun[s] || tail_file_open_at(file, s) != TAIL_NONE)
            continue;
        if (file->skip[s] > 0 && file->skip[s] >= file->pos) {
            tail_log_close_line(log, s);
            tail_log_close_join(log, s);
            continue;
        }
        if (log->streams[s].part.open)
            file->open_at[s] = file->pos;
        if (tail_log_has_join(log, s))
            file->join_at[s] = file->pos;
    }
}

/* Lets the lines of the block, which begins at from, pass to be remembered. A line behind a hole is whole. */
static int recall_block(struct tail_reader *r, struct tail_log *log, struct tail_file *file, uint64_t from)
{
    const uint8_t *p = r->block.ptr, *end = p + r->block.len, *newline;
    bool whole = from == 0 || (file->head[0] == 0 && *p == 0);
    int err = 0;
    r->recalling = true;
    for (; p < end && err == 0 && (newline = memchr(p, '\n', (size_t)(end - p)));
         p = newline + 1, whole = true) {
        size_t nuls = nul_len(p, newline);
        uint64_t offset = from + (uint64_t)(p - r->block.ptr) + nuls;
        if (whole)
            err =
                tail_line_take(r, log, file, offset, (struct bytes){p + nuls, (size_t)(newline - p) - nuls});
    }
    r->recalling = false;
    return err;
}

static bool has_open(const struct tail_log *log)
{
    for (int s = 0; s < CRI_STREAMS; s++)
        if ((log->streams[s].part.open && !log->streams[s].part.past) ||
            (tail_log_has_join(log, s) && !log->streams[s].join->past))
            return true;
    return false;
}

static int recall_file(struct tail_reader *r, struct tail_log *log, struct tail_file *file)
{
    if (tail_file_look(file, r->mono_ns) < 0)
        return 0;
    int err = tail_file_inflate(file, r->block.max, &r->gunzips);
    if (err < 0)
        return err;
    file->recalled = true;
    for (int s = 0; s < CRI_STREAMS; s++) {
        tail_log_close_line(log, s);
        tail_log_close_join(log, s);
    }
    uint64_t from = file->pos > r->block.max ? file->pos - r->block.max : 0;
    if (fill(r, file, from, (size_t)(file->pos - from)) > 0 && tail_file_check(file) == 0)
        err = recall_block(r, log, file, from);
    if (file->pos >= file->size)
        tail_file_deflate(file);
    return err;
}

/* Looks at the lines before the file's position, or where it is read from its beginning at those before the
 * position in an earlier one, so that the next line is compared with them: files before it may have been read
 * from further back. 0; -EBUSY: not now; -ENOMEM. */
static int recall(struct tail_reader *r, struct tail_log *log, struct tail_file *file)
{
    struct tail_file *before = file->pos > 0 ? file : NULL;
    if (before && before->recalled)
        return 0;
    if (file->fd >= 0 && tail_file_look(file, r->mono_ns) < 0)
        return 0;
    for (struct tail_file *f = log->files; file->pos == 0 && f != file; f = f->next)
        before = f->fd >= 0 && f->pos > 0 ? f : before;
    bool is_wanted = before && before->fd >= 0 && !before->recalled && file->pos < file->size;
    return is_wanted && !has_open(log) ? recall_file(r, log, before) : 0;
}

/* What is behind the file's position comes after all lines that its streams had. */
static void mark_recalled(struct tail_log *log, const struct tail_file *last)
{
    log->recalled = true;
    for (struct tail_file *f = log->files; f != last->next; f = f->next)
        f->recalled = true;
}

int tail_read(struct tail_reader *r, struct tail_log *log, uint64_t budget, enum tail_result *ret_result)
{
    struct bytes labels[PUSH_STREAMS];
    struct tail_file *last = NULL;
    bool begun[CRI_STREAMS] = {false};
    enum tail_result result = TAIL_DONE;
    int err = 0;
    if (r->policy && (err = log_policy_refresh(r->policy, log)) < 0)
        return err;
    for (int i = 0; i < PUSH_STREAMS; i++)
        labels[i] = bytes_of_string(log->streams[i].labels);
    push_begin_log(r->push, labels);
    for (struct tail_file *f = log->files; f && err == 0 && result == TAIL_DONE; f = f->next) {
        last = f;
        carry_lines(log, f, begun);
        if (recall(r, log, f) < 0) {
            result = TAIL_WAIT;
            break;
        }
        uint64_t before = f->pos;
        err = read_file(r, log, f, &budget, &result);
        if (f->pos > before)
            mark_recalled(log, f);
        for (int s = 0; s < CRI_STREAMS; s++)
            begun[s] |= tail_file_open_at(f, s) != TAIL_NONE;
        if (result == TAIL_DONE && f->next && f->fd >= 0 &&
            !is_finished(r, f, r->linger_ns < TAIL_MAX_PAUSE_NS ? r->linger_ns : TAIL_MAX_PAUSE_NS))
            result = TAIL_WAIT;
    }
    if (err == 0 && last && result == TAIL_DONE)
        err = flush(r, log, last, &result);
    tail_line_settle(r, log);
    int end_err = push_end_log(r->push);
    *ret_result = result;
    return err < 0 ? err : end_err;
}
