"""Show a result as a table for people and as one object for programs."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from .preserve import Kept
from .run import Result

_WIDTH = 22


def table(result: Result) -> str:
    """Return the result in words and figures."""
    fed, stats = result.fed, result.stats
    rows = [
        ("Home Assistant", result.version),
        ("events sent", f"{fed.sent} ({_counts(fed.kinds)}); {fed.attribute_only} attribute-only ones are not kept"),
        ("stored", str(fed.stored)),
        ("lost", str(stats.get("lost"))),
        ("replicated", _or_dash(result.replicated)),
        ("replica", _replica(result)),
        ("past laid down", _counts(result.laid_down)),
        ("past stored", _or_dash(result.past_stored)),
        ("stored in all", str(stats.get("stored"))),
        ("events/s to durable", _or_dash(fed.events_per_s)),
        ("p95 write latency", f"{_or_dash(stats.get('write_p95_ms'))} ms"),
        ("store size", f"{_or_dash(stats.get('store_bytes'))} bytes"),
        *_kept(result.kept),
        *((entity_id, state) for entity_id, state in sorted(result.sensors.items())),
    ]
    lines = [f"{name:<{_width(rows)}}  {value}" for name, value in rows]
    if result.days_observed is not None:
        lines += ["", f"Suggestions from {result.days_observed} observed days"]
    for suggestion in result.suggestions:
        lines += _suggestion(suggestion)
    if result.hits is not None:
        lines += [
            "",
            f"planted habits found:   {_names(result.hits.found)}",
            f"planted habits missed:  {_names(result.hits.missed)}",
            f"from automations:       {_names(result.hits.from_automations)}",
            f"candidates turned down: {len(result.rejected)}",
        ]
    lines.append("")
    for name, verdict in result.verdicts.items():
        lines.append(f"a {name} automation: {verdict['level']}")
        lines += [f"    {finding['code']}: {finding['message']}" for finding in verdict["findings"]]
    lines += ["", f"{'as it must be' if not result.reasons else 'NOT as it must be'}, {result.seconds:g} s"]
    return "\n".join(lines)


def as_json(result: Result) -> dict[str, Any]:
    """Return the result's part of the JSON object."""
    fed, stats, hits = result.fed, result.stats, result.hits
    return {
        "sent": fed.sent,
        "stored": fed.stored,
        "lost": stats.get("lost"),
        "replicated": result.replicated,
        "events_per_s": fed.events_per_s,
        "write_p95_ms": stats.get("write_p95_ms"),
        "store_bytes": stats.get("store_bytes"),
        "attribute_only": fed.attribute_only,
        "kinds": dict(fed.kinds),
        "stored_in_all": stats.get("stored"),
        "laid_down": dict(result.laid_down),
        "past_stored": result.past_stored,
        "backfill": stats.get("backfill"),
        "replica": result.replica,
        "replica_points": result.points,
        "sensors": result.sensors,
        "kept": None if result.kept is None else asdict(result.kept),
        "suggestions": list(result.suggestions),
        "rejected": len(result.rejected),
        "planted": None if hits is None else {"found": hits.found, "missed": hits.missed},
        "verdicts": {name: verdict["level"] for name, verdict in result.verdicts.items()},
        "ha_version": result.version,
        "seconds": result.seconds,
    }


def _suggestion(suggestion: Mapping[str, Any]) -> list[str]:
    verdict, evidence = suggestion["verdict"], suggestion["evidence"]
    figures = (
        f"held on {evidence.get('days_held')} of {evidence.get('days_possible')} days, "
        f"lift {_or_dash(evidence.get('lift'))}, held out {_or_dash(evidence.get('held_out'))}, "
        f"q {_or_dash(evidence.get('q_value'))}"
    )
    return [
        f"  [{verdict['level']}] {suggestion['title']}",
        f"      {suggestion['explanation']}",
        f"      {figures}",
        *(f"      {finding['code']}: {finding['message']}" for finding in verdict["findings"]),
    ]


def _replica(result: Result) -> str:
    if result.points is None:
        return result.replica
    how = "counted there" if result.counted else "acknowledged by it"
    return f"{result.replica}: {result.points} points {how}, back-fill included"


def _kept(kept: Kept | None) -> list[tuple[str, str]]:
    """Return the rows about the export and the roll-ups."""
    if kept is None:
        return []
    return [
        ("exported", f"{kept.exported} events in {kept.export_bytes} bytes"),
        ("brought in again", f"{kept.known} known, {kept.stored_again} new"),
        ("roll-ups by day", f"{kept.days} of {kept.entities} entities"),
    ]


def _width(rows: Iterable[tuple[str, str]]) -> int:
    return max(_WIDTH, *(len(name) for name, _ in rows))


def _counts(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "none"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"


def _or_dash(value: object) -> str:
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
