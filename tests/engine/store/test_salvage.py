"""What is readable of a damaged file is saved, and the report says exactly how many rows were saved and lost."""

import asyncio
from collections.abc import Callable
from pathlib import Path
import random

import pytest

from homeiq_engine.model import Event, EventKind, StoreError, StoreNewerError, TransferError
from homeiq_engine.store import SCHEMA_VERSION, Store, import_events, salvage
from homeiq_engine.store._purging import empty_wal
from homeiq_engine.store._salvage_pages import DamagedFile, Trees, rows_of
from tests.engine.store.samples import ManualClock, all_events, event, events, raw
from tests.engine.store.small_disk import small_disk

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
    assert report.saved == len(saved) == stats.events
    assert report.lost in (None, len(held) - len(saved))
    assert report.incomplete == len(saved) - len(whole)
    assert report.tables["events"] == len(saved)
    assert path.read_bytes() == damaged
    assert raw(tmp_path / "saved.db", "PRAGMA integrity_check") == [("ok",)]


async def test_what_is_in_the_log_is_saved_up_to_the_last_whole_commit(
    store: Store, path: Path, tmp_path: Path
) -> None:
    """A set-aside file has its log beside it: committed frames count, what follows a broken frame never happened."""
    await store.append(events(2000))
    await store.write(empty_wal)
    for number in range(5):
        await store.append(events(200, first=2000 + 200 * number))
    for name in ("whole", "broken"):
        (tmp_path / name).write_bytes(path.read_bytes())
        (tmp_path / f"{name}-wal").write_bytes(path.with_name("homeiq.db-wal").read_bytes())
    log = tmp_path / "broken-wal"
    content = log.read_bytes()
    log.write_bytes(content[: len(content) // 2] + bytes(100) + content[len(content) // 2 + 100 :])

    whole = await salvage(tmp_path / "whole", tmp_path / "whole.saved")
    broken = await salvage(tmp_path / "broken", tmp_path / "broken.saved")

    # SQLite recovers the same.
    (held,) = raw(tmp_path / "broken", "SELECT COUNT(*) FROM events")[0]
    assert (whole.saved, whole.lost) == (3000, 0)
    assert (broken.saved, broken.lost) == (held, 0)
    assert 2000 < held < 3000


@pytest.mark.parametrize("log", [b"", b"short", bytes(4096), b"\x37\x7f\x06\x82" + bytes(8192)])
async def test_a_log_that_is_none_is_left_alone(path: Path, tmp_path: Path, log: bytes) -> None:
    """The file counts without it."""
    await _stored(path, 1000)
    path.with_name("homeiq.db-wal").write_bytes(log)

    assert (await salvage(path, tmp_path / "saved.db")).saved == 900


async def test_a_lost_first_page_is_found_in_the_log(store: Store, path: Path, tmp_path: Path) -> None:
    """Only the log is left of it all: what was committed since the last checkpoint is saved."""
    await store.append(events(300))
    copy = tmp_path / "copy"
    copy.write_bytes(b"")
    copy.with_name("copy-wal").write_bytes(path.with_name("homeiq.db-wal").read_bytes())

    report = await salvage(copy, tmp_path / "saved.db")

    assert (report.saved, report.lost) == (300, 0)


async def test_lost_counters_make_the_loss_unknown(path: Path, tmp_path: Path) -> None:
    """Without the file's own count nobody can say what is lost, and nothing is made up."""
    held = await _stored(path, 1000)
    ((root,),) = raw(path, "SELECT rootpage FROM sqlite_master WHERE name = 'counters'")
    content = path.read_bytes()
    path.write_bytes(content[: (root - 1) * PAGE] + bytes(PAGE) + content[root * PAGE :])

    report = await salvage(path, tmp_path / "saved.db")

    assert (report.saved, report.lost) == (len(held), None)


async def test_a_lost_map_is_made_up_for_by_the_inner_pages(path: Path, tmp_path: Path) -> None:
    """The page that says whose page is whose is gone: the tree's own pages say it."""
    held = await _stored(path)
    content = path.read_bytes()
    path.write_bytes(content[:PAGE] + bytes(PAGE) + content[2 * PAGE :])

    report = await salvage(path, tmp_path / "saved.db")

    assert (report.saved, report.lost, report.incomplete) == (len(held), 0, 0)


async def test_what_was_saved_is_imported_into_the_running_store(store: Store, path: Path, tmp_path: Path) -> None:
    """The way back: set aside, saved, imported beside what has come since."""
    damaged = tmp_path / "damaged.db"
    held = await _stored(damaged, 2000)
    damaged.write_bytes(_zeroed_pages(damaged.read_bytes()))
    await store.append(events(3, first=50_000))
    report = await salvage(damaged, tmp_path / "saved.db")

    imported = await import_events(store, tmp_path / "saved.db")

    assert imported.stored == report.saved == len(held) - (report.lost or 0)
    assert (await store.stats()).events == report.saved + 3


async def test_files_that_are_not_to_be_saved_are_refused(path: Path, tmp_path: Path) -> None:
    """Another program's database, a newer store, a target that is there: each is told, and nothing is written."""
    raw(tmp_path / "foreign.db", "CREATE TABLE a (b)")
    await _stored(path, 100)
    (tmp_path / "there.db").write_bytes(b"mine")

    with pytest.raises(TransferError, match="another program"):
        await salvage(tmp_path / "foreign.db", tmp_path / "saved.db")
    with pytest.raises(TransferError, match="already"):
        await salvage(path, tmp_path / "there.db")
    with pytest.raises(StoreError):
        await salvage(tmp_path / "nothing.db", tmp_path / "saved.db")
    raw(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreNewerError):
        await salvage(path, tmp_path / "saved.db")

    assert sorted(file.name for file in tmp_path.iterdir()) == ["foreign.db", "homeiq", "there.db"]
    assert (tmp_path / "there.db").read_bytes() == b"mine"


async def test_a_cancelled_salvage_leaves_nothing(path: Path, tmp_path: Path) -> None:
    """Cancelled at its first progress: no new file, no half one."""
    await _stored(path)
    task: asyncio.Future[object] = asyncio.ensure_future(
        salvage(path, tmp_path / "saved.db", progress=lambda _, __: task.cancel())
    )

    with pytest.raises(asyncio.CancelledError):
        await task

    assert [file.name for file in tmp_path.iterdir()] == ["homeiq"]


async def test_a_full_disk_leaves_no_half_file(path: Path, tmp_path: Path) -> None:
    """What was saved does not fit: told as that."""
    await _stored(path)
    with small_disk(tmp_path / "disk") as disk:
        with pytest.raises(StoreError) as full:
            await salvage(path, disk.folder / "saved.db")
        assert list(disk.folder.iterdir()) == []

    assert full.value.placeholders["reason"] == "disk_full"


def test_random_bytes_never_stop_the_reading(tmp_path: Path) -> None:
    """Pages whose heads look like those of a tree and whose rest is nonsense give no rows and no error."""
    chance = random.Random(9)
    kinds = bytes((2, 5, 10, 13))
    pages = [bytes([kinds[number % 4]]) + bytes(2) + b"\x00\x20" + chance.randbytes(PAGE - 5) for number in range(400)]
    (tmp_path / "file").write_bytes(b"".join(pages))

    with DamagedFile(tmp_path / "file") as file:
        trees = Trees(file)
        owners = [trees.owner(number) for number in range(1, file.pages + 1)]
        rows = [rows_of(file, number) for number in range(1, file.pages + 2)]

    assert len(owners) == 400
    assert sum(map(len, rows)) < 40
