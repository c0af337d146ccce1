"""The example application: says which container answers, counts, and takes its time on request.

    GET /            {"host", "address", "served", "visits"}; `visits` is kept in a cookie
    GET /?delay=0.5  the same after half a second (at most 60)
    GET /healthz     200 while it serves

SIGTERM: no new connections, requests in flight are answered, exit code 0.
"""

import json
import os
import re
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_DELAY = 60.0
_DELAY = re.compile(r"[?&]delay=(\d+(?:\.\d+)?)")
_VISITS = re.compile(r"\bvisits=(\d{1,9})\b")


class Server(ThreadingHTTPServer):
    """Counts what it has answered and what it is answering."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("", port), Handler)
        self.served = self.in_flight = 0
        self.is_stopping = False
        self.changed = threading.Condition()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away, as a health check does, is no error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def drain(self) -> None:
        """Return when no request is in flight any more."""
        with self.changed:
            self.changed.wait_for(lambda: not self.in_flight)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Wait as long as the client wants, then answer."""
        server = self.server
        with server.changed:
            server.in_flight += 1
        try:
            if delay := _DELAY.search(self.path):
                time.sleep(min(float(delay[1]), MAX_DELAY))
            self.answer()
        finally:
            with server.changed:
                server.served += 1
                server.in_flight -= 1
                server.changed.notify_all()

    def answer(self) -> None:
        """Say who answers, and how often it has."""
        visits = _VISITS.search(self.headers.get("Cookie", ""))
        count = int(visits[1]) + 1 if visits else 1
        body = json.dumps(
            {
                "host": socket.gethostname(),
                "address": self.connection.getsockname()[0],
                "served": self.server.served,
                "visits": count,
                "version": os.environ.get("APP_VERSION", ""),
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Served-By", socket.gethostname())
        self.send_header("Set-Cookie", f"visits={count}; Path=/; HttpOnly; SameSite=Lax")
        if self.server.is_stopping:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The load balancer logs requests."""


def main() -> int:
    """Serve until SIGTERM; return the exit code."""
    server = Server(int(os.environ.get("PORT", "8000")))

    def stop(*_: object) -> None:
        server.is_stopping = True
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.serve_forever(poll_interval=0.1)
    server.socket.close()
    server.drain()
    return 0


if __name__ == "__main__":
    sys.exit(main())
