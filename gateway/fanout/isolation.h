/* isolation.h - origins that were refused lately: they are posted alone until they have been clean for a
 * while, so that one node with a wrong clock costs the others nothing. So are suspects, to find out whose
 * fault a failing request is. Pure but for the state handed in. */
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
        int64_t rests_until_ns;
        bool is_suspect; /* it was only in a request that failed; nothing of it was refused */
    } origins[ISOLATION_MAX];
    size_t count;
};

/* isolation_add: from now for ISOLATION_S seconds. With too many, the one that ends first makes room. */
void isolation_add(struct isolation *isolation, uint64_t origin, int64_t now_ns);

/* isolation_suspect: likewise, until it is absolved. One that was refused stays so. */
void isolation_suspect(struct isolation *isolation, uint64_t origin, int64_t now_ns);

/* isolation_absolve: a suspect got through: it is as the others are. */
void isolation_absolve(struct isolation *isolation, uint64_t origin);

/* isolation_rest: the next request of an isolated origin is not made before until_ns, so that it is larger;
 * nothing else waits for it. isolation_rests_until: until when; 0: it does not rest, or is not isolated. */
void isolation_rest(struct isolation *isolation, uint64_t origin, int64_t until_ns);
int64_t isolation_rests_until(struct isolation *isolation, uint64_t origin, int64_t now_ns);

/* isolation_has: whether it is to be posted alone; forgets those whose time is over. */
bool isolation_has(struct isolation *isolation, uint64_t origin, int64_t now_ns);

#endif
