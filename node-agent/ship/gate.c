#include "node-agent/ship/gate.h"

#include <errno.h>

static int seal(void *ctx, struct batch **ret_batch)
{
    struct gate *gate = ctx;
    return gate->is_shut ? -EAGAIN : gate->source.seal(gate->source.ctx, ret_batch);
}

static void committed(void *ctx, const struct batch *batch, const struct wire_reply *reply)
{
    struct gate *gate = ctx;
    gate->source.committed(gate->source.ctx, batch, reply);
}

static void refused(void *ctx, const struct batch *batch, const char *reason)
{
    struct gate *gate = ctx;
    gate->source.refused(gate->source.ctx, batch, reason);
}

static bool resumed(void *ctx, const struct wire_resume_reply *reply, bool handed_over,
                    const struct batch *in_flight)
{
    struct gate *gate = ctx;
    return gate->source.resumed(gate->source.ctx, reply, handed_over, in_flight);
}

struct ship_source gate_source(struct gate *gate)
{
    const struct ship_source *s = &gate->source;
    return (struct ship_source){gate, s->seal ? seal : NULL, s->committed ? committed : NULL,
                                s->refused ? refused : NULL, s->resumed ? resumed : NULL};
}
