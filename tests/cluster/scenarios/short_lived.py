"""Pods that write 1,000 lines when they are told to end, and are gone at once: the last line has no newline."""

from concurrent.futures import ThreadPoolExecutor

import writers
from cluster import kubectl

PODS, LINES = 10, 1000


def end(writer):
    writers.wait_phase(writer.name, ("Running",))
    kubectl("-n", "shop", "delete", "pod", writer.name, "--grace-period=1")


def run():
    short = [writers.Writer(f"short{i}", LINES, 0, 100, "open-end", "at-term") for i in range(PODS)]
    writers.start(short)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(end, short))
    more = [writer.check(150) for writer in short]
    print(f"{PODS} pods of {LINES} lines, deleted while they wrote: none missing, {sum(more)} twice")
