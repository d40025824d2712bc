#include "gateway/metrics.h"

#define X(id, name, type, scale, help, ...) {name, type, scale, help, {__VA_ARGS__}},
static const struct stats_def defs[] = {GATEWAY_METRICS(X)};
#undef X

struct stats *gateway_metrics_new(void)
{
    return stats_new(defs, GATEWAY_METRIC_COUNT);
}
