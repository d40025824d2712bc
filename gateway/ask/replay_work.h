/* replay_work.h - one replay: looks, then sends, in steps (replay.h says what for). One thread at a time. */
#ifndef GATEWAY_REPLAY_WORK_H
#define GATEWAY_REPLAY_WORK_H

#include "gateway/ask/replay_pick.h"
#include "gateway/ask/replay_window.h"
#include "gateway/fanout/join.h"
#include "gateway/fanout/repost.h"

enum { REPLAY_MAX_PLAN = REPLAY_MAX_TEXT + 256 };

struct replay_tally { /* of rows in the span */
    uint64_t rows, raw_bytes, records;
    uint64_t left_out, doubtful; /* records, of those looked into */
    uint64_t undelivered;        /* rows that fan-out still owes the backend */
    uint64_t unread;             /* rows in formats whose records are not read, sent whole or not at all */
    uint64_t untranslated;       /* records */
    uint64_t gone, damaged;      /* rows */
};

enum replay_phase { REPLAY_LOOKS, REPLAY_SENDS };

struct replay_work {
    const struct gateway_backend_config *config; /* these three are borrowed */
    struct buffer *buffer;
    enum telemetry signal;
    struct replay_ask ask;
    uint8_t text[REPLAY_MAX_TEXT]; /* what ask's matches point into */
    char plan[REPLAY_MAX_PLAN];    /* what it is remembered under */
    bool is_dry;
    bool has_rate;
    int64_t rate; /* raw bytes a second; 0: as fast as it goes */
    uint64_t limit_bytes;
    uint32_t formats; /* that the backend takes, a bit set of enum batch_format */

    enum replay_phase phase;
    struct buffer_reader *reader; /* owned */
    struct repost repost;         /* owned */
    bool has_repost;
    int64_t cursors[BUFFER_SLOTS];
    int64_t after, newest; /* row ids: done up to here; nothing later than this */
    struct replay_tally planned, sent;
    struct buffer_replay earlier;          /* the one that this goes on with; row_id 0: none */
    struct buffer_row rows[JOIN_MAX_ROWS]; /* of message */
    size_t row_count;
    enum batch_format format;         /* of the row opened last, translated */
    enum batch_format message_format; /* of message */
    struct buf block, raw, message;
    bool has_message; /* it is gathered and not posted yet */
    int64_t message_after;
    uint64_t delivered, refused;  /* records, of this run and the one it goes on with */
    uint64_t told;                /* lines about refusals */
    int64_t started_ns, paced_ns; /* monotonic */
};

/* replay_work_step, replay_work_free: a job's (job.h). */
int replay_work_step(void *ctx, const _Atomic bool *cancelled, struct buf *out);
void replay_work_free(void *ctx);

#endif
