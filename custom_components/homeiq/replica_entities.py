"""Show each replica as a device of its own: how far behind it is, what it carries, and whether its server answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, override

from homeassistant.components.binary_sensor import (
    BinarySensorDeviceClass,
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import EntityCategory, UnitOfInformation, UnitOfTime
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import CONF_SERVER, DOMAIN
from .engine.replica import CircuitState, ReplicaState, ReplicaStats
from .entity import main_device
from .replica_coordinator import ReplicaCoordinator
from .runtime import HomeIQConfigEntry
from .times import moment

type ReplicaValue = int | float | str | datetime | None

_MODELS: Final[Mapping[str, tuple[str, str]]] = {
    "influxdb_1": ("InfluxData", "InfluxDB 1"),
    "influxdb_2": ("InfluxData", "InfluxDB 2"),
    "influxdb_3": ("InfluxData", "InfluxDB 3"),
    "victoria_metrics": ("VictoriaMetrics", "VictoriaMetrics"),
}


@dataclass(frozen=True, kw_only=True)
class ReplicaSensorDescription(SensorEntityDescription):
    """Describe a replica's sensor by how its value is read from the figures; None where nothing is known."""

    value: Callable[[ReplicaStats], ReplicaValue]
    entity_category: EntityCategory | None = EntityCategory.DIAGNOSTIC


@dataclass(frozen=True, kw_only=True)
class ReplicaBinarySensorDescription(BinarySensorEntityDescription):
    """Describe a replica's binary sensor by how it is read from the figures."""

    is_on: Callable[[ReplicaStats], bool | None]
    attributes: Callable[[ReplicaStats], Mapping[str, Any]]
    entity_category: EntityCategory | None = EntityCategory.DIAGNOSTIC


def _connected(stats: ReplicaStats) -> bool | None:
    """Return whether the last attempt passed, None where none was made."""
    if stats.state in {ReplicaState.STARTING, ReplicaState.PAUSED, ReplicaState.STOPPED}:
        return None
    return stats.state is ReplicaState.FOLLOWING


SENSORS = (
    ReplicaSensorDescription(
        key="lag_events",
        translation_key="replica_lag_events",
        native_unit_of_measurement="events",
        state_class=SensorStateClass.MEASUREMENT,
        value=lambda stats: stats.lag_events,
    ),
    ReplicaSensorDescription(
        key="lag_seconds",
        translation_key="replica_lag_seconds",
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        suggested_display_precision=0,
        state_class=SensorStateClass.MEASUREMENT,
        # Rounded to what can be told apart, so that the recorder does not keep a row for every jitter.
        value=lambda stats: round(stats.lag_s),
    ),
    ReplicaSensorDescription(
        key="points_per_second",
        translation_key="replica_points_per_second",
        native_unit_of_measurement="points/s",
        suggested_display_precision=1,
        state_class=SensorStateClass.MEASUREMENT,
        value=lambda stats: round(stats.points_per_s, 1),
    ),
    ReplicaSensorDescription(
        key="dead_letters",
        translation_key="replica_dead_letters",
        native_unit_of_measurement="events",
        state_class=SensorStateClass.MEASUREMENT,
        value=lambda stats: stats.dead_letters,
    ),
    ReplicaSensorDescription(
        key="last_success",
        translation_key="replica_last_success",
        device_class=SensorDeviceClass.TIMESTAMP,
        value=lambda stats: None if stats.last_success is None else moment(stats.last_success),
    ),
    ReplicaSensorDescription(
        key="circuit",
        translation_key="replica_circuit",
        device_class=SensorDeviceClass.ENUM,
        options=[state.value for state in CircuitState],
        value=lambda stats: stats.circuit.value,
    ),
    ReplicaSensorDescription(
        key="bytes_sent",
        translation_key="replica_bytes_sent",
        device_class=SensorDeviceClass.DATA_SIZE,
        native_unit_of_measurement=UnitOfInformation.BYTES,
        suggested_unit_of_measurement=UnitOfInformation.MEGABYTES,
        suggested_display_precision=1,
        state_class=SensorStateClass.TOTAL_INCREASING,
        value=lambda stats: stats.bytes_sent,
    ),
)

BINARY_SENSORS = (
    ReplicaBinarySensorDescription(
        key="connectivity",
        translation_key="replica_connectivity",
        device_class=BinarySensorDeviceClass.CONNECTIVITY,
        is_on=_connected,
        attributes=lambda stats: {
            "state": stats.state.value,
            "reason": None if stats.last_reason is None else stats.last_reason.value,
            "unverified": stats.unverified,
        },
    ),
)


@callback
def async_add_replica_sensors(
    hass: HomeAssistant, entry: HomeIQConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensors of each replica, now and whenever one is added."""
    _async_follow(
        hass,
        entry,
        async_add_entities,
        lambda coordinator, subentry, device_id: [
            ReplicaSensor(coordinator, subentry, description, device_id) for description in SENSORS
        ],
    )


@callback
def async_add_replica_binary_sensors(
    hass: HomeAssistant, entry: HomeIQConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the binary sensors of each replica, now and whenever one is added."""
    _async_follow(
        hass,
        entry,
        async_add_entities,
        lambda coordinator, subentry, device_id: [
            ReplicaBinarySensor(coordinator, subentry, description, device_id) for description in BINARY_SENSORS
        ],
    )


@callback
def _async_follow(
    hass: HomeAssistant,
    entry: HomeIQConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    entities: Callable[[ReplicaCoordinator, ConfigSubentry, str], list[Entity]],
) -> None:
    """Add entities for each subentry once; a subentry that is told of again has another name or server."""
    replicas = entry.runtime_data.replicas
    added: set[str] = set()
    # Home Assistant takes the entities of a removed subentry away itself; their ids never come again.
    main = dr.async_get(hass).async_get_or_create(config_entry_id=entry.entry_id, **main_device(entry.entry_id))

    @callback
    def told(subentry: ConfigSubentry) -> None:
        if subentry.subentry_id not in entry.subentries:
            return
        if subentry.subentry_id in added:
            info = _device(entry.entry_id, subentry, main.id)
            dr.async_get(hass).async_get_or_create(
                config_entry_id=entry.entry_id, config_subentry_id=subentry.subentry_id, **info
            )
            return
        added.add(subentry.subentry_id)
        async_add_entities(entities(replicas.coordinator, subentry, main.id), config_subentry_id=subentry.subentry_id)

    entry.async_on_unload(replicas.async_listen(told))


def _device(entry_id: str, subentry: ConfigSubentry, main_device_id: str) -> DeviceInfo:
    manufacturer, model = _MODELS.get(subentry.data.get(CONF_SERVER, ""), ("InfluxData", "InfluxDB"))
    return DeviceInfo(
        identifiers={(DOMAIN, f"{entry_id}_{subentry.subentry_id}")},
        entry_type=DeviceEntryType.SERVICE,
        name=subentry.title,
        manufacturer=manufacturer,
        model=model,
        via_device_id=main_device_id,
    )


class ReplicaEntity(CoordinatorEntity[ReplicaCoordinator]):
    """Show a figure of one replica."""

    _attr_has_entity_name = True

    def __init__(
        self,
        coordinator: ReplicaCoordinator,
        subentry: ConfigSubentry,
        description: EntityDescription,
        main_device_id: str,
    ) -> None:
        """Name the entity after its description, its device after the subentry."""
        super().__init__(coordinator)
        entry_id = coordinator.config_entry.entry_id
        self.entity_description = description
        self._subentry_id = subentry.subentry_id
        self._attr_unique_id = f"{entry_id}_{subentry.subentry_id}_{description.key}"
        self._attr_device_info = _device(entry_id, subentry, main_device_id)

    @property
    def stats(self) -> ReplicaStats | None:
        """Return the replica's figures, None before there are any."""
        return self.coordinator.data.get(self._subentry_id)


class ReplicaSensor(ReplicaEntity, SensorEntity):
    """Show one figure."""

    entity_description: ReplicaSensorDescription

    @property
    @override
    def native_value(self) -> ReplicaValue:
        """Return the figure."""
        return None if self.stats is None else self.entity_description.value(self.stats)


class ReplicaBinarySensor(ReplicaEntity, BinarySensorEntity):
    """Show one yes or no."""

    entity_description: ReplicaBinarySensorDescription

    @property
    @override
    def is_on(self) -> bool | None:
        """Return the answer."""
        return None if self.stats is None else self.entity_description.is_on(self.stats)

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        """Return why."""
        return None if self.stats is None else self.entity_description.attributes(self.stats)
