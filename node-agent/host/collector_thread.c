#include "node-agent/host/collector_thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "node-agent/host/sample_record.h"

enum { STACK_BYTES = 512 * 1024 };

enum thread_state {
    THREAD_IDLE,     /* waits to be told to begin */
    THREAD_RUNNING,  /* in update; only the thread touches record */
    THREAD_ANSWERED, /* the answer waits for the caller */
    THREAD_QUIT,     /* told to end */
};

struct collector_thread {
    const struct collector *collector;
    void *collector_state; /* owned */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum thread_state state; /* under lock, as all below */
    bool late;               /* the caller has given this update up */
    bool orphan;             /* the caller is gone: the thread frees all */
    struct sample_record record;
    int error;
    int64_t took_ns;
};

static void free_all(struct collector_thread *thread)
{
    thread->collector->stop(thread->collector_state);
    sample_record_fini(&thread->record);
    pthread_cond_destroy(&thread->changed);
    pthread_mutex_destroy(&thread->lock);
    free(thread);
}

static void work(struct collector_thread *thread)
{
    pthread_mutex_unlock(&thread->lock);
    int64_t begin_ns = clock_mono_ns();
    sample_record_clear(&thread->record);
    int err = thread->collector->update(thread->collector_state, &thread->record.sink);
    pthread_mutex_lock(&thread->lock);
    thread->error = err < 0 ? err : thread->record.error;
    thread->took_ns = clock_mono_ns() - begin_ns;
    if (thread->state == THREAD_RUNNING)
        thread->state = thread->late ? THREAD_IDLE : THREAD_ANSWERED;
    pthread_cond_broadcast(&thread->changed);
}

static void *run(void *arg)
{
    struct collector_thread *thread = arg;
    pthread_mutex_lock(&thread->lock);
    while (thread->state != THREAD_QUIT) {
        if (thread->state == THREAD_RUNNING)
            work(thread);
        else
            pthread_cond_wait(&thread->changed, &thread->lock);
    }
    bool orphan = thread->orphan;
    pthread_mutex_unlock(&thread->lock);
    if (orphan)
        free_all(thread);
    return NULL;
}

int collector_thread_new(const struct collector *collector, void *state, struct collector_thread **ret_thread)
{
    pthread_condattr_t clock;
    pthread_attr_t attr;
    struct collector_thread *thread = calloc(1, sizeof *thread);
    if (!thread) {
        collector->stop(state);
        return -ENOMEM;
    }
    thread->collector = collector;
    thread->collector_state = state;
    sample_record_init(&thread->record);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&thread->lock, NULL);
    pthread_cond_init(&thread->changed, &clock);
    pthread_condattr_destroy(&clock);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    int err = -pthread_create(&thread->thread, &attr, run, thread);
    pthread_attr_destroy(&attr);
    if (err < 0)
        free_all(thread);
    else
        *ret_thread = thread;
    return err;
}

void collector_thread_free(struct collector_thread *thread)
{
    if (!thread)
        return;
    pthread_mutex_lock(&thread->lock);
    bool busy = thread->state == THREAD_RUNNING;
    pthread_t id = thread->thread;
    thread->orphan = busy;
    thread->state = THREAD_QUIT;
    pthread_cond_broadcast(&thread->changed);
    pthread_mutex_unlock(&thread->lock);
    if (busy) {
        pthread_detach(id);
        return;
    }
    pthread_join(id, NULL);
    free_all(thread);
}

void collector_thread_begin(struct collector_thread *thread)
{
    pthread_mutex_lock(&thread->lock);
    if (thread->state != THREAD_RUNNING) {
        thread->state = THREAD_RUNNING;
        thread->late = false;
        pthread_cond_broadcast(&thread->changed);
    }
    pthread_mutex_unlock(&thread->lock);
}

int collector_thread_end(struct collector_thread *thread, int64_t until_ns, struct metric_sink *sink,
                         int64_t *ret_ns)
{
    const struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    int err = 0;
    *ret_ns = 0;
    pthread_mutex_lock(&thread->lock);
    while (thread->state == THREAD_RUNNING && !thread->late && err == 0)
        err = pthread_cond_timedwait(&thread->changed, &thread->lock, &until);
    if (thread->state == THREAD_ANSWERED) {
        thread->state = THREAD_IDLE;
        err = thread->error;
        *ret_ns = thread->took_ns;
        sample_record_replay(&thread->record, sink);
    } else {
        thread->late = true;
        err = -ETIMEDOUT;
    }
    pthread_mutex_unlock(&thread->lock);
    return err;
}
