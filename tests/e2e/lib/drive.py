"""The gateway's buffer and fan-out without the rest (fanout-drive), driven by a test.

    drive = Drive("name", "metrics", prometheus.write_url)       # its options: Drive(..., options=["otlp", "delta"])
    drive.append("node-1", raw, records, earliest_ns, latest_ns) # one sealed row; it must be committed
    drive.start(); drive.settled()                               # -> {cause: records}; the ledger closes
    drive.kill(); drive.open()                                   # the same folder again
    drive.close()
"""

import os
import subprocess

from .process import workdir
from .programs import build_folder
from .wait import wait_for

CAUSES = ("delivered", "repeated", "refused", "overtaken", "unresolved", "dropped", "handed_over")


class Drive:
    def __init__(self, name, signal, url, options=()):
        self.folder, self.signal, self.url, self.options, self.seq, self.child = workdir(name), signal, url, options, 0, None
        self.open()

    def open(self):
        argv = [os.path.join(build_folder(), "fanout-drive"), self.folder + "/buffer", self.signal, self.url]
        argv += ["4", *self.options] if self.options else []
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        answer = self.child.stdout.readline().strip()
        assert answer, f"no answer to {line}"
        return answer

    def append(self, origin, raw, records, earliest_ns, latest_ns, handed_over=False):
        self.seq += 1
        path = os.path.join(self.folder, "raw")
        with open(path, "wb") as f:
            f.write(raw)
        line = f"append {origin} 1 {self.seq} {records} {earliest_ns} {latest_ns} {int(handed_over)} {path}"
        assert self.ask(line) == "committed"

    def ledger(self):
        words = self.ask("ledger").split()
        return dict(zip(words[::2], map(int, words[1::2])))

    def start(self):
        assert self.ask("start") == "started"

    def settled(self, timeout=60):
        ledger = wait_for(self.ledger, timeout, "nothing buffered", until=lambda found: found["buffered"] == 0, pause=0.05)
        assert ledger["accepted"] == sum(ledger[c] for c in CAUSES), ledger
        return {c: ledger[c] for c in CAUSES if ledger[c]}

    def kill(self):
        self.child.kill()
        self.child.wait()

    def close(self):
        self.child.stdin.close()
        assert self.child.wait(30) == 0
