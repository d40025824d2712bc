/* exchange.h - what a benchmark needs to speak with a gateway as an agent does: one socket an origin, one
 * batch in flight. Every failure ends the program. */
#ifndef BENCH_EXCHANGE_H
#define BENCH_EXCHANGE_H

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/wire.h"

static inline void must(int rv, const char *what)
{
    if (rv != 0) {
        fprintf(stderr, "bench: %s: %s\n", what, nng_strerror(rv));
        exit(1);
    }
}

static inline nng_msg *exchange(nng_ctx ctx, nng_aio *aio, const struct buf *head, struct bytes body)
{
    nng_msg *msg;
    must(nng_msg_alloc(&msg, 0), "msg");
    must(nng_msg_append(msg, head->ptr, head->len), "append");
    must(nng_msg_append(msg, body.ptr, body.len), "append");
    nng_aio_set_msg(aio, msg);
    nng_ctx_send(ctx, aio);
    nng_aio_wait(aio);
    must(nng_aio_result(aio), "send");
    nng_ctx_recv(ctx, aio);
    nng_aio_wait(aio);
    must(nng_aio_result(aio), "receive");
    return nng_aio_get_msg(aio);
}

/* exchange_resume: as at every new connection; else the gateway takes no batch. */
static inline void exchange_resume(nng_ctx ctx, nng_aio *aio, const struct batch *batch)
{
    struct wire_resume resume = {.boot = batch->boot, .signal = batch->signal};
    struct wire_resume_reply reply;
    struct buf head;
    buf_init(&head, 4096);
    snprintf(resume.origin, sizeof resume.origin, "%s", batch->origin);
    wire_encode_resume(&resume, &head);
    nng_msg *msg = exchange(ctx, aio, &head, (struct bytes){0});
    if (wire_decode_resume_reply((struct bytes){nng_msg_body(msg), nng_msg_len(msg)}, &reply) < 0 ||
        reply.answer != WIRE_COMMITTED) {
        fprintf(stderr, "bench: resume was not answered\n");
        exit(1);
    }
    wire_resume_reply_fini(&reply);
    nng_msg_free(msg);
    buf_fini(&head);
}

/* exchange_batch: head is the caller's storage. */
static inline enum wire_answer exchange_batch(nng_ctx ctx, nng_aio *aio, struct batch *batch,
                                              struct buf *head)
{
    struct wire_reply reply;
    buf_clear(head);
    wire_encode_batch_head(batch, head);
    nng_msg *msg = exchange(ctx, aio, head, batch->payload);
    if (wire_decode_reply((struct bytes){nng_msg_body(msg), nng_msg_len(msg)}, &reply) < 0)
        exit(1);
    nng_msg_free(msg);
    return reply.answer;
}

/* exchange_open, exchange_close: a gateway bounds what one connection may ask at once, so a socket an origin.
 */
static inline void exchange_open(const char *address, nng_socket *sock, nng_ctx *ctx, nng_aio **aio)
{
    must(nng_req0_open(sock), "socket");
    must(nng_socket_set_ms(*sock, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE), "resend");
    must(nng_dial(*sock, address, NULL, 0), "dial");
    must(nng_ctx_open(ctx, *sock), "context");
    must(nng_aio_alloc(aio, NULL, NULL), "aio");
}

static inline void exchange_close(nng_socket sock, nng_ctx ctx, nng_aio *aio)
{
    nng_aio_free(aio);
    nng_ctx_close(ctx);
    nng_close(sock);
}

#endif
