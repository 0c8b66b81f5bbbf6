"""Run the real `hass` process and read its log."""

import os
from pathlib import Path
import re
import signal
import socket
import subprocess
import sys

LOG_NAME = "homeiq_demo.log"
_STOP_S = 90
_RECORD = re.compile(r"^\S+ \S+ (?P<level>[A-Z]+) \(.*?\) \[(?P<logger>[^\]]+)\] ")
_COVERAGE = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")


class Hass:
    """Hold one Home Assistant process on a configuration folder."""

    def __init__(self, folder: Path) -> None:
        """Start it; its output goes to a file in the folder."""
        self.log_path = folder / LOG_NAME
        command = [sys.executable, "-m", "homeassistant", "-c", str(folder), "--log-no-color", "--skip-pip"]
        # Where the caller measures coverage this process is none of its business.
        environment = {name: value for name, value in os.environ.items() if name not in _COVERAGE}
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=environment,
                # Ctrl-C is for the script, which then stops Home Assistant in order.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._process.poll()

    def wait(self) -> None:
        """Wait until it ends by itself."""
        self._process.wait()

    def stop(self) -> int | None:
        """Ask it to stop and return its exit code, or None where it had to be killed after 90 s."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return None

    def complaints(self) -> list[str]:
        """Return the lines of the log that speak against HomeIQ, at most twenty."""
        text = self.log_path.read_text(encoding="utf-8", errors="replace")
        return [line for line in text.splitlines() if is_complaint(line)][:20]

    def tail(self, lines: int = 30) -> str:
        """Return the end of the log."""
        return "\n".join(self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def is_complaint(line: str) -> bool:
    """Return whether a log line is HomeIQ's own warning, an error that names it, or a report of blocking the loop.

    The loader's warning that a custom integration is not tested by Home Assistant is neither.
    """
    record = _RECORD.match(line)
    if record is None or record["level"] not in ("WARNING", "ERROR", "CRITICAL"):
        return False
    if record["logger"] == "homeassistant.loader":
        return False
    if record["logger"].startswith("custom_components.homeiq"):
        return True
    message = line[record.end() :].lower()
    return "homeiq" in message or "blocking call" in message


def free_port() -> int:
    """Return a port on 127.0.0.1 that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Return whether nobody listens on the port of 127.0.0.1."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
