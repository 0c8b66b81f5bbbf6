"""Be the program behind `script/demo`."""

from collections.abc import Sequence
from contextlib import ExitStack
import json
from pathlib import Path
import signal
import subprocess
import sys
import tempfile

if not __package__:  # Run by path: children of this process must not inherit a changed PYTHONPATH.
    _ROOT = Path(__file__).resolve().parents[2]
    sys.path[:1] = [str(_ROOT / "script"), str(_ROOT)]

from _demo.home_assistant import DemoError
from _demo.options import Influx, Options, parse
from _demo.process import free_port
from _demo.replica import ReplicaServer, ReplicaUnavailableError
from _demo.report import as_json, table
from _demo.run import Result, Run, log
from _hass_client import HassApiError


def main(arguments: Sequence[str]) -> int:
    """Run the demo and return the exit code."""
    options = parse(list(arguments))
    # SIGTERM is Ctrl-C: Home Assistant, the test server and the temporary folder go in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    result = Result()
    try:
        with ExitStack() as stack:
            folder = _folder(options, stack)
            _demo(Run(options, folder, options.port or free_port(), _influx(options, result, stack), result), result)
    except KeyboardInterrupt:
        result.reasons.append("interrupted")
    for reason in result.reasons:
        log(f"failed: {reason}")
    return 1 if result.reasons else 0


def _demo(run: Run, result: Result) -> None:
    try:
        try:
            run.go()
        except (DemoError, HassApiError, subprocess.SubprocessError, OSError) as err:
            result.reasons.append(str(err))
        if run.options.once:
            run.stop()
        else:
            run.read_log()
        _print(run, result)
        if not run.options.once:
            _stay(run)
    except KeyboardInterrupt:
        # Home Assistant may not even have started to listen to signals: its exit code says nothing here.
        run.stop(judged=False)
        raise
    finally:
        run.stop()


def _print(run: Run, result: Result) -> None:
    sys.stdout.write(f"{table(result)}\n")
    if run.options.json:
        answer = {**as_json(result), **run.reached(), "ok": not result.reasons, "reasons": result.reasons}
        sys.stdout.write(f"{json.dumps(answer, ensure_ascii=False)}\n")
    sys.stdout.flush()


def _stay(run: Run) -> None:
    """Leave Home Assistant up until a signal comes or it ends by itself."""
    reached = run.reached()
    if not run.is_up():
        return
    log(f"Home Assistant stays up at {reached['url']}: user {reached['user']}, password {reached['password']}")
    log("Ctrl-C or SIGTERM ends it")
    try:
        run.wait()
    except KeyboardInterrupt:
        log("stopping")


def _folder(options: Options, stack: ExitStack) -> Path:
    if options.folder is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="homeiq-demo-")))
    return options.folder.resolve()


def _influx(options: Options, result: Result, stack: ExitStack) -> Influx | None:
    """Return the replica to use: the given one, else a test server's, else none with the reason."""
    if options.influx is not None:
        result.replica = options.influx.url
        return options.influx
    try:
        server = stack.enter_context(ReplicaServer())
    except ReplicaUnavailableError as err:
        result.replica = f"none ({err})"
        log(f"replica: {result.replica}")
        return None
    result.replica = f"test server at {server.influx.url}"
    return server.influx


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
