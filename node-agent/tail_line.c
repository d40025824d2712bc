#include "node-agent/tail_line.h"

#include <errno.h>

#include "node-agent/docker.h"
#include "node-agent/logtext.h"

static uint64_t hash_of(struct bytes text)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < text.len; i++)
        h = (h ^ text.ptr[i]) * UINT64_C(1099511628211);
    return h;
}

static bool is_last_text(const struct tail_reader *r, const struct tail_stream *stream, int s,
                         struct bytes text)
{
    const struct tail_last *last = &stream->last;
    if (text.len != last->len)
        return false;
    if (last->in_push)
        return bytes_equal(push_last_text(r->push, s, last->len), text);
    return hash_of(text) == last->hash;
}

/* The time to send: 1 ns after the line before when that had the same time and text. */
static int64_t distinct_time(const struct tail_reader *r, const struct tail_stream *stream, int s,
                             int64_t time_ns, struct bytes text)
{
    const struct tail_last *last = &stream->last;
    if (time_ns < last->time_ns || time_ns > last->sent_ns || !is_last_text(r, stream, s, text))
        return time_ns;
    return last->sent_ns + 1;
}

void tail_line_remember(struct tail_stream *stream, int64_t time_ns, struct bytes text)
{
    struct tail_last *last = &stream->last;
    uint64_t hash = hash_of(text);
    bool again = time_ns >= last->time_ns && time_ns <= last->sent_ns && !last->in_push &&
                 text.len == last->len && hash == last->hash;
    last->sent_ns = again ? last->sent_ns + 1 : time_ns;
    last->time_ns = time_ns;
    last->len = text.len;
    last->hash = hash;
    last->in_push = false;
}

void tail_line_settle(struct tail_reader *r, struct tail_log *log)
{
    for (int s = 0; s < CRI_STREAMS; s++) {
        struct tail_last *last = &log->streams[s].last;
        if (last->in_push)
            last->hash = hash_of(push_last_text(r->push, s, last->len));
        last->in_push = false;
    }
}

/* The counter of the reason why the backend would not keep a line of this time, or NULL. */
static struct stats_cell *drop_cause(const struct tail_reader *r, const struct tail_stream *stream,
                                     int64_t time_ns)
{
    if (time_ns < r->wall_ns - r->max_age_ns)
        return r->counts.too_old;
    if (time_ns < stream->newest_ns - TAIL_MAX_BEHIND_NS)
        return r->counts.behind;
    if (time_ns > r->wall_ns + TAIL_MAX_AHEAD_NS)
        return r->counts.ahead;
    return NULL;
}

/* Makes text valid UTF-8 of at most max_line bytes, in r->text when it has to change. *cut: whether the line
 * was cut before, then whether it is. */
static int clean(struct tail_reader *r, bool *cut, struct bytes *text)
{
    if (text->len > r->max_line) {
        text->len = r->max_line;
        *cut = true;
    }
    if (!*cut && logtext_is_utf8(*text))
        return 0;
    buf_clear(&r->text);
    int err = logtext_repair(*text, &r->text);
    *cut |= r->text.len > r->max_line;
    if (err == 0 && *cut) {
        r->text.len = logtext_cut_len(buf_bytes(&r->text), r->max_line);
        err = buf_append_string(&r->text, LOGTEXT_MARK);
    }
    *text = buf_bytes(&r->text);
    return err;
}

static int send(struct tail_reader *r, struct tail_log *log, struct tail_file *file, int s, int64_t time_ns,
                struct bytes text, bool cut)
{
    struct tail_stream *stream = &log->streams[s];
    struct stats_cell *cause = drop_cause(r, stream, time_ns);
    if (cause) {
        stats_add(cause, 1);
        return 0;
    }
    int err = clean(r, &cut, &text);
    if (err < 0)
        return err;
    int64_t sent_ns = distinct_time(r, stream, s, time_ns, text);
    err = push_add(r->push, s, sent_ns, text);
    if (err < 0)
        return err;
    stream->last = (struct tail_last){time_ns, sent_ns, text.len, 0, true};
    if (sent_ns > stream->newest_ns)
        stream->newest_ns = sent_ns;
    if (cut)
        stats_add(r->counts.truncated, 1);
    file->lines++;
    return 0;
}

static int add_part(struct tail_reader *r, struct tail_log *log, struct tail_file *file, uint64_t offset,
                    const struct cri_line *line)
{
    struct tail_part *part = &log->streams[line->stream].part;
    size_t room = part->text.max - part->text.len;
    size_t len = line->text.len < room ? line->text.len : room;
    int err = buf_append(&part->text, line->text.ptr, len);
    if (err < 0)
        return err;
    if (!part->open)
        part->time_ns = line->time_ns;
    part->open = true;
    part->cut |= len < line->text.len;
    part->grown_ns = r->mono_ns;
    if (file->open_at[line->stream] == TAIL_NONE)
        file->open_at[line->stream] = offset;
    return 0;
}

static int close_part(struct tail_reader *r, struct tail_log *log, struct tail_file *file, int s)
{
    struct tail_part *part = &log->streams[s].part;
    int err = send(r, log, file, s, part->time_ns, buf_bytes(&part->text), part->cut);
    if (err == 0)
        tail_log_close_line(log, s);
    return err;
}

static int take_last_part(struct tail_reader *r, struct tail_log *log, struct tail_file *file,
                          uint64_t offset, const struct cri_line *line)
{
    if (!push_has_room(r->push, line->stream, r->max_line))
        return -EMSGSIZE;
    int err = add_part(r, log, file, offset, line);
    return err < 0 ? err : close_part(r, log, file, line->stream);
}

/* A line in no known format: sent as it is, with a time later than the one before. */
static int take_unparsed(struct tail_reader *r, struct tail_log *log, struct tail_file *file, uint64_t offset,
                         struct bytes line)
{
    const struct tail_stream *stream = &log->streams[CRI_UNPARSED];
    if (offset < file->skip[CRI_UNPARSED])
        return 0;
    int64_t time_ns = r->wall_ns > stream->newest_ns ? r->wall_ns : stream->newest_ns + 1;
    int err = send(r, log, file, CRI_UNPARSED, time_ns, line, false);
    if (err == 0)
        stats_add(r->counts.unparsed, 1);
    return err;
}

int tail_line_parse(struct tail_reader *r, struct tail_file *file, struct bytes line,
                    struct cri_line *ret_line)
{
    bool is_object = line.len && *line.ptr == '{';
    if (file->format == (is_object ? TAIL_FORMAT_CRI : TAIL_FORMAT_DOCKER))
        return -EBADMSG;
    int err = is_object ? docker_parse(&r->clock, line, &r->resolved, ret_line)
                        : cri_parse(&r->clock, line, ret_line);
    if (err == 0)
        file->format = is_object ? TAIL_FORMAT_DOCKER : TAIL_FORMAT_CRI;
    return err;
}

int tail_line_take(struct tail_reader *r, struct tail_log *log, struct tail_file *file, uint64_t offset,
                   struct bytes line)
{
    struct cri_line parsed;
    int err = tail_line_parse(r, file, line, &parsed);
    if (err == -EBADMSG)
        return take_unparsed(r, log, file, offset, line);
    if (err < 0)
        return err;
    struct tail_stream *stream = &log->streams[parsed.stream];
    if (offset < file->skip[parsed.stream]) {
        if (!parsed.partial)
            tail_line_remember(stream, parsed.time_ns, parsed.text);
        return 0;
    }
    if (parsed.partial)
        return add_part(r, log, file, offset, &parsed);
    if (stream->part.open)
        return take_last_part(r, log, file, offset, &parsed);
    return send(r, log, file, parsed.stream, parsed.time_ns, parsed.text, false);
}

int tail_line_flush(struct tail_reader *r, struct tail_log *log, struct tail_file *last, int s)
{
    return log->streams[s].part.open ? close_part(r, log, last, s) : 0;
}
