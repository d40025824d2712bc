"""The server that test_http_client asks: Python's own http.server, each path another way of answering.
Prints its port."""
import gzip
import http.server
import time



class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    requests_of_connection = 0

    def log_message(self, *args):
        pass

    def answer(self, body, *headers, length=True):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        for name, value in headers:
            self.send_header(name, value)
        if length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.requests_of_connection += 1
        path = self.path.split("?")[0]
        getattr(self, "get_" + path[1:], self.get_missing)()

    def get_missing(self):
        self.send_error(404)

    def get_count(self):
        self.answer(b"%d" % self.requests_of_connection)

    def get_headers(self):
        self.answer(str(self.headers).encode())

    def get_gzip(self):
        self.answer(gzip.compress(b"metric 1\n" * 100000), ("Content-Encoding", "gzip"))

    def get_chunked(self):
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in [b"one ", b"two ", b"three"])
        self.answer(chunks + b"0\r\n\r\n", ("Transfer-Encoding", "chunked"), length=False)

    def get_close(self):
        self.answer(b"until close", ("Connection", "close"), length=False)

    def get_cut(self):
        self.answer(b"short", ("Content-Length", "100"), length=False)
        self.close_connection = True

    def get_interim(self):
        self.send_response_only(103)
        self.end_headers()
        self.answer(b"final")

    def get_stall(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        time.sleep(60)

    def get_endless(self):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x" * 65536)
        except OSError:
            self.close_connection = True

    def get_drop(self):
        """Answers, then closes the kept connection without a word."""
        self.answer(b"%d" % self.requests_of_connection)
        self.close_connection = True

    def get_garbage(self):
        self.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n")

    def get_unknown_coding(self):
        self.answer(b"???", ("Content-Encoding", "br"))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
