"""Interfaces, disks and mounts in the metrics are the node's own, not the pod's."""

import re

from cluster import PROMETHEUS
from lib import query
from lib.wait import wait_for

OF_PODS = re.compile("^(veth|cali|flannel|cni).*$")
LEFT_OUT = re.compile(r"^/(dev|proc|run/credentials/.+|sys|run/k3s/.+|run/containerd/.+|var/lib/docker/.+|var/lib/containers/storage/.+"
                      r"|var/lib/kubelet/.+)($|/)")
IGNORED_DISKS = re.compile(r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$")
VIRTUAL = set("autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs fusectl hugetlbfs iso9660 mqueue nsfs overlay proc "
              "procfs pstore rpc_pipefs securityfs selinuxfs squashfs sysfs tracefs tmpfs".split())


def labels(expression, name):
    return {r["metric"][name] for r in query.prom_query(PROMETHEUS, expression)}


def interfaces():
    with open("/proc/1/net/dev") as f:
        return {line.split(":")[0].strip() for line in f if ":" in line}


def disks():
    with open("/proc/diskstats") as stats:
        return {line.split()[2] for line in stats}


def mounts():
    with open("/proc/1/mounts") as f:
        fields = [line.split()[:3] for line in f]
    return {point.replace("\\040", " ") for _, point, kind in fields if kind not in VIRTUAL and not LEFT_OUT.match(point)}


# The agent looks every 60 s: each comparison waits for a second look, and for what came or went on the machine meanwhile.
TWO_LOOKS = 150


def check_interfaces():
    found, _ = wait_for(lambda: (labels("node_network_receive_bytes_total", "device"), {n for n in interfaces() if not OF_PODS.match(n)}),
                        TWO_LOOKS, "the interfaces of /proc/1/net/dev", until=lambda both: both[0] == both[1], pause=1)
    print(f"interfaces: {sorted(found)}, as in /proc/1/net/dev")


def check_disks():
    found, _ = wait_for(lambda: (labels("node_disk_read_bytes_total", "device"), {n for n in disks() if not IGNORED_DISKS.match(n)}),
                        TWO_LOOKS, "the disks of /proc/diskstats", until=lambda both: both[0] == both[1], pause=1)
    print(f"disks: {sorted(found)}, as in /proc/diskstats")


def check_mounts():
    """Nothing of the agent's own mounts, nothing of pods, no /host/root before a path; all of the node's."""
    def look():
        return labels("node_filesystem_size_bytes", "mountpoint"), mounts(), tmpfs_mounts()

    found, wanted, _ = wait_for(look, TWO_LOOKS, "the node's mounts", until=lambda three: three[1] <= three[0] <= three[1] | three[2], pause=1)
    assert found and not any(p.startswith(("/host", "/var/lib/kubelet/")) for p in found), sorted(found)
    print(f"mounts: {len(found)}, all of the node's {len(wanted)} on disks among them: {sorted(found)[:5]}")


def tmpfs_mounts():
    with open("/proc/1/mounts") as f:
        return {line.split()[1] for line in f if line.split()[2] == "tmpfs"}


def run():
    check_interfaces()
    check_disks()
    check_mounts()
