"""Answer HTTP on the loopback address as was recorded, for servers that cannot be had as a Debian package."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import socket
import ssl
from threading import Thread
from typing import Any, NamedTuple, override


class Reply(NamedTuple):
    """Hold one answer."""

    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = {}


class Asked(NamedTuple):
    """Hold one request: method, path with query, body, and headers by lower-case names."""

    method: str
    path: str
    body: bytes
    headers: Mapping[str, str]


class RecordedServer:
    """Hold the address and what was asked; ``replies`` are by "METHOD /path", anything else is 404.

    Of several replies each is given once, the last one for ever.
    """

    def __init__(self, replies: Mapping[str, Reply | Sequence[Reply]]) -> None:
        """Take the replies."""
        self.replies = {name: [said] if isinstance(said, Reply) else list(said) for name, said in replies.items()}
        self.asked: list[Asked] = []
        self.url = ""


class _Server(ThreadingHTTPServer):
    """End its threads when it is closed, also those that wait for the next request of a connection kept open."""

    daemon_threads = False

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self._connections: set[socket.socket] = set()

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a connection that is closed under its thread is no error here."""

    @override
    def server_close(self) -> None:
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()


@contextmanager
def recorded(
    replies: Mapping[str, Reply | Sequence[Reply]], tls: ssl.SSLContext | None = None
) -> Iterator[RecordedServer]:
    """Serve replies on a free port until the end of the block; over TLS if a context is given."""
    told = RecordedServer(replies)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            told.asked.append(Asked(self.command, self.path, body, headers))
            left = told.replies.get(f"{self.command} {self.path.partition('?')[0]}", [Reply(404, "not here")])
            reply = left.pop(0) if len(left) > 1 else left[0]
            said = reply.body.encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status != 204:
                self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            if reply.status != 204:
                self.wfile.write(said)

        do_GET = do_POST = _answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = _Server(Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    told.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
