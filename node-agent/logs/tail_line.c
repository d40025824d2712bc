#include "node-agent/logs/tail_line.h"

#include <errno.h>
#include <stdlib.h>

#include "node-agent/logs/docker.h"
#include "node-agent/logs/logtext.h"
#include "node-agent/logs/refused_line.h"

enum { METADATA_ROOM = 16 * 1024 }; /* a line's, at most */

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

/* The line behind the stream's last one, with the time to send. Of lines of one time the second gets 1 ns
 * more when it has the same text, and any further one does: it may be equal to one before the last. */
static struct tail_last place(const struct tail_reader *r, const struct tail_stream *stream, int s,
                              int64_t time_ns, struct bytes text)
{
    const struct tail_last *last = &stream->last;
    struct tail_last next = {.time_ns = time_ns, .sent_ns = time_ns, .len = text.len};
    if (time_ns < last->time_ns || time_ns > last->sent_ns)
        return next;
    next.time_ns = last->time_ns;
    next.many = true;
    next.sent_ns = last->sent_ns + (last->many || is_last_text(r, stream, s, text));
    return next;
}

/* Notes a line that was sent before as the one before the next of its stream. */
static void remember(const struct tail_reader *r, struct tail_stream *stream, int s, int64_t time_ns,
                     struct bytes text)
{
    struct tail_last last = place(r, stream, s, time_ns, text);
    last.hash = hash_of(text);
    stream->last = last;
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

/* Why the backend would not keep a line of this time; LOG_SENT: it would. */
static enum log_effect drop_cause(const struct tail_reader *r, const struct tail_stream *stream,
                                  int64_t time_ns)
{
    if (r->max_age_ns > 0 && time_ns < r->wall_ns - r->max_age_ns)
        return LOG_DROPPED_OLD;
    if (time_ns < stream->newest_ns - TAIL_MAX_BEHIND_NS)
        return LOG_DROPPED_BEHIND;
    if (time_ns > r->wall_ns + TAIL_MAX_AHEAD_NS)
        return LOG_DROPPED_AHEAD;
    return LOG_SENT;
}

static struct stats_cell *drop_counter(const struct tail_reader *r, enum log_effect cause)
{
    return cause == LOG_DROPPED_OLD      ? r->counts.too_old
           : cause == LOG_DROPPED_BEHIND ? r->counts.behind
                                         : r->counts.ahead;
}

/* Cut text with its mark, in r->text, so that both are at most max_line bytes. */
static int mark_cut(struct tail_reader *r, struct bytes *text)
{
    size_t len = logtext_cut_len(*text, r->max_line);
    if (text->ptr != r->text.ptr) {
        buf_clear(&r->text);
        int err = buf_append(&r->text, text->ptr, len);
        if (err < 0)
            return err;
    }
    r->text.len = len;
    int err = buf_append_string(&r->text, LOGTEXT_MARK);
    *text = buf_bytes(&r->text);
    return err;
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
    *text = buf_bytes(&r->text);
    return err == 0 && *cut ? mark_cut(r, text) : err;
}

/* A whole line on its way out: a joined record is one. */
struct outgoing {
    struct tail_log *log;
    struct tail_file *file;
    int stream;
    int64_t time_ns;
    struct bytes text;
    bool cut, past;
    uint64_t offset; /* of its first byte in file; TAIL_NONE: it began in an older one */
};

/* To the gateway, which keeps it in `refused`. */
static void tell_refused(const struct tail_reader *r, const struct outgoing *o, enum log_effect cause)
{
    const char *const words =
        cause == LOG_DROPPED_OLD      ? "the line is older than logs.max_age"
        : cause == LOG_DROPPED_BEHIND ? "the line is more than an hour behind the newest "
                                        "of its stream"
        : cause == LOG_DROPPED_AHEAD  ? "the line is more than ten minutes ahead of this "
                                        "node's clock"
                                      : "the line is longer than logs.max_line: what "
                                        "is over the limit was cut off";
    struct refused_line line = {words,      o->log, o->file, o->offset, o->log->streams[o->stream].labels,
                                o->time_ns, o->text};
    refused_line_tell(r->refusals, &line);
}

/* What the rules make of it. 0, -EPERM: dropped; or an error. */
static int apply_rules(struct tail_reader *r, struct outgoing *o, enum line_level *ret_level)
{
    struct log_line line = {.text = o->text, .time_ns = o->time_ns, .is_past = o->past};
    if (!log_rules_apply(r->rules, o->log->plan, &line, &o->file->tally))
        return -EPERM;
    o->text = line.text;
    *ret_level = line.level;
    if (!line.is_cut)
        return 0;
    o->cut = true;
    return mark_cut(r, &o->text);
}

static int put(struct tail_reader *r, const struct outgoing *o, enum line_level level)
{
    uint8_t storage[128];
    struct buf pair = {.ptr = storage, .cap = sizeof storage, .max = sizeof storage};
    struct tail_stream *stream = &o->log->streams[o->stream];
    struct tail_last last = place(r, stream, o->stream, o->time_ns, o->text);
    if (level != LEVEL_NONE)
        push_put_metadata(&pair, "level", bytes_of_string(level_name(level)));
    struct bytes metadata[PUSH_METADATA] = {buf_bytes(&o->log->metadata), buf_bytes(&pair)};
    int err = push_add_with(r->push, o->stream, last.sent_ns, o->text, metadata);
    if (err < 0)
        return err;
    last.in_push = true;
    stream->last = last;
    if (last.sent_ns > stream->newest_ns)
        stream->newest_ns = last.sent_ns;
    stream->used = true;
    return 0;
}

/* Sends a whole line, or remembers one that was sent before. -EMSGSIZE: no room, nothing happened. */
static int send(struct tail_reader *r, struct outgoing o)
{
    struct tail_stream *stream = &o.log->streams[o.stream];
    enum log_effect cause = o.past ? LOG_SENT : drop_cause(r, stream, o.time_ns);
    enum line_level level = LEVEL_NONE;
    if (cause != LOG_SENT) {
        o.file->tally.counts[cause]++;
        stats_add(drop_counter(r, cause), 1);
        tell_refused(r, &o, cause);
        return 0;
    }
    /* Rules count and may lengthen: they run only once there is room for whatever they make of it. */
    if (o.log->plan && !o.past && !push_has_room(r->push, o.stream, r->max_line + METADATA_ROOM))
        return -EMSGSIZE;
    int err = clean(r, &o.cut, &o.text);
    if (err == 0 && o.log->plan)
        err = apply_rules(r, &o, &level);
    if (err < 0)
        return err == -EPERM ? 0 : err;
    if (o.past) {
        remember(r, stream, o.stream, o.time_ns, o.text);
        return 0;
    }
    if ((err = put(r, &o, level)) < 0)
        return err;
    o.file->lines++;
    o.file->tally.counts[LOG_SENT]++;
    if (o.cut) {
        o.file->tally.counts[LOG_CUT]++;
        stats_add(r->counts.truncated, 1);
        tell_refused(r, &o, LOG_CUT);
    }
    return 0;
}

/* ---- records of several lines ---- */

static int close_join(struct tail_reader *r, struct tail_log *log, struct tail_file *file, int s)
{
    const struct tail_join *join = log->streams[s].join;
    struct outgoing o = {
        log, file, s, join->time_ns, buf_bytes(&join->text), join->cut, join->past, file->join_at[s]};
    int err = send(r, o);
    if (err == 0)
        tail_log_close_join(log, s);
    return err;
}

static struct tail_join *get_join(struct tail_reader *r, struct tail_stream *stream)
{
    if (!stream->join && (stream->join = calloc(1, sizeof *stream->join)))
        buf_init(&stream->join->text, r->max_line + 1);
    return stream->join;
}

enum fit {
    FIT_NOT, /* the line begins another record */
    FIT_IN,
    FIT_SPLIT, /* it belongs to the open record, which is at a bound */
};

/* How the line stands to the open record: by its text, its time and the record's bounds. *state: the open
 * record's, then as it is behind the line. */
static enum fit fit_of(const struct tail_reader *r, const struct multiline *rule,
                       const struct tail_join *join, const struct outgoing *o, enum multiline_state *state)
{
    if (!rule || o->time_ns - join->last_ns > rule->wait_ns || o->past != join->past)
        return FIT_NOT;
    if (!multiline_goes_on(rule, state, o->text))
        return FIT_NOT;
    bool fits = join->lines < rule->max_lines && join->text.len + 1 + o->text.len <= r->max_line;
    return fits ? FIT_IN : FIT_SPLIT;
}

static int append_to_join(struct tail_reader *r, struct tail_join *join, const struct outgoing *o)
{
    int err = buf_reserve(&join->text, o->text.len + 1);
    if (err < 0)
        return err;
    if (join->lines++ > 0)
        join->text.ptr[join->text.len++] = '\n';
    err = buf_append(&join->text, o->text.ptr, o->text.len);
    join->last_ns = o->time_ns;
    join->grown_ns = r->mono_ns;
    join->cut |= o->cut;
    return err;
}

/* Begins a record with the line, or with what is made of the open parts. */
static int open_join(struct tail_reader *r, const struct outgoing *o, enum multiline_state state)
{
    struct tail_join *join = get_join(r, &o->log->streams[o->stream]);
    int err = join ? 0 : -ENOMEM;
    if (err == 0) {
        join->lines = 0;
        join->cut = false;
        err = append_to_join(r, join, o);
    }
    if (err < 0)
        return err;
    join->open = true;
    join->past = o->past;
    join->state = state;
    join->time_ns = o->time_ns;
    if (o->past)
        return 0;
    o->file->join_at[o->stream] = o->offset;
    for (struct tail_file *f = o->log->files; f; f = f->next)
        if (f->open_at[o->stream] != TAIL_NONE)
            f->join_at[o->stream] = f->open_at[o->stream];
    return 0;
}

static void count_joined(struct tail_reader *r, const struct outgoing *o, enum log_effect effect)
{
    if (o->past)
        return;
    o->file->tally.counts[effect]++;
    if (effect == LOG_JOINED)
        stats_add(r->counts.joined, 1);
}

/* A whole line: goes into the open record, begins one, or is sent by itself. */
static int take_whole(struct tail_reader *r, struct outgoing o)
{
    const struct multiline *rule = o.log->plan ? o.log->plan->multiline : NULL;
    enum multiline_state state = MULTILINE_NONE;
    enum fit fit = FIT_NOT;
    if (tail_log_has_join(o.log, o.stream)) {
        struct tail_join *join = o.log->streams[o.stream].join;
        state = join->state;
        fit = fit_of(r, rule, join, &o, &state);
        int err = fit == FIT_IN ? append_to_join(r, join, &o) : close_join(r, o.log, o.file, o.stream);
        if (err < 0)
            return err;
        if (fit == FIT_IN)
            join->state = state;
    }
    if (fit != FIT_NOT)
        count_joined(r, &o, fit == FIT_IN ? LOG_JOINED : LOG_JOIN_SPLIT);
    if (fit == FIT_IN)
        return 0;
    if (!rule || o.text.len > r->max_line) /* no record can be longer */
        return send(r, o);
    if (fit == FIT_NOT)
        state = multiline_begin(rule, o.text);
    return state == MULTILINE_NONE ? send(r, o) : open_join(r, &o, state);
}

/* ---- lines of several parts ---- */

static int add_part(struct tail_reader *r, struct tail_log *log, struct tail_file *file, uint64_t offset,
                    const struct cri_line *line, bool past)
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
    part->past = past;
    part->cut |= len < line->text.len;
    part->grown_ns = r->mono_ns;
    if (file->open_at[line->stream] == TAIL_NONE && !past)
        file->open_at[line->stream] = offset;
    return 0;
}

static int close_part(struct tail_reader *r, struct tail_log *log, struct tail_file *file, int s)
{
    struct tail_part *part = &log->streams[s].part;
    struct outgoing o = {
        log, file, s, part->time_ns, buf_bytes(&part->text), part->cut, part->past, file->open_at[s]};
    int err = take_whole(r, o);
    if (err == 0)
        tail_log_close_line(log, s);
    return err;
}

static int take_last_part(struct tail_reader *r, struct tail_log *log, struct tail_file *file,
                          uint64_t offset, const struct cri_line *line, bool past)
{
    struct tail_part *part = &log->streams[line->stream].part;
    size_t len = part->text.len;
    bool cut = part->cut;
    int err = add_part(r, log, file, offset, line, past);
    if (err == 0)
        err = close_part(r, log, file, line->stream);
    if (err == -EMSGSIZE) { /* the last part will be read again */
        part->text.len = len;
        part->cut = cut;
    }
    return err;
}

/* What passed again ends where new lines begin: it was a whole line or record when it was sent. */
static int end_past(struct tail_reader *r, struct tail_log *log, struct tail_file *file, int s)
{
    struct tail_stream *stream = &log->streams[s];
    if (stream->part.open && stream->part.past)
        tail_log_close_line(log, s);
    return tail_log_has_join(log, s) && stream->join->past ? close_join(r, log, file, s) : 0;
}

/* A line without a time of its own: its time is later than any given before. */
static int take_untimed(struct tail_reader *r, struct tail_log *log, struct tail_file *file, uint64_t offset,
                        struct bytes line)
{
    const struct tail_stream *stream = &log->streams[CRI_UNPARSED];
    if (offset < file->skip[CRI_UNPARSED] || r->recalling)
        return 0;
    int64_t time_ns = r->wall_ns > stream->newest_ns ? r->wall_ns : stream->newest_ns + 1;
    if (time_ns <= r->given_ns)
        time_ns = r->given_ns + 1;
    int err = take_whole(r, (struct outgoing){log, file, CRI_UNPARSED, time_ns, line, false, false, offset});
    if (err < 0)
        return err;
    r->given_ns = time_ns;
    if (!log->plain) {
        file->tally.counts[LOG_UNPARSED]++;
        stats_add(r->counts.unparsed, 1);
    }
    return 0;
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
    int err = log->plain ? -EBADMSG : tail_line_parse(r, file, line, &parsed);
    if (err == -EBADMSG)
        return take_untimed(r, log, file, offset, line);
    if (err < 0)
        return err;
    struct tail_stream *stream = &log->streams[parsed.stream];
    bool past = r->recalling || offset < file->skip[parsed.stream];
    if (!past && (err = end_past(r, log, file, parsed.stream)) < 0)
        return err;
    if (parsed.partial)
        return add_part(r, log, file, offset, &parsed, past);
    if (stream->part.open)
        return take_last_part(r, log, file, offset, &parsed, past);
    struct outgoing o = {log, file, parsed.stream, parsed.time_ns, parsed.text, false, past, offset};
    return take_whole(r, o);
}

int tail_line_flush(struct tail_reader *r, struct tail_log *log, struct tail_file *last, int s)
{
    int err = log->streams[s].part.open ? close_part(r, log, last, s) : 0;
    return err == 0 && tail_log_has_join(log, s) ? close_join(r, log, last, s) : err;
}
