"""A Python application with its environment as it was for Alloy loses no span while agents and gateways are rolled out anew."""

import json

import writers
from cluster import GATEWAY, JAEGER, apply, kubectl, pod, roll_out, wait_agents, wait_gateways
from lib import query
from lib.wait import wait_for

SECONDS = 90
ENVIRONMENT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://alloy.observability.svc.cluster.local:4318", "OTEL_SERVICE_NAME": "cart",
               "PYTHONPATH": "/app", "PYTHONDONTWRITEBYTECODE": "1", "SECONDS": str(SECONDS)}


def wrote():
    log = kubectl("-n", "shop", "logs", "python")
    found = [line for line in log.splitlines() if line.startswith("spans ")]
    return json.loads(found[0][len("spans "):]) if found else None


def missing(spans):
    left = 0
    for trace, ids in spans.items():
        left += len(set(ids) - {span["spanID"] for span in query.jaeger_trace(JAEGER, trace) or []})
    return left


def run():
    environment = [{"name": k, "value": v} for k, v in ENVIRONMENT.items()]
    apply(pod("python", "python", ["/app/app.py"], env=environment))
    writers.wait_phase("python", ("Running",))
    wait_for(lambda: "cart" in query.jaeger_services(JAEGER), 60, "the application's first spans")
    roll_out("daemonset/tributary-agent")
    wait_agents()
    roll_out(f"deployment/{GATEWAY}")
    wait_gateways(2, 180)
    roll_out("daemonset/tributary-agent")
    wait_agents()
    spans = wait_for(wrote, SECONDS + 60, "the application is through")
    wait_for(lambda: missing(spans), 60, "every span in Jaeger", until=lambda n: n == 0, pause=3)
    print(f"{sum(map(len, spans.values()))} spans of {len(spans)} traces, none missing")
