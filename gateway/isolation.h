/* isolation.h - origins that were refused lately: they are posted alone until they have been clean for a
 * while, so that one node with a wrong clock costs the others nothing. Pure but for the state handed in. */
#ifndef GATEWAY_ISOLATION_H
#define GATEWAY_ISOLATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ISOLATION_MAX = 1024, ISOLATION_S = 60 };

struct isolation {
    struct isolated {
        uint64_t origin; /* pace_origin of its name */
        int64_t until_ns;
    } origins[ISOLATION_MAX];
    size_t count;
};

/* isolation_add: from now for ISOLATION_S seconds. With too many, the one that ends first makes room. */
void isolation_add(struct isolation *isolation, uint64_t origin, int64_t now_ns);

/* isolation_has: whether it is to be posted alone; forgets those whose time is over. */
bool isolation_has(struct isolation *isolation, uint64_t origin, int64_t now_ns);

#endif
