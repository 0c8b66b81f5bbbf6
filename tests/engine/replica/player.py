"""Play recorded answers over real HTTP, one after the other, and keep what was asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
import threading
from typing import override
from urllib.parse import parse_qs


@dataclass(slots=True)
class Player:
    """Be where recordings are played: ``answers`` are status and body, ``asked`` the scripts or statements."""

    url: str
    answers: list[tuple[int, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    requests: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def playing() -> Iterator[Player]:
    """Run a server on the loopback address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            player.asked.append(json.loads(body)["query"] if body.startswith("{") else parse_qs(body)["q"][0])
            player.requests.append((self.path, self.headers["Authorization"]))
            status, answer = player.answers.pop(0)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer.encode())

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    player = Player(url=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield player
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
