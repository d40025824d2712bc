"""One container's log as everything that may happen to it: random writes, parts, torn lines, rotations, truncations, deletions.

    log = RotatingLog(root, storage, "seed-1", "pod-0", rng, linked=False)
    log.write(); log.begin_part(); log.tear(); log.rotate(); log.compress(); log.copy_truncate(); log.replace(); log.restart()
    log.finish()                      # completes what is torn or in parts
    log.expected()                    # {(stream, ns, text)} that must be stored, times as the agent sends them
    log.expected_copied()             # those of them that a copied file holds once more: they may be sent twice
    log.expected_at_risk()            # those written between a copy and its truncation: no other file holds them, they may be missing

The file is written by one descriptor, as a container runtime does. What may be lost is never made here: who deletes or truncates a
file that has no other copy waits first until it is open, and lets the reader live until it was read.
"""

import gzip
import os
import shutil
import time

from .crilog import timestamp

STREAMS = ("stdout", "stderr")


class RotatingLog:
    def __init__(self, root, storage, namespace, pod, rng, linked=False):
        self.pod, self.rng, self.linked = pod, rng, linked
        self.folder = os.path.join(root, f"{namespace}_{pod}_{rng.getrandbits(64):016x}", "app")
        self.storage = os.path.join(storage, pod)
        os.makedirs(self.folder)
        os.makedirs(self.storage)
        self.number, self.generation, self.rotations, self.count, self.last_ns = 0, 0, 0, 0, 0
        self.lines = []  # (stream, ns, text), in order
        self.in_file = []  # those that the live file holds
        self.copied, self.at_risk = set(), set()
        self.open_parts, self.torn, self.at = {}, b"", 0
        self.append = True
        self.fd = None
        self._open()

    @property
    def path(self):
        return os.path.join(self.folder, f"{self.number}.log")

    def _open(self):
        if self.fd is not None:
            os.close(self.fd)
        self.append = self.rng.random() < 0.7
        flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if self.append else 0)
        if self.linked:
            self.generation += 1
            target = os.path.join(self.storage, f"{self.generation}-json.log")
            self.fd = os.open(target, flags, 0o640)
            os.symlink(target, self.path + ".switch")
            os.rename(self.path + ".switch", self.path)
        else:
            self.fd = os.open(self.path, flags, 0o640)
        self.in_file = []

    def _put(self, data):
        rest, self.torn = self.torn, b""
        os.write(self.fd, rest + data)

    def _next_ns(self):
        self.last_ns = max(time.time_ns(), self.last_ns + 1)
        return self.last_ns

    def _text(self):
        self.count += 1
        size = self.rng.choice((0, 5, 20, 60, 60, 300, 300, 6000, 70000 if self.rng.random() < 0.1 else 40))
        return f"{self.pod} {self.count:06d} é ".encode() + bytes(self.rng.choices(b"abcdefgh ", k=size))

    def _line(self, ns, stream, tag, text):
        return b"%s %s %s %s\n" % (timestamp(ns).encode(), stream.encode(), tag, text)

    def _ended(self, stream, ns, text):
        self.in_file.append(len(self.lines))
        self.lines.append((stream, ns, text))

    def _make_line(self):
        """A line, the end of an open one, or the line before once more (equal in time and text)."""
        stream = self.rng.choice(STREAMS)
        ns, text = self._next_ns(), self._text()
        if stream in self.open_parts:
            first_ns, begun = self.open_parts.pop(stream)
            self._ended(stream, first_ns, begun + text)
            return self._line(ns, stream, b"F", text)
        before = next((i for i in reversed(self.in_file) if self.lines[i][0] == stream), None)
        if before is not None and self.rng.random() < 0.03:
            _, ns, text = self.lines[before]
        self._ended(stream, ns, text)
        return self._line(ns, stream, b"F", text)

    def write(self):
        self._put(b"".join(self._make_line() for _ in range(self.rng.choice((1, 1, 3, 30, 200)))))

    def begin_part(self):
        stream = self.rng.choice(STREAMS)
        ns, text = self._next_ns(), self._text()
        first_ns, begun = self.open_parts.get(stream, (ns, b""))
        self.open_parts[stream] = (first_ns, begun + text)
        self._put(self._line(ns, stream, b"P", text))

    def tear(self):
        """A writer that pauses within a line."""
        data = self._make_line()
        cut = self.rng.randrange(1, len(data))
        self._put(data[:cut])
        self.torn = data[cut:]

    def finish(self):
        self._put(b"")
        for stream in list(self.open_parts):
            first_ns, begun = self.open_parts.pop(stream)
            self._ended(stream, first_ns, begun + b"end")
            self._put(self._line(self._next_ns(), stream, b"F", b"end"))

    def _rotated_name(self):
        self.rotations += 1
        return f"{self.path}.20260101-{self.rotations:06d}"

    def rotate(self):
        """The kubelet's: renamed, some more lines into the old file, then a new one."""
        os.rename(self.path, self._rotated_name())
        for _ in range(self.rng.choice((0, 0, 1, 5))):
            self._put(self._make_line())
        self._put(b"")
        self._open()

    def compress(self):
        """The kubelet's: all rotated ones but the newest."""
        names = sorted(n for n in os.listdir(self.folder) if n.startswith(f"{self.number}.log.2") and not n.endswith((".gz", ".tmp")))
        for name in names[:-1]:
            path = os.path.join(self.folder, name)
            with open(path, "rb") as plain, gzip.open(path + ".tmp", "wb") as packed:
                shutil.copyfileobj(plain, packed)
            os.rename(path + ".tmp", path + ".gz")
            os.unlink(path)
            if self.linked and os.path.islink(path):
                os.unlink(path)
        return len(names) > 1

    def copy_truncate(self):
        """logrotate's: a copy, then the file cut to nothing; a writer that does not append leaves a hole. What is written
        between the two is in no file afterwards."""
        self.finish()
        copy = self._rotated_name()
        shutil.copyfile(self.path, copy + ".tmp")
        os.rename(copy + ".tmp", copy)
        self.copied.update(self.in_file)
        for _ in range(self.rng.choice((0, 0, 0, 1, 5))):
            self.at_risk.add(len(self.lines))
            self._put(self._make_line())
        os.ftruncate(self.fd, 0)
        self.in_file = []

    def replace(self):
        """The file is deleted (a link: switched to another file) while it is read, and made anew."""
        self.finish()
        if self.linked:
            old = os.readlink(self.path)
            self._open()
            os.unlink(old)
        else:
            os.unlink(self.path)
            self._open()

    def truncate(self):
        """Cut to nothing without a copy."""
        self.finish()
        os.ftruncate(self.fd, 0)
        self.in_file = []

    def restart(self):
        """The container ends, perhaps without a newline's F, and starts again."""
        self._put(b"")
        for stream in list(self.open_parts):
            first_ns, begun = self.open_parts.pop(stream)
            self._ended(stream, first_ns, begun)
        self.number += 1
        self._open()

    def inode(self):
        return os.fstat(self.fd).st_ino

    def close(self):
        os.close(self.fd)

    def expected_copied(self):
        found = self.expected()
        return [found[i] for i in self.copied]

    def expected_at_risk(self):
        found = self.expected()
        return [found[i] for i in self.at_risk]

    def expected(self):
        """A line equal in time and text to the one before it in its stream is sent a nanosecond later than that."""
        found, last = [], {}
        for stream, ns, text in self.lines:
            before = last.get(stream)
            sent = before[1] + 1 if before and before[0] <= ns <= before[1] and before[2] == text else ns
            last[stream] = (ns, sent, text)
            found.append((stream, sent, text.decode()))
        return found
