#include "proto/nng_care.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <nng/protocol/pair0/pair.h>

#include "base/clock.h"

/* ---- leaving */

struct leave { /* shared by two threads; the last one frees */
    pthread_mutex_t lock;
    pthread_cond_t closed;
    nng_socket socket;
    bool is_closed;
    int holders;
};

static void release(struct leave *leave)
{
    bool is_last = --leave->holders == 0;
    pthread_mutex_unlock(&leave->lock);
    if (!is_last)
        return;
    pthread_cond_destroy(&leave->closed);
    pthread_mutex_destroy(&leave->lock);
    free(leave);
}

static void *close_socket(void *arg)
{
    struct leave *leave = arg;
    nng_close(leave->socket);
    pthread_mutex_lock(&leave->lock);
    leave->is_closed = true;
    pthread_cond_signal(&leave->closed);
    release(leave);
    return NULL;
}

static int start_thread(struct leave *leave)
{
    pthread_t thread;
    int err = pthread_create(&thread, NULL, close_socket, leave);
    if (err == 0)
        pthread_detach(thread);
    return -err;
}

static int wait_closed(struct leave *leave, int timeout_ms)
{
    struct timespec until;
    int err = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    int64_t nsec = until.tv_nsec + (int64_t)(timeout_ms % 1000) * 1000000;
    until.tv_sec += timeout_ms / 1000 + nsec / 1000000000;
    until.tv_nsec = nsec % 1000000000;
    while (!leave->is_closed && err == 0)
        err = pthread_cond_timedwait(&leave->closed, &leave->lock, &until);
    return leave->is_closed ? 0 : -ETIMEDOUT;
}

int nng_leave(nng_socket socket, int timeout_ms)
{
    struct leave *leave = calloc(1, sizeof *leave);
    if (!leave)
        return -ENOMEM;
    pthread_mutex_init(&leave->lock, NULL);
    pthread_cond_init(&leave->closed, NULL);
    leave->socket = socket;
    leave->holders = 2;
    int err = start_thread(leave);
    pthread_mutex_lock(&leave->lock);
    if (err < 0)
        leave->holders--;
    else
        err = wait_closed(leave, timeout_ms);
    release(leave);
    return err;
}

/* ---- watching */

enum { LEAVE_TOLD_MS = 500 };

struct nng_watch {
    struct loop *loop; /* borrowed */
    uv_timer_t timer;
    int deadline_ms;
    void (*on_stuck)(void *ctx);
    void *ctx;
    nng_socket listening, dialling;
    _Atomic uint32_t up;       /* the dialling side's pipe */
    atomic_uint_fast64_t gone; /* how many of its pipes the reaper told of */
    uint64_t closed;           /* how many were closed here */
    int64_t closed_ns;         /* the last one; monotonic */
    bool is_told;
};

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct nng_watch *watch = arg;
    if (event == NNG_PIPE_EV_ADD_POST)
        atomic_store(&watch->up, (uint32_t)nng_pipe_id(pipe));
    else
        atomic_fetch_add(&watch->gone, 1);
}

static void on_timer(uv_timer_t *timer)
{
    struct nng_watch *watch = timer->data;
    if (atomic_load(&watch->gone) < watch->closed) {
        bool is_late = clock_mono_ns() - watch->closed_ns > (int64_t)watch->deadline_ms * 1000000;
        if (is_late && !watch->is_told) {
            watch->is_told = true;
            watch->on_stuck(watch->ctx);
        }
        return;
    }
    nng_pipe pipe = {atomic_exchange(&watch->up, 0)};
    if (!pipe.id)
        return; /* not there yet */
    watch->closed++;
    watch->closed_ns = clock_mono_ns();
    nng_pipe_close(pipe);
}

static int connect_probe(struct nng_watch *watch)
{
    char url[64];
    snprintf(url, sizeof url, "inproc://watch-%p", (void *)watch);
    int rv = nng_listen(watch->listening, url, NULL, 0);
    if (rv == 0)
        rv = nng_pipe_notify(watch->dialling, NNG_PIPE_EV_ADD_POST, on_pipe, watch);
    if (rv == 0)
        rv = nng_pipe_notify(watch->dialling, NNG_PIPE_EV_REM_POST, on_pipe, watch);
    return rv ? rv : nng_dial(watch->dialling, url, NULL, 0);
}

int nng_watch_new(struct loop *loop, int period_ms, int deadline_ms, void (*on_stuck)(void *ctx), void *ctx,
                  struct nng_watch **ret_watch)
{
    struct nng_watch *watch = calloc(1, sizeof *watch);
    if (!watch || nng_pair0_open(&watch->listening) != 0) {
        free(watch);
        return -ENOMEM;
    }
    if (nng_pair0_open(&watch->dialling) != 0 || connect_probe(watch) != 0) {
        nng_close(watch->dialling);
        nng_close(watch->listening);
        free(watch);
        return -ENOMEM;
    }
    uint64_t period = (uint64_t)(period_ms ? period_ms : NNG_WATCH_PERIOD_MS);
    watch->loop = loop;
    watch->deadline_ms = deadline_ms ? deadline_ms : NNG_WATCH_DEADLINE_MS;
    watch->on_stuck = on_stuck;
    watch->ctx = ctx;
    uv_timer_init(&loop->uv, &watch->timer);
    watch->timer.data = watch;
    uv_timer_start(&watch->timer, on_timer, period, period);
    *ret_watch = watch;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct nng_watch *watch = handle->data;
    bool is_left = nng_leave(watch->dialling, watch->deadline_ms) == 0;
    is_left = nng_leave(watch->listening, watch->deadline_ms) == 0 && is_left;
    if (is_left)
        free(watch); /* else nng may still call back; the program ends anyway */
}

void nng_watch_close(struct nng_watch *watch)
{
    if (!watch)
        return;
    if (watch->is_told)
        watch->deadline_ms = LEAVE_TOLD_MS; /* waiting is most likely in vain */
    uv_close((uv_handle_t *)&watch->timer, on_timer_closed);
}
