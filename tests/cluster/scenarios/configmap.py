"""A ConfigMap edited in the cluster: a wrong configuration is named and changes nothing, a right one is in force in the same pods."""

import json

import yaml
from cluster import AGENT, GATEWAY, SPACE, get, kubectl, restarts
from lib import query
from lib.wait import wait_for


def pods_of(program):
    return [p for p in get("pods", "-n", SPACE, "-l", f"app.kubernetes.io/name={program}")["items"] if "deletionTimestamp" not in p["metadata"]]


def map_of(program):
    """The ConfigMap's name and its only file."""
    name = next(v["configMap"]["name"] for v in pods_of(program)[0]["spec"]["volumes"] if v["name"] == "config")
    data = get("configmap", name, "-n", SPACE)["data"]
    assert len(data) == 1, data.keys()
    return name, *next(iter(data.items()))


def metric(program, name):
    """Of every pod of the program."""
    port = 9600 if program == AGENT else 9601
    return [sum(v for (n, _), v in query.metrics(f"http://{p['status']['podIP']}:{port}/metrics").items()
                if n == f"{program.replace('-', '_')}_{name}") for p in pods_of(program)]


def write(name, file, text):
    kubectl("-n", SPACE, "patch", "configmap", name, "-p", json.dumps({"data": {file: text}}))


def check(program):
    name, file, text = map_of(program)
    before = metric(program, "config_loaded_timestamp_seconds")
    write(name, file, text + "no_such_key: 1\n")
    wait_for(lambda: metric(program, "config_wrong"), 150, f"{program}: the wrong configuration in the metrics", until=all, pause=2)
    assert metric(program, "config_loaded_timestamp_seconds") == before
    assert all("no_such_key" in kubectl("-n", SPACE, "logs", p["metadata"]["name"]) for p in pods_of(program))
    config = yaml.safe_load(text)
    config["log_level"] = "debug"
    write(name, file, yaml.safe_dump(config))
    wait_for(lambda: metric(program, "config_loaded_timestamp_seconds"), 150, f"{program}: the new configuration in force",
             until=lambda now: all(a > b for a, b in zip(now, before)), pause=2)
    wait_for(lambda: metric(program, "config_wrong"), 30, f"{program}: nothing wrong any more", until=lambda now: not any(now))
    write(name, file, text)
    print(f"{program}: a wrong ConfigMap was named by {len(before)} pods, a right one taken by them")


def run():
    before = restarts()
    check(AGENT)
    check(GATEWAY)
    assert restarts() == before, "no container was started anew"
