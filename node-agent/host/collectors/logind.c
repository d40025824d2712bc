/* logind.c - the sessions that systemd-logind knows, asked over D-Bus (org.freedesktop.login1(5)). */
#include <errno.h>
#include <stdlib.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/dbus.h"
#include "node-agent/host/text.h"

enum {
    REMOTES = 2,
    TYPES = 7,
    CLASSES = 5,
    MAX_SEATS = 256,
    SEAT_BYTES = 64,
    MAX_SESSIONS = 4096,
    PATH_BYTES = 128
};
static const char service[] = "org.freedesktop.login1", manager_path[] = "/org/freedesktop/login1";
static const char manager[] = "org.freedesktop.login1.Manager", session[] = "org.freedesktop.login1.Session";
static const char *const remotes[REMOTES] = {"true", "false"};
static const char *const types[TYPES] = {"other", "unspecified", "tty", "x11", "wayland", "mir", "web"};
static const char *const classes[CLASSES] = {"other", "user", "greeter", "lock-screen", "background"};

struct logind_state {
    char seats[MAX_SEATS][SEAT_BYTES]; /* the last one "", for sessions without a seat */
    size_t seat_count;
    struct {
        char seat[SEAT_BYTES], path[PATH_BYTES];
    } sessions[MAX_SESSIONS];
    size_t session_count;
    unsigned counts[MAX_SEATS][REMOTES][TYPES][CLASSES];
};

static int start(const struct agent_config *config, void **ret_state)
{
    (void)config;
    *ret_state = NULL;
    return 0;
}

static int list_seats(struct dbus *dbus, struct logind_state *state)
{
    struct dbus_reader reader;
    int err = dbus_call(dbus, service, manager_path, manager, "ListSeats", NULL, &reader);
    if (err < 0)
        return err;
    for (size_t end = dbus_read_array(&reader);
         dbus_read_struct(&reader, end) && state->seat_count < MAX_SEATS - 1; state->seat_count++) {
        text_copy(bytes_of_string(dbus_read_string(&reader)), state->seats[state->seat_count], SEAT_BYTES);
        dbus_read_string(&reader); /* its path */
    }
    state->seat_count++;
    return reader.failed ? -EBADMSG : 0;
}

static int list_sessions(struct dbus *dbus, struct logind_state *state)
{
    struct dbus_reader reader;
    int err = dbus_call(dbus, service, manager_path, manager, "ListSessions", NULL, &reader);
    if (err < 0)
        return err;
    for (size_t end = dbus_read_array(&reader);
         dbus_read_struct(&reader, end) && state->session_count < MAX_SESSIONS; state->session_count++) {
        dbus_read_string(&reader); /* its name */
        dbus_read_u32(&reader);    /* the user */
        dbus_read_string(&reader);
        text_copy(bytes_of_string(dbus_read_string(&reader)), state->sessions[state->session_count].seat,
                  SEAT_BYTES);
        text_copy(bytes_of_string(dbus_read_string(&reader)), state->sessions[state->session_count].path,
                  PATH_BYTES);
    }
    return reader.failed ? -EBADMSG : 0;
}

/* The word's place in the list; the first stands for all others. */
static size_t place_of(const char *word, const char *const *list, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (strcmp(word, list[i]) == 0)
            return i;
    return 0;
}

/* A session that has ended meanwhile is not counted. */
static int count_session(struct dbus *dbus, struct logind_state *state, size_t at)
{
    const char *path = state->sessions[at].path;
    struct dbus_reader reader;
    size_t remote = 0, type = 0, class = 0, seat = 0;
    int err = dbus_get_property(dbus, service, path, session, "Remote", "b", &reader);
    if (err == 0)
        remote = dbus_read_u32(&reader) ? 0 : 1;
    if (err == 0)
        err = dbus_get_property(dbus, service, path, session, "Type", "s", &reader);
    if (err == 0)
        type = place_of(dbus_read_string(&reader), types, TYPES);
    if (err == 0)
        err = dbus_get_property(dbus, service, path, session, "Class", "s", &reader);
    if (err == 0)
        class = place_of(dbus_read_string(&reader), classes, CLASSES);
    while (seat < state->seat_count && strcmp(state->seats[seat], state->sessions[at].seat) != 0)
        seat++;
    if (err == 0 && seat < state->seat_count)
        state->counts[seat][remote][type][class]++;
    return err == -EREMOTEIO || err == -EBADMSG ? 0 : err;
}

static void emit_seat(const struct logind_state *state, size_t seat, struct metric_sink *sink)
{
    for (int r = 0; r < REMOTES; r++)
        for (int t = 0; t < TYPES; t++)
            for (int c = 0; c < CLASSES; c++)
                COLLECTOR_SAMPLE(sink, "node_logind_sessions", METRIC_GAUGE,
                                 "Number of sessions registered in logind.", state->counts[seat][r][t][c],
                                 "seat", state->seats[seat], "remote", remotes[r], "type", types[t], "class",
                                 classes[c]);
}

static int ask(struct dbus *dbus, struct logind_state *state, struct metric_sink *sink)
{
    int err = list_seats(dbus, state);
    if (err == 0)
        err = list_sessions(dbus, state);
    for (size_t i = 0; i < state->session_count && err == 0; i++)
        err = count_session(dbus, state, i);
    for (size_t i = 0; i < state->seat_count && err == 0; i++)
        emit_seat(state, i, sink);
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct dbus *dbus = NULL;
    (void)ctx;
    struct logind_state *state = calloc(1, sizeof *state);
    int err = state ? dbus_open_system(&dbus) : -ENOMEM;
    if (err == 0)
        err = ask(dbus, state, sink);
    dbus_free(dbus);
    free(state);
    return err;
}

const struct collector collector_logind = {.name = "logind",
                                           .start = start,
                                           .update = update,
                                           .stop = collector_stop_nothing,
                                           .blocks = true,
                                           .asks = true};
