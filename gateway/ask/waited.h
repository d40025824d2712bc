/* waited.h - waits on a thread of its own for one answer of a buffer: for jobs, which may block. */
#ifndef GATEWAY_WAITED_H
#define GATEWAY_WAITED_H

#include <semaphore.h>

#include "base/mailbox.h"

struct waited {
    struct mailbox box;
    sem_t there;
};

/* waited_init: letter is opened when the answer has come; &waited->box is what it is to be posted to. */
void waited_init(struct waited *waited, struct letter *letter);

/* waited_end: returns when the letter has come, and frees. The buffer must live on until then. */
void waited_end(struct waited *waited);

#endif
