"""Do what the services that move or sum up the whole store are asked: export, import, restore, query_rollups."""

import asyncio
from collections.abc import Iterable, Mapping
import os
from pathlib import Path
import shutil
from typing import Any, Final

from homeassistant.core import ServiceResponse
from homeassistant.util import dt as dt_util

from .engine.model import MAX_LIMIT, RollUp, RollUpQuery, Span
from .engine.store import (
    ExportForm,
    ExportReport,
    ImportReport,
    RestoreReport,
    export_events,
    import_events,
    restore,
)
from .places import Places
from .runtime import HomeIQData
from .service_fields import Fields, error
from .times import DAY_US, moment, now_us
from .transfer_paths import EXPORT_FOLDER, LONGEST_PATH, source_path, target_path
from .transfers import Progress, TransferKind

_DEFAULT_ROLLUPS: Final = 1_000
# What is asked for where no start is given.
_DEFAULT_RANGE_US: Final[Mapping[Span, int]] = {Span.HOUR: 7 * DAY_US, Span.DAY: 90 * DAY_US}
_SUFFIXES: Final[Mapping[ExportForm, str]] = {
    ExportForm.JSONL_ZST: ".jsonl.zst",
    ExportForm.JSONL_GZ: ".jsonl.gz",
    ExportForm.CSV_GZ: ".csv.gz",
}


async def export_data(data: HomeIQData, fields: Mapping[str, Any]) -> ServiceResponse:
    """Write events to a file that is complete when it has its name."""
    form: ExportForm = fields["form"]
    target = await asyncio.to_thread(
        target_path, data.coordinator.hass, data.care.places, fields["path"] or _default_name(form)
    )
    await data.pipeline.flush()
    await data.care.guard.async_over()

    async def work(progress: Progress) -> ExportReport:
        staged = await asyncio.to_thread(_stage, data.care.places, target)
        report = await export_events(
            data.store,
            staged,
            start_us=fields["start_us"],
            end_us=fields["end_us"],
            form=form,
            progress=progress,
        )
        await asyncio.to_thread(_publish, staged, target, fields["path"] or target.name)
        return report

    report = await data.care.transfers.async_run(TransferKind.EXPORT, target, work, _describe_export)
    return {"path": str(target), **_describe_export(report)}


async def import_data(data: HomeIQData, fields: Mapping[str, Any]) -> ServiceResponse:
    """Store the events of a file that are not there yet."""
    source = await asyncio.to_thread(source_path, data.coordinator.hass, data.care.places, fields["path"])
    await data.pipeline.flush()

    async def work(progress: Progress) -> ImportReport:
        report = await import_events(data.store, source, progress=progress)
        await data.care.maintenance.async_roll_up()
        return report

    report = await data.care.transfers.async_run(TransferKind.IMPORT, source, work, _describe_import)
    await data.coordinator.async_recount()
    return {"path": str(source), **_describe_import(report)}


async def restore_data(data: HomeIQData, fields: Mapping[str, Any]) -> ServiceResponse:
    """Let a file's content take the store's place, once it is proven whole; the store of before is kept."""
    source = await asyncio.to_thread(source_path, data.coordinator.hass, data.care.places, fields["path"])
    await data.pipeline.flush()
    await data.care.guard.async_over()

    async def work(progress: Progress) -> RestoreReport:
        report = await restore(data.store, source, progress=progress)
        await data.care.maintenance.async_roll_up()
        return report

    report = await data.care.transfers.async_run(TransferKind.RESTORE, source, work, _describe_restore)
    await data.care.maintenance.async_forget_extract()
    await data.coordinator.async_recount()
    return {"path": str(source), **_describe_restore(report)}


async def query_rollups(data: HomeIQData, fields: Mapping[str, Any]) -> ServiceResponse:
    """Return what entities did in each hour or day that has ended."""
    await data.pipeline.flush()
    await data.care.maintenance.async_roll_up()
    span: Span = fields["span"]
    end_us = fields["end_us"] if fields["end_us"] is not None else now_us()
    start_us = fields["start_us"] if fields["start_us"] is not None else end_us - _DEFAULT_RANGE_US[span]
    found = await data.care.maintenance.rollups.query(
        RollUpQuery(entity_ids=fields["entity_ids"], start_us=start_us, end_us=end_us, span=span, limit=fields["limit"])
    )
    # In a thread: 10,000 take a tenth of a second.
    return {"rollups": await asyncio.to_thread(_rollups, found)}


def read_export(fields: Fields) -> Mapping[str, Any]:
    """Read the fields of export_data."""
    start_us, end_us = fields.time_range_us("start", "end")
    return {
        "path": fields.optional_text("path", LONGEST_PATH),
        "start_us": start_us,
        "end_us": end_us,
        "form": fields.member("form", ExportForm.JSONL_ZST),
    }


def read_path(fields: Fields) -> Mapping[str, Any]:
    """Read the one field of import_data and restore."""
    return {"path": fields.required_text("path", LONGEST_PATH)}


def read_rollup_query(fields: Fields) -> Mapping[str, Any]:
    """Read the fields of query_rollups."""
    start_us, end_us = fields.time_range_us("start", "end")
    return {
        "entity_ids": fields.entity_ids("entity_id"),
        "start_us": start_us,
        "end_us": end_us,
        "span": fields.member("span", Span.HOUR),
        "limit": fields.number("limit", 1, MAX_LIMIT, _DEFAULT_ROLLUPS),
    }


def _default_name(form: ExportForm) -> str:
    return f"{EXPORT_FOLDER}/homeiq-{dt_util.now():%Y%m%dT%H%M%S%z}{_SUFFIXES[form]}"


def _stage(places: Places, target: Path) -> Path:
    """Return where a file is written before it gets its place.

    Home Assistant's backup fails if a file vanishes under it, so what is half written lies where no backup looks.
    """
    if not target.is_relative_to(places.folder.resolve()):
        return target
    places.outside.parent.mkdir(exist_ok=True)
    return places.outside.parent / target.name


def _publish(staged: Path, target: Path, value: str) -> None:
    if staged == target:
        return
    try:
        # Unlike a renaming, a link never replaces what came there meanwhile.
        os.link(staged, target)
    except FileExistsError as err:
        raise error("file_exists", field="path", value=value) from err
    except OSError:
        # Another disk, or a file system without links.
        shutil.copyfile(staged, target)
    finally:
        staged.unlink()


def _describe_export(report: ExportReport) -> dict[str, Any]:
    return {"events": report.events, "bytes": report.bytes, "sha256": report.sha256}


def _describe_import(report: ImportReport) -> dict[str, Any]:
    return {
        "read": report.read,
        "stored": report.stored,
        "duplicates": report.duplicates,
        "forgotten": report.forgotten,
        "refused": report.refused,
        "resumed": report.resumed,
        "verified": report.verified,
    }


def _describe_restore(report: RestoreReport) -> dict[str, Any]:
    return {
        "events": report.events,
        "forgotten": report.forgotten,
        "carried_over": report.carried_over,
        "sha256": report.sha256,
        "before": str(report.before),
    }


def _rollups(found: Iterable[RollUp]) -> list[Any]:
    return [
        {
            "entity_id": one.entity_id,
            "span": one.span.value,
            "start": moment(one.start_us).isoformat(),
            "end": moment(one.end_us).isoformat(),
            "events": one.events,
            "changes": one.changes,
            "low": one.low,
            "high": one.high,
            "mean": one.mean,
            "last": one.last,
            "rise": one.rise,
            "states": dict(one.states),
            "state": one.state,
        }
        for one in found
    ]
