/* table.h - the record of each collector; table.c lists them. */
#ifndef NODE_AGENT_COLLECTORS_TABLE_H
#define NODE_AGENT_COLLECTORS_TABLE_H

#include "node-agent/collector.h"

extern const struct collector collector_conntrack, collector_cpu, collector_diskstats, collector_entropy,
    collector_filefd, collector_filesystem, collector_kernel_hung, collector_loadavg, collector_meminfo,
    collector_netdev, collector_netstat, collector_pressure, collector_schedstat, collector_selinux,
    collector_sockstat, collector_softnet, collector_stat, collector_time, collector_timex,
    collector_udp_queues, collector_uname, collector_vmstat;

#endif
