#include "gateway/ask/job.h"

#include <errno.h>
#include <stdlib.h>

enum { POLL_MS = 20, KEEP_BYTES = 256 * 1024 };

struct job {
    struct jobs *jobs; /* borrowed; lives until its last job is freed */
    struct job *next;
    const struct job_kind *kind;
    void *work;                   /* owned */
    struct http_request *request; /* borrowed; NULL once the peer has gone */
    struct buf out;
    int status; /* JOB_GOES_ON or how it ended */
    bool is_stepping, is_ended;
    _Atomic bool cancelled;
    uv_work_t on_pool;
    uv_timer_t timer;
};

struct jobs {
    struct loop *loop; /* borrowed */
    struct job *first; /* owned */
    int count;
    bool is_closing;
};

static void free_when_empty(struct jobs *jobs)
{
    if (jobs->is_closing && jobs->count == 0)
        free(jobs);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct job *job = handle->data;
    struct jobs *jobs = job->jobs;
    job->kind->free(job->work);
    buf_fini(&job->out);
    free(job);
    jobs->count--;
    free_when_empty(jobs);
}

/* Ends the answer and frees, when no step is under way; that one ends it else. */
static void end(struct job *job)
{
    atomic_store(&job->cancelled, true);
    if (job->is_stepping || job->is_ended)
        return;
    job->is_ended = true;
    struct job **at = &job->jobs->first;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    if (job->request)
        http_stream_end(job->request);
    job->request = NULL;
    uv_close((uv_handle_t *)&job->timer, on_timer_closed);
}

static void on_gone(void *ctx)
{
    struct job *job = ctx;
    job->request = NULL;
    end(job);
}

static void on_pool(uv_work_t *work)
{
    struct job *job = work->data;
    job->status = job->kind->step(job->work, &job->cancelled, &job->out);
}

static void on_timer(uv_timer_t *timer);
static void on_stepped(uv_work_t *work, int status);

static void step(struct job *job)
{
    job->is_stepping = uv_queue_work(&job->jobs->loop->uv, &job->on_pool, on_pool, on_stepped) == 0;
    if (!job->is_stepping)
        end(job);
}

static void go_on(struct job *job, size_t queued)
{
    if (queued > JOB_QUEUED_BYTES)
        uv_timer_start(&job->timer, on_timer, POLL_MS, 0);
    else if (job->status == JOB_GOES_ON)
        step(job);
    else
        end(job);
}

static void on_stepped(uv_work_t *work, int status)
{
    struct job *job = work->data;
    job->is_stepping = false;
    if (!job->request || job->jobs->is_closing || status < 0) {
        end(job);
        return;
    }
    if (job->status != JOB_GOES_ON)
        buf_printf(&job->out, "end %d\n", job->status);
    size_t queued = job->out.len ? http_stream_write(job->request, buf_bytes(&job->out)) : 0;
    buf_release(&job->out, KEEP_BYTES);
    go_on(job, queued);
}

static void on_timer(uv_timer_t *timer)
{
    struct job *job = timer->data;
    if (job->request)
        go_on(job, http_stream_write(job->request, bytes_of_string("")));
    else
        end(job);
}

static bool has_room(const struct jobs *jobs, const struct job_kind *kind)
{
    int sending = 0;
    for (const struct job *job = jobs->first; job; job = job->next)
        sending += job->kind->is_sending;
    return jobs->count < JOB_MOST && (!kind->is_sending || sending < JOB_MOST_SENDING);
}

void jobs_start(struct jobs *jobs, struct http_request *request, const struct job_kind *kind, void *work)
{
    struct job *job = has_room(jobs, kind) ? calloc(1, sizeof *job) : NULL;
    if (!job) {
        kind->free(work);
        http_answer_text(request, 503,
                         kind->is_sending ? "others replay or retry already: once one of them has ended\n"
                                          : "too many are asked at once: try again\n");
        return;
    }
    job->jobs = jobs;
    job->kind = kind;
    job->work = work;
    job->request = request;
    job->status = JOB_GOES_ON;
    job->next = jobs->first;
    jobs->first = job;
    jobs->count++;
    buf_init(&job->out, JOB_MAX_OUT);
    uv_timer_init(&jobs->loop->uv, &job->timer);
    job->timer.data = job->on_pool.data = job;
    http_request_on_gone(request, on_gone, job);
    http_stream_begin(request, 200, "text/plain; charset=utf-8");
    step(job);
}

int jobs_new(struct loop *loop, struct jobs **ret_jobs)
{
    struct jobs *jobs = calloc(1, sizeof *jobs);
    if (!jobs)
        return -ENOMEM;
    jobs->loop = loop;
    *ret_jobs = jobs;
    return 0;
}

void jobs_close(struct jobs *jobs)
{
    if (!jobs)
        return;
    jobs->is_closing = true;
    for (struct job *job = jobs->first, *next; job; job = next) {
        next = job->next;
        end(job);
        if (job->is_stepping) /* its step ends later than the control socket's requests live */
            job->request = NULL;
    }
    free_when_empty(jobs);
}
