#include "gateway/ask/refused_others.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/ask/job.h"
#include "gateway/ask/refused_id.h"
#include "gateway/ask/refused_work.h"

enum { FIRST_PAUSE_MS = 5, PAUSE_MS = 50, MOST_LINE = 512 };

struct round {                    /* one operator's question, from gateway to gateway */
    struct refused_others *owner; /* borrowed; lives until its last round is freed */
    struct round *next;
    struct http_request *request; /* borrowed; NULL once the peer has gone */
    struct question question;
    char (*urls)[PEERS_MAX_URL]; /* owned */
    size_t count, at;
    bool is_asking, is_ended, is_about_one, has_said;
    int status;
    uv_timer_t timer;
};

struct refused_others {
    struct loop *loop; /* borrowed, as the next two */
    const struct gateway_config *config;
    struct replicas *replicas;
    struct round *first; /* owned */
    bool is_closing;
};

/* ---- the answer */

static void say(struct round *round, struct bytes text)
{
    round->has_said |= text.len > 0;
    if (round->request && text.len)
        (void)http_stream_write(round->request, text);
}

static void say_line(struct round *round, const char *line)
{
    say(round, bytes_of_string(line));
}

static void free_when_empty(struct refused_others *others)
{
    if (others->is_closing && !others->first)
        free(others);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct round *round = handle->data;
    struct refused_others *others = round->owner;
    struct round **at = &others->first;
    while (*at != round)
        at = &(*at)->next;
    *at = round->next;
    free(round->urls);
    free(round);
    free_when_empty(others);
}

static void end(struct round *round)
{
    if (round->is_asking || round->is_ended)
        return;
    round->is_ended = true;
    if (round->request)
        http_stream_end(round->request);
    round->request = NULL;
    uv_close((uv_handle_t *)&round->timer, on_timer_closed);
}

static void finish(struct round *round)
{
    char line[MOST_LINE];
    if (round->is_about_one && !round->has_said) {
        snprintf(line, sizeof line, "%s: no gateway of that name answers\n", round->question.id);
        say_line(round, line);
        round->status = 1;
    }
    snprintf(line, sizeof line, "end %d\n", round->status);
    say_line(round, line);
    end(round);
}

static void on_gone(void *ctx)
{
    struct round *round = ctx;
    round->request = NULL;
    end(round);
}

/* ---- the questions */

static void on_timer(uv_timer_t *timer);

static void ask_next(struct round *round)
{
    round->at++;
    round->question.token[0] = '\0';
    uv_timer_start(&round->timer, on_timer, 0, 0);
}

/* The one that is being asked has not answered, or not with what was asked for. */
static void say_failure(struct round *round, const struct replica_answer *answer)
{
    char line[MOST_LINE];
    size_t len = answer ? answer->text.len : 0;
    const char *words = len ? (const char *)answer->text.ptr : "no answer";
    len = len ? len : strlen(words);
    while (len && words[len - 1] == '\n')
        len--;
    if (round->question.is_json)
        snprintf(line, sizeof line, "{\"gateway\":\"%s\",\"error\":\"%.*s\"}\n", round->urls[round->at],
                 (int)(len < 300 ? len : 300), words);
    else
        snprintf(line, sizeof line, "gateway %s: %.*s\n", round->urls[round->at],
                 (int)(len < 300 ? len : 300), words);
    say_line(round, line);
    if (round->question.action != REFUSED_LIST)
        round->status = 1;
}

static void on_answer(void *ctx, const struct replica_answer *answers, size_t count)
{
    struct round *round = ctx;
    bool is_answered = count && (answers->status == 200 || answers->status == 409);
    round->is_asking = false;
    if (!round->request) {
        end(round);
        return;
    }
    if (!is_answered) {
        say_failure(round, count ? answers : NULL);
        ask_next(round);
        return;
    }
    bool is_first = !round->question.token[0];
    if (answers->status == 409)
        round->status = 1;
    say(round, buf_bytes(&answers->text));
    if (!answers->token[0]) {
        ask_next(round);
        return;
    }
    memcpy(round->question.token, answers->token, sizeof round->question.token);
    uv_timer_start(&round->timer, on_timer, is_first ? FIRST_PAUSE_MS : answers->text.len ? 0 : PAUSE_MS, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct round *round = timer->data;
    if (!round->request) {
        end(round);
        return;
    }
    if (round->at == round->count) {
        finish(round);
        return;
    }
    if (http_stream_write(round->request, bytes_of_string("")) > JOB_QUEUED_BYTES) {
        uv_timer_start(timer, on_timer, PAUSE_MS, 0);
        return;
    }
    round->is_asking = true;
    int err =
        replicas_ask_one(round->owner->replicas, round->urls[round->at], &round->question, on_answer, round);
    if (err == -EBUSY) {
        round->is_asking = false;
        uv_timer_start(timer, on_timer, PAUSE_MS, 0);
    } else if (err < 0) {
        on_answer(round, NULL, 0);
    }
}

/* ---- requests */

static void take(struct http_request *request, const char *name, char *storage, size_t size)
{
    if (!http_request_param(request, name, storage, size))
        storage[0] = '\0';
}

static int find_action(const char *name)
{
    static const char *const names[] = {"list", "show", "retry", "drop"};
    for (int i = 0; i < 4; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

/* Whether others are to be asked at all. */
static bool read_question(struct round *round, struct http_request *request, const char *own_name)
{
    struct question *q = &round->question;
    struct refused_id id = {0};
    char format[16] = "";
    take(request, "signal", q->signal, sizeof q->signal);
    take(request, "cause", q->cause, sizeof q->cause);
    take(request, "backend", q->backend, sizeof q->backend);
    take(request, "origin", q->origin, sizeof q->origin);
    take(request, "id", q->id, sizeof q->id);
    take(request, "format", format, sizeof format);
    q->is_json = strcmp(format, "json") == 0;
    round->is_about_one = q->id[0] && refused_id_parse(q->id, &id) == 0;
    return !q->id[0] || (id.gateway[0] && strcmp(id.gateway, own_name) != 0);
}

static void serve(struct http_request *request, void *ctx)
{
    struct refused_others *others = ctx;
    struct round *round = calloc(1, sizeof *round);
    char name[16];
    take(request, "action", name, sizeof name);
    int action = find_action(name);
    bool is_change = action == REFUSED_RETRY || action == REFUSED_DROP;
    if (round)
        round->urls = calloc(PEERS_MAX, sizeof *round->urls);
    if (!round || !round->urls || action < 0 ||
        is_change != (strcmp(http_request_method(request), "POST") == 0)) {
        http_answer_text(request,
                         action < 0             ? 400
                         : round && round->urls ? 405
                                                : 503,
                         "action: list or show by GET, retry or drop by POST\n");
        free(round ? round->urls : NULL);
        free(round);
        return;
    }
    round->owner = others;
    round->request = request;
    round->question = (struct question){.verb = QUESTION_REFUSED, .action = (uint32_t)action};
    if (read_question(round, request, others->config->name))
        round->count = replicas_list(others->replicas, round->urls, PEERS_MAX);
    else
        round->is_about_one = false;
    round->next = others->first;
    others->first = round;
    uv_timer_init(&others->loop->uv, &round->timer);
    round->timer.data = round;
    http_request_on_gone(request, on_gone, round);
    http_stream_begin(request, 200, "text/plain; charset=utf-8");
    uv_timer_start(&round->timer, on_timer, 0, 0);
}

/* ---- life */

int refused_others_new(struct loop *loop, struct control *control, const struct gateway_config *config,
                       struct replicas *replicas, struct refused_others **ret_others)
{
    struct refused_others *others = calloc(1, sizeof *others);
    if (!others)
        return -ENOMEM;
    others->loop = loop;
    others->config = config;
    others->replicas = replicas;
    control_add(control, "GET", "/refused/others", serve, others);
    control_add(control, "POST", "/refused/others", serve, others);
    *ret_others = others;
    return 0;
}

void refused_others_close(struct refused_others *others)
{
    if (!others)
        return;
    others->is_closing = true;
    for (struct round *round = others->first; round; round = round->next) {
        round->is_asking = false; /* nobody answers any more */
        end(round);
    }
    free_when_empty(others);
}
