"""Hold where a replica goes and check what can be checked without a network."""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
import ssl
from urllib.parse import urlsplit

from ..model import REDACTED
from ._errors import InfluxError, Reason


class Layout(StrEnum):
    """Choose how events become lines: HomeIQ's own layout, or that of Home Assistant's influxdb integration."""

    LEAN = "lean"
    CORE = "core"


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluxSettings:
    """Name the server, the bucket and the token; the token is left out of ``repr`` and of every message.

    ``ca_pem`` holds certificates in PEM that are trusted instead of the system's; empty for those. ``home`` becomes a
    tag on every line, so that several homes can share a bucket; empty for none. Events older than ``since_us`` are
    not sent; None sends all. ``metrics_only`` is for servers that keep numbers and milliseconds only.
    ``verify_reads`` reads back a sample of what the server says that it has stored.
    """

    url: str
    org: str
    bucket: str
    token: str = field(repr=False)
    verify_ssl: bool = True
    ca_pem: str = field(default="", repr=False)
    layout: Layout = Layout.LEAN
    home: str = ""
    since_us: int | None = None
    metrics_only: bool = False
    verify_reads: bool = False

    def check(self) -> None:
        """Refuse a URL, token or certificate that cannot be used; raises InfluxError."""
        problem = _url_problem(self.url)
        if problem is not None:
            raise self.error(Reason.INVALID_URL, problem)
        if not self.token.isascii() or not self.token.isprintable():
            # http.client would raise something about headers that shows the token.
            raise self.error(Reason.INVALID_AUTH, "a token has only printable ASCII characters")
        if self.ca_pem and (problem := _ca_problem(self.ca_pem)) is not None:
            raise self.error(Reason.INVALID_CA, problem)

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return how to judge the server's certificate, None for the system's way."""
        if not self.ca_pem:
            return None
        context = ssl.create_default_context(cadata=self.ca_pem)
        if not self.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def scrub(self, words: str) -> str:
        """Return words without the token: a server or proxy may repeat what it was sent."""
        return words.replace(self.token, REDACTED) if self.token else words

    def error(
        self, reason: Reason, words: str, *, status: int | None = None, retry_after: float | None = None
    ) -> InfluxError:
        """Return an error about this connection, with all the placeholders of its translated message, but no token."""
        words = self.scrub(words)
        return InfluxError(
            f"InfluxDB {self.url}, bucket {self.bucket}: {words}",
            reason=reason,
            status=status,
            retry_after=retry_after,
            url=self.url,
            org=self.org,
            bucket=self.bucket,
            error=words,
        )


@lru_cache(maxsize=8)
def _ca_problem(ca_pem: str) -> str | None:
    """Return why this text holds no certificates, None if it does."""
    try:
        ssl.create_default_context(cadata=ca_pem)
    except (ssl.SSLError, ValueError, TypeError) as err:
        return f"no certificate in PEM: {err}"
    return None


def _url_problem(url: str) -> str | None:
    """Return why this is no base URL of a server, None if it is one."""
    try:
        parts = urlsplit(url)
        # Reading the port parses it.
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError as err:
        return str(err)
    if not usable:
        return "a URL starts with http:// or https:// and names a host"
    if parts.username is not None or parts.query or parts.fragment:
        return "a URL holds no user name, query or fragment"
    if any(character.isspace() or not character.isprintable() for character in url):
        return "a URL holds no blanks"
    return None
