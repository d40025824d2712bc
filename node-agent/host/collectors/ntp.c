/* ntp.c - what a local NTP server says of its clock: one query of SNTP (RFC 5905). */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/ntp.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/text.h"

enum { ANSWER_SECONDS = 1, CLIENT = 3, SERVER = 4, NOT_IN_SYNC = 3, STRATA = 16, LOCALHOST = 127 };
static const uint64_t unix_epoch = UINT64_C(2208988800) << 32; /* 1970 in NTP's time */
static const double second_era = 4294967296.0, seconds_a_day = 86400, max_dispersion = 16,
                    max_silence = 131072;

struct ntp_state {
    char server[256], port[16];
    int version, ttl;
    double max_distance, tolerance; /* seconds */
    double leap_midnight;           /* Unix time of the midnight of the last leap second that was announced */
};

/* ---- pure ---- */

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint64_t get64(const uint8_t *at)
{
    return (uint64_t)get32(at) << 32 | get32(at + 4);
}

/* Times are 32 bits of seconds and 32 of a fraction; those before 1970 are of the era from 2036 on. */
static double unix_seconds(uint64_t time)
{
    double seconds = (double)(time >> 32) - (double)(unix_epoch >> 32) + (double)(uint32_t)time / second_era;
    return time < unix_epoch ? seconds + second_era : seconds;
}

static double seconds_between(uint64_t later, uint64_t earlier)
{
    return (double)(int64_t)(later - earlier) / second_era;
}

/* node_exporter keeps durations as whole nanoseconds. */
static double whole_ns(double seconds)
{
    return rint(seconds * 1e9) / 1e9;
}

static double positive(double value)
{
    return value > 0 ? value : 0;
}

int ntp_parse(struct bytes packet, uint64_t cookie, uint64_t sent, uint64_t received,
              struct ntp_answer *ret_answer)
{
    const uint8_t *p = packet.ptr;
    if (packet.len < NTP_PACKET_BYTES || (p[0] & 7) != SERVER)
        return -EBADMSG;
    uint64_t reference = get64(p + 16), origin = get64(p + 24), arrived = get64(p + 32), left = get64(p + 40);
    if (left == 0 || origin != cookie || arrived > left)
        return -EBADMSG;
    struct ntp_answer a = {.leap = p[0] >> 6, .stratum = p[1]};
    a.root_delay = get32(p + 4) / 65536.0;
    a.root_dispersion = get32(p + 8) / 65536.0;
    a.reference = unix_seconds(reference);
    a.time = unix_seconds(left);
    a.rtt = positive(seconds_between(received, sent) - seconds_between(left, arrived));
    double there = seconds_between(arrived, sent), back = seconds_between(left, received);
    a.offset = there + (back - there) / 2;
    double first = sent >= arrived ? seconds_between(sent, arrived) : 0;
    double last = left >= received ? seconds_between(left, received) : 0;
    a.min_error = first > last ? first : last;
    a.root_distance = (a.rtt + a.root_delay) / 2 + a.root_dispersion;
    *ret_answer = a;
    return 0;
}

bool ntp_is_valid(const struct ntp_answer *a)
{
    return a->stratum > 0 && a->stratum < STRATA && a->time - a->reference <= max_silence &&
           a->root_delay / 2 + a->root_dispersion <= max_dispersion && a->time >= a->reference &&
           a->leap != NOT_IN_SYNC;
}

/* ---- the collector ---- */

static bool is_local(const char *server)
{
    struct in6_addr six;
    struct in_addr four;
    if (inet_pton(AF_INET, server, &four) == 1)
        return ntohl(four.s_addr) >> 24 == LOCALHOST;
    return inet_pton(AF_INET6, server, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static double duration_flag(const struct agent_config *config, const char *name, double fallback)
{
    const char *given = collector_flag(config, name, "");
    double seconds;
    return *given && ntp_duration(given, &seconds) == 0 ? seconds : fallback;
}

/* Go's durations of one unit: "3.46608s", "1ms". */
int ntp_duration(const char *text, double *ret_seconds)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}};
    char *end;
    double value = strtod(text, &end);
    for (size_t i = 0; end != text && i < sizeof units / sizeof *units; i++)
        if (strcmp(end, units[i].unit) == 0) {
            *ret_seconds = value * units[i].seconds;
            return 0;
        }
    return -EINVAL;
}

static void stop(void *state)
{
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct ntp_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    snprintf(state->server, sizeof state->server, "%s", collector_flag(config, "ntp.server", "127.0.0.1"));
    snprintf(state->port, sizeof state->port, "%s", collector_flag(config, "ntp.server-port", "123"));
    state->version = atoi(collector_flag(config, "ntp.protocol-version", "4"));
    state->ttl = atoi(collector_flag(config, "ntp.ip-ttl", "1"));
    state->max_distance = duration_flag(config, "ntp.max-distance", 3.46608);
    state->tolerance = duration_flag(config, "ntp.local-offset-tolerance", 1e-3);
    int port = atoi(state->port);
    bool fine = collector_flag_is_on(config, "ntp.server-is-local", false) || is_local(state->server);
    if (!fine || state->version < 2 || state->version > 4 || state->tolerance < 0 || port < 1 ||
        port > 65535) {
        stop(state);
        return -EINVAL;
    }
    *ret_state = state;
    return 0;
}

static uint64_t now(void)
{
    int64_t ns = clock_wall_ns();
    uint64_t seconds = (uint64_t)(ns / 1000000000), rest = (uint64_t)(ns % 1000000000);
    return unix_epoch + (seconds << 32) + (rest << 32) / 1000000000;
}

static int connect_to(const struct ntp_state *state, int *ret_fd)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    const struct timeval timeout = {.tv_sec = ANSWER_SECONDS};
    struct addrinfo *found;
    if (getaddrinfo(state->server, state->port, &hints, &found) != 0)
        return -EHOSTUNREACH;
    int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int err = fd < 0 ? -errno : 0;
    bool is_four = found->ai_family == AF_INET;
    if (err == 0 && state->ttl)
        setsockopt(fd, is_four ? IPPROTO_IP : IPPROTO_IPV6, is_four ? IP_TTL : IPV6_UNICAST_HOPS, &state->ttl,
                   sizeof state->ttl);
    if (err == 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    if (err == 0 && connect(fd, found->ai_addr, found->ai_addrlen) < 0)
        err = -errno;
    freeaddrinfo(found);
    if (err < 0 && fd >= 0)
        close(fd);
    if (err == 0)
        *ret_fd = fd;
    return err;
}

static int query(const struct ntp_state *state, struct ntp_answer *ret_answer)
{
    uint8_t request[NTP_PACKET_BYTES] = {(uint8_t)(state->version << 3 | CLIENT), 0, 0, 0x20}, answer[1024];
    uint64_t cookie;
    int fd = -1, err = connect_to(state, &fd);
    if (err < 0)
        return err;
    if (getrandom(request + 40, sizeof cookie, 0) != sizeof cookie)
        err = -EAGAIN;
    cookie = get64(request + 40);
    uint64_t sent = now();
    if (err == 0 && send(fd, request, sizeof request, 0) < 0)
        err = -errno;
    ssize_t n = err == 0 ? recv(fd, answer, sizeof answer, 0) : 0;
    uint64_t received = now();
    if (n < 0)
        err = -errno;
    close(fd);
    received = received < sent ? sent : received;
    return err == 0 ? ntp_parse((struct bytes){answer, (size_t)n}, cookie, sent, received, ret_answer) : err;
}

/* A clock may smear a leap second over the days around it. */
static double allowed_error(struct ntp_state *state, const struct ntp_answer *a)
{
    if (a->leap == 1 || a->leap == 2)
        state->leap_midnight = ((double)(int64_t)(a->time / seconds_a_day) + 1) * seconds_a_day;
    bool near =
        state->leap_midnight - seconds_a_day < a->time && a->time < state->leap_midnight + seconds_a_day;
    return state->tolerance + (near ? 1 : 0);
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct ntp_state *state = ctx;
    struct ntp_answer a;
    int err = query(state, &a);
    if (err < 0)
        return err;
    bool sane =
        ntp_is_valid(&a) && a.root_distance <= state->max_distance && a.min_error <= allowed_error(state, &a);
    const struct {
        const char *name, *help;
        double value;
    } rows[] = {
        {"node_ntp_stratum", "NTPD stratum.", a.stratum},
        {"node_ntp_leap", "NTPD leap second indicator, 2 bits.", a.leap},
        {"node_ntp_rtt_seconds", "RTT to NTPD.", whole_ns(a.rtt)},
        {"node_ntp_offset_seconds", "ClockOffset between NTP and local clock.", whole_ns(a.offset)},
        {"node_ntp_reference_timestamp_seconds", "NTPD ReferenceTime, UNIX timestamp.",
         positive(a.reference)},
        {"node_ntp_root_delay_seconds", "NTPD RootDelay.", whole_ns(a.root_delay)},
        {"node_ntp_root_dispersion_seconds", "NTPD RootDispersion.", whole_ns(a.root_dispersion)},
        {"node_ntp_sanity", "NTPD sanity according to RFC5905 heuristics and configured limits.", sane},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        collector_emit(sink, rows[i].name, METRIC_GAUGE, rows[i].help, rows[i].value);
    return 0;
}

static const char *const flags[] = {
    "ntp.server=", "ntp.server-port=",  "ntp.protocol-version=",       "ntp.server-is-local",
    "ntp.ip-ttl=", "ntp.max-distance=", "ntp.local-offset-tolerance=", NULL};

const struct collector collector_ntp = {.name = "ntp",
                                        .start = start,
                                        .update = update,
                                        .stop = stop,
                                        .blocks = true,
                                        .asks = true,
                                        .flags = flags};
