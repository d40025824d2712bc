#include "node-agent/tail_resume.h"

struct rewinding {
    struct tail *tail;
    uint64_t gone;
};

/* Whether the bytes that the key speaks of can still be read. */
static bool is_readable(struct tail *tail, const char *key)
{
    struct tail_key parsed;
    struct tail_log *log;
    struct tail_file *file = tail_file_parse_key(key, &parsed) < 0 ? NULL : tail_find(tail, &parsed, &log);
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

static bool move_up(struct offsets *offsets, const char *key, uint64_t end)
{
    struct offset *at = offsets_find(offsets, key);
    bool higher = end > (at ? at->committed : 0);
    if (higher)
        offsets_commit(offsets, key, end, 0);
    return higher;
}

/* The end of one file as the gateway has it; under the name that the file has here. Whether C moved. */
static bool apply_end(struct tail *tail, struct offsets *offsets, const struct wire_end *end)
{
    char storage[TAIL_KEY_LEN];
    struct tail_key parsed;
    struct tail_log *log;
    if (offsets_find(offsets, end->file))
        return move_up(offsets, end->file, end->end);
    if (tail_file_parse_key(end->file, &parsed) < 0)
        return false;
    struct tail_file *file = tail_find(tail, &parsed, &log);
    if (!file || (!file->identity && tail_file_adopt(file, end->file) < 0))
        return false;
    return move_up(offsets, tail_file_key(file, parsed.stream, storage), end->end);
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
    if (!has_in_flight || other)
        for (size_t i = 0; i < reply->end_count; i++)
            result.moved |= apply_end(tail, offsets, &reply->ends[i]);
    result.drop = has_in_flight && other;
    result.moved |= other;
    offsets_set_buffer(offsets, reply->buffer_id);
    if (result.moved)
        tail_reset_all(tail, offsets);
    return result;
}
