/* went.h - where the rows of each origin went when a gateway drained: the buffer that took them, by origin
 * and signal.
 *
 * Zeroed is empty. Loop thread only.
 */
#ifndef GATEWAY_WENT_H
#define GATEWAY_WENT_H

#include "base/batch.h"

enum { WENT_BUCKETS = 1024 };

struct went_entry;

struct went {
    struct went_entry *buckets[WENT_BUCKETS]; /* owned chains */
    bool has_forgotten;                       /* memory was out for some origin */
};

void went_fini(struct went *went);

/* went_note: a row of the origin is in buffer_id now. */
void went_note(struct went *went, const char *origin, enum telemetry signal, const char *buffer_id);

/* went_get: the buffer that took the origin's rows; "" none did, "several" they are not all in one, or it is
 * not known. Borrowed until the next note. */
const char *went_get(const struct went *went, const char *origin, enum telemetry signal);

#endif
