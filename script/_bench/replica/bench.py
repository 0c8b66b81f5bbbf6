"""Drain the same events through both integrations in turn, then take both through the same outage."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
import tempfile
import time
from typing import Final
from urllib.request import Request, urlopen

from _bench.common import Bench, BenchError, Json, Options, child, goal, log, machine, median, run_child, significant
from _bench.replica.compare import compare
from tests.servers.debian_servers import ServerStartError, ServersUnavailableError
from tests.servers.face_process import FaceProcess

_HERE: Final = Path(__file__).parent
_CORE: Final = ("core_v1", "core_v2")
_LAYOUTS: Final = {"homeiq": "lean", "homeiq_core_layout": "core"}
_DAY_S: Final = 86_400.0
# The states of this domain meet a field of another type on the server, which refuses them for ever.
_REFUSED: Final = "weather"
_TAIL_S: Final = 30.0

_KEYS: Final = """
  HomeIQ's replica drains a store into a real influxd 1.6.7 (a small face in front speaks version 2's API); Home
  Assistant's influxdb integration, as it is without options, in a real core, drains the same events into the same server
  in the same run, by both versions of the API. Then both homes go through one outage of the server, at the same time.
  bench, machine {cpus, memory_gb, python, system, load}, home_assistant, options {quick, repeat, events, outage_s, rate}
  points_per_s {homeiq, homeiq_core_layout, core_v1, core_v2, core}
      from the first event read or sent until the server holds the last; of core the better of the whole run and of what
      was left when all was sent; `core` is the better of both versions
  cpu_us {homeiq, homeiq_core_layout, core_v1, core_v2}      CPU time of the whole process per point
  memory_mb {homeiq, core_v1, core_v2}   what draining adds to the resident memory at its peak
  bytes_per_point           on the wire, compressed
  outage_s, catch_up_s      the server's absence; from its return until all that had waited is acknowledged
  waiting                   events that waited when it came back
  lost, duplicates          events of the store that the server does not hold, points that are no event
  dead_letters, dead_letters_wrong
      set aside; wrongly or wrongly not: the server refuses one domain's states (type conflict) and nothing else
  lag_ms {homeiq: {p50, p99, max}, core: {...}}   of the event loops during the outage drill
  outage_memory_mb          HomeIQ's peak resident memory in the drill, Home Assistant included
  core_outage {sent, delivered, lost}   Home Assistant's influxdb integration in the same outage, version 1
  goals {NAME: {value, goal, met}}
      points_per_s, core_ratio, outage_s, lost, duplicates, dead_letters_wrong"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Say how much of each: events drained, seconds of outage, and before it; events per second."""

    events: int
    lead_s: float
    outage_s: float
    tail_s: float
    rate: int = 100


FULL: Final = Size(events=60_000, lead_s=30.0, outage_s=60.0, tail_s=_TAIL_S)
QUICK: Final = Size(events=3_000, lead_s=2.0, outage_s=3.0, tail_s=2.0)


def run(options: Options) -> Json:
    """Measure; raises BenchError where something cannot be measured."""
    size = QUICK if options.quick else FULL
    repeat = options.repeat or (1 if options.quick else 3)
    if find_spec("influxdb") is None:
        raise BenchError("Home Assistant's influxdb integration needs the package influxdb; script/setup installs it")
    host = machine()
    with tempfile.TemporaryDirectory(prefix="homeiq-bench-") as name, _server(Path(name) / "influx") as server:
        folder = Path(name)
        filled = run_child(
            _HERE.parent / "fill.py",
            {"folder": str(folder / "filled"), "count": size.events, "start_s": time.time() - size.events},
            timeout_s=300,
        )
        runs = _drain(folder, server, Path(filled["path"]), size, repeat)
        outage = _outage(folder, server, size)
    return {
        "bench": "replica",
        "machine": host,
        "home_assistant": _home_assistant(),
        "options": {
            "quick": options.quick,
            "repeat": repeat,
            "events": size.events,
            "outage_s": size.outage_s,
            "rate": size.rate,
        },
        **summary(runs, outage),
        "runs": runs,
    }


def summary(runs: dict[str, list[Json]], outage: Json) -> Json:
    """Return the figures and goals of measured runs."""
    rates = {
        name: median([max(item["points_per_s"], item.get("draining_per_s", 0.0)) for item in items])
        for name, items in runs.items()
    }
    core = max(rates[name] for name in _CORE)
    return {
        "points_per_s": {**rates, "core": core},
        "cpu_us": {name: median([item["cpu_us"] for item in items]) for name, items in runs.items()},
        "memory_mb": {name: median([item["memory_mb"] for item in items]) for name, items in runs.items()},
        "bytes_per_point": median([item["bytes_sent"] / item["sent"] for item in runs["homeiq"]]),
        **outage,
        "goals": {
            "points_per_s": goal(rates["homeiq"], ">=", 30_000),
            "core_ratio": goal(rates["homeiq"] / core, ">=", 5),
            "outage_s": goal(outage["outage_s"], ">=", 60),
            "lost": goal(outage["lost"], "<=", 0),
            "duplicates": goal(outage["duplicates"], "<=", 0),
            "dead_letters_wrong": goal(outage["dead_letters_wrong"], "<=", 0),
        },
    }


def table(answer: Json) -> str:
    """Return the answer for people."""
    names = (*_LAYOUTS, *_CORE)
    lag, core = answer["lag_ms"], answer["core_outage"]
    rows = [
        ("", *names),
        ("points/s", *(f"{answer['points_per_s'][name]:g}" for name in names)),
        ("CPU per point, µs", *(f"{answer['cpu_us'][name]:g}" for name in names)),
        ("peak memory added, MB", *(f"{answer['memory_mb'][name]:g}" for name in names)),
        (f"outage of {answer['outage_s']:g} s: lost", f"{answer['lost']}", "", f"{core['lost']}", ""),
        ("  of events sent", f"{answer['sent']}", "", f"{core['sent']}", ""),
        ("  loop lag p99, ms", f"{lag['homeiq']['p99']:.3g}", "", f"{lag['core']['p99']:.3g}", ""),
        ("  caught up after, s", f"{answer['catch_up_s']:g}"),
        ("  duplicates", f"{answer['duplicates']}"),
        ("  dead letters, of them wrong", f"{answer['dead_letters']}, {answer['dead_letters_wrong']}"),
    ]
    lines = [f"{first:36}{''.join(f'{cell:>20}' for cell in cells)}" for first, *cells in rows]
    lines.append("")
    lines += [
        f"{name:36}{item['value']:>14g}  {item['goal']:>10}  {'met' if item['met'] else 'MISSED'}"
        for name, item in answer["goals"].items()
    ]
    return "\n".join(lines)


def _drain(folder: Path, server: FaceProcess, filled: Path, size: Size, repeat: int) -> dict[str, list[Json]]:
    """Drain in turn, so that a busy minute hits all; each into an empty bucket."""
    runs: dict[str, list[Json]] = {name: [] for name in (*_LAYOUTS, *_CORE)}
    numbers = count(1)
    for number in range(1, repeat + 1):
        for name, layout in _LAYOUTS.items():
            log(f"run {number} of {repeat}: {name}")
            job: Json = {
                "path": str(filled),
                "server": _bucket(server, f"drain-{next(numbers)}"),
                "name": f"{name}-{number}",
                "layout": layout,
            }
            runs[name].append(run_child(_HERE / "drain_child.py", job, timeout_s=300))
        for name in _CORE:
            log(f"run {number} of {repeat}: {name}")
            job = {
                "folder": str(folder / f"{name}-{number}"),
                "server": _bucket(server, f"drain-{next(numbers)}"),
                "api": name[-1],
                "phase": "drain",
                "events": size.events,
            }
            runs[name].append(run_child(_HERE / "core_child.py", job, timeout_s=300))
    return runs


def _outage(folder: Path, server: FaceProcess, size: Size) -> Json:
    """Take both homes through one outage and compare what they were sent with what arrived."""
    log(f"outage of {size.outage_s:g} s at {size.rate} events/s")
    events = int((size.lead_s + size.outage_s + size.tail_s) * size.rate)
    ours, theirs = _bucket(server, "outage"), _bucket(server, "outage-core")
    _refuse(server, ours["bucket"])
    job = {"server": ours, "folder": str(folder / "outage"), "events": events, "rate": size.rate}
    core_job = {"server": theirs, "folder": str(folder / "outage-core"), "events": events, "rate": size.rate}
    with (
        child(_HERE / "outage_child.py", job) as homeiq,
        child(_HERE / "core_child.py", {**core_job, "api": "1", "phase": "outage"}) as core,
    ):
        homeiq.wait_line()
        core.wait_line()
        time.sleep(size.lead_s)
        server.stop()
        away = time.time()
        time.sleep(size.outage_s)
        server.start()
        back = time.time()
        answer, core_answer = homeiq.answer(300), core.answer(300)
    differences = compare(Path(answer["path"]), server, ours["bucket"], answer["rows"], frozenset({_REFUSED}))
    waiting, catch_up_s = _catch_up(answer["samples"], back)
    return {
        "outage_s": significant(back - away),
        "catch_up_s": catch_up_s,
        "waiting": waiting,
        "sent": answer["sent"],
        **asdict(differences),
        "lag_ms": {"homeiq": answer["lag_ms"], "core": core_answer["lag_ms"]},
        "outage_memory_mb": significant(answer["memory_mb"]),
        "core_outage": {
            "sent": core_answer["sent"],
            "delivered": core_answer["delivered"],
            "lost": core_answer["sent"] - core_answer["delivered"],
        },
    }


def _catch_up(samples: list[tuple[float, int, int]], back: float) -> tuple[int, float]:
    """Return how many events waited when the server was back, and the seconds until they were acknowledged."""
    _, cursor, last = max(sample for sample in samples if sample[0] <= back)
    done = min((sample[0] for sample in samples if sample[0] > back and sample[1] >= last), default=None)
    if done is None:
        # The last sample is older than the end of the drill by one step at most.
        done = samples[-1][0]
    return last - cursor, significant(done - back)


def _bucket(server: FaceProcess, name: str) -> Json:
    """Create a bucket and return what children need to reach it."""
    server.create_bucket(name)
    return {
        "url": server.url,
        "token": server.token,
        "org": server.org,
        "influxql_url": server.influxql_url,
        "bucket": name,
    }


def _refuse(server: FaceProcess, bucket: str) -> None:
    """Make one measurement's state a number on the server, so that it refuses the text that belongs there."""
    line = f"{_REFUSED},planted=yes state=1 {time.time_ns()}".encode()
    with urlopen(Request(f"{server.influxql_url}/write?db={bucket}", line), timeout=10) as answer:
        if answer.status != 204:
            raise BenchError(f"the conflict could not be planted: {answer.status}")


@contextmanager
def _server(folder: Path) -> Iterator[FaceProcess]:
    try:
        server = FaceProcess(folder)
        server.start()
    except (ServersUnavailableError, ServerStartError) as err:
        raise BenchError(str(err)) from err
    try:
        yield server
    finally:
        server.stop()


def _home_assistant() -> str:
    from homeassistant.const import __version__  # noqa: PLC0415 - only a run needs it

    return __version__


BENCH: Final = Bench(
    description="the InfluxDB replica, against Home Assistant's own influxdb integration",
    keys=_KEYS,
    run=run,
    table=table,
)
