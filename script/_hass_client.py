"""Talk to a running Home Assistant over its public HTTP and websocket API.

Used by `script/demo` and by the container start test. Only the standard library is used, so that it runs with
a plain Python beside a container as well as inside the project's environment. Everything here is blocking and
meant for one thread; every call is bounded by a timeout in seconds.
"""

import base64
from collections.abc import Iterable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
import json
import os
import secrets
import socket
import ssl
import struct
import time
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

type Json = Any
"""Decoded JSON; the shape is the API's, so the caller narrows it."""

ONBOARDING_STEPS = ("core_config", "analytics", "integration")
"""The steps after the user step, in the order in which HA's own frontend takes them."""

_TRANSPORT_ERRORS = (OSError, HTTPException)
_OP_TEXT, _OP_CLOSE, _OP_PING, _OP_PONG = 0x1, 0x8, 0x9, 0xA
_MAX_FRAME = 64 * 1024 * 1024
_KEEP_ALIVE_S = 20.0  # HA's web server drops idle connections after 75 s; a POST must not meet a dropped one


class HassApiError(Exception):
    """Report a refused or failed request.

    `status` is the HTTP status (0 when no answer came or a websocket command failed), `body` the decoded answer.
    """

    def __init__(self, message: str, *, status: int = 0, body: Json = None) -> None:
        """Keep the answer beside the message."""
        super().__init__(message)
        self.status = status
        self.body = body


class HassClient:
    """Hold one login at one Home Assistant.

    `base_url` is for example `http://127.0.0.1:8123`; `token` an access token (long-lived or not) if there is one
    already. `timeout` bounds each single request, in seconds.
    """

    def __init__(self, base_url: str, token: str | None = None, *, timeout: float = 60.0) -> None:
        """Remember where to call; nothing is sent yet."""
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an http(s) URL: {base_url!r}")
        self.base_url = f"{parts.scheme}://{parts.netloc}"
        self.token = token
        self.timeout = timeout
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port or (443 if self._secure else 80)
        self._connection: HTTPConnection | None = None
        self._last_used = 0.0

    def __enter__(self) -> Self:
        """Return the client; `close` runs at the end of the block."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the kept connection."""
        self.close()

    def close(self) -> None:
        """Close the kept connection; a later request opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- plain requests -------------------------------------------------------------------------------------------

    def request(self, method: str, path: str, body: Json = None, *, timeout: float | None = None) -> Json:
        """Send one JSON request and return the decoded answer (text when it is not JSON, None when empty).

        Raises HassApiError for a status of 400 and above and when no answer comes.
        """
        payload = None if body is None else json.dumps(body).encode()
        return self._send(method, path, payload, "application/json", timeout)

    def get(self, path: str) -> Json:
        """Return the answer to a GET request."""
        return self.request("GET", path)

    def post(self, path: str, body: Json = None) -> Json:
        """Return the answer to a POST request with a JSON body."""
        return self.request("POST", path, {} if body is None else body)

    def wait_ready(self, timeout: float = 120.0, *, running: bool = False) -> None:
        """Wait until HA answers on its API, at most `timeout` seconds; raise HassApiError when it does not.

        Without a token "ready" means that the onboarding view answers or, on an onboarded home, that the login
        providers are served. With `running` (needs a token) it also means that start-up is over.
        """
        deadline = time.monotonic() + timeout
        problem = "no answer"
        while time.monotonic() < deadline:
            try:
                problem = self._not_ready(running=running)
            except HassApiError as err:
                problem = str(err)
            if not problem:
                return
            time.sleep(0.2)
        raise HassApiError(f"Home Assistant at {self.base_url} was not ready within {timeout:g} s: {problem}")

    # -- onboarding -----------------------------------------------------------------------------------------------

    def onboarding(self) -> dict[str, bool]:
        """Return each onboarding step and whether it is done; an onboarded home without the view gives {}."""
        try:
            steps = self.get("/api/onboarding")
        except HassApiError as err:
            if err.status == 404:
                return {}
            raise
        return {step["step"]: bool(step["done"]) for step in steps}

    def onboard(
        self,
        *,
        name: str = "HomeIQ demo",
        username: str = "homeiq",
        password: str | None = None,
        language: str = "en",
        steps: Iterable[str] = ONBOARDING_STEPS,
        long_lived: bool = True,
    ) -> str:
        """Create the owner, take the onboarding steps and return an access token, which the client then uses.

        The token is a long-lived one (one year), or with `long_lived=False` the session's own (30 minutes). The
        step `core_config` makes HA start the flows of its default integrations (met, radio_browser, ...); leave
        it out of `steps` where HA must not fetch their requirements. Raises HassApiError, with status 403 when
        the owner exists already.
        """
        client_id = f"{self.base_url}/"
        answer = self.post(
            "/api/onboarding/users",
            {
                "client_id": client_id,
                "name": name,
                "username": username,
                "password": password or secrets.token_urlsafe(18),
                "language": language,
            },
        )
        self._exchange_code(answer["auth_code"], client_id)
        for step in steps:
            body = {"client_id": client_id, "redirect_uri": client_id} if step == "integration" else {}
            self.post(f"/api/onboarding/{step}", body)
        if long_lived:
            self.token = self.long_lived_token("homeiq")
        return self._require_token()

    def login(self, username: str, password: str) -> str:
        """Log in with HA's own user and password provider and return the session's access token (30 minutes)."""
        client_id = f"{self.base_url}/"
        flow = self.post(
            "/auth/login_flow",
            {"client_id": client_id, "handler": ["homeassistant", None], "redirect_uri": client_id},
        )
        result = self.post(
            f"/auth/login_flow/{flow['flow_id']}",
            {"client_id": client_id, "username": username, "password": password},
        )
        if result.get("type") != "create_entry":
            raise HassApiError(f"login refused: {result.get('errors')}", body=result)
        return self._exchange_code(result["result"], client_id)

    def long_lived_token(self, client_name: str, *, days: int = 365) -> str:
        """Return a new long-lived access token of the logged-in user; HA refuses a second one of the same name."""
        token = self.ws_command("auth/long_lived_access_token", client_name=client_name, lifespan=days)
        if not isinstance(token, str):
            raise HassApiError("HA answered without a token", body=token)
        return token

    # -- flows and entries ----------------------------------------------------------------------------------------

    def start_flow(self, handler: str) -> Json:
        """Start the config flow of an integration and return its first step."""
        return self.post("/api/config/config_entries/flow", {"handler": handler, "show_advanced_options": False})

    def submit_flow(self, flow_id: str, data: dict[str, Json]) -> Json:
        """Answer one step of a config flow and return the next step or the result."""
        return self.post(f"/api/config/config_entries/flow/{flow_id}", data)

    def start_options_flow(self, entry_id: str) -> Json:
        """Start the options flow of an entry and return its first step."""
        return self.post("/api/config/config_entries/options/flow", {"handler": entry_id})

    def submit_options_flow(self, flow_id: str, data: dict[str, Json]) -> Json:
        """Answer one step of an options flow and return the next step or the result."""
        return self.post(f"/api/config/config_entries/options/flow/{flow_id}", data)

    def start_subentry_flow(self, entry_id: str, subentry_type: str) -> Json:
        """Start the flow that adds a subentry to an entry and return its first step."""
        return self.post("/api/config/config_entries/subentries/flow", {"handler": [entry_id, subentry_type]})

    def submit_subentry_flow(self, flow_id: str, data: dict[str, Json]) -> Json:
        """Answer one step of a subentry flow and return the next step or the result."""
        return self.post(f"/api/config/config_entries/subentries/flow/{flow_id}", data)

    def entries(self, domain: str) -> list[dict[str, Json]]:
        """Return the config entries of an integration as HA's own settings page gets them."""
        found = self.get(f"/api/config/config_entries/entry?{urlencode({'domain': domain})}")
        return list(found)

    def entry(self, domain: str) -> dict[str, Json] | None:
        """Return the first config entry of an integration (keys entry_id, state, reason, ...), or None."""
        found = self.entries(domain)
        return found[0] if found else None

    def wait_entry_loaded(self, domain: str, timeout: float = 60.0) -> dict[str, Json]:
        """Return the entry of an integration once its state is `loaded`; raise HassApiError after `timeout` s."""
        deadline = time.monotonic() + timeout
        entry = self.entry(domain)
        while time.monotonic() < deadline:
            if entry is not None and entry["state"] == "loaded":
                return entry
            time.sleep(0.2)
            entry = self.entry(domain)
        state = "absent" if entry is None else f"{entry['state']} ({entry.get('reason')})"
        raise HassApiError(f"the entry of {domain} is {state} after {timeout:g} s", body=entry)

    # -- states and services --------------------------------------------------------------------------------------

    def states(self) -> list[dict[str, Json]]:
        """Return all states."""
        return list(self.get("/api/states"))

    def state(self, entity_id: str) -> dict[str, Json] | None:
        """Return one state, or None when the entity has none."""
        try:
            return dict(self.get(f"/api/states/{entity_id}"))
        except HassApiError as err:
            if err.status == 404:
                return None
            raise

    def set_state(self, entity_id: str, state: str, attributes: dict[str, Json] | None = None) -> Json:
        """Set a state in HA's state machine, as an integration would."""
        return self.post(f"/api/states/{entity_id}", {"state": state, "attributes": attributes or {}})

    def call_service(
        self,
        domain: str,
        service: str,
        data: dict[str, Json] | None = None,
        *,
        return_response: bool = False,
        timeout: float | None = None,
    ) -> Json:
        """Call a service, wait for its end and return the changed states.

        With `return_response` the service's own response is returned instead. Bad input makes HA answer 400 and
        raises HassApiError; the message HA gave is in it.
        """
        path = f"/api/services/{domain}/{service}" + ("?return_response" if return_response else "")
        answer = self.request("POST", path, data or {}, timeout=timeout)
        return answer["service_response"] if return_response else answer

    def stop(self) -> None:
        """Ask HA to stop; it may close the connection before it answers."""
        try:
            self.call_service("homeassistant", "stop")
        except HassApiError as err:
            if err.status:
                raise
        finally:
            self.close()

    # -- websocket ------------------------------------------------------------------------------------------------

    def ws_command(self, command: str, *, timeout: float | None = None, **fields: Json) -> Json:
        """Send one websocket command over its own short connection and return its result.

        Raises HassApiError when HA refuses the login or the command. Subscriptions need more than this offers.
        """
        with _WebSocket(self._open_socket(timeout), f"{self._host}:{self._port}") as ws:
            ws.receive()  # auth_required
            ws.send({"type": "auth", "access_token": self._require_token()})
            login = ws.receive()
            if login.get("type") != "auth_ok":
                raise HassApiError(f"websocket login refused: {login.get('message')}", body=login)
            ws.send({"id": 1, "type": command, **fields})
            answer = ws.receive()
            while answer.get("id") != 1 or answer.get("type") != "result":
                answer = ws.receive()
        if not answer.get("success"):
            raise HassApiError(f"{command} failed: {answer.get('error')}", body=answer)
        return answer.get("result")

    # -- inside ---------------------------------------------------------------------------------------------------

    def _require_token(self) -> str:
        if self.token is None:
            raise HassApiError("not logged in: call onboard() or login() first, or give a token")
        return self.token

    def _exchange_code(self, code: str, client_id: str) -> str:
        form = urlencode({"grant_type": "authorization_code", "code": code, "client_id": client_id}).encode()
        answer = self._send("POST", "/auth/token", form, "application/x-www-form-urlencoded", None)
        self.token = answer["access_token"]
        return self._require_token()

    def _not_ready(self, *, running: bool) -> str:
        if not running:
            if self.onboarding() or self.get("/auth/providers"):
                return ""
            return "neither onboarding nor login is served yet"
        state = self.get("/api/config")["state"]
        return "" if state == "RUNNING" else f"state is {state}"

    def _connect(self, timeout: float) -> HTTPConnection:
        now = time.monotonic()
        if now - self._last_used > _KEEP_ALIVE_S:
            self.close()
        self._last_used = now
        if self._connection is None:
            kind = HTTPSConnection if self._secure else HTTPConnection
            self._connection = kind(self._host, self._port, timeout=timeout)
        self._connection.timeout = timeout
        if self._connection.sock is not None:
            self._connection.sock.settimeout(timeout)
        return self._connection

    def _send(self, method: str, path: str, payload: bytes | None, kind: str, timeout: float | None) -> Json:
        headers = {"Accept": "application/json"}
        if payload is not None:
            headers["Content-Type"] = kind
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        connection = self._connect(timeout or self.timeout)
        try:
            connection.request(method, path, body=payload, headers=headers)
            response = connection.getresponse()
            raw = response.read()
        except _TRANSPORT_ERRORS as err:
            self.close()
            raise HassApiError(f"{method} {path}: {type(err).__name__}: {err}") from err
        body = _decode(raw, response.headers.get_content_type())
        if response.status >= 400:
            raise HassApiError(f"{method} {path}: {response.status} {body}", status=response.status, body=body)
        return body

    def _open_socket(self, timeout: float | None) -> socket.socket:
        try:
            plain = socket.create_connection((self._host, self._port), timeout=timeout or self.timeout)
        except OSError as err:
            raise HassApiError(f"websocket: {err}") from err
        if not self._secure:
            return plain
        return ssl.create_default_context().wrap_socket(plain, server_hostname=self._host)


class _WebSocket:
    """Speak the few parts of RFC 6455 that a single command needs: text frames, ping and close."""

    def __init__(self, sock: socket.socket, host: str) -> None:
        """Do the opening handshake on a connected socket."""
        self._sock = sock
        self._buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall(
            f"GET /api/websocket HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            sock.close()
            raise HassApiError(f"websocket refused: {head.splitlines()[0].decode(errors='replace')}")

    def __enter__(self) -> Self:
        """Return the open connection."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the connection."""
        self._sock.close()

    def send(self, message: dict[str, Json]) -> None:
        """Send one JSON message."""
        self._frame(_OP_TEXT, json.dumps(message).encode())

    def receive(self) -> dict[str, Json]:
        """Return the next JSON message; answer pings meanwhile."""
        parts: list[bytes] = []
        while True:
            first, second = self._take(2)
            length = second & 0x7F
            if length == 126:
                (length,) = struct.unpack("!H", self._take(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self._take(8))
            if length > _MAX_FRAME:
                raise HassApiError(f"websocket: frame of {length} bytes")
            payload = self._take(length)
            opcode = first & 0x0F
            if opcode == _OP_PING:
                self._frame(_OP_PONG, payload)
            elif opcode == _OP_CLOSE:
                raise HassApiError("websocket: closed by Home Assistant")
            elif opcode != _OP_PONG:
                parts.append(payload)
                if first & 0x80:
                    return dict(json.loads(b"".join(parts)))

    def _frame(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
        mask = os.urandom(4)
        repeated = mask * (size // 4 + 1)
        masked = (int.from_bytes(payload) ^ int.from_bytes(repeated[:size])).to_bytes(size) if size else b""
        self._sock.sendall(head + mask + masked)

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._fill()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _fill(self) -> None:
        try:
            data = self._sock.recv(65536)
        except OSError as err:
            raise HassApiError(f"websocket: {err}") from err
        if not data:
            raise HassApiError("websocket: connection lost")
        self._buffer += data


def _decode(raw: bytes, content_type: str) -> Json:
    if not raw:
        return None
    text = raw.decode(errors="replace")
    return json.loads(text) if content_type == "application/json" else text
