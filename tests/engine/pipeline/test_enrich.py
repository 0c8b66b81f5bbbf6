"""A buffered item becomes an event with its cause and its place in the home, or a count says why not."""

from homeiq_engine.model import EntityFacts, EventKind, Origin, RawEvent
from homeiq_engine.pipeline import Enricher, FilterSettings, Rules
from tests.engine.pipeline.parts import T0_US, PassDecoder, raw

PLAIN = FilterSettings()
HIDDEN = FilterSettings(exclude=Rules(domains=("automation",)))


def _enricher(settings: FilterSettings = PLAIN, *, started: bool = True) -> Enricher:
    return Enricher(PassDecoder(), settings, started=started)


def test_everything_known_is_in_the_event() -> None:
    """State, time held, payload, context, facts from the registry and unit and class from the state."""
    enricher = _enricher()
    facts = EntityFacts(area_id="kitchen", floor_id="ground", integration="hue", device_class="energy", labels=("l",))
    enricher.use_facts({"sensor.s1": facts})
    counters: dict[str, int] = {}

    event = enricher.event_of(
        raw(
            1,
            old_changed_us=T0_US - 2_000,
            attributes={"device_class": "power", "unit_of_measurement": "W", "icon": "x"},
            context_id="c",
            parent_id="p",
            user_id="u",
        ),
        counters,
    )

    assert event is not None
    assert (event.entity_id, event.state, event.old_state, event.held_us, event.value) == (
        "sensor.s1",
        "1",
        "0",
        3_000,
        1.0,
    )
    assert event.payload == '{"device_class":"power","unit_of_measurement":"W"}'
    assert (event.context_id, event.parent_id, event.user_id, event.origin) == ("c", "p", "u", Origin.AUTOMATION)
    assert event.facts == EntityFacts(
        area_id="kitchen", floor_id="ground", integration="hue", device_class="power", unit="W", labels=("l",)
    )
    assert counters == {}


def test_calls_carry_their_data_and_no_facts() -> None:
    """A call has a name, no entity, and its data as it was allowed."""
    event = _enricher().event_of(
        RawEvent(kind=EventKind.CALL, time_us=1, name="light.turn_on", data={"entity_id": ["light.a"]}), {}
    )

    assert event is not None
    assert (event.name, event.payload, event.facts) == ("light.turn_on", '{"entity_id":["light.a"]}', EntityFacts())


def test_items_of_no_interest_are_neither_kept_nor_counted() -> None:
    """The decoder may say that there is nothing in an item."""
    counters: dict[str, int] = {}

    assert _enricher().event_of(None, counters) is None
    assert counters == {}


def test_filtered_events_are_counted() -> None:
    """What the filter leaves out is counted as filtered, and nothing else."""
    enricher, counters = _enricher(FilterSettings(exclude=Rules(domains=("sensor",)))), {"filtered": 1}

    assert enricher.event_of(raw(1), counters) is None
    assert enricher.event_of(raw(2, state="x", old_state="x"), counters) is None
    assert counters == {"filtered": 3}


def test_attribute_changes_are_counted_and_kept_where_switched_on() -> None:
    """Off by default; switched on they are events of their own kind; counted either way."""
    counters: dict[str, int] = {}
    change = raw(1, state="x", old_state="x")

    dropped = _enricher().event_of(change, counters)
    kept = _enricher(FilterSettings(attribute_events=True)).event_of(change, counters)

    assert dropped is None
    assert kept is not None
    assert kept.kind is EventKind.ATTRIBUTES
    assert counters == {"attribute_only": 2}


def test_an_excluded_automation_is_still_the_cause_of_what_it_did() -> None:
    """The filter hides the automation's own event, not its part in the light's."""
    enricher = _enricher(HIDDEN)
    hidden = enricher.event_of(
        RawEvent(kind=EventKind.AUTOMATION, time_us=1, entity_id="automation.a", context_id="c"), {}
    )
    event = enricher.event_of(raw(1, context_id="c"), {})

    assert hidden is None
    assert event is not None
    assert (event.origin, event.responsible) == (Origin.AUTOMATION, "automation.a")


def test_the_start_ends_with_its_event() -> None:
    """Until homeassistant_started unexplained changes are the system's; the event itself too."""
    enricher = _enricher(started=False)
    items = [raw(1), RawEvent(kind=EventKind.SYSTEM, time_us=1, name="homeassistant_started"), raw(2)]

    origins = [event.origin for item in items if (event := enricher.event_of(item, {})) is not None]

    assert origins == [Origin.SYSTEM, Origin.SYSTEM, Origin.DEVICE]


def test_other_settings_keep_the_facts() -> None:
    """After the user changed the filter the next event still knows its area, and own entities are still known as own."""
    enricher = _enricher()
    enricher.use_facts({"sensor.s1": EntityFacts(area_id="kitchen", integration="homeiq")})
    enricher.use_settings(FilterSettings(attribute_events=True))
    event = enricher.event_of(raw(1), {})
    enricher.use_settings(FilterSettings(own_integration="homeiq"))

    assert event is not None
    assert event.facts.area_id == "kitchen"
    assert enricher.event_of(raw(1), {}) is None


def test_odd_units_and_classes_do_not_spoil_the_facts() -> None:
    """A number, a lone surrogate or an essay as unit becomes bounded text."""
    event = _enricher().event_of(
        raw(1, attributes={"unit_of_measurement": 5, "device_class": "\ud800" + "x" * 999}), {}
    )

    assert event is not None
    assert (event.facts.unit, event.facts.device_class) == ("5", "?" + "x" * 254)
