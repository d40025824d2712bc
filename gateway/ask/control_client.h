/* control_client.h - asks the running gateway over its control socket: what the verbs of the command line
 * share. For one-threaded commands. */
#ifndef GATEWAY_CONTROL_CLIENT_H
#define GATEWAY_CONTROL_CLIENT_H

#include "base/buf.h"

#define CONTROL_CLIENT_CONFIG "/etc/tributary/gateway.yaml"
#define CONTROL_CLIENT_USAGE "[--socket PATH | --config FILE]"

enum { CONTROL_CLIENT_MAX_URL = 8192 };

struct control_question { /* all borrowed */
    const char *socket;   /* where; NULL: the one that config names */
    const char *config;
    const char *method; /* "GET" or "POST" */
    const struct buf *url;
    bool (*take)(void *ctx, const char *text, size_t len); /* false: nobody reads any more; NULL: standard
                                                              output */
    void *ctx;
    bool is_ended; /* out, of job_client: the job ran to its end */
};

/* control_client_url: begins url with the path. 0, -ENOMEM. */
int control_client_url(struct buf *url, const char *path);

/* control_client_add: a parameter, percent-encoded. 0, -ENOMEM, -EMSGSIZE. */
int control_client_add(struct buf *url, const char *name, const char *value);

/* control_client_ask: the answer's status, 200 or 409 (what was asked for is not as it should be); then its
 * body went to take. Else -EIO, and why stands on standard error. */
int control_client_ask(const struct control_question *question);

#endif
