/* http_pressure.h - who gives way when an HTTP server is full. Internal to http*.c.
 *
 * Three things run out: connections, memory for bodies (in_flight_bytes), memory for heads and streams
 * (HTTP_HEADS_BYTES). What gives way is what waits for its own peer, never what a route or the socket is busy
 * with: so clients that connect and stop, by the thousand, take the places of each other; of requests, those
 * of the connection that holds most go first. Loop thread only.
 */
#ifndef BASE_HTTP_PRESSURE_H
#define BASE_HTTP_PRESSURE_H

#include "base/http/http_connection.h"

enum {
    HTTP_HEADS_BYTES = 8 * 1024 * 1024, /* of heads under way and HTTP/2 streams */
    HTTP_STALLED_MS = 500,              /* that long without a byte is stalled */
    HTTP_PAUSED_MS = 20,                /* ... when a small request needs the room, which it has at once */
    HTTP_SMALL_BYTES = 64 * 1024,
    HTTP_SLOW_MS = 5000, /* a request that takes that long is slow */
};

/* pressure_on_connections: another one wants to be accepted. Closes the one that was idle longest of those
 * that never had a request answered or, when there is none, of all that have none under way; false: all have.
 */
bool pressure_on_connections(struct http_server *server);

/* pressure_on_bodies: how much c's body may hold. When that is short, requests whose body stalled or is slow
 * are ended (503); for a small one also those that only paused, since it will be gone before they go on. A
 * large one may not, or large ones would end each other for ever. */
size_t pressure_on_bodies(struct http_request *c);

/* pressure_on_heads: a head or a stream begins. When there is no room, stalled requests are ended; false:
 * nothing could give way. A connection's only request is taken all the same: connections are bounded. */
bool pressure_on_heads(struct http_server *server);

#endif
