"""The OpenTelemetry JavaScript SDK (tests/peers/js), run by node.

    trace_id = send_trace(url, service="shop", spans=3)     # over OTLP/HTTP with protobuf; returns when it was exported
    trace_id = send_trace("http://host:port", service="shop", spans=3, form="grpc", compression="gzip")     # or form="http": JSON
"""

import os
import subprocess

from .peers import built

_here = os.path.dirname(os.path.abspath(__file__))


def send_trace(url, service, spans, form="proto", compression="none"):
    modules = os.path.join(built("js"), "node_modules")
    argv = ["node", os.path.join(_here, "trace.js"), url, service, str(spans), form, compression]
    result = subprocess.run(argv, env={**os.environ, "NODE_PATH": modules}, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def send_signal(signal, url, service, form, compression, ca=None, client=None):
    """One request with attributes of every kind; returns when it was exported: the trace id of a trace. Over TLS: ca is the
    authority's file, client (certificate, key) of a client."""
    modules = os.path.join(built("js"), "node_modules")
    argv = ["node", os.path.join(_here, "signals.js"), signal, url, service, form, compression]
    env = {**os.environ, "NODE_PATH": modules}
    if ca:
        env["OTEL_EXPORTER_OTLP_CERTIFICATE"] = ca
    if client:
        env["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"], env["OTEL_EXPORTER_OTLP_CLIENT_KEY"] = client
    result = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0 and not result.stderr, result.stderr
    return result.stdout.strip()
