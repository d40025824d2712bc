/* replay_work.h - one replay: looks, then sends, in steps (replay.h says what for). One thread at a time. */
#ifndef GATEWAY_REPLAY_WORK_H
#define GATEWAY_REPLAY_WORK_H

#include "gateway/ask/replay_pick.h"
#include "gateway/ask/replay_window.h"
#include "gateway/fanout/join.h"
#include "gateway/fanout/repost.h"

enum { REPLAY_MAX_PLAN = REPLAY_MAX_TEXT + 256, REPLAY_MAX_RAW = 256 << 20 };

struct replay_tally { /* of rows in the span */
    uint64_t rows, raw_bytes, records;
    uint64_t left_out, doubtful, histograms; /* records, of those looked into */
    uint64_t undelivered;                    /* rows that fan-out still owes the backend */
    uint64_t unread;        /* rows in formats whose records are not read, sent whole or not at all */
    uint64_t untranslated;  /* records */
    uint64_t gone, damaged; /* rows */
    uint64_t not_kept;      /* rows that were no longer there, and may have been of the span */
};

enum replay_phase { REPLAY_LOOKS, REPLAY_SENDS };

struct replay_work {
    const struct gateway_backend_config *config; /* these three are borrowed */
    struct buffer *buffer;
    enum telemetry signal;
    const char *only_of; /* borrowed: the name of this gateway, where others keep theirs; else NULL */
    struct replay_ask ask;
    uint8_t text[REPLAY_MAX_TEXT]; /* what ask's matches point into */
    char plan[REPLAY_MAX_PLAN];    /* what it is remembered under */
    bool is_dry;
    bool is_done; /* all of it went out */
    bool has_rate;
    int64_t rate;         /* raw bytes a second; 0: as fast as it goes */
    uint64_t limit_bytes; /* raw, of a message: the backend's, and a second's worth of the rate */
    uint32_t formats;     /* that the backend takes, a bit set of enum batch_format */

    enum replay_phase phase;
    struct buffer_reader *reader; /* owned */
    struct repost repost;         /* owned */
    bool has_repost;
    bool (*wants)(const void *ctx, const struct buffer_row *row); /* NULL: every row */
    const void *wants_ctx;                                        /* borrowed */
    int64_t from[BUFFER_SLOTS]; /* rows up to these are not asked for; set before the first step */
    int64_t cursors[BUFFER_SLOTS];
    int64_t first, newest;     /* row ids: nothing up to the one, nothing later than the other */
    int64_t after;             /* done up to here */
    int64_t not_kept_until_ns; /* when the row behind the last of planned.not_kept was committed */
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
    uint64_t begun_bytes;         /* of sent: those that the earlier one sent */
    int64_t started_ns, paced_ns; /* monotonic; the rate allows the next message at paced_ns */
};

/* replay_work_init: once config, buffer, signal and what is asked for are set. */
void replay_work_init(struct replay_work *work);

/* replay_work_step, replay_work_free: a job's (job.h). */
int replay_work_step(void *ctx, const _Atomic bool *cancelled, struct buf *out);
void replay_work_free(void *ctx);

/* replay_work_fini: frees what it holds; replay_work_free frees work too. */
void replay_work_fini(struct replay_work *work);

#endif
