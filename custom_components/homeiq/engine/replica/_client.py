"""Import influxdb-client: late, because it takes about a second, and by one thread at a time."""

from importlib import import_module
import threading
from typing import Final

_LOCK: Final = threading.Lock()


def load_client() -> None:
    """Import influxdb-client whole; blocks, so call it in a worker thread before anything is imported from it.

    Its modules import each other: two threads that begin at different ones wait for each other, and Python ends that
    with an error in one of them.
    """
    with _LOCK:
        import_module("influxdb_client")
