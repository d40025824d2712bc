"""tests/soak chaos [--minutes N] [--seed S] [--calm]: three gateways and five agents under random faults, with real backends.

Kills (-9) and stops (SIGSTOP) of gateways and agents, agents cut off from one or all gateways, full volumes under the gateways'
buffers and backends that are stopped. Afterwards everything heals, and every line written must be in Loki, every trace answered
200 in Jaeger, every sample scraped in Prometheus but those that a gateway keeps as overtaken (none where no gateway was killed,
stopped or cut off: --calm leaves these faults out) or that an agent held in memory when it was killed; no sample may be named
refused, and every ledger must close. Each agent scrapes two targets, one of them slow, so that the times of its samples interleave.

Runs in network and mount namespaces of its own, so it has to be root and leaves nothing behind. Each agent is in a network
namespace with a veth pair; a cut is a blackhole route to a gateway there. Takes the programs of $TRIBUTARY_BUILD, else build/dev.
"""
import argparse
import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "e2e"))
from lib import decode
from lib.crilog import Generator, PodLog
from lib.page import CountingPage
from lib.peers import Jaeger, Loki, Prometheus
from lib.process import free_port, workdir
from lib.programs import Agent, Gateway
from lib.query import jaeger_trace, loki_forgotten, loki_lines, prom_samples
from lib.trace_sender import TraceSender
from lib.wait import wait_for

GATEWAYS, AGENTS, SERIES = 3, 5, 10
JOBS = ("fast", "slow")
FAULTS = ("kill_gateway", "stop_gateway", "kill_agent", "stop_agent", "cut", "cut_all", "fill", "backend")
CALM_FAULTS = ("kill_agent", "stop_agent", "backend", "fill")
OVERTAKEN = 3  # as buffer.h numbers the causes
VOLUME_MB = 96
HEAL_S = 300


def ip(*args):
    subprocess.run(["ip", *args], check=True)


class ChaosAgent(Agent):
    """In a network namespace of its own."""

    def __init__(self, number, gateways, page):
        self.number, self.ns, self.kills = number, f"agent-{number}", []
        home, away = f"10.77.{number}.1", f"10.77.{number}.2"
        ip("netns", "add", self.ns)
        ip("link", "add", f"veth{number}", "type", "veth", "peer", "name", "eth0", "netns", self.ns)
        ip("addr", "add", home + "/24", "dev", f"veth{number}")
        ip("link", "set", f"veth{number}", "up")
        for args in (["addr", "add", away + "/24", "dev", "eth0"], ["link", "set", "eth0", "up"], ["link", "set", "lo", "up"],
                     ["route", "add", "default", "via", home]):
            ip("-n", self.ns, *args)
        otlp = f"{away}:{free_port()}"
        super().__init__(gateways, {
            "web": {"listen": f"{away}:{free_port()}"}, "otlp": {"listen_http": otlp, "listen_grpc": ""},
            "scrape_interval": "1s", "scrape_timeout": "900ms", "spool": {"path": workdir(self.ns, "spool"), "size": "64MiB"},
            "scrape_configs": [{"job_name": job, "metrics_path": f"/{job}/{number}", "static_configs": [
                {"targets": [page.address], "labels": {"instance": self.ns}}]} for job in JOBS]},
            name=self.ns)
        self.otlp_url = f"http://{otlp}/v1/traces"
        self.process.argv = ["ip", "netns", "exec", self.ns, *self.process.argv]
        self.process.argv[4:4] = []

    def cut(self, gateway, is_cut):
        host = gateway.host + "/32"
        subprocess.run(["ip", "-n", self.ns, "route", "replace" if is_cut else "del", "blackhole", host], check=False,
                       stderr=subprocess.DEVNULL)


class ChaosGateway(Gateway):
    """Its buffer is on a small volume of its own."""

    def __init__(self, number, backends):
        self.host = f"10.77.200.{number + 1}"
        ip("addr", "add", self.host + "/32", "dev", "lo")
        name = f"gateway-{number}"
        address = f"tcp://{self.host}:{free_port()}"
        super().__init__({**backends, "agents": {"listen": [address]}}, name=name)
        self.address = address
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={VOLUME_MB}m", name, self.buffer_folder], check=True)
        self.filler = os.path.join(self.buffer_folder, "filler")

    def fill(self):
        with open(self.filler, "wb") as f:
            try:
                while True:
                    f.write(b"\0" * 65536)
                    f.flush()
            except OSError:
                pass


class Chaos:
    """One fault at a time begins every few seconds; several may be in force at once."""

    def __init__(self, rng, kinds, gateways, agents, backends):
        self.rng, self.kinds, self.gateways, self.agents, self.backends = rng, kinds, gateways, agents, backends
        self.ends, self.count, self.busy = [], {}, set()

    def later(self, what, undo):
        self.busy.add(what)
        self.ends.append((time.monotonic() + self.rng.choice((0.5, 3, 8, 20)) * self.rng.uniform(0.5, 1), what, undo))

    def end(self, now=None):
        """Ends the faults whose time is over; all of them without a time."""
        for at in [e for e in self.ends if now is None or e[0] <= now]:
            self.ends.remove(at)
            self.busy.discard(at[1])
            at[2]()

    def begin(self):
        kind = self.rng.choice(self.kinds)
        targets = {"gateway": self.gateways, "fill": self.gateways, "agent": self.agents, "cut": self.agents, "cut_all": self.agents,
                   "backend": self.backends}
        target = self.rng.choice(targets[kind.split("_")[1] if kind.startswith(("kill", "stop")) else kind])
        if target in self.busy:
            return
        self.count[kind] = self.count.get(kind, 0) + 1
        print(f"{time.strftime('%H:%M:%S')} {kind} {getattr(target, 'name', None) or target.process.name}", flush=True)
        getattr(self, kind)(target)

    def kill_gateway(self, gateway):
        gateway.kill()
        self.later(gateway, lambda: gateway.start(wait=False))

    def kill_agent(self, agent):
        agent.kills.append(time.time())
        agent.kill()
        self.later(agent, lambda: agent.start(wait=False))

    def stop_gateway(self, program):
        program.process.signal(signal.SIGSTOP)
        self.later(program, lambda: program.process.signal(signal.SIGCONT))

    stop_agent = stop_gateway

    def cut(self, agent):
        gateway = self.rng.choice(self.gateways)
        agent.cut(gateway, True)
        self.later(agent, lambda: agent.cut(gateway, False))

    def cut_all(self, agent):
        for gateway in self.gateways:
            agent.cut(gateway, True)
        self.later(agent, lambda: [agent.cut(g, False) for g in self.gateways])

    def fill(self, gateway):
        gateway.fill()
        self.later(gateway, lambda: os.unlink(gateway.filler))

    def backend(self, backend):
        """Jaeger keeps what it has in memory: it is stopped, not ended."""
        if isinstance(backend, Jaeger):
            backend.process.signal(signal.SIGSTOP)
            self.later(backend, lambda: backend.process.signal(signal.SIGCONT))
        else:
            backend.kill()
            self.later(backend, lambda: backend.start(wait=False))

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.begin()
            until = time.monotonic() + self.rng.uniform(1, 5)
            while time.monotonic() < until:
                self.end(time.monotonic())
                time.sleep(0.1)
        self.end()


def total(gateways, **labels):
    return int(sum(g.metric("tributary_gateway_settled_records_total", **labels) for g in gateways))


def missing_lines(loki, logs):
    wrote = {(log.pod, ns, text.decode()) for log in logs for ns, _, text in log.written}
    have = [(dict(line.labels)["pod"], line.ns, line.text) for line in loki_lines(loki, '{namespace="shop"}')]
    assert set(have) <= wrote, "Loki holds what was not written"
    return wrote - set(have)


class Scrapes:
    """What was served to the agents, against what Prometheus has."""

    def __init__(self, page, agents):
        self.page, self.agents = page, agents
        self.ends = {(a.ns, job): len(page.served_at(f"/{job}/{a.number}")) for a in agents for job in JOBS}

    def count(self):
        return sum(self.ends.values())

    def missing(self, prometheus):
        """(lost, in memory at a kill): the (agent, job, scrape, series) of which Prometheus has no sample. A page that was served but
        not read in time (an agent that was stopped) is no scrape: `up` was 0 then."""
        have, failed = {}, {}
        for labels, points in prom_samples(prometheus, "ticks_total").items():
            labels = dict(labels)
            have.setdefault((labels["instance"], labels["job"], labels["k"]), set()).update(v for _, v in points)
        assert have, "no samples at all"
        for labels, points in prom_samples(prometheus, "up").items():
            labels = dict(labels)
            failed.setdefault((labels["instance"], labels["job"]), []).extend(t / 1000 for t, v in points if v == 0)
        lost, held = set(), set()
        for agent in self.agents:
            for job in JOBS:
                for n in range(1, self.ends[agent.ns, job] + 1):
                    gone = {(agent.ns, job, n, str(k)) for k in range(SERIES) if n not in have.get((agent.ns, job, str(k)), ())}
                    at = self.page.served_at(f"/{job}/{agent.number}")[n]
                    if len(gone) == SERIES and any(abs(t - at) <= 1 for t in failed.get((agent.ns, job), ())):
                        continue
                    near = any(at - 0.5 <= kill <= at + 4 for kill in agent.kills)
                    (held if near else lost).update(gone)
        return lost, held


def kept_samples(gateways):
    """{cause: {(agent, job, scrape, series)}} of the samples that the gateways keep as not taken, and {words: samples} of those that
    are named refused."""
    kept, words = {}, {}
    for gateway in gateways:
        with contextlib.closing(sqlite3.connect(os.path.join(gateway.buffer_folder, "metrics.db"))) as db:
            for cause, said, payload in db.execute("SELECT cause, words, payload FROM refusal"):
                for sample in decode.samples(payload):
                    labels = sample.labels
                    if labels["__name__"] == "ticks_total":
                        kept.setdefault(cause, set()).add((labels["instance"], labels["job"], int(sample.value), labels["k"]))
                    if cause != OVERTAKEN:
                        words[said] = words.get(said, 0) + 1
    return kept, words


def unsettled_in_spool(agent):
    """Records that the agent's spool accepted and that have no cause and no row: its ledger's imbalance."""
    rest = 0
    for name in ("metrics", "logs", "traces"):
        with contextlib.closing(sqlite3.connect(os.path.join(agent.config["spool"]["path"], name + ".db"))) as db:
            rest += db.execute("SELECT sum(accepted - delivered - refused - dropped) FROM backend").fetchone()[0] or 0
            rest -= db.execute("SELECT coalesce(sum(b.records), 0) FROM batch b LEFT JOIN cursor c ON c.slot = b.slot "
                               "WHERE b.id > coalesce(c.row, 0)").fetchone()[0]
    return rest


def report(name, value, limit):
    print(f"{'ok  ' if value <= limit else 'FAIL'} {name}: {value} (at most {limit})", flush=True)
    return value > limit


def settle(gateways, agents):
    for program in gateways + agents:
        program.wait_ready(60)
    wait_for(lambda: sum(a.metric("tributary_agent_spool_batches") for a in agents), HEAL_S, "empty spools", until=lambda n: n == 0, pause=1)
    wait_for(lambda: sum(g.metric("tributary_gateway_buffered_records") for g in gateways), HEAL_S, "delivered buffers",
             until=lambda n: n < 3000, pause=1)


def run(seconds, seed, kinds):
    rng = random.Random(seed)
    prometheus, loki, jaeger = Prometheus().start(), Loki().start(), Jaeger().start()
    page = CountingPage("10.77.200.100", SERIES, lambda path: random.uniform(0.05, 0.4) if "slow" in path else 0)
    backends = {s: {"backends": [{"name": n, "url": u}]} for s, n, u in (
        ("metrics", "prometheus", prometheus.write_url), ("logs", "loki", loki.push_url), ("traces", "jaeger", jaeger.otlp_url))}
    gateways = [ChaosGateway(i, backends).start() for i in range(GATEWAYS)]
    agents = [ChaosAgent(i, gateways, page).start() for i in range(AGENTS)]
    logs = [PodLog(a.log_root, "shop", f"pod-{i}-{k}", "app") for i, a in enumerate(agents) for k in range(2)]
    senders = [TraceSender(a.otlp_url, i, pause=0.1).start() for i, a in enumerate(agents)]
    chaos = Chaos(rng, kinds, gateways, agents, [prometheus, loki, jaeger])
    with Generator(logs, rate=300):
        chaos.run(seconds)
    traces = [trace for sender in senders for trace in sender.stop()]
    scrapes = Scrapes(page, agents)
    for backend in (prometheus, loki):
        backend.wait_ready()
    settle(gateways, agents)
    print("faults", chaos.count)
    return judge(gateways, agents, logs, traces, scrapes, (prometheus, loki, jaeger), "kill_gateway" not in kinds)


def missing_traces(jaeger, ids):
    return [trace for trace in ids if not jaeger_trace(jaeger, trace)]


def judge(gateways, agents, logs, traces, scrapes, backends, is_calm):
    prometheus, loki, jaeger = backends

    def unsettled():
        lost, _ = scrapes.missing(prometheus)
        kept, _ = kept_samples(gateways)
        return [len(missing_lines(loki, logs)), len(missing_traces(jaeger, traces)), len(lost - kept.get(OVERTAKEN, set()))]

    try:
        wait_for(unsettled, 120, "everything delivered", until=lambda n: not any(n), pause=5)
    except AssertionError as e:
        print(e)
    lost, held = scrapes.missing(prometheus)
    kept, words = kept_samples(gateways)
    causes = {c: {b: total(gateways, backend=b, cause=c) for b in ("prometheus", "loki", "jaeger")}
              for c in ("overtaken", "refused", "repeated", "unresolved", "dropped")}
    for cause, by in causes.items():
        print(cause, by)
    late = {s: int(sum(g.metric("tributary_gateway_late_batches_total", signal=s) for g in gateways)) for s in ("metrics", "logs", "traces")}
    print("late batches left out", late)
    print("lines that Loki left out of its WAL at its last start", loki_forgotten(loki), "posted again in all",
          int(sum(g.metric("tributary_gateway_replayed_records_total", signal="logs") for g in gateways)))
    gone = missing_lines(loki, logs)
    bad = report("lines missing in Loki of %d" % sum(len(log.written) for log in logs), len(gone), 0)
    for pod, ns, text in sorted(gone)[:50]:
        print("missing", pod, ns, text)
    bad |= report(f"traces missing in Jaeger of {len(traces)}", len(missing_traces(jaeger, traces)), 0)
    missing = lost - kept.get(OVERTAKEN, set())
    bad |= report(f"samples of {scrapes.count() * SERIES} neither in Prometheus nor kept as overtaken ({len(lost)} are; in memory at a kill "
                  f"{len(held)} besides)", len(missing), 0)
    if is_calm:
        bad |= report("overtaken without a lost gateway", causes["overtaken"]["prometheus"], 0)
    bad |= report("samples named refused", causes["refused"]["prometheus"], 0)
    bad |= report("imbalance of the ledgers", sum(abs(g.metric("tributary_gateway_ledger_imbalance_records")) for g in gateways), 0)
    if missing or words:
        print("first samples missing:", sorted(missing)[:10], "kills", [[round(k) for k in a.kills] for a in agents])
        print("words of refusals:", words, "kept by cause", {c: len(k) for c, k in kept.items()})
    for program in agents + gateways:
        program.stop()
    return bad | report("batches' records that spools took and did not pass on", sum(unsettled_in_spool(a) for a in agents), 0)


def main(argv):
    parser = argparse.ArgumentParser(prog="tests/soak chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--calm", action="store_true", help="no gateway is killed, stopped or cut off")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    seed = random.randrange(10**6) if args.seed is None else args.seed
    if os.geteuid() != 0:
        sys.exit("missing: root, for network namespaces and small volumes")
    if not args.inside:
        again = [sys.executable, os.path.abspath(__file__), "--inside", "--minutes", str(args.minutes), "--seed", str(seed)]
        again += ["--calm"] * args.calm
        os.execvp("unshare", ["unshare", "--net", "--mount", "--propagation", "private", "--", *again])
    print("seed", seed, "calm" if args.calm else "", flush=True)
    os.makedirs("/run/netns", exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run/netns"], check=True)
    ip("link", "set", "lo", "up")
    ip("addr", "add", "10.77.200.100/32", "dev", "lo")
    sys.exit(run(args.minutes * 60, seed, CALM_FAULTS if args.calm else FAULTS))


if __name__ == "__main__":
    main(sys.argv[1:])
