"""Run the variants in turn, each in a fresh process, and compare them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
import tempfile
from typing import Final

from _bench.common import Bench, Json, Options, goal, log, machine, median, run_child, significant

_HERE: Final = Path(__file__).parent
VARIANTS: Final = ("bare", "recorder", "homeiq")

_KEYS: Final = """
  Compares a real Home Assistant core bare, with its recorder (defaults) and with HomeIQ (set up by its flows) on the
  same generated events, each variant in a fresh process, in turn, and gives medians. `runs` holds what each run gave.
  bench, machine {cpus, memory_gb, python, system, load}, home_assistant, options {quick, repeat, events: {cpu,
    burst, steady}}, runs {VARIANT: [...], start: [...]}
  loop_us {bare, recorder, homeiq, added: {recorder, homeiq}}
      µs of CPU time of the loop's thread to set one state; `added` is against bare
  loop_wall_us      the same by the clock: with the waits for the interpreter's lock that other threads cause
  loop_listened_us  loop_us where one other listener is there already, as in every home with an open dashboard
  loop_steady_us    the whole CPU time of the loop's thread per event at 1,000 events/s, this bench's own included
  durable_events_per_s {recorder, homeiq}   from the first event sent until the last one is committed
  durable_cpu_us {bare, recorder, homeiq}   CPU time of all threads per event in that phase, sending included
  lag_ms {VARIANT: {p50, p99, max}}   of the loop at 1,000 events/s
  bytes_per_event {recorder, homeiq}  file and WAL after closing, less the empty schema
  memory_mb {VARIANT: {burst, steady}, added: {recorder: {burst, steady}, homeiq: {...}}}   peaks of resident memory
  start {import_ms, setup_ms, total_ms, modules, heavy: [...], heavy_before: [...]}
      added to Home Assistant's start; `heavy` must be empty, `heavy_before` was imported by Home Assistant itself
  goals {NAME: {value, goal, met}}   `value` is null (and `met` false) where noise left nothing to compare with
      loop_ratio             what HomeIQ adds to loop_us : what the recorder adds
      loop_wall_ratio        the same of loop_wall_us
      durable_events_per_s
      durable_ratio          HomeIQ : recorder
      lag_p99_added_ms       p99 with HomeIQ - p99 bare
      bytes_ratio            HomeIQ : recorder
      start_s                import + set-up
      heavy_modules          how many"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Say how many events each phase of a run has."""

    cpu: int
    burst: int
    steady_s: int


FULL: Final = Size(cpu=10_000, burst=60_000, steady_s=20)
QUICK: Final = Size(cpu=1_000, burst=2_000, steady_s=1)


def run(options: Options) -> Json:
    """Measure; raises BenchError where a variant cannot be measured or lost an event."""
    size = QUICK if options.quick else FULL
    repeat = options.repeat or (1 if options.quick else 5)
    runs: dict[str, list[Json]] = {name: [] for name in (*VARIANTS, "start")}
    host = machine()
    for number in range(1, repeat + 1):
        with tempfile.TemporaryDirectory(prefix="homeiq-bench-") as folder:
            for variant in VARIANTS:
                log(f"run {number} of {repeat}: {variant}")
                runs[variant].append(_run_variant(Path(folder) / variant, variant, size))
            log(f"run {number} of {repeat}: start")
            runs["start"].append(
                run_child(_HERE / "startup.py", {"folder": str(Path(folder) / "homeiq")}, timeout_s=300)
            )
    answer = compare(runs)
    return {
        "bench": "ingest",
        "machine": host,
        "home_assistant": _home_assistant(),
        "options": {
            "quick": options.quick,
            "repeat": repeat,
            "events": {"cpu": size.cpu, "burst": size.burst, "steady": runs["bare"][0]["steady_events"]},
        },
        **answer,
        "runs": runs,
    }


def compare(runs: dict[str, list[Json]]) -> Json:
    """Return the figures, ratios and goals of measured runs."""

    def of(variant: str, read: Callable[[Json], float]) -> float:
        return median([read(item) for item in runs[variant]])

    def each(read: Callable[[Json], float], variants: Sequence[str] = VARIANTS) -> Json:
        return {variant: of(variant, read) for variant in variants}

    loop = _with_added(each(lambda item: item["set_us"]["cpu"]))
    wall = _with_added(each(lambda item: item["set_us"]["wall"]))
    listened = _with_added(each(lambda item: item["set_listened_us"]["cpu"]))
    steady = _with_added(each(lambda item: item["lag_ms"]["loop_us"]))
    durable = each(lambda item: item["durable"]["events_per_s"], VARIANTS[1:])
    durable_cpu = each(lambda item: item["durable"]["cpu_us"])
    size = each(lambda item: item["bytes"] / item["events"], VARIANTS[1:])
    lag = {
        variant: {
            "p50": of(variant, lambda item: item["lag_ms"]["p50"]),
            "p99": of(variant, lambda item: item["lag_ms"]["p99"]),
            "max": of(variant, lambda item: item["lag_ms"]["max"]),
        }
        for variant in VARIANTS
    }
    start: Json = {
        "import_ms": of("start", lambda item: item["import_ms"]),
        "setup_ms": of("start", lambda item: item["setup_ms"]),
        "total_ms": of("start", lambda item: item["import_ms"] + item["setup_ms"]),
        "modules": max(item["modules"] for item in runs["start"]),
        "heavy": sorted({name for item in runs["start"] for name in item["heavy"]}),
        "heavy_before": sorted({name for item in runs["start"] for name in item["heavy_before"]}),
    }
    return {
        "loop_us": loop,
        "loop_wall_us": wall,
        "loop_listened_us": listened,
        "loop_steady_us": steady,
        "durable_events_per_s": durable,
        "durable_cpu_us": durable_cpu,
        "lag_ms": lag,
        "bytes_per_event": size,
        "memory_mb": _memory(of),
        "start": start,
        "goals": {
            "loop_ratio": goal(_ratio(loop["added"]["homeiq"], loop["added"]["recorder"]), "<=", 0.4),
            "loop_wall_ratio": goal(_ratio(wall["added"]["homeiq"], wall["added"]["recorder"]), "<=", 0.4),
            "durable_events_per_s": goal(durable["homeiq"], ">=", 20_000),
            "durable_ratio": goal(durable["homeiq"] / durable["recorder"], ">=", 8),
            "lag_p99_added_ms": goal(lag["homeiq"]["p99"] - lag["bare"]["p99"], "<=", 1),
            "bytes_ratio": goal(size["homeiq"] / size["recorder"], "<=", 0.6),
            "start_s": goal(start["total_ms"] / 1e3, "<", 0.5),
            "heavy_modules": goal(len(start["heavy"]), "<=", 0),
        },
    }


def table(answer: Json) -> str:
    """Return the answer for people."""
    rows = [
        ("", *VARIANTS),
        ("set a state, µs of the loop's CPU", *_cells(answer["loop_us"])),
        ("  by the clock, waits included", *_cells(answer["loop_wall_us"])),
        ("  CPU, beside another listener", *_cells(answer["loop_listened_us"])),
        ("  all of the loop at 1,000/s, µs", *_cells(answer["loop_steady_us"])),
        ("durable events/s", *_cells(answer["durable_events_per_s"])),
        ("  CPU of all threads per event, µs", *_cells(answer["durable_cpu_us"])),
        ("loop lag p50 at 1,000/s, ms", *(f"{answer['lag_ms'][name]['p50']:g}" for name in VARIANTS)),
        ("loop lag p99, ms", *(f"{answer['lag_ms'][name]['p99']:g}" for name in VARIANTS)),
        ("loop lag max, ms", *(f"{answer['lag_ms'][name]['max']:g}" for name in VARIANTS)),
        ("bytes per event", *_cells(answer["bytes_per_event"])),
        ("peak memory in a burst, MB", *(f"{answer['memory_mb'][name]['burst']:g}" for name in VARIANTS)),
        ("peak memory at 1,000/s, MB", *(f"{answer['memory_mb'][name]['steady']:g}" for name in VARIANTS)),
    ]
    lines = [f"{row[0]:34}" + "".join(f"{cell:>12}" for cell in row[1:]) for row in rows]
    start = answer["start"]
    lines.append(f"added to the start: import {start['import_ms']:g} ms, set-up {start['setup_ms']:g} ms")
    lines.extend(
        f"goal {name:22} {_shown(item['value']):>10}  {item['goal']:10} {'met' if item['met'] else 'MISSED'}"
        for name, item in answer["goals"].items()
    )
    return "\n".join(lines)


def _run_variant(folder: Path, variant: str, size: Size) -> Json:
    job = {
        "folder": str(folder),
        "variant": variant,
        "cpu": size.cpu,
        "burst": size.burst,
        "steady_s": size.steady_s,
    }
    return run_child(_HERE / "child.py", job, timeout_s=900)


def _with_added(figures: Json) -> Json:
    return {
        **figures,
        "added": {variant: significant(figures[variant] - figures["bare"]) for variant in VARIANTS[1:]},
    }


def _memory(of: Callable[[str, Callable[[Json], float]], float]) -> Json:
    peaks = {
        variant: {
            "burst": of(variant, lambda item: item["burst_mb"]),
            "steady": of(variant, lambda item: item["steady_mb"]),
        }
        for variant in VARIANTS
    }
    added = {
        variant: {phase: significant(peak - peaks["bare"][phase]) for phase, peak in peaks[variant].items()}
        for variant in VARIANTS[1:]
    }
    return {**peaks, "added": added}


def _ratio(value: float, base: float) -> float | None:
    """Return a ratio, None where noise left nothing to compare with."""
    return value / base if base > 0 else None


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _cells(figures: Json) -> list[str]:
    return [f"{figures[name]:g}" if name in figures else "" for name in VARIANTS]


def _home_assistant() -> str:
    from homeassistant.const import __version__  # noqa: PLC0415 - only a run needs it

    return __version__


BENCH: Final = Bench(
    description="what taking events in costs, against bare Home Assistant and its recorder",
    keys=_KEYS,
    run=run,
    table=table,
)
