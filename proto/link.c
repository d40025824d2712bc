#include "proto/link.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>

#include "proto/nng_care.h"

struct channel {
    struct link *link; /* borrowed */
    int index;
    nng_ctx ctx;
    nng_aio *aio;         /* owned */
    bool is_receiving;    /* nng's callbacks only, from the hand-over to the letter */
    struct letter letter; /* posted when nng is through; then ours again */
    int result;           /* of nng; 0: reply is set */
    nng_msg *reply;       /* owned */
    bool is_busy;         /* handed to nng, letter not opened yet */
    bool is_wanted;       /* somebody still waits for the answer */
};

struct link {
    struct mailbox *mailbox; /* borrowed */
    struct link_events events;
    char *url; /* owned */
    nng_socket socket;
    nng_dialer dialer;
    struct channel channels[LINK_CHANNELS];
    nng_pipe up;   /* id 0: down */
    uint32_t dead; /* a pipe known gone, whose removal nng may not have told yet */
    _Atomic uint32_t live;
    atomic_bool is_posted; /* pipe_letter is in the mailbox */
    struct letter pipe_letter;
    bool is_closed;
};

enum { LEAVE_MS = 1000 };

static atomic_int closing;

/* ---- on nng's threads */

static void post_pipe(struct link *link)
{
    if (!atomic_exchange(&link->is_posted, true))
        mailbox_post(link->mailbox, &link->pipe_letter);
}

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct link *link = arg;
    uint32_t id = (uint32_t)nng_pipe_id(pipe);
    if (event == NNG_PIPE_EV_ADD_POST)
        atomic_store(&link->live, id);
    else
        atomic_compare_exchange_strong(&link->live, &(uint32_t){id}, 0);
    post_pipe(link);
}

static void on_io(void *arg)
{
    struct channel *channel = arg;
    int result = nng_aio_result(channel->aio);
    if (result == 0 && !channel->is_receiving) {
        channel->is_receiving = true;
        nng_ctx_recv(channel->ctx, channel->aio);
        return;
    }
    if (result == 0)
        channel->reply = nng_aio_get_msg(channel->aio);
    else if (!channel->is_receiving)
        nng_msg_free(nng_aio_get_msg(channel->aio)); /* a send that failed gives the message back */
    nng_aio_set_msg(channel->aio, NULL);
    channel->result = result;
    mailbox_post(channel->link->mailbox, &channel->letter);
}

/* ---- on the owner's thread */

static void give_up(struct link *link)
{
    link->dead = link->up.id;
    link->up.id = 0;
    for (int i = 0; i < LINK_CHANNELS; i++)
        link->channels[i].is_wanted = false;
}

static void finish_close(struct link *link)
{
    atomic_fetch_sub(&closing, 1);
    if (nng_leave(link->socket, LEAVE_MS) < 0)
        return; /* nng may still call back; the program ends anyway */
    for (int i = 0; i < LINK_CHANNELS; i++)
        nng_aio_free(link->channels[i].aio);
    free(link->url);
    free(link);
}

/* Once closed: frees the link when neither nng nor the mailbox holds anything of it. */
static void try_finish(struct link *link)
{
    if (!link->is_closed || !link_is_quiet(link))
        return;
    for (int i = 0; i < LINK_CHANNELS; i++)
        nng_ctx_close(link->channels[i].ctx);
    nng_pipe_notify(link->socket, NNG_PIPE_EV_ADD_POST, NULL, NULL);
    nng_pipe_notify(link->socket, NNG_PIPE_EV_REM_POST, NULL, NULL);
    if (!atomic_exchange(&link->is_posted, true)) /* else the letter under way comes back here */
        finish_close(link);
}

static void open_pipe_letter(struct letter *letter)
{
    struct link *link = (struct link *)((char *)letter - offsetof(struct link, pipe_letter));
    atomic_store(&link->is_posted, false);
    if (link->is_closed) {
        try_finish(link);
        return;
    }
    uint32_t live = atomic_load(&link->live);
    if (live == link->up.id || (live != 0 && live == link->dead))
        return;
    if (link->up.id) {
        give_up(link);
        link->events.down(link->events.ctx, link);
    }
    if (live && live != link->dead && !link->is_closed) {
        link->up.id = live;
        link->events.up(link->events.ctx, link);
    }
}

static void open_io_letter(struct letter *letter)
{
    struct channel *channel = (struct channel *)((char *)letter - offsetof(struct channel, letter));
    struct link *link = channel->link;
    nng_msg *reply = channel->reply;
    bool was_wanted = channel->is_wanted;
    channel->is_busy = channel->is_wanted = false;
    channel->reply = NULL;
    if (link->is_closed) {
        nng_msg_free(reply);
        try_finish(link);
        return;
    }
    if (was_wanted && channel->result == 0)
        link->events.answered(link->events.ctx, link, channel->index,
                              (struct bytes){nng_msg_body(reply), nng_msg_len(reply)});
    else if (was_wanted) { /* reset: the pipe is gone, whatever its own event says and when */
        give_up(link);
        link->events.down(link->events.ctx, link);
    } else
        link->events.freed(link->events.ctx, link, channel->index);
    nng_msg_free(reply);
}

/* ---- opening */

static int check(int nng_error, const char *url, struct buf *errors)
{
    if (nng_error == 0)
        return 0;
    buf_printf(errors, "%s: %s\n", url, nng_strerror(nng_error));
    return nng_error == NNG_ENOMEM ? -ENOMEM : -EINVAL;
}

static int set_tls(struct link *link, const struct link_options *options, struct buf *errors)
{
    nng_tls_config *config;
    if (strncmp(options->url, "tls+", 4) != 0)
        return 0;
    if (!options->tls) {
        buf_printf(errors, "%s: no TLS files\n", options->url);
        return -EINVAL;
    }
    int err = tls_files_load(options->tls, NNG_TLS_MODE_CLIENT, options->server_name, &config, errors);
    if (err < 0)
        return err;
    err = check(nng_dialer_set_ptr(link->dialer, NNG_OPT_TLS_CONFIG, config), options->url, errors);
    nng_tls_config_free(config); /* the dialer holds its own reference */
    return err;
}

static int open_channels(struct link *link)
{
    int rv = 0;
    for (int i = 0; rv == 0 && i < LINK_CHANNELS; i++) {
        struct channel *channel = &link->channels[i];
        channel->link = link;
        channel->index = i;
        channel->letter.open = open_io_letter;
        rv = nng_aio_alloc(&channel->aio, on_io, channel);
        if (rv == 0)
            rv = nng_ctx_open(&channel->ctx, link->socket);
    }
    return rv;
}

static int set_up(struct link *link, const struct link_options *options)
{
    int rv = nng_socket_set_ms(link->socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
    if (rv == 0)
        rv = nng_socket_set_size(link->socket, NNG_OPT_RECVMAXSZ, LINK_MAX_REPLY_BYTES);
    if (rv == 0)
        rv = nng_socket_set_ms(link->socket, NNG_OPT_RECONNMINT, options->reconnect_min_ms);
    if (rv == 0)
        rv = nng_socket_set_ms(link->socket, NNG_OPT_RECONNMAXT, options->reconnect_max_ms);
    if (rv == 0)
        rv = nng_pipe_notify(link->socket, NNG_PIPE_EV_ADD_POST, on_pipe, link);
    if (rv == 0)
        rv = nng_pipe_notify(link->socket, NNG_PIPE_EV_REM_POST, on_pipe, link);
    return rv ? rv : open_channels(link);
}

static void free_half_open(struct link *link)
{
    nng_close(link->socket); /* closes its contexts; nothing was ever under way */
    for (int i = 0; i < LINK_CHANNELS; i++)
        if (link->channels[i].aio)
            nng_aio_free(link->channels[i].aio);
    free(link->url);
    free(link);
}

int link_open(struct mailbox *mailbox, const struct link_options *options, struct link_events events,
              struct link **ret_link, struct buf *errors)
{
    struct link *link = calloc(1, sizeof *link);
    if (!link || !(link->url = strdup(options->url)) || nng_req0_open(&link->socket) != 0) {
        free(link ? link->url : NULL);
        free(link);
        return -ENOMEM;
    }
    link->mailbox = mailbox;
    link->events = events;
    link->pipe_letter.open = open_pipe_letter;
    int err = check(set_up(link, options), options->url, errors);
    if (err == 0)
        err = check(nng_dialer_create(&link->dialer, link->socket, options->url), options->url, errors);
    if (err == 0)
        err = set_tls(link, options, errors);
    if (err == 0)
        err = check(nng_dialer_start(link->dialer, NNG_FLAG_NONBLOCK), options->url, errors);
    if (err < 0)
        free_half_open(link);
    else
        *ret_link = link;
    return err;
}

/* ---- use */

const char *link_url(const struct link *link)
{
    return link->url;
}

bool link_is_up(const struct link *link)
{
    return link->up.id != 0;
}

bool link_can_take(const struct link *link, int channel)
{
    return link_is_up(link) && !link->channels[channel].is_busy;
}

int link_request(struct link *link, int channel, struct bytes head, struct bytes payload)
{
    struct channel *c = &link->channels[channel];
    nng_msg *message;
    if (!link_can_take(link, channel))
        return -EAGAIN;
    if (nng_msg_alloc(&message, head.len + payload.len) != 0)
        return -ENOMEM;
    memcpy(nng_msg_body(message), head.ptr, head.len);
    if (payload.len)
        memcpy((uint8_t *)nng_msg_body(message) + head.len, payload.ptr, payload.len);
    c->is_busy = c->is_wanted = true;
    c->is_receiving = false;
    nng_aio_set_msg(c->aio, message);
    nng_ctx_send(c->ctx, c->aio);
    return 0;
}

bool link_is_quiet(const struct link *link)
{
    for (int i = 0; i < LINK_CHANNELS; i++)
        if (link->channels[i].is_busy)
            return false;
    return true;
}

void link_drop(struct link *link)
{
    nng_pipe pipe = link->up;
    give_up(link);
    if (pipe.id)
        nng_pipe_close(pipe);
}

void link_close(struct link *link)
{
    if (!link)
        return;
    atomic_fetch_add(&closing, 1);
    link_drop(link);
    link->is_closed = true;
    try_finish(link);
}

int link_closing(void)
{
    return atomic_load(&closing);
}
