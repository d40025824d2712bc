/* cpu_info.h - what --collector.cpu.info adds to the cpu collector: /proc/cpuinfo. */
#ifndef NODE_AGENT_COLLECTORS_CPU_INFO_H
#define NODE_AGENT_COLLECTORS_CPU_INFO_H

#include "node-agent/host/collector.h"

struct cpu_info;

/* cpu_info_new: 0 with *ret_info NULL where it is not switched on; -ENOMEM, -EINVAL (an expression). */
int cpu_info_new(const struct agent_config *config, struct cpu_info **ret_info);
void cpu_info_free(struct cpu_info *info); /* NULL is fine */

/* cpu_info_update: reads and emits. 0 or a negative errno. */
int cpu_info_update(struct cpu_info *info, struct metric_sink *sink);

#endif
