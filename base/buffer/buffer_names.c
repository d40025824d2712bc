/* buffer_names.c - the pure parts of the buffer's interface: slots and the names of causes. */
#include "base/buffer/buffer.h"

int buffer_slot(const char *origin)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a, 64 bits */
    for (const unsigned char *p = (const unsigned char *)origin; *p; p++)
        hash = (hash ^ *p) * 0x100000001b3u;
    return (int)(hash % BUFFER_SLOTS);
}

const char *buffer_cause_name(enum buffer_cause cause)
{
    switch (cause) {
    case BUFFER_DELIVERED:
        return "delivered";
    case BUFFER_CAUSE_REPEATED:
        return "repeated";
    case BUFFER_REFUSED:
        return "refused";
    case BUFFER_OVERTAKEN:
        return "overtaken";
    case BUFFER_UNRESOLVED:
        return "unresolved";
    case BUFFER_DROPPED:
        return "dropped";
    case BUFFER_HANDED_OVER:
        return "handed_over";
    }
    return "unknown";
}
