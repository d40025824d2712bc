/* ship_lane.h - one signal's lane of ship: what is in flight, and what the gateway's answers mean.
 *
 * ship.c owns the lanes, chooses the gateway and moves all lanes at once; a lane tells it through the
 * functions at the end. Not for others.
 */
#ifndef NODE_AGENT_SHIP_LANE_H
#define NODE_AGENT_SHIP_LANE_H

#include "node-agent/ship/ship.h"
#include "node-agent/ship/undelivered.h"
#include "proto/link.h"

struct lane_cells { /* own metrics of the lane's signal */
    struct stats_cell *sealed_batches, *sealed_records, *committed_batches, *committed_records,
        *committed_bytes;
    struct stats_cell *refused, *resumes, *repeats, *ack_seconds, *missing, *lost;
};

/* What a lane knows of an origin that it sends under: the agent's own and, where the logs' source uses it,
 * the bulk origin (batch.h). Each is resumed, numbered and handed over by itself. */
enum lane_side { SIDE_OWN, SIDE_BULK };
struct side {
    struct boot admitted;      /* whose resume the current gateway answered last: it takes only that one's */
    uint64_t seq;              /* of the last batch sealed */
    uint64_t acknowledged_seq; /* highest one that buffer_id acknowledged */
    uint64_t missing;          /* as last reported */
    bool is_told;              /* the current gateway drains, and said where this origin's rows went */
    char next_buffer_id[64];   /* there */
};

struct lane {
    struct ship *ship; /* borrowed */
    enum telemetry signal;
    struct ship_source source;
    struct lane_cells cells;
    enum ship_state state;
    uv_timer_t timer;  /* HELLO and WAIT_ACK: the deadline; BACKOFF: the wait */
    bool is_asking;    /* HELLO: a resume is under way */
    bool is_resumed;   /* the current gateway answered this boot's resume */
    struct boot asked; /* whose resume is under way */
    enum lane_side asked_side;
    bool has_bulk;    /* the bulk origin is used */
    bool has_greeted; /* HELLO: greeting holds the answer to the own origin's resume; the bulk's is next */
    struct wire_resume_reply greeting; /* owned */
    struct side sides[2];
    bool is_draining;                 /* the current gateway said so */
    bool is_probed;                   /* going back: asked, and nothing was sealed since */
    bool holds;                       /* going back: what the probe said */
    int fenced;                       /* `resume first` in a row */
    int failures;                     /* answers in a row that the gateway's disk fails */
    struct batch *batch;              /* owned; in flight, or to be sent again */
    bool was_sent;                    /* batch was handed to nng at least once */
    int64_t told_ns;                  /* monotonic; when a batch of refusals alone was made last */
    int64_t sealed_ns;                /* monotonic */
    int64_t moving_ns;                /* monotonic; when it was last seen idle or had a batch committed */
    char buffer_id[64];               /* of the last resume answered */
    char next_buffer_id[64];          /* of `draining` */
    bool is_settled;                  /* `draining` named none: all of ours was delivered there */
    char trouble[WIRE_MAX_TEXT + 64]; /* why the gateway did not take the last batch; "": it did */
    struct undelivered undelivered;
};

int lane_init(struct lane *lane, struct ship *ship, enum telemetry signal, const struct ship_source *source);
void lane_fini(struct lane *lane);

/* lane_is_used: whether it has a source. */
bool lane_is_used(const struct lane *lane);

/* lane_advance: does what can be done now: resume, seal, send. Cheap when there is nothing to do. */
void lane_advance(struct lane *lane);

/* lane_reset: the gateway is gone or another one: what is under way is given up, resume comes first. */
void lane_reset(struct lane *lane);

/* lane_side_of: the origin that a batch is of. lane_forget_greeting: the gateway is to be greeted from the
 * start. */
enum lane_side lane_side_of(const struct lane *lane, const struct batch *batch);
void lane_forget_greeting(struct lane *lane);

/* lane_ask: asks an idle lane's gateway anew what is delivered; the source hears `resumed`. */
void lane_ask(struct lane *lane);

/* lane_take_answer: the gateway's answer to what is under way. */
void lane_take_answer(struct lane *lane, struct bytes frame);

/* lane_stalled_ms, lane_give_up: as ship_stalled_ms, ship_give_up. */
int64_t lane_stalled_ms(struct lane *lane);
bool lane_give_up(struct lane *lane, bool only_unsent, struct batch **ret_batch);

/* lane_withdraw: as ship_withdraw, of the lane's batch. */
bool lane_withdraw(struct lane *lane);

/* lane_tell_refusals: to be called every second: an idle lane tells what the agent refused. */
void lane_tell_refusals(struct lane *lane);

/* ---- the inside of a lane: ship_lane.c and ship_lane_answers.c */

enum { LANE_UNCLEAR_WAIT_MS = 2000 };

/* lane_enter: the one place that changes the state; timeout_ms 0: it has none. */
void lane_enter(struct lane *lane, enum ship_state state, int64_t timeout_ms);
/* lane_back_off: SHIP_BACKOFF for about so long. */
void lane_back_off(struct lane *lane, int64_t wait_ms);
void lane_note_trouble(struct lane *lane, const char *what, const char *reason);
void lane_free_batch(struct lane *lane);
/* lane_drop_batch: what it carried of refusals is told again later. */
void lane_drop_batch(struct lane *lane);
/* lane_is_own: whether it is this agent's boot. */
bool lane_is_own(const struct lane *lane, struct boot boot);

/* ---- what ship.c does for its lanes */

struct refusals *ship_refusals(const struct ship *ship); /* NULL: none are told */

struct link *ship_link(struct ship *ship);          /* the gateway in use, NULL when none is */
bool ship_has_one_gateway(const struct ship *ship); /* it has known no other since its start */
const struct agent_config *ship_config(const struct ship *ship);
struct stats *ship_stats(const struct ship *ship);
struct loop *ship_loop(const struct ship *ship);
bool ship_is_going_back(const struct ship *ship);
bool ship_is_draining(const struct ship *ship);
/* ship_leave: the gateway is not to be used any more; all lanes move. Frees nothing, so it may be the last
 * call of a lane's function. */
void ship_leave(struct ship *ship, const char *cause);
/* ship_lane_failed: the gateway's disk fails. Whether it was left for another one. */
bool ship_lane_failed(struct ship *ship);
void ship_lane_drained(struct ship *ship);  /* the gateway drains, says lane */
void ship_lane_probed(struct ship *ship);   /* a probe was answered */
void ship_lane_finished(struct ship *ship); /* the lane is SHIP_DRAINED */
void ship_saw_assignment(struct ship *ship, uint64_t version, bool after_resume);

#endif
