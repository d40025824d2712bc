/* refusals.h - records that this agent refuses (a label name twice, a line that Loki would drop without a
 * word) and that wait to be told to the gateway, which keeps them in `refused`.
 *
 * They travel with the next fresh batch of their signal and are committed in its transaction, so each is kept
 * once. At most REFUSALS_WAITING of a signal wait, in at most REFUSALS_BYTES; what is more is told as one
 * entry that only counts. A refusal that goes with a killed agent is gone; the counters had it. Loop thread
 * only.
 */
#ifndef NODE_AGENT_REFUSALS_H
#define NODE_AGENT_REFUSALS_H

#include "base/batch.h"
#include "base/stats.h"

enum { REFUSALS_WAITING = 1024, REFUSALS_BYTES = 256 * 1024, REFUSALS_EXCERPT = 2048 };

struct refusals;

struct refusal {
    const char *words;  /* why; borrowed, as all here */
    const char *source; /* "pod NAMESPACE/POD/CONTAINER FILE:OFFSET", "target JOB INSTANCE" */
    enum batch_format format;
    struct bytes payload; /* raw: a message of that format with what is to be shown of the record */
};

int refusals_new(struct stats *stats, struct refusals **ret_refusals);
void refusals_free(struct refusals *refusals);

/* refusals_has_room: whether another one would be told by itself; saves the making of its payload. */
bool refusals_has_room(const struct refusals *refusals, enum telemetry signal);

/* refusals_add: copies it; what is not printable in its texts becomes '?'. refusal NULL, no room or no
 * memory: it is counted only. refusals may be NULL: nothing happens. */
void refusals_add(struct refusals *refusals, enum telemetry signal, const struct refusal *refusal);

/* refusals_waiting: whether there is something to tell. */
bool refusals_waiting(const struct refusals *refusals, enum telemetry signal);

/* refusals_attach: moves what waits to the batch, as much as it takes. */
void refusals_attach(struct refusals *refusals, struct batch *batch);

/* refusals_take_back: the batch does not go out, what it was to tell waits again. */
void refusals_take_back(struct refusals *refusals, struct batch *batch);

/* refusals_report: a batch that only tells, without its number. NULL: nothing waits, or memory is out. */
struct batch *refusals_report(struct refusals *refusals, const char *origin, enum telemetry signal);

#endif
