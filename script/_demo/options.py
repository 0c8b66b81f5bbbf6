"""Read the command line of `script/demo`."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Influx:
    """Say where an InfluxDB 2 bucket is and how to get in; ``influxql_url`` where a v1 `/query` answers, if known."""

    url: str
    token: str
    org: str
    bucket: str
    influxql_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Hold what the command line asks for."""

    once: bool
    json: bool
    events: bool
    folder: Path | None
    port: int | None
    influx: Influx | None


def parse(arguments: list[str]) -> Options:
    """Return the options; wrong usage prints why and exits with 2."""
    parser = argparse.ArgumentParser(
        prog="script/demo",
        description="Run HomeIQ's main job on a real Home Assistant and show what came of it.",
        epilog="exit codes: 0 done, 1 failed (the reasons are on stderr), 2 wrong usage",
    )
    parser.add_argument("--once", action="store_true", help="stop when done instead of leaving Home Assistant up")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object as the last line, when the run is done; without --once Home Assistant then stays "
        "up until the script gets SIGINT or SIGTERM",
    )
    parser.add_argument("--dir", type=Path, help="make the configuration here and keep it (must be empty or absent)")
    parser.add_argument("--port", type=_port, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--no-events", action="store_true", help="neither past days nor live events: a bare home")
    parser.add_argument("--ha", metavar="VERSION", help="another Home Assistant, for example 2026.11.0")
    for name in ("", "-token", "-org", "-bucket"):
        parser.add_argument(f"--influx{name}", metavar="URL" if not name else name[1:].upper())
    args = parser.parse_args(arguments)
    if args.dir is not None:
        _make_folder(parser, args.dir)
    return Options(
        once=args.once,
        json=args.json,
        events=not args.no_events,
        folder=args.dir,
        port=args.port,
        influx=_influx(parser, args),
    )


def _make_folder(parser: argparse.ArgumentParser, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        empty = not any(folder.iterdir())
    except OSError as err:
        parser.error(f"--dir {folder} cannot be made: {err.strerror}")
    if not empty:
        parser.error(f"--dir {folder} is not an empty folder")


def _influx(parser: argparse.ArgumentParser, args: argparse.Namespace) -> Influx | None:
    values = (args.influx, args.influx_token, args.influx_org, args.influx_bucket)
    if not any(values):
        return None
    if not all(values):
        parser.error("--influx, --influx-token, --influx-org and --influx-bucket belong together")
    if urlsplit(args.influx).scheme not in ("http", "https"):
        parser.error(f"--influx {args.influx} is not an http(s) URL")
    return Influx(url=args.influx, token=args.influx_token, org=args.influx_org, bucket=args.influx_bucket)


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{port} is not a port")
    return port
