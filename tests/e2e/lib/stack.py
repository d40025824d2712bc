"""The two programs together: configurations that fit each other, on ports of their own.

    gateway = new_gateway(backends={"logs": [("loki", loki.push_url)], "metrics": [("prom", url)]}, metrics={"quota": "64MiB"})
    agent = new_agent([gateway], logs={"root": root}, host_metrics={"enabled": True, "interval": "1s"})

Both return the programs of module programs, not started. gateway.agents_address is what agents are given; agent.otlp_url is where
OTLP/HTTP traces go. Unless told otherwise an agent only tails logs (no host metrics, no OTLP). What is under `gateway.folder`/buffer
is the gateway's volume.
"""

import os
import shutil
import sqlite3

from . import decode
from .process import free_port, workdir
from .programs import Agent, Gateway


def new_gateway(backends=None, name="gateway", args=(), **sections):
    ports = {key: free_port() for key in ("web", "agents")}
    folder = workdir(name, "buffer")
    config = {"name": name, "web": {"listen": f"127.0.0.1:{ports['web']}"},
              "agents": {"listen": [f"tcp://127.0.0.1:{ports['agents']}"]}, "buffer": {"folder": folder}}
    for signal, targets in (backends or {}).items():
        config[signal] = {"backends": [{"name": n, "url": url, **dict(*more)} for n, url, *more in targets]}
    _merge(config, sections)
    gateway = Gateway(config, ports["web"], name, args=args)
    gateway.config = config
    gateway.buffer_folder = folder
    gateway.agents_address = f"tcp://127.0.0.1:{ports['agents']}"
    return gateway


def new_agent(gateways, name="agent", args=(), **sections):
    ports = {key: free_port() for key in ("web", "otlp")}
    config = {"node_name": name, "state_folder": workdir(name, "state"), "web": {"listen": f"127.0.0.1:{ports['web']}"},
              "gateway": {"addresses": [g if isinstance(g, str) else g.agents_address for g in gateways]},
              "host_metrics": {"enabled": False}, "logs": {"enabled": True, "root": workdir(name, "pods")},
              "otlp": {"enabled": False, "listen_http": f"127.0.0.1:{ports['otlp']}"}}
    _merge(config, sections)
    agent = Agent(config, ports["web"], name, args=args)
    agent.config = config
    agent.otlp_url = f"http://127.0.0.1:{ports['otlp']}/v1/traces"
    return agent


def _merge(config, sections):
    for key, value in sections.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            _merge(config[key], value)
        else:
            config[key] = value


def wipe(gateway):
    """The loss of a gateway's volume; it must not run."""
    shutil.rmtree(gateway.buffer_folder)
    os.makedirs(gateway.buffer_folder)


def open_copy(gateway, signal):
    """A connection to a copy of a buffer file and its WAL, so that looking changes nothing; the gateway may be dead."""
    folder = workdir("copies", gateway.name)
    for suffix in ("", "-wal"):
        source, target = (os.path.join(d, signal + ".db" + suffix) for d in (gateway.buffer_folder, folder))
        if os.path.exists(target):
            os.remove(target)
        if os.path.exists(source):
            shutil.copyfile(source, target)
    if os.path.exists(target + "-shm"):
        os.remove(target + "-shm")
    return sqlite3.connect(os.path.join(folder, signal + ".db"))


def owed_lines(gateway, backend):
    """The log lines in rows that the buffer still owes to the backend, as decode.Line."""
    db = open_copy(gateway, "logs")
    try:
        rows = db.execute("SELECT b.payload FROM pending p JOIN batches b ON b.id = p.id WHERE p.backend = ?", (backend,)).fetchall()
    finally:
        db.close()
    return [line for (payload,) in rows for line in decode.lines(decode.unsnappy(payload))]
