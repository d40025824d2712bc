"""Folders, ports and child processes of a test.

    workdir("loki")     a folder of this test, made if needed (under $TRIBUTARY_TEST_DIR, else a temporary one)
    free_port()         a TCP port that stays this test's own until it ends, for a server to listen on again and again
    Process(...)        a child: start, stop (SIGTERM), kill (SIGKILL), signal, restart, log, resident memory

Children never outlive the test: they are killed at its exit, at SIGTERM and SIGINT, and by the kernel if it is killed.
Processes may be started and stopped from any thread.
"""

import atexit
import fcntl
import os
import queue
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

_children = []
_port_locks = []
_root = None


def workdir(*names):
    """The test's own folder, or a folder in it; created."""
    global _root
    if _root is None:
        _root = os.environ.get("TRIBUTARY_TEST_DIR")
        if not _root:
            _root = tempfile.mkdtemp(prefix="tributary-test-")
            atexit.register(shutil.rmtree, _root, ignore_errors=True)
    path = os.path.join(_root, *names)
    os.makedirs(path, exist_ok=True)
    return path


def free_port():
    """A port below the range of outgoing connections, so that nobody takes it while its server is restarted."""
    locks = os.path.join(tempfile.gettempdir(), f"tributary-test-ports-{os.getuid()}")
    os.makedirs(locks, exist_ok=True)
    while True:
        port = random.randrange(10000, 32000)
        lock = open(os.path.join(locks, str(port)), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _port_locks.append(lock)
        return port


class _Spawner(threading.Thread):
    """Starts all children from one thread that lives as long as the test: the kernel's parent-death signal is tied to the thread."""

    def __init__(self):
        super().__init__(daemon=True, name="spawner")
        self.jobs = queue.Queue()
        self.start()

    def run(self):
        while True:
            args, kwargs, done = self.jobs.get()
            try:
                done.put(subprocess.Popen(*args, **kwargs))
            except OSError as e:
                done.put(e)

    def popen(self, *args, **kwargs):
        done = queue.Queue()
        self.jobs.put((args, kwargs, done))
        result = done.get()
        if isinstance(result, OSError):
            raise result
        return result


_spawner = None


class Process:
    """A child process; its output goes to FOLDER/NAME.log, across restarts."""

    def __init__(self, name, argv, folder, env=None):
        self.name = name
        self.argv = argv
        self.folder = folder
        self.env = env or {}
        self.log_path = os.path.join(folder, name + ".log")
        self.child = None
        os.makedirs(folder, exist_ok=True)

    def start(self):
        """Starts it without waiting for readiness."""
        global _spawner
        assert not self.running(), f"{self.name} is already running"
        if _spawner is None:
            _spawner = _Spawner()
        with open(self.log_path, "ab") as log:
            self.child = _spawner.popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self.env}, start_new_session=True)
        if self not in _children:
            _children.append(self)
        return self

    def running(self):
        return self.child is not None and self.child.poll() is None

    def check_running(self):
        """Raises with the end of its log when it has ended."""
        if not self.running():
            code = self.child.returncode if self.child else None
            raise AssertionError(f"{self.name} is not running (exit {code}); its log ends:\n{self.log_text()[-4000:]}")

    @property
    def pid(self):
        return self.child.pid

    def signal(self, number):
        os.kill(self.child.pid, number)

    def stop(self, timeout=30):
        """SIGTERM; returns the exit status. Killed, and an AssertionError raised, when it has not ended in time."""
        if self.child is None:
            return None
        if self.running():
            self.signal(signal.SIGTERM)
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {timeout} s of SIGTERM; its log ends:\n"
                                 f"{self.log_text()[-4000:]}") from None

    def kill(self):
        """SIGKILL to it and what it started; returns when it is gone."""
        if self.running():
            try:
                os.killpg(self.child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.child.wait()

    def log_text(self):
        try:
            with open(self.log_path, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def rss_kb(self):
        """VmRSS in kB."""
        with open(f"/proc/{self.pid}/status") as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        raise OSError(f"{self.name} has no VmRSS")


def kill_all():
    """Kills every child that still runs."""
    for process in _children:
        process.kill()


def _on_signal(number, _frame):
    kill_all()
    os._exit(128 + number)


atexit.register(kill_all)
if threading.current_thread() is threading.main_thread():
    for _number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(_number, _on_signal)


def fail_missing(what):
    """Ends the test with a message that a peer or program is not on this machine."""
    sys.exit(f"missing: {what}")
