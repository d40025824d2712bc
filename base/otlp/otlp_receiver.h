/* otlp_receiver.h - receives OTLP over gRPC and HTTP and answers each request when its batch is committed.
 *
 * Source: https://opentelemetry.io/docs/specs/otlp/ (OTLP/gRPC; OTLP/HTTP in binary protobuf and JSON). POST
 * /v1/traces, /v1/metrics, /v1/logs and the three services' Export on both listeners alike. A request is
 * checked by its outer levels and its depth, then waits with its bytes as received (JSON as the same in
 * protobuf), plus the labels and the sender's attributes where a resource has no attribute of that name;
 * whoever owns the receiver seals what waits into one batch a signal. What waits and what is sealed together
 * stay under queue_bytes, and one signal under half of it, so that one whose batches nobody takes does not
 * stop the others: past that 503 with Retry-After, or UNAVAILABLE with RetryInfo (a single request larger
 * than all of it: 413, RESOURCE_EXHAUSTED). Loop thread only. The life of a request: otlp_lane.h.
 */
#ifndef BASE_OTLP_RECEIVER_H
#define BASE_OTLP_RECEIVER_H

#include <uv.h>

#include "base/batch.h"
#include "base/buf.h"
#include "base/conf/conf.h"
#include "base/http/http_server.h"
#include "base/stats.h"

enum { OTLP_ATTRIBUTE_BYTES = 64 * 1024 };

/* The receiver's own metrics: indices into the owner's table; labels as the comments say. */
struct otlp_metrics {
    int requests;          /* signal, code */
    int records;           /* signal */
    int queue_bytes;       /* signal */
    int possible_repeats;  /* signal */
    int connections_ended; /* cause */
    int certificates;      /* result */
};

/* All borrowed for the receiver's life. */
struct otlp_options {
    const char *listen_http, *listen_grpc; /* host:port; listen_grpc NULL or "": no second listener */
    struct http_tls_files tls;             /* cert_file NULL or "": plain text */
    struct conf_map labels;                /* put on each resource */
    size_t max_request_bytes;              /* before and after decompression */
    size_t queue_bytes;
    size_t batch_raw_bytes; /* of several requests in a batch, at most; 0: 4 MiB, which is the most */
    int connections;        /* of each listener; 0: as http_server.h says */
    int64_t ack_timeout_ms, max_connection_age_ms;
    bool answers_when_queued; /* `ack: queued`: the answer does not wait for the commit */
    struct stats *stats;
    struct otlp_metrics metrics;
    void *ctx;
    /* wake: a request of the signal waits to be sealed. */
    void (*wake)(void *ctx, enum telemetry signal);
    /* withdraw: whether the sealed batch could be taken back before a byte of it was sent; then it was freed.
     */
    bool (*withdraw)(void *ctx, enum telemetry signal, const struct batch *batch);
    /* attributes: appends what is known of the sender at host (without port; otlp_put_attribute). May be
     * NULL. 0; 1: not known here, and the batch is to name the sender (batch_sender); a negative errno: then
     * nothing is added. */
    int (*attributes)(void *ctx, const char *host, struct buf *attributes);
    /* on_event: for the log; already counted. Also called when the certificate cannot be used at first. */
    void (*on_event)(void *ctx, enum http_event event, const char *words);
};

struct otlp_receiver;

/* otlp_receiver_new: listens. Nothing is called back before the loop runs. 0 with *ret_receiver, or a
 * negative errno (bind, listen, labels, certificate). */
int otlp_receiver_new(uv_loop_t *loop, const struct otlp_options *options,
                      struct otlp_receiver **ret_receiver);

/* otlp_receiver_seal: what waits of the signal as a batch of origin without its number; one of a signal at a
 * time. 0 with *ret_batch (the caller owns it; what became of it is to be told), or -EAGAIN: nothing to seal
 * now. */
int otlp_receiver_seal(struct otlp_receiver *receiver, enum telemetry signal, const char *origin,
                       struct batch **ret_batch);

/* otlp_receiver_committed, _refused: what became of the sealed batch; its clients are answered. Another batch
 * is ignored. */
void otlp_receiver_committed(struct otlp_receiver *receiver, const struct batch *batch);
void otlp_receiver_refused(struct otlp_receiver *receiver, const struct batch *batch, const char *reason);

/* otlp_receiver_unavailable: the sealed batch is not durable and was given up; its clients are told to retry.
 */
void otlp_receiver_unavailable(struct otlp_receiver *receiver, const struct batch *batch);

/* otlp_receiver_has: whether something of the signal waits to be sealed. */
bool otlp_receiver_has(const struct otlp_receiver *receiver, enum telemetry signal);

/* otlp_receiver_port, _grpc_port: where it listens (when port 0 was configured). */
int otlp_receiver_port(const struct otlp_receiver *receiver);
int otlp_receiver_grpc_port(const struct otlp_receiver *receiver);

/* otlp_receiver_stop: takes no further connections; requests that have begun are read to their end, sealed
 * and answered. quiet(ctx) is called once, from the loop, when no connection has one any more, or after
 * most_ms. */
void otlp_receiver_stop(struct otlp_receiver *receiver, int64_t most_ms, void (*quiet)(void *ctx), void *ctx);

/* otlp_receiver_close: requests still waiting end with their connections; frees asynchronously on the loop.
 * NULL is fine. */
void otlp_receiver_close(struct otlp_receiver *receiver);

#endif
