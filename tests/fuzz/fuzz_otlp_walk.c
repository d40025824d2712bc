/* The OTLP walker: whatever it accepts, adding attributes keeps what it counts and undoes nothing else. The
 * depth check refuses nothing short. */
#include <stdlib.h>

#include "base/otlp/otlp_depth.h"
#include "base/otlp/otlp_walk.h"
#include "base/pb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_copy(struct bytes request, enum telemetry signal, const struct otlp_count *count)
{
    struct buf attributes, out;
    struct otlp_count copied;
    buf_init(&attributes, 1000);
    buf_init(&out, request.len * 16 + 1000);
    if (otlp_put_attribute(&attributes, "cluster", "fuzz") < 0)
        abort();
    if (otlp_add_resource_attributes(request, buf_bytes(&attributes), &out) < 0)
        abort();
    if (otlp_walk(buf_bytes(&out), signal, &copied) < 0)
        abort();
    if (copied.records != count->records || copied.earliest_ns != count->earliest_ns ||
        copied.latest_ns != count->latest_ns)
        abort();
    buf_fini(&attributes);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes request = {data, size};
    struct otlp_count count;
    for (int signal = 0; signal < TELEMETRY_COUNT; signal++) {
        int depth = otlp_depth_check(request, (enum telemetry)signal);
        if (otlp_walk(request, (enum telemetry)signal, &count) == 0)
            check_copy(request, (enum telemetry)signal, &count);
        if (depth < 0 && size < 100) /* too short for the limit, and a wrong field is found by others */
            if (otlp_walk(request, (enum telemetry)signal, &count) == 0)
                abort();
    }
    struct buf out;
    buf_init(&out, size / 2 + 10); /* may be too small: then nothing is left in it */
    if (otlp_add_resource_attributes(request, bytes_of_string("\x0a\x02\x0a\x00"), &out) < 0 && out.len)
        abort();
    buf_fini(&out);
    return 0;
}
