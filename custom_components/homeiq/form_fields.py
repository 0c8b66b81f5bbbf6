"""Make the fields that several forms have."""

from typing import Final

from homeassistant.helpers import selector
import probatio as vol

SECRET: Final = selector.TextSelector(
    selector.TextSelectorConfig(type=selector.TextSelectorType.PASSWORD, autocomplete="off")
)


def whole_number(lowest: int, highest: int, unit: str) -> object:
    """Return the field of a whole number within bounds."""
    return vol.All(
        selector.NumberSelector(
            selector.NumberSelectorConfig(
                min=lowest,
                max=highest,
                step=1,
                mode=selector.NumberSelectorMode.BOX,
                unit_of_measurement=unit,
            )
        ),
        vol.Coerce(int),
    )
