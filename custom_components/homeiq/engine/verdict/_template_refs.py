"""Find the entities that a template names outright."""

from collections.abc import Iterator
import re
from typing import Final

from jinja2 import nodes

from ._templates import parse

_ENTITY_ID: Final = re.compile(r"[a-z0-9]\w*\.[a-z0-9]\w*", re.ASCII)
_BY_ENTITY: Final = frozenset(
    {"states", "is_state", "state_attr", "is_state_attr", "has_value", "state_translated", "expand"}
)
# Attributes of what ``states.<domain>`` gives are object ids; these are the exceptions.
_DOMAIN_MEMBERS: Final = frozenset({"entity_id", "state", "name"})


def entities_in_template(text: str) -> tuple[str, ...]:
    """Return the ids in ``states('…')`` and its like, ``states.light.hall`` and ``'…' | states``, each once.

    Raises UnparsableError.
    """
    return tuple(dict.fromkeys(entity_id for node in _all(parse(text)) for entity_id in _named(node)))


def _all(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _all(child)


def _named(node: nodes.Node) -> Iterator[str]:
    match node:
        case nodes.Call(node=nodes.Name(name=name)) if name in _BY_ENTITY:
            for argument in node.args if name == "expand" else node.args[:1]:
                yield from _constants(argument)
        case nodes.Filter(name=name) if name in _BY_ENTITY and node.node is not None:
            yield from _constants(node.node)
        case nodes.Getattr(node=nodes.Getattr(node=nodes.Name(name="states"), attr=domain), attr=object_id):
            if object_id not in _DOMAIN_MEMBERS:
                yield f"{domain}.{object_id}".lower()
        case nodes.Getitem(node=nodes.Name(name="states"), arg=nodes.Const() as key):
            yield from _constants(key)
        case _:
            return


def _constants(node: nodes.Node) -> Iterator[str]:
    match node:
        case nodes.Const(value=str() as text):
            if _ENTITY_ID.fullmatch(text.strip().lower()):
                yield text.strip().lower()
        case nodes.List() | nodes.Tuple():
            for item in node.items:
                yield from _constants(item)
        case _:
            return
