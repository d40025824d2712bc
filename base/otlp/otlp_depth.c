#include "base/otlp/otlp_depth.h"

#include <errno.h>

#include "base/otlp/otlp_schema.h"
#include "base/pb.h"

struct level {
    struct bytes rest;
    enum otlp_message message;
};

/* Each level takes a tag and a length of its own: in fewer bytes the limit cannot be reached. */
static bool can_reach_limit(size_t depth, size_t len)
{
    return len >= 2 * (OTLP_DEPTH - depth);
}

int otlp_depth_check(struct bytes request, enum telemetry signal)
{
    struct level levels[OTLP_DEPTH];
    size_t depth = 1;
    levels[0] = (struct level){request, otlp_schema_request(signal)};
    while (depth) {
        struct level *level = &levels[depth - 1];
        struct pb_field field;
        int more = pb_next(&level->rest, &field);
        if (more < 0)
            return more;
        if (more == 0) {
            depth--;
            continue;
        }
        if (field.type != PB_LEN || !can_reach_limit(depth, field.bytes.len))
            continue;
        const struct otlp_field *known = otlp_schema_numbered(level->message, field.number);
        if (!known || known->type != OTLP_MESSAGE)
            continue;
        if (depth == OTLP_DEPTH)
            return -EBADMSG;
        levels[depth++] = (struct level){field.bytes, (enum otlp_message)known->message};
    }
    return 0;
}
