"""Export what is stored, bring it back in, and sum up what entities did: that the store can be kept."""

from dataclasses import dataclass

from _hass_client import HassClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Tell of an export (events, bytes), of bringing it in again (events new and known), and of the daily roll-ups."""

    exported: int
    export_bytes: int
    stored_again: int
    known: int
    days: int
    entities: int


def keep(client: HassClient) -> Kept:
    """Export everything, import the file into the same store, and ask for all entities' days; raises HassApiError."""
    export = client.call_service("homeiq", "export_data", {}, return_response=True, timeout=90)
    again = client.call_service("homeiq", "import_data", {"path": export["path"]}, return_response=True, timeout=90)
    question = {"span": "day", "start": "2000-01-01 00:00:00", "limit": 10_000}
    days = client.call_service("homeiq", "query_rollups", question, return_response=True, timeout=90)["rollups"]
    return Kept(
        exported=export["events"],
        export_bytes=export["bytes"],
        stored_again=again["stored"],
        known=again["duplicates"],
        days=len(days),
        entities=len({day["entity_id"] for day in days}),
    )
