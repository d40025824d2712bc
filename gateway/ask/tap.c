#include "gateway/ask/tap.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "gateway/ask/tap_read.h"

enum { POLL_MS = 20 };

enum session_state {
    SESSION_READING,     /* a step is on the thread pool */
    SESSION_PEER_BEHIND, /* the peer has too much to take; looked at every POLL_MS */
    SESSION_WAITING,     /* followed, at the newest row; a commit or a heartbeat comes */
    SESSION_ENDED,       /* its timer is closing */
};

struct session {
    struct tap *tap; /* borrowed; lives until its last session is freed */
    struct session *next;
    struct http_request *request; /* borrowed; NULL once the peer has gone */
    struct tap_query query;
    struct tap_read read;
    enum session_state state;
    enum tap_step step; /* what the last one came to */
    bool has_news;      /* a commit came while a step was under way */
    uv_work_t work;
    uv_timer_t timer;
};

struct tap {
    struct loop *loop;                       /* borrowed */
    struct buffer *buffers[TELEMETRY_COUNT]; /* borrowed */
    struct session *sessions;                /* owned */
    int session_count;
    uv_async_t committed;
    _Atomic unsigned news; /* a bit for each signal that has new rows */
    struct hook {
        struct tap *tap;
        int signal;
    } hooks[TELEMETRY_COUNT];
    bool is_closing, is_handle_closed;
};

/* ---- the end */

static void free_when_empty(struct tap *tap)
{
    if (tap->is_handle_closed && tap->session_count == 0)
        free(tap);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct session *session = handle->data;
    struct tap *tap = session->tap;
    tap_read_fini(&session->read);
    free(session);
    tap->session_count--;
    free_when_empty(tap);
}

/* Ends the answer and frees, when no step is under way; that one ends it else. */
static void end(struct session *session)
{
    if (session->state == SESSION_READING || session->state == SESSION_ENDED)
        return;
    session->state = SESSION_ENDED;
    struct session **at = &session->tap->sessions;
    while (*at != session)
        at = &(*at)->next;
    *at = session->next;
    if (session->request)
        http_stream_end(session->request);
    session->request = NULL;
    uv_close((uv_handle_t *)&session->timer, on_timer_closed);
}

static void on_gone(void *ctx)
{
    struct session *session = ctx;
    session->request = NULL;
    end(session);
}

/* ---- steps */

static void on_work(uv_work_t *work)
{
    struct session *session = work->data;
    session->step = tap_read_step(&session->read);
}

static void on_timer(uv_timer_t *timer);
static void on_worked(uv_work_t *work, int status);

static void start_step(struct session *session)
{
    session->state = SESSION_READING;
    session->has_news = false;
    if (uv_queue_work(&session->tap->loop->uv, &session->work, on_work, on_worked) < 0) {
        session->state = SESSION_WAITING;
        end(session);
    }
}

static void wait_for(struct session *session, enum session_state state, uint64_t ms)
{
    session->state = state;
    uv_timer_start(&session->timer, on_timer, ms, 0);
}

/* What comes after a step, or after the peer has caught up. */
static void go_on(struct session *session, size_t queued)
{
    bool is_late = session->query.is_followed && clock_wall_ns() > session->query.to_ns;
    switch (session->step) {
    case TAP_MORE:
        if (queued > TAP_QUEUED_BYTES)
            wait_for(session, SESSION_PEER_BEHIND, POLL_MS);
        else
            start_step(session);
        return;
    case TAP_AT_END:
        if (session->query.is_followed && session->has_news)
            start_step(session);
        else if (session->query.is_followed && !is_late)
            wait_for(session, SESSION_WAITING, TAP_HEARTBEAT_MS);
        else
            end(session);
        return;
    case TAP_DONE:
    case TAP_FAILED:
        end(session);
        return;
    }
}

static void on_worked(uv_work_t *work, int status)
{
    struct session *session = work->data;
    size_t queued = 0;
    session->state = SESSION_WAITING;
    if (!session->request || session->tap->is_closing || status < 0) {
        end(session);
        return;
    }
    if (session->read.out.len)
        queued = http_stream_write(session->request, buf_bytes(&session->read.out));
    buf_release(&session->read.out, TAP_STEP_BYTES);
    go_on(session, queued);
}

static void on_timer(uv_timer_t *timer)
{
    struct session *session = timer->data;
    if (!session->request) {
        end(session);
        return;
    }
    bool is_heartbeat = session->state == SESSION_WAITING;
    size_t queued = http_stream_write(session->request, bytes_of_string(is_heartbeat ? "\n" : ""));
    go_on(session, queued);
}

/* ---- commits: on the writer's thread, then on the loop */

static void on_commit(void *ctx)
{
    struct hook *hook = ctx;
    atomic_fetch_or(&hook->tap->news, 1u << hook->signal);
    uv_async_send(&hook->tap->committed);
}

static void on_news(uv_async_t *async)
{
    struct tap *tap = async->data;
    unsigned news = atomic_exchange(&tap->news, 0);
    for (struct session *session = tap->sessions, *next; session; session = next) {
        next = session->next;
        if (!(news & 1u << session->query.signal))
            continue;
        session->has_news = true;
        if (session->state == SESSION_WAITING && session->request) {
            uv_timer_stop(&session->timer);
            start_step(session);
        }
    }
}

/* ---- requests */

static struct session *new_session(struct tap *tap, struct http_request *request)
{
    struct session *session = calloc(1, sizeof *session);
    const char *wrong = "out of memory";
    int status = 503;
    if (session && tap_query_parse(http_request_query(request), clock_wall_ns(), &session->query, &wrong) < 0)
        status = 400;
    else if (session &&
             tap_read_init(&session->read, tap->buffers[session->query.signal], &session->query) < 0)
        wrong = "the buffer cannot be read";
    else if (session)
        return session;
    char text[160];
    snprintf(text, sizeof text, "%s\n", wrong);
    http_answer_text(request, status, text);
    free(session);
    return NULL;
}

static void serve_tap(struct http_request *request, void *ctx)
{
    struct tap *tap = ctx;
    if (tap->session_count >= TAP_MAX_TAPS) {
        http_answer_text(request, 503, "too many taps\n");
        return;
    }
    struct session *session = new_session(tap, request);
    if (!session)
        return;
    session->tap = tap;
    session->request = request;
    session->next = tap->sessions;
    tap->sessions = session;
    tap->session_count++;
    uv_timer_init(&tap->loop->uv, &session->timer);
    session->timer.data = session->work.data = session;
    http_request_on_gone(request, on_gone, session);
    http_stream_begin(request, 200,
                      session->query.is_json ? "application/x-ndjson" : "text/plain; charset=utf-8");
    start_step(session);
}

int tap_new(struct loop *loop, struct control *control, struct buffer *const buffers[TELEMETRY_COUNT],
            struct tap **ret_tap)
{
    struct tap *tap = calloc(1, sizeof *tap);
    if (!tap)
        return -ENOMEM;
    tap->loop = loop;
    memcpy(tap->buffers, buffers, sizeof tap->buffers);
    control_add(control, "GET", "/tap", serve_tap, tap);
    uv_async_init(&loop->uv, &tap->committed, on_news);
    tap->committed.data = tap;
    for (int s = 0; s < TELEMETRY_COUNT; s++) {
        tap->hooks[s] = (struct hook){tap, s};
        if (buffers[s])
            buffer_on_commit(buffers[s], on_commit, &tap->hooks[s]);
    }
    *ret_tap = tap;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct tap *tap = handle->data;
    tap->is_handle_closed = true;
    free_when_empty(tap);
}

void tap_close(struct tap *tap)
{
    if (!tap)
        return;
    tap->is_closing = true;
    for (int s = 0; s < TELEMETRY_COUNT; s++)
        if (tap->buffers[s])
            buffer_off_commit(tap->buffers[s], on_commit, &tap->hooks[s]);
    for (struct session *session = tap->sessions, *next; session; session = next) {
        next = session->next;
        end(session);
        if (session->state ==
            SESSION_READING) /* its step ends later than the control socket's requests live */
            session->request = NULL;
    }
    uv_close((uv_handle_t *)&tap->committed, on_handle_closed);
}
