#include "node-agent/ship/ship_mix.h"

#include <errno.h>

static const struct ship_source *owner(const struct ship_mix *mix)
{
    return &mix->sources[mix->sealed];
}

/* The one whose turn it is not goes second. */
static int seal(void *ctx, struct batch **ret_batch)
{
    struct ship_mix *mix = ctx;
    int last = mix->sealed;
    for (int i = 1; i <= 2; i++) {
        int turn = (last + i) % 2;
        const struct ship_source *source = &mix->sources[turn];
        if (source->seal(source->ctx, ret_batch) == 0) {
            mix->sealed = turn;
            return 0;
        }
    }
    return -EAGAIN;
}

static void committed(void *ctx, const struct batch *batch, const struct wire_reply *reply)
{
    const struct ship_source *source = owner(ctx);
    if (source->committed)
        source->committed(source->ctx, batch, reply);
}

static void refused(void *ctx, const struct batch *batch, const char *reason)
{
    const struct ship_source *source = owner(ctx);
    if (source->refused)
        source->refused(source->ctx, batch, reason);
}

static bool resumed(void *ctx, const struct wire_resume_reply *reply, bool handed_over,
                    const struct batch *in_flight)
{
    struct ship_mix *mix = ctx;
    bool drops = false;
    for (int i = 0; i < 2; i++) {
        const struct ship_source *source = &mix->sources[i];
        bool is_owner = i == mix->sealed;
        bool says =
            source->resumed && source->resumed(source->ctx, reply, handed_over, is_owner ? in_flight : NULL);
        drops |= is_owner && says;
    }
    return drops;
}

struct ship_source ship_mix_source(struct ship_mix *mix, const struct ship_source *a,
                                   const struct ship_source *b)
{
    if (!a->seal || !b->seal)
        return a->seal ? *a : *b;
    *mix = (struct ship_mix){{*a, *b}, 1};
    return (struct ship_source){mix, seal, committed, refused, resumed};
}
