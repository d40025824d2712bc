"""A plain HTTP request without exceptions for statuses: fetch(url) -> Answer(status, headers, body).

Raises OSError or http.client.HTTPException when no answer came. `headers` of an answer are found without regard to case."""

import http.client
import json as _json
import urllib.parse
from typing import NamedTuple


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self):
        return self.body.decode(errors="replace")

    def json(self):
        return _json.loads(self.body)


def fetch(url, body=None, headers=None, method=None, params=None, timeout=30):
    """GET, or POST when there is a body; one connection per call. `params` is encoded into the URL."""
    parts = urllib.parse.urlsplit(url)
    path = parts.path or "/"
    query = urllib.parse.urlencode(params or {}, doseq=True) or parts.query
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request(method or ("GET" if body is None else "POST"), path + ("?" + query if query else ""), body=body,
                           headers=headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def fetch_json(url, params=None, timeout=60):
    """GET that must answer 200 with JSON; ValueError otherwise (which wait_for takes as "not yet")."""
    answer = fetch(url, params=params, timeout=timeout)
    if answer.status != 200:
        raise ValueError(f"{url} answered {answer.status}: {answer.text[:500]}")
    return answer.json()
