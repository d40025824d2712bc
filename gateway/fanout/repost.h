/* repost.h - posts one message to a backend apart from its lanes, and waits for the answer: for a refused
 * record that is tried again, and for a replay.
 *
 * A message that is refused, or too large, is halved down to its records, as fan-out does; what is refused is
 * told, what is good is in. No cursor and no note is touched. A message that is translated for the backend is
 * delivered when all of it is; else it is left as it is. One thread.
 */
#ifndef GATEWAY_REPOST_H
#define GATEWAY_REPOST_H

#include <stdatomic.h>

#include "base/batch.h"
#include "gateway/fanout/halving.h"
#include "gateway/fanout/sender.h"
#include "gateway/translate/translate.h"

enum { REPOST_TRIES = 5, REPOST_MAX_BYTES = 256 << 20 };

struct repost {
    struct sender *sender; /* owned */
    struct translate translate;
    enum backend_kind kind;
    bool drop_on_client_error;
    struct buf piece, packed; /* a part: raw, compressed */
};

struct repost_result {
    uint64_t delivered, refused;
    int status;                        /* of the last refusal */
    char words[HALVING_MAX_WORDS + 1]; /* the backend's, or why it did not come to an answer */
    struct buf left;                   /* raw: the records that were refused */
};

/* repost_init: config is borrowed. 0, errors of sender_new. */
int repost_init(struct repost *repost, const struct gateway_backend_config *config, enum backend_kind kind,
                enum telemetry signal);
void repost_fini(struct repost *repost);

/* repost_message: ret_result->left is the caller's, whatever comes back. 0 when every record was answered;
 * -EAGAIN when the backend is away or keeps failing (words say how), -ECANCELED, -EBADMSG (not in its
 * format), -ENOMEM. What was delivered until then is counted. */
int repost_message(struct repost *repost, enum batch_format format, struct bytes raw,
                   const _Atomic bool *cancelled, struct repost_result *ret_result);

#endif
