#include "node-agent/ship/undelivered.h"

#include <string.h>

void undelivered_add(struct undelivered *u, uint64_t seq, uint64_t records)
{
    if (u->count == UNDELIVERED_MARKS) {
        struct undelivered_mark *last = &u->marks[u->count - 1];
        *last = (struct undelivered_mark){seq, last->records + records};
        return;
    }
    u->marks[u->count++] = (struct undelivered_mark){seq, records};
}

void undelivered_settle(struct undelivered *u, uint64_t delivered_seq)
{
    size_t done = 0;
    while (done < u->count && u->marks[done].seq <= delivered_seq)
        done++;
    u->count -= done;
    memmove(u->marks, u->marks + done, u->count * sizeof *u->marks);
}

uint64_t undelivered_take(struct undelivered *u)
{
    uint64_t records = 0;
    for (size_t i = 0; i < u->count; i++)
        records += u->marks[i].records;
    u->count = 0;
    return records;
}
