"""What is readable of a damaged file is saved, and the report says exactly how many rows were saved and lost."""

from collections.abc import Callable
from pathlib import Path
import random

import pytest

from homeiq_engine.model import Event, EventKind
from homeiq_engine.store import Store, salvage
from tests.engine.store.samples import ManualClock, all_events, event, raw

PAGE = 4096
COUNT = 12_000


def _sample(number: int) -> Event:
    """Return an event of one of many kinds: long payloads on pages of their own, few texts, many texts, contexts."""
    return event(
        number,
        kind=list(EventKind)[number % 7],
        state=f"state {'abcdefg'[number % 7]}" if number % 3 else f"{number}.5",
        old_state="on" if number % 5 else None,
        payload=f'{{"n":{number % 300},"x":"{"y" * (number % 300 * 20)}"}}' if number % 2 else None,
        context_id=f"01JD{number:022d}" if number % 4 else f"own-{number}",
        user_id="user" if number % 11 == 0 else None,
    )


async def _stored(path: Path, count: int = COUNT) -> list[Event]:
    """Fill a store, purge some of it, close it; return what it holds."""
    store = Store(path, ManualClock())
    for first in range(0, count, 3000):
        await store.append([_sample(number) for number in range(first, min(first + 3000, count))])
    await store.purge_before(_sample(count // 10).time_us)
    held = await all_events(store)
    await store.close()
    return held


def _sound(content: bytes) -> bytes:
    return content


def _zeroed_pages(content: bytes) -> bytes:
    pages = bytearray(content)
    chance = random.Random(5)
    for number in chance.sample(range(1, len(content) // PAGE), len(content) // PAGE // 20):
        pages[number * PAGE : (number + 1) * PAGE] = bytes(PAGE)
    return bytes(pages)


def _many_zeroed_pages(content: bytes) -> bytes:
    pages = bytearray(content)
    chance = random.Random(6)
    for number in chance.sample(range(30, len(content) // PAGE), len(content) // PAGE // 2):
        pages[number * PAGE : (number + 1) * PAGE] = bytes(PAGE)
    return bytes(pages)


def _truncated(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3 + 100]


def _garbage_in_the_middle(content: bytes) -> bytes:
    start, end = len(content) // 3 + 1000, len(content) * 2 // 3 + 17
    return content[:start] + random.Random(7).randbytes(end - start) + content[end:]


def _no_first_page(content: bytes) -> bytes:
    return bytes(PAGE) + content[PAGE:]


def _no_first_pages(content: bytes) -> bytes:
    return random.Random(8).randbytes(2 * PAGE) + content[2 * PAGE :]


DAMAGES = [
    _sound,
    _zeroed_pages,
    _many_zeroed_pages,
    _truncated,
    _garbage_in_the_middle,
    _no_first_page,
    _no_first_pages,
]


@pytest.mark.parametrize("damage", DAMAGES)
async def test_what_was_saved_and_lost_adds_up_to_what_was_stored(
    path: Path, tmp_path: Path, clock: ManualClock, damage: Callable[[bytes], bytes]
) -> None:
    """However the file was damaged: every saved event was stored, and the counts are those of comparing them."""
    held = {event.id: event for event in await _stored(path)}
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)

    report = await salvage(path, tmp_path / "saved.db")

    store = Store(tmp_path / "saved.db", clock)
    saved = await all_events(store)
    stats = await store.stats()
    await store.close()
    whole = [event for event in saved if event == held[event.id]]
    print(damage.__name__, report, len(held))
    assert report.saved == len(saved) == stats.events
    assert report.lost in (None, len(held) - len(saved))
    assert report.incomplete == len(saved) - len(whole)
    assert report.tables["events"] == len(saved)
    assert path.read_bytes() == damaged
    assert raw(tmp_path / "saved.db", "PRAGMA integrity_check") == [("ok",)]
