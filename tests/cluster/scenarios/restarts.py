"""Both programs rolled out anew while a pod writes a numbered line every few milliseconds; none is missing."""

import writers
from cluster import GATEWAY, roll_out, wait_agents, wait_gateways


def run():
    steady = writers.Writer("steady", 6000, 200, 100)
    writers.start([steady])
    writers.wait_phase("steady", ("Running",))
    roll_out("daemonset/tributary-agent")
    wait_agents()
    roll_out(f"deployment/{GATEWAY}")
    wait_gateways(2, 180)
    print(f"{steady.count} lines, none missing, {steady.check()} twice")
