"""Read the real household log that ships beside this file (see data/ordonez_a/NOTICE.md)."""

import csv
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from ._model import Step

_FILE = Path(__file__).parent / "data" / "ordonez_a" / "events.csv"
_ZONE = ZoneInfo("Europe/Madrid")


def read_ordonez_a() -> list[Step]:
    """Return the log's 818 reports in their order."""
    with _FILE.open(newline="", encoding="utf-8") as file:
        return [
            Step(
                when=datetime.fromisoformat(row["timestamp"]).replace(tzinfo=_ZONE).astimezone(UTC),
                entity_id=row["entity_id"],
                state=row["state"],
            )
            for row in csv.DictReader(file)
        ]
