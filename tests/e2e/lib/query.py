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
    These search the last day and one hour ahead unless told otherwise. Loki adds labels of its own to what it returns
    (service_name, detected_level).
Jaeger:
    jaeger_trace(jaeger, trace_id) -> [span as in its JSON API], [] when unknown
    jaeger_services(jaeger)        -> [name, ...]
"""

import os
import time
from typing import NamedTuple

from .http_client import fetch, fetch_json

PAGE = 5000  # the most lines one Loki query returns by default


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


def _loki_page(loki, query, start_ns, end_ns):
    params = {"query": query, "start": start_ns, "end": end_ns, "limit": PAGE, "direction": "forward"}
    streams = fetch_json(loki.url + "/loki/api/v1/query_range", params)["data"]["result"]
    found = [Line(frozenset(s["stream"].items()), int(v[0]), v[1]) for s in streams for v in s["values"]]
    return sorted(found, key=lambda line: line.ns)


def loki_lines(loki, selector, start_ns=None, end_ns=None):
    """All lines, however many share one time: pages by time, and a time with more lines than a page is read in parts by text."""
    at, end_ns = _span(start_ns, end_ns)
    found = []
    while True:
        page = _loki_page(loki, selector, at, end_ns)
        if len(page) < PAGE:
            return found + page
        last = page[-1].ns
        if page[0].ns == last:
            found += _lines_at(loki, selector, last)
            at = last + 1
        else:  # the page may end within the lines of one time: that time is read again from its beginning
            found += [line for line in page if line.ns < last]
            at = last


def _lines_at(loki, selector, ns, ending="", filters=""):
    """All lines of one nanosecond that end so: parted by what stands before the ending, until each part fits into a page."""
    page = _loki_page(loki, f"{selector}{filters} |~ `(?s){_regex(ending)}$`", ns, ns + 1)
    if len(page) < PAGE:
        return page
    texts = [line.text for line in page]
    common = os.path.commonprefix([text[::-1] for text in texts])[::-1]
    before = sorted({text[-len(common) - 1] for text in texts if len(text) > len(common)})
    end = _regex(common)
    found = _loki_page(loki, f"{selector}{filters} |~ `(?s)^{end}$`", ns, ns + 1)
    for one in before:
        found += _lines_at(loki, selector, ns, one + common, filters)
    found += _lines_at(loki, selector, ns, common, f"{filters} |~ `(?s).{end}$` !~ `(?s)[{_regex(before)}]{end}$`")
    if common != ending:
        found += _lines_at(loki, selector, ns, ending, f"{filters} !~ `(?s){end}$`")
    return found


def _regex(text):
    return "".join(f"\\x{{{ord(one):x}}}" for one in text)


def loki_count(loki, selector, start_ns=None, end_ns=None):
    return len(loki_lines(loki, selector, start_ns, end_ns))


def loki_streams(loki, selector):
    start, end = _span(None, None)
    return fetch_json(loki.url + "/loki/api/v1/series", {"match[]": selector, "start": start, "end": end})["data"]


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
