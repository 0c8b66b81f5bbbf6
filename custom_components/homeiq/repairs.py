"""Raise and clear the issues that a person should know of, and the flow that acknowledges them."""

from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN
from .replica_repairs import replica_fix_flow

ISSUE_EVENTS_LOST = "events_lost"
ISSUE_STORE_FAILING = "store_failing"
ISSUE_STORE_DAMAGED = "store_damaged"


@callback
def async_set_issue(
    hass: HomeAssistant,
    issue: str,
    *,
    active: bool,
    severity: ir.IssueSeverity = ir.IssueSeverity.ERROR,
    placeholders: dict[str, str] | None = None,
) -> None:
    """Raise an issue that clears by itself, or clear it."""
    if not active:
        ir.async_delete_issue(hass, DOMAIN, issue)
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue,
        is_fixable=False,
        severity=severity,
        translation_key=issue,
        translation_placeholders=placeholders,
    )


@callback
def async_report_damage(hass: HomeAssistant, path: str) -> None:
    """Tell that a damaged store was set aside; stays, also over a restart, until a person has confirmed it."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        ISSUE_STORE_DAMAGED,
        is_fixable=True,
        is_persistent=True,
        severity=ir.IssueSeverity.ERROR,
        translation_key=ISSUE_STORE_DAMAGED,
        translation_placeholders={"path": path},
    )


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the flow that fixes a replica, or the one in which a person confirms to have read the issue."""
    if data is not None and "subentry_id" in data:
        return replica_fix_flow(str(data["kind"]))
    return ConfirmRepairFlow()
