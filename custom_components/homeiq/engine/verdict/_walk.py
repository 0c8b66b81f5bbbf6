"""Walk an automation once, in old or new syntax and any nesting, and note all that the checks ask for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
import re
from typing import Final

from ..model import Json
from ._template_refs import entities_in_template
from ._templates import UnparsableError, is_template, join, templates_in

type Config = Mapping[str, Json]

ENTITY_ID: Final = re.compile(r"(?!_)[a-z0-9_]+(?<!_)\.(?!_)[a-z0-9_]+(?<!_)")
_OFF_WORDS: Final = frozenset({"false", "no", "off", "disable", "0"})
_NO_ENTITY: Final = frozenset({"all", "none", ""})
# What a trigger or condition may give as a time or bound, or name as an entity.
_MAYBE_ENTITY: Final = frozenset({"at", "above", "below", "after", "before", "zone"})
# Data that is compared with events, not looked up.
_OPAQUE: Final = frozenset({"event_data", "context", "variables", "payload", "metadata"})
_NESTED_SEQUENCES: Final = ("sequence", "then", "else", "default", "parallel")
_NESTED_CONDITIONS: Final = ("if", "while", "until", "conditions", "condition", "and", "or", "not")


class RefKind(StrEnum):
    """Name what a reference leads to; the values are the keys that hold it."""

    ENTITY = "entity_id"
    DEVICE = "device_id"
    AREA = "area_id"
    FLOOR = "floor_id"
    LABEL = "label_id"


@dataclass(frozen=True, slots=True)
class Reference:
    """Name something of the home and the place in the draft that names it."""

    kind: RefKind
    value: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Hold one service call: its name as written, its data with the target, and the entities named outright.

    ``guarded`` tells that a condition stands before it or around it inside the actions.
    """

    name: str
    path: str
    data: Mapping[str, Json]
    entities: tuple[str, ...]
    guarded: bool
    templated_data: bool

    @property
    def computed(self) -> bool:
        """Return whether the name of the service is a template."""
        return is_template(self.name)

    @property
    def domain(self) -> str:
        """Return what stands before the dot."""
        return self.name.partition(".")[0]

    @property
    def service(self) -> str:
        """Return what stands behind the dot."""
        return self.name.partition(".")[2]


@dataclass(slots=True, kw_only=True)
class Survey:
    """Hold what an automation contains; paths lead into its configuration. Disabled parts are left out."""

    config: Config
    triggers: list[tuple[str, Config]] = field(default_factory=list)
    actions: int = 0
    conditions: int = 0
    calls: list[Call] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    platforms: list[tuple[str, str]] = field(default_factory=list)
    made: set[str] = field(default_factory=set)

    @property
    def uses_blueprint(self) -> bool:
        """Return whether the automation is made from a blueprint."""
        return "use_blueprint" in self.config


def survey(config: Config) -> Survey:
    """Walk the configuration."""
    enabled = _without_disabled(config)
    assert isinstance(enabled, Mapping)
    walker = _Walker(Survey(config=enabled))
    walker.walk()
    return walker.survey


def items(value: Json, path: str) -> Iterator[tuple[str, Json]]:
    """Yield what is there, be it one or a list, with the path to each."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            if item is not None:
                yield join(path, str(index)), item
    elif value is not None:
        yield path, value


def mappings_in(value: Json, path: str = "") -> Iterator[tuple[str, Config]]:
    """Yield every mapping in a value with its path, an outer one before those in it."""
    match value:
        case Mapping():
            yield path, value
            for key, item in value.items():
                yield from mappings_in(item, join(path, key))
        case list():
            for index, item in enumerate(value):
                yield from mappings_in(item, join(path, str(index)))
        case _:
            return


def first(config: Config, *names: str) -> tuple[str, Json]:
    """Return the first of several keys that is there, with its value; the first key and None if there is none."""
    return next(((name, config[name]) for name in names if name in config), (names[0], None))


def _without_disabled(value: Json) -> Json:
    """Return the value with everything that is switched off replaced by nothing; paths stay."""
    match value:
        case list():
            return [_without_disabled(item) for item in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            switch = value.get("enabled")
            if switch is False or (isinstance(switch, str) and switch.strip().lower() in _OFF_WORDS):
                return None
            return {key: _without_disabled(item) for key, item in value.items()}


class _Walker:
    """Fill a survey."""

    def __init__(self, result: Survey) -> None:
        """Start with an empty survey."""
        self.survey = result

    def walk(self) -> None:
        """Walk all parts."""
        config = self.survey.config
        self._triggers(*first(config, "triggers", "trigger"))
        name, conditions = first(config, "conditions", "condition")
        self.survey.conditions = sum(1 for _ in items(conditions, name))
        self._look(conditions, name)
        name, actions = first(config, "actions", "action")
        self.survey.actions = sum(1 for _ in items(actions, name))
        self._sequence(name, actions, guarded=False)
        if self.survey.uses_blueprint:
            self._look(config["use_blueprint"], "use_blueprint")
        for path, text in templates_in(config):
            self._template(path, text)

    def _triggers(self, path: str, value: Json) -> None:
        for at, trigger in items(value, path):
            if not isinstance(trigger, Mapping):
                continue
            if "triggers" in trigger:
                self._triggers(join(at, "triggers"), trigger["triggers"])
                continue
            self.survey.triggers.append((at, trigger))
            self._platform(at, trigger, "trigger", "platform")
            # A tag trigger names the scanner, which need not be a device of the registry.
            ignored = {"device_id"} if first(trigger, "trigger", "platform")[1] == "tag" else set[str]()
            self._look({key: item for key, item in trigger.items() if key not in ignored}, at)

    def _platform(self, path: str, config: Config, *names: str) -> None:
        """Note what kind of trigger or condition this is, if it is one."""
        name, value = first(config, *names)
        if isinstance(value, str) and not is_template(value):
            self.survey.platforms.append((value.strip().lower(), join(path, name)))

    def _look(self, value: Json, path: str) -> None:
        """Note the references in a trigger, condition, target or blueprint input, however deep."""
        match value:
            case list():
                for at, item in items(value, path):
                    self._look(item, at)
            case None | bool() | int() | float() | str():
                return
            case _:
                self._platform(path, value, "condition")
                for key, item in value.items():
                    at = join(path, key)
                    if key in RefKind:
                        self._refer(RefKind(key), item, at)
                    elif key in _MAYBE_ENTITY:
                        self._maybe_entity(item, at)
                    elif key not in _OPAQUE:
                        self._look(item, at)

    def _maybe_entity(self, value: Json, path: str) -> None:
        for at, item in items(value, path):
            if isinstance(item, str):
                if ENTITY_ID.fullmatch(item.strip().lower()) and not item[0].isdigit():
                    self._refer(RefKind.ENTITY, item, at)
            else:
                self._look(item, at)

    def _refer(self, kind: RefKind, value: Json, path: str) -> None:
        for at, item in items(value, path):
            if not isinstance(item, str) or is_template(item):
                continue
            parts = item.split(",") if kind is RefKind.ENTITY else [item]
            for part in (part.strip() for part in parts):
                name = part.lower() if kind is RefKind.ENTITY else part
                if name not in _NO_ENTITY:
                    self.survey.references.append(Reference(kind, name, at))

    def _sequence(self, path: str, value: Json, *, guarded: bool) -> None:
        for at, action in items(value, path):
            if isinstance(action, list):
                self._sequence(at, action, guarded=guarded)
            elif isinstance(action, Mapping):
                self._action(at, action, guarded=guarded)
                guarded |= any(key in action for key in ("condition", "conditions", "and", "or", "not"))
            else:
                guarded = True  # a bare template is a condition

    def _action(self, path: str, action: Config, *, guarded: bool) -> None:
        name, service = first(action, "action", "service", "service_template")
        if isinstance(service, str):
            self._call(join(path, name), path, action, guarded=guarded)
            return
        event = action.get("event")
        if isinstance(event, str):
            self.survey.events.append((event, join(path, "event")))
        if isinstance(scene := action.get("scene"), str):
            self._refer(RefKind.ENTITY, scene, join(path, "scene"))
        for kind in RefKind:
            self._refer(kind, action.get(kind.value), join(path, kind.value))
        self._triggers(join(path, "wait_for_trigger"), action.get("wait_for_trigger"))
        self._nested(path, action, guarded=guarded)

    def _nested(self, path: str, action: Config, *, guarded: bool) -> None:
        self._platform(path, action, "condition")
        inner = guarded or any(key in action for key in ("if", "choose", "while", "until"))
        for key in _NESTED_CONDITIONS:
            self._look(action.get(key), join(path, key))
        for key in _NESTED_SEQUENCES:
            # What runs beside or in turn is reached as surely as the block itself.
            self._sequence(join(path, key), action.get(key), guarded=inner)
        for at, choice in items(action.get("choose"), join(path, "choose")):
            if isinstance(choice, Mapping):
                self._nested(at, choice, guarded=True)
        if isinstance(repeat := action.get("repeat"), Mapping):
            self._nested(join(path, "repeat"), repeat, guarded=guarded)

    def _call(self, name_path: str, path: str, action: Config, *, guarded: bool) -> None:
        name = str(action[name_path.rpartition("/")[2]])
        data: dict[str, Json] = {}
        whole_is_template = False
        before = len(self.survey.references)
        for key in ("data", "data_template", "target"):
            match action.get(key):
                case Mapping() as part:
                    data |= part
                    for kind in RefKind:
                        self._refer(kind, part.get(kind.value), join(join(path, key), kind.value))
                case str() as text if is_template(text):
                    whole_is_template = True
                case _:
                    pass
        if "entity_id" in action:
            data["entity_id"] = action["entity_id"]
            self._refer(RefKind.ENTITY, action["entity_id"], join(path, "entity_id"))
        entities = tuple(ref.value for ref in self.survey.references[before:] if ref.kind is RefKind.ENTITY)
        call = Call(
            name=name if is_template(name) else name.strip().lower(),
            path=name_path,
            data=data,
            entities=entities,
            guarded=guarded,
            templated_data=whole_is_template,
        )
        self.survey.calls.append(call)
        self._made(call)

    def _made(self, call: Call) -> None:
        """Note what the call itself brings into being: it need not exist before."""
        key = {"scene.create": "scene_id", "group.set": "object_id"}.get(call.name)
        if key is not None and isinstance(made := call.data.get(key), str):
            self.survey.made.add(f"{call.domain}.{made.lower()}")

    def _template(self, path: str, text: str) -> None:
        try:
            found: Sequence[str] = entities_in_template(text)
        except UnparsableError:
            return  # the lint has said so
        self.survey.references.extend(Reference(RefKind.ENTITY, entity_id, path) for entity_id in found)
