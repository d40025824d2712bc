/* exposition_families.h - the metric families of a page: what HELP and TYPE say of each. One thread at a
 * time. */
#ifndef NODE_AGENT_EXPOSITION_FAMILIES_H
#define NODE_AGENT_EXPOSITION_FAMILIES_H

#include "base/buf.h"
#include "node-agent/host/collector.h"

struct exposition_family {
    char *name; /* owned */
    size_t name_len, hash;
    enum metric_type type;
    struct buf help; /* as it was given, with its NUL */
    struct buf head; /* the lines HELP and TYPE */
    uint64_t page;   /* the caller's: the last one with a line of it */
    size_t lines;    /* the caller's: how many there are */
};

struct exposition_families {          /* zeroed: none */
    struct exposition_family **items; /* owned */
    size_t count, room;
    struct exposition_family **slots; /* owned; hash table of them */
    size_t slot_count;
};

void exposition_families_fini(struct exposition_families *families);

/* exposition_families_find: the family of that name, a new one where there is none. 0 or -ENOMEM. */
int exposition_families_find(struct exposition_families *families, const char *name, size_t len,
                             struct exposition_family **ret_family);

/* exposition_families_describe: its head from now on. 0 or errors as buf_append. */
int exposition_families_describe(struct exposition_family *family, enum metric_type type, const char *help);

/* exposition_families_forget_unused: frees those without lines. */
void exposition_families_forget_unused(struct exposition_families *families);

#endif
