"""tributary-agent and tributary-gateway, from the build folder $TRIBUTARY_BUILD (else build/dev of this clone).

    gateway = Gateway({"logs": {"backends": [{"name": "loki", "url": proxy.url}]}}).start()
    agent = Agent([gateway], {"labels": {"cluster": "test"}}, name="agent-a").start()
    log = PodLog(agent.log_root, ...);  fetch(agent.otlp_url, ...)
    agent.kill(); agent.start(); agent.reload(); gateway.stop()
    gateway.metric("tributary_gateway_...", signal="logs")     # sum over the series that have these labels
    gateway.rss_kb(), gateway.log_text(), gateway.process

The config is a dict of dicts, lists and scalars, written as YAML to FOLDER/NAME.yaml. What it does not name is filled in so that
any number of programs can run beside each other: ports of their own on loopback, folders under the test's, and for an agent
`node_name` (its name here), the gateways' addresses, and host metrics off unless asked for. configure(dict) writes it anew.
start() returns when /-/ready answers 200. stop() is SIGTERM and must end with exit status 0. A sanitizer's report ends the
program with a status of its own and fails stop(); after a kill use check_clean(), which reads the log for reports.
"""

import json
import os
import signal

from . import query
from .http_client import fetch
from .process import Process, fail_missing, free_port, workdir
from .wait import wait_for

_root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
_reports = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:")


def build_folder():
    return os.environ.get("TRIBUTARY_BUILD") or os.path.abspath(os.path.join(_root, "build", "dev"))


def program_path(name):
    """A program of the build folder; ends the test when it is not built."""
    path = os.path.join(build_folder(), name)
    if not os.access(path, os.X_OK):
        fail_missing(f"{path} is not built")
    return path


def is_sanitized():
    """Whether the programs under test run with sanitizers (time limits are longer then, memory limits do not apply)."""
    return os.path.basename(build_folder()) in ("asan", "tsan")


def yaml(value, indent=0):
    """Dicts, lists, strings, numbers, booleans and None as YAML text; strings are quoted, so nothing in them is read as YAML."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        return "".join(f"{pad}{k}:{_inline_or_block(v, indent + 1)}" for k, v in value.items())
    if isinstance(value, (list, tuple)) and value:
        return "".join(f"{pad}- {yaml(v, indent + 1).lstrip() if _is_block(v) else _scalar(v) + chr(10)}" for v in value)
    return pad + _scalar(value) + "\n"


def _is_block(value):
    return isinstance(value, (dict, list, tuple)) and len(value) > 0


def _inline_or_block(value, indent):
    return "\n" + yaml(value, indent) if _is_block(value) else " " + _scalar(value) + "\n"


def _scalar(value):
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, str) else str(value)


def merge(defaults, config):
    """A copy of `defaults` with what `config` names instead, section by section."""
    merged = dict(defaults)
    for key, given in config.items():
        both = isinstance(given, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], given) if both else given
    return merged


class _Program:
    def __init__(self, config, name, env=None):
        self.name = name
        self.folder = workdir(name)
        self.config_path = os.path.join(self.folder, name + ".yaml")
        self._defaults["web"] = {"listen": f"127.0.0.1:{free_port()}"}
        self.configure(config)
        self.process = Process(name, [program_path(self.program), "run", self.config_path], self.folder,
                               {**_sanitizer_env(), **(env or {})})

    def configure(self, config):
        """Writes the config file in one step (a new file renamed over the old)."""
        self.config = merge(self._defaults, config)
        with open(self.config_path + ".new", "w") as f:
            f.write(yaml(self.config))
        os.rename(self.config_path + ".new", self.config_path)

    @property
    def url(self):
        return "http://" + self.config["web"]["listen"]

    def start(self, wait=True, timeout=60):
        self.process.start()
        return self.wait_ready(timeout) if wait else self

    def wait_ready(self, timeout=60):
        wait_for(lambda: fetch(self.url + "/-/ready", timeout=5).status == 200, timeout, f"{self.name} ready", pause=0.05,
                 give_up=self.process.check_running)
        return self

    def stop(self, timeout=60, expect=0):
        """SIGTERM; it must drain, exit with status `expect`, and have no sanitizer report in its log."""
        code = self.process.stop(timeout)
        assert code == expect, f"{self.name} ended with {code}; its log ends:\n{self.log_text()[-4000:]}"
        self.check_clean()

    def kill(self):
        """kill -9."""
        self.process.kill()

    def reload(self):
        self.process.signal(signal.SIGHUP)

    def running(self):
        return self.process.running()

    def log_text(self):
        return self.process.log_text()

    def check_clean(self):
        """Raises when a sanitizer has reported something."""
        text = self.log_text()
        for report in _reports:
            at = text.find(report)
            assert at < 0, f"{self.name}: {text[max(0, at - 200):at + 4000]}"

    def metrics(self):
        """{(name, frozenset(labels.items())): value} of its /metrics."""
        return query.metrics(self.url + "/metrics")

    def metric(self, name, **labels):
        """The sum of the series of that name that have all of the labels; 0 when there is none."""
        return sum(v for (n, have), v in self.metrics().items() if n == name and have >= set(labels.items()))

    def rss_kb(self):
        return self.process.rss_kb()


def _sanitizer_env():
    """Reports go to the log and end the program."""
    return {"ASAN_OPTIONS": "exitcode=99:detect_leaks=1:abort_on_error=0", "UBSAN_OPTIONS": "print_stacktrace=1:exitcode=99",
            "LSAN_OPTIONS": "suppressions=" + os.path.abspath(os.path.join(_root, "tests", "lsan.supp")) + ":print_suppressions=0",
            "TSAN_OPTIONS": f"exitcode=99:suppressions={_suppressions()}" if _suppressions() else "exitcode=99"}


def _suppressions():
    path = os.path.abspath(os.path.join(_root, "tests", "tsan.supp"))
    return path if os.path.exists(path) else ""


class Gateway(_Program):
    """`address` is what agents dial; `buffer_folder` holds its SQLite files."""

    program = "tributary-gateway"

    def __init__(self, config=None, name="gateway", env=None):
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self.buffer_folder = workdir(name, "buffer")
        self._defaults = {"name": name, "agents": {"listen": [self.address]}, "buffer": {"folder": self.buffer_folder}}
        super().__init__(config or {}, name, env)


class Agent(_Program):
    """`log_root` is where it looks for pod logs, `otlp_url` where it takes traces, `otlp_grpc` the host:port for gRPC,
    `state_folder` where it keeps offsets."""

    program = "tributary-agent"

    def __init__(self, gateways, config=None, name="agent", env=None):
        self.log_root = workdir(name, "pods")
        self.state_folder = workdir(name, "state")
        otlp = f"127.0.0.1:{free_port()}"
        self.otlp_url = f"http://{otlp}/v1/traces"
        self.otlp_grpc = f"127.0.0.1:{free_port()}"
        self._defaults = {
            "node_name": name, "state_folder": self.state_folder, "gateway": {"addresses": [g.address for g in gateways]},
            "host_metrics": {"enabled": False}, "logs": {"root": self.log_root},
            "otlp": {"listen_http": otlp, "listen_grpc": self.otlp_grpc}}
        super().__init__(config or {}, name, env)
