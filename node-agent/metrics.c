#include "node-agent/metrics.h"

#define X(id, name, type, scale, help, ...) {name, type, scale, help, {__VA_ARGS__}},
static const struct stats_def defs[] = {AGENT_METRICS(X)};
#undef X

struct stats *agent_metrics_new(void)
{
    return stats_new(defs, AGENT_METRIC_COUNT);
}
