/* buffer.h - the durable buffer: one SQLite file in WAL mode per signal, with its own writer thread.
 *
 * What is committed survives kill -9 and power loss (synchronous=FULL, group commit). Holds the batches, each
 * with a slot (hash of its origin mod BUFFER_SLOTS, fixed for ever), one cursor per (backend, slot), the
 * committed numbers and end offsets of each origin, what is being posted, refused records and the ledger's
 * counts.
 *
 * Threads: buffer_* calls that take a mailbox may come from any thread: they queue the work for the writer,
 * which commits many at once and posts each completion to that mailbox. A struct buffer_reader is a read-only
 * connection of its own and belongs to one thread.
 *
 * Ledger, per backend: accepted = delivered + repeated + refused + overtaken + unresolved + dropped +
 * handed_over + buffered.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/batch.h"
#include "base/buf.h"
#include "base/mailbox.h"

struct buffer;
struct buffer_reader;

enum { BUFFER_SLOTS = 64, BUFFER_ID_LEN = 36, BUFFER_MAX_BACKENDS = 32 };

enum buffer_when_full {
    BUFFER_PUSH_BACK,   /* append answers -ENOSPC; the agents wait */
    BUFFER_DROP_OLDEST, /* the oldest rows go, counted as dropped{cause="quota"} for every backend still owed
                         */
};

struct buffer_options {
    const char *folder; /* made when missing; the file is folder/<signal>.db */
    enum telemetry signal;
    int64_t quota_bytes; /* of file and WAL together; batches stop 2 % below it. At most 95 % of the volume is
                            used, whatever it says */
    int64_t quota_age_ms; /* when the oldest row owed is older, when_full applies as at the quota; 0: never */
    int64_t retention_ms; /* rows delivered everywhere are kept so long, as far as the quota has room */
    enum buffer_when_full when_full;
    bool keeps_senders; /* buffer_reader_sources gives a batch's unknown senders in place of its files */
    const char *const *backends; /* names of the signal's backends, count of them */
    size_t backend_count;
};

/* buffer_open: opens or makes the file, checks its version (a newer one is moved aside, named in *errors),
 * starts the writer. A file too damaged to open is moved aside likewise. A backend seen for the first time
 * starts at the oldest row kept when the file never had a backend, else at the newest. 0 or a negative errno
 * with words in errors. */
int buffer_open(const struct buffer_options *options, struct buffer **ret_buffer, struct buf *errors);

/* buffer_close: commits what is queued, stops the writer, checkpoints, closes. Readers must be closed before.
 */
void buffer_close(struct buffer *buffer);

/* buffer_id: the random identity drawn when the file was made (a UUID string); changes with the file. Any
 * thread. */
const char *buffer_id(const struct buffer *buffer);

/* buffer_slot: the slot of an origin: FNV-1a 64 of its name mod BUFFER_SLOTS. Pure. */
int buffer_slot(const char *origin);

/* ---- writing: batches */

enum buffer_outcome {
    BUFFER_COMMITTED, /* durable now */
    BUFFER_REPEATED,  /* its number was committed before; nothing was added */
    BUFFER_LATE,   /* is_in_order, and a higher number of its boot was committed before: its sender has long
                      had it settled elsewhere; nothing was added */
    BUFFER_FULL,   /* quota reached; nothing was added */
    BUFFER_FAILED, /* I/O error; nothing was added; see buffer_state */
};

/* What the buffer knows of an origin, for the reply. */
struct buffer_standing {
    uint64_t delivered_seq; /* of the batch's boot: all rows of this origin up to there are settled at every
                               backend. What was handed over is not delivered. Without backends: all that is
                               committed. */
    bool holds_undelivered; /* rows of the origin besides this batch are still owed to some backend */
    uint64_t missing_seqs;  /* numbers the sender holds acknowledged (batch.acknowledged_seq) that this buffer
                               does not  know of, though it was the one that acknowledged them; 0 unless a WAL
                               was damaged */
};

struct buffer_append {
    struct letter letter;     /* posted to reply_to when done */
    struct mailbox *reply_to; /* borrowed */
    struct batch *batch;      /* owned by the append until the letter is opened, then by whoever opens it */
    bool is_in_order; /* its sender has one batch of a boot in flight and goes on when it is settled */
    enum buffer_outcome outcome;     /* out */
    int64_t row_id;                  /* out, of BUFFER_COMMITTED; 0: a batch of refusals alone */
    struct buffer_standing standing; /* out */
};

/* buffer_append: queues the batch. Numbers are recognised by (origin, boot, seq) as ranges, in the batch's
 * own transaction; the ends of its sources are kept per (origin, file) with it, those of a handed-over row
 * are not. */
void buffer_append(struct buffer *buffer, struct buffer_append *append);

struct buffer_end {
    char *file; /* owned by the resume */
    uint64_t end;
};

/* buffer_resume: answers the committed end offset of each file of the origin, after every append queued
 * before it. */
struct buffer_resume {
    struct letter letter;
    struct mailbox *reply_to;
    char *origin; /* owned by the caller */
    struct boot boot;
    const char *held_buffer_id; /* whose acknowledgements the sender's offsets hold: "" none, NULL not known.
                                   When it is this buffer, the next batch tells missing_seqs; when it is
                                   another, the sender reads again what it does not know delivered, so that a
                                   hand-over no longer holds delivered_seq. Owned by the caller */
    int error;                  /* out */
    struct buffer_end *ends;    /* out, malloc'ed, each with its file; the opener frees */
    size_t end_count;
    struct buffer_standing standing; /* out; of boot */
};
void buffer_resume(struct buffer *buffer, struct buffer_resume *resume);

/* ---- writing: what fan-out settles */

enum buffer_cause { /* values are on disk */
                    BUFFER_DELIVERED = 0,
                    BUFFER_CAUSE_REPEATED = 1,
                    BUFFER_REFUSED = 2,
                    BUFFER_OVERTAKEN = 3,
                    BUFFER_UNRESOLVED = 4,
                    BUFFER_DROPPED = 5,
                    BUFFER_HANDED_OVER = 6,
};
enum { BUFFER_CAUSES = 7 };

/* buffer_cause_name: "delivered", "repeated", "refused", "overtaken", "unresolved", "dropped", "handed_over".
 */
const char *buffer_cause_name(enum buffer_cause cause);

struct buffer_refused { /* one record that a backend did not take, kept with its words */
    int64_t row_id;
    const char *origin;
    enum buffer_cause cause;
    int status;         /* HTTP status of the answer */
    const char *words;  /* the backend's, cut to 1 KiB */
    const char *source; /* where it came from, as far as it is known; cut likewise; NULL is "" */
    enum batch_format format;
    uint64_t records;     /* in payload */
    struct bytes payload; /* raw, a message of that format with just these records */
};

struct buffer_moved {
    int slot;
    int64_t row_id; /* the cursor moves here: this row and all of the slot before it are settled for the
                       backend */
};

/* One transaction. All pointers are borrowed until the letter is opened. */
struct buffer_settlement {
    struct letter letter;
    struct mailbox *reply_to;
    const char *backend;
    const struct buffer_moved *moved; /* may be none */
    size_t moved_count;
    uint64_t counts[BUFFER_CAUSES]; /* records by cause, added to the ledger of the backend */
    const struct buffer_refused *refused;
    size_t refused_count;
    int64_t posting_key;  /* which posting note to write or delete; 0: none */
    struct bytes posting; /* the note (opaque here); empty: delete it */
    int error;            /* out: 0 or a negative errno; on failure nothing changed */
};
void buffer_settle(struct buffer *buffer, struct buffer_settlement *settlement);

/* buffer_hand_over: marks one row as handed over for all backends that it is still owed to (rule 5); readers
 * no longer see it. The delivered_seq of its origin stays below it until the origin resumes from another
 * buffer. Its number is given back: should the row return from where it went, it is new here. Error -ENOENT:
 * no such row. */
struct buffer_handed {
    struct letter letter;
    struct mailbox *reply_to;
    int64_t row_id;
    int error; /* out */
};
void buffer_hand_over(struct buffer *buffer, struct buffer_handed *handed);

/* buffer_change_refusal: what an operator did about a kept refused record. With left_records 0 it goes; else
 * what is left of it stays under its id. delivered records leave their cause in the ledger for delivered. All
 * pointers are borrowed until the letter is opened. Error -ENOENT: no such record. */
struct buffer_refusal_change {
    struct letter letter;
    struct mailbox *reply_to;
    int64_t id;
    uint64_t delivered;
    uint64_t left_records;
    struct bytes left; /* raw, of left_records; empty: the payload stays as it is */
    int status;        /* the new answer's, of what is left */
    const char *words;
    int error; /* out */
};
void buffer_change_refusal(struct buffer *buffer, struct buffer_refusal_change *change);

/* buffer_note_replay: how far a replay has come. The records that it delivered are counted here and nowhere
 * else in the ledger. At most BUFFER_MOST_REPLAYS of a backend are remembered; the counts of older ones go
 * into the next older one's. All pointers are borrowed until the letter is opened. */
enum { BUFFER_MOST_REPLAYS = 100 };
struct buffer_replay_note {
    struct letter letter;
    struct mailbox *reply_to;
    const char *backend;
    const char *plan;            /* which replay: the same text, the same replay */
    int64_t row_id;              /* all rows up to here are done */
    uint64_t delivered, refused; /* records since the last note */
    bool is_done;                /* the next one of this plan begins anew */
    int error;                   /* out; -ENOENT: no such backend */
};
void buffer_note_replay(struct buffer *buffer, struct buffer_replay_note *note);

/* ---- reading */

struct buffer_row {
    int64_t id;
    int slot;
    char origin[BATCH_MAX_ORIGIN + 1];
    struct boot boot;
    enum batch_format format;
    uint64_t seq, records, raw_bytes, payload_bytes, largest_stream_bytes;
    int64_t earliest_ns, latest_ns, committed_at_ns;
    uint32_t crc;
    bool handed_over; /* came by hand-over */
    bool goes_back;   /* its earliest time is before the latest of its origin's earlier rows in this buffer */
};

/* buffer_reader_open: a read-only connection for one thread; backend may be NULL (tap). */
int buffer_reader_open(struct buffer *buffer, const char *backend, struct buffer_reader **ret_reader);
void buffer_reader_close(struct buffer_reader *reader);

/* buffer_reader_rest: gives back the pages that the reader keeps in memory; the next call reads them again.
 */
void buffer_reader_rest(struct buffer_reader *reader);

/* buffer_reader_cursors: where the backend stands, by slot. */
int buffer_reader_cursors(struct buffer_reader *reader, int64_t ret_cursors[BUFFER_SLOTS]);

/* buffer_reader_next: the first row of slot (-1: of any) after row id `after` that is owed to the reader's
 * backend. 0, -ENOENT when there is none, -EIO. Holds no transaction between calls. */
int buffer_reader_next(struct buffer_reader *reader, int slot, int64_t after, struct buffer_row *ret_row);

/* buffer_reader_previous: the last row of row's origin before it, kept for whatever reason, with times later
 * than later_ns, among the `most` rows of its slot before it. ret_row may be row. 0, -ENOENT, -EIO. */
int buffer_reader_previous(struct buffer_reader *reader, const struct buffer_row *row, int64_t later_ns,
                           int most, struct buffer_row *ret_row);

/* buffer_reader_payload: appends the row's payload (compressed). 0, -ENOENT, -EBADMSG when its crc32c is
 * wrong (the row is damaged; the caller settles it as BUFFER_DROPPED and says so), errors of buf_append. */
int buffer_reader_payload(struct buffer_reader *reader, int64_t row_id, struct buf *out);

/* buffer_reader_sources: appends which runs of files the row holds: a line "FILE BEGIN END" each, in the
 * order in which the agent named them (BATCH_MAX_SOURCES, at most 64 KiB of them). Nothing for a row without
 * any. With keeps_senders: a line "HOST BEGIN END" for each of the batch's senders. 0, -ENOENT, -EIO, errors
 * of buf_append. */
int buffer_reader_sources(struct buffer_reader *reader, int64_t row_id, struct buf *out);

/* buffer_reader_postings: calls each(ctx, key, note) for what the backend had under way when the program
 * ended. */
int buffer_reader_postings(struct buffer_reader *reader,
                           void (*each)(void *ctx, int64_t key, struct bytes note), void *ctx);

/* A kept refused record. */
struct buffer_refusal {
    int64_t id, row_id, at_ns;
    char backend[64], origin[BATCH_MAX_ORIGIN + 1], words[1024 + 1], source[1024 + 1];
    enum buffer_cause cause;
    int status;
    enum batch_format format;
    uint64_t records;
};
struct buffer_refusal_filter {
    const char *backend, *origin; /* NULL: any; borrowed. "agent": what agents refused themselves */
    int cause;                    /* -1: any */
    int64_t id;                   /* 0: any */
};

/* buffer_reader_refusal: the first kept record after id `after` that the filter names. 0, -ENOENT, -EIO. */
int buffer_reader_refusal(struct buffer_reader *reader, const struct buffer_refusal_filter *filter,
                          int64_t after, struct buffer_refusal *ret_refusal);

/* buffer_reader_refusal_payload: appends the raw message. 0, -ENOENT, -EIO, errors of buf_append. */
int buffer_reader_refusal_payload(struct buffer_reader *reader, int64_t id, struct buf *out);

struct buffer_replay { /* one that was begun and not ended */
    int64_t row_id, started_ns;
    uint64_t delivered, refused;
};
/* buffer_reader_replay: of the reader's backend. 0, -ENOENT, -EIO. */
int buffer_reader_replay(struct buffer_reader *reader, const char *plan, struct buffer_replay *ret_replay);

/* buffer_reader_replay_is_done: whether one of that plan was ended. 0, -EIO. */
int buffer_reader_replay_is_done(struct buffer_reader *reader, const char *plan, bool *ret_is_done);

/* buffer_reader_replay_oldest: the least N of the plans "prefixN" that were not ended, or were ended after
 * since_ns; INT64_MAX: none. 0, -EIO. */
int buffer_reader_replay_oldest(struct buffer_reader *reader, const char *prefix, int64_t since_ns,
                                int64_t *ret_number);

/* buffer_reader_progress_last: when a cursor of the reader's backend moved last, not after until_ns: at most
 * a minute before it truly did. 0: never, as far as is known. 0, -EIO. */
int buffer_reader_progress_last(struct buffer_reader *reader, int64_t until_ns, int64_t *ret_at_ns);

/* buffer_reader_progress: where the cursors of the reader's backend stood at_ns, or somewhat earlier; what
 * lies beyond the last hour of deliveries counts as the earliest that is known. 0, -EIO. */
int buffer_reader_progress(struct buffer_reader *reader, int64_t at_ns, int64_t ret_cursors[BUFFER_SLOTS]);

/* buffer_newest: the newest committed row id of a slot (0: none), for lanes that ask whether there is work.
 * It is set just after the commit, before the append is answered and the hooks are called: a reader may see
 * the row a moment earlier. Lock-free, any thread. */
int64_t buffer_newest(const struct buffer *buffer, int slot);

/* buffer_on_commit: fn(ctx) is called on the writer's thread after every commit that added rows. At most
 * BUFFER_MAX_BACKENDS + 8. fn must not call buffer_on_commit or buffer_off_commit. Any thread. */
void buffer_on_commit(struct buffer *buffer, void (*fn)(void *ctx), void *ctx);

/* buffer_off_commit: takes that back; when it returns, fn is not called with ctx any more. Unknown ones are
 * fine. Any thread but the writer's. */
void buffer_off_commit(struct buffer *buffer, void (*fn)(void *ctx), void *ctx);

/* ---- the operator's view */

struct buffer_state { /* any thread; a snapshot */
    int64_t file_bytes, wal_bytes, quota_bytes, quota_age_ms;
    int64_t room_bytes; /* of the quota, for batches: without what WAL, refusals and deletes need */
    int64_t rows;
    uint64_t accepted_records, repeated_batches, full_answers, damaged_rows;
    uint64_t dropped_batches; /* by a quota, still owed to a backend; since the start */
    int64_t commits, committed_batches, committed_bytes, commit_ns; /* for rates and mean latency */
    int64_t refused_bytes;                                          /* payloads kept in `refused` */
    uint64_t refused_forgotten;            /* records that went from there, oldest first, past its limit */
    char wal_reader[BATCH_MAX_ORIGIN + 1]; /* who keeps the WAL from being written back once it is past its
                                              limit: a backend's name or "pid N (command)"; "" nobody */
    int last_error;                        /* 0, or the negative errno of the last failed commit */
    bool can_commit;
};
void buffer_get_state(struct buffer *buffer, struct buffer_state *ret_state);

/* buffer_held_bytes: about what so many rows with payloads of so many bytes in all take of that room:
 * payloads stand in whole pages, small ones in parts of one. Pure. */
int64_t buffer_held_bytes(int64_t rows, int64_t payload_bytes);

struct buffer_ledger {
    uint64_t accepted; /* records owed to the backend since the file was made */
    uint64_t by_cause[BUFFER_CAUSES];
    uint64_t buffered; /* counted from the rows, not derived */
    uint64_t replayed; /* records that replays delivered again; part of no sum */
    int64_t lag_rows, lag_bytes;
    int64_t oldest_committed_ns; /* commit time of the oldest row owed; 0: none */
};
/* buffer_reader_ledger: of the reader's backend, in one transaction. 0 or a negative errno. */
int buffer_reader_ledger(struct buffer_reader *reader, struct buffer_ledger *ret_ledger);

#endif
