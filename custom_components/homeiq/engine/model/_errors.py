"""Define the engine's errors: one base, one class and one code per room."""

from collections.abc import Mapping


class EngineError(Exception):
    """Carry a stable code and the values a translated message needs; translated once, at the edge."""

    code = "engine"

    def __init__(self, message: str, /, **placeholders: str) -> None:
        """Keep the English message for logs and the placeholders for the translation."""
        super().__init__(message)
        self.placeholders: Mapping[str, str] = placeholders


class StoreError(EngineError):
    """Report that the local store could not be read or written."""

    code = "store"


class StoreDamagedError(StoreError):
    """Report that the store file is not a readable HomeIQ database."""

    code = "store_damaged"


class StoreNewerError(StoreError):
    """Report that the store was written by a newer HomeIQ; nothing is changed."""

    code = "store_newer"


class StoreInUseError(StoreError):
    """Report that another HomeIQ, or another program that honours its lock, has the store open."""

    code = "store_in_use"


class TransferError(EngineError):
    """Report a file that cannot be exported to, imported or restored; placeholders name the field and the value."""

    code = "transfer"


class QueryError(EngineError):
    """Report a query whose arguments do not fit; placeholders name the field and the value."""

    code = "query"


class ReplicaError(EngineError):
    """Report that a replica refused or could not be reached."""

    code = "replica"

    def __init__(
        self, message: str, /, *, status: int | None = None, retry_after: float | None = None, **placeholders: str
    ) -> None:
        """Keep the HTTP status (None if no answer came) and the server's Retry-After in seconds."""
        super().__init__(message, **placeholders)
        self.status = status
        self.retry_after = retry_after


class ChildError(EngineError):
    """Report that a child process died, was killed at a limit or answered badly; ``reason`` is one word."""

    code = "child"

    def __init__(self, message: str, /, *, reason: str, **placeholders: str) -> None:
        """Keep the one-word reason: start, timeout, memory, cpu, crash, output, answer or failed."""
        super().__init__(message, **placeholders)
        self.reason = reason


class BusyError(EngineError):
    """Report that as much is under way as may be; asking again later helps."""

    code = "busy"


class DraftError(EngineError):
    """Report that no automation can be drafted from a habit."""

    code = "draft"
