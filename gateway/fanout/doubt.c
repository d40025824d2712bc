#include "gateway/fanout/doubt.h"

#include <errno.h>
#include <stdlib.h>

#include "base/pb.h"

/* ---- the note */

enum {
    NOTE_VERSION = 1,
    NOTE_UNDER_WAY = 2,
    NOTE_ROW = 3,
    NOTE_WORK = 4,
    NOTE_ANSWER = 5,
    NOTE_DOUBT = 6,
    NOTE_WORDS = 7
};
enum { ROW_ID = 1, ROW_SLOT = 2, ROW_RECORDS = 3, ROW_POSTS = 4 };
enum {
    PART_ROW = 1,
    PART_ROWS = 2,
    PART_FROM = 3,
    PART_TO = 4,
    PART_OUTCOME = 5,
    PART_STATUS = 6,
    PART_WORDS = 7
};
enum { MOST_NUMBERS = 8 };

/* A nested message of numbers only: numbers[i] is field i; zeros are left out. */
static int put_numbers(struct buf *out, uint32_t field, const uint64_t *numbers, uint32_t count)
{
    size_t mark;
    int err = pb_begin(out, field, &mark);
    for (uint32_t i = 1; i < count && err == 0; i++)
        err = numbers[i] ? pb_put_varint(out, i, numbers[i]) : 0;
    if (err == 0)
        pb_end(out, mark);
    return err;
}

static int get_numbers(struct bytes message, uint64_t numbers[MOST_NUMBERS])
{
    struct pb_field field;
    int more;
    memset(numbers, 0, MOST_NUMBERS * sizeof numbers[0]);
    while ((more = pb_next(&message, &field)) == 1) {
        if (field.number < MOST_NUMBERS && field.type == PB_VARINT)
            numbers[field.number] = field.value;
    }
    return more;
}

static int put_part(struct buf *out, uint32_t field, struct part part, const struct part_answer *answer)
{
    uint64_t numbers[MOST_NUMBERS] = {
        [PART_ROW] = part.row,
        [PART_ROWS] = part.rows,
        [PART_FROM] = part.from,
        [PART_TO] = part.to,
        [PART_OUTCOME] = answer ? (uint64_t)answer->outcome : 0,
        [PART_STATUS] = answer ? (uint64_t)answer->status : 0,
        [PART_WORDS] = answer ? answer->words : 0,
    };
    return put_numbers(out, field, numbers, MOST_NUMBERS);
}

static int put_rows(const struct buffer_row *rows, const struct halving *h, struct buf *out)
{
    int err = 0;
    for (size_t i = 0; i < h->row_count && err == 0; i++) {
        uint64_t numbers[MOST_NUMBERS] = {
            [ROW_ID] = (uint64_t)rows[i].id,
            [ROW_SLOT] = (uint64_t)rows[i].slot,
            [ROW_RECORDS] = h->rows[i].records,
            [ROW_POSTS] = h->rows[i].posts,
        };
        err = put_numbers(out, NOTE_ROW, numbers, MOST_NUMBERS);
    }
    return err;
}

static int put_parts(const struct halving *h, struct buf *out)
{
    int err = 0;
    for (size_t i = 0; i < h->work_count && err == 0; i++)
        err = put_part(out, NOTE_WORK, h->work[i], NULL);
    for (size_t i = 0; i < h->answer_count && err == 0; i++)
        err = put_part(out, NOTE_ANSWER, h->answers[i].part, &h->answers[i]);
    for (size_t i = 0; i < h->doubt_count && err == 0; i++)
        err = put_part(out, NOTE_DOUBT, h->doubts[i], NULL);
    for (size_t i = 0; i < h->word_count && err == 0; i++)
        err = pb_put_string(out, NOTE_WORDS, h->words[i]);
    return err;
}

int doubt_write(const struct buffer_row *rows, const struct halving *h, bool under_way, struct buf *out)
{
    size_t before = out->len;
    int err = pb_put_varint(out, NOTE_VERSION, DOUBT_NOTE_VERSION);
    if (err == 0)
        err = pb_put_varint(out, NOTE_UNDER_WAY, under_way);
    if (err == 0)
        err = put_rows(rows, h, out);
    if (err == 0)
        err = put_parts(h, out);
    if (err < 0)
        out->len = before;
    return err;
}

/* ---- reading it back */

struct reading {
    struct doubt_row *rows;
    struct halving *h;
    size_t parts;
    bool under_way;
};

static int read_row(struct reading *r, struct bytes message)
{
    uint64_t n[MOST_NUMBERS];
    struct halving *h = r->h;
    if (get_numbers(message, n) < 0 || n[ROW_ID] == 0 || n[ROW_ID] > INT64_MAX ||
        n[ROW_SLOT] >= BUFFER_SLOTS || n[ROW_RECORDS] > INT32_MAX || h->row_count == JOIN_MAX_ROWS)
        return -EBADMSG;
    r->rows[h->row_count] = (struct doubt_row){(int64_t)n[ROW_ID], (int)n[ROW_SLOT]};
    h->rows[h->row_count++] = (struct halving_row){(uint32_t)n[ROW_RECORDS], (uint32_t)n[ROW_POSTS]};
    return 0;
}

static int read_part(struct reading *r, uint32_t field, struct bytes message)
{
    uint64_t n[MOST_NUMBERS];
    if (get_numbers(message, n) < 0 || n[PART_ROW] >= JOIN_MAX_ROWS || n[PART_ROWS] == 0 ||
        n[PART_ROWS] > JOIN_MAX_ROWS || n[PART_TO] > INT32_MAX || n[PART_FROM] > n[PART_TO] ||
        n[PART_OUTCOME] > PART_DROPPED || n[PART_STATUS] > 999 || n[PART_WORDS] > HALVING_MOST_WORDS ||
        ++r->parts > DOUBT_MAX_PARTS)
        return -EBADMSG;
    struct part part = {(uint32_t)n[PART_ROW], (uint32_t)n[PART_ROWS], (uint32_t)n[PART_FROM],
                        (uint32_t)n[PART_TO]};
    if (field == NOTE_WORK)
        return halving_add_work(r->h, part);
    if (field == NOTE_DOUBT)
        return halving_add_doubt(r->h, part);
    struct part_answer answer = {part, (enum part_outcome)n[PART_OUTCOME], (int)n[PART_STATUS],
                                 (uint32_t)n[PART_WORDS]};
    return answer.outcome ? halving_add_answer(r->h, answer) : -EBADMSG;
}

static int read_field(struct reading *r, const struct pb_field *field)
{
    bool nests = field->type == PB_LEN;
    switch (field->number) {
    case NOTE_VERSION:
        return field->value == DOUBT_NOTE_VERSION ? 0 : -EPROTONOSUPPORT;
    case NOTE_UNDER_WAY:
        r->under_way = field->value != 0;
        return 0;
    case NOTE_ROW:
        return nests ? read_row(r, field->bytes) : -EBADMSG;
    case NOTE_WORK:
    case NOTE_ANSWER:
    case NOTE_DOUBT:
        return nests ? read_part(r, field->number, field->bytes) : -EBADMSG;
    case NOTE_WORDS:
        if (!nests || r->h->word_count == HALVING_MOST_WORDS)
            return -EBADMSG;
        return halving_add_words(r->h, field->bytes);
    default:
        return 0;
    }
}

static bool part_is_inside(const struct halving *h, struct part part)
{
    if (part.row + part.rows > h->row_count || (part.to && part.rows != 1))
        return false;
    return part.to <= h->rows[part.row].records;
}

static int check_parts(const struct halving *h)
{
    bool ok = h->row_count > 0;
    for (size_t i = 0; i < h->work_count; i++)
        ok = ok && part_is_inside(h, h->work[i]);
    for (size_t i = 0; i < h->answer_count; i++)
        ok = ok && part_is_inside(h, h->answers[i].part);
    for (size_t i = 0; i < h->doubt_count; i++)
        ok = ok && part_is_inside(h, h->doubts[i]);
    return ok ? 0 : -EBADMSG;
}

static int read_all(struct reading *r, struct bytes note)
{
    struct pb_field field;
    int more, err;
    while ((more = pb_next(&note, &field)) == 1) {
        if ((err = read_field(r, &field)) < 0)
            return err;
    }
    if (more < 0 || (err = check_parts(r->h)) < 0)
        return -EBADMSG;
    return r->under_way && r->h->work_count ? halving_doubt(r->h) : 0;
}

int doubt_read(struct bytes note, struct doubt_row **ret_rows, struct halving *ret_halving)
{
    struct halving h = {.rows = calloc(JOIN_MAX_ROWS, sizeof *h.rows)};
    struct reading r = {.rows = calloc(JOIN_MAX_ROWS, sizeof *r.rows), .h = &h};
    int err = h.rows && r.rows ? read_all(&r, note) : -ENOMEM;
    if (err < 0) {
        free(r.rows);
        halving_fini(&h);
        return err;
    }
    *ret_rows = r.rows;
    *ret_halving = h;
    return 0;
}

/* ---- was it in? */

struct seen {
    struct split_sample sample;
    bool taken;
};

static int by_series_and_time(const void *a, const void *b)
{
    const struct split_sample *x = &((const struct seen *)a)->sample, *y = &((const struct seen *)b)->sample;
    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    return (x->time_ms > y->time_ms) - (x->time_ms < y->time_ms);
}

/* Over samples sorted by series and time, from the end: the first of a series met is its newest. */
static int judge(const struct seen *seen, size_t count)
{
    bool has_older = false;
    int64_t newest = 0;
    for (size_t i = count; i-- > 0;) {
        bool is_first = i + 1 == count || seen[i].sample.series != seen[i + 1].sample.series;
        if (is_first)
            newest = seen[i].sample.time_ms;
        bool is_newest = seen[i].sample.time_ms == newest;
        if (is_newest != seen[i].taken)
            return 0;
        has_older |= !is_newest;
    }
    return has_older;
}

int doubt_was_in(const struct split_sample *samples, const bool *taken, size_t count)
{
    struct seen *seen = calloc(count ? count : 1, sizeof *seen);
    if (!seen)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        seen[i] = (struct seen){samples[i], taken[i]};
    qsort(seen, count, sizeof *seen, by_series_and_time);
    int was_in = judge(seen, count);
    free(seen);
    return was_in;
}
