#include "gateway/fanout/halving.h"

#include <errno.h>
#include <stdlib.h>

/* ---- the lists */

static int make_room(void **items, size_t size, size_t count, size_t *room)
{
    if (count < *room)
        return 0;
    size_t grown_room = *room ? *room * 2 : 8;
    void *grown = realloc(*items, grown_room * size);
    if (!grown)
        return -ENOMEM;
    *items = grown;
    *room = grown_room;
    return 0;
}

int halving_add_work(struct halving *h, struct part part)
{
    int err = make_room((void **)&h->work, sizeof *h->work, h->work_count, &h->work_room);
    if (err == 0)
        h->work[h->work_count++] = part;
    return err;
}

int halving_add_answer(struct halving *h, struct part_answer answer)
{
    int err = make_room((void **)&h->answers, sizeof *h->answers, h->answer_count, &h->answer_room);
    if (err == 0)
        h->answers[h->answer_count++] = answer;
    return err;
}

int halving_add_doubt(struct halving *h, struct part part)
{
    int err = make_room((void **)&h->doubts, sizeof *h->doubts, h->doubt_count, &h->doubt_room);
    if (err == 0)
        h->doubts[h->doubt_count++] = part;
    return err;
}

int halving_add_words(struct halving *h, struct bytes words)
{
    int err = make_room((void **)&h->words, sizeof *h->words, h->word_count, &h->word_room);
    if (err < 0)
        return err;
    size_t len = words.len < HALVING_MAX_WORDS ? words.len : HALVING_MAX_WORDS;
    char *copy = malloc(len + 1);
    if (!copy)
        return -ENOMEM;
    if (len)
        memcpy(copy, words.ptr, len);
    copy[len] = 0;
    h->words[h->word_count++] = copy;
    return 0;
}

int halving_init(struct halving *h, size_t rows)
{
    *h = (struct halving){.row_count = rows};
    h->rows = calloc(rows ? rows : 1, sizeof *h->rows);
    struct part all = {0, (uint32_t)rows, 0, 0};
    int err = h->rows ? halving_add_work(h, all) : -ENOMEM;
    if (err < 0)
        halving_fini(h);
    return err;
}

void halving_fini(struct halving *h)
{
    for (size_t i = 0; i < h->word_count; i++)
        free(h->words[i]);
    free(h->words);
    free(h->rows);
    free(h->work);
    free(h->answers);
    free(h->doubts);
    *h = (struct halving){0};
}

/* ---- the next part */

bool halving_next(const struct halving *h, struct part *ret_part)
{
    if (h->work_count == 0)
        return false;
    *ret_part = h->work[h->work_count - 1];
    return true;
}

bool halving_is_whole(const struct halving *h)
{
    return h->answer_count == 0 && h->doubt_count == 0 && h->work_count == 1 &&
           h->work[0].rows == h->row_count && h->work[0].to == 0;
}

bool halving_must_count(const struct halving *h)
{
    struct part part;
    return halving_next(h, &part) && part.rows == 1 && part.to == 0 && h->rows[part.row].records == 0;
}

void halving_set_count(struct halving *h, uint32_t row, uint32_t records)
{
    h->rows[row].records = records;
}

/* ---- answers */

/* Words that were heard already, or a new entry; the last one for all when there are too many. Answers end
 * with a line end, which is none of them. */
static int find_words(struct halving *h, struct bytes words, uint32_t *ret_index)
{
    while (words.len && (words.ptr[words.len - 1] == '\n' || words.ptr[words.len - 1] == '\r'))
        words.len--;
    if (words.len > HALVING_MAX_WORDS)
        words.len = HALVING_MAX_WORDS;
    for (size_t i = h->word_count; i-- > 0;) {
        if (bytes_equal(bytes_of_string(h->words[i]), words)) {
            *ret_index = (uint32_t)i;
            return 0;
        }
    }
    if (h->word_count < HALVING_MOST_WORDS) {
        int err = halving_add_words(h, words);
        if (err < 0)
            return err;
    }
    *ret_index = (uint32_t)h->word_count - 1;
    return 0;
}

/* Two neighbours that were taken are one. */
static bool grow_last_taken(struct halving *h, struct part part)
{
    struct part_answer *last = h->answer_count ? &h->answers[h->answer_count - 1] : NULL;
    if (!last || last->outcome != PART_TAKEN)
        return false;
    struct part *p = &last->part;
    if (p->to == 0 && part.to == 0 && p->row + p->rows == part.row)
        p->rows += part.rows;
    else if (p->to && part.to && p->row == part.row && p->to == part.from)
        p->to = part.to;
    else
        return false;
    return true;
}

int halving_take(struct halving *h)
{
    struct part part = h->work[h->work_count - 1];
    struct part_answer answer = {part, PART_TAKEN, 0, 0};
    int err = grow_last_taken(h, part) ? 0 : halving_add_answer(h, answer);
    if (err == 0)
        h->work_count--;
    return err;
}

int halving_settle(struct halving *h, enum part_outcome outcome, int status, struct bytes words)
{
    struct part_answer answer = {h->work[h->work_count - 1], outcome, status, 0};
    int err = find_words(h, words, &answer.words);
    if (err == 0)
        err = halving_add_answer(h, answer);
    if (err == 0)
        h->work_count--;
    return err;
}

int halving_doubt(struct halving *h)
{
    struct part part = h->work[h->work_count - 1];
    if (h->doubt_count && memcmp(&h->doubts[h->doubt_count - 1], &part, sizeof part) == 0)
        return 0;
    return halving_add_doubt(h, part);
}

/* Replaces the next part by two, the left one next. */
static int cut_next(struct halving *h, struct part left, struct part right)
{
    int err = halving_add_work(h, left);
    if (err == 0)
        h->work[h->work_count - 2] = right;
    return err;
}

/* The row was posted too often: the next part and all that is left of its row. */
static int give_up_row(struct halving *h, uint32_t row, int status, struct bytes words)
{
    struct part part;
    while (halving_next(h, &part) && part.row == row && part.rows == 1) {
        int err = halving_settle(h, PART_UNRESOLVED, status, words);
        if (err < 0)
            return err;
    }
    return 0;
}

static int refuse_row(struct halving *h, struct part part, int status, struct bytes words)
{
    struct halving_row *row = &h->rows[part.row];
    uint32_t from = part.from, to = part.to ? part.to : row->records;
    row->posts++;
    if (to - from <= 1)
        return halving_settle(h, PART_REFUSED, status, words);
    if (row->posts >= HALVING_MAX_POSTS)
        return give_up_row(h, part.row, status, words);
    uint32_t middle = from + (to - from) / 2;
    return cut_next(h, (struct part){part.row, 1, from, middle}, (struct part){part.row, 1, middle, to});
}

int halving_refuse(struct halving *h, int status, struct bytes words)
{
    struct part part = h->work[h->work_count - 1];
    if (part.rows == 1)
        return refuse_row(h, part, status, words);
    uint32_t half = part.rows / 2;
    return cut_next(h, (struct part){part.row, half, 0, 0},
                    (struct part){part.row + half, part.rows - half, 0, 0});
}

int halving_cut(struct halving *h, uint32_t pieces)
{
    struct part part = h->work[h->work_count - 1];
    uint32_t records = h->rows[part.row].records;
    if (pieces > records)
        pieces = records;
    if (pieces < 2)
        return 0;
    size_t before = h->work_count--;
    for (uint32_t i = pieces; i-- > 0;) { /* the last piece first, so that the first one is next */
        struct part piece = {part.row, 1, (uint32_t)((uint64_t)records * i / pieces),
                             (uint32_t)((uint64_t)records * (i + 1) / pieces)};
        if (halving_add_work(h, piece) < 0) {
            h->work_count = before;
            h->work[before - 1] = part;
            return -ENOMEM;
        }
    }
    return 0;
}

int halving_split(struct halving *h, uint32_t at)
{
    struct part part = h->work[h->work_count - 1];
    uint32_t to = part.to ? part.to : h->rows[part.row].records;
    if (part.rows > 1)
        return at == 0 || at >= part.rows ? 0
                                          : cut_next(h, (struct part){part.row, at, 0, 0},
                                                     (struct part){part.row + at, part.rows - at, 0, 0});
    return at <= part.from || at >= to
               ? 0
               : cut_next(h, (struct part){part.row, 1, part.from, at}, (struct part){part.row, 1, at, to});
}

const char *halving_words(const struct halving *h, const struct part_answer *answer)
{
    return answer->outcome != PART_TAKEN && answer->words < h->word_count ? h->words[answer->words] : "";
}
