/* receive_resume.c - a resume: from now on the origin's batches are of that boot; what the buffer knows of
 * it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/intake/receive_inside.h"

static void take_ends(struct buffer_resume *work, struct wire_resume_reply *reply)
{
    size_t count = work->end_count < WIRE_MAX_ENDS ? work->end_count : WIRE_MAX_ENDS;
    reply->ends = count ? calloc(count, sizeof *reply->ends) : NULL;
    if (count && !reply->ends) {
        reply->answer = WIRE_BUSY;
        reply->retry_after_ms = RECEIVE_FULL_WAIT_MS;
        return;
    }
    for (size_t i = 0; i < count; i++)
        reply->ends[i] = (struct wire_end){work->ends[i].file, work->ends[i].end};
    reply->end_count = count;
}

static void free_ends(struct buffer_resume *work)
{
    for (size_t i = 0; i < work->end_count; i++)
        free(work->ends[i].file);
    free(work->ends);
    work->ends = NULL;
    work->end_count = 0;
}

static void answer_resume(struct receive *receive, struct desk *desk, struct wire_resume_reply *reply)
{
    struct buf frame;
    snprintf(reply->buffer_id, sizeof reply->buffer_id, "%s",
             buffer_id(receive->buffers[desk->resume.signal]));
    reply->assignment_version = receive_assignment_version(receive, desk->resume.origin);
    buf_init(&frame, RECEIVE_MAX_FRAME_BYTES);
    receive_answer(desk, wire_encode_resume_reply(reply, &frame), &frame);
}

static void on_resumed(struct letter *letter)
{
    struct buffer_resume *work = (struct buffer_resume *)letter;
    struct desk *desk = desk_of_resume(work);
    struct receive *receive = desk->owner;
    struct wire_resume_reply reply = {
        .answer = work->error < 0 ? WIRE_BUSY : WIRE_COMMITTED,
        .retry_after_ms = work->error < 0 ? RECEIVE_FULL_WAIT_MS : 0,
        .cannot_commit = work->error < 0 && work->error != -ENOSPC,
        .delivered_seq = work->standing.delivered_seq,
        .holds_undelivered = work->standing.holds_undelivered,
    };
    receive->under_way--;
    if (work->error == 0)
        take_ends(work, &reply);
    answer_resume(receive, desk, &reply);
    free(reply.ends); /* its strings are the work's */
    free_ends(work);
    receive_finish(receive);
}

/* Whether another gateway may have something of its logs: its offsets belong to another buffer, or to none
 * though there are others. */
static void note_where_from(const struct receive *receive, const struct desk *desk, struct origin *origin)
{
    const char *held = desk->resume.buffer_id;
    bool is_ours = strcmp(held, buffer_id(receive->buffers[TELEMETRY_LOGS])) == 0;
    if (desk->resume.is_only_gateway && (is_ours || !*held))
        origin->came_ns = 0;
    else if (!is_ours)
        origin->came_ns = desk->received_wall_ns;
}

void receive_resume_serve(struct receive *receive, struct desk *desk)
{
    struct origin *origin = origins_get(&receive->origins, desk->resume.origin);
    enum telemetry signal = desk->resume.signal;
    if (!origin || receive->is_draining) {
        struct wire_resume_reply reply = {.answer = WIRE_BUSY, .retry_after_ms = RECEIVE_DRAINING_WAIT_MS};
        snprintf(reply.reason, sizeof reply.reason, "%s", origin ? "draining" : "out of memory");
        if (origin && receive->went) {
            reply.answer = WIRE_DRAINING;
            snprintf(reply.next_buffer_id, sizeof reply.next_buffer_id, "%s",
                     receive->went(receive->went_ctx, origin->name, signal));
        }
        answer_resume(receive, desk, &reply);
        return;
    }
    origin->last_seen_ns = desk->received_wall_ns;
    if (signal == TELEMETRY_LOGS)
        note_where_from(receive, desk, origin);
    origin->fence[signal] =
        desk->resume.boot; /* batches of other boots that come after this are not committed */
    origin->has_fence[signal] = true;
    desk->resume_work = (struct buffer_resume){
        .letter.open = on_resumed,
        .reply_to = &receive->loop->mailbox,
        .origin = desk->resume.origin,
        .boot = desk->resume.boot,
        .held_buffer_id = desk->resume.buffer_id[0] ? desk->resume.buffer_id : NULL,
    };
    receive->under_way++;
    buffer_resume(receive->buffers[signal], &desk->resume_work);
}
