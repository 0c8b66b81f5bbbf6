"""Where an entity stands follows the registries, at the cost of what changed."""

from unittest.mock import patch

from custom_components.homeiq.adapters import registry as registry_module
from custom_components.homeiq.adapters.registry import HassEntityFacts
from custom_components.homeiq.engine.model import EntityFacts
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    label_registry as lr,
)
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry


@pytest.fixture
def hue(hass: HomeAssistant) -> ConfigEntry:
    """Return another integration's entry."""
    entry = MockConfigEntry(domain="hue")
    entry.add_to_hass(hass)
    return entry


@pytest.fixture
def facts(hass: HomeAssistant) -> HassEntityFacts:
    """Return the facts, following the registries."""
    facts = HassEntityFacts(hass)
    facts.async_follow()
    return facts


def test_an_empty_home_has_no_facts(facts: HassEntityFacts) -> None:
    assert dict(facts.snapshot()) == {}
    assert facts.snapshot() is facts.snapshot()


async def test_an_entity_is_described_by_all_registries(
    hass: HomeAssistant, hue: ConfigEntry, facts: HassEntityFacts
) -> None:
    """The entity's own area, class and labels go before its device's; labels of both count."""
    floor = fr.async_get(hass).async_create("Ground")
    kitchen = ar.async_get(hass).async_create("Kitchen", floor_id=floor.floor_id)
    hall = ar.async_get(hass).async_create("Hall")
    labels = [lr.async_get(hass).async_create(name).label_id for name in ("b label", "a label")]
    devices = dr.async_get(hass)
    device = devices.async_get_or_create(config_entry_id=hue.entry_id, identifiers={("hue", "1")})
    devices.async_update_device(device.id, area_id=kitchen.id, labels={labels[0]})
    entities = er.async_get(hass)
    entity = entities.async_get_or_create(
        "sensor",
        "hue",
        "1",
        config_entry=hue,
        device_id=device.id,
        original_device_class="power",
        unit_of_measurement="W",
    )
    entities.async_update_entity(entity.entity_id, labels={labels[1]})
    assert facts.snapshot()[entity.entity_id] == EntityFacts(
        registry_id=entity.id,
        device_id=device.id,
        area_id=kitchen.id,
        floor_id=floor.floor_id,
        integration="hue",
        device_class="power",
        unit="W",
        labels=tuple(sorted(labels)),
    )
    entities.async_update_entity(entity.entity_id, name="Meter", area_id=hall.id, device_class="energy")
    changed = facts.snapshot()[entity.entity_id]
    assert (changed.area_id, changed.floor_id, changed.device_class) == (hall.id, None, "energy")


async def test_every_registrys_change_is_followed(
    hass: HomeAssistant, hue: ConfigEntry, facts: HassEntityFacts
) -> None:
    """Area, floor, label and device come, change and go."""
    areas, floors, labels = ar.async_get(hass), fr.async_get(hass), lr.async_get(hass)
    devices, entities = dr.async_get(hass), er.async_get(hass)
    device = devices.async_get_or_create(config_entry_id=hue.entry_id, identifiers={("hue", "1")})
    entity_id = entities.async_get_or_create("light", "hue", "1", config_entry=hue, device_id=device.id).entity_id
    kitchen, ground, kept = areas.async_create("Kitchen"), floors.async_create("Ground"), labels.async_create("Kept")
    seen = []

    async def look() -> None:
        await hass.async_block_till_done()
        now = facts.snapshot().get(entity_id, EntityFacts())
        seen.append((now.area_id, now.floor_id, now.labels, now.device_id is not None))

    await look()
    devices.async_update_device(device.id, area_id=kitchen.id, labels={kept.label_id})
    await look()
    areas.async_update(kitchen.id, floor_id=ground.floor_id)
    await look()
    floors.async_delete(ground.floor_id)
    await look()
    labels.async_delete(kept.label_id)
    await look()
    areas.async_delete(kitchen.id)
    await look()
    assert seen == [
        (None, None, (), True),
        (kitchen.id, None, (kept.label_id,), True),
        (kitchen.id, ground.floor_id, (kept.label_id,), True),
        (kitchen.id, None, (kept.label_id,), True),
        (kitchen.id, None, (), True),
        (None, None, (), True),
    ]


async def test_a_renamed_entity_is_known_by_both_names_for_a_while(hass: HomeAssistant, facts: HassEntityFacts) -> None:
    """Its last event under the old name comes after the registry's."""
    entities = er.async_get(hass)
    old = entities.async_get_or_create("light", "hue", "1").entity_id
    assert facts.snapshot()[old].integration == "hue"
    entities.async_update_entity(old, new_entity_id="light.new")
    await hass.async_block_till_done()
    assert {name: known.integration for name, known in facts.snapshot().items()} == {old: "hue", "light.new": "hue"}


async def test_a_removed_entity_is_forgotten_after_some_minutes(hass: HomeAssistant, facts: HassEntityFacts) -> None:
    entities = er.async_get(hass)
    removed = entities.async_get_or_create("light", "hue", "1").entity_id
    facts.snapshot()
    now = registry_module.monotonic()
    with patch.object(registry_module, "monotonic", side_effect=lambda: now):
        entities.async_remove(removed)
        assert facts.snapshot()[removed].integration == "hue"
        ar.async_get(hass).async_create("Kitchen")
        assert facts.snapshot()[removed].integration == "hue"
        now += 301
        ar.async_get(hass).async_create("Hall")
        assert removed not in facts.snapshot()


async def test_an_entity_that_never_was_seen_leaves_nothing(hass: HomeAssistant, facts: HassEntityFacts) -> None:
    facts.snapshot()
    entities = er.async_get(hass)
    brief = entities.async_get_or_create("light", "hue", "1").entity_id
    entities.async_remove(brief)
    assert brief not in facts.snapshot()


async def test_a_change_of_one_of_three_thousand_entities_costs_one(
    hass: HomeAssistant, hue: ConfigEntry, facts: HassEntityFacts
) -> None:
    """An area's change may concern all, and reads all once."""
    entities = er.async_get(hass)
    device = dr.async_get(hass).async_get_or_create(config_entry_id=hue.entry_id, identifiers={("hue", "1")})
    for number in range(3_000):
        attached = device.id if number < 3 else None
        entities.async_get_or_create("sensor", "hue", str(number), config_entry=hue, device_id=attached)
    facts.snapshot()
    with patch.object(facts, "_read", wraps=facts._read) as read:
        before = facts.snapshot()
        assert read.call_count == 0
        entities.async_update_entity("sensor.hue_7", device_class="power")
        after = facts.snapshot()
        assert read.call_count == 1
        dr.async_get(hass).async_update_device(device.id, labels={"x"})
        facts.snapshot()
        assert read.call_count == 4
        ar.async_get(hass).async_create("Kitchen")
        facts.snapshot()
        assert read.call_count == 3_004
    assert before["sensor.hue_7"].device_class is None
    assert after["sensor.hue_7"].device_class == "power"


async def test_a_stopped_follower_hears_nothing(hass: HomeAssistant) -> None:
    facts = HassEntityFacts(hass)
    stop = facts.async_follow()
    facts.snapshot()
    stop()
    er.async_get(hass).async_get_or_create("light", "hue", "1")
    assert dict(facts.snapshot()) == {}
