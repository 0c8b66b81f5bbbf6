"""Raise and clear the issues that a person should know of, and the flow that acknowledges them."""

from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN
from .replica_repairs import replica_fix_flow

ISSUE_EVENTS_LOST = "events_lost"
ISSUE_STORE_FAILING = "store_failing"
ISSUE_STORE_DAMAGED = "store_damaged"
ISSUE_STORE_SALVAGED = "store_salvaged"
ISSUE_UNREPLICATED_LOST = "unreplicated_lost"
ISSUE_SIZE_CAP_NEAR = "size_cap_near"
ISSUE_SIZE_CAP = "size_cap_reached"
ISSUE_CHECK_FAILED = "check_failed"
ISSUE_BACKUP_STALE = "backup_stale"
ISSUE_BACKUP_CONTENT = "backup_content"
# What stays until a person has confirmed it.
LASTING_ISSUES = (ISSUE_STORE_DAMAGED, ISSUE_STORE_SALVAGED, ISSUE_UNREPLICATED_LOST)
# What was said while the entry ran and is found anew when it runs again.
PASSING_STORE_ISSUES = (ISSUE_SIZE_CAP_NEAR, ISSUE_SIZE_CAP, ISSUE_CHECK_FAILED, ISSUE_BACKUP_CONTENT)


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
    _async_report(hass, ISSUE_STORE_DAMAGED, {"path": path})


@callback
def async_report_salvage(hass: HomeAssistant, *, path: str, saved: int, lost: str) -> None:
    """Tell what of a damaged store was saved, in place of the word that it is damaged."""
    ir.async_delete_issue(hass, DOMAIN, ISSUE_STORE_DAMAGED)
    _async_report(hass, ISSUE_STORE_SALVAGED, {"path": path, "saved": str(saved), "lost": lost})


@callback
def async_report_unreplicated(hass: HomeAssistant, counted: str) -> None:
    """Tell what was deleted before a replica had taken it; stays until a person has confirmed it."""
    _async_report(hass, ISSUE_UNREPLICATED_LOST, {"counted": counted})


def _async_report(hass: HomeAssistant, issue: str, placeholders: dict[str, str]) -> None:
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue,
        is_fixable=True,
        is_persistent=True,
        severity=ir.IssueSeverity.ERROR,
        translation_key=issue,
        translation_placeholders=placeholders,
    )


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the flow that fixes a replica, or the one in which a person confirms to have read the issue."""
    if data is not None and "subentry_id" in data:
        return replica_fix_flow(str(data["kind"]))
    return ConfirmRepairFlow()
