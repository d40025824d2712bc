/* table.h - the record of each collector; table.c lists them. */
#ifndef NODE_AGENT_COLLECTORS_TABLE_H
#define NODE_AGENT_COLLECTORS_TABLE_H

#include "node-agent/collector.h"

extern const struct collector collector_cpu, collector_diskstats, collector_filesystem, collector_loadavg,
    collector_meminfo, collector_netdev, collector_stat, collector_time, collector_uname, collector_vmstat;

#endif
