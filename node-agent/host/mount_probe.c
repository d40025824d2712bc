#include "node-agent/host/mount_probe.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STACK_BYTES = 256 * 1024 };

enum asker_state {
    ASKER_IDLE,     /* waits for a path */
    ASKER_ASKING,   /* in ask(path) */
    ASKER_ANSWERED, /* the answer waits for the caller */
    ASKER_QUIT,     /* told to end */
};

struct asker { /* one thread */
    struct asker *next;
    int (*ask)(const char *path, struct statfs *ret_statfs);
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum asker_state state;
    char *path; /* owned; while asking and until the answer was taken */
    int error;
    struct statfs answer;
    bool orphan; /* the probe is gone: the thread frees the asker */
};

struct mount_probe {
    int (*ask)(const char *path, struct statfs *ret_statfs);
    struct asker *current; /* owned; not stuck */
    struct asker *stuck;   /* owned; a list */
    int stuck_count;
};

static void asker_free(struct asker *asker)
{
    pthread_cond_destroy(&asker->changed);
    pthread_mutex_destroy(&asker->lock);
    free(asker->path);
    free(asker);
}

static void asker_work(struct asker *asker)
{
    pthread_mutex_unlock(&asker->lock);
    struct statfs answer;
    int error = asker->ask(asker->path, &answer) < 0 ? -errno : 0;
    pthread_mutex_lock(&asker->lock);
    asker->error = error;
    if (error == 0)
        asker->answer = answer;
    if (asker->state == ASKER_ASKING)
        asker->state = ASKER_ANSWERED;
    pthread_cond_signal(&asker->changed);
}

static void *asker_run(void *arg)
{
    struct asker *asker = arg;
    pthread_mutex_lock(&asker->lock);
    while (asker->state != ASKER_QUIT) {
        if (asker->state == ASKER_ASKING)
            asker_work(asker);
        else
            pthread_cond_wait(&asker->changed, &asker->lock);
    }
    bool orphan = asker->orphan;
    pthread_mutex_unlock(&asker->lock);
    if (orphan)
        asker_free(asker);
    return NULL;
}

static int asker_start(struct asker *asker)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    int err = pthread_create(&asker->thread, &attr, asker_run, asker);
    pthread_attr_destroy(&attr);
    return -err;
}

static int asker_new(int (*ask)(const char *path, struct statfs *ret_statfs), struct asker **ret_asker)
{
    struct asker *asker = calloc(1, sizeof *asker);
    if (!asker)
        return -ENOMEM;
    asker->ask = ask;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&asker->lock, NULL);
    pthread_cond_init(&asker->changed, &attr);
    pthread_condattr_destroy(&attr);
    int err = asker_start(asker);
    if (err < 0) {
        asker_free(asker);
        return err;
    }
    *ret_asker = asker;
    return 0;
}

/* Tells the thread to end; frees the asker now, or leaves that to the thread where it is still in ask(). */
static void asker_release(struct asker *asker)
{
    pthread_mutex_lock(&asker->lock);
    bool busy = asker->state == ASKER_ASKING;
    pthread_t thread = asker->thread;
    asker->orphan = busy;
    asker->state = ASKER_QUIT;
    pthread_cond_signal(&asker->changed);
    pthread_mutex_unlock(&asker->lock);
    if (busy) {
        pthread_detach(thread);
        return;
    }
    pthread_join(thread, NULL);
    asker_free(asker);
}

static struct timespec deadline_after(int64_t timeout_ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t ns = t.tv_nsec + timeout_ms % 1000 * 1000000;
    t.tv_sec += timeout_ms / 1000 + ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    return t;
}

/* Asks and waits. -ETIMEDOUT leaves the asker in ASKER_ASKING. Takes path. */
static int asker_get(struct asker *asker, char *path, int64_t timeout_ms, struct statfs *ret_statfs)
{
    struct timespec deadline = deadline_after(timeout_ms);
    pthread_mutex_lock(&asker->lock);
    free(asker->path);
    asker->path = path;
    asker->state = ASKER_ASKING;
    pthread_cond_signal(&asker->changed);
    int wait = 0;
    while (asker->state == ASKER_ASKING && wait == 0)
        wait = pthread_cond_timedwait(&asker->changed, &asker->lock, &deadline);
    int err = asker->state == ASKER_ANSWERED ? asker->error : -ETIMEDOUT;
    if (err == 0)
        *ret_statfs = asker->answer;
    if (asker->state == ASKER_ANSWERED)
        asker->state = ASKER_IDLE;
    pthread_mutex_unlock(&asker->lock);
    return err;
}

static bool asker_is_back(struct asker *asker)
{
    pthread_mutex_lock(&asker->lock);
    bool back = asker->state != ASKER_ASKING;
    pthread_mutex_unlock(&asker->lock);
    return back;
}

/* Releases the askers whose mounts have answered after all. */
static void reap(struct mount_probe *probe)
{
    for (struct asker **at = &probe->stuck; *at;) {
        struct asker *asker = *at;
        if (!asker_is_back(asker)) {
            at = &asker->next;
            continue;
        }
        *at = asker->next;
        probe->stuck_count--;
        asker_release(asker);
    }
}

static bool is_stuck(const struct mount_probe *probe, const char *path)
{
    for (const struct asker *a = probe->stuck; a; a = a->next)
        if (strcmp(a->path, path) == 0)
            return true;
    return probe->stuck_count >= MOUNT_PROBE_STUCK;
}

int mount_probe_new(int (*ask)(const char *path, struct statfs *ret_statfs), struct mount_probe **ret_probe)
{
    struct mount_probe *probe = calloc(1, sizeof *probe);
    if (!probe)
        return -ENOMEM;
    probe->ask = ask;
    *ret_probe = probe;
    return 0;
}

int mount_probe_get(struct mount_probe *probe, const char *path, int64_t timeout_ms,
                    struct statfs *ret_statfs)
{
    reap(probe);
    if (is_stuck(probe, path))
        return -ETIMEDOUT;
    int err = probe->current ? 0 : asker_new(probe->ask, &probe->current);
    char *copy = err == 0 ? strdup(path) : NULL;
    if (!copy)
        return err < 0 ? err : -ENOMEM;
    err = asker_get(probe->current, copy, timeout_ms, ret_statfs);
    if (err ==
        -ETIMEDOUT) { /* a mount may also answer so by itself: then its thread is back and soon reaped */
        probe->current->next = probe->stuck;
        probe->stuck = probe->current;
        probe->stuck_count++;
        probe->current = NULL;
    }
    return err;
}

void mount_probe_free(struct mount_probe *probe)
{
    if (!probe)
        return;
    if (probe->current)
        asker_release(probe->current);
    while (probe->stuck) {
        struct asker *asker = probe->stuck;
        probe->stuck = asker->next;
        asker_release(asker);
    }
    free(probe);
}
