"""Loki is stopped until the gateways' caps are reached: nothing is evicted, metrics and traces go on, and all logs arrive later."""

import time

import writers
from cluster import (GATEWAY, JAEGER, LOKI, PROMETHEUS, ROOT, SPACE, apply, fetch, get, kubectl, pod, start_loki, stop, wait_gateways)
from lib import query
from lib.wait import wait_for

QUOTA = "24MiB"


def make_small():
    """The deployed configuration with a small quota for logs, and a volume to it."""
    with open(f"{ROOT}/deploy/gateway/gateway.yaml") as f:
        text = f.read().replace("quota: 3GiB", f"quota: {QUOTA}").replace("quota: 2GiB", "quota: 64MiB").replace("1400MiB", "64MiB")
    assert QUOTA in text
    apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "small", "namespace": SPACE}, "data": {"gateway.yaml": text}})
    patch = ('{"spec":{"template":{"spec":{"volumes":[{"name":"config","configMap":{"name":"small"}},'
             '{"name":"buffer","emptyDir":{"sizeLimit":"200Mi"}}]}}}}')
    kubectl("-n", SPACE, "patch", f"deployment/{GATEWAY}", "--type=strategic", "-p", patch)
    kubectl("-n", SPACE, "rollout", "status", f"deployment/{GATEWAY}", "--timeout=300s", timeout=320)
    wait_gateways(2, 180)


def gateway_metric(name, **labels):
    """Summed over the gateways."""
    total = 0
    for one in get("pods", "-n", SPACE, "-l", f"app.kubernetes.io/name={GATEWAY}")["items"]:
        address = one.get("status", {}).get("podIP")
        if address and "deletionTimestamp" not in one["metadata"]:
            total += sum(v for (n, have), v in query.metrics(f"http://{address}:9601/metrics").items()
                         if n == name and have >= set(labels.items()))
    return total


def newest_sample():
    return max((float(r["value"][1]) for r in query.prom_query(PROMETHEUS, 'timestamp(node_load1{job="integrations/unix"})')), default=0)


def check_others_go_on():
    trace = "ffeeddccbbaa99887766554433221100"
    sender = ("until curl -sS --fail-with-body -H 'Content-Type: application/x-protobuf' --data-binary @/trace/trace "
              "http://alloy.observability.svc.cluster.local:4318/v1/traces; do read -t 1 <> <(:); done; echo sent")
    import base64
    from lib import decode
    body = base64.b64encode(decode.encode_trace("shop", [(trace, "00000000000000aa", "GET /outage")])).decode()
    mount = {"volumeMounts": [{"name": "trace", "mountPath": "/trace"}], "volumes": [{"name": "trace", "configMap": {"name": "outage"}}]}
    apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "outage", "namespace": "shop"}, "binaryData": {"trace": body}},
          pod("outage-sender", "application", ["-c", sender], **mount))
    wait_for(lambda: query.jaeger_trace(JAEGER, trace), 60, "a trace while Loki is away")
    since = time.time()
    wait_for(newest_sample, 120, "samples while Loki is away", until=lambda at: at > since)
    print("while the logs' buffer is full: a trace and new samples arrived")


def run():
    make_small()
    load = [writers.Writer(f"outage{i}", 2000, 50, 10000, "noise") for i in range(4)]
    stop("loki")
    writers.start(load)
    wait_for(lambda: gateway_metric("tributary_gateway_buffer_full_total", signal="logs"), 240, "a gateway's buffer of logs is full",
             until=lambda n: n > 0)
    used = gateway_metric("tributary_gateway_buffer_bytes", signal="logs")
    print(f"the cap is reached: logs' buffers hold {used / 2**20:.0f} MiB of {QUOTA} each")
    check_others_go_on()
    start_loki()
    wait_for(lambda: fetch(LOKI.ready, timeout=5).status == 200, 120, "Loki is back")
    more = [writer.check(400) for writer in load]
    print(f"{sum(w.count for w in load)} lines, none missing, {sum(more)} twice")
