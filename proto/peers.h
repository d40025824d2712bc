/* peers.h - which gateways there are: addresses from the configuration, names resolved again every 30 s, and
 * sooner when asked.
 *
 * Every address of a name is a gateway of its own. While a name does not resolve its last addresses stay.
 * Loop thread only.
 */
#ifndef PROTO_PEERS_H
#define PROTO_PEERS_H

#include <uv.h>

#include "base/conf/conf.h"

enum {
    PEERS_MAX_HOST = 253,
    PEERS_MAX_URL = 96,
    PEERS_RESOLVE_MS = 30000,
    PEERS_REFRESH_MS = 2000,
    PEERS_MAX = 256
};

struct peer {
    char host[PEERS_MAX_HOST + 1]; /* as configured, for the certificate's name */
    char url[PEERS_MAX_URL];       /* tcp://1.2.3.4:9610, tls+tcp://[::1]:9610 */
};

struct peers;

/* peers_new: addresses are "tcp://host:port" or "tls+tcp://host:port", borrowed during the call. Literal
 * addresses are there at once, names later; changed(ctx) is called on every change after that, never from
 * here. 0, -ENOMEM, or -EINVAL with words in errors. */
int peers_new(uv_loop_t *loop, const struct conf_strings *addresses, void (*changed)(void *ctx), void *ctx,
              struct peers **ret_peers, struct buf *errors);

/* peers_refresh: none of those known is up: the names are resolved now, at most every PEERS_REFRESH_MS. */
void peers_refresh(struct peers *peers);

/* peers_get: fills at most most peers in the order in which node chooses among them; returns how many. */
size_t peers_get(const struct peers *peers, const char *node, struct peer *ret, size_t most);

/* peers_close: no callback after it; frees on the loop. NULL is fine. */
void peers_close(struct peers *peers);

#endif
