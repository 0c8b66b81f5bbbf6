"""Put InfluxDB 2's HTTP API in front of a real influxd 1.6.7, for tests and the demo.

Debian has no InfluxDB 2. Everything that matters to a writer is influxd's own: the line-protocol parser, type
conflicts, partial writes, overwriting, InfluxQL. The face adds what 1.6.7 lacks, strictly: tokens, organisation and
bucket, version 2's names of precisions and its JSON errors. A bucket is an influxd database.

Run as a program it starts both, prints one JSON line and serves until stdin closes or SIGTERM arrives::

    python tests/servers/influx_v2_face.py --json
    {"url": …, "token": …, "org": …, "bucket": …, "read_token": …, "influxql_url": …, "pid": …, "influxd_pid": …}
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
import gzip
import json
import os
from pathlib import Path
import re
import secrets
import signal
import sys
import tempfile
import threading
from typing import Final
from urllib.parse import urlencode

from aiohttp import ClientError, ClientSession, ClientTimeout, web

if not __package__:  # Run by path, as the demo does.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.servers.debian_servers import Influxd, ServerStartError, ServersUnavailableError

_PRECISIONS: Final = {"ns": "n", "us": "u", "ms": "ms", "s": "s"}
_PREDICATE: Final = re.compile(r'\s*([\w.]+)\s*=\s*"((?:[^"\\]|\\.)*)"\s*')
_MAX_BODY: Final = 64 * 1024 * 1024
_REMEMBERED: Final = 200
_VERSION: Final = "v1.6.7-face"


@dataclass(slots=True)
class Fault:
    """Say how the next writes fail: before storing, or after it as if the answer had been lost on the way."""

    status: int
    count: int = 1
    retry_after: str | None = None
    after_storing: bool = False
    body: str | None = None


@dataclass(slots=True)
class Behaviour:
    """Say how every write is taken: not stored though 204 says so, or refused above a size of the unpacked body."""

    swallow: bool = False
    max_body: int | None = None


@dataclass(slots=True)
class Stats:
    """Count what the face has seen of writes."""

    writes: int = 0
    gzipped: int = 0
    bytes: int = 0
    refused: int = 0
    lines: list[int] = field(default_factory=list)


def _refuse(status: int, code: str, message: str) -> web.Response:
    """Answer as InfluxDB 2 does when something is wrong."""
    return web.json_response({"code": code, "message": message}, status=status)


class InfluxV2Face:
    """Serve the v2 API; async, one instance per influxd."""

    def __init__(self, influxd_url: str, *, org: str, token: str, read_token: str) -> None:
        """Take where influxd listens and who may come in; ``read_token`` may not write."""
        self._influxd_url = influxd_url
        self._org = org
        self._rights = {token: True, read_token: False}
        self._fault: Fault | None = None
        self._behaviour = Behaviour()
        self._stats = Stats()
        self._session: ClientSession | None = None
        self._runner: web.AppRunner | None = None

    async def start(self, port: int) -> int:
        """Serve on the loopback address and return the port."""
        app = web.Application(client_max_size=_MAX_BODY)
        app.add_routes([
            web.get("/health", self._health),
            web.get("/ping", self._ping),
            web.post("/api/v2/write", self._write),
            web.post("/api/v2/delete", self._guard(self._delete)),
            web.get("/api/v2/buckets", self._guard(self._buckets)),
            web.post("/api/v2/buckets", self._guard(self._new_bucket)),
            web.get("/api/v2/orgs", self._guard(self._orgs)),
            web.post("/face/token", self._set_token),
            web.get("/query", self._guard(self._query)),
            web.post("/face/fault", self._set_fault),
            web.post("/face/behaviour", self._set_behaviour),
            web.get("/face/stats", self._get_stats),
        ])  # fmt: skip
        # influxd unpacks gzip itself, so its own decoder is under test too.
        self._runner = web.AppRunner(app, auto_decompress=False, access_log=None)
        self._session = ClientSession(timeout=ClientTimeout(total=None), auto_decompress=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, shutdown_timeout=0.1)
        await site.start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def stop(self) -> None:
        """Stop serving; what hangs is cut off."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def create_bucket(self, name: str) -> None:
        """Create a bucket if it is missing."""
        await self._influxql(f"CREATE DATABASE {_identifier(name)}")

    # --- influxd ---------------------------------------------------------------------------------------------------

    async def _post(self, path: str, params: dict[str, str], body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        """Return influxd's status and its error text."""
        assert self._session is not None
        url = f"{self._influxd_url}{path}?{urlencode(params)}"
        async with self._session.post(url, data=body, headers=headers) as answer:
            text = await answer.text()
        try:
            said = json.loads(text).get("error", text)
        except ValueError, AttributeError:
            said = text
        return answer.status, said

    async def _influxql(self, statement: str) -> list[list[str]]:
        """Run one InfluxQL statement and return the rows of its first series; raises ValueError with influxd's words."""
        assert self._session is not None
        async with self._session.post(f"{self._influxd_url}/query", data={"q": statement}) as answer:
            result = (await answer.json(content_type=None))["results"][0]
        if "error" in result:
            raise ValueError(result["error"])
        return [values for series in result.get("series", [])[:1] for values in series["values"]]

    async def _databases(self) -> list[str]:
        return [row[0] for row in await self._influxql("SHOW DATABASES") if row[0] != "_internal"]

    # --- guards ----------------------------------------------------------------------------------------------------

    def _right(self, request: web.Request) -> bool | None:
        """Return whether the caller may write, None for an unknown caller."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self._rights.get(token.strip()) if scheme in {"Token", "Bearer"} else None

    def _guard(
        self, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def guarded(request: web.Request) -> web.Response:
            if self._right(request) is None:
                return _refuse(401, "unauthorized", "unauthorized access")
            return await handler(request)

        return guarded

    async def _check_write(self, request: web.Request) -> web.Response | None:
        """Return the refusal of a write or delete, None if caller, organisation and bucket are right."""
        right = self._right(request)
        org, bucket = request.query.get("org", ""), request.query.get("bucket", "")
        if right is None:
            return _refuse(401, "unauthorized", "unauthorized access")
        if not org:
            return _refuse(400, "invalid", "Please provide either orgID or org")
        if org != self._org:
            return _refuse(404, "not found", f'organization name "{org}" not found')
        if not bucket:
            return _refuse(400, "invalid", "Please provide either bucketID or bucket")
        if not right:
            return _refuse(403, "forbidden", "insufficient permissions for write")
        if bucket not in await self._databases():
            return _refuse(404, "not found", f'bucket "{bucket}" not found')
        return None

    def _take_fault(self, *, after_storing: bool) -> web.Response | None:
        """Return the planned failure for this moment, None if none is planned."""
        fault = self._fault
        if fault is None or fault.after_storing is not after_storing:
            return None
        fault.count -= 1
        if fault.count <= 0:
            self._fault = None
        headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
        body = fault.body if fault.body is not None else json.dumps({"code": "unavailable", "message": "planned fault"})
        return web.Response(status=fault.status, headers=headers, body=body.encode("latin-1", "replace"))

    def _behave(self, text: bytes) -> web.Response | None:
        """Return the answer to a write that is not passed on."""
        limit = self._behaviour.max_body
        if limit is not None and len(text) > limit:
            return _refuse(413, "request too large", f"unable to read data: points batch is too large: above {limit}")
        return web.Response(status=204) if self._behaviour.swallow else None

    # --- handlers --------------------------------------------------------------------------------------------------

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({
            "name": "influxdb", "message": "ready for queries and writes", "status": "pass", "checks": [],
            "version": _VERSION,
        })  # fmt: skip

    async def _ping(self, _request: web.Request) -> web.Response:
        return web.Response(status=204, headers={"X-Influxdb-Version": _VERSION, "X-Influxdb-Build": "OSS"})

    async def _write(self, request: web.Request) -> web.Response:
        body = await request.read()
        encoding = request.headers.get("Content-Encoding", "identity")
        self._stats.writes += 1
        self._stats.gzipped += encoding == "gzip"
        self._stats.bytes += len(body)
        text = gzip.decompress(body) if encoding == "gzip" and body.startswith(b"\x1f\x8b") else body
        self._stats.lines = [*self._stats.lines[1 - _REMEMBERED :], text.count(b"\n") + 1]
        refusal = self._take_fault(after_storing=False) or await self._check_write(request) or self._behave(text)
        precision = _PRECISIONS.get(request.query.get("precision", "ns"))
        if refusal is None and precision is None:
            refusal = _refuse(400, "invalid", "invalid precision; valid precision units are ns, us, ms, and s")
        if refusal is None and encoding not in {"identity", "gzip"}:
            refusal = _refuse(400, "invalid", f"unsupported content encoding {encoding}")
        if refusal is None:
            params = {"db": request.query["bucket"], "precision": str(precision)}
            status, said = await self._post("/write", params, body, {"Content-Encoding": encoding})
            refusal = self._take_fault(after_storing=True) or _translate_write(status, said)
        self._stats.refused += refusal.status != 204
        return refusal

    async def _delete(self, request: web.Request) -> web.Response:
        if (refusal := await self._check_write(request)) is not None:
            return refusal
        try:
            wanted = json.loads(await request.read())
            condition, measurement = _read_predicate(wanted.get("predicate", ""))
            span = f"time >= {_text(wanted['start'])} AND time <= {_text(wanted['stop'])}"
        except (ValueError, KeyError, TypeError) as err:
            return _refuse(400, "invalid", f"invalid delete request: {err}")
        source = f" FROM {_identifier(measurement)}" if measurement else ""
        statement = f"DELETE{source} WHERE {' AND '.join([span, *condition])}"
        params = {"db": request.query["bucket"], "q": statement}
        status, said = await self._post("/query", params, b"", {})
        # InfluxQL reports a failed statement inside a 200.
        failed = status != 200 or '"error"' in said
        return _refuse(500, "internal error", said) if failed else web.Response(status=204)

    async def _buckets(self, request: web.Request) -> web.Response:
        name = request.query.get("name")
        found = [bucket for bucket in await self._databases() if name in {None, bucket}]
        buckets = [
            {"id": _fake_id(bucket), "orgID": _fake_id(self._org), "type": "user", "name": bucket, "retentionRules": []}
            for bucket in found
        ]
        return web.json_response({"links": {"self": "/api/v2/buckets"}, "buckets": buckets})

    async def _new_bucket(self, request: web.Request) -> web.Response:
        if not self._right(request):
            return _refuse(403, "forbidden", "insufficient permissions to create a bucket")
        wanted = json.loads(await request.read())
        name, rules = wanted["name"], wanted.get("retentionRules") or []
        if name in await self._databases():
            return _refuse(422, "conflict", f"bucket with name {name} already exists")
        if wanted.get("orgID") != _fake_id(self._org):
            return _refuse(404, "not found", "organization not found")
        duration = f" WITH DURATION {rules[0]['everySeconds']}s" if rules else ""
        await self._influxql(f"CREATE DATABASE {_identifier(name)}{duration}")
        made = {"id": _fake_id(name), "orgID": _fake_id(self._org), "type": "user", "name": name}
        return web.json_response({**made, "retentionRules": rules}, status=201)

    async def _query(self, request: web.Request) -> web.Response:
        """Pass InfluxQL on, as an InfluxDB 2 does for a bucket that is mapped to a database of its name."""
        assert self._session is not None
        async with self._session.get(f"{self._influxd_url}/query", params=request.query) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")

    async def _set_token(self, request: web.Request) -> web.Response:
        """Take another token from now on; the one before is refused."""
        token = (await request.read()).decode()
        self._rights = {token: True, **{known: right for known, right in self._rights.items() if not right}}
        return web.Response(status=204)

    async def _orgs(self, request: web.Request) -> web.Response:
        wanted = request.query.get("org", self._org)
        if wanted != self._org:
            return _refuse(404, "not found", f'organization name "{wanted}" not found')
        orgs = [{"id": _fake_id(self._org), "name": self._org}]
        return web.json_response({"links": {"self": "/api/v2/orgs"}, "orgs": orgs})

    async def _set_fault(self, request: web.Request) -> web.Response:
        self._fault = Fault(**json.loads(await request.read()))
        return web.Response(status=204)

    async def _set_behaviour(self, request: web.Request) -> web.Response:
        self._behaviour = Behaviour(**json.loads(await request.read()))
        return web.Response(status=204)

    async def _get_stats(self, _request: web.Request) -> web.Response:
        stats = self._stats
        return web.json_response(
            {
                "writes": stats.writes,
                "gzipped": stats.gzipped,
                "bytes": stats.bytes,
                "refused": stats.refused,
                "lines": stats.lines,
            }
        )


def _translate_write(status: int, said: str) -> web.Response:
    """Give influxd's answer to a write in version 2's words."""
    if status == 204:
        return web.Response(status=204)
    if status == 400 and ("partial write" in said or "field type conflict" in said):
        return _refuse(422, "unprocessable entity", f"failure writing points to database: {said}")
    code = {400: "invalid", 404: "not found", 413: "request too large"}.get(status, "internal error")
    return _refuse(status, code, said)


def _read_predicate(predicate: str) -> tuple[list[str], str | None]:
    """Translate ``tag="value" AND …`` into InfluxQL conditions and the measurement; raises ValueError."""
    conditions: list[str] = []
    measurement: str | None = None
    position = 0
    while position < len(predicate):
        match = _PREDICATE.match(predicate, position)
        if match is None:
            raise ValueError(f"bad predicate at {predicate[position:]!r}")
        key, value = match[1], re.sub(r"\\(.)", r"\1", match[2])
        if key == "_measurement":
            measurement = value
        else:
            conditions.append(f"{_identifier(key)} = {_text(value)}")
        position = match.end()
        if position < len(predicate):
            if predicate[position : position + 3].upper() != "AND":
                raise ValueError(f"bad predicate at {predicate[position:]!r}")
            position += 3
    return conditions, measurement


def _identifier(name: str) -> str:
    """Quote an InfluxQL identifier."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(value: str) -> str:
    """Quote an InfluxQL string."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fake_id(name: str) -> str:
    """Return a stable 16-digit id as version 2 has them."""
    return name.encode().hex()[:16].ljust(16, "0")


# --- the program ---------------------------------------------------------------------------------------------------


async def _serve(options: argparse.Namespace, folder: Path) -> None:
    """Start influxd and the face, say where, and serve until told to stop."""
    influxd = Influxd(folder, options.influxd_port)
    await asyncio.to_thread(influxd.start)
    face = InfluxV2Face(influxd.url, org=options.org, token=options.token, read_token=options.read_token)
    try:
        port = await face.start(options.port)
        await face.create_bucket(options.bucket)
        facts = {
            "url": f"http://127.0.0.1:{port}", "token": options.token, "org": options.org, "bucket": options.bucket,
            "read_token": options.read_token, "influxql_url": influxd.url, "pid": os.getpid(),
            "influxd_pid": influxd.pid,
        }  # fmt: skip
        sys.stdout.write((json.dumps(facts) if options.json else _in_words(facts)) + "\n")
        sys.stdout.flush()
        await _told_to_stop()
    finally:
        await face.stop()
        influxd.stop()


def _in_words(facts: dict[str, str | int | None]) -> str:
    return "\n".join(f"{key:13}{value}" for key, value in facts.items())


async def _told_to_stop() -> None:
    """Wait for SIGTERM, SIGINT or the end of stdin."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def watch_stdin() -> None:
        # os.read holds no lock that the interpreter would need at its end.
        with suppress(OSError, RuntimeError):
            while os.read(0, 4096):
                pass
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=watch_stdin, name="stdin", daemon=True).start()
    await stop.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the face as a program; exit codes: 0 done, 1 failed, 2 wrong usage."""
    parser = argparse.ArgumentParser(description="InfluxDB 2's API in front of a real influxd 1.6.7")
    parser.add_argument("--json", action="store_true", help="print where it listens as one JSON line")
    parser.add_argument("--dir", type=Path, help="keep the data here (default: a temporary folder)")
    parser.add_argument("--port", type=int, default=0, help="port of the v2 face (default: a free one)")
    parser.add_argument("--influxd-port", type=int, help="port of influxd (default: a free one)")
    parser.add_argument("--org", default="home")
    parser.add_argument("--bucket", default="homeiq")
    parser.add_argument("--token", default=None)
    parser.add_argument("--read-token", default=None, help="a token that may not write")
    options = parser.parse_args(arguments)
    options.token = options.token or secrets.token_urlsafe(24)
    options.read_token = options.read_token or secrets.token_urlsafe(24)
    try:
        if options.dir is not None:
            asyncio.run(_serve(options, options.dir.resolve()))
        else:
            with tempfile.TemporaryDirectory(prefix="homeiq-influx-") as folder:
                asyncio.run(_serve(options, Path(folder)))
    except (ServersUnavailableError, ServerStartError, ClientError, OSError) as err:
        sys.stderr.write(f"cannot start: {err}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
