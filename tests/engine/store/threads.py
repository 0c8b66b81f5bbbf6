"""See that no connection's thread outlives a test."""

from collections.abc import Iterator
from typing import Any

import aiosqlite
import pytest


@pytest.fixture(autouse=True)
def no_thread_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that leaves a thread of SQLite behind, and end the thread: Python would wait for it for ever."""
    connections: list[aiosqlite.Connection] = []
    begin = aiosqlite.Connection.__init__

    def begin_and_note(connection: aiosqlite.Connection, *given: Any, **more: Any) -> None:
        connections.append(connection)
        begin(connection, *given, **more)

    monkeypatch.setattr(aiosqlite.Connection, "__init__", begin_and_note)
    yield
    left = [connection for connection in connections if connection._thread.is_alive()]
    for connection in left:
        connection.stop()
        connection._thread.join(5)
    assert left == []
