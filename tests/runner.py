"""runner.py - runs the steps of tests/run and prints what passed, failed and was skipped.

Steps: unit (preset dev), style, asan, tsan, e2e. The peers of the end-to-end tests are built beside the other steps.
An end-to-end test is an executable file directly in tests/e2e; lines at its top tell how it is run:
    # needs: loki jaeger prometheus3 js ...          peers of tests/peers, or commands; what is missing skips the test
    # needs: root                          network namespaces, small volumes
    # needs: cluster                       the Kubernetes of tests/cluster, only where it is built already
    # timeout: 120                         seconds, 300 by default (three times as many with sanitizers)
    # sanitizers: yes                      run again with the programs built with sanitizers
    # alone: yes                           nothing else runs meanwhile, because it measures; others run two at a time
It runs in a session of its own with $TRIBUTARY_BUILD (folder with the programs) and $TRIBUTARY_TEST_DIR (an empty folder of its
own, removed when it passes). Logs are kept in build/test-logs.
"""

import argparse
import concurrent.futures
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import NamedTuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(ROOT, "build", "test-logs")
PEERS = os.path.join(ROOT, "tests", "peers")
E2E = os.path.join(ROOT, "tests", "e2e")
ROOT_USER = "root"
CLUSTER = "cluster"  # built by hand, tests/cluster/build: that takes longer than all the tests
PEER_NAMES = ("loki", "jaeger", "prometheus3", "node_exporter", "grpcurl", "ghz", "telemetrygen", "js", "python")
SANITIZED = ("asan", "tsan")
E2E_AT_ONCE = 2  # they wait more than they work
JOBS = str(min(os.cpu_count() or 1, 8))


class Result(NamedTuple):
    step: str
    name: str
    outcome: str  # passed, failed, skipped
    seconds: float
    reason: str = ""
    log: str = ""  # of a failure


class E2e(NamedTuple):
    name: str
    path: str
    needs: list
    timeout: int
    sanitizers: bool
    alone: bool


def say(text):
    print(text, flush=True)


def run_logged(name, argv, timeout, env=None):
    """Runs a command in a session of its own, output to a log. Returns (exit status or None when out of time, seconds, log)."""
    log_path = os.path.join(LOGS, re.sub(r"[^\w.-]", "_", name) + ".log")
    start = time.monotonic()
    if ending.is_set():
        return None, 0.0, os.devnull
    with open(log_path, "wb") as log:
        child = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                 env={**os.environ, **(env or {})}, start_new_session=True)
        running.append(child)
        try:
            status = child.wait(timeout)
        except subprocess.TimeoutExpired:
            status = None
        end_session(child)
        running.remove(child)
    return status, time.monotonic() - start, log_path


running = []  # children to end when this runner is ended
ending = threading.Event()  # then nothing more is started
saying = threading.Lock()  # a result and its log stay together


def end_session(child):
    """SIGTERM to what is left of the session, and SIGKILL five seconds later."""
    for number, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 60)):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            return
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            continue


def on_signal(number, _frame):
    ending.set()
    for child in list(running):
        end_session(child)
    sys.exit(128 + number)


def show(log_path, lines=80):
    with open(log_path, errors="replace") as f:
        tail = f.read().splitlines()[-lines:]
    say("\n".join(f"    | {line}" for line in tail))
    say(f"    whole log: {os.path.relpath(log_path, ROOT)}")


def record(results, step, name, status, seconds, log_path, timeout=None):
    """Adds a result, says it, and shows the log of a failure."""
    reason = "" if status == 0 else f"out of time after {timeout} s" if status is None else f"exit status {status}"
    result = Result(step, name, "passed" if status == 0 else "failed", seconds, reason, log_path or "")
    with saying:
        results.append(result)
        say(f"{result.outcome}  {step}: {name}  ({seconds:.1f} s){' ' + reason if reason else ''}")
        if status != 0:
            show(log_path)
    return status == 0


# ---- builds and ctest

def build(results, preset):
    """Configures and builds a preset once; True when its programs are there."""
    if preset in built:
        return built[preset]
    status, seconds, log = 0, 0.0, None
    for argv in (["cmake", "--preset", preset], ["cmake", "--build", "--preset", preset, "-j", JOBS]):
        status, more, log = run_logged(f"build-{preset}", argv, 1800)
        seconds += more
        if status != 0:
            break
    built[preset] = record(results, preset, f"builds with preset {preset}", status, seconds, log, 1800)
    return built[preset]


built = {}
CTEST_LINE = re.compile(r"^\s*\d+/\d+ Test\s+#\d+: (\S+) \.+\s*(\*\*\*)?(.*?)\s+([\d.]+) sec", re.M)
CTEST_START = re.compile(r"^\s*Start +\d+: ")


def ctest(results, step, preset, patterns):
    """Runs the unit tests and corpus replays of a built preset; one result per test."""
    argv = ["ctest", "--preset", preset, "--no-tests=error", "-j", JOBS]
    if patterns:
        argv += ["-R", "|".join(re.escape(p) for p in patterns)]
    status, seconds, log = run_logged(f"ctest-{preset}", argv, 1200, sanitizer_options())
    with open(log, errors="replace") as f:
        text = f.read()
    found = list(CTEST_LINE.finditer(text))
    for at, match in enumerate(found):
        name, bad, words, took = match.groups()
        outcome = "skipped" if "Skipped" in words else "failed" if bad else "passed"
        said = keep_part(f"ctest-{preset}-{name}", text[match.start():found[at + 1].start() if at + 1 < len(found) else None]) if bad else ""
        results.append(Result(step, name, outcome, float(took), words if outcome != "passed" else "", said))
    failed = [r.name for r in results if r.step == step and r.outcome == "failed"]
    say(f"{step}: {len(found)} unit tests and corpus replays, {len(failed)} failed ({seconds:.1f} s)")
    if status != 0:
        show(log, 200)
        if not failed:
            results.append(Result(step, "ctest", "failed", seconds, "out of time" if status is None else f"exit status {status}"))


def keep_part(name, text):
    """Keeps what one test of a ctest run said in a log of its own."""
    path = os.path.join(LOGS, name + ".log")
    with open(path, "w") as f:
        f.writelines(line for line in text.splitlines(True) if not CTEST_START.match(line))
    return path


def sanitizer_options():
    suppressions = os.path.join(ROOT, "tests", "tsan.supp")
    extra = f":suppressions={suppressions}" if os.path.exists(suppressions) else ""
    return {"UBSAN_OPTIONS": "print_stacktrace=1", "TSAN_OPTIONS": "halt_on_error=0" + extra}


def unit(results, preset, step, patterns):
    if build(results, preset):
        ctest(results, step, preset, patterns)


# ---- style

def style(results, patterns):
    git = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.c", "*.h"]
    sources = [f for f in subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
               if ".pb-c." not in f and os.path.exists(os.path.join(ROOT, f))]
    checks = {
        "formatted as .clang-format says": ["clang-format-14", "--dry-run", "-Werror", "--style=file", *sources],
        "includes flow one way": [os.path.join(ROOT, "tests", "layers")],
        "the layer check finds what it looks for": [os.path.join(ROOT, "tests", "layers"), "--selftest"],
    }
    for name, argv in checks.items():
        if matches(name, patterns):
            status, seconds, log = run_logged("style-" + name, argv, 300)
            record(results, "style", name, status, seconds, log, 300)


# ---- end to end

def header(path):
    """The `# key: value` lines at the top of a test."""
    found = {}
    with open(path, errors="replace") as f:
        for line in f:
            if not line.startswith("#"):
                break
            match = re.match(r"#\s*(needs|timeout|sanitizers|alone):\s*(.*?)\s*$", line)
            if match:
                found[match[1]] = match[2]
    return found


def e2e_tests(patterns):
    tests = []
    for name in sorted(os.listdir(E2E)):
        path = os.path.join(E2E, name)
        if os.path.isfile(path) and os.access(path, os.X_OK) and matches(name, patterns):
            head = header(path)
            tests.append(E2e(name, path, head.get("needs", "").split(), int(head.get("timeout", 300)),
                             head.get("sanitizers", "no") == "yes", head.get("alone", "no") == "yes"))
    return tests


def is_there(need):
    if need == CLUSTER:
        return subprocess.run([os.path.join(ROOT, "tests", "cluster", "ready")], stdout=subprocess.DEVNULL, check=False).returncode == 0
    if need == ROOT_USER:
        return os.geteuid() == 0
    if need in PEER_NAMES:
        return subprocess.run([os.path.join(PEERS, "path"), need], stdout=subprocess.DEVNULL, check=False).returncode == 0
    return shutil.which(need) is not None


def e2e_one(results, test, preset):
    step = "e2e" if preset == "dev" else f"e2e {preset}"
    missing = [need for need in test.needs if not is_there(need)]
    if missing:
        outcome = "failed" if os.environ.get("TRIBUTARY_REQUIRE_PEERS") == "1" and missing != [CLUSTER] else "skipped"
        reason = f"missing: {', '.join(missing)}" + (
            " (tests/cluster/build builds it once, in about 10 minutes)" if CLUSTER in missing else "")
        with saying:
            results.append(Result(step, test.name, outcome, 0.0, reason))
            say(f"{outcome}  {step}: {test.name}: {reason}")
        return
    folder = tempfile.mkdtemp(prefix="tributary-e2e-")
    timeout = test.timeout * (3 if preset in SANITIZED else 1)
    env = {"TRIBUTARY_BUILD": os.path.join(ROOT, "build", preset), "TRIBUTARY_TEST_DIR": folder, "PYTHONUNBUFFERED": "1",
           "PYTHONDONTWRITEBYTECODE": "1"}
    status, seconds, log = run_logged(f"{step}-{test.name}", [test.path], timeout, env)
    if record(results, step, test.name, status, seconds, log, timeout):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        keep_logs(folder, log)


def keep_logs(folder, log):
    """The logs and configs of a failed test's processes are kept, its data is not."""
    kept = log.removesuffix(".log") + ".files"
    shutil.rmtree(kept, ignore_errors=True)
    for base, _, names in os.walk(folder):
        for name in names:
            if name.endswith((".log", ".yaml", ".yml")) and "pods" not in os.path.relpath(base, folder).split(os.sep):
                target = os.path.join(kept, os.path.relpath(base, folder))
                os.makedirs(target, exist_ok=True)
                shutil.copy(os.path.join(base, name), target)
    shutil.rmtree(folder, ignore_errors=True)
    say(f"    logs of its processes: {os.path.relpath(kept, ROOT)}")


def e2e(results, patterns, presets, peers):
    tests = e2e_tests(patterns)
    if not all([build(results, preset) for preset in presets]):
        say("some programs are not built: the end-to-end tests that need them will fail")
    wait_for_peers(results, peers)
    runs = [(test, preset) for test in tests for preset in presets if preset == "dev" or test.sanitizers]
    with concurrent.futures.ThreadPoolExecutor(E2E_AT_ONCE) as pool:
        list(pool.map(lambda run: e2e_one(results, *run), [run for run in runs if not run[0].alone]))
    for run in runs:
        if run[0].alone:
            e2e_one(results, *run)


# ---- peers

def start_peers(patterns):
    """Begins to build the peers that the chosen tests need; None when all are there."""
    needed = sorted({need for test in e2e_tests(patterns) for need in test.needs if need in PEER_NAMES})
    missing = [need for need in needed if not is_there(need)]
    if not missing:
        return None
    say(f"building peers in the background: {' '.join(missing)}")
    log = open(os.path.join(LOGS, "peers.log"), "wb")
    child = subprocess.Popen([os.path.join(PEERS, "build"), *missing], stdin=subprocess.DEVNULL, stdout=log,
                             stderr=subprocess.STDOUT, start_new_session=True)
    running.append(child)
    return child


def wait_for_peers(results, child):
    if child is None:
        return
    start = time.monotonic()
    if child.poll() is None:
        say("waiting for the peers")
    status = child.wait()
    running.remove(child)
    log = os.path.join(LOGS, "peers.log")
    with open(log, errors="replace") as f:
        lines = [line for line in f.read().splitlines() if line.startswith("peer ")]
    say("\n".join("    " + line for line in lines))
    if status != 0 and os.environ.get("TRIBUTARY_REQUIRE_PEERS") == "1":
        record(results, "e2e", "peers are built", status, time.monotonic() - start, log)


# ---- the whole

def matches(name, patterns):
    return not patterns or any(p in name for p in patterns)


def report(results):
    """The table, and the counts as the last line."""
    say("\nstep       outcome      s  test")
    for r in results:
        say(f"{r.step:<9}  {r.outcome:<7} {r.seconds:>6.1f}  {r.name}{'  [' + r.reason + ']' if r.reason else ''}")
    for r in results:
        if r.outcome == "failed" and r.log:
            say(f"\nthe end of what {r.step}: {r.name} said")
            show(r.log, 15)
    counts = {o: sum(r.outcome == o for r in results) for o in ("passed", "failed", "skipped")}
    say("")
    for step in dict.fromkeys(r.step for r in results):
        mine = [r for r in results if r.step == step]
        say(f"{step:<9}  " + ", ".join(f"{sum(r.outcome == o for r in mine)} {o}" for o in counts)
            + f"  ({sum(r.seconds for r in mine):.0f} s)")
    say(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or not counts["passed"] else 0


def main():
    parser = argparse.ArgumentParser(prog="tests/run", description="Runs the tests.")
    parser.add_argument("--only", action="append", choices=["unit", "style", "asan", "tsan", "e2e"], help="run this step (repeatable)")
    parser.add_argument("patterns", nargs="*", metavar="NAME", help="run only tests whose name contains this")
    options = parser.parse_args()
    steps = options.only or ["unit", "style", "asan", "tsan", "e2e"]
    os.makedirs(LOGS, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    results = []
    peers = start_peers(options.patterns) if "e2e" in steps else None
    if "unit" in steps:
        unit(results, "dev", "unit", options.patterns)
    if "style" in steps:
        style(results, options.patterns)
    for preset in SANITIZED:
        if preset in steps:
            unit(results, preset, preset, options.patterns)
    if "e2e" in steps:
        wanted = e2e_tests(options.patterns)
        sanitized = SANITIZED if any(t.sanitizers for t in wanted) and not options.only else [s for s in steps if s in SANITIZED]
        e2e(results, options.patterns, ["dev", *sanitized], peers)
    return report(results)


if __name__ == "__main__":
    sys.exit(main())
