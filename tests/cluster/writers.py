"""Pods that write numbered lines (writer.c), and whether Loki has them exactly as written."""

from cluster import LOKI, apply, get, pod
from lib import query
from lib.wait import wait_for

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"


def _noise():
    """The generator of writer.c."""
    state, letters = 1, []
    for _ in range(65536):
        state = (state * 1664525 + 1013904223) % 2**32
        letters.append(LETTERS[state >> 26])
    return "".join(letters)


NOISE = _noise()


class Writer:
    """One pod: COUNT lines of BYTES each, RATE a second; words as writer.c has them. kind: Pod or Job."""

    def __init__(self, name, count, rate, size, *words, kind="Pod", restart="Never", run=0):
        self.name, self.count, self.rate, self.size, self.words, self.kind = name, count, rate, size, words, kind
        self.restart, self.run = restart, run

    def object(self):
        argv = [self.name, self.count, self.rate, self.size, *self.words]
        spec = {}
        if self.run:
            argv += ["state", "/state/n", self.run]
            spec = {"volumeMounts": [{"name": "state", "mountPath": "/state"}], "volumes": [{"name": "state", "emptyDir": {}}]}
        one = pod(self.name, "writer", argv, restart=self.restart, **spec)
        if self.kind == "Pod":
            return one
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": one["metadata"],
                "spec": {"backoffLimit": 0, "template": {"spec": one["spec"]}}}

    def text(self, n):
        line = f"{self.name} {n:07d} "
        left = self.size - len(line)
        if left > 0:
            table, at = (NOISE, n * 10007) if "noise" in self.words else (LETTERS, n)
            at %= len(table)
            line += (table[at:] + table * (left // len(table) + 1))[:left]
        return line

    def selector(self):
        return f'{{namespace="shop", pod=~"{self.name}(-[a-z0-9]+)?"}}'

    def stored(self):
        return query.loki_lines(LOKI, self.selector())

    def check(self, timeout=240):
        """Every line is there as it was written, from its stream, and no other. Returns how many more lines than written."""
        found = wait_for(self.stored, timeout, f"{self.count} lines of {self.name}",
                         until=lambda lines: len({line.text for line in lines}) >= self.count, pause=5)
        wrote = {self.text(n): n for n in range(self.count)}
        strange = [line.text[:80] for line in found if line.text not in wrote]
        assert not strange, f"{self.name}: {len(strange)} lines that were not written: {strange[:3]}"
        missing = set(wrote.values()) - {wrote[line.text] for line in found}
        assert not missing, f"{self.name}: {len(missing)} lines are missing, the first is {min(missing)}"
        if "mixed" in self.words:
            wrong = [line for line in found if dict(line.labels).get("stream") != ("stderr" if wrote[line.text] % 2 else "stdout")]
            assert not wrong, f"{self.name}: {len(wrong)} lines under the other stream: {wrong[:1]}"
        return len(found) - self.count


def start(writers):
    apply(*[writer.object() for writer in writers])


def wait_phase(name, phases, timeout=60, namespace="shop"):
    return wait_for(lambda: get("pod", name, "-n", namespace)["status"].get("phase"), timeout, f"{name} is {phases}",
                    until=lambda phase: phase in phases)
