/* ship_assignment.c - asks the gateway for the node's targets when a reply names another version of them. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "node-agent/ship/ship_inside.h"

void ship_ask_assignment(struct ship *ship)
{
    struct assignment_request request = {.version = ship->assignment.version};
    struct link *link = ship_link(ship);
    struct buf frame;
    if (!ship->assignment.fn || !ship->assignment.is_wanted || !link ||
        !link_can_take(link, SHIP_ASSIGNMENT_CHANNEL))
        return;
    snprintf(request.origin, sizeof request.origin, "%s", ship->origin);
    snprintf(request.node, sizeof request.node, "%s", ship->config->node);
    buf_init(&frame, LINK_MAX_REPLY_BYTES);
    if (assignment_encode_request(&request, &frame) == 0 &&
        link_request(link, SHIP_ASSIGNMENT_CHANNEL, buf_bytes(&frame), (struct bytes){0}) == 0) {
        ship->assignment.is_wanted = false;
        ship->assignment.is_asking = true;
        ship->assignment.asked_ns = clock_mono_ns();
    }
    buf_fini(&frame);
}

void ship_saw_assignment(struct ship *ship, uint64_t version, bool after_resume)
{
    bool is_new = version && version != ship->assignment.version;
    if (is_new && (after_resume || version != ship->assignment.asked_for)) {
        ship->assignment.asked_for = version;
        ship->assignment.is_wanted = true;
        ship_ask_assignment(ship);
    }
}

void ship_take_assignment(struct ship *ship, struct bytes frame)
{
    struct assignment assignment;
    ship->assignment.is_asking = false;
    int err = assignment_decode(frame, &assignment);
    if (err < 0) {
        log_warn("ship: the assignment cannot be read", "error=%d", err);
        return;
    }
    if (assignment.answer == WIRE_COMMITTED && !assignment.unchanged && assignment.version) {
        ship->assignment.version = assignment.version;
        ship->assignment.fn(ship->assignment.ctx, &assignment);
    }
    assignment_fini(&assignment);
}
