"""Hold every use of Home Assistant's undocumented API; each is a small function with a contract test.

``tests/ha/test_private_api.py`` pins down what each relies on and fails loudly where a new Home Assistant differs.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

from homeassistant.components.automation import config as automation_config
from homeassistant.core import HomeAssistant

from ..engine.model import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationVerdict:
    """Hold how far Home Assistant came with an automation: ``ok`` or ``failed_…``, and its reason in English."""

    status: str
    reason: str | None


async def async_validate_automation(hass: HomeAssistant, config: Mapping[str, Json]) -> AutomationVerdict:
    """Let Home Assistant validate one automation as it would at start-up, without its log lines.

    Private because the public ``async_validate_config_item`` does not tell which part failed. Home Assistant changes
    what it validates, so it gets a copy. Raises what Home Assistant raises for a wrong id or alias (probatio.Invalid),
    and whatever it trips over in values of an unforeseen type.
    """
    validated = await automation_config._async_validate_config_item(  # noqa: SLF001
        hass, deepcopy(dict(config)), raise_on_errors=False, warn_on_errors=False
    )
    return AutomationVerdict(status=str(validated.validation_status), reason=validated.validation_error)
