"""Write single values as line protocol has them, byte for byte as influxdb-client's Point does."""

from typing import Final

MAX_TEXT: Final = 65_535
"""Bytes of one string field; InfluxDB documents a limit of 64 KB."""

_MAX_TAG: Final = 1024
_SURELY_SHORT: Final = MAX_TEXT // 4
_CUT: Final = "…"
_ESCAPE_KEY: Final = str.maketrans({
    ",": r"\,", "=": r"\=", " ": r"\ ", "\n": r"\n", "\t": r"\t", "\r": r"\r",
})  # fmt: skip
_ESCAPE_MEASUREMENT: Final = str.maketrans({
    ",": r"\,", " ": r"\ ", "\n": r"\n", "\t": r"\t", "\r": r"\r",
})  # fmt: skip


def number(value: float) -> str:
    """Return the shortest text that reads back as this float; InfluxDB takes it for a float without ``.0`` too."""
    return repr(value).removesuffix(".0")


def text(value: str) -> str:
    """Return what stands between the quotes of a string field; line breaks may."""
    if len(value) > _SURELY_SHORT and len(raw := value.encode("utf-8", "replace")) > MAX_TEXT:
        value = raw[: MAX_TEXT - len(_CUT.encode())].decode("utf-8", "ignore") + _CUT
    if "\\" in value:
        value = value.replace("\\", r"\\")
    return value.replace('"', r"\"") if '"' in value else value


def key(name: str) -> str:
    """Return a key or a tag's value; a last backslash would swallow what follows, so an escaped blank comes after it."""
    escaped = name[:_MAX_TAG].translate(_ESCAPE_KEY)
    return escaped + r"\ " if escaped.endswith("\\") else escaped


def measurement(name: str) -> str:
    """Return a measurement's name; one that begins with # would be taken for a comment and lost without a word."""
    escaped = name[:_MAX_TAG].translate(_ESCAPE_MEASUREMENT)
    escaped = escaped + r"\ " if escaped.endswith("\\") else escaped
    return "\\" + escaped if escaped.startswith("#") else escaped


def quoted(said: str, quote: str = '"') -> str:
    """Return what stands between quotes in a statement of InfluxQL or Flux, or in a predicate."""
    return said.replace("\\", "\\\\").replace(quote, f"\\{quote}")
