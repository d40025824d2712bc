/* The OTLP JSON decoder: what it takes is protobuf that the walker takes, too. */
#include <stdlib.h>

#include "base/otlp/otlp_depth.h"
#include "base/otlp/otlp_json.h"
#include "base/otlp/otlp_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int signal = 0; signal < TELEMETRY_COUNT; signal++) {
        struct otlp_count count;
        struct buf out;
        buf_init(&out, 64 * 1024);
        if (otlp_json_transcode((struct bytes){data, size}, (enum telemetry)signal, &out) == 0) {
            if (otlp_walk(buf_bytes(&out), (enum telemetry)signal, &count) < 0)
                abort();
            if (otlp_depth_check(buf_bytes(&out), (enum telemetry)signal) < 0 && size < 400)
                abort();
        }
        buf_fini(&out);
    }
    return 0;
}
