#include "base/mailbox.h"

#include <stdbool.h>
#include <stddef.h>

void mailbox_init(struct mailbox *box, void (*wake)(void *ctx), void *ctx)
{
    pthread_mutex_init(&box->lock, NULL);
    box->first = box->last = NULL;
    box->wake = wake;
    box->ctx = ctx;
}

void mailbox_fini(struct mailbox *box)
{
    pthread_mutex_destroy(&box->lock);
}

void mailbox_post(struct mailbox *box, struct letter *letter)
{
    letter->next = NULL;
    pthread_mutex_lock(&box->lock);
    bool was_empty = !box->first;
    if (was_empty)
        box->first = letter;
    else
        box->last->next = letter;
    box->last = letter;
    pthread_mutex_unlock(&box->lock);
    if (was_empty)
        box->wake(box->ctx);
}

int mailbox_drain(struct mailbox *box)
{
    int opened = 0;
    pthread_mutex_lock(&box->lock);
    struct letter *letter = box->first;
    box->first = box->last = NULL;
    pthread_mutex_unlock(&box->lock);
    while (letter) {
        struct letter *next = letter->next;
        letter->open(letter);
        letter = next;
        opened++;
    }
    return opened;
}
