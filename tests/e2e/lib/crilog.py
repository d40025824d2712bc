"""Pod log files as a container runtime writes them, in the CRI format.

    log = PodLog(root, namespace="shop", pod="cart-7f", container="app")
    log.write("a line"); log.write("an error", stream="stderr"); log.write("long line", cut=4)   # in partial pieces of 4 bytes
    log.rotate()                      # 0.log renamed to 0.log.DATE-TIME, a new 0.log begun
    PodLog.compress(log.rotate())     # and the renamed file compressed
    log.restart()                     # the container starts again: 1.log
    with Generator([log, ...], rate=1000, total=100000): ...     # numbered lines from a thread, at a rate

Files are at ROOT/NAMESPACE_POD_UID/CONTAINER/N.log, as in /var/log/pods. Each line is written by one write(2), its time is
never the same twice in a file, and what was written is remembered in `log.written` as (ns, stream, text).
"""

import datetime
import gzip
import os
import shutil
import threading
import time
import uuid


class PodLog:
    def __init__(self, root, namespace="default", pod="pod", container="app", uid=None):
        self.namespace, self.pod, self.container = namespace, pod, container
        self.uid = uid or str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{namespace}/{pod}"))
        self.folder = os.path.join(root, f"{namespace}_{pod}_{self.uid}", container)
        os.makedirs(self.folder, exist_ok=True)
        self.number = 0
        self.written = []
        self._last_ns = 0
        self._file = None
        self._open()

    @property
    def path(self):
        return os.path.join(self.folder, f"{self.number}.log")

    def _open(self):
        if self._file:
            self._file.close()
        self._file = open(self.path, "ab", buffering=0)

    def write(self, text, stream="stdout", ns=None, cut=None):
        """One line of text (str or bytes, without newline); `cut` splits it into partial pieces of that many bytes."""
        data = text.encode() if isinstance(text, str) else text
        ns = max(ns if ns is not None else time.time_ns(), self._last_ns + 1)
        pieces = [data[i:i + cut] for i in range(0, len(data), cut)] if cut and data else [data]
        out = []
        first = ns
        for i, piece in enumerate(pieces):
            tag = "F" if i == len(pieces) - 1 else "P"
            out.append(b"%s %s %s %s\n" % (timestamp(ns + i).encode(), stream.encode(), tag.encode(), piece))
        self._last_ns = ns + len(pieces) - 1
        self._file.write(b"".join(out))
        self.written.append((first, stream, data))

    def write_many(self, texts, stream="stdout"):
        """Many lines by one write(2), times a microsecond apart from now on."""
        ns = max(time.time_ns(), self._last_ns + 1)
        out = []
        for i, text in enumerate(texts):
            data = text.encode() if isinstance(text, str) else text
            self.written.append((ns + i * 1000, stream, data))
            out.append(b"%s %s F %s\n" % (timestamp(ns + i * 1000).encode(), stream.encode(), data))
            self._last_ns = ns + i * 1000
        self._file.write(b"".join(out))

    def write_raw(self, data):
        """Bytes as they are, for torn and malformed lines; not remembered."""
        self._file.write(data)

    def rotate(self, stamp=None):
        """As the kubelet does it: the file renamed by the time, a new one under the old name. Returns the old file's new path."""
        old = f"{self.path}.{stamp or datetime.datetime.now().strftime('%Y%m%d-%H%M%S')}"
        os.rename(self.path, old)
        self._open()
        return old

    @staticmethod
    def compress(path):
        """As the kubelet does it some time after a rotation: PATH.tmp is written and becomes PATH.gz, then PATH goes."""
        with open(path, "rb") as plain, gzip.open(path + ".tmp", "wb") as packed:
            shutil.copyfileobj(plain, packed)
        os.rename(path + ".tmp", path + ".gz")
        os.unlink(path)

    def restart(self):
        """A restarted container writes to the next number."""
        self.number += 1
        self._open()

    def close(self):
        if self._file:
            self._file.close()
            self._file = None


def timestamp(ns):
    """RFC 3339 in UTC with nine digits, as containerd writes it."""
    seconds, rest = divmod(ns, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


class Generator:
    """Numbered lines ("NAME 000017 ...") into several logs in turn, from a thread, `rate` lines a second in all (None: no pause).

    Stops at `total` lines or at the end of the `with` block; join() waits for the total. `text(log, n)` makes the line."""

    def __init__(self, logs, rate=None, total=None, text=None):
        self.logs, self.rate, self.total = logs, rate, total
        self.text = text or (lambda log, n: f"{log.pod} {n:07d} the quick brown fox")
        self.count = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        start = time.monotonic()
        while not self._stop.is_set() and (self.total is None or self.count < self.total):
            log = self.logs[self.count % len(self.logs)]
            log.write(self.text(log, self.count // len(self.logs)))
            self.count += 1
            if self.rate and self.count % 10 == 0:
                self._stop.wait(max(0, start + self.count / self.rate - time.monotonic()))

    def start(self):
        self._thread.start()
        return self

    def join(self, timeout=None):
        self._thread.join(timeout)
        assert not self._thread.is_alive(), f"only {self.count} lines written within {timeout} s"

    def stop(self):
        self._stop.set()
        self._thread.join()

    __enter__ = start

    def __exit__(self, *_):
        self.stop()
