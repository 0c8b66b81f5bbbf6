"""Ask which entities are meant: by pattern, label, area, device class, integration or domain."""

from collections.abc import Iterable, Mapping
import re
from typing import Any, Final

from homeassistant.helpers import selector
import probatio as vol

from .const import (
    CONF_AREAS,
    CONF_DEVICE_CLASSES,
    CONF_DOMAINS,
    CONF_EXCLUDE,
    CONF_GLOBS,
    CONF_INCLUDE,
    CONF_INTEGRATIONS,
    CONF_LABELS,
)

_MANY_TEXTS: Final = selector.TextSelector(selector.TextSelectorConfig(multiple=True))
RULES: Final = vol.Schema(
    {
        vol.Optional(CONF_GLOBS): _MANY_TEXTS,
        vol.Optional(CONF_LABELS): selector.LabelSelector(selector.LabelSelectorConfig(multiple=True)),
        vol.Optional(CONF_AREAS): selector.AreaSelector(selector.AreaSelectorConfig(multiple=True)),
        vol.Optional(CONF_DEVICE_CLASSES): _MANY_TEXTS,
        vol.Optional(CONF_INTEGRATIONS): _MANY_TEXTS,
        vol.Optional(CONF_DOMAINS): _MANY_TEXTS,
    }
)
# What such a rule must look like to match anything, and the error where it does not.
_NAME: Final = re.compile(r"[a-z0-9_]+")
_TEXT_RULES: Final[Mapping[str, tuple[str, re.Pattern[str]]]] = {
    CONF_GLOBS: ("invalid_pattern", re.compile(r"[^\s.]+\.[^\s.]+")),
    CONF_DEVICE_CLASSES: ("invalid_name", _NAME),
    CONF_INTEGRATIONS: ("invalid_name", _NAME),
    CONF_DOMAINS: ("invalid_name", _NAME),
}


def tidy_rules(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with names and patterns as Home Assistant writes them: lower case, no blanks, each once."""
    tidied = dict(options)
    for side in (CONF_INCLUDE, CONF_EXCLUDE):
        if side in options:
            tidied[side] = {
                name: _tidy_texts(values) if name in _TEXT_RULES else values for name, values in options[side].items()
            }
    return tidied


def _tidy_texts(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(tidied for value in values if (tidied := value.strip().lower())))


def bad_rule(options: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the error and the value for the first rule that can match nothing, None if all can."""
    for side in (CONF_INCLUDE, CONF_EXCLUDE):
        rules = options.get(side) or {}
        for name, (error, form) in _TEXT_RULES.items():
            for value in rules.get(name, ()):
                if form.fullmatch(value) is None:
                    return error, value
    return None
