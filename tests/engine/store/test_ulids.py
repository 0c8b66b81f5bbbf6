"""A ULID is spelt as the library spells it."""

from hypothesis import given, strategies as st
from ulid_transform import bytes_to_ulid, ulid_to_bytes

from homeiq_engine.store._ulids import spell, ulid_text


@given(st.binary(min_size=16, max_size=16))
def test_sixteen_bytes_are_spelt_as_the_library_spells_them(packed: bytes) -> None:
    assert spell(packed) == ulid_text(packed) == bytes_to_ulid(packed)
    assert ulid_to_bytes(spell(packed)) == packed
