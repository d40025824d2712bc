"""A million lines of six writers while containers of both programs are killed 20 times: each is in Loki exactly as written."""

import glob
import os
import random
import signal
import time

import writers
from cluster import AGENT, CLUSTER, GATEWAY, LOKI, processes, restarts, wait_agents, wait_gateways
from lib import query
from lib.http_client import fetch_json

SECONDS, KILLS, MAX_FILES = 120, 20, 50


def six():
    return [writers.Writer("fast", 600000, 600000 // SECONDS, 80),
            writers.Writer("slow", 2 * SECONDS, 2, 60),
            writers.Writer("long", 4 * SECONDS, 4, 50000),
            writers.Writer("mixed", 200000, 200000 // SECONDS, 100, "mixed"),
            writers.Writer("crasher", 100000, 1000, 120, restart="OnFailure", run=5000),
            writers.Writer("job", 100000, 1000, 100, "exit", kind="Job")]


def kill_one(rng):
    """kill -9 of one of the programs' processes, which is a container's only one."""
    pids = [(program, pid) for program in (AGENT, GATEWAY) for pid in processes(program)]
    program, pid = rng.choice(pids)
    os.kill(pid, signal.SIGKILL)
    return program


def kill_all(rng):
    killed = []
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.5, 2 * SECONDS / KILLS - 3))
        killed.append(kill_one(rng))
        wait_agents(120)
    return killed


def most_files():
    """The most log files that a container has: under containerLogMaxFiles the kubelet has deleted none by rotation."""
    folders = glob.glob(f"{CLUSTER}/var/log/pods/shop_*/app")
    return max((len(os.listdir(folder)) for folder in folders), default=0)


def received():
    return sum(v for (name, _), v in query.metrics(LOKI.url + "/metrics").items() if name == "loki_distributor_lines_received_total")


def held():
    answer = fetch_json(LOKI.url + "/loki/api/v1/query", {"query": 'sum(count_over_time({job=~".+"}[3h]))'}, timeout=120)
    return sum(float(r["value"][1]) for r in answer["data"]["result"])


def run():
    seed = int(os.environ.get("SEED", random.randrange(10**6)))
    print("SEED", seed)
    before, received_before, held_before = restarts(), received(), held()
    six_writers = six()
    writers.start(six_writers)
    killed = kill_all(random.Random(seed))
    print(f"killed: agent {killed.count(AGENT)} times, a gateway {killed.count(GATEWAY)} times")
    wait_gateways(2, 120)
    files, more = 0, 0
    for writer in six_writers:
        more += writer.check(400)
        files = max(files, most_files())
    assert files < MAX_FILES, f"{files} files of one container: the kubelet may have deleted some"
    assert sum(restarts().values()) - sum(before.values()) >= KILLS, "containers were restarted as often as they were killed"
    count = sum(writer.count for writer in six_writers)
    sent, stored = received() - received_before, held() - held_before
    print(f"{count} lines, none missing or changed, {more} twice; at most {files} log files of a container")
    print(f"with the logs of everything else Loki was sent {sent:.0f} lines and holds {stored:.0f} of them: {max(sent - stored, 0):.0f} came "
          "from two gateways, because an agent reads again what a killed one had not delivered, and were merged")
    assert more == 0, f"Loki holds {more} lines twice"
