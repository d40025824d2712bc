#include "gateway/intake/enrich.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/otlp/otlp_walk.h"
#include "base/snap.h"

typedef struct bytes find_sender(const struct pods *pods, const char *host);

static bool knows_any(const struct batch *batch, find_sender *find, const struct pods *pods)
{
    for (size_t i = 0; i < batch->sender_count; i++)
        if (find(pods, batch->senders[i].host).len)
            return true;
    return false;
}

/* A run that is no request, which cannot be, stays as it is. */
static int append_run(struct bytes run, struct bytes attributes, struct buf *out, uint64_t *bytes)
{
    int err = attributes.len ? otlp_add_resource_attributes(run, attributes, out) : -EBADMSG;
    if (err == 0)
        *bytes += run.len;
    return err == -EBADMSG ? buf_append(out, run.ptr, run.len) : err;
}

/* The raw payload with the attributes in its runs. */
static int rewrite(const struct batch *batch, struct bytes raw, find_sender *find, const struct pods *pods,
                   struct buf *out, uint64_t *bytes)
{
    size_t at = 0;
    int err = 0;
    for (size_t i = 0; i < batch->sender_count && !err; i++) {
        const struct batch_sender *sender = &batch->senders[i];
        if (sender->begin < at || sender->end < sender->begin || sender->end > raw.len)
            return -EBADMSG;
        err = buf_append(out, raw.ptr + at, sender->begin - at);
        if (err == 0)
            err = append_run((struct bytes){raw.ptr + sender->begin, sender->end - sender->begin},
                             find(pods, sender->host), out, bytes);
        at = sender->end;
    }
    return err ? err : buf_append(out, raw.ptr + at, raw.len - at);
}

static int replace_payload(struct batch *batch, struct bytes raw)
{
    struct buf block;
    size_t len;
    buf_init(&block, 32 + raw.len + raw.len / 6);
    int err = snap_compress(raw, &block);
    if (err == 0) {
        uint8_t *bytes = buf_detach(&block, &len);
        batch->raw_bytes = raw.len;
        batch_take_payload(batch, bytes, len);
    }
    buf_fini(&block);
    return err;
}

int enrich_batch(struct batch *batch, find_sender *find, const struct pods *pods, uint64_t *ret_bytes)
{
    struct buf raw, out;
    uint64_t bytes = 0;
    if (!knows_any(batch, find, pods))
        return 0;
    buf_init(&raw, ENRICH_MAX_RAW);
    buf_init(&out, ENRICH_MAX_RAW);
    int err = snap_uncompress(batch->payload, &raw);
    if (err == 0)
        err = rewrite(batch, buf_bytes(&raw), find, pods, &out, &bytes);
    if (err == 0)
        err = replace_payload(batch, buf_bytes(&out));
    if (err == 0)
        *ret_bytes = bytes;
    buf_fini(&raw);
    buf_fini(&out);
    return err;
}
