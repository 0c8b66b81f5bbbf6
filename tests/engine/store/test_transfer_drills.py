"""Processes that are killed in the middle of an export, an import or a restore, and what is left then."""

from pathlib import Path

import pytest

from homeiq_engine.model import Event
from homeiq_engine.store import Store, content_hash, export_events
from tests.engine.store.processes import kill_after, kill_at_step, running
from tests.engine.store.samples import ManualClock, all_events, event, events, raw, without_id

OLD = events(50, first=100_000)
NEW = [event(number, payload=f'{{"n":{number}}}') for number in range(6000)]


async def _make(path: Path, stored: list[Event]) -> None:
    store = Store(path, ManualClock())
    await store.append(stored)
    await store.close()


async def _held(path: Path) -> list[Event]:
    store = Store(path, ManualClock())
    try:
        assert store.set_aside == ()
        return [without_id(one) for one in await all_events(store)]
    finally:
        await store.close()


async def _hash(path: Path) -> tuple[int, str]:
    store = Store(path, ManualClock())
    async with store.reader() as reader:
        found = await content_hash(reader)
    await store.close()
    return found


async def test_a_killed_export_has_no_name_and_can_be_made_again(path: Path, tmp_path: Path) -> None:
    """After kill -9 there is no file under the final name; what was begun is in nobody's way."""
    await _make(path, NEW)
    target = tmp_path / "export"
    for progress in (1, 5, 9):
        kill_after(progress, "export", path, target)
        assert not target.exists()

    store = Store(path, ManualClock())
    report = await export_events(store, target)
    await store.close()

    assert report.events == 6000
    assert not target.with_name(".export.homeiq-partial").exists()


async def test_a_killed_import_goes_on_and_stores_nothing_twice(path: Path, tmp_path: Path) -> None:
    """Killed again and again: in the end all is there once, as in the file."""
    source = tmp_path / "source.db"
    await _make(source, [*NEW, *NEW[:700]])
    await _make(path, NEW[:100])
    for progress in (1, 3, 5):
        kill_after(progress, "import", path, source)

    with running("import", path, source) as process:
        assert process.stdout is not None
        assert process.stdout.read().splitlines()[-1] == "done"

    assert await _hash(path) == await _hash(source)


@pytest.mark.slow
async def test_a_restore_killed_at_any_step_leaves_the_old_or_the_new_store(path: Path, tmp_path: Path) -> None:
    """Killed before each file that it names, links, deletes or opens: there is always one whole store, old or new."""
    source = tmp_path / "source.db"
    await _make(source, NEW)
    await _make(path, OLD)
    step, ended, seen = 0, False, []
    while not ended:
        step += 1
        ended = kill_at_step(step, "restore", path, source)
        assert path.exists()
        assert raw(path, "PRAGMA integrity_check") == [("ok",)]
        held = await _held(path)
        assert held in (OLD, NEW)
        seen.append(held == NEW)
        assert not list(path.parent.glob("*.restoring*"))
        path.unlink()
        await _make(path, OLD)
        for before in path.parent.glob("*.before-restore-*"):
            before.unlink()

    # Both happen, and once it has happened it stays.
    assert seen == sorted(seen)
    assert seen[0] is False
    assert seen[-1] is True
    assert step > 10


async def test_a_restore_from_an_export_killed_while_it_fills_leaves_the_old_store(path: Path, tmp_path: Path) -> None:
    """Killed at several moments of the filling: the old store is untouched, what was begun is cleaned up."""
    await _make(tmp_path / "source.db", NEW)
    source = Store(tmp_path / "source.db", ManualClock())
    await export_events(source, tmp_path / "export")
    await source.close()
    await _make(path, OLD)
    for progress in (1, 6, 12):
        kill_after(progress, "restore", path, tmp_path / "export")
        assert await _held(path) == OLD
        assert not list(path.parent.glob("*.restoring*"))
