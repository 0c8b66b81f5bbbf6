"""Add the demo's sensors."""

from typing import override

from homeassistant.components.sensor import SensorEntity, SensorStateClass

from ._entity import DemoEntity, Thing, platform_of


class DemoSensor(DemoEntity, SensorEntity):
    """Be a sensor of a number."""

    _attr_state_class = SensorStateClass.MEASUREMENT

    def __init__(self, thing: Thing) -> None:
        """Take the unit beside the rest."""
        super().__init__(thing)
        self._attr_native_unit_of_measurement = thing["attributes"].get("unit_of_measurement")

    @property
    @override
    def native_value(self) -> float:
        """Return the number."""
        return float(self.standing)


async_setup_platform = platform_of("sensor", DemoSensor)
