"""tests/soak buffer-kills [--kills N] [--seed S]: kill -9 of a gateway under load, again and again.

One gateway takes lines, traces and samples of two agents with its backends there; it is killed at random moments, most of them
within a second. After each kill the files of its buffer must be sound (integrity_check of SQLite on a copy), and in the end every
line, every trace that was answered 200 and every sample is stored, nothing is counted as lost, and the ledger closes.
"""
import argparse
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "e2e"))
from lib.crilog import Generator, PodLog
from lib.page import CountingPage
from lib.peers import Jaeger, Loki, Prometheus
from lib.programs import Agent, Gateway
from lib.query import jaeger_trace, loki_lines, prom_samples
from lib.stack import open_copy
from lib.trace_sender import TraceSender
from lib.wait import wait_for

SIGNALS, AGENTS = ("metrics", "logs", "traces"), 2


def check_files(gateway):
    rows = 0
    for signal in SIGNALS:
        db = open_copy(gateway, signal)
        said = db.execute("PRAGMA integrity_check").fetchall()
        rows += db.execute("SELECT count(*) FROM batch").fetchone()[0]
        db.close()
        assert said == [("ok",)], (signal, said[:5])
    return rows


def kill_often(gateway, kills, rng, until):
    for i in range(kills):
        gateway.process.check_running()
        until.wait(rng.choice((0.05, 0.3, 1)) * rng.uniform(0.3, 1))  # chance's, not a wait for something
        gateway.kill()
        check_files(gateway)
        gateway.start(wait=False)
        if rng.random() < 0.85:  # else it may be killed while it starts
            gateway.wait_ready(60)
        if i % 20 == 19:
            print(f"{i + 1} kills", flush=True)
    gateway.wait_ready(60)


def check_stored(backends, logs, senders, page):
    loki, jaeger, prometheus = backends
    wrote = {(log.pod, ns, text.decode()) for log in logs for ns, _, text in log.written}
    ids = [trace for sender in senders for trace in sender.stop()]
    ends = [len(page.served_at(f"/{i}")) for i in range(AGENTS)]

    def missing_lines():
        return wrote - {(dict(line.labels)["pod"], line.ns, line.text) for line in loki_lines(loki, '{namespace="shop"}')}

    def missing_scrapes():
        have = {(dict(labels)["instance"], v) for labels, points in prom_samples(prometheus, "ticks_total").items() for _, v in points}
        return [(i, n) for i in range(AGENTS) for n in range(1, ends[i] + 1) if (f"agent-{i}", n) not in have]

    wait_for(missing_lines, 120, "every line in Loki", until=lambda m: not m, pause=2)
    wait_for(lambda: [t for t in ids if not jaeger_trace(jaeger, t)], 60, "every trace in Jaeger", until=lambda m: not m, pause=2)
    wait_for(missing_scrapes, 60, "every scrape in Prometheus", until=lambda m: not m, pause=2)
    return len(wrote), len(ids), sum(ends)


def run(options):
    rng = random.Random(options.seed)
    print(f"seed {options.seed}", flush=True)
    loki, jaeger, prometheus, page = Loki().start(), Jaeger().start(), Prometheus().start(), CountingPage()
    urls = {"logs": ("loki", loki.push_url), "traces": ("jaeger", jaeger.otlp_url), "metrics": ("prometheus", prometheus.write_url)}
    gateway = Gateway({s: {"backends": [{"name": n, "url": u}]} for s, (n, u) in urls.items()}).start()
    agents = [Agent([gateway], {"scrape_interval": "1s", "scrape_timeout": "900ms", "scrape_configs": [
        {"job_name": "ticks", "metrics_path": f"/{i}", "static_configs": [{"targets": [page.address], "labels": {"instance": f"agent-{i}"}}]}]},
        name=f"agent-{i}").start() for i in range(AGENTS)]
    logs = [PodLog(agent.log_root, "shop", f"{agent.name}-{k}", "app") for agent in agents for k in range(2)]
    senders = [TraceSender(agent.otlp_url, i, pause=0.02).start() for i, agent in enumerate(agents)]
    with Generator(logs, rate=600):
        kill_often(gateway, options.kills, rng, senders[0].ended)
    lines, traces, scrapes = check_stored((loki, jaeger, prometheus), logs, senders, page)
    causes = {c: int(gateway.metric("tributary_gateway_settled_records_total", cause=c))
              for c in ("refused", "repeated", "overtaken", "unresolved", "dropped")}
    print(f"kills {options.kills}, integrity_check ok after each; stored, none missing: lines {lines}, traces {traces}, scrapes {scrapes}; {causes}")
    assert not any(causes[c] for c in ("refused", "overtaken", "unresolved", "dropped")), causes
    assert gateway.metric("tributary_gateway_ledger_imbalance_records") == 0
    for program in agents + [gateway]:
        program.stop()
    return 0


def main(argv):
    parser = argparse.ArgumentParser(prog="tests/soak buffer-kills", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", random.randrange(10**6))))
    return run(parser.parse_args(argv))
