# lib.sh - where the cluster of the tests keeps what, and what it is called. Sourced, not run.
#
#   cluster_bin    the programs, built once per machine: ${TRIBUTARY_CACHE:-~/.cache/tributary}/cluster/HASH/bin
#   cluster        all state of the running one: ${TRIBUTARY_CLUSTER:-/tmp/tributary-cluster}; not below /var or /run,
#                  which are others inside of it
cluster_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cluster_root=$(cd "$cluster_here/../.." && pwd)
cluster_hash=$(cat "$cluster_here"/modules/*/{go.mod,go.sum} "$cluster_here"/modules/*/*.go "$cluster_here/pause.c" | sha256sum | cut -c1-12)
cluster_cache=${TRIBUTARY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tributary}/cluster
cluster_bin=$cluster_cache/$cluster_hash/bin
cluster=${TRIBUTARY_CLUSTER:-/tmp/tributary-cluster}
cluster_packages="containerd runc containernetworking-plugins iproute2 iptables conntrack openssl python3-yaml"

kubernetes_programs="kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl"
kubernetes_version=v1.35.4
all_programs="$kubernetes_programs etcd coredns pause"

node_name=node1
node_ip=172.30.0.10      # of the node, on a device of its own inside the node's network
api_ip=10.96.0.1         # of the Service "kubernetes"
dns_ip=10.96.0.10        # of the cluster's DNS
pod_network=10.244.0.0/24
service_network=10.96.0.0/16

# cluster_missing: prints what keeps the cluster from running here, one reason a line; nothing when it can.
cluster_missing() {
    [ "$(id -u)" = 0 ] || echo "root"
    grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || echo "overlayfs in the kernel"
    local program
    for program in $all_programs; do
        [ -x "$cluster_bin/$program" ] && continue
        command -v go >/dev/null || echo "Go (to build $program)"
        break
    done
}

# cluster_is_built: 0 when every program is there.
cluster_is_built() {
    local program
    for program in $all_programs; do
        [ -x "$cluster_bin/$program" ] || return 1
    done
}

# cluster_lock: this process and its children have the cluster of this machine to themselves, after waiting for another's end.
# The node holds on to it, so it is free again when nothing is left running: kubelets remove each other's pods.
cluster_lock() {
    [ -z "${CLUSTER_LOCKED:-}" ] || return 0
    exec 9>"$cluster.lock"
    flock -n 9 || { echo "waiting until another cluster on this machine is down"; flock -w 400 9; } ||
        { echo "another cluster is up on this machine (tests/cluster/down of its checkout ends it)" >&2; return 1; }
    export CLUSTER_LOCKED=yes
}

# node_pid: prints the pid, as the host counts, of the node's first process; fails when the cluster is not up.
node_pid() {
    local pid
    pid=$(cat "$cluster/node.pid" 2>/dev/null) && grep -qs "$cluster_here/node" "/proc/$pid/cmdline" && echo "$pid"
}
