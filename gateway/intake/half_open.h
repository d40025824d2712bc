/* half_open.h - ends connections to our listeners that never become a peer.
 *
 * nng 1.5.2 gives TLS handshakes no deadline, and its accepted sockets are its own: whoever connects and
 * stays silent would hold a descriptor for ever. So our own descriptors are looked over: a socket of one of
 * our ports whose peer nng has not announced as a pipe is shut down (the descriptor stays nng's, which then
 * closes it) after HALF_OPEN_MS, or at once when there are more than HALF_OPEN_MOST. Linux only (/proc).
 * Loop thread only.
 */
#ifndef GATEWAY_HALF_OPEN_H
#define GATEWAY_HALF_OPEN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HALF_OPEN_MS = 10000, HALF_OPEN_MOST = 512, HALF_OPEN_MAX_PORTS = 16 };

struct half_open_peer { /* an address and port */
    uint8_t ip[16];     /* IPv4: mapped */
    uint16_t port;      /* network order */
};

struct half_open {
    uint16_t ports[HALF_OPEN_MAX_PORTS]; /* ours, network order */
    size_t port_count;
    struct half_open_peer *pipes; /* owned: announced by nng, unordered */
    size_t pipe_count, pipe_room;
    struct half_open_wait {
        struct half_open_peer peer;
        int64_t since_ns; /* monotonic */
        bool is_there;
    } * waits; /* owned: seen before and not announced yet */
    size_t wait_count, wait_room;
    uint64_t ended; /* how many were shut down */
};

void half_open_fini(struct half_open *h);

/* half_open_listen: port (host order) is one of ours. */
void half_open_listen(struct half_open *h, int port);

/* half_open_add, half_open_remove: nng has announced a pipe to the peer, or that it is gone. */
void half_open_add(struct half_open *h, const struct half_open_peer *peer);
void half_open_remove(struct half_open *h, const struct half_open_peer *peer);

/* half_open_sweep: looks over the descriptors once; to be called every second. Returns how many connections
 * are half open. */
size_t half_open_sweep(struct half_open *h, int64_t now_ns);

/* half_open_peer_of: from a socket address; false when it is neither IPv4 nor IPv6. */
bool half_open_peer_of(const struct sockaddr_storage *address, struct half_open_peer *ret_peer);

#endif
