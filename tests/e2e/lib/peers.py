"""Real backends, each on ports of its own, its data in a folder that survives restarts.

    prometheus = Prometheus().start()             # Debian's 2.42; Prometheus(version=3) is 3.16
    loki = Loki().start()                         # default limits; Loki(limits={"reject_old_samples": False}) for old fixtures
    jaeger = Jaeger().start()                     # OTLP over HTTP and gRPC, storage in memory (lost with the process)
    loki.kill(); loki.start(); loki.stop()

start() returns when the backend is ready. Where to send: prometheus.write_url, loki.push_url, jaeger.otlp_url (all whole URLs),
jaeger.otlp_grpc (host:port). `url` is the base for queries (module query). `process` is the child (module process).

    send_trace_by_sdk(url, "shop", spans=3) -> {"trace_id": hex, "spans": [names]}    sent by the OpenTelemetry JavaScript SDK
"""

import json
import os
import shutil
import subprocess

from .http_client import fetch
from .process import Process, fail_missing, free_port, workdir
from .wait import wait_for

_peers = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "peers")


def built(name):
    """The path of a built peer of tests/peers; ends the test when it is not built."""
    result = subprocess.run([os.path.join(_peers, "path"), name], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        fail_missing(f"peer {name} is not built; run tests/peers/build {name}")
    return result.stdout.strip()


def send_trace_by_sdk(url, service, spans=3, timeout=60):
    """One trace over OTLP/HTTP with protobuf; returns when the SDK has its answer, AssertionError when it was not taken.
    A test that calls it needs: js node."""
    argv = ["node", os.path.join(_peers, "js", "send-trace.js"), url, service, str(spans)]
    env = {**os.environ, "NODE_PATH": os.path.join(built("js"), "node_modules")}
    result = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=timeout, check=False)
    assert result.returncode == 0 and not result.stderr, f"send-trace.js exit {result.returncode}: {result.stderr}"
    return json.loads(result.stdout)


class _Backend:
    ready_path = "/-/ready"
    ready_timeout = 60

    def start(self, wait=True):
        self.process.start()
        return self.wait_ready() if wait else self

    def wait_ready(self):
        wait_for(lambda: fetch(self.ready_url, timeout=5).status == 200, self.ready_timeout, f"{self.process.name} ready",
                 give_up=self.process.check_running)
        return self

    def stop(self, timeout=60):
        """SIGTERM, as an orderly shutdown."""
        return self.process.stop(timeout)

    def kill(self):
        self.process.kill()

    def restart(self):
        self.stop()
        return self.start()

    @property
    def ready_url(self):
        return self.url + self.ready_path


class Prometheus(_Backend):
    """With the remote-write receiver on and all else at its default (no out-of-order window unless given, for example "2h")."""

    def __init__(self, version=2, name=None, out_of_order="", flags=()):
        name = name or f"prometheus{version}"
        folder = workdir(name)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.write_url = self.url + "/api/v1/write"
        self.otlp_url = self.url + "/api/v1/otlp/v1/metrics"  # with flags=("--web.enable-otlp-receiver",)
        program = built("prometheus3") if version == 3 else shutil.which("prometheus")
        if not program:
            fail_missing("Debian's package prometheus")
        config = os.path.join(folder, "prometheus.yml")
        with open(config, "w") as f:
            f.write("global:\n  scrape_interval: 15s\n")
            if out_of_order:
                f.write(f"storage:\n  tsdb:\n    out_of_order_time_window: {out_of_order}\n")
        self.process = Process(name, [
            program, f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}", "--web.enable-remote-write-receiver", *flags], folder)


_LOKI = """\
auth_enabled: false
analytics: {{reporting_enabled: false}}
server:
  http_listen_address: 127.0.0.1
  http_listen_port: {http}
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: {grpc}
  log_level: warn
common:
  instance_addr: 127.0.0.1
  path_prefix: {folder}/data
  replication_factor: 1
  ring: {{kvstore: {{store: inmemory}}, instance_addr: 127.0.0.1}}
  storage:
    filesystem: {{chunks_directory: {folder}/data/chunks, rules_directory: {folder}/data/rules}}
schema_config:
  configs:
    - {{from: "2020-01-01", store: tsdb, object_store: filesystem, schema: v13, index: {{prefix: index_, period: 24h}}}}
ingester:
  lifecycler: {{min_ready_duration: 0s, final_sleep: 0s}}
{limits}"""


class Loki(_Backend):
    """Single binary, one replica, file system storage, limits at their defaults unless `limits` names some."""

    ready_path = "/ready"
    ready_timeout = 120

    def __init__(self, name="loki", limits=None):
        folder = workdir(name)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.push_url = self.url + "/loki/api/v1/push"
        self.otlp_url = self.url + "/otlp/v1/logs"
        config = os.path.join(folder, "loki.yaml")
        with open(config, "w") as f:
            f.write(_LOKI.format(http=self.port, grpc=free_port(), folder=folder, limits=_limits(limits)))
        self.process = Process(name, [built("loki"), f"-config.file={config}"], folder)


def _limits(limits):
    if not limits:
        return ""
    lines = [f"  {key}: {str(value).lower() if isinstance(value, bool) else value}" for key, value in limits.items()]
    return "limits_config:\n" + "\n".join(lines) + "\n"


_JAEGER = """\
service:
  extensions: [jaeger_storage, jaeger_query, healthcheckv2]
  pipelines:
    traces: {{receivers: [otlp], processors: [], exporters: [jaeger_storage_exporter]}}
  telemetry:
    metrics: {{level: none}}
    logs: {{level: warn}}
extensions:
  healthcheckv2: {{use_v2: true, http: {{endpoint: "127.0.0.1:{health}"}}}}
  jaeger_query:
    storage: {{traces: memory}}
    http: {{endpoint: "127.0.0.1:{query}"}}
    grpc: {{endpoint: "127.0.0.1:{query_grpc}"}}
  jaeger_storage:
    backends: {{memory: {{memory: {{max_traces: 1000000}}}}}}
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc}"{tls}}}
      http: {{endpoint: "127.0.0.1:{http}"}}
exporters:
  jaeger_storage_exporter: {{trace_storage: memory}}
"""


class Jaeger(_Backend):
    """Jaeger's v2 program with storage in memory; ready when its health page says that every part is up.
    grpc_tls: (certificate, key) of the gRPC receiver."""

    def __init__(self, name="jaeger", grpc_tls=None):
        folder = workdir(name)
        ports = {key: free_port() for key in ("health", "query", "query_grpc", "grpc", "http")}
        self.port = ports["http"]
        self.url = f"http://127.0.0.1:{ports['query']}"
        self.otlp_url = f"http://127.0.0.1:{ports['http']}/v1/traces"
        self.otlp_grpc = f"127.0.0.1:{ports['grpc']}"
        self._health = f"http://127.0.0.1:{ports['health']}/status"
        config = os.path.join(folder, "jaeger.yaml")
        with open(config, "w") as f:
            tls = ", tls: {cert_file: %s, key_file: %s}" % grpc_tls if grpc_tls else ""
            f.write(_JAEGER.format(tls=tls, **ports))
        self.process = Process(name, [built("jaeger"), f"--config={config}"], folder)

    @property
    def ready_url(self):
        return self._health
