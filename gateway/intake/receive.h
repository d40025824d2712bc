/* receive.h - the gateway's side of the transport: takes batches, resumes and assignment requests over nng
 * REP, hands batches to the buffers and answers after the commit.
 *
 * nng's callbacks decode on nng's threads and post to the loop; who may commit (the boot that resumed last)
 * is decided on the loop.
 */
#ifndef GATEWAY_RECEIVE_H
#define GATEWAY_RECEIVE_H

#include "base/buffer/buffer.h"
#include "base/loop.h"
#include "base/stats.h"
#include "gateway/config.h"
#include "gateway/intake/origins.h"
#include "proto/assignment.h"
#include "proto/question.h"

struct receive;
struct pods;

struct receive_agent { /* for the operator */
    char origin[BATCH_MAX_ORIGIN + 1];
    int64_t last_seen_ns, clock_skew_ns; /* wall clock; the agent's send time minus ours at receipt */
    uint64_t batches[TELEMETRY_COUNT];
    struct origin_missing missing[TELEMETRY_COUNT];
};

/* Who answers assignment requests: fills *ret (freed by receive with assignment_fini). Version 0: nothing is
 * known. Loop thread. */
struct receive_assignments {
    void (*get)(void *ctx, const struct assignment_request *request, struct assignment *ret);
    uint64_t (*version)(void *ctx, const char *origin);
    void *ctx;
};

int receive_new(struct loop *loop, const struct gateway_config *config,
                struct buffer *const buffers[TELEMETRY_COUNT], struct stats *stats,
                struct receive_assignments assignments, struct receive **ret_receive, struct buf *errors);

/* receive_port: the port of listener i (when 0 was asked for). */
int receive_port(const struct receive *receive, size_t i);

/* receive_is_open: whether the listeners are open. */
bool receive_is_open(const struct receive *receive);

/* receive_agents: fills at most most, returns how many there are. Loop thread. */
size_t receive_agents(const struct receive *receive, struct receive_agent *agents, size_t most);

struct receive_origin {
    const char *name;              /* borrowed during the call */
    int64_t last_seen_ns, came_ns; /* as origins.h has them */
};

/* receive_each_origin: of those that are known, receive_count_origins in all. Loop thread. */
size_t receive_count_origins(const struct receive *receive);
void receive_each_origin(const struct receive *receive,
                         void (*each)(void *ctx, const struct receive_origin *origin), void *ctx);

struct receive_question { /* borrowed during the call */
    const struct question *question;
    const char *from; /* whose it is: "1.2.3.4:5678" */
    struct buf *text; /* out: the answer */
    char *token;      /* out, QUESTION_MAX_TOKEN; "" */
};

/* receive_on_question: tell(ctx, asked) answers another gateway's questions of the verb: the status, with the
 * answer in asked->text. NULL: 503. */
void receive_on_question(struct receive *receive, enum question_verb verb,
                         int (*tell)(void *ctx, const struct receive_question *asked), void *ctx);

/* receive_find_senders_with: the attributes of senders that agents do not know (enrich.h); pods outlives the
 * receive's last callback. Without it none are added. */
void receive_find_senders_with(struct receive *receive,
                               struct bytes (*find)(const struct pods *pods, const char *host),
                               const struct pods *pods);

/* receive_drain: from now on batches are answered `busy`; done(ctx) when every append under way was answered.
 */
void receive_drain(struct receive *receive, void (*done)(void *ctx), void *ctx);

/* receive_set_handed: everything is handed over: from now on the answer is `draining`, with the buffer that
 * went(ctx, origin, signal) names (rule 5). Before, receive_drain. */
void receive_set_handed(struct receive *receive,
                        const char *(*went)(void *ctx, const char *origin, enum telemetry signal), void *ctx);

/* receive_connections: agents that are connected now. */
int receive_connections(const struct receive *receive);

void receive_close(struct receive *receive);

#endif
