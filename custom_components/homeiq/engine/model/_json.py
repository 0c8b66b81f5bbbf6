"""Define what may cross a process boundary or the edge to Home Assistant, and how it is read back."""

from collections.abc import Mapping, Sequence

type Json = bool | int | float | str | list[Json] | Mapping[str, Json] | None


def as_object(value: Json) -> Mapping[str, Json]:
    """Return a JSON object as it is; raises ValueError for anything else."""
    if isinstance(value, Mapping):
        return value
    raise ValueError(f"expected an object, got {type(value).__name__}")


def as_list(value: Json) -> Sequence[Json]:
    """Return a JSON array as it is; raises ValueError for anything else."""
    if isinstance(value, list):
        return value
    raise ValueError(f"expected an array, got {type(value).__name__}")


def as_text(value: Json) -> str:
    """Return a JSON string as it is; raises ValueError for anything else."""
    if isinstance(value, str):
        return value
    raise ValueError(f"expected a string, got {type(value).__name__}")


def as_whole(value: Json) -> int:
    """Return a whole JSON number as it is; raises ValueError for anything else, also for true and false."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"expected a whole number, got {type(value).__name__}")


def as_number(value: Json) -> float:
    """Return a JSON number as a float; raises ValueError for anything else, also for true and false."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"expected a number, got {type(value).__name__}")
