"""Decide which entities are kept, from the most specific rule to the least."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate
import re
from typing import Final

from ..model import NO_FACTS, EntityFacts

# A bound against entities that come and go or whose class keeps changing; a large home has some thousands.
_ANSWERS: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """List what is meant: entity globs (``light.*_bed``), labels, areas, device classes, integrations, domains."""

    globs: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    device_classes: tuple[str, ...] = ()
    integrations: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether any rule is given."""
        return any(getattr(self, name) for name in Rules.__slots__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterSettings:
    """Hold the user's rules.

    The first of these that names an entity decides: its id or a glob, label, area, device class, integration, domain.
    Where both sides name it at one level, include wins. An entity that no rule names is kept unless there are include
    rules. ``own_integration`` is never kept, whatever the rules say: own entities must not feed back.
    """

    include: Rules = Rules()
    exclude: Rules = Rules()
    attribute_events: bool = False
    positions: bool = False
    own_integration: str | None = None


class EventFilter:
    """Apply the settings, remembering each entity's answer until its facts or the settings change."""

    def __init__(self, settings: FilterSettings, facts: Mapping[str, EntityFacts] | None = None) -> None:
        """Compile the rules; ``facts`` is the picture of the registries to begin with."""
        self.settings = settings
        self._include_globs = _compile(settings.include.globs)
        self._exclude_globs = _compile(settings.exclude.globs)
        self._default = not settings.include
        self._facts: Mapping[str, EntityFacts] = facts if facts is not None else {}
        self._answers: dict[tuple[str, str | None], bool] = {}

    def use_facts(self, facts: Mapping[str, EntityFacts]) -> None:
        """Take a picture of the home's registries; answers are forgotten if it is another one."""
        if facts is not self._facts:
            self._facts = facts
            self._answers.clear()

    @property
    def facts(self) -> Mapping[str, EntityFacts]:
        """Return the picture of the registries in use."""
        return self._facts

    def facts_of(self, entity_id: str) -> EntityFacts:
        """Return what the registries know of an entity."""
        return self._facts.get(entity_id, NO_FACTS)

    def keeps(self, entity_id: str, device_class: str | None = None) -> bool:
        """Return whether events of this entity are kept; the class is the state's own, where it tells one."""
        key = (entity_id, device_class)
        if (answer := self._answers.get(key)) is None:
            if len(self._answers) >= _ANSWERS:
                self._answers.clear()
            answer = self._answers[key] = self.decide(entity_id, self.facts_of(entity_id), device_class)
        return answer

    def decide(self, entity_id: str, facts: EntityFacts, device_class: str | None = None) -> bool:
        """Return whether events of an entity with these facts are kept, whatever the registries say now."""
        own = self.settings.own_integration
        if own is not None and facts.integration == own:
            return False
        if not self.settings.positions and is_position_entity(entity_id):
            return False
        include, exclude = self.settings.include, self.settings.exclude
        levels: tuple[tuple[bool, bool], ...] = (
            (_matches(self._include_globs, entity_id), _matches(self._exclude_globs, entity_id)),
            (_any(facts.labels, include.labels), _any(facts.labels, exclude.labels)),
            (facts.area_id in include.areas, facts.area_id in exclude.areas),
            (
                (device_class or facts.device_class) in include.device_classes,
                (device_class or facts.device_class) in exclude.device_classes,
            ),
            (facts.integration in include.integrations, facts.integration in exclude.integrations),
            (entity_id.partition(".")[0] in include.domains, entity_id.partition(".")[0] in exclude.domains),
        )
        for included, excluded in levels:
            if included or excluded:
                return included
        return self._default


def is_position_entity(entity_id: str) -> bool:
    """Return whether an entity's state is itself an address, as the companion app's geocoded location is."""
    return entity_id.startswith("sensor.") and "geocoded_location" in entity_id


def _compile(globs: Iterable[str]) -> re.Pattern[str] | None:
    patterns = [translate(glob) for glob in globs]
    return re.compile("|".join(patterns)) if patterns else None


def _matches(pattern: re.Pattern[str] | None, entity_id: str) -> bool:
    return pattern is not None and pattern.match(entity_id) is not None


def _any(labels: Iterable[str], wanted: tuple[str, ...]) -> bool:
    return any(label in wanted for label in labels)
