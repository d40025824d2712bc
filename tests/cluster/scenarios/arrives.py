"""Metrics of the node, the logs of every container and an application's trace arrive in the backends."""

import base64

from cluster import JAEGER, LOKI, PROMETHEUS, apply, get, pod
from lib import decode, query
from lib.wait import wait_for

LINES = 1000
TRACE = "00112233445566778899aabbccddeeff"


def start_applications():
    body = decode.encode_trace("shop", [(TRACE, "0123456789abcdef", "GET /cart")])
    trace = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "trace", "namespace": "shop"},
             "binaryData": {"trace": base64.b64encode(body).decode()}}
    writer = f'for ((n = 0; n < {LINES}; n++)); do echo "line $n of the writer"; done; echo "the last one" >&2; read -t 3600 <> <(:)'
    sender = ("until curl -sS --max-time 5 --fail-with-body -H 'Content-Type: application/x-protobuf' --data-binary @/trace/trace "
              "http://tributary-agent.observability.svc.cluster.local:4318/v1/traces; do read -t 1 <> <(:); done; echo sent")
    mount = {"volumeMounts": [{"name": "trace", "mountPath": "/trace"}], "volumes": [{"name": "trace", "configMap": {"name": "trace"}}]}
    apply(trace, pod("writer", "application", ["-c", writer]), pod("sender", "application", ["-c", sender], **mount))


def check_metrics():
    value = wait_for(lambda: query.prom_query(PROMETHEUS, 'node_load1{job="integrations/unix"}'), 90, "node metrics in Prometheus")
    assert value[0]["metric"]["instance"] == "node1", value
    wait_for(lambda: query.prom_query(PROMETHEUS, 'up{job="tributary-agent", instance="node1"} == 1'), 90, "the agent's own metrics")
    up = wait_for(lambda: query.prom_query(PROMETHEUS, 'up{job="tributary-gateway"} == 1'), 90, "two gateways", until=lambda r: len(r) == 2)
    series = query.prom_series(PROMETHEUS, '{job="integrations/unix"}')
    print(f"metrics: {len(series)} series of the node, {len(up)} gateways up")


def containers_in_loki():
    return {(s["namespace"], s["pod"], s["container"]) for s in query.loki_streams(LOKI, '{job=~".+"}')}


def check_logs():
    lines = wait_for(lambda: query.loki_lines(LOKI, '{namespace="shop", pod="writer"}'), 60, f"{LINES + 1} lines of the writer",
                     until=lambda found: len(found) >= LINES + 1)
    wanted = {f"line {n} of the writer" for n in range(LINES)} | {"the last one"}
    assert {line.text for line in lines} == wanted and len(lines) == len(wanted), len(lines)
    pods = {(p["metadata"]["namespace"], p["metadata"]["name"], c["name"]) for p in get("pods", "-A")["items"]
            for c in p["spec"]["containers"]}
    seen = wait_for(containers_in_loki, 60, f"a line of each of {pods}", until=lambda found: pods <= found)
    print(f"logs: {len(lines)} lines of the writer, each once; {len(seen)} containers")


def check_trace():
    spans = wait_for(lambda: query.jaeger_trace(JAEGER, TRACE), 60, "the trace in Jaeger")
    print(f"trace: {[s['operationName'] for s in spans]}")


def run():
    start_applications()
    check_metrics()
    check_logs()
    check_trace()
