"""Hold where a replica goes and check what can be checked without a network."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from ._errors import InfluxError, Reason

_HIDDEN: Final = "**REDACTED**"


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluxSettings:
    """Name the server, the bucket and the token; the token is left out of ``repr`` and of every message.

    ``home`` becomes a tag on every line, so that several homes can share a bucket; empty for none.
    """

    url: str
    org: str
    bucket: str
    token: str = field(repr=False)
    verify_ssl: bool = True
    home: str = ""

    def check(self) -> None:
        """Refuse a URL or token that no server could take; raises InfluxError."""
        problem = _url_problem(self.url)
        if problem is not None:
            raise self.error(Reason.INVALID_URL, problem)
        if not self.token.isascii() or not self.token.isprintable():
            # http.client would raise something about headers that shows the token.
            raise self.error(Reason.INVALID_AUTH, "a token has only printable ASCII characters")

    def error(
        self, reason: Reason, words: str, *, status: int | None = None, retry_after: float | None = None
    ) -> InfluxError:
        """Return an error about this connection, with all the placeholders of its translated message.

        A server or proxy may repeat what it was sent, so its words are looked through for the token.
        """
        if self.token:
            words = words.replace(self.token, _HIDDEN)
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
