#include "node-agent/logs/tail_read.h"

#include <errno.h>

#include "node-agent/logs/logtext.h"
#include "node-agent/logs/tail_line.h"
#include "node-agent/logs/tail_scan.h"

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
    bool ended = log->ended || tail_scan_is_finished(r, last, 0);
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
    bool whole = from == 0 || (file->head.at > 0 && *p == 0);
    int err = 0;
    r->recalling = true;
    for (; p < end && err == 0 && (newline = memchr(p, '\n', (size_t)(end - p)));
         p = newline + 1, whole = true) {
        size_t nuls = tail_scan_nuls(p, newline);
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
    if (tail_scan_fill(r, file, from, (size_t)(file->pos - from)) > 0 && tail_file_check(file) == 0)
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

/* Whether a file has something to read while a later one has a line open: it was seen late (a copy of what
 * was truncated), or grew late. */
static bool is_out_of_order(const struct tail_log *log)
{
    bool has_unread = false;
    for (const struct tail_file *f = log->files; f; f = f->next) {
        for (int s = 0; s < CRI_STREAMS && has_unread; s++)
            if (tail_file_open_at(f, s) != TAIL_NONE)
                return true;
        has_unread |= f->fd >= 0 && !f->error && f->pos < f->size;
    }
    return false;
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
    if (is_out_of_order(log)) /* what is open is read again behind what comes before it */
        tail_log_fall_back(log);
    for (struct tail_file *f = log->files; f && err == 0 && result == TAIL_DONE; f = f->next) {
        last = f;
        carry_lines(log, f, begun);
        if (recall(r, log, f) < 0) {
            result = TAIL_WAIT;
            break;
        }
        uint64_t before = f->pos;
        err = tail_scan_file(r, log, f, &budget, &result);
        if (f->pos > before)
            mark_recalled(log, f);
        for (int s = 0; s < CRI_STREAMS; s++)
            begun[s] |= tail_file_open_at(f, s) != TAIL_NONE;
        if (result == TAIL_DONE && f->next && f->fd >= 0 &&
            !tail_scan_is_finished(r, f, r->linger_ns < TAIL_MAX_PAUSE_NS ? r->linger_ns : TAIL_MAX_PAUSE_NS))
            result = TAIL_WAIT;
    }
    if (err == 0 && last && result == TAIL_DONE)
        err = flush(r, log, last, &result);
    tail_line_settle(r, log);
    int end_err = push_end_log(r->push);
    *ret_result = result;
    return err < 0 ? err : end_err;
}
