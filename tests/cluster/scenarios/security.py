"""User, capabilities, seccomp and writable mounts of the running containers are what the manifests justify."""

from cluster import AGENT, GATEWAY, processes

STATUS = ("Uid", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")


def status_of(pid):
    with open(f"/proc/{pid}/status") as f:
        fields = dict(line.split(":", 1) for line in f if ":" in line)
    return {name: fields[name].split()[0] for name in STATUS}


# Made by the runtime and the kubelet for every pod: its hosts file, a tmpfs with the container's cgroups (read-only) in it.
RUNTIME = {"/etc/hosts", "/dev/termination-log", "/sys/fs/cgroup"}


def writable_mounts(pid):
    """Where it could write; without the kernel's own file systems and what the runtime lays over parts of /proc and /dev."""
    kinds = {"proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2"}
    found = set()
    with open(f"/proc/{pid}/mountinfo") as f:
        for line in f:
            before, after = line.split(" - ")
            fields, kind = before.split(), after.split()[0]
            if "rw" in fields[5].split(",") and kind not in kinds and not fields[4].startswith(("/dev", "/proc/")):
                found.add(fields[4])
    return found - RUNTIME


def run():
    allowed = {
        AGENT: ("0", {"/var/lib/tributary-agent"}),
        GATEWAY: ("65532", {"/var/lib/tributary-gateway"}),
    }
    for program, (uid, mounts) in allowed.items():
        pids = list(processes(program))
        assert pids, program
        for pid in pids:
            status = status_of(pid)
            assert status["Uid"] == uid and status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", (program, status)
            assert all(int(status[c], 16) == 0 for c in ("CapPrm", "CapEff", "CapBnd", "CapAmb")), (program, status)
            # What the host has mounted below /, /proc, /sys and /var/log keeps its own mode: a read-only mount is not recursive
            # together with HostToContainer. The manifest says so.
            extra = {m for m in writable_mounts(pid) - mounts if not m.startswith(("/host/", "/var/log/"))}
            assert not extra, f"{program} can write to {extra}"
        print(f"{program}: uid {uid}, no capability, seccomp, {len(pids)} running")
