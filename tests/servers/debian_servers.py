"""Start Debian's influxd (1.6.7) and VictoriaMetrics (1.79.5) from .tools/servers, and bring them there if need be.

The packages are unpacked beside the repository's other tools, never installed. This file knows nothing of pytest, so
that the demo can use it too.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import fcntl
import os
from pathlib import Path
import shutil
import signal
import socket
import subprocess
from textwrap import dedent
import time
from typing import override
from urllib.error import URLError
from urllib.request import urlopen

SERVERS_DIR = Path(__file__).resolve().parents[2] / ".tools" / "servers"
PACKAGES = {"influxd": "influxdb", "victoria-metrics": "victoria-metrics"}

_APT_TIMEOUT_S = 300
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0
_START_ATTEMPTS = 3


class ServersUnavailableError(Exception):
    """Report that this machine has neither the binaries nor apt-get to bring them."""


class ServerStartError(Exception):
    """Report that a server did not come up; the message holds the end of its log."""


def free_port() -> int:
    """Return a loopback TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def server_binary(name: str, folder: Path = SERVERS_DIR) -> Path:
    """Return the path of a server's binary, downloading and unpacking its Debian package on the first call.

    Safe to call from several processes at once. Raises ServersUnavailableError without apt-get, CalledProcessError or
    TimeoutExpired if the download failed.
    """
    binary = folder / "usr" / "bin" / name
    if binary.exists():
        return binary
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise ServersUnavailableError(f"{name} is not in {folder} and there is no apt-get to bring it")
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / ".lock"):
        if not binary.exists():
            _bring(PACKAGES[name], folder)
    if not binary.exists():
        raise ServersUnavailableError(f"the Debian package {PACKAGES[name]} holds no {name}")
    return binary


def _bring(package: str, folder: Path) -> None:
    """Download a Debian package and unpack it; the package lists are fetched only if the download fails without."""
    download = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package]
    if _run(download, folder, check=False) != 0:
        _run(["apt-get", "-q", "update"], folder, check=False)
        _run(download, folder, check=True)
    for archive in sorted(folder.glob(f"{package}_*.deb")):
        _run(["dpkg", "-x", archive.name, "."], folder, check=True)
        archive.unlink()


def _run(command: Sequence[str], folder: Path, *, check: bool) -> int:
    """Run a command quietly in a folder, return its exit code."""
    done = subprocess.run(command, cwd=folder, check=check, capture_output=True, timeout=_APT_TIMEOUT_S)
    return done.returncode


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


class DebianServer:
    """Be one server process with its data in a folder; stopping ends only this process.

    A server that is started again keeps its port and its data, so "away, then back" is a stop and a start.
    """

    binary_name: str
    ready_path: str

    def __init__(self, folder: Path, port: int | None = None) -> None:
        """Take the folder for data and log; a free port is chosen if none is given."""
        self._folder = folder
        self._wanted_port = port
        self.port = port or 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the server's base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """Return the process id, None while the server is stopped."""
        return self._process.pid if self._process else None

    def command(self) -> Sequence[str]:
        """Return the command line for the chosen port."""
        raise NotImplementedError

    def start(self) -> None:
        """Start and wait until the server answers; raises ServerStartError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for attempt in range(_START_ATTEMPTS):
            # Another process may take a free port between the look and the use.
            self.port = self.port or free_port()
            if self._try_start():
                return
            if self._wanted_port is None and attempt + 1 < _START_ATTEMPTS:
                self.port = 0
        raise ServerStartError(
            f"{self.binary_name} did not start: {self._log_path.read_text(errors='replace')[-2000:]}"
        )

    def stop(self) -> None:
        """Stop the process, hard if it does not obey; nothing happens if it is not running."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End the process as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Make the server hang: connections are accepted by the kernel, nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            os.kill(self._process.pid, number)

    @property
    def _log_path(self) -> Path:
        return self._folder / "server.log"

    def _try_start(self) -> bool:
        """Start once; return whether the server came up."""
        with self._log_path.open("ab") as log:
            process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._process = process
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline and process.poll() is None:
            try:
                with urlopen(self.url + self.ready_path, timeout=1):  # noqa: S310
                    return True
            except URLError, ConnectionError, TimeoutError:
                time.sleep(0.02)
        self.kill()
        return False


class Influxd(DebianServer):
    """Be a real influxd 1.6.7: v1 API only, no authentication, one database per bucket."""

    binary_name = "influxd"
    ready_path = "/ping"

    @override
    def command(self) -> Sequence[str]:
        """Write the configuration and return the command line."""
        config = self._folder / "influxd.toml"
        config.write_text(
            dedent(f"""\
                reporting-disabled = true
                bind-address = "127.0.0.1:0"
                [meta]
                  dir = "{self._folder}/meta"
                [data]
                  dir = "{self._folder}/data"
                  wal-dir = "{self._folder}/wal"
                  query-log-enabled = false
                [monitor]
                  store-enabled = false
                [subscriber]
                  enabled = false
                [continuous_queries]
                  enabled = false
                [http]
                  bind-address = "127.0.0.1:{self.port}"
                  log-enabled = false
                """)
        )
        return [str(server_binary(self.binary_name)), "-config", str(config)]


class VictoriaMetrics(DebianServer):
    """Be a real VictoriaMetrics: takes /api/v2/write itself, keeps numbers and milliseconds only."""

    binary_name = "victoria-metrics"
    ready_path = "/health"

    @override
    def command(self) -> Sequence[str]:
        """Return the command line; what is written can be read within a second."""
        return [
            str(server_binary(self.binary_name)),
            f"-storageDataPath={self._folder}/data",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            "-retentionPeriod=100y",
            "-search.latencyOffset=0s",
            "-loggerLevel=WARN",
        ]
