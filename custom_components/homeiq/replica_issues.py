"""Raise and clear the repair issues of the replicas, from their figures."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import CONF_BUCKET, CONF_METRICS_ONLY, CONF_ORG, DOMAIN, SUBENTRY_INFLUXDB
from .engine.replica import ReplicaState, ReplicaStats

if TYPE_CHECKING:
    from .runtime import HomeIQConfigEntry

ISSUE_BUCKET_MISSING: Final = "replica_bucket_missing"
ISSUE_UNAUTHORIZED: Final = "replica_unauthorized"
ISSUE_DEAD_LETTERS: Final = "replica_dead_letters"
ISSUE_METRICS_ONLY: Final = "replica_metrics_only"
ISSUES: Final = (ISSUE_BUCKET_MISSING, ISSUE_UNAUTHORIZED, ISSUE_DEAD_LETTERS, ISSUE_METRICS_ONLY)

_MILD: Final = frozenset({ISSUE_DEAD_LETTERS, ISSUE_METRICS_ONLY})
# An issue that was ignored comes back when there are this many times as many dead letters as then.
_GROWTH: Final = 2


def issue_id(kind: str, subentry_id: str) -> str:
    """Return the id of one replica's issue."""
    return f"{kind}_{subentry_id}"


class ReplicaIssues:
    """Keep the issues in step with the figures."""

    def __init__(self, hass: HomeAssistant, entry: HomeIQConfigEntry) -> None:
        """Take the entry whose subentries the issues are about."""
        self._hass = hass
        self._entry = entry
        self._told_letters: dict[str, int] = {}
        self.numbers_only: set[str] = set()
        """The subentries whose server keeps numbers only, which their settings do not know."""

    @callback
    def async_update(self, figures: Mapping[str, ReplicaStats]) -> None:
        """Raise what is new and clear what is over."""
        for subentry in self._entry.subentries.values():
            if subentry.subentry_type == SUBENTRY_INFLUXDB and (stats := figures.get(subentry.subentry_id)):
                active = set(self._active(subentry, stats))
                for kind in ISSUES:
                    if kind in active:
                        self._raise(kind, subentry, stats)
                    else:
                        ir.async_delete_issue(self._hass, DOMAIN, issue_id(kind, subentry.subentry_id))

    @callback
    def async_forget(self, subentry_id: str) -> None:
        """Clear all issues of a replica that is gone."""
        self._told_letters.pop(subentry_id, None)
        self.numbers_only.discard(subentry_id)
        for kind in ISSUES:
            ir.async_delete_issue(self._hass, DOMAIN, issue_id(kind, subentry_id))

    def _active(self, subentry: ConfigSubentry, stats: ReplicaStats) -> Iterator[str]:
        if stats.state is ReplicaState.BUCKET_MISSING:
            yield ISSUE_BUCKET_MISSING
        if stats.state is ReplicaState.UNAUTHORIZED:
            yield ISSUE_UNAUTHORIZED
        if self._letters_are_news(subentry.subentry_id, stats.dead_letters):
            yield ISSUE_DEAD_LETTERS
        if subentry.subentry_id in self.numbers_only and not subentry.data.get(CONF_METRICS_ONLY):
            yield ISSUE_METRICS_ONLY

    def _letters_are_news(self, subentry_id: str, letters: int) -> bool:
        """Return whether dead letters are to be told of; forget that the issue was ignored when they have grown."""
        if not letters:
            self._told_letters.pop(subentry_id, None)
            return False
        if letters >= _GROWTH * self._told_letters.get(subentry_id, letters):
            ir.async_delete_issue(self._hass, DOMAIN, issue_id(ISSUE_DEAD_LETTERS, subentry_id))
            self._told_letters[subentry_id] = letters
        self._told_letters.setdefault(subentry_id, letters)
        return True

    def _raise(self, kind: str, subentry: ConfigSubentry, stats: ReplicaStats) -> None:
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue_id(kind, subentry.subentry_id),
            data={"entry_id": self._entry.entry_id, "subentry_id": subentry.subentry_id, "kind": kind},
            is_fixable=True,
            severity=ir.IssueSeverity.WARNING if kind in _MILD else ir.IssueSeverity.ERROR,
            translation_key=kind,
            translation_placeholders={
                "name": subentry.title,
                "bucket": subentry.data[CONF_BUCKET],
                "org": subentry.data[CONF_ORG],
                "count": str(stats.dead_letters),
            },
        )
