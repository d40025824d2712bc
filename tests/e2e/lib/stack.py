"""The two programs with backends, and what is in a gateway's volume.

    gateway = new_gateway({"logs": {"loki": loki.push_url}, "metrics": {"prom": url}}, name="gateway-0")    # not started
    wipe(gateway)                             # the loss of its volume
    owed_lines(gateway, "loki")               # the lines that its buffer still owes to a backend, the gateway alive or dead
"""

import os
import shutil
import sqlite3

from . import decode
from .process import workdir
from .programs import Gateway


def new_gateway(backends, name="gateway"):
    config = {signal: {"backends": [{"name": n, "url": url} for n, url in targets.items()]} for signal, targets in backends.items()}
    return Gateway(config, name)


def wipe(gateway):
    """The loss of a gateway's volume; it must not run."""
    shutil.rmtree(gateway.buffer_folder)
    os.makedirs(gateway.buffer_folder)


def open_copy(gateway, signal):
    """A connection to a copy of a buffer file and its WAL, so that looking changes nothing."""
    folder = workdir("copies", gateway.name)
    shutil.rmtree(folder)
    os.makedirs(folder)
    for suffix in ("", "-wal"):
        source = os.path.join(gateway.buffer_folder, signal + ".db" + suffix)
        if os.path.exists(source):
            shutil.copyfile(source, os.path.join(folder, signal + ".db" + suffix))
    return sqlite3.connect(os.path.join(folder, signal + ".db"))


def owed_lines(gateway, backend):
    db = open_copy(gateway, "logs")
    try:
        rows = db.execute("SELECT p.bytes FROM pending o JOIN payload p ON p.id = o.row_id WHERE o.backend = ?", (backend,)).fetchall()
    finally:
        db.close()
    return [line for (payload,) in rows for line in decode.lines(decode.unsnappy(payload))]
