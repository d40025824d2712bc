#include "gateway/fanout/repost.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/snap.h"
#include "gateway/fanout/split.h"

enum { WAIT_MS = 100, FIRST_PAUSE_MS = 200, MOST_PAUSE_MS = 5000 };

struct answered {
    struct sender_post post;
    bool is_done;
    enum verdict verdict;
    enum backend_kind kind;
    bool drop_on_client_error;
    int64_t pause_ms;
    struct repost_result *result;
};

int repost_init(struct repost *repost, const struct gateway_backend_config *config, enum backend_kind kind,
                enum telemetry signal)
{
    *repost = (struct repost){.kind = kind, .drop_on_client_error = config->drop_on_client_error};
    buf_init(&repost->piece, REPOST_MAX_BYTES);
    buf_init(&repost->packed, REPOST_MAX_BYTES);
    int err = translate_init(&repost->translate, config, kind);
    return err < 0 ? err : sender_new(config, kind, signal, &repost->sender);
}

void repost_fini(struct repost *repost)
{
    sender_free(repost->sender);
    repost->sender = NULL;
    translate_fini(&repost->translate);
    buf_fini(&repost->piece);
    buf_fini(&repost->packed);
}

/* ---- one post */

static void on_answer(struct sender_post *post, const struct sender_answer *answer)
{
    struct answered *a = (struct answered *)(void *)((char *)post - offsetof(struct answered, post));
    struct repost_result *result = a->result;
    a->is_done = true;
    a->verdict = VERDICT_AWAY;
    if (answer->outcome != SENDER_ANSWERED) {
        snprintf(result->words, sizeof result->words, "%s", answer->error);
        return;
    }
    const struct verdict_answer *http = &answer->http;
    a->verdict = verdict_of(a->kind, http, a->drop_on_client_error, &a->pause_ms);
    if (a->verdict == VERDICT_DELIVERED)
        return;
    int len = http->body.len < HALVING_MAX_WORDS ? (int)http->body.len : HALVING_MAX_WORDS;
    while (len > 0 && http->body.ptr[len - 1] == '\n')
        len--;
    result->status = http->status;
    snprintf(result->words, sizeof result->words, "%.*s", len, len ? (const char *)http->body.ptr : "");
}

static int post_once(struct repost *repost, const _Atomic bool *cancelled, struct answered *a)
{
    a->is_done = false;
    a->pause_ms = 0;
    bool is_plain = backend_is_plain(repost->kind);
    a->post = (struct sender_post){.body = buf_bytes(is_plain ? &repost->piece : &repost->packed),
                                   .done = on_answer};
    if (sender_start(repost->sender, &a->post) < 0)
        return -ENOMEM;
    for (sender_run(repost->sender); !a->is_done; sender_run(repost->sender)) {
        if (atomic_load(cancelled)) {
            sender_abort(repost->sender, &a->post);
            return -ECANCELED;
        }
        sender_wait(repost->sender, WAIT_MS);
    }
    return 0;
}

static void pause_ms(int64_t ms, const _Atomic bool *cancelled)
{
    for (; ms > 0 && !atomic_load(cancelled); ms -= WAIT_MS)
        (void)poll(NULL, 0, ms < WAIT_MS ? (int)ms : WAIT_MS);
}

/* Until there is a verdict about the data; 429 and 5xx, and a backend that is away, a few times. A 5xx that
 * stays is one: data can be the cause of it. */
static int post(struct repost *repost, const _Atomic bool *cancelled, struct answered *a)
{
    int64_t pause = FIRST_PAUSE_MS;
    for (int tries = 0; tries < REPOST_TRIES; tries++) {
        int err = post_once(repost, cancelled, a);
        if (err < 0)
            return err;
        if (a->verdict != VERDICT_RETRY && a->verdict != VERDICT_AWAY)
            return 0;
        if (tries + 1 < REPOST_TRIES)
            pause_ms(a->pause_ms > pause ? a->pause_ms : pause, cancelled);
        pause = pause * 2 < MOST_PAUSE_MS ? pause * 2 : MOST_PAUSE_MS;
    }
    bool may_be_data = a->verdict == VERDICT_RETRY && verdict_is_lasting(a->kind, a->result->status);
    return may_be_data ? 0 : -EAGAIN;
}

/* ---- a message */

static int build(struct repost *repost, enum batch_format format, struct bytes raw, uint32_t count,
                 struct part part)
{
    uint32_t to = part.to ? part.to : count;
    buf_clear(&repost->piece);
    buf_clear(&repost->packed);
    int err = part.from == 0 && to == count ? buf_append(&repost->piece, raw.ptr, raw.len)
                                            : split_write(format, raw, count, part.from, to, &repost->piece);
    bool is_done = err < 0 || backend_is_plain(repost->kind);
    return is_done ? err : snap_compress(buf_bytes(&repost->piece), &repost->packed);
}

static int post_parts(struct repost *repost, enum batch_format format, struct bytes raw, uint32_t count,
                      struct halving *halving, struct answered *a, const _Atomic bool *cancelled)
{
    struct part part;
    int err = 0;
    while (err == 0 && halving_next(halving, &part)) {
        struct repost_result *result = a->result;
        err = build(repost, format, raw, count, part);
        if (err == 0)
            err = post(repost, cancelled, a);
        if (err < 0)
            break;
        if (a->verdict == VERDICT_DELIVERED) {
            result->delivered += (part.to ? part.to : count) - part.from;
            err = halving_take(halving);
        } else {
            err = halving_refuse(halving, result->status, bytes_of_string(result->words));
        }
    }
    return err;
}

static int collect_left(enum batch_format format, struct bytes raw, uint32_t count,
                        const struct halving *halving, struct repost_result *result)
{
    for (size_t i = 0; i < halving->answer_count; i++) {
        const struct part_answer *answer = &halving->answers[i];
        uint32_t to = answer->part.to ? answer->part.to : count;
        if (answer->outcome == PART_TAKEN)
            continue;
        int err = split_write(format, raw, count, answer->part.from, to, &result->left);
        if (err < 0)
            return err;
        result->refused += to - answer->part.from;
        result->status = answer->status;
        snprintf(result->words, sizeof result->words, "%s", halving_words(halving, answer));
    }
    return 0;
}

static int repost_as_it_is(struct repost *repost, enum batch_format format, struct bytes raw,
                           const _Atomic bool *cancelled, struct repost_result *ret_result)
{
    struct halving halving;
    uint32_t count;
    int err = split_count(format, raw, &count);
    if (err < 0 || count == 0)
        return -EBADMSG;
    err = halving_init(&halving, 1);
    if (err < 0)
        return err;
    halving_set_count(&halving, 0, count);
    struct answered a = {
        .kind = repost->kind, .drop_on_client_error = repost->drop_on_client_error, .result = ret_result};
    err = post_parts(repost, format, raw, count, &halving, &a, cancelled);
    if (err == 0)
        err = collect_left(format, raw, count, &halving, ret_result);
    halving_fini(&halving);
    return err;
}

/* All of it, or it is left as it was: the kept record is in the format that it came in. */
static int repost_translated(struct repost *repost, enum batch_format format, struct bytes raw,
                             const _Atomic bool *cancelled, struct repost_result *result)
{
    struct translate *t = &repost->translate;
    int err = translate_run(t, format, raw, 0, clock_wall_ns());
    if (err < 0)
        return err == -ENOMEM ? err : -EBADMSG;
    uint32_t count = t->result.source_count;
    uint8_t reason = 0;
    for (uint32_t i = 0; i < count && !reason; i++)
        reason = t->result.reasons[i];
    if (reason)
        snprintf(result->words, sizeof result->words, "%s",
                 translate_reason_words((enum translate_reason)reason));
    else if (t->result.count)
        err = repost_as_it_is(repost, t->result.format, buf_bytes(&t->result.message), cancelled, result);
    if (err < 0)
        return err;
    bool is_left = reason || result->refused;
    buf_clear(&result->left);
    result->delivered = is_left ? 0 : count;
    result->refused = is_left ? count : 0;
    return is_left ? buf_append(&result->left, raw.ptr, raw.len) : 0;
}

int repost_message(struct repost *repost, enum batch_format format, struct bytes raw,
                   const _Atomic bool *cancelled, struct repost_result *ret_result)
{
    *ret_result = (struct repost_result){0};
    buf_init(&ret_result->left, REPOST_MAX_BYTES);
    return (translate_is_needed(repost->kind, format) ? repost_translated : repost_as_it_is)(
        repost, format, raw, cancelled, ret_result);
}
