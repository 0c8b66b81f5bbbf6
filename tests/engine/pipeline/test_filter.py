"""The most specific rule that names an entity decides, and what must never be kept is never kept."""

from itertools import combinations

import pytest

from homeiq_engine.model import EntityFacts
from homeiq_engine.pipeline import FilterSettings, Rules
from homeiq_engine.pipeline._filter import _ANSWERS, EventFilter

ENTITY = "sensor.bed_lamp"
FACTS = {ENTITY: EntityFacts(labels=("l1", "l2"), area_id="bedroom", device_class="power", integration="hue")}
# From the most specific to the least.
LEVELS = {
    "globs": "sensor.bed_*",
    "labels": "l2",
    "areas": "bedroom",
    "device_classes": "power",
    "integrations": "hue",
    "domains": "sensor",
}
OTHERS = {
    "globs": "light.*",
    "labels": "l9",
    "areas": "attic",
    "device_classes": "energy",
    "integrations": "mqtt",
    "domains": "light",
}


def _rules(*levels: str, of: dict[str, str] = LEVELS) -> Rules:
    return Rules(**{level: (of[level],) for level in levels})


def _keeps(entity_id: str = ENTITY, device_class: str | None = None, **settings: object) -> bool:
    return EventFilter(FilterSettings(**settings), FACTS).keeps(entity_id, device_class)


def test_without_rules_everything_is_kept() -> None:
    """The default loses nothing."""
    assert _keeps()
    assert _keeps("light.unknown")
    assert not Rules()


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_includes_and_excludes(level: str) -> None:
    """A rule of any level names the entity; a rule that names others does not."""
    assert not _keeps(exclude=_rules(level))
    assert _keeps(include=_rules(level))
    assert _keeps(exclude=_rules(level, of=OTHERS))
    assert not _keeps(include=_rules(level, of=OTHERS))


@pytest.mark.parametrize(("finer", "coarser"), combinations(LEVELS, 2))
def test_the_finer_level_wins(finer: str, coarser: str) -> None:
    """Of two rules that both name the entity the more specific one decides, in both directions."""
    assert _keeps(include=_rules(finer), exclude=_rules(coarser))
    assert not _keeps(include=_rules(coarser), exclude=_rules(finer))


@pytest.mark.parametrize("level", LEVELS)
def test_at_one_level_include_wins(level: str) -> None:
    """What is named on both sides of one level is kept."""
    assert _keeps(include=_rules(level), exclude=_rules(level))


def test_an_entity_that_no_rule_names_is_kept_unless_something_is_included() -> None:
    """With include rules the rest is left out; with exclude rules alone the rest is kept."""
    assert not _keeps("light.x", include=_rules("domains"))
    assert _keeps("light.x", exclude=_rules("domains"))
    assert not _keeps("light.x", include=_rules("domains"), exclude=_rules("areas"))


@pytest.mark.parametrize(
    ("glob", "entity_id", "named"),
    [
        ("sensor.bed_lamp", ENTITY, True),
        ("sensor.bed", ENTITY, False),
        ("*.bed_*", ENTITY, True),
        ("sensor.bed_lam?", ENTITY, True),
        ("sensor.[a-c]ed_lamp", ENTITY, True),
        ("bed_lamp", ENTITY, False),
        ("*", ENTITY, True),
        ("sensor.bed_lamp", "sensor.bed_lamp_2", False),
    ],
)
def test_globs_match_whole_ids(glob: str, entity_id: str, named: bool) -> None:
    """A glob means the whole entity id, and several globs mean any of them."""
    assert _keeps(entity_id, exclude=Rules(globs=("x.y", glob, "y.z"))) is not named


def test_the_states_own_device_class_comes_before_the_registrys() -> None:
    """An entity that is not registered has its class in its state."""
    assert not _keeps(device_class="energy", exclude=_rules("device_classes", of=OTHERS))
    assert _keeps(device_class="energy", exclude=_rules("device_classes"))
    assert not _keeps("sensor.unregistered", device_class="power", exclude=_rules("device_classes"))


@pytest.mark.parametrize("level", LEVELS)
def test_own_entities_are_never_kept(level: str) -> None:
    """No include rule lets HomeIQ's own sensors feed back."""
    assert not _keeps(include=_rules(level), own_integration="hue")
    assert _keeps(include=_rules(level), own_integration="homeiq")


def test_an_address_is_never_kept_unless_positions_are() -> None:
    """The companion app's geocoded location is an address in a state: no include rule lets it in, the switch does."""
    entity_id = "sensor.phone_geocoded_location"
    facts = {entity_id: FACTS[ENTITY]}
    include = Rules(globs=("sensor.*",), **{level: (name,) for level, name in LEVELS.items() if level != "globs"})

    kept = [EventFilter(FilterSettings(include=include, positions=on), facts).keeps(entity_id) for on in (False, True)]

    assert kept == [False, True]


def test_changed_facts_change_the_answer() -> None:
    """Moving a device to another area counts from the next event on; the same picture keeps the answers."""
    rules = EventFilter(FilterSettings(exclude=Rules(areas=("attic",))), FACTS)
    before = rules.keeps(ENTITY)
    moved = {ENTITY: EntityFacts(area_id="attic")}
    rules.use_facts(FACTS)
    rules.use_facts(moved)

    assert (before, rules.keeps(ENTITY), rules.facts_of(ENTITY).area_id) == (True, False, "attic")


def test_answers_take_bounded_memory() -> None:
    """Entities without end do not fill the memory with answers."""
    rules = EventFilter(FilterSettings())
    for number in range(_ANSWERS + 10):
        rules.keeps(f"sensor.s{number}")

    assert len(rules._answers) <= _ANSWERS
