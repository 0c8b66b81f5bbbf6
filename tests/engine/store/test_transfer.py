"""What was exported and imported again is what was stored: every value, twins included, nothing twice."""

import asyncio
from compression import zstd
import csv
import gzip
import json
from pathlib import Path
import random

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest
from ulid_transform import ulid_to_bytes

from homeiq_engine.model import BusyError, Event, EventKind, StoreError, StoreNewerError, TransferError
from homeiq_engine.store import (
    SCHEMA_VERSION,
    ExportForm,
    ExportReport,
    ImportReport,
    Store,
    content_hash,
    export_events,
    forget_entity,
    import_events,
)
from homeiq_engine.store._transfer_files import ExportWriter
from homeiq_engine.store._transfer_lines import FIELDS
from tests.engine.store.samples import EVENTS, T0_US, ManualClock, all_events, event, events, raw, without_id
from tests.engine.store.small_disk import small_disk


async def _hash(store: Store) -> tuple[int, str]:
    async with store.reader() as reader:
        return await content_hash(reader)


def _report(**counts: int | bool) -> ImportReport:
    given = dict.fromkeys(("read", "stored", "duplicates", "forgotten", "refused", "resumed"), 0)
    return ImportReport(**(given | {"verified": True} | counts))


def _lines(path: Path) -> list[bytes]:
    unpack = {".zst": zstd.decompress, ".gz": gzip.decompress}[path.suffix]
    return unpack(path.read_bytes()).splitlines(keepends=True)


@pytest.mark.parametrize("form", ExportForm)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stored=st.lists(EVENTS, max_size=20))
def test_every_event_comes_back_as_it_was(
    form: ExportForm, stored: list[Event], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever an event holds, NUL, quotes, line ends and ids of any form included, in each form of export."""
    folder = tmp_path_factory.mktemp("transfer")

    async def there_and_back() -> tuple[list[Event], ImportReport, bool]:
        first, second = Store(folder / "a.db", ManualClock()), Store(folder / "b.db", ManualClock())
        try:
            await first.append(stored)
            await export_events(first, folder / "export", form=form)
            report = await import_events(second, folder / "export")
            return await all_events(second), report, await _hash(first) == await _hash(second)
        finally:
            await first.close()
            await second.close()

    found, report, equal = asyncio.run(there_and_back())

    assert sorted(map(repr, map(without_id, found))) == sorted(map(repr, stored))
    assert report == _report(read=len(stored), stored=len(stored))
    assert equal


@pytest.fixture
async def other(tmp_path: Path, clock: ManualClock) -> Store:
    """Return a second, empty store; the test closes it."""
    return Store(tmp_path / "other" / "homeiq.db", clock)


@pytest.mark.parametrize("form", ExportForm)
async def test_an_export_says_what_it_holds(store: Store, tmp_path: Path, form: ExportForm) -> None:
    """The first line says of what, the last line how much, and the report says the same."""
    await store.append(events(1200))
    target = tmp_path / f"export{'.zst' if form is ExportForm.JSONL_ZST else '.gz'}"

    report = await export_events(store, target, start_us=T0_US, end_us=T0_US + 10_000_000, form=form)

    lines = _lines(target)
    mark = 1 if form is ExportForm.CSV_GZ else 0
    assert json.loads(lines[0][mark:]) == {
        "homeiq_export": 1,
        "schema": SCHEMA_VERSION,
        "from": T0_US,
        "to": T0_US + 10_000_000,
        "made": store.clock.now_us(),
        "events": 1200,
        "entities": 7,
        "forgotten": {},
    }
    assert json.loads(lines[-1][mark:]) == {"events": 1200, "sha256": report.sha256}
    assert report == ExportReport(events=1200, bytes=target.stat().st_size, sha256=(await _hash(store))[1])
    assert len(lines) == 1200 + 2 + mark


async def test_lines_of_an_export_are_objects_with_the_names_of_an_event(store: Store, tmp_path: Path) -> None:
    """Other programs can read it: names as in the answers of the services, ULIDs in hexadecimal."""
    await store.append([event(1, context_id="01JD0000000000000000000001", payload='{"n":1}')])
    await export_events(store, tmp_path / "a.gz", form=ExportForm.JSONL_GZ)
    await export_events(store, tmp_path / "b.gz", form=ExportForm.CSV_GZ)

    line = json.loads(_lines(tmp_path / "a.gz")[1])
    (row,) = list(csv.DictReader(_lines(tmp_path / "b.gz")[2].decode().splitlines(), FIELDS))

    assert {name: value for name, value in line.items() if value is not None} == {
        "time_us": T0_US + 1000,
        "kind": "state",
        "origin": "device",
        "entity_id": "sensor.s1",
        "state": "1",
        "payload": '{"n":1}',
        "context_ulid": ulid_to_bytes("01JD0000000000000000000001").hex().upper(),
    }
    assert {name: value for name, value in row.items() if value} == {
        name: str(value) for name, value in line.items() if value is not None
    }


async def test_a_range_is_half_open_and_in_the_order_of_time(store: Store, tmp_path: Path, other: Store) -> None:
    """Events of [start, end) only; late ones stand where they happened."""
    await store.append([*events(10, first=10), *events(10)])

    await export_events(store, tmp_path / "export", start_us=T0_US + 5000, end_us=T0_US + 15_000)
    await import_events(other, tmp_path / "export")

    found = await all_events(other)
    assert [without_id(one) for one in found] == events(10, first=5)
    assert [one.id for one in found] == list(range(1, 11))
    await other.close()


async def test_twins_stay_as_many_as_they_are(store: Store, tmp_path: Path, other: Store) -> None:
    """Three equal events stay three, also where two are there already, and a second import adds none."""
    twins = [event(1), event(1), event(1), *events(600, first=2, time_us=T0_US)]
    await store.append(twins)
    await export_events(store, tmp_path / "export")
    await other.append([event(1), event(1)])

    first = await import_events(other, tmp_path / "export")
    second = await import_events(other, tmp_path / "export")
    third = await import_events(other, store.path)

    assert first == _report(read=603, stored=601, duplicates=2)
    assert second == third == _report(read=603, duplicates=603)
    assert await _hash(other) == await _hash(store)
    await other.close()


async def test_a_store_file_with_its_log_is_imported(store: Store, other: Store) -> None:
    """Another store's file is read while that store is open: what is still in its log counts."""
    await store.append(events(1200))
    told: list[tuple[int, int | None]] = []

    report = await import_events(other, store.path, progress=lambda done, total: told.append((done, total)))

    assert report == _report(read=1200, stored=1200)
    assert await _hash(other) == await _hash(store)
    assert told == [(500, 1200), (1000, 1200), (1200, 1200), (1200, 1200)]
    await other.close()


async def test_an_interrupted_import_goes_on_where_it_was(store: Store, tmp_path: Path, other: Store) -> None:
    """Cancelled in the middle and asked for again: the rest is stored, what was done is not looked at again."""
    await store.append(events(3000))
    await export_events(store, tmp_path / "export")
    task: asyncio.Future[object] = asyncio.ensure_future(
        import_events(other, tmp_path / "export", progress=lambda done, _: task.cancel() if done == 1500 else None)
    )
    with pytest.raises(asyncio.CancelledError):
        await task

    report = await import_events(other, tmp_path / "export")

    assert report == _report(read=3000, stored=3000 - report.resumed, resumed=report.resumed)
    assert 1000 < report.resumed < 1500
    assert await _hash(other) == await _hash(store)
    assert raw(other.path, "SELECT name FROM meta WHERE name LIKE 'import:%'") == []
    await other.close()


async def test_what_was_deleted_since_an_interruption_is_imported_again(
    store: Store, tmp_path: Path, other: Store
) -> None:
    """The place of an interrupted import says nothing once events have been deleted: all of the file is read anew."""
    await store.append(events(3000))
    await export_events(store, tmp_path / "export")
    task: asyncio.Future[object] = asyncio.ensure_future(
        import_events(other, tmp_path / "export", progress=lambda done, _: task.cancel() if done == 1500 else None)
    )
    with pytest.raises(asyncio.CancelledError):
        await task
    await other.purge_before(T0_US + 3_600_000_000)

    report = await import_events(other, tmp_path / "export")

    assert report.resumed == 0
    assert await _hash(other) == await _hash(store)
    await other.close()


async def test_a_sound_copy_of_a_damaged_file_is_read_from_its_beginning(
    store: Store, tmp_path: Path, other: Store
) -> None:
    await store.append(events(3000))
    await export_events(store, tmp_path / "export")
    (tmp_path / "cut").write_bytes((tmp_path / "export").read_bytes()[:-2000])
    with pytest.raises(TransferError):
        await import_events(other, tmp_path / "cut")

    report = await import_events(other, tmp_path / "export")

    assert (report.resumed, report.stored + report.duplicates) == (0, 3000)
    assert await _hash(other) == await _hash(store)
    await other.close()


async def test_an_entity_that_is_purged_during_an_import_does_not_come_back(
    store: Store, tmp_path: Path, other: Store, clock: ManualClock
) -> None:
    """Not with the batch that is on its way, nor with those that follow."""
    await store.append(events(3000))
    await export_events(store, tmp_path / "export")
    clock.us = T0_US + 3_600_000_000
    forgetting: list[asyncio.Future[object]] = []

    async def forget() -> None:
        await forget_entity(other, "sensor.s1")
        await other.purge_entity("sensor.s1")

    def progress(done: int, _: int | None) -> None:
        if not forgetting:
            forgetting.append(asyncio.ensure_future(forget()))

    report = await import_events(other, tmp_path / "export", progress=progress)
    await forgetting[0]

    assert report.read == 3000
    assert await all_events(other, entity_ids=("sensor.s1",)) == []
    assert len(await all_events(other)) == len([one for one in await all_events(store) if one.entity_id != "sensor.s1"])
    await other.close()


@pytest.mark.parametrize("form", ExportForm)
async def test_a_file_that_is_cut_off_gives_what_is_in_it_and_an_error(
    store: Store, tmp_path: Path, other: Store, form: ExportForm
) -> None:
    """What can be read is stored, and the error says that the file is cut off."""
    chance = random.Random(1)
    await store.append([event(number, payload=chance.randbytes(40).hex()) for number in range(3000)])
    await export_events(store, tmp_path / "export", form=form)
    content = (tmp_path / "export").read_bytes()
    (tmp_path / "cut").write_bytes(content[: len(content) * 3 // 4])

    with pytest.raises(TransferError, match="cut off") as refused:
        await import_events(other, tmp_path / "cut")

    stored = [without_id(one) for one in await all_events(other)]
    assert refused.value.placeholders == {"field": "path", "value": str(tmp_path / "cut")}
    assert stored == [without_id(one) for one in await all_events(store)][: len(stored)]
    assert len(stored) > 500
    await other.close()


@pytest.mark.parametrize("form", [ExportForm.JSONL_GZ, ExportForm.CSV_GZ])
async def test_lines_that_are_no_events_are_counted_and_left_out(
    store: Store, tmp_path: Path, other: Store, form: ExportForm
) -> None:
    """Lines that were changed by hand cost these lines only; the report says that the file is not as it was written."""
    await store.append(events(40))
    await export_events(store, tmp_path / "export.gz", form=form)
    lines = _lines(tmp_path / "export.gz")
    first = 2 if form is ExportForm.CSV_GZ else 1
    lines[first] = b"nonsense\n"
    lines[first + 1] = lines[first + 1].replace(b"state", b"no kind", 1).replace(b'"state"', b'"no kind"', 1)
    lines[first + 2] = lines[first + 2].replace(b"1790", b"-1790", 1)
    lines[first + 3] = b"[1]\n"
    lines[first + 4] = lines[first + 4].replace(b"device", b"nobody", 1)
    (tmp_path / "changed").write_bytes(gzip.compress(b"".join(lines)))

    report = await import_events(other, tmp_path / "changed")

    assert report == _report(read=40, stored=35, refused=5, verified=False)
    assert [without_id(one) for one in await all_events(other)] == events(35, first=5)
    await other.close()


@pytest.mark.parametrize(
    "line",
    [
        {"context_ulid": "12"},
        {"context_ulid": "no hexadecimal"},
        {"facts": "[]"},
        {"facts": '{"labels":[1]}'},
        {"facts": '{"unit":3}'},
        {"facts": "no json"},
        {"held_us": 2**63},
        {"time_us": True},
        {"time_us": None},
        {"state": 3},
        {"kind": None},
    ],
)
async def test_values_that_do_not_fit_are_refused(
    store: Store, tmp_path: Path, other: Store, line: dict[str, object]
) -> None:
    """A line whose value has another type, or none that this version knows, is no event."""
    await store.append(events(1))
    await export_events(store, tmp_path / "export.gz", form=ExportForm.JSONL_GZ)
    header, good, footer = _lines(tmp_path / "export.gz")
    bad = json.dumps(json.loads(good) | line).encode() + b"\n"
    # Plain text is read as well.
    (tmp_path / "changed.jsonl").write_bytes(header + bad + good + footer)

    report = await import_events(other, tmp_path / "changed.jsonl")

    assert report == _report(read=2, stored=1, refused=1, verified=False)
    await other.close()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no export"),
        (b"some text\n", "no export"),
        (b"[1]\n", "no export"),
        (b'{"homeiq_export":2}\n', "format 2"),
        (b'#{"homeiq_export":1}\na,b\n', "columns"),
        (gzip.compress(b"some text\n"), "no export"),
        (gzip.compress(b"some text\n")[:12], "cut off"),
        (b"\x1f\x8bno gzip", "cut off"),
        (zstd.compress(b"some text\n")[:10], "cut off"),
        (b"\x28\xb5\x2f\xfdno zstd", "cut off"),
        (b"x" * (16 * 1024 * 1024), "longer"),
    ],
)
async def test_a_file_that_is_no_export_is_refused_by_name(
    store: Store, tmp_path: Path, content: bytes, words: str
) -> None:
    """The error names the file and says what is wrong with it; nothing is stored."""
    (tmp_path / "file").write_bytes(content)

    with pytest.raises(TransferError, match=words) as refused:
        await import_events(store, tmp_path / "file")

    assert refused.value.placeholders == {"field": "path", "value": str(tmp_path / "file")}
    assert (await store.stats()).events == 0


async def test_files_that_are_not_there_or_are_no_store_are_refused(store: Store, tmp_path: Path) -> None:
    """Nothing there, a folder, the store itself, an empty database, a newer store: each is told."""
    raw(tmp_path / "empty.db", "VACUUM")
    newer = Store(tmp_path / "newer.db", ManualClock())
    await newer.append(events(1))
    await newer.close()
    raw(newer.path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    raw(tmp_path / "empty.db", "PRAGMA user_version = 0")

    for file in (tmp_path / "nothing", tmp_path, store.path):
        with pytest.raises(TransferError):
            await import_events(store, file)
    with pytest.raises(StoreNewerError):
        await import_events(store, newer.path)
    with pytest.raises(TransferError):
        await import_events(store, tmp_path / "empty.db")


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
async def test_an_export_writes_through_no_link(store: Store, tmp_path: Path, link: str) -> None:
    """Neither a link where it begins its file nor a user's own unfinished file is written to."""
    mine, users = tmp_path / "mine", tmp_path / "export.partial"
    for file in (mine, users):
        file.write_bytes(b"mine")
    getattr(tmp_path / ".export.homeiq-partial", link)(mine)
    with pytest.raises((TransferError, StoreError)):
        await export_events(store, tmp_path / "export")

    (tmp_path / ".export.homeiq-partial").unlink()
    await export_events(store, tmp_path / "export")

    assert [file.read_bytes() for file in (mine, users)] == [b"mine", b"mine"]


async def test_an_export_never_overwrites(store: Store, tmp_path: Path) -> None:
    """A target that is there, or that is being written, or a range that ends before it begins: refused, nothing left."""
    target = tmp_path / "out" / "export"
    target.parent.mkdir()
    target.write_bytes(b"mine")
    with pytest.raises(TransferError) as there:
        await export_events(store, target)
    with pytest.raises(TransferError) as backwards:
        await export_events(store, target, start_us=5, end_us=5)
    writer = ExportWriter(target.with_name("other"), ExportForm.JSONL_GZ, {})
    with pytest.raises(BusyError):
        await export_events(store, target.with_name("other"))
    writer.discard()

    assert there.value.placeholders == {"field": "path", "value": str(target)}
    assert backwards.value.placeholders == {"field": "end", "value": "5"}
    assert [file.name for file in target.parent.iterdir()] == ["export"]
    assert target.read_bytes() == b"mine"


@pytest.mark.parametrize("form", ExportForm)
async def test_a_cancelled_export_leaves_nothing(store: Store, tmp_path: Path, form: ExportForm) -> None:
    """Whoever cancels it finds the folder as it was."""
    await store.append(events(3000))
    target = tmp_path / "out" / "export"
    target.parent.mkdir()
    task: asyncio.Future[object] = asyncio.ensure_future(
        export_events(store, target, form=form, progress=lambda done, _: task.cancel() if done == 1000 else None)
    )

    with pytest.raises(asyncio.CancelledError):
        await task

    assert list(target.parent.iterdir()) == []


async def test_a_full_disk_leaves_no_export_and_a_store_that_goes_on(store: Store, tmp_path: Path) -> None:
    """The error says that the disk is full, the half file is gone, and there is room again."""
    chance = random.Random(1)
    await store.append([event(number, payload=chance.randbytes(400).hex()) for number in range(4000)])
    with small_disk(tmp_path / "disk") as disk:
        with pytest.raises(StoreError) as full:
            await export_events(store, disk.folder / "export")
        left = list(disk.folder.iterdir())
        small = await export_events(store, disk.folder / "export", end_us=T0_US + 100_000)

    assert full.value.placeholders["reason"] == "disk_full"
    assert left == []
    assert small.events == 100


async def test_what_is_stored_during_an_export_is_not_in_it(store: Store, tmp_path: Path, other: Store) -> None:
    """An export holds what was stored when it began, also if events arrive that are older."""
    await store.append(events(2000, first=1000))
    more: list[asyncio.Future[int]] = []

    def arrive(done: int, total: int | None) -> None:
        more.append(asyncio.ensure_future(store.append(events(10, first=done // 100))))

    report = await export_events(store, tmp_path / "export", progress=arrive)
    await asyncio.gather(*more)
    await import_events(other, tmp_path / "export")

    assert report.events == 2000
    assert [without_id(one) for one in await all_events(other)] == events(2000, first=1000)
    await other.close()


async def test_kinds_without_a_state_are_told_apart_by_name(store: Store, tmp_path: Path, other: Store) -> None:
    """Two calls of one moment are two events."""
    calls = [event(1, kind=EventKind.CALL, entity_id=None, state=None, name=name) for name in ("a.b", "a.c")]
    await store.append(calls)
    await export_events(store, tmp_path / "export")

    report = await import_events(other, tmp_path / "export")

    assert report.stored == 2
    await other.close()
