"""What the scenarios share: kubectl, the backends beside the pods, applications, processes of our programs, their memory.

Runs inside of the node (tests/cluster/enter). The backends run beside the pods with the configurations of deploy/backends;
Services without pods lead to them.
"""

import json
import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
from lib.http_client import fetch  # noqa: E402
from lib.wait import wait_for  # noqa: E402

NODE_IP = "172.30.0.10"
SPACE = "observability"
AGENT, GATEWAY = "tributary-agent", "tributary-gateway"
settings = dict(line.split("=", 1) for line in subprocess.run(
    ["bash", "-c", f'. {HERE}/lib.sh; echo "bin=$cluster_bin"; echo "cluster=$cluster"'], capture_output=True, text=True,
    check=True).stdout.split())
BIN, CLUSTER = settings["bin"], settings["cluster"]


class KubectlError(OSError):
    """The API server said no, or nothing: waiting for a condition goes on after it."""


def kubectl(*argv, stdin=None, timeout=120):
    what = f"kubectl {' '.join(argv)}"
    try:
        result = subprocess.run([f"{BIN}/kubectl", "--kubeconfig", f"{CLUSTER}/certs/admin.conf", *argv], input=stdin,
                                capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as e:
        raise KubectlError(f"{what}: nothing within {timeout} s") from e
    if result.returncode != 0:
        raise KubectlError(f"{what}: {result.stderr}{result.stdout}")
    return result.stdout


def kubectl_apply(*argv, stdin=None):
    """Applying is repeated until it is taken: an API server that has just begun refuses now and then."""
    wait_for(lambda: [kubectl("apply", *argv, stdin=stdin)], 60, f"apply {' '.join(argv)} is taken", pause=1)


def get(what, *more):
    return json.loads(kubectl("get", what, *more, "-o", "json"))


# ---- backends, beside the pods

class Backend:
    def __init__(self, url, ready):
        self.url, self.ready = url, ready


PROMETHEUS = Backend(f"http://{NODE_IP}:9090", f"http://{NODE_IP}:9090/-/ready")
LOKI = Backend(f"http://{NODE_IP}:3100", f"http://{NODE_IP}:3100/ready")
JAEGER = Backend(f"http://{NODE_IP}:16686", f"http://{NODE_IP}:13133/status")
PORTS = {"prometheus": {"http": 9090}, "loki": {"http": 3100}, "jaeger": {"otlp-http": 4318}}
children = {}


def config_of(name, *changes):
    """The configuration as deployed, but for its places on the disk."""
    with open(os.path.join(ROOT, "deploy", "backends", name, f"{name}.yaml")) as f:
        text = f.read()
    for old, new in changes:
        assert old in text, f"{name}: {old}"
        text = text.replace(old, new)
    path = f"{CLUSTER}/config/{name}.yaml"
    with open(path, "w") as f:
        f.write(text)
    return path


def start(name, *argv):
    """Prometheus is Debian's: the one that Go builds for the other tests has no discovery by DNS."""
    peer = "/usr/bin/prometheus" if name == "prometheus" else subprocess.run(
        [f"{ROOT}/tests/peers/path", name], capture_output=True, text=True, check=True).stdout.strip()
    with open(f"{CLUSTER}/logs/{name}.log", "ab") as log:
        children[name] = subprocess.Popen([peer, *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=CLUSTER)


def stop(name):
    children[name].terminate()
    children.pop(name).wait(60)


def check_children():
    ended = [name for name, child in children.items() if child.poll() is not None]
    assert not ended, f"ended: {ended}"


def start_loki():
    start("loki", f"-config.file={config_of('loki', ('/loki', CLUSTER + '/loki'))}", "-target=all")


def start_backends():
    rules = os.path.join(ROOT, "deploy", "backends", "prometheus", "tributary-rules.yaml")
    config = config_of("prometheus", ("/etc/prometheus/tributary-rules.yaml", rules), ("scrape_interval: 30s", "scrape_interval: 5s"))
    start("prometheus", f"--config.file={config}", f"--storage.tsdb.path={CLUSTER}/prometheus", "--web.enable-remote-write-receiver")
    start_loki()
    start("jaeger", f"--config={config_of('jaeger')}")
    for backend in (PROMETHEUS, LOKI, JAEGER):
        wait_for(lambda one=backend: fetch(one.ready, timeout=5).status == 200, 120, backend.ready, give_up=check_children)


def point_services_at_backends():
    objects = []
    for name, ports in PORTS.items():
        objects.append({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "observability"},
                        "spec": {"ports": [{"name": n, "port": p} for n, p in ports.items()]}})
        objects.append({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                        "metadata": {"name": name, "namespace": "observability", "labels": {"kubernetes.io/service-name": name}},
                        "endpoints": [{"addresses": [NODE_IP], "conditions": {"ready": True}}],
                        "ports": [{"name": n, "port": p, "protocol": "TCP"} for n, p in ports.items()]})
    apply(*objects)


# ---- what is deployed

def deploy():
    """Both bases as they are, the agents with the overlay that also gives them Alloy's name. Returns the pods' names."""
    kubectl_apply("-k", f"{ROOT}/deploy/namespace")
    point_services_at_backends()
    began = time.monotonic()
    kubectl_apply("-k", f"{ROOT}/deploy/gateway")
    kubectl_apply("-k", f"{ROOT}/deploy/daemonset/overlays/replace-alloy")
    pods = wait_gateways(2) + wait_agents()
    print(f"ready after {time.monotonic() - began:.1f} s: {pods}")
    return pods


def wait_ready(namespace, selector, count, timeout=60):
    def ready():
        pods = get("pods", "-n", namespace, "-l", selector)["items"]
        return [p["metadata"]["name"] for p in pods if "deletionTimestamp" not in p["metadata"]
                and p.get("status", {}).get("phase") == "Running" and any(c["type"] == "Ready" and c["status"] == "True" for c in p.get("status", {}).get("conditions", []))]
    return wait_for(ready, timeout, f"{count} pods {selector} ready", until=lambda names: len(names) == count)


def wait_gateways(count, timeout=60):
    return wait_ready(SPACE, f"app.kubernetes.io/name={GATEWAY}", count, timeout)


def wait_agents(timeout=60):
    return wait_ready(SPACE, f"app.kubernetes.io/name={AGENT}", 1, timeout)


def roll_out(what):
    began = time.monotonic()
    wait_for(lambda: kubectl("-n", SPACE, "rollout", "restart", what), 60, f"restart of {what} is taken", pause=1)
    kubectl("-n", SPACE, "rollout", "status", what, "--timeout=300s", timeout=320)
    print(f"rollout restart of {what}: {time.monotonic() - began:.0f} s")


# ---- applications

def make_namespace(name):
    """With the account that every pod in it gets."""
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    wait_for(lambda: get("serviceaccounts", "-n", name)["items"], 60, f"the account of {name}")


def pod(name, image, argv, namespace="shop", restart="Never", **spec):
    """A pod of one container that is killed a second after it was told to end."""
    container = {"name": "app", "image": f"docker.io/tests/{image}:1", "args": [str(a) for a in argv]}
    for key in ("env", "volumeMounts", "resources"):
        if key in spec:
            container[key] = spec.pop(key)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace},
            "spec": {"restartPolicy": restart, "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False,
                     "containers": [container], **spec}}


def apply(*objects):
    kubectl_apply("-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


# ---- processes and their memory

def processes(program):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as f:
                if f.read().strip() == program[:15]:
                    yield int(pid)
        except OSError:
            continue


def cgroup_file(pid, name, controller="memory"):
    """A file of the process's cgroup: version 1 has a tree for each controller, version 2 one for all. A process that is over
    is in the machine's own."""
    with open(f"/proc/{pid}/cgroup") as f:
        for line in f:
            _, controllers, path = line.strip().split(":", 2)
            if "kubepods" not in path:
                continue
            if controller in controllers.split(","):
                return f"/sys/fs/cgroup/{controller}{path}/{name}"
            if controllers == "" and os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
                return f"/sys/fs/cgroup{path}/{name}"
    raise OSError(f"no cgroup of {pid} with {controller}")


def memory_of(pid):
    """(anonymous, kernel) bytes of the container that the process is in."""
    with open(cgroup_file(pid, "memory.stat")) as f:
        stat = dict(line.split() for line in f)
    if "anon" in stat:
        return int(stat["anon"]), int(stat.get("kernel", stat.get("slab", 0)))
    with open(cgroup_file(pid, "memory.kmem.usage_in_bytes")) as f:
        return int(stat["rss"]), int(f.read())


class MemoryWatch(threading.Thread):
    """Looks at the containers of both programs five times a second and keeps the most that each used at a time."""

    LIMITS = {AGENT: 12 << 20, GATEWAY: 32 << 20}

    def __init__(self):
        super().__init__(daemon=True)
        self.most, self.looks, self.is_over = {}, 0, threading.Event()

    def run(self):
        while not self.is_over.wait(0.2):
            for program in self.LIMITS:
                for pid in processes(program):
                    try:
                        found = memory_of(pid)
                    except (OSError, ValueError):
                        continue  # it has just ended
                    self.most[program] = max(self.most.get(program, (0, 0)), found, key=sum)
            self.looks += 1

    def tell(self, label):
        for program, (anonymous, kernel) in self.most.items():
            limit = self.LIMITS[program]
            word = "under" if anonymous + kernel < limit else "OVER"
            print(f"{label}: {program} at most {(anonymous + kernel) / 2**20:.1f} MiB "
                  f"({anonymous / 2**20:.1f} anonymous, {kernel / 2**20:.1f} kernel), {word} {limit >> 20} MiB")

    def end(self):
        self.is_over.set()
        self.join(5)


def restarts():
    """{pod: restarts of its containers} of both programs."""
    return {p["metadata"]["name"]: sum(c["restartCount"] for c in p["status"].get("containerStatuses", []))
            for p in get("pods", "-n", SPACE)["items"]}


def evicted():
    return [p["metadata"]["name"] for p in get("pods", "-A")["items"] if p.get("status", {}).get("reason") == "Evicted"]


def tell_state():
    """What the cluster says of its pods, and its warnings: what a failure is read by."""
    for argv in (["get", "pods", "-A", "-o", "wide"], ["get", "events", "-A", "--field-selector", "type=Warning"]):
        try:
            print("\n".join(kubectl(*argv, timeout=20).splitlines()[-20:]))
        except OSError as e:
            print(f"the cluster does not tell: {e}")
