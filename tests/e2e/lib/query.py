"""What the peers have stored. Answers to pushes arrive before the data can be queried: use wait_for around these.

Prometheus (p = peers.Prometheus):
    prom_samples(p, 'metric{a="b"}', at=None, window="1h") -> {frozenset(labels.items()): [(ms, value), ...]}, every raw sample
    prom_count(p, selector, ...)  -> how many raw samples in all
    prom_query(p, expression)     -> the result of an instant query, as in its API
    prom_query_range(p, expression, start, end, step) -> the same of a range query (seconds)
    prom_series(p, selector)      -> [labels dict, ...]
Loki:
    loki_lines(loki, '{job="x"}', start_ns, end_ns) -> [Line(labels: frozenset of items, ns, text)], all of them, in order of time
    loki_count(loki, selector, start_ns, end_ns)    -> their number
    loki_streams(loki, selector)                    -> [labels dict, ...]
    loki_discarded(loki)                            -> {reason: lines} of loki_discarded_samples_total
    loki_forgotten(loki)                            -> lines that it left out of its WAL when it started
    These search the last day and one hour ahead unless told otherwise. Loki adds labels of its own to what it returns
    (service_name, detected_level).
Jaeger:
    jaeger_trace(jaeger, trace_id) -> [span as in its JSON API], [] when unknown
    jaeger_services(jaeger)        -> [name, ...]
"""

import http.client
import os
import time
from typing import NamedTuple

from .http_client import fetch, fetch_json

PAGE = 5000  # the most lines one Loki query returns by default
FEW = 10  # lines of any length that Loki accepts fit into an answer by this number


class Line(NamedTuple):
    labels: frozenset
    ns: int
    text: str


def prom_query(prometheus, expression, at=None):
    params = {"query": expression, **({"time": at} if at is not None else {})}
    return fetch_json(prometheus.url + "/api/v1/query", params)["data"]["result"]


def prom_query_range(prometheus, expression, start, end, step):
    params = {"query": expression, "start": start, "end": end, "step": step}
    return fetch_json(prometheus.url + "/api/v1/query_range", params)["data"]["result"]


def prom_samples(prometheus, selector, at=None, window="1h"):
    """Every raw sample of the selector in the window that ends `at` (seconds; one second after now by default)."""
    at = time.time() + 1 if at is None else at
    found = prom_query(prometheus, f"{selector}[{window}]", at)
    return {frozenset(s["metric"].items()): [(round(t * 1000), float(v)) for t, v in s["values"]] for s in found}


def prom_count(prometheus, selector, at=None, window="1h"):
    return sum(len(points) for points in prom_samples(prometheus, selector, at, window).values())


def prom_series(prometheus, selector, start=None, end=None):
    now = time.time()
    params = {"match[]": selector, "start": now - 86400 if start is None else start, "end": now + 3600 if end is None else end}
    return fetch_json(prometheus.url + "/api/v1/series", params)["data"]


def _span(start_ns, end_ns):
    now = time.time_ns()
    return (now - 86400 * 10**9 if start_ns is None else start_ns), (now + 3600 * 10**9 if end_ns is None else end_ns)


class _Pages:
    """Reads pages of lines in order of time, each as large as fits into the 4 MiB that Loki's own parts can hand each other: a
    larger answer never comes, Loki lets the query hang."""

    def __init__(self, loki):
        self.url = loki.url + "/loki/api/v1/query_range"
        self.limit = FEW

    def _fetch(self, query, start_ns, end_ns):
        params = {"query": query, "start": start_ns, "end": end_ns, "limit": self.limit, "direction": "forward"}
        streams = fetch_json(self.url, params, timeout=20)["data"]["result"]
        found = [Line(frozenset(s["stream"].items()), int(v[0]), v[1]) for s in streams for v in s["values"]]
        return sorted(found, key=lambda line: line.ns)

    def _read_once(self, query, start_ns, end_ns):
        try:
            page = self._fetch(query, start_ns, end_ns)
        except (OSError, http.client.HTTPException):
            if self.limit == FEW:
                raise
            self.limit = FEW
            page = self._fetch(query, start_ns, end_ns)
        is_full = len(page) >= self.limit
        longest = max((len(line.text.encode()) for line in page), default=0)
        self.limit = max(FEW, min(PAGE, 2 * 1024 * 1024 // (longest + 200), self.limit * 10))
        return page, is_full

    def read(self, query, start_ns, end_ns):
        """(lines, whether there may be more). A page that shares one time is as large as can be."""
        page, is_full = self._read_once(query, start_ns, end_ns)
        while is_full and page[0].ns == page[-1].ns and len(page) < self.limit:
            page, is_full = self._read_once(query, start_ns, end_ns)
        return page, is_full


def loki_lines(loki, selector, start_ns=None, end_ns=None):
    """All lines, however many share one time: pages by time, and a time with more lines than a page is read in parts by text."""
    at, end_ns = _span(start_ns, end_ns)
    pages, found = _Pages(loki), []
    while True:
        page, is_full = pages.read(selector, at, end_ns)
        if not is_full:
            return found + page
        last = page[-1].ns
        if page[0].ns == last:
            found += _lines_at(pages, selector, last)
            at = last + 1
        else:  # the page may end within the lines of one time: that time is read again from its beginning
            found += [line for line in page if line.ns < last]
            at = last


def _lines_at(pages, selector, ns, ending="", filters=""):
    """All lines of one nanosecond that end so: parted by what stands before the ending, until each part fits into a page."""
    page, is_full = pages.read(f"{selector}{filters} |~ `(?s){_regex(ending)}$`", ns, ns + 1)
    if not is_full:
        return page
    texts = [line.text for line in page]
    common = os.path.commonprefix([text[::-1] for text in texts])[::-1]
    before = sorted({text[-len(common) - 1] for text in texts if len(text) > len(common)})
    end = _regex(common)
    found, _ = pages.read(f"{selector}{filters} |~ `(?s)^{end}$`", ns, ns + 1)
    for one in before:
        found += _lines_at(pages, selector, ns, one + common, filters)
    found += _lines_at(pages, selector, ns, common, f"{filters} |~ `(?s).{end}$` !~ `(?s)[{_regex(before)}]{end}$`")
    if common != ending:
        found += _lines_at(pages, selector, ns, ending, f"{filters} !~ `(?s){end}$`")
    return found


def _regex(text):
    return "".join(f"\\x{{{ord(one):x}}}" for one in text)


def loki_count(loki, selector, start_ns=None, end_ns=None):
    return len(loki_lines(loki, selector, start_ns, end_ns))


def loki_streams(loki, selector):
    start, end = _span(None, None)
    return fetch_json(loki.url + "/loki/api/v1/series", {"match[]": selector, "start": start, "end": end})["data"]


def loki_forgotten(loki):
    """Lines that it left out of its WAL at its start: repeats, and those that it takes for repeats."""
    return sum(value for (name, _), value in metrics(loki.url + "/metrics").items() if name == "loki_ingester_wal_duplicate_entries_total")


def loki_discarded(loki):
    found = {}
    for (name, labels), value in metrics(loki.url + "/metrics").items():
        if name == "loki_discarded_samples_total":
            reason = dict(labels).get("reason")
            found[reason] = found.get(reason, 0) + value
    return found


def jaeger_trace(jaeger, trace_id):
    answer = fetch(f"{jaeger.url}/api/traces/{trace_id}")
    if answer.status == 404:
        return []
    if answer.status != 200:
        raise ValueError(f"Jaeger answered {answer.status}: {answer.text[:500]}")
    return [span for trace in answer.json()["data"] for span in trace["spans"]]


def jaeger_services(jaeger):
    return fetch_json(jaeger.url + "/api/services")["data"] or []


def metrics(url):
    """A page of exposition text as {(name, frozenset(labels.items())): value}."""
    answer = fetch(url)
    if answer.status != 200:
        raise ValueError(f"{url} answered {answer.status}")
    found = {}
    for line in answer.text.splitlines():
        if line and not line.startswith("#"):
            name, labels, number = _exposition_line(line)
            found[(name, frozenset(labels.items()))] = number
    return found


def _exposition_line(line):
    end = line.find("{")
    if end < 0:
        name, number = line.split()[:2]
        return name, {}, float(number)
    labels, at = {}, end + 1
    while line[at] != "}":
        equals = line.index("=", at)
        name, at, text = line[at:equals].strip(), equals + 2, []
        while line[at] != '"':
            if line[at] == "\\":
                at += 1
                text.append({"n": "\n"}.get(line[at], line[at]))
            else:
                text.append(line[at])
            at += 1
        labels[name] = "".join(text)
        at += 1
        while line[at] in ", ":
            at += 1
    return line[:end], labels, float(line[at + 1:].split()[0])
