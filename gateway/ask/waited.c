#include "gateway/ask/waited.h"

static void wake(void *ctx)
{
    struct waited *waited = ctx;
    sem_post(&waited->there);
}

static void open_nothing(struct letter *letter)
{
    (void)letter;
}

void waited_init(struct waited *waited, struct letter *letter)
{
    sem_init(&waited->there, 0, 0);
    mailbox_init(&waited->box, wake, waited);
    letter->open = open_nothing;
}

void waited_end(struct waited *waited)
{
    while (mailbox_drain(&waited->box) == 0)
        (void)sem_wait(&waited->there);
    mailbox_fini(&waited->box);
    sem_destroy(&waited->there);
}
