/* replicas.h - asks the other gateways (config->peers, but for ourselves) what an operator asked this one.
 *
 * A link to each is opened at the first question and kept. At most LINK_CHANNELS questions at once. Who has
 * not answered after REPLICAS_ANSWER_MS is named and counts as not answering. Loop thread only.
 */
#ifndef GATEWAY_REPLICAS_H
#define GATEWAY_REPLICAS_H

#include "base/loop.h"
#include "gateway/intake/receive.h"
#include "proto/peers.h"

enum { REPLICAS_ANSWER_MS = 3000 };

struct replicas;

struct replica_answer {
    char url[PEERS_MAX_URL];
    int status;      /* 200, 409, an error; 0: no answer */
    struct buf text; /* what it said */
    char token[QUESTION_MAX_TOKEN];
};

/* replicas_new: all is borrowed. 0, -ENOMEM, -EINVAL (peers). Without peers questions are done at once. */
int replicas_new(struct loop *loop, const struct gateway_config *config, const struct receive *receive,
                 struct replicas **ret_replicas);

/* replicas_ask: done(ctx, answers, count) is called once, answers are borrowed; with -EBUSY or -ENOMEM not at
 * all. It may be called from inside. */
int replicas_ask(struct replicas *replicas, const struct question *question,
                 void (*done)(void *ctx, const struct replica_answer *answers, size_t count), void *ctx);

/* replicas_list: the others' URLs, at most most; returns how many. */
size_t replicas_list(struct replicas *replicas, char (*ret_urls)[PEERS_MAX_URL], size_t most);

/* replicas_ask_one: as replicas_ask, of the one with that URL; without any answer when it is not there any
 * more. */
int replicas_ask_one(struct replicas *replicas, const char *url, const struct question *question,
                     void (*done)(void *ctx, const struct replica_answer *answers, size_t count), void *ctx);

/* replicas_is_one: whether from ("1.2.3.4:5678", "[::1]:5678") has the address of one of config->peers. */
bool replicas_is_one(struct replicas *replicas, const char *from);

/* replicas_close: done is not called any more; frees on the loop. NULL is fine. */
void replicas_close(struct replicas *replicas);

#endif
