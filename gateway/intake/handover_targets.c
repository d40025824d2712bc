#include "gateway/intake/handover_targets.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rendezvous.h"
#include "gateway/intake/own_address.h"

enum { RECONNECT_MIN_MS = 100, RECONNECT_MAX_MS = 2000 };
#define CONNECT_NS                                                                                           \
    INT64_C(2000000000) /* before another than the first choice is taken because that one is not up */

void handover_targets_init(struct handover_targets *targets, struct loop *loop,
                           const struct gateway_config *config, const struct receive *receive,
                           struct link_events events)
{
    *targets = (struct handover_targets){
        .loop = loop, .config = config, .receive = receive, .events = events, .started_ns = clock_mono_ns()};
}

void handover_targets_fini(struct handover_targets *targets)
{
    for (size_t i = 0; i < targets->count; i++)
        link_close(targets->items[i].link);
    targets->count = 0;
}

static void open_target(struct handover_targets *targets, const struct peer *peer)
{
    const struct tls_files files = {targets->config->agents.tls.ca_file,
                                    targets->config->agents.tls.cert_file,
                                    targets->config->agents.tls.key_file};
    struct link_options options = {.url = peer->url,
                                   .tls = &files,
                                   .server_name = peer->host,
                                   .reconnect_min_ms = RECONNECT_MIN_MS,
                                   .reconnect_max_ms = RECONNECT_MAX_MS};
    struct handover_target *target = &targets->items[targets->count];
    char words[512];
    struct buf errors;
    buf_init(&errors, 1024);
    target->peer = *peer;
    if (link_open(&targets->loop->mailbox, &options, targets->events, &target->link, &errors) < 0) {
        buf_append(&errors, "", 1);
        log_error("hand-over: no connection is possible", "gateway=%s error=%s", peer->url,
                  log_quote(errors.len ? (char *)errors.ptr : "", words, sizeof words));
    }
    targets->count++; /* also when it failed, so that it is tried once */
    buf_fini(&errors);
}

void handover_targets_look(struct handover_targets *targets, const struct peers *peers)
{
    struct peer *list = calloc(PEERS_MAX, sizeof *list);
    size_t count = list ? peers_get(peers, targets->config->name, list, PEERS_MAX) : 0;
    for (size_t i = 0; i < count; i++) {
        size_t known = 0;
        while (known < targets->count && strcmp(targets->items[known].peer.url, list[i].url) != 0)
            known++;
        if (known == targets->count && known < PEERS_MAX &&
            !own_address_is(targets->config, targets->receive, &list[i]))
            open_target(targets, &list[i]);
    }
    free(list);
}

struct handover_target *handover_targets_choose(struct handover_targets *targets, const char *origin)
{
    char home[BATCH_MAX_ORIGIN + 1]; /* a bulk origin's agent goes where it goes with all of its batches */
    batch_home(origin, home);
    struct handover_target *best = NULL;
    uint64_t best_weight = 0;
    int64_t now = clock_mono_ns();
    for (size_t i = 0; i < targets->count; i++) {
        struct handover_target *target = &targets->items[i];
        uint64_t weight = rendezvous_weight(home, strstr(target->peer.url, "://") + 3);
        bool is_usable = target->link && target->avoid_until_ns <= now &&
                         (link_is_up(target->link) || now - targets->started_ns < CONNECT_NS);
        if (is_usable && (!best || weight > best_weight)) {
            best = target;
            best_weight = weight;
        }
    }
    return best && link_is_up(best->link) ? best : NULL;
}
