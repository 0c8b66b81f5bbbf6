"""Answer what the checks ask about the home as it is now."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy

from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    label_registry as lr,
)
from homeassistant.helpers.template import is_template_string
import probatio

from ..engine.model import Json


class HassLiveHome:
    """Look into the state machine, the registries and the services; on the event loop only.

    While Home Assistant is starting, what is not there yet may still come: then the answer is None.
    """

    def __init__(self, hass: HomeAssistant) -> None:
        """Keep the Home Assistant to look into."""
        self._hass = hass

    def _known(self, *, there: bool) -> bool | None:
        return True if there else (False if self._hass.state is CoreState.running else None)

    def entity_exists(self, entity_id: str) -> bool | None:
        """Return whether the entity has a state or a registry entry; registry ids are understood too."""
        there = self._hass.states.get(entity_id) is not None
        return self._known(there=there or er.async_get(self._hass).async_get(entity_id) is not None)

    def service_exists(self, domain: str, service: str) -> bool | None:
        """Return whether the service is registered."""
        return self._known(there=self._hass.services.has_service(domain, service))

    def integration_loaded(self, domain: str) -> bool | None:
        """Return whether the integration is set up."""
        return self._known(there=domain in self._hass.config.components)

    def device_exists(self, device_id: str) -> bool | None:
        """Return whether the device is in the registry, which is complete at any time."""
        return dr.async_get(self._hass).async_get(device_id) is not None

    def area_exists(self, area_id: str) -> bool | None:
        """Return whether the area is in the registry."""
        return ar.async_get(self._hass).async_get_area(area_id) is not None

    def floor_exists(self, floor_id: str) -> bool | None:
        """Return whether the floor is in the registry."""
        return fr.async_get(self._hass).async_get_floor(floor_id) is not None

    def label_exists(self, label_id: str) -> bool | None:
        """Return whether the label is in the registry."""
        return lr.async_get(self._hass).async_get_label(label_id) is not None

    def check_service_data(self, domain: str, service: str, data: Mapping[str, Json]) -> str | None:
        """Return why the service's own schema refuses the data; objections to templates do not count.

        What a template will give is not known before it runs, so a complaint about a templated value says nothing.
        """
        handler = self._hass.services.async_services_for_domain(domain).get(service)
        if handler is None or handler.schema is None:
            return None
        given = deepcopy(dict(data))
        try:
            handler.schema(given)
        except probatio.Invalid as error:
            serious = [each for each in _errors(error) if not _holds_template(_at(data, each.path))]
            return "; ".join(str(each) for each in serious) or None
        except Exception as error:  # noqa: BLE001 - a schema is another integration's code
            return None if _holds_template(data) else f"{type(error).__name__}: {error}"
        return None


def _errors(error: probatio.Invalid) -> Sequence[probatio.Invalid]:
    return error.errors if isinstance(error, probatio.MultipleInvalid) else [error]


def _at(data: object, path: Sequence[object]) -> object:
    """Return what stands at a path, or the nearest thing around it that there is; nothing for the whole."""
    found: object = data
    for part in path:
        match found:
            case Mapping() if part in found:
                found = found[part]
            case list() if isinstance(part, int) and part < len(found):
                found = found[part]
            case _:
                break
    return None if found is data else found


def _holds_template(value: object) -> bool:
    return any(is_template_string(text) for text in _texts(value))


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for item in value.values():
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)
        case _:
            return
