/* table.h - the record of each collector; table.c lists them. */
#ifndef NODE_AGENT_COLLECTORS_TABLE_H
#define NODE_AGENT_COLLECTORS_TABLE_H

#include "node-agent/host/collector.h"

extern const struct collector collector_arp, collector_bcache, collector_bcachefs, collector_bonding,
    collector_btrfs, collector_buddyinfo, collector_cgroups, collector_conntrack, collector_cpu,
    collector_cpu_vulnerabilities, collector_cpufreq, collector_diskstats, collector_dmi,
    collector_dmmultipath, collector_drbd, collector_edac, collector_entropy, collector_ethtool,
    collector_fibrechannel, collector_filefd, collector_filesystem, collector_hwmon, collector_infiniband,
    collector_interrupts, collector_ipvs, collector_kernel_hung, collector_ksmd, collector_lnstat,
    collector_loadavg, collector_logind, collector_mdadm, collector_meminfo, collector_meminfo_numa,
    collector_mountstats, collector_netclass, collector_netdev, collector_netstat, collector_network_route,
    collector_nfs, collector_nfsd, collector_ntp, collector_nvme, collector_os, collector_pcidevice,
    collector_powersupplyclass, collector_pressure, collector_processes, collector_qdisc, collector_rapl,
    collector_schedstat, collector_selinux, collector_slabinfo, collector_sockstat, collector_softirqs,
    collector_softnet, collector_stat, collector_swap, collector_sysctl, collector_systemd,
    collector_tapestats, collector_tcpstat, collector_textfile, collector_thermal_zone, collector_time,
    collector_timex, collector_udp_queues, collector_uname, collector_vmstat, collector_watchdog,
    collector_wifi, collector_xfrm, collector_xfs, collector_zfs, collector_zoneinfo, collector_drm,
    collector_nvmesubsystem, collector_perf, collector_runit, collector_supervisord;

#endif
