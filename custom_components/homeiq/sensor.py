"""Show what HomeIQ keeps and how well it keeps up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import EntityCategory, UnitOfInformation, UnitOfTime
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import Figures
from .entity import HomeIQEntity
from .replica_entities import async_add_replica_sensors
from .runtime import HomeIQConfigEntry
from .times import moment
from .transfer_sensor import TransferSensor

PARALLEL_UPDATES = 0

type SensorValue = int | float | str | datetime | None


@dataclass(frozen=True, kw_only=True)
class HomeIQSensorDescription(SensorEntityDescription):
    """Describe a sensor by how its value is read from the figures; None where nothing is known."""

    value: Callable[[Figures], SensorValue]
    attributes: Callable[[Figures], Mapping[str, Any]] | None = None
    entity_category: EntityCategory | None = EntityCategory.DIAGNOSTIC


def _oldest(figures: Figures) -> datetime | None:
    if figures.store is None or figures.store.oldest_us is None:
        return None
    return moment(figures.store.oldest_us)


def _rounded(value: float | None, digits: int) -> float | None:
    """Round to what can be told apart, so that the recorder does not keep a row for every jitter."""
    return None if value is None else round(value, digits)


def _noisiest(figures: Figures) -> str | None:
    return None if figures.pipeline.noisiest is None else figures.pipeline.noisiest[0]


def _noisiest_share(figures: Figures) -> Mapping[str, Any]:
    if figures.pipeline.noisiest is None:
        return {}
    count = figures.pipeline.noisiest[1]
    return {"events": count, "share": round(100 * count / max(1, figures.pipeline.today), 1)}


SENSORS = (
    HomeIQSensorDescription(
        key="events_per_minute",
        translation_key="events_per_minute",
        native_unit_of_measurement="events/min",
        state_class=SensorStateClass.MEASUREMENT,
        value=lambda figures: figures.pipeline.per_minute,
    ),
    HomeIQSensorDescription(
        key="events_today",
        translation_key="events_today",
        native_unit_of_measurement="events",
        state_class=SensorStateClass.TOTAL_INCREASING,
        value=lambda figures: figures.pipeline.today,
    ),
    HomeIQSensorDescription(
        key="lifetime_events",
        translation_key="lifetime_events",
        native_unit_of_measurement="events",
        state_class=SensorStateClass.TOTAL_INCREASING,
        value=lambda figures: None if figures.store is None else figures.store.counters.get("stored", 0),
    ),
    HomeIQSensorDescription(
        key="buffer_depth",
        translation_key="buffer_depth",
        native_unit_of_measurement="events",
        state_class=SensorStateClass.MEASUREMENT,
        value=lambda figures: figures.pipeline.buffer_depth,
    ),
    HomeIQSensorDescription(
        key="write_latency_p95",
        translation_key="write_latency_p95",
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.MILLISECONDS,
        suggested_display_precision=1,
        state_class=SensorStateClass.MEASUREMENT,
        value=lambda figures: _rounded(figures.pipeline.write_p95_ms, 1),
    ),
    HomeIQSensorDescription(
        key="last_commit_age",
        translation_key="last_commit_age",
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        suggested_display_precision=0,
        state_class=SensorStateClass.MEASUREMENT,
        value=lambda figures: _rounded(figures.pipeline.last_commit_age_s, 0),
    ),
    HomeIQSensorDescription(
        key="events_lost",
        translation_key="events_lost",
        native_unit_of_measurement="events",
        state_class=SensorStateClass.TOTAL_INCREASING,
        value=lambda figures: figures.lost,
    ),
    HomeIQSensorDescription(
        key="store_size",
        translation_key="store_size",
        device_class=SensorDeviceClass.DATA_SIZE,
        native_unit_of_measurement=UnitOfInformation.BYTES,
        suggested_unit_of_measurement=UnitOfInformation.MEGABYTES,
        suggested_display_precision=1,
        state_class=SensorStateClass.MEASUREMENT,
        value=lambda figures: None if figures.store is None else figures.store.size_bytes,
    ),
    HomeIQSensorDescription(
        key="oldest_event",
        translation_key="oldest_event",
        device_class=SensorDeviceClass.TIMESTAMP,
        value=_oldest,
    ),
    HomeIQSensorDescription(
        key="noisiest_entity",
        translation_key="noisiest_entity",
        value=_noisiest,
        attributes=_noisiest_share,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: HomeIQConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensors."""
    coordinator = entry.runtime_data.coordinator
    async_add_entities(HomeIQSensor(coordinator, description) for description in SENSORS)
    async_add_entities([TransferSensor(coordinator, entry.runtime_data.care.transfers)])
    async_add_replica_sensors(hass, entry, async_add_entities)


class HomeIQSensor(HomeIQEntity, SensorEntity):
    """Show one figure."""

    entity_description: HomeIQSensorDescription

    @property
    @override
    def native_value(self) -> SensorValue:
        """Return the figure."""
        return self.entity_description.value(self.coordinator.data)

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        """Return what explains the figure, where something does."""
        read = self.entity_description.attributes
        return None if read is None else read(self.coordinator.data)
