/* door.h - the listening side of the transport: one REP socket, its listeners, and desks that each serve one
 * request at a time.
 *
 * A desk receives a message, decodes it on nng's thread (the checksum of a batch is the only real work), and
 * posts itself to the owner's mailbox; the owner answers it with desk_answer(), after which it receives
 * again. All calls but nng's own callbacks on the mailbox's thread.
 *
 *   RECEIVING --nng--> DECODED --letter--> serve() --desk_answer--> ANSWERING --nng--> RECEIVING
 */
#ifndef GATEWAY_DOOR_H
#define GATEWAY_DOOR_H

#include "base/buffer/buffer.h"
#include "gateway/config.h"
#include "proto/assignment.h"
#include "proto/question.h"

enum {
    DOOR_DESKS = 64,
    DOOR_MAX_PIPES = 4096,
    DOOR_MAX_PEER = 64,
    DOOR_MAX_REQUESTS = 8,
    DOOR_ANSWER_MS = 5000
};

struct door;

struct desk {
    struct letter letter;
    struct door *door;   /* borrowed */
    void *owner;         /* ctx of the options */
    int error;           /* of decoding; -EUSERS: more than DOOR_MAX_REQUESTS of this peer are being served */
    enum wire_kind kind; /* 0: not even a frame */
    struct batch *batch; /* owned; of WIRE_BATCH */
    struct wire_resume resume;
    struct assignment_request assignment;
    struct question question;
    size_t bytes;        /* of the message */
    int64_t received_ns; /* monotonic */
    int64_t received_wall_ns;
    char peer[DOOR_MAX_PEER]; /* address, for the log */
    union {                   /* the owner's, while it has the desk */
        struct buffer_append append;
        struct buffer_resume resume_work;
    };
};

struct door_options {
    const struct gateway_config *config; /* borrowed */
    struct mailbox *mailbox;             /* borrowed */
    void (*serve)(void *ctx, struct desk *desk);
    void *ctx;
};

/* door_open: listens. 0 with *ret_door, or a negative errno with words in errors. */
int door_open(const struct door_options *options, struct door **ret_door, struct buf *errors);

/* door_port: of listener i; 0 when there is none. */
int door_port(const struct door *door, size_t i);

/* door_pipes: connections that have shaken hands, any thread. */
int door_pipes(const struct door *door);

/* door_sweep: ends connections that never became a peer (half_open.h); to be called every second. */
void door_sweep(struct door *door);

/* desk_answer: sends a frame (copied) and frees the batch. Empty: nothing is answered, the peer asks again.
 */
void desk_answer(struct desk *desk, struct bytes frame);

/* desk_of_append, desk_of_resume: the desk whose work it is. */
struct desk *desk_of_append(struct buffer_append *append);
struct desk *desk_of_resume(struct buffer_resume *resume);

/* door_close: stops listening and receiving; answers still to be given are not sent. Desks that the owner has
 * stay valid until door_free, which must come after all their letters were opened. */
void door_close(struct door *door);
void door_free(struct door *door);

#endif
