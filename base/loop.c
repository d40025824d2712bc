#include "base/loop.h"

#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"

enum { LAG_TICK_MS = 1000, TRIM_TICKS = MEMORY_TRIM_MS / LAG_TICK_MS };

static void wake_loop(void *ctx)
{
    struct loop *loop = ctx;
    uv_async_send(&loop->wake);
}

static void on_wake(uv_async_t *async)
{
    struct loop *loop = async->data;
    mailbox_drain(&loop->mailbox);
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
    struct loop *loop = handle->data;
    if (loop->stopping)
        _Exit(128 + number);
    loop->stopping = 1;
    loop->callbacks.on_stop(loop->callbacks.ctx);
}

static void on_reload_signal(uv_signal_t *handle, int number)
{
    (void)number;
    struct loop *loop = handle->data;
    loop->callbacks.on_reload(loop->callbacks.ctx);
}

static void on_lag_tick(uv_timer_t *timer)
{
    struct loop *loop = timer->data;
    int64_t now = clock_mono_ns();
    loop->lag_ns = now > loop->lag_due_ns ? now - loop->lag_due_ns : 0;
    if (++loop->ticks % TRIM_TICKS == 0) {
        memory_trim();
        now = clock_mono_ns(); /* trimming is not lag */
    }
    loop->lag_due_ns = now + (int64_t)LAG_TICK_MS * 1000000;
}

static int start_signals(struct loop *loop)
{
    uv_signal_init(&loop->uv, &loop->sigterm);
    uv_signal_init(&loop->uv, &loop->sigint);
    uv_signal_init(&loop->uv, &loop->sighup);
    loop->sigterm.data = loop->sigint.data = loop->sighup.data = loop;
    int err = uv_signal_start(&loop->sigterm, on_stop_signal, SIGTERM);
    if (err == 0)
        err = uv_signal_start(&loop->sigint, on_stop_signal, SIGINT);
    if (err == 0)
        err = uv_signal_start(&loop->sighup, on_reload_signal, SIGHUP);
    return err;
}

int loop_init(struct loop *loop, struct loop_callbacks callbacks)
{
    *loop = (struct loop){.callbacks = callbacks};
    memory_init();
    int err = uv_loop_init(&loop->uv);
    if (err < 0)
        return err;
    signal(SIGPIPE, SIG_IGN);
    mailbox_init(&loop->mailbox, wake_loop, loop);
    uv_async_init(&loop->uv, &loop->wake, on_wake);
    loop->wake.data = loop;
    uv_timer_init(&loop->uv, &loop->lag_timer);
    loop->lag_timer.data = loop;
    loop->lag_due_ns = clock_mono_ns() + (int64_t)LAG_TICK_MS * 1000000;
    uv_timer_start(&loop->lag_timer, on_lag_tick, LAG_TICK_MS, LAG_TICK_MS);
    return start_signals(loop);
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_end(struct loop *loop)
{
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->lag_timer, NULL);
    uv_close((uv_handle_t *)&loop->sigterm, NULL);
    uv_close((uv_handle_t *)&loop->sigint, NULL);
    uv_close((uv_handle_t *)&loop->sighup, NULL);
}

void loop_fini(struct loop *loop)
{
    uv_loop_close(&loop->uv);
    mailbox_fini(&loop->mailbox);
}
