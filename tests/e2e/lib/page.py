"""A page to scrape: a counter that goes up by one a scrape.

    page = CountingPage(series=1)         # ticks_total{k="0"} 1 ...
    CountingPage(series=2, pads=[a, b])   # ticks_total{k="0",pad=a} 1 ...
    page.address                          # host:port; each path counts for itself: /a, /b
    page.served                           # {n: time of answer}, of "/metrics"; served_at("/a")
    CountingPage(delay=lambda path: 0.2)  # seconds before the answer
"""

import http.server
import threading
import time


class CountingPage:
    def __init__(self, address="127.0.0.1", series=1, delay=lambda _: 0, pads=None):
        page = self
        self._served = {}
        labels = [f'k="{k}"' + (f',pad="{pads[k]}"' if pads else "") for k in range(series)]

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                time.sleep(delay(self.path))  # what is tested, not a wait
                served = page.served_at(self.path)
                n = len(served) + 1
                body = "".join(f"ticks_total{{{of_one}}} {n}\n" for of_one in labels).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                served[n] = time.time()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer((address, 0), Handler)
        server.handle_error = lambda *_: None  # a scraper that left
        self.address = f"{address}:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def served_at(self, path):
        return self._served.setdefault(path, {})

    @property
    def served(self):
        return self.served_at("/metrics")
