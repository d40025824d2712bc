/* link.h - the requesting side of the transport: one REQ socket to one gateway, a few channels over it, each
 * with at most one request under way.
 *
 * What nng 1.5.2 needs is kept here: a request is handed to nng only while the pipe is up; its receive is
 * started from its send's completion; a request under way is never cancelled (that crashes): to give up,
 * the pipe is closed and nng fails the request by itself. A request that nng had not begun to send then stays
 * with it and leaves on the next pipe: its channel is not free until that was answered, and the answer
 * is ignored. nng never sends again on its own (no resend time).
 *
 * nng's callbacks only post letters. All calls and events on the mailbox's thread.
 */
#ifndef PROTO_LINK_H
#define PROTO_LINK_H

#include "base/buf.h"
#include "base/mailbox.h"
#include "proto/tls_files.h"

struct link;

enum { LINK_CHANNELS = 4 };
enum { LINK_MAX_REPLY_BYTES = 16 * 1024 * 1024 };

struct link_events {
    void *ctx;
    /* up: a new pipe. down: it is gone; what was under way will not be answered. */
    void (*up)(void *ctx, struct link *link);
    void (*down)(void *ctx, struct link *link);
    /* answered: the reply to what is under way on the channel; frame is borrowed during the call. */
    void (*answered)(void *ctx, struct link *link, int channel, struct bytes frame);
    /* freed: a channel that was busy with something given up can take requests again. */
    void (*freed)(void *ctx, struct link *link, int channel);
};

struct link_options {
    const char *url;             /* tcp://ADDRESS:PORT or tls+tcp://ADDRESS:PORT */
    const struct tls_files *tls; /* of tls+tcp; NULL: none */
    const char *server_name;     /* that the certificate must carry */
    int reconnect_min_ms, reconnect_max_ms;
};

/* link_open: dials in the background, again and again. Copies what it is given; mailbox is borrowed. 0 with
 * *ret_link, -EINVAL (url), -ENOMEM, errors of tls_files_load; errors says more. */
int link_open(struct mailbox *mailbox, const struct link_options *options, struct link_events events,
              struct link **ret_link, struct buf *errors);

const char *link_url(const struct link *link);
bool link_is_up(const struct link *link);

/* link_can_take: whether the pipe is up and the channel free. */
bool link_can_take(const struct link *link, int channel);

/* link_request: copies head and payload into one message and hands it to nng. -EAGAIN when link_can_take says
 * no, -ENOMEM. */
int link_request(struct link *link, int channel, struct bytes head, struct bytes payload);

/* link_is_quiet: nothing is under way on any channel, wanted or given up. */
bool link_is_quiet(const struct link *link);

/* link_drop: closes the pipe and gives up what is under way; no event tells of it. nng dials again. */
void link_drop(struct link *link);

/* link_close: no event after it. The memory is given back when nng is through with it (letters are still
 * opened for that: the mailbox must be drained on), NULL is fine. */
void link_close(struct link *link);

/* link_closing: how many closed links are still waiting for nng on any thread; 0: the mailbox may go. */
int link_closing(void);

#endif
