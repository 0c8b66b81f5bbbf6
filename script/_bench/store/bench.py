"""Fill a store with a hundred thousand events, multiply them to ten million, and measure it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
import tempfile
import time
from typing import Final

from _bench.common import Bench, Json, Options, goal, log, machine, quantile, run_child, significant

_HERE: Final = Path(__file__).parent
_PAGE: Final = "page_"

_KEYS: Final = """
  A real Home Assistant with HomeIQ stores the first events of the ingest bench's home; copies of them, each with payloads
  and context ids of its own, make the store as large as wanted. Then a process without Home Assistant asks it
  what a home asks, each question on a connection of its own as HomeIQ does, the file in the machine's cache.
  bench, machine {cpus, memory_gb, python, system, load}, options {quick, repeat, events}
  events, days              held, and the time that they span
  bytes_per_event           file and WAL after closing, all indexes included
  built_events_per_s        how fast the copies were made (no figure of HomeIQ's)
  open_ms                   opening the store, its quick check included
  queries {NAME: {p50, p95, max, rows}}   ms from the question to the last event in memory; rows of the largest answer
      entity_lookup, device_lookup   the newest event of an entity, the ten newest of a device's four entities
      entity_last_day                all of one entity's last day
      page_*                         pages of 1,000 events of every shape: all, some entities, kinds and origins, also
                                     those that never occur
      day_of_all                     all events of a day of all entities, as events, page by page
      day_of_all_columns             the same as mining reads them: state changes in arrays
  purge {events, events_per_s, append_ms: {p50, p99, max}}
      deleting the oldest events, orphaned texts and payloads included; what an append waits meanwhile
  roll_ups {events, events_per_s, append_ms: {p50, p99, max}}   the same for the roll-ups, hourly and daily
  restore {seconds, events}   restoring the store's own file into an empty store, until the first question is answered
  goals {NAME: {value, goal, met}}
      lookup_p95_ms          the worse of entity_lookup and device_lookup
      entity_last_day_p95_ms, page_p95_ms (the worst of page_*), day_of_all_p95_ms (of day_of_all_columns),
      append_max_ms          the longest that an append waited during purge and roll-ups, restore_s"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Say how many events are stored, how many they become, and how many of those maintenance takes."""

    stored: int
    events: int
    maintained: int


FULL: Final = Size(stored=100_000, events=10_000_000, maintained=200_000)
QUICK: Final = Size(stored=10_000, events=300_000, maintained=90_000)


def run(options: Options) -> Json:
    """Measure; raises BenchError where a store cannot be made or asked."""
    size = QUICK if options.quick else FULL
    repeat = options.repeat or 1
    host = machine()
    runs: list[Json] = []
    for number in range(1, repeat + 1):
        with tempfile.TemporaryDirectory(prefix="homeiq-bench-") as folder:
            log(f"run {number} of {repeat}: {size.events:,} events")
            runs.append(_run_once(Path(folder), size))
    return {
        "bench": "store",
        "machine": host,
        "options": {"quick": options.quick, "repeat": repeat, "events": size.events},
        **summary(runs),
    }


def summary(runs: Sequence[Json]) -> Json:
    """Return the figures and goals; of several runs all askings count alike, and the other figures are the first run's."""
    first = runs[0]
    queries = {
        name: _spread([ms for run in runs for ms in run["queries"][name]["ms"]], first["queries"][name]["rows"])
        for name in first["queries"]
    }
    pages = [item["p95"] for name, item in queries.items() if name.startswith(_PAGE)]
    lookups = [queries["entity_lookup"]["p95"], queries["device_lookup"]["p95"]]
    upkeep: Json = {name: _upkeep(first[name]) for name in ("purge", "roll_ups")}
    return {
        **{name: first[name] for name in ("events", "days", "bytes_per_event", "built_events_per_s", "open_ms")},
        "queries": queries,
        "restore": {**first["restore"], "seconds": significant(first["restore"]["seconds"])},
        **upkeep,
        "goals": {
            "lookup_p95_ms": goal(max(lookups), "<", 10),
            "entity_last_day_p95_ms": goal(queries["entity_last_day"]["p95"], "<", 20),
            "page_p95_ms": goal(max(pages), "<", 100),
            "day_of_all_p95_ms": goal(queries["day_of_all_columns"]["p95"], "<", 500),
            "append_max_ms": goal(max(item["append_ms"]["max"] for item in upkeep.values()), "<=", 50),
            "restore_s": goal(first["restore"]["seconds"], "<", 180),
        },
    }


def table(answer: Json) -> str:
    """Return the answer for people."""
    lines = [
        f"{answer['events']:,} events of {answer['days']:g} days, {answer['bytes_per_event']:g} bytes each",
        f"opened in {answer['open_ms']:g} ms",
        "",
        f"{'ms':32}{'p50':>10}{'p95':>10}{'max':>10}{'rows':>10}",
    ]
    lines += [
        f"{name:32}{item['p50']:>10g}{item['p95']:>10g}{item['max']:>10g}{item['rows']:>10}"
        for name, item in answer["queries"].items()
    ]
    lines.append("")
    lines += [
        f"{name:10}{answer[name]['events_per_s']:>12,.0f} events/s; an append meanwhile: p50 {wait['p50']:g} ms, "
        f"p99 {wait['p99']:g} ms, max {wait['max']:g} ms"
        for name in ("purge", "roll_ups")
        if (wait := answer[name]["append_ms"])
    ]
    lines += [f"restore   {answer['restore']['events']:>12,} events in {answer['restore']['seconds']:g} s", ""]
    lines += [
        f"{name:32}{item['value']:>10g}  {item['goal']:>10}  {'met' if item['met'] else 'MISSED'}"
        for name, item in answer["goals"].items()
    ]
    return "\n".join(lines)


def _run_once(folder: Path, size: Size) -> Json:
    # A home has one event a second, and the last is of now.
    start_s = time.time() - size.events
    filled = run_child(
        _HERE.parent / "fill.py",
        {"folder": str(folder), "count": size.stored, "start_s": start_s},
        timeout_s=300,
    )
    built = run_child(_HERE / "multiply.py", {"path": filled["path"], "events": size.events}, timeout_s=900)
    measured = run_child(
        _HERE / "child.py",
        {"path": filled["path"], "maintained": size.maintained},
        timeout_s=900,
    )
    return {
        **measured,
        "events": built["events"],
        "days": significant(built["span_us"] / 86_400e6),
        "bytes_per_event": significant(built["bytes"] / built["events"]),
        "built_events_per_s": significant(built["events"] / built["seconds"]),
        "open_ms": significant(measured["open_ms"]),
    }


def _spread(values: Sequence[float], rows: int) -> Json:
    ordered = sorted(values)
    return {
        "p50": significant(quantile(ordered, 0.5)),
        "p95": significant(quantile(ordered, 0.95)),
        "max": significant(ordered[-1]),
        "rows": rows,
    }


def _upkeep(item: Json) -> Json:
    waits: list[float] = item["append_ms"]
    return {
        **item,
        "append_ms": {
            "p50": significant(quantile(waits, 0.5)),
            "p99": significant(quantile(waits, 0.99)),
            "max": significant(waits[-1]),
        },
    }


BENCH: Final = Bench(
    description="what a store of 10 million events answers how fast, and what upkeep costs",
    keys=_KEYS,
    run=run,
    table=table,
)
