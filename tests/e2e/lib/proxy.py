"""A recording HTTP proxy in front of one backend, which can misbehave.

    proxy = Proxy(loki.push_url).start()      # give proxy.url to the gateway instead of loki.push_url
    proxy.records                             # [Record], each request that arrived, in order of arrival
    proxy.decoded()                           # the records of all requests that the backend accepted (2xx), flat, in order
    record.time, .path, .headers, .body, .plain (protobuf bytes), .decoded (samples, lines or spans),
          .status (answered to the client; None: none), .backend_status (None: not forwarded), .answer

What comes next, until told otherwise or for the next `times` requests, then forward again:
    proxy.forward()                           # the beginning: everything goes through
    proxy.answer(503, body=b"away", headers={"Retry-After": "1"}, times=3)    # without forwarding
    proxy.hang()                              # takes the request and never answers (released by forward() and stop())
    proxy.cut_before(times=1)                 # connection closed, backend not asked
    proxy.cut_after(times=1)                  # forwarded, stored, but the answer is thrown away: the sender is in doubt
    proxy.delay(seconds)                      # forwards after a pause
    proxy.refuse()                            # nobody listens: connection refused
    proxy.choose(function)                    # function(record) returns one of: None (forward), Fault(...)
"""

import http.client
import http.server
import select
import socket
import struct
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

from . import decode
from .process import free_port


@dataclass
class Fault:
    kind: str  # answer, hang, cut_before, cut_after, delay
    status: int = 503
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    seconds: float = 0
    times: int = None


@dataclass
class Record:
    time: float
    method: str
    path: str
    headers: object
    body: bytes
    status: int = None
    backend_status: int = None
    answer: bytes = b""
    answered: float = None  # when the answer went to the client

    @property
    def plain(self):
        return decode.plain_body(self.path, self.headers, self.body)

    @property
    def decoded(self):
        return decode.body(self.path, self.headers, self.body)


class Proxy:
    def __init__(self, backend_url, timeout=60):
        parts = urllib.parse.urlsplit(backend_url)
        self.backend = (parts.hostname, parts.port)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}{parts.path}"
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.timeout = timeout
        self.records = []
        self._fault = None
        self._choose = None
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._connections = set()
        self._server = None

    def start(self):
        """Listens (again); in force is what was chosen last."""
        if self._server is None:
            proxy = self
            handler = type("Handler", (_Handler,), {"proxy": proxy})
            self._server = _Server(("127.0.0.1", self.port), handler)
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        """Stops listening and resets every connection."""
        self._released.set()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        with self._lock:
            for connection in list(self._connections):
                _reset(connection)

    refuse = stop

    def _set(self, fault):
        with self._lock:
            self._fault, self._choose = fault, None
            self._released.set()
            self._released = threading.Event()
        self.start()

    def forward(self):
        self._set(None)

    def answer(self, status, body=b"", headers=None, times=None):
        self._set(Fault("answer", status, body, headers or {}, times=times))

    def hang(self, times=None):
        self._set(Fault("hang", times=times))

    def cut_before(self, times=None):
        self._set(Fault("cut_before", times=times))

    def cut_after(self, times=None):
        self._set(Fault("cut_after", times=times))

    def delay(self, seconds, times=None):
        self._set(Fault("delay", seconds=seconds, times=times))

    def choose(self, function):
        self._set(None)
        self._choose = function

    def accepted(self):
        """The requests that the backend answered with 2xx, whether or not the client got to know."""
        return [r for r in list(self.records) if r.backend_status is not None and r.backend_status // 100 == 2]

    def decoded(self):
        return [one for record in self.accepted() for one in record.decoded]

    def clear(self):
        with self._lock:
            self.records.clear()

    def _arrived(self, record):
        """Records the request and takes the fault that is due for it."""
        with self._lock:
            self.records.append(record)
            fault, choose, released = self._fault, self._choose, self._released
            if fault and fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._fault = None
        return (choose(record) if choose else fault), released


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # a client that goes away is nothing to report


def _reset(connection):
    """Closes with a reset, so that the other side does not take it for an orderly end."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
    except OSError:
        pass
    try:
        connection.close()
    except OSError:
        pass


def _is_readable(sock):
    """A connection that is idle and readable was closed by the backend."""
    return bool(select.select([sock], [], [], 0)[0])


_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection", "content-length", "host",
        "expect"}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy = None
    upstream = None

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.proxy._lock:
            self.proxy._connections.add(self.connection)

    def finish(self):
        with self.proxy._lock:
            self.proxy._connections.discard(self.connection)
        if self.upstream:
            self.upstream.close()
        try:
            super().finish()
        except OSError:
            pass

    def log_message(self, *_):
        pass

    def do_POST(self):
        record = Record(time.time(), self.command, self.path, self.headers, self._read_body())
        fault, released = self.proxy._arrived(record)
        kind = fault.kind if fault else None
        if kind == "answer":
            return self._reply(record, fault.status, fault.headers.items(), fault.body)
        if kind == "hang":
            released.wait()
            return self._cut()
        if kind == "cut_before":
            return self._cut()
        if kind == "delay":
            released.wait(fault.seconds)
        try:
            status, headers, body = self._forward(record)
        except (OSError, http.client.HTTPException):
            return self._cut()
        record.backend_status, record.answer = status, body
        if kind == "cut_after":
            return self._cut()
        return self._reply(record, status, headers, body)

    def do_GET(self):
        """A look at the backend's own metrics goes through unseen: nothing is pushed by it."""
        if self.path != "/metrics":
            return self.do_POST()
        record = Record(time.time(), self.command, self.path, self.headers, b"")
        try:
            return self._reply(record, *self._forward(record))
        except (OSError, http.client.HTTPException):
            return self._cut()

    do_PUT = do_DELETE = do_POST

    def _read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(pieces)
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the client went away within the request")  # no server takes what was cut off
        return body

    def _forward(self, record):
        headers = {k: v for k, v in record.headers.items() if k.lower() not in _HOP}
        if self.upstream is None or self.upstream.sock is None or _is_readable(self.upstream.sock):
            self.upstream = http.client.HTTPConnection(*self.proxy.backend, timeout=self.proxy.timeout)
        try:
            self.upstream.request(record.method, record.path, record.body or None, headers)
            response = self.upstream.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            self.upstream.close()
            raise
        return response.status, [(k, v) for k, v in response.getheaders() if k.lower() not in _HOP], body

    def _reply(self, record, status, headers, body):
        record.status, record.answer, record.answered = status, body, time.time()
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def _cut(self):
        self.close_connection = True
        _reset(self.connection)
