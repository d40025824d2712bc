"""Both programs rolled out anew, a gateway's pod deleted, the gateways scaled 2, 1, 3, 2, all under load: nothing is lost."""

import writers
from cluster import GATEWAY, SPACE, get, kubectl, roll_out, wait_agents, wait_gateways


def scale(count):
    kubectl("-n", SPACE, "scale", f"deployment/{GATEWAY}", f"--replicas={count}")
    wait_gateways(count, 180)


def run():
    load = [writers.Writer("rolled", 60000, 500, 100), writers.Writer("rolledmixed", 24000, 200, 300, "mixed")]
    writers.start(load)
    for writer in load:
        writers.wait_phase(writer.name, ("Running",))
    roll_out("daemonset/tributary-agent")
    wait_agents()
    roll_out(f"deployment/{GATEWAY}")
    wait_gateways(2, 180)
    victim = get("pods", "-n", SPACE, "-l", f"app.kubernetes.io/name={GATEWAY}")["items"][0]["metadata"]["name"]
    kubectl("-n", SPACE, "delete", "pod", victim, timeout=200)
    wait_gateways(2, 180)
    for count in (1, 3, 2):
        scale(count)
    print("a gateway's pod deleted, gateways scaled 2, 1, 3, 2")
    more = [writer.check() for writer in load]
    print(f"{sum(w.count for w in load)} lines, none missing, {sum(more)} twice")
