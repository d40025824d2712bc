#include "gateway/intake/door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>

#include "base/clock.h"
#include "gateway/intake/half_open.h"
#include "proto/nng_care.h"
#include "proto/tls_files.h"

enum { LEAVE_MS = 1000 };

struct station { /* a desk and nng's part of it */
    struct desk desk;
    nng_ctx ctx;
    nng_aio *aio;          /* owned */
    bool is_answering;     /* nng's callbacks, and the owner between them */
    _Atomic uint32_t pipe; /* whose request it holds until the answer is on its way; 0: none */
};

struct door {
    const struct gateway_config *config;
    struct mailbox *mailbox;
    void (*serve)(void *ctx, struct desk *desk);
    void *ctx;
    nng_socket socket;
    nng_listener *listeners; /* owned */
    size_t listener_count;
    struct station *stations; /* owned, DOOR_DESKS of them */
    struct half_open half_open;
    atomic_int pipes;
    atomic_bool is_closed;
    bool is_stuck; /* nng does not let go of the socket */
};

/* ---- on nng's threads */

static bool address_of(nng_pipe pipe, struct half_open_peer *ret_peer)
{
    nng_sockaddr address;
    struct sockaddr_storage plain = {0};
    if (nng_pipe_get_addr(pipe, NNG_OPT_REMADDR, &address) != 0)
        return false;
    if (address.s_family == NNG_AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)&plain;
        *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = address.s_in.sa_port};
        in->sin_addr.s_addr = address.s_in.sa_addr;
    } else if (address.s_family == NNG_AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&plain;
        *in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = address.s_in6.sa_port};
        memcpy(&in6->sin6_addr, address.s_in6.sa_addr, 16);
    }
    return half_open_peer_of(&plain, ret_peer);
}

static void name_peer(struct desk *desk, nng_msg *message)
{
    struct half_open_peer peer;
    char ip[INET6_ADDRSTRLEN];
    if (!address_of(nng_msg_get_pipe(message), &peer))
        strcpy(desk->peer, "unknown");
    else if (IN6_IS_ADDR_V4MAPPED((struct in6_addr *)peer.ip))
        snprintf(desk->peer, sizeof desk->peer, "%s:%u", inet_ntop(AF_INET, peer.ip + 12, ip, sizeof ip),
                 ntohs(peer.port));
    else
        snprintf(desk->peer, sizeof desk->peer, "[%s]:%u", inet_ntop(AF_INET6, peer.ip, ip, sizeof ip),
                 ntohs(peer.port));
}

static void release_message(void *message)
{
    nng_msg_free(message);
}

static void decode_batch(struct desk *desk, struct bytes frame, nng_msg *message)
{
    desk->error = wire_decode_batch(frame, &desk->batch);
    if (desk->error < 0) {
        desk->batch = NULL;
        nng_msg_free(message);
        return;
    }
    desk->batch->payload_owner = message; /* the payload stays where nng put it */
    desk->batch->payload_release = release_message;
}

static void decode(struct desk *desk, nng_msg *message)
{
    struct bytes frame = {nng_msg_body(message), nng_msg_len(message)};
    desk->kind = 0;
    desk->batch = NULL;
    desk->bytes = frame.len;
    desk->received_ns = clock_mono_ns();
    desk->received_wall_ns = clock_wall_ns();
    name_peer(desk, message);
    desk->error = wire_kind_of(frame, &desk->kind);
    if (desk->error == 0 && desk->kind == WIRE_BATCH) {
        decode_batch(desk, frame, message);
        return;
    }
    if (desk->error == 0 && desk->kind == WIRE_RESUME)
        desk->error = wire_decode_resume(frame, &desk->resume);
    else if (desk->error == 0 && desk->kind == WIRE_ASSIGNMENT_REQUEST)
        desk->error = assignment_decode_request(frame, &desk->assignment);
    else if (desk->error == 0 && desk->kind == WIRE_QUESTION)
        desk->error = question_decode(frame, &desk->question);
    else if (desk->error == 0)
        desk->error = -EBADMSG; /* a reply is no request */
    nng_msg_free(message);
}

static void receive_next(struct station *station)
{
    station->is_answering = false;
    atomic_store(&station->pipe, 0);
    nng_aio_set_timeout(station->aio, NNG_DURATION_INFINITE);
    if (!atomic_load(&station->desk.door->is_closed))
        nng_ctx_recv(station->ctx, station->aio);
}

static void on_io(void *arg)
{
    struct station *station = arg;
    int result = nng_aio_result(station->aio);
    uint32_t asker = atomic_load(&station->pipe);
    nng_msg *message = nng_aio_get_msg(station->aio);
    nng_aio_set_msg(station->aio, NULL);
    if (station->is_answering || result != 0) {
        nng_msg_free(message); /* of an answer that was not sent; NULL else */
        if (result == NNG_ETIMEDOUT)
            nng_pipe_close((nng_pipe){asker}); /* asks and does not read */
        if (result != NNG_ECLOSED && result != NNG_ECANCELED)
            receive_next(station);
        return;
    }
    atomic_store(&station->pipe, (uint32_t)nng_pipe_id(nng_msg_get_pipe(message)));
    decode(&station->desk, message);
    mailbox_post(station->desk.door->mailbox, &station->desk.letter);
}

struct note { /* a pipe came or went; a letter of its own */
    struct letter letter;
    struct door *door; /* borrowed */
    struct half_open_peer peer;
    bool is_gone;
};

static void open_note(struct letter *letter)
{
    struct note *note = (struct note *)letter;
    if (note->is_gone)
        half_open_remove(&note->door->half_open, &note->peer);
    else
        half_open_add(&note->door->half_open, &note->peer);
    free(note);
}

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct door *door = arg;
    bool is_gone = event == NNG_PIPE_EV_REM_POST;
    struct note *note = malloc(sizeof *note);
    if (note && address_of(pipe, &note->peer)) {
        note->letter.open = open_note;
        note->door = door;
        note->is_gone = is_gone;
        mailbox_post(door->mailbox, &note->letter);
    } else
        free(note);
    if (is_gone)
        atomic_fetch_sub(&door->pipes, 1);
    else if (atomic_fetch_add(&door->pipes, 1) >= DOOR_MAX_PIPES)
        nng_pipe_close(pipe);
}

/* ---- on the owner's thread */

/* How many requests of the desk's peer are in our hands. */
static int count_requests(const struct desk *desk)
{
    const struct door *door = desk->door;
    uint32_t pipe = atomic_load(&((struct station *)desk)->pipe);
    int count = 0;
    for (int i = 0; i < DOOR_DESKS; i++)
        count += atomic_load(&door->stations[i].pipe) == pipe;
    return count;
}

static void open_letter(struct letter *letter)
{
    struct desk *desk = (struct desk *)letter;
    if (atomic_load(&desk->door->is_closed)) {
        batch_free(desk->batch);
        desk->batch = NULL;
        return;
    }
    if (count_requests(desk) > DOOR_MAX_REQUESTS && desk->error == 0)
        desk->error = -EUSERS;
    desk->door->serve(desk->owner, desk);
}

void desk_answer(struct desk *desk, struct bytes frame)
{
    struct station *station = (struct station *)desk;
    nng_msg *message = NULL;
    batch_free(desk->batch);
    desk->batch = NULL;
    if (atomic_load(&desk->door->is_closed))
        return;
    if (frame.len == 0 || nng_msg_alloc(&message, frame.len) != 0) {
        receive_next(station);
        return;
    }
    memcpy(nng_msg_body(message), frame.ptr, frame.len);
    station->is_answering = true;
    nng_aio_set_timeout(station->aio, DOOR_ANSWER_MS);
    nng_aio_set_msg(station->aio, message);
    nng_ctx_send(station->ctx, station->aio);
}

struct desk *desk_of_append(struct buffer_append *append)
{
    return (struct desk *)((char *)append - offsetof(struct desk, append));
}

struct desk *desk_of_resume(struct buffer_resume *resume)
{
    return (struct desk *)((char *)resume - offsetof(struct desk, resume_work));
}

/* ---- opening */

static int check(int nng_error, const char *what, struct buf *errors)
{
    if (nng_error == 0)
        return 0;
    buf_printf(errors, "%s: %s\n", what, nng_strerror(nng_error));
    return nng_error == NNG_ENOMEM ? -ENOMEM : nng_error == NNG_EADDRINUSE ? -EADDRINUSE : -EINVAL;
}

static int set_tls(struct door *door, nng_listener listener, const char *url, struct buf *errors)
{
    const struct tls_files files = {door->config->agents.tls.ca_file, door->config->agents.tls.cert_file,
                                    door->config->agents.tls.key_file};
    nng_tls_config *config;
    if (strncmp(url, "tls+", 4) != 0)
        return 0;
    int err = tls_files_load(&files, NNG_TLS_MODE_SERVER, NULL, &config, errors);
    if (err < 0)
        return err;
    err = check(nng_listener_set_ptr(listener, NNG_OPT_TLS_CONFIG, config), url, errors);
    nng_tls_config_free(config); /* the listener holds its own reference */
    return err;
}

static int listen_on(struct door *door, const char *url, struct buf *errors)
{
    nng_listener *listener = &door->listeners[door->listener_count];
    int err = check(nng_listener_create(listener, door->socket, url), url, errors);
    if (err == 0)
        err = set_tls(door, *listener, url, errors);
    if (err == 0)
        err = check(nng_listener_start(*listener, 0), url, errors);
    if (err == 0)
        door->listener_count++;
    return err;
}

static int set_up(struct door *door)
{
    size_t max = (size_t)door->config->agents.max_message_bytes;
    int rv = nng_socket_set_size(door->socket, NNG_OPT_RECVMAXSZ, max);
    if (rv == 0)
        rv = nng_pipe_notify(door->socket, NNG_PIPE_EV_ADD_PRE, on_pipe, door);
    if (rv == 0)
        rv = nng_pipe_notify(door->socket, NNG_PIPE_EV_REM_POST, on_pipe, door);
    for (int i = 0; rv == 0 && i < DOOR_DESKS; i++) {
        struct station *station = &door->stations[i];
        station->desk.door = door;
        station->desk.owner = door->ctx;
        station->desk.letter.open = open_letter;
        rv = nng_aio_alloc(&station->aio, on_io, station);
        if (rv == 0)
            rv = nng_ctx_open(&station->ctx, door->socket);
    }
    return rv;
}

static int listen_all(struct door *door, struct buf *errors)
{
    static const char *fallback[] = {"tcp://0.0.0.0:9610"};
    const struct conf_strings *listen = &door->config->agents.listen;
    const char *const *urls = listen->count ? listen->items : fallback;
    size_t count = listen->count ? listen->count : 1;
    int err = check(set_up(door), "agents.listen", errors);
    for (size_t i = 0; err == 0 && i < count; i++)
        err = listen_on(door, urls[i], errors);
    for (size_t i = 0; err == 0 && i < door->listener_count; i++)
        half_open_listen(&door->half_open, door_port(door, i));
    for (int i = 0; err == 0 && i < DOOR_DESKS; i++)
        receive_next(&door->stations[i]);
    return err;
}

int door_open(const struct door_options *options, struct door **ret_door, struct buf *errors)
{
    struct door *door = calloc(1, sizeof *door);
    size_t listeners = options->config->agents.listen.count + 1;
    if (!door || !(door->listeners = calloc(listeners, sizeof *door->listeners)) ||
        !(door->stations = calloc(DOOR_DESKS, sizeof *door->stations)) || nng_rep0_open(&door->socket) != 0) {
        free(door ? door->listeners : NULL);
        free(door ? door->stations : NULL);
        free(door);
        return -ENOMEM;
    }
    door->config = options->config;
    door->mailbox = options->mailbox;
    door->serve = options->serve;
    door->ctx = options->ctx;
    int err = listen_all(door, errors);
    if (err < 0) {
        door_close(door);
        mailbox_drain(door->mailbox); /* somebody may have connected to a first listener */
        door_free(door);
        return err;
    }
    *ret_door = door;
    return 0;
}

int door_port(const struct door *door, size_t i)
{
    int port = 0;
    if (i < door->listener_count)
        nng_listener_get_int(door->listeners[i], NNG_OPT_TCP_BOUND_PORT, &port);
    return port;
}

int door_pipes(const struct door *door)
{
    return atomic_load(&((struct door *)door)->pipes);
}

void door_sweep(struct door *door)
{
    half_open_sweep(&door->half_open, clock_mono_ns());
}

void door_close(struct door *door)
{
    atomic_store(&door->is_closed, true);
    for (int i = 0; i < DOOR_DESKS; i++)
        if (door->stations[i].aio)
            nng_aio_stop(door->stations[i].aio); /* waits for its callback; REP receives may be cancelled */
    for (int i = 0; i < DOOR_DESKS; i++)
        nng_ctx_close(door->stations[i].ctx);
    door->is_stuck = nng_leave(door->socket, LEAVE_MS) < 0;
}

void door_free(struct door *door)
{
    if (door->is_stuck)
        return; /* nng may still call back; the program ends anyway */
    for (int i = 0; i < DOOR_DESKS; i++) {
        batch_free(door->stations[i].desk.batch);
        if (door->stations[i].aio)
            nng_aio_free(door->stations[i].aio);
    }
    half_open_fini(&door->half_open);
    free(door->stations);
    free(door->listeners);
    free(door);
}
