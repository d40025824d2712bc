#include "node-agent/logs/tail_resume.h"

struct rewinding {
    struct tail *tail;
    uint64_t gone;
};

/* Whether the bytes that the key speaks of can still be read. */
static bool is_readable(struct tail *tail, const char *key)
{
    struct tail_key parsed;
    struct tail_log *log;
    struct tail_file *file = tail_key_parse(key, &parsed) < 0 ? NULL : tail_find(tail, &parsed, &log);
    return file && tail_file_reopen(file, log->folder) == 0;
}

static void rewind_file(void *ctx, struct offset *at)
{
    struct rewinding *r = ctx;
    if (at->committed <= at->delivered)
        return;
    if (is_readable(r->tail, at->key)) {
        at->committed = at->delivered;
        at->committed_lines = at->delivered_lines;
    } else {
        r->gone += at->committed_lines - at->delivered_lines;
        at->delivered = at->committed;
        at->delivered_lines = at->committed_lines;
    }
    at->claimed = at->delivered;
}

static bool move_up(struct offsets *offsets, bool is_bulk, const char *key, uint64_t end)
{
    struct offset *at = offsets_find(offsets, key);
    bool higher = end > (at ? at->committed : 0);
    if (higher)
        offsets_commit(offsets, is_bulk, key, end, 0);
    return higher;
}

/* The end of one file as the gateway has it; under the name that the file has here. Whether C moved. */
static bool apply_end(struct tail *tail, struct offsets *offsets, bool is_bulk, const struct wire_end *end)
{
    char storage[TAIL_KEY_LEN];
    struct tail_key parsed;
    struct tail_log *log;
    if (offsets_find(offsets, end->file))
        return move_up(offsets, is_bulk, end->file, end->end);
    if (tail_key_parse(end->file, &parsed) < 0)
        return false;
    struct tail_file *file = tail_find(tail, &parsed, &log);
    if (!file || (!file->identity && tail_file_adopt(file, end->file) < 0))
        return false;
    return move_up(offsets, is_bulk, tail_file_key(file, parsed.stream, storage), end->end);
}

static bool apply_ends(struct tail *tail, struct offsets *offsets, bool is_bulk,
                       const struct wire_resume_reply *reply)
{
    bool moved = false;
    for (size_t i = 0; reply && i < reply->end_count; i++)
        moved |= apply_end(tail, offsets, is_bulk, &reply->ends[i]);
    return moved;
}

/* The end of that key; 0: there is none. */
static uint64_t find_end(const struct wire_resume_reply *reply, const char *key)
{
    for (size_t i = 0; i < reply->end_count; i++)
        if (strcmp(reply->ends[i].file, key) == 0)
            return reply->ends[i].end;
    return 0;
}

/* Of files that went meanwhile only the log's name is known. */
static bool has_bulk_end(const struct tail_log *log, const struct wire_resume_reply *bulk)
{
    char prefix[TAIL_KEY_LEN];
    bool found = false;
    tail_key_prefix(log->name, prefix);
    size_t len = strlen(prefix);
    for (size_t i = 0; i < bulk->end_count && !found; i++)
        found = strncmp(bulk->ends[i].file, prefix, len) == 0 && bulk->ends[i].file[len] == ':';
    return found;
}

/* The last of the log's files of which something is committed; NULL: none. */
static const struct tail_file *find_newest(const struct tail_log *log, const struct offsets *offsets)
{
    const struct tail_file *newest = NULL;
    for (const struct tail_file *f = log->files; f; f = f->next)
        for (int s = -1; f->identity && s < CRI_STREAMS; s++) {
            char storage[TAIL_KEY_LEN];
            const struct offset *at = offsets_find(offsets, tail_file_key(f, s, storage));
            newest = at && at->committed ? f : newest;
        }
    return newest;
}

bool tail_resume_is_known(const struct tail_log *log, const struct offsets *offsets)
{
    return find_newest(log, offsets) != NULL;
}

bool tail_resume_is_bulk(const struct tail_log *log, const struct offsets *offsets,
                         const struct wire_resume_reply *reply)
{
    uint64_t own = 0, bulk = 0;
    if (!reply->bulk || !reply->bulk->holds_undelivered)
        return false;
    const struct tail_file *newest = find_newest(log, offsets);
    for (int s = -1; newest && s < CRI_STREAMS; s++) {
        char storage[TAIL_KEY_LEN];
        const char *key = tail_file_key(newest, s, storage);
        uint64_t in_own = find_end(reply, key), in_bulk = find_end(reply->bulk, key);
        own = in_own > own ? in_own : own;
        bulk = in_bulk > bulk ? in_bulk : bulk;
    }
    return own || bulk ? bulk > own : has_bulk_end(log, reply->bulk);
}

void tail_reset_all(struct tail *tail, const struct offsets *offsets)
{
    size_t count;
    struct tail_log **logs = tail_logs(tail, &count);
    for (size_t i = 0; i < count; i++)
        tail_log_reset(logs[i], offsets);
}

struct tail_resumed tail_resume(struct tail *tail, struct offsets *offsets,
                                const struct wire_resume_reply *reply, bool handed_over, bool has_in_flight)
{
    struct tail_resumed result = {0};
    struct rewinding rewinding = {.tail = tail};
    bool other = strcmp(offsets_buffer(offsets), reply->buffer_id) != 0;
    if (offsets_is_lost(offsets, reply->buffer_id, handed_over)) {
        offsets_forget_marks(offsets);
        offsets_each(offsets, rewind_file, &rewinding);
        result.rewound = true;
        result.gone = rewinding.gone;
    }
    if (!has_in_flight || other) {
        result.moved |= apply_ends(tail, offsets, false, reply);
        result.moved |= apply_ends(tail, offsets, true, reply->bulk);
    }
    result.drop = has_in_flight && other;
    result.moved |= other;
    offsets_set_buffer(offsets, reply->buffer_id);
    if (result.moved)
        tail_reset_all(tail, offsets);
    return result;
}
