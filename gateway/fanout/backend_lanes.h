/* backend_lanes.h - a backend's requests: which is next, what may be in flight, what is settled.
 *
 * struct backend is shared by backend.c (its thread and its life) and backend_lanes.c, and known to nobody
 * else. The backend's thread only.
 */
#ifndef GATEWAY_BACKEND_LANES_H
#define GATEWAY_BACKEND_LANES_H

#include <pthread.h>
#include <stdatomic.h>

#include "gateway/fanout/lane.h"
#include "gateway/fanout/slots.h"

enum { BACKEND_LANES_WAIT_MS = 1000 }; /* the thread looks again after so long, and after a read error */

struct backend {
    const struct gateway_backend_config *config; /* borrowed */
    struct lane_host host;
    struct health health;
    struct isolation isolation;
    struct stream_times stream_times;
    struct pace pace, backlog_pace;
    struct translate translate;
    struct slots slots;
    struct mailbox mailbox;
    struct lane *lanes[BUFFER_SLOTS]; /* owned; each holds a slot at least */
    size_t lane_count;
    bool fast_is_next;         /* with one lane, slow and new requests take turns */
    int64_t busy_ns;           /* when there was a request last; 0: and its memory was given back since */
    int64_t look_ns;           /* after a read error: not before */
    _Atomic int64_t linger_ns; /* after a small request: the next new one not before, so that it is larger */
    _Atomic int64_t
        behind_ns; /* monotonic; when something that had waited for long was posted last; 0: never */
    int64_t seen_delivered_ns; /* when a request had got through last, as revive() saw it */
    pthread_t thread;
    bool has_thread;
    _Atomic int64_t stop_ns; /* 0: runs; else the deadline of what is under way */
    pthread_mutex_t view_lock;
    struct buffer_reader *view_reader; /* owned; under view_lock, and so is the rest */
    struct buffer_ledger view_ledger;  /* as it was read last, */
    int64_t view_ns, view_took_ns;     /* when (monotonic; 0: never), and how long that took */
};

/* backend_lanes_count: how many are in flight; slow_only: of those that halve or try again. */
size_t backend_lanes_count(const struct backend *b, bool slow_only);

/* backend_lanes_sweep: those that are done give their slots back. */
void backend_lanes_sweep(struct backend *b);

/* backend_lanes_settle: what was answered goes to the buffer, in the order of each slot. True when slots
 * became free by it. */
bool backend_lanes_settle(struct backend *b);

/* backend_lanes_start: posts what may be posted now. */
void backend_lanes_start(struct backend *b);

#endif
