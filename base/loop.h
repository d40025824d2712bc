/* loop.h - a program's one event loop: libuv, signals, the mailbox into it, its own lag.
 *
 * Everything of the protocols runs on it. SIGTERM and SIGINT call on_stop once (a second one ends the program
 * at once with 128 + signal), SIGHUP calls on_reload. SIGPIPE is ignored. Memory that is not in use goes back
 * to the system every few seconds (memory.h).
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <uv.h>

#include "base/mailbox.h"

struct loop_callbacks {
    void (*on_stop)(void *ctx);
    void (*on_reload)(void *ctx);
    void *ctx;
};

struct loop {
    uv_loop_t uv;
    struct mailbox mailbox; /* into the loop's thread, from any other */
    uv_async_t wake;
    uv_signal_t sigterm, sigint, sighup;
    uv_timer_t lag_timer;
    int64_t lag_ns; /* how late the last lag tick was; read on the loop, for the own metrics */
    int64_t lag_due_ns;
    unsigned ticks;
    int stopping;
    struct loop_callbacks callbacks;
};

/* loop_init: 0 or a negative errno; then loop_fini is owed. */
int loop_init(struct loop *loop, struct loop_callbacks callbacks);

/* loop_run: until loop_end, then until every handle is closed. */
void loop_run(struct loop *loop);

/* loop_end: closes the loop's own handles; loop_run returns when all others are closed too. Loop thread. */
void loop_end(struct loop *loop);

void loop_fini(struct loop *loop);

#endif
