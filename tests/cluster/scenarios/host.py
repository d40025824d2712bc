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


def check_interfaces():
    wanted = {name for name in interfaces() if not OF_PODS.match(name)}
    found = wait_for(lambda: labels("node_network_receive_bytes_total", "device"), 60, f"interfaces {sorted(wanted)}",
                     until=lambda found: found == wanted)
    print(f"interfaces: {sorted(found)}, as in /proc/1/net/dev")


def check_disks():
    wanted = {name for name in disks() if not IGNORED_DISKS.match(name)}
    found = labels("node_disk_read_bytes_total", "device")
    assert found == wanted, f"{sorted(found)} instead of {sorted(wanted)}"
    print(f"disks: {sorted(found)}, as in /proc/diskstats")


def check_mounts():
    """Nothing of the agent's own mounts, nothing of pods, no /host/root before a path; all of the node's."""
    found, wanted = labels("node_filesystem_size_bytes", "mountpoint"), mounts()
    assert found and not any(p.startswith(("/host", "/var/lib/kubelet/")) for p in found), sorted(found)
    assert found <= wanted | tmpfs_mounts(), f"{sorted(found - wanted)} are no mounts of the node"
    assert wanted <= found, f"{sorted(wanted - found)} are missing"
    print(f"mounts: {len(found)}, all of the node's {len(wanted)} on disks among them: {sorted(found)[:5]}")


def tmpfs_mounts():
    with open("/proc/1/mounts") as f:
        return {line.split()[1] for line in f if line.split()[2] == "tmpfs"}


def run():
    check_interfaces()
    check_disks()
    check_mounts()
