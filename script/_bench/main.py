"""Be the program behind `script/bench`."""

import argparse
from collections.abc import Sequence
from importlib import import_module
import json
from pathlib import Path
import signal
import sys

if not __package__:  # Run by path: children of this process must not inherit a changed PYTHONPATH.
    _ROOT = Path(__file__).resolve().parents[2]
    sys.path[:1] = [str(_ROOT / "script"), str(_ROOT)]

from _bench.common import Bench, BenchError, Options, log


def names() -> list[str]:
    """Return the names of the benches there are."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/bench.py"))


def load(name: str) -> Bench:
    """Return a bench by its name."""
    bench: Bench = import_module(f"_bench.{name}.bench").BENCH
    return bench


def main(arguments: Sequence[str]) -> int:
    """Run one bench and return the exit code; wrong usage exits with 2."""
    args = _parser().parse_args(list(arguments))
    bench = load(args.name)
    # SIGTERM is Ctrl-C: children and temporary folders go in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        answer = bench.run(Options(quick=args.quick, repeat=args.repeat))
    except BenchError as err:
        log(f"failed: {err}")
        return 1
    except KeyboardInterrupt:
        log("failed: interrupted")
        return 1
    sys.stdout.write(f"{bench.table(answer)}\n")
    if args.json:
        sys.stdout.write(f"{json.dumps(answer)}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    benches = {name: load(name) for name in names()}
    parser = argparse.ArgumentParser(
        prog="script/bench",
        description="Measure HomeIQ on this machine.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n\n".join(
            [
                *(f"{name}: {bench.description}\n{bench.keys}" for name, bench in benches.items()),
                "exit codes: 0 measured (also where a goal is missed), 1 failed (the reason is on stderr), 2 wrong usage",
            ]
        ),
    )
    parser.add_argument("name", choices=benches, metavar="NAME", help=f"one of: {', '.join(benches)}")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="a short run that shows that the bench works")
    parser.add_argument(
        "--repeat", type=_count, metavar="N", help="how often to measure; figures are medians (default 5, quick 1)"
    )
    return parser


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} is less than 1")
    return count


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
