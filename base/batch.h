/* batch.h - a sealed batch: records of one signal in the backend's own wire format, compressed once.
 *
 * A batch is never changed after it was sealed. Its number (origin, boot, signal, seq) is its identity
 * everywhere. Owns its strings, sources and payload; batch_free() gives all of it back.
 */
#ifndef BASE_BATCH_H
#define BASE_BATCH_H

#include "base/bytes.h"

enum telemetry { /* a signal, in OpenTelemetry's sense; the name avoids signal(2) */
                 TELEMETRY_METRICS = 0,
                 TELEMETRY_LOGS = 1,
                 TELEMETRY_TRACES = 2,
};
enum { TELEMETRY_COUNT = 3 };

enum batch_format { /* what the raw payload is; only equal formats are joined. Values are on the wire and on
                       disk. */
                    FORMAT_REMOTE_WRITE_1 = 1, /* prometheus.WriteRequest */
                    FORMAT_LOKI_PUSH = 2,      /* logproto.PushRequest */
                    FORMAT_OTLP_TRACES = 3,    /* ExportTraceServiceRequest */
                    FORMAT_OTLP_METRICS = 4,   /* ExportMetricsServiceRequest */
                    FORMAT_OTLP_LOGS = 5,      /* ExportLogsServiceRequest */
                    FORMAT_REMOTE_WRITE_2 = 6, /* io.prometheus.write.v2.Request; not joined */
};

/* Drawn at every start of an agent. Ordered by start time; the random id tells two of one time apart. */
struct boot {
    uint64_t id;
    int64_t started_ns; /* wall clock */
};

/* A run of a file that the batch holds. The identity is opaque to the gateway and at most BATCH_MAX_FILE
 * bytes. */
struct batch_source {
    char *file; /* owned */
    uint64_t begin;
    uint64_t end;
};

/* A run of an OTLP batch's raw bytes, whole requests, from a sender that the agent does not know. */
struct batch_sender {
    char *host; /* owned; an address without port */
    uint64_t begin;
    uint64_t end;
};

enum { BATCH_MAX_HOST = 64, BATCH_MAX_SENDERS = 1024 };
enum { BATCH_MAX_ORIGIN = 253, BATCH_MAX_FILE = 512, BATCH_MAX_SOURCES = 4096, BATCH_MAX_OWED = 64 };

/* A record that was refused before anything was sealed of it: told beside a batch, no part of its payload. */
struct batch_refusal {
    char *words, *source; /* owned; printable: why, and where it came from */
    enum batch_format format;
    uint64_t records;
    struct bytes payload; /* owned; raw: a message of that format with what is shown of it; may be empty */
};

enum { BATCH_MAX_REFUSALS = 256, BATCH_MAX_REFUSAL_TEXT = 512, BATCH_MAX_REFUSAL_BYTES = 8192 };

struct batch {
    char *origin; /* owned; the node's name */
    struct boot boot;
    enum telemetry signal;
    enum batch_format format;
    uint64_t seq;     /* from 1, per (origin, boot, signal) */
    uint64_t records; /* samples, lines or spans */
    uint64_t raw_bytes;
    uint64_t largest_stream_bytes; /* raw size of its largest stream (logs), else 0 */
    int64_t earliest_ns;           /* of its records' times */
    int64_t latest_ns;
    int64_t sent_at_ns;           /* the sender's wall clock */
    uint64_t acknowledged_seq;    /* highest seq of this boot and signal the sender holds acknowledged */
    struct batch_source *sources; /* owned */
    size_t source_count;
    struct batch_sender *senders; /* owned; in order, none overlaps another */
    size_t sender_count;
    char **owed; /* owned; of a hand-over: the backends that this row is still owed to */
    size_t owed_count;
    struct batch_refusal *refusals; /* owned; committed with the batch */
    size_t refusal_count;
    bool handed_over;
    uint32_t crc;         /* crc32c of payload, made by the agent */
    struct bytes payload; /* a snappy block; memory belongs to payload_owner. Once committed it may have gone:
                             NULL, with its length */
    void *payload_owner;  /* owned; given to payload_release */
    void (*payload_release)(void *owner);
};

/* batch_new: a zeroed batch with a copy of origin, NULL when memory is out. */
struct batch *batch_new(const char *origin);

/* batch_free: frees the batch and all it owns; NULL is fine. */
void batch_free(struct batch *b);

/* batch_take_payload: the batch becomes the owner of malloc'ed bytes, gives up those it had and computes crc.
 */
void batch_take_payload(struct batch *b, uint8_t *bytes, size_t len);

/* batch_add_source, batch_add_owed: append a copy. 0, -ENOMEM, -E2BIG past the limits above. */
int batch_add_source(struct batch *b, const char *file, uint64_t begin, uint64_t end);
int batch_add_owed(struct batch *b, const char *backend);

/* batch_name_bulk: the origin under which an origin's loud logs go, "ORIGIN/bulk": in a slot of their own, so
 * that they do not delay its other ones. What would be too long loses the end of the name. batch_is_bulk:
 * whether an origin is one. batch_home: the origin that it belongs to; another one is its own. */
void batch_name_bulk(const char *origin, char ret_bulk[BATCH_MAX_ORIGIN + 1]);
bool batch_is_bulk(const char *origin);
void batch_home(const char *origin, char ret_home[BATCH_MAX_ORIGIN + 1]);

/* batch_add_sender: appends a run, or makes the last one longer when it is of the same host and ends there.
 * 0, -ENOMEM, -E2BIG, -EINVAL: it begins before the last one ends. */
int batch_add_sender(struct batch *b, const char *host, uint64_t begin, uint64_t end);

/* batch_take_refusal: the batch becomes the owner of what the refusal points to. 0, -ENOMEM, -E2BIG; then
 * nothing moved. batch_refusal_fini: frees that. */
int batch_take_refusal(struct batch *b, struct batch_refusal *refusal);
void batch_refusal_fini(struct batch_refusal *refusal);

/* batch_is_report: it has no records of its own, only refusals: it is numbered and committed, but no row
 * comes of it. */
bool batch_is_report(const struct batch *b);

/* boot_compare: <0, 0, >0 by start time, then id. */
int boot_compare(struct boot a, struct boot b);

/* telemetry_name: "metrics", "logs", "traces". */
const char *telemetry_name(enum telemetry signal);

/* telemetry_find: the enum telemetry of that name; -1: there is none. */
int telemetry_find(struct bytes name);

#endif
