/* enrich.h - Kubernetes attributes for OTLP of senders that the agent does not know: pods of other nodes, and
 * those that started just now. Pure but for memory. */
#ifndef GATEWAY_ENRICH_H
#define GATEWAY_ENRICH_H

#include "base/batch.h"

struct pods;

enum { ENRICH_MAX_RAW = 64 * 1024 * 1024 };

/* enrich_batch: puts what find says of each of the batch's senders on the resources of its runs, as
 * otlp_add_resource_attributes says; payload, raw_bytes and crc change, the records do not. Nothing is
 * uncompressed when find knows nobody. ret_bytes: the raw size of the runs that were enriched. 0; or
 * -EMSGSIZE, -EBADMSG, -ENOMEM: then the batch is as it was. */
int enrich_batch(struct batch *batch, struct bytes (*find)(const struct pods *pods, const char *host),
                 const struct pods *pods, uint64_t *ret_bytes);

#endif
