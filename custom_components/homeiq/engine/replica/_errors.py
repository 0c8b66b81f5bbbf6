"""Define the replica's error: why a server could not be used, in one word."""

from enum import StrEnum

from ..model import ReplicaError


class Reason(StrEnum):
    """Name what is wrong with a connection; the config flow shows it by this key."""

    CANNOT_CONNECT = "cannot_connect"
    INVALID_AUTH = "invalid_auth"
    BUCKET_NOT_FOUND = "bucket_not_found"
    NO_WRITE_ACCESS = "no_write_access"
    INVALID_URL = "invalid_url"
    INVALID_CA = "invalid_ca"
    NO_READ_ACCESS = "no_read_access"
    NOT_STORED = "not_stored"
    UNKNOWN = "unknown"


class InfluxError(ReplicaError):
    """Report that the server refused or could not be reached; the message never holds the token.

    Placeholders: ``url``, ``org``, ``bucket`` and ``error``, the server's or the network's own words.
    """

    def __init__(
        self,
        message: str,
        /,
        *,
        reason: Reason,
        status: int | None = None,
        retry_after: float | None = None,
        **placeholders: str,
    ) -> None:
        """Keep the one-word reason beside the HTTP status and the server's Retry-After in seconds."""
        super().__init__(message, status=status, retry_after=retry_after, **placeholders)
        self.reason = reason
