#include "gateway/fanout/settle.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/ask/refused_source.h"
#include "gateway/fanout/disorder.h"
#include "gateway/fanout/settle_doubt.h"
#include "gateway/fanout/verdict.h"

enum {
    MOST_REFUSED_BYTES = 256 << 20,
    MOST_EXACT = 64 /* refused lines of a request whose offset is worked out */
};
#define OLD_NS (INT64_C(3600) * 1000000000) /* what Prometheus calls out of bounds, by default */

struct settling {
    const struct buffer_row *rows; /* these are borrowed */
    const enum row_fate *fates;
    const bool *is_whole;
    const struct halving *h;
    struct payload *payload;
    struct settle *to;
    bool *was_in; /* owned; by doubt */
    struct {
        bool *is_own; /* owned; by sample; NULL: not looked for yet */
        uint32_t count, row;
    } disorder; /* of one row that goes back */
};

/* ---- was a doubted part in? */

static bool has_refused(const struct halving *h)
{
    for (size_t i = 0; i < h->answer_count; i++) {
        if (h->answers[i].outcome == PART_REFUSED)
            return true;
    }
    return false;
}

static int judge_doubts(struct settling *s)
{
    const struct doubted doubted = {s->rows, s->fates, s->h, s->payload};
    s->was_in = calloc(s->h->doubt_count + 1, sizeof *s->was_in);
    if (!s->was_in)
        return -ENOMEM;
    for (size_t i = 0; i < s->h->doubt_count && has_refused(s->h); i++) {
        int was_in = settle_doubt_judge(&doubted, s->h->doubts[i]);
        if (was_in < 0)
            return was_in;
        s->was_in[i] = was_in;
    }
    return 0;
}

/* ---- causes and kept records */

static bool was_in_before(const struct settling *s, uint32_t row, uint32_t record)
{
    for (size_t i = 0; i < s->h->doubt_count; i++) {
        if (s->was_in[i] && doubt_holds(s->h->doubts[i], row, record))
            return true;
    }
    return false;
}

/* It holds what was too old when it came: a wrong clock, and no other gateway that was faster. */
static bool came_old(const struct buffer_row *r)
{
    return !r->handed_over && r->committed_at_ns - r->earliest_ns > OLD_NS;
}

static void look_for_disorder(struct settling *s, uint32_t row)
{
    struct bytes raw;
    uint32_t count;
    free(s->disorder.is_own);
    s->disorder.is_own = NULL;
    s->disorder.count = 0;
    s->disorder.row = row;
    if (payload_raw(s->payload, &s->rows[row], &raw) < 0 || split_count(s->rows[row].format, raw, &count) < 0)
        return;
    s->disorder.is_own = calloc(count + 1, sizeof *s->disorder.is_own);
    if (s->disorder.is_own &&
        disorder_find(s->payload->reader, &s->rows[row], raw, count, s->disorder.is_own) == 0)
        s->disorder.count = count;
}

/* What cannot be told is the origin's own. */
static bool is_own_disorder(struct settling *s, uint32_t row, uint32_t record)
{
    if (!s->disorder.is_own || s->disorder.row != row)
        look_for_disorder(s, row);
    return record >= s->disorder.count || s->disorder.is_own[record];
}

/* Applications do not wait for each other, so their order says nothing. */
static bool may_be_overtaken(struct settling *s, const struct part_answer *answer, uint32_t row)
{
    const struct buffer_row *r = &s->rows[row];
    struct bytes words = bytes_of_string(halving_words(s->h, answer));
    if (!verdict_is_out_of_order(words) || (came_old(r) && verdict_is_out_of_bounds(words)))
        return false;
    if (r->format == FORMAT_REMOTE_WRITE_1)
        return r->handed_over || !r->goes_back || !is_own_disorder(s, row, answer->part.from);
    return r->format == FORMAT_OTLP_METRICS && r->handed_over;
}

static enum buffer_cause cause_of(struct settling *s, const struct part_answer *answer, uint32_t row)
{
    switch (answer->outcome) {
    case PART_TAKEN:
        return BUFFER_DELIVERED;
    case PART_UNRESOLVED:
        return BUFFER_UNRESOLVED;
    case PART_DROPPED:
        return BUFFER_DROPPED;
    case PART_REFUSED:
        break;
    }
    if (was_in_before(s, row, answer->part.from))
        return BUFFER_CAUSE_REPEATED;
    return may_be_overtaken(s, answer, row) ? BUFFER_OVERTAKEN : BUFFER_REFUSED;
}

/* Appends the part's records as a message of their own; what cannot be cut is kept whole, what cannot be read
 * leaves nothing. */
static int keep_payload(struct settling *s, const struct part_answer *answer, uint32_t row)
{
    const struct buffer_row *r = &s->rows[row];
    struct part part = answer->part;
    struct bytes raw;
    int err = payload_raw(s->payload, r, &raw);
    if (err < 0)
        return err == -ENOMEM || err == -EIO ? err : 0;
    if (part.to == 0)
        return buf_append(&s->to->bytes, raw.ptr, raw.len);
    err = split_write(payload_format(s->payload, r), raw, s->h->rows[row].records, part.from, part.to,
                      &s->to->bytes);
    return err == -EBADMSG || err == -EPROTONOSUPPORT ? 0 : err;
}

static struct buffer_refused *add_refused(struct settle *to)
{
    if (to->refused_count == to->refused_room) {
        size_t room = to->refused_room ? to->refused_room * 2 : 16;
        struct buffer_refused *grown = realloc(to->refused, room * sizeof *grown);
        if (!grown)
            return NULL;
        to->refused = grown;
        to->refused_room = room;
    }
    struct buffer_refused *refused = &to->refused[to->refused_count++];
    *refused = (struct buffer_refused){0};
    return refused;
}

/* What was kept from `before` on is the refused message. */
static int name_source(struct settling *s, uint32_t row, size_t before, bool is_one,
                       struct buffer_refused *refused)
{
    char source[RECORD_SOURCE_MAX];
    struct bytes message = {s->to->bytes.ptr + before, s->to->bytes.len - before};
    if (message.len == 0)
        return 0;
    refused_source_find(s->payload, &s->rows[row], message, is_one && s->to->refused_count <= MOST_EXACT,
                        source);
    refused->source = source[0] ? strdup(source) : NULL;
    return source[0] && !refused->source ? -ENOMEM : 0;
}

static int keep(struct settling *s, const struct part_answer *answer, uint32_t row, enum buffer_cause cause,
                uint64_t records)
{
    size_t before = s->to->bytes.len;
    struct buffer_refused *refused = add_refused(s->to);
    if (!refused)
        return -ENOMEM;
    refused->row_id = s->rows[row].id;
    refused->origin = s->rows[row].origin;
    refused->cause = cause;
    refused->status = answer->status;
    refused->words = halving_words(s->h, answer);
    refused->format = payload_format(s->payload, &s->rows[row]);
    refused->records = records;
    int err = keep_payload(s, answer, row);
    refused->payload.len = s->to->bytes.len - before; /* its pointer is set when all bytes are there */
    return err < 0 ? err : name_source(s, row, before, records == 1, refused);
}

/* ---- a row */

struct row_count { /* what of the row is accounted for */
    uint64_t left;
    bool has_taken;
    enum buffer_cause last;
    uint8_t *is_counted; /* owned; of a translated row: by record of the source */
};

/* The records of the source that the part's samples or lines belong to, but those counted before. */
static uint64_t count_owners(const struct translated *t, struct part part, uint8_t *is_counted)
{
    uint64_t records = 0;
    uint32_t to = part.to < t->count ? part.to : t->count;
    for (uint32_t i = part.from; i < to; i++) {
        uint32_t owner = t->owners[i];
        if (owner >= t->source_count || is_counted[owner])
            continue;
        is_counted[owner] = 1;
        records++;
    }
    return records;
}

/* How many of the row's records the part comes to. */
static int count_records(struct settling *s, struct part part, uint32_t row, struct row_count *count,
                         uint64_t *ret_records)
{
    struct bytes raw;
    *ret_records = part.to ? part.to - part.from : s->rows[row].records;
    if (part.to == 0 || !payload_is_translated(s->payload, &s->rows[row]))
        return 0;
    int err = payload_raw(s->payload, &s->rows[row], &raw);
    if (err < 0)
        return err == -ENOMEM || err == -EIO ? err : 0;
    const struct translated *t = &s->payload->translate->result;
    if (!count->is_counted && !(count->is_counted = calloc(t->source_count + 1, 1)))
        return -ENOMEM;
    *ret_records = count_owners(t, part, count->is_counted);
    return 0;
}

static int settle_part(struct settling *s, const struct part_answer *answer, uint32_t row,
                       struct row_count *count)
{
    struct part part = answer->part;
    enum buffer_cause cause = cause_of(s, answer, row);
    if (cause == BUFFER_DELIVERED) {
        count->has_taken = true;
        return 0;
    }
    uint64_t records;
    int err = count_records(s, part, row, count, &records);
    if (err < 0)
        return err;
    uint64_t counted = records < count->left ? records : count->left;
    s->to->counts[cause] += counted;
    count->left -= counted;
    count->last = cause;
    if (cause == BUFFER_REFUSED || cause == BUFFER_OVERTAKEN)
        s->to->is_refused[row] = true;
    return cause == BUFFER_DROPPED ? 0 : keep(s, answer, row, cause, records);
}

/* What of the row could not be translated is refused by us, reason by reason; kept as it came. */
static int keep_untranslated(struct settling *s, uint32_t row, enum translate_reason reason,
                             struct row_count *count)
{
    const struct buffer_row *r = &s->rows[row];
    const struct translated *t = &s->payload->translate->result;
    size_t before = s->to->bytes.len;
    uint64_t records = 0;
    int err = 0;
    for (uint32_t i = 0; i < t->source_count && err == 0; i++) {
        if (t->reasons[i] != reason || count->is_counted[i])
            continue;
        records++;
        count->is_counted[i] = 1;
        err = split_write(r->format, payload_source(s->payload), t->source_count, i, i + 1, &s->to->bytes);
        err = err == -EBADMSG ? 0 : err;
    }
    struct buffer_refused *refused = err < 0 || records == 0 ? NULL : add_refused(s->to);
    if (!refused)
        return err < 0 ? err : records ? -ENOMEM : 0;
    *refused = (struct buffer_refused){.row_id = r->id,
                                       .origin = r->origin,
                                       .cause = BUFFER_REFUSED,
                                       .words = translate_reason_words(reason),
                                       .format = r->format,
                                       .records = records};
    refused->payload.len = s->to->bytes.len - before;
    uint64_t counted = records < count->left ? records : count->left;
    s->to->counts[BUFFER_REFUSED] += counted;
    s->to->untranslated[reason] += counted;
    count->left -= counted;
    return 0;
}

static int settle_untranslated(struct settling *s, uint32_t row, struct row_count *count)
{
    struct bytes raw;
    int err = payload_raw(s->payload, &s->rows[row], &raw);
    if (err < 0)
        return err == -ENOMEM || err == -EIO ? err : 0;
    const struct translated *t = &s->payload->translate->result;
    count->is_counted = calloc(t->source_count + 1, 1);
    if (!count->is_counted)
        return -ENOMEM;
    for (int reason = TRANSLATE_NONE + 1; reason < TRANSLATE_REASON_COUNT && t->refused && err == 0; reason++)
        err = keep_untranslated(s, row, (enum translate_reason)reason, count);
    return err;
}

static int settle_row(struct settling *s, uint32_t row)
{
    struct row_count count = {s->rows[row].records, false, BUFFER_DELIVERED, NULL};
    int err = 0;
    if (s->fates[row] == ROW_GONE)
        return 0;
    if (s->fates[row] == ROW_DAMAGED) {
        s->to->counts[BUFFER_DROPPED] += s->rows[row].records;
        return 0;
    }
    if (payload_is_translated(s->payload, &s->rows[row]) && !s->is_whole[row])
        err = settle_untranslated(s, row, &count);
    for (size_t i = 0; i < s->h->answer_count && err == 0; i++) {
        const struct part_answer *answer = &s->h->answers[i];
        if (row >= answer->part.row && row - answer->part.row < answer->part.rows)
            err = settle_part(s, answer, row, &count);
    }
    free(count.is_counted);
    s->to->counts[count.has_taken ? BUFFER_DELIVERED : count.last] += count.left;
    return err;
}

static void move_cursors(struct settling *s)
{
    struct settle *to = s->to;
    for (size_t i = 0; i < s->h->row_count; i++) {
        size_t k = 0;
        while (k < to->moved_count && to->moved[k].slot != s->rows[i].slot)
            k++;
        if (k == to->moved_count)
            to->moved_count++;
        to->moved[k] = (struct buffer_moved){s->rows[i].slot, s->rows[i].id}; /* rows of a slot go up */
    }
}

static int settle_rows(struct settling *s)
{
    int err = judge_doubts(s);
    for (uint32_t row = 0; row < s->h->row_count && err == 0; row++)
        err = settle_row(s, row);
    const uint8_t *at = s->to->bytes.ptr;
    for (size_t i = 0; i < s->to->refused_count; i++) {
        s->to->refused[i].payload.ptr = at;
        at += s->to->refused[i].payload.len;
    }
    move_cursors(s);
    return err;
}

int settle_make(const struct buffer_row *rows, const enum row_fate *fates, const bool *is_whole,
                const struct halving *h, struct payload *payload, struct settle *ret_settle)
{
    struct settle to = {.is_refused = calloc(h->row_count + 1, sizeof *to.is_refused)};
    struct settling s = {
        .rows = rows, .fates = fates, .is_whole = is_whole, .h = h, .payload = payload, .to = &to};
    buf_init(&to.bytes, MOST_REFUSED_BYTES);
    int err = to.is_refused ? settle_rows(&s) : -ENOMEM;
    free(s.was_in);
    free(s.disorder.is_own);
    if (err < 0) {
        settle_fini(&to);
        return err;
    }
    *ret_settle = to;
    return 0;
}

void settle_fini(struct settle *settle)
{
    for (size_t i = 0; i < settle->refused_count; i++)
        free((char *)(uintptr_t)settle->refused[i].source);
    free(settle->refused);
    free(settle->is_refused);
    buf_fini(&settle->bytes);
    *settle = (struct settle){0};
}
