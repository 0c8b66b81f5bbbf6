"""Find out what a server is, whether it takes points, and make a bucket on it."""

import asyncio
from contextlib import suppress
import json
import time
from typing import Final
from urllib.parse import urlencode

from ._connection import Connection
from ._delivery import Delivery
from ._detection import Server, detect
from ._encoding import check_line
from ._errors import InfluxError, Reason
from ._escaping import quoted
from ._settings import InfluxSettings
from ._verification import Verification

_MISSING_API: Final = frozenset({404, 405})


async def check_connection(settings: InfluxSettings) -> None:
    """Prove that the bucket takes points from this token by writing one; raises InfluxError.

    The point (measurement ``homeiq_check``) is the only proof there is: a health check needs no token, and a token that
    may see a bucket need not be allowed to write to it. With ``verify_reads`` it is read back too.
    """
    await asyncio.to_thread(_check, settings)


async def detect_server(settings: InfluxSettings) -> Server:
    """Return what answers at the URL; needs no valid token. Raises InfluxError if nothing does."""
    return await asyncio.to_thread(_detect, settings)


async def create_bucket(settings: InfluxSettings, retention_s: int | None) -> None:
    """Create the bucket, which keeps its points for so many seconds or for ever; raises InfluxError.

    InfluxDB 2 has buckets, 1 and 3 have databases. A VictoriaMetrics needs neither.
    """
    await asyncio.to_thread(_create, settings, retention_s)


def _check(settings: InfluxSettings) -> None:
    delivery = Delivery(settings)
    try:
        if settings.verify_reads and not settings.metrics_only:
            Verification(delivery).prove(time.time_ns())
        else:
            delivery.write(check_line(settings.home))
    finally:
        delivery.close()


def _detect(settings: InfluxSettings) -> Server:
    connection = Connection(settings)
    try:
        return detect(connection)
    finally:
        connection.close()


def _create(settings: InfluxSettings, retention_s: int | None) -> None:
    connection = Connection(settings)
    try:
        server = detect(connection)
        if server is Server.INFLUXDB_3:
            _create_v3(connection, retention_s)
        elif server is not Server.VICTORIA_METRICS:
            _create_v2(connection, retention_s)
    finally:
        connection.close()


def _create_v2(connection: Connection, retention_s: int | None) -> None:
    from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules  # noqa: PLC0415

    settings = connection.settings
    rules = []
    if retention_s:
        rules.append(BucketRetentionRules(type="expire", every_seconds=retention_s))  # type: ignore[no-untyped-call]
    try:
        with connection.using() as client:
            # By itself the client looks the organization up too, but forgets what the server said about it.
            organizations = client.organizations_api()
            found = organizations.find_organizations(org=settings.org)  # type: ignore[no-untyped-call]
            if not found:
                raise settings.error(Reason.BUCKET_NOT_FOUND, f"there is no organization {settings.org}")
            client.buckets_api().create_bucket(bucket_name=settings.bucket, retention_rules=rules, org=found[0])
    except InfluxError as err:
        if err.status not in _MISSING_API or err.reason is Reason.BUCKET_NOT_FOUND:
            raise
        # InfluxDB 1.8 takes version 2's writes, but has no API for buckets.
        _create_v1(connection, retention_s)


def _create_v1(connection: Connection, retention_s: int | None) -> None:
    name = quoted(connection.settings.bucket)
    duration = f" WITH DURATION {retention_s}s" if retention_s else ""
    answer = connection.ask(f"/query?{urlencode({'q': f'CREATE DATABASE "{name}"{duration}'})}", method="POST")
    # InfluxQL reports a failed statement inside a 200.
    with suppress(ValueError, KeyError, IndexError, TypeError):
        words = json.loads(answer.text)["results"][0]["error"]
        raise connection.settings.error(Reason.UNKNOWN, str(words), status=answer.status)


def _create_v3(connection: Connection, retention_s: int | None) -> None:
    wanted = {"db": connection.settings.bucket, **({"retention_period": f"{retention_s}s"} if retention_s else {})}
    connection.ask("/api/v3/configure/database", method="POST", json_body=wanted)
