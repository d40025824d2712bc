#include "gateway/ask/replicas.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/intake/own_address.h"
#include "proto/link.h"

enum { TICK_MS = 50, RECONNECT_MIN_MS = 200, RECONNECT_MAX_MS = 2000, BURY_MS = 5 };
#define MS INT64_C(1000000)
#define ALL SIZE_MAX
#define BURY_NS (2000 * MS)

struct target { /* another gateway */
    struct peer peer;
    struct link *link; /* owned */
};

enum state { STATE_WAITING, STATE_ASKED, STATE_DONE };

struct ask { /* one question; its index is the channel on every link */
    bool is_open;
    struct question question;
    struct replica_answer *answers; /* owned; of the targets there were when it began */
    enum state *states;             /* owned */
    size_t count;
    size_t only; /* the place of the only one that is asked; ALL */
    int64_t until_ns;
    void (*done)(void *ctx, const struct replica_answer *answers, size_t count);
    void *ctx;
};

struct replicas {
    struct loop *loop; /* borrowed, as the next two */
    const struct gateway_config *config;
    const struct receive *receive;
    struct peers *peers; /* owned; NULL: none are configured */
    struct target targets[PEERS_MAX];
    size_t target_count;
    struct ask asks[LINK_CHANNELS];
    uv_timer_t timer;
    int64_t bury_until_ns;
};

/* ---- one question */

static void close_ask(struct ask *ask)
{
    for (size_t i = 0; i < ask->count; i++)
        buf_fini(&ask->answers[i].text);
    free(ask->answers);
    free(ask->states);
    *ask = (struct ask){0};
}

static void finish_when_done(struct ask *ask)
{
    for (size_t i = 0; i < ask->count; i++)
        if (ask->states[i] != STATE_DONE)
            return;
    size_t first = ask->only < ask->count ? ask->only : 0;
    size_t count = ask->only == ALL ? ask->count : ask->only < ask->count ? 1 : 0;
    ask->done(ask->ctx, ask->answers + first, count);
    close_ask(ask);
}

static void send_question(struct replicas *r, int channel, size_t target)
{
    struct ask *ask = &r->asks[channel];
    struct buf frame;
    buf_init(&frame, 1024);
    if (question_encode(&ask->question, &frame) == 0 &&
        link_request(r->targets[target].link, channel, buf_bytes(&frame), (struct bytes){0}) == 0)
        ask->states[target] = STATE_ASKED;
    buf_fini(&frame);
}

static void advance(struct replicas *r)
{
    for (int channel = 0; channel < LINK_CHANNELS; channel++) {
        struct ask *ask = &r->asks[channel];
        for (size_t i = 0; ask->is_open && i < ask->count; i++)
            if (ask->states[i] == STATE_WAITING && r->targets[i].link &&
                link_can_take(r->targets[i].link, channel))
                send_question(r, channel, i);
    }
}

/* ---- the links */

static void on_up(void *ctx, struct link *link)
{
    (void)link;
    advance(ctx);
}

/* What was under way is asked again when it is up again in time. */
static void on_down(void *ctx, struct link *link)
{
    struct replicas *r = ctx;
    for (int channel = 0; channel < LINK_CHANNELS; channel++) {
        struct ask *ask = &r->asks[channel];
        for (size_t i = 0; ask->is_open && i < ask->count; i++)
            if (r->targets[i].link == link && ask->states[i] == STATE_ASKED)
                ask->states[i] = STATE_WAITING;
    }
}

static void on_freed(void *ctx, struct link *link, int channel)
{
    (void)link, (void)channel;
    advance(ctx);
}

static void on_answered(void *ctx, struct link *link, int channel, struct bytes frame)
{
    struct replicas *r = ctx;
    struct ask *ask = &r->asks[channel];
    for (size_t i = 0; ask->is_open && i < ask->count; i++) {
        if (r->targets[i].link != link || ask->states[i] != STATE_ASKED)
            continue;
        ask->states[i] = STATE_DONE;
        if (question_decode_answer(frame, &ask->answers[i].status, &ask->answers[i].text,
                                   ask->answers[i].token) < 0)
            ask->answers[i].status = 0; /* an older one */
        finish_when_done(ask);
        return;
    }
}

static void open_target(struct replicas *r, const struct peer *peer)
{
    const struct tls_files files = {r->config->agents.tls.ca_file, r->config->agents.tls.cert_file,
                                    r->config->agents.tls.key_file};
    struct link_options options = {.url = peer->url,
                                   .tls = &files,
                                   .server_name = peer->host,
                                   .reconnect_min_ms = RECONNECT_MIN_MS,
                                   .reconnect_max_ms = RECONNECT_MAX_MS};
    struct link_events events = {r, on_up, on_down, on_answered, on_freed};
    struct target *target = &r->targets[r->target_count++];
    char words[512];
    struct buf errors;
    buf_init(&errors, 1024);
    target->peer = *peer;
    if (link_open(&r->loop->mailbox, &options, events, &target->link, &errors) < 0) {
        target->link = NULL;
        buf_append(&errors, "", 1);
        log_error("another gateway cannot be asked", "gateway=%s error=%s", peer->url,
                  log_quote(errors.len ? (char *)errors.ptr : "", words, sizeof words));
    }
    buf_fini(&errors);
}

static bool is_listed(const struct peer *list, size_t count, const char *url)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].url, url) == 0)
            return true;
    return false;
}

static bool has_open_ask(const struct replicas *r)
{
    for (int channel = 0; channel < LINK_CHANNELS; channel++)
        if (r->asks[channel].is_open)
            return true;
    return false;
}

/* Only between questions, because they know the targets by their places. */
static void forget_unlisted(struct replicas *r, const struct peer *list, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->target_count; i++) {
        if (is_listed(list, count, r->targets[i].peer.url))
            r->targets[kept++] = r->targets[i];
        else
            link_close(r->targets[i].link);
    }
    r->target_count = kept;
}

static size_t find_target(const struct replicas *r, const char *url)
{
    size_t at = 0;
    while (at < r->target_count && strcmp(r->targets[at].peer.url, url) != 0)
        at++;
    return at;
}

static void look_for_targets(struct replicas *r)
{
    struct peer *list = r->peers ? calloc(PEERS_MAX, sizeof *list) : NULL;
    size_t count = list ? peers_get(r->peers, r->config->name, list, PEERS_MAX) : 0;
    if (list && !has_open_ask(r))
        forget_unlisted(r, list, count);
    for (size_t i = 0; i < count; i++) {
        if (find_target(r, list[i].url) == r->target_count && r->target_count < PEERS_MAX &&
            !own_address_is(r->config, r->receive, &list[i]))
            open_target(r, &list[i]);
    }
    free(list);
}

/* ---- public */

static struct ask *find_free(struct replicas *r)
{
    for (int channel = 0; channel < LINK_CHANNELS; channel++)
        if (!r->asks[channel].is_open)
            return &r->asks[channel];
    return NULL;
}

/* Those that have not answered in time: their links are given up, or their channels would never be free. */
static void give_up(struct replicas *r, struct ask *ask)
{
    for (size_t i = 0; i < ask->count; i++) {
        if (ask->states[i] == STATE_ASKED)
            link_drop(r->targets[i].link);
        ask->states[i] = STATE_DONE;
    }
    finish_when_done(ask);
}

static void on_tick(uv_timer_t *timer)
{
    struct replicas *r = timer->data;
    int64_t now_ns = clock_mono_ns();
    for (int channel = 0; channel < LINK_CHANNELS; channel++)
        if (r->asks[channel].is_open && now_ns > r->asks[channel].until_ns)
            give_up(r, &r->asks[channel]);
    if (!has_open_ask(r))
        uv_timer_stop(timer);
}

/* url: of the only one; NULL: all. */
static int begin(struct replicas *r, const char *url, const struct question *question,
                 void (*done)(void *ctx, const struct replica_answer *answers, size_t count), void *ctx)
{
    struct ask *ask = find_free(r);
    if (!ask)
        return -EBUSY;
    look_for_targets(r);
    *ask = (struct ask){.is_open = true,
                        .question = *question,
                        .count = r->target_count,
                        .only = url ? find_target(r, url) : ALL,
                        .done = done,
                        .ctx = ctx};
    ask->until_ns = clock_mono_ns() + REPLICAS_ANSWER_MS * MS;
    ask->answers = calloc(ask->count + 1, sizeof *ask->answers);
    ask->states = calloc(ask->count + 1, sizeof *ask->states);
    if (!ask->answers || !ask->states) {
        ask->count = 0;
        close_ask(ask);
        return -ENOMEM;
    }
    for (size_t i = 0; i < ask->count; i++) {
        memcpy(ask->answers[i].url, r->targets[i].peer.url, sizeof ask->answers[i].url);
        buf_init(&ask->answers[i].text, QUESTION_MAX_ANSWER);
        ask->states[i] = ask->only == ALL || ask->only == i ? STATE_WAITING : STATE_DONE;
    }
    uv_timer_start(&r->timer, on_tick, TICK_MS, TICK_MS);
    advance(r);
    finish_when_done(ask);
    return 0;
}

int replicas_ask(struct replicas *replicas, const struct question *question,
                 void (*done)(void *ctx, const struct replica_answer *answers, size_t count), void *ctx)
{
    return begin(replicas, NULL, question, done, ctx);
}

int replicas_ask_one(struct replicas *replicas, const char *url, const struct question *question,
                     void (*done)(void *ctx, const struct replica_answer *answers, size_t count), void *ctx)
{
    return begin(replicas, url, question, done, ctx);
}

size_t replicas_list(struct replicas *replicas, char (*ret_urls)[PEERS_MAX_URL], size_t most)
{
    size_t count = 0;
    look_for_targets(replicas);
    for (; count < replicas->target_count && count < most; count++)
        memcpy(ret_urls[count], replicas->targets[count].peer.url, PEERS_MAX_URL);
    return count;
}

/* "://ADDRESS:" is in the URL. */
bool replicas_is_one(struct replicas *replicas, const char *from)
{
    struct replicas *r = replicas;
    struct peer *list = r->peers ? calloc(PEERS_MAX, sizeof *list) : NULL;
    size_t count = list ? peers_get(r->peers, r->config->name, list, PEERS_MAX) : 0;
    const char *colon = strrchr(from, ':');
    char part[80];
    bool is_one = false;
    snprintf(part, sizeof part, "://%.*s:", colon ? (int)(colon - from) : 0, from);
    for (size_t i = 0; colon && i < count && !is_one; i++)
        is_one = strstr(list[i].url, part) != NULL;
    free(list);
    if (r->peers && !is_one)
        peers_refresh(r->peers); /* it may have begun a moment ago */
    return is_one;
}

/* The list is read when a question comes. */
static void on_peers(void *ctx)
{
    (void)ctx;
}

int replicas_new(struct loop *loop, const struct gateway_config *config, const struct receive *receive,
                 struct replicas **ret_replicas)
{
    struct replicas *r = calloc(1, sizeof *r);
    struct buf errors;
    if (!r)
        return -ENOMEM;
    r->loop = loop;
    r->config = config;
    r->receive = receive;
    buf_init(&errors, 4096);
    int err = config->peers.count ? peers_new(&loop->uv, &config->peers, on_peers, r, &r->peers, &errors) : 0;
    buf_fini(&errors);
    if (err < 0) {
        free(r);
        return err;
    }
    uv_timer_init(&loop->uv, &r->timer);
    r->timer.data = r;
    *ret_replicas = r;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* Letters of closed links are still to be opened. */
static void on_bury(uv_timer_t *timer)
{
    struct replicas *r = timer->data;
    mailbox_drain(&r->loop->mailbox);
    if (link_closing() == 0 || clock_mono_ns() > r->bury_until_ns)
        uv_close((uv_handle_t *)timer, on_timer_closed);
}

void replicas_close(struct replicas *replicas)
{
    if (!replicas)
        return;
    for (int channel = 0; channel < LINK_CHANNELS; channel++)
        close_ask(&replicas->asks[channel]);
    peers_close(replicas->peers);
    for (size_t i = 0; i < replicas->target_count; i++)
        link_close(replicas->targets[i].link);
    replicas->bury_until_ns = clock_mono_ns() + BURY_NS;
    uv_timer_start(&replicas->timer, on_bury, 0, BURY_MS);
}
