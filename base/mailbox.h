/* mailbox.h - hands work from any thread to the one thread that owns the mailbox.
 *
 * The only way between threads: nng's callbacks, the buffer's writers and the senders post letters; the owner
 * drains them. Posting calls wake(ctx) (uv_async_send, curl_multi_wakeup, an eventfd) when the box was empty.
 * Letters are opened in the order in which they were posted. A letter is memory of the poster's until it is
 * opened, then of whoever opens it.
 */
#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H

#include <pthread.h>

struct letter {
    struct letter *next;                 /* the mailbox's */
    void (*open)(struct letter *letter); /* called on the owner's thread; may free the letter */
};

struct mailbox {
    pthread_mutex_t lock;
    struct letter *first, *last;
    void (*wake)(void *ctx);
    void *ctx;
};

/* mailbox_init: an empty box. wake must be callable from any thread for as long as letters may be posted. */
void mailbox_init(struct mailbox *box, void (*wake)(void *ctx), void *ctx);

/* mailbox_fini: letters still inside are not opened. */
void mailbox_fini(struct mailbox *box);

/* mailbox_post: any thread. letter->open must be set. */
void mailbox_post(struct mailbox *box, struct letter *letter);

/* mailbox_drain: opens every letter that is in the box now; the owner's thread. Returns how many. */
int mailbox_drain(struct mailbox *box);

#endif
