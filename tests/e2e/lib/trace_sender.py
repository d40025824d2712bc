"""A client that sends traces over OTLP/HTTP, one after the other, each again until it is answered 200, as an SDK does.

    sender = TraceSender(agent.otlp_url, 0).start()    # number: no two senders of a test share one
    sender.count, sender.repeats                       # traces answered 200; requests sent again
    ids = sender.stop()                                # trace ids (hex) that were answered 200
"""

import threading
import time

from .http_client import fetch


def _field(number, data):
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


def trace_request(n, service=b"shop"):
    """An ExportTraceServiceRequest with one span, whose ids are n."""
    now = time.time_ns()
    name = _field(1, _field(1, b"service.name") + _field(2, _field(1, service)))
    times = b"".join(bytes([k << 3 | 1]) + (now + k).to_bytes(8, "little") for k in (7, 8))
    span = _field(1, n.to_bytes(16, "big")) + _field(2, n.to_bytes(8, "big")) + _field(5, b"buy") + times
    return _field(1, _field(1, name) + _field(2, _field(2, span)))


class TraceSender(threading.Thread):
    def __init__(self, url, number, pause=0.05):
        super().__init__(daemon=True)
        self.url, self.base, self.pause = url, (number + 1) * 10**6, pause
        self.count = self.repeats = 0
        self.ended = threading.Event()

    def start(self):
        super().start()
        return self

    def stop(self):
        self.ended.set()
        self.join()
        return [f"{n:032x}" for n in range(self.base, self.base + self.count)]

    def run(self):
        while not self.ended.is_set():
            request, taken = trace_request(self.base + self.count), False
            while not taken and not self.ended.is_set():
                taken = self._is_taken(request)
                self.repeats += not taken
                if not taken:
                    self.ended.wait(0.2)
            self.count += taken
            self.ended.wait(self.pause)

    def _is_taken(self, request):
        try:
            return fetch(self.url, request, {"Content-Type": "application/x-protobuf"}, timeout=15).status == 200
        except Exception:  # pylint: disable=broad-except
            return False
